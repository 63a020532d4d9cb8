import { argsOf, declarationsOf, modelWith, namesOf } from '../support/workloads';

const shop = (more: string) => `description: sells\nowners: [ada]\n${more}`;
const POLICY = 'kubernetes:networking.k8s.io/v1:NetworkPolicy';

test('a test namespace lets nothing in, and out only to DNS and Jenkins', () => {
  expect(argsOf(modelWith(), POLICY, 'testing-shop-deny').spec).toEqual({
    podSelector: {},
    policyTypes: ['Ingress', 'Egress'],
  });
  expect(argsOf(modelWith(), POLICY, 'testing-shop-egress').spec).toEqual({
    podSelector: {},
    policyTypes: ['Egress'],
    egress: [
      {
        to: [{ namespaceSelector: {} }],
        ports: [
          { protocol: 'UDP', port: 53 },
          { protocol: 'TCP', port: 53 },
        ],
      },
      {
        to: [
          {
            namespaceSelector: {
              matchExpressions: [{ key: 'kubernetes.io/metadata.name', operator: 'In', values: ['ci'] }],
            },
          },
        ],
        ports: [{ protocol: 'TCP', port: 8080 }],
      },
    ],
  });
  expect(namesOf(modelWith()).filter((name) => name.startsWith('testing-shop-allow'))).toEqual([]);
});

test('further ways out are those that the module declares', () => {
  const model = modelWith({ shop: shop('test: { egress: [{ cidr: 10.1.0.0/24, ports: [443] }] }') });
  const { egress } = argsOf(model, POLICY, 'testing-shop-egress').spec as { egress: unknown[] };
  expect(egress[2]).toEqual({
    to: [{ ipBlock: { cidr: '10.1.0.0/24' } }],
    ports: [{ protocol: 'TCP', port: 443 }],
  });
  expect(egress).toHaveLength(3);
});

test('a range that holds private addresses means those beside them, and none leads to a metadata service', () => {
  const model = modelWith({
    shop: shop('test: { egress: [{ cidr: 0.0.0.0/0, ports: [443] }, { cidr: 168.0.0.0/6, ports: [80] }] }'),
  });
  const { egress } = argsOf(model, POLICY, 'testing-shop-egress').spec as {
    egress: { to: { ipBlock?: object }[] }[];
  };
  expect(egress.slice(2).map(({ to }) => to[0]?.ipBlock)).toEqual([
    {
      cidr: '0.0.0.0/0',
      except: [
        '10.0.0.0/8',
        '100.100.100.200/32',
        '100.64.0.0/10',
        '127.0.0.0/8',
        '168.63.129.16/32',
        '169.254.0.0/16',
        '172.16.0.0/12',
        '192.168.0.0/16',
      ],
    },
    { cidr: '168.0.0.0/6', except: ['168.63.129.16/32', '169.254.0.0/16'] },
  ]);
});

test('the quota holds the parallel test Pods and nothing that outlives them', () => {
  const hard = (shopText?: string) =>
    (
      argsOf(modelWith({ shop: shopText }), 'kubernetes:core/v1:ResourceQuota', 'testing-shop-quota') as {
        spec: { hard: object };
      }
    ).spec.hard;
  expect(hard()).toEqual({
    pods: '8',
    'requests.cpu': '8',
    'requests.memory': '16Gi',
    'requests.ephemeral-storage': '136Gi',
    'limits.ephemeral-storage': '136Gi',
    persistentvolumeclaims: '0',
    'services.nodeports': '0',
    'services.loadbalancers': '0',
  });
  expect(hard(shop('resources: { cpu: "2", memory: 4Gi }'))).toMatchObject({
    'requests.cpu': '17',
    'requests.memory': '34Gi',
    'limits.ephemeral-storage': '120Gi',
  });
});

test('test Pods run as an account that may do nothing', () => {
  const model = modelWith();
  expect(argsOf(model, 'kubernetes:core/v1:ServiceAccount', 'testing-shop-account')).toMatchObject({
    metadata: { name: 'tests', namespace: 'test-shop' },
    automountServiceAccountToken: false,
    imagePullSecrets: [{ name: 'registry-pull' }],
  });
  const bound = declarationsOf(model).filter(
    ({ type, args }) =>
      type === 'kubernetes:rbac.authorization.k8s.io/v1:RoleBinding' &&
      JSON.stringify(args).includes('"name":"tests"'),
  );
  expect(bound).toEqual([]);
});

test('the reaper may list and delete Pods and claims where tests run, and nothing anywhere else', () => {
  const model = modelWith();
  expect(
    argsOf(model, 'kubernetes:rbac.authorization.k8s.io/v1:Role', 'testing-shop-reaper-role').rules,
  ).toEqual([{ apiGroups: [''], resources: ['pods', 'persistentvolumeclaims'], verbs: ['list', 'delete'] }]);
  const bindings = declarationsOf(model).filter(
    ({ type, args }) =>
      type.endsWith('RoleBinding') && JSON.stringify(args).includes('"namespace":"ci-reaper"'),
  );
  expect(bindings.map(({ name }) => name)).toEqual(['testing-shop-reaper-binding']);
});

test('who takes a merge request through its tests may list Pods and events where tests run, events of other agents, and nothing anywhere else', () => {
  const model = modelWith();
  expect(argsOf(model, 'kubernetes:core/v1:ServiceAccount', 'agents-account')).toMatchObject({
    metadata: { name: 'delivery', namespace: 'ci-agents' },
    automountServiceAccountToken: false,
  });
  expect(
    argsOf(model, 'kubernetes:rbac.authorization.k8s.io/v1:Role', 'testing-shop-delivery-role').rules,
  ).toEqual([{ apiGroups: [''], resources: ['pods', 'events'], verbs: ['list'] }]);
  const bindings = declarationsOf(model).filter(
    ({ type, args }) =>
      type.endsWith('RoleBinding') &&
      JSON.stringify(args).includes('"name":"delivery","namespace":"ci-agents"'),
  );
  const prefixes = bindings.map(({ name }) => name.replace('-delivery-binding', ''));
  expect(prefixes.sort()).toEqual(['agents', 'build', 'deploy', 'testing-shop']);
  // A Pod of theirs shows the secret by which its agent connects.
  for (const prefix of prefixes.filter((one) => !one.startsWith('testing-')))
    expect(
      argsOf(model, 'kubernetes:rbac.authorization.k8s.io/v1:Role', `${prefix}-delivery-role`).rules,
    ).toEqual([{ apiGroups: [''], resources: ['events'], verbs: ['list'] }]);
});

test('the job of the reaper is exactly this', () => {
  expect(argsOf(modelWith(), 'kubernetes:batch/v1:CronJob', 'reaper-job').spec).toEqual({
    schedule: '*/15 * * * *',
    timeZone: 'Etc/UTC',
    concurrencyPolicy: 'Forbid',
    startingDeadlineSeconds: 3600,
    successfulJobsHistoryLimit: 1,
    failedJobsHistoryLimit: 3,
    jobTemplate: {
      metadata: {
        labels: {
          'app.kubernetes.io/name': 'reaper',
          'app.kubernetes.io/component': 'testing',
          'app.kubernetes.io/part-of': 'switchyard',
          'app.kubernetes.io/managed-by': 'pulumi',
          'switchyard.dev/environment': 'test',
          'switchyard.dev/purpose': 'clean-up',
        },
      },
      spec: {
        backoffLimit: 1,
        activeDeadlineSeconds: 600,
        template: {
          metadata: { labels: expect.objectContaining({ 'switchyard.dev/purpose': 'clean-up' }) },
          spec: {
            restartPolicy: 'Never',
            serviceAccountName: 'reaper',
            automountServiceAccountToken: true,
            enableServiceLinks: false,
            imagePullSecrets: [{ name: 'registry-pull' }],
            securityContext: expect.objectContaining({ runAsNonRoot: true, runAsUser: 1000 }),
            containers: [
              {
                name: 'delivery',
                image: '«output:delivery-image:repoDigest»',
                command: ['delivery', 'reap', '--namespace', 'test-shop'],
                env: [
                  { name: 'HOME', value: '/tmp' },
                  {
                    name: 'NODE_EXTRA_CA_CERTS',
                    value: '/var/run/secrets/kubernetes.io/serviceaccount/ca.crt',
                  },
                ],
                resources: {
                  requests: { cpu: '10m', memory: '64Mi', 'ephemeral-storage': '64Mi' },
                  limits: { memory: '256Mi', 'ephemeral-storage': '2Gi' },
                },
                securityContext: expect.objectContaining({
                  readOnlyRootFilesystem: true,
                  allowPrivilegeEscalation: false,
                }),
                volumeMounts: [{ name: 'tmp', mountPath: '/tmp' }],
              },
            ],
            volumes: [{ name: 'tmp', emptyDir: { sizeLimit: '1Gi' } }],
          },
        },
      },
    },
  });
});

test('without modules there is nothing to reap, and no job', () => {
  expect(namesOf({ ...modelWith(), modules: [] })).not.toContain('reaper-job');
});
