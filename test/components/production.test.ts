import { parseCatalog } from '../../catalog/load';
import { ProblemsError } from '../../catalog/problems';
import { catalogTexts } from '../support/model';
import { argsOf, declarationOf, modelWith, namesOf } from '../support/workloads';

const shop = (more: string) =>
  `description: sells\nowners: [ada]\nservices: [{ kind: cache, version: "1.0" }]\n${more}`;

const existing = `description: sells
owners: [ada]
services:
  - kind: cache
    version: "1.0"
    existing: { host: cache.example.com, port: 6390, credentialsFrom: SHOP_CACHE_PASSWORD }
`;
const DEPLOYMENT = 'kubernetes:apps/v1:Deployment';
const STATEFUL_SET = 'kubernetes:apps/v1:StatefulSet';

function problemsOf(make: () => unknown): string {
  try {
    make();
  } catch (error) {
    if (error instanceof ProblemsError) return error.message;
    throw error;
  }
  return '';
}

test('the workload is exactly this', () => {
  expect(argsOf(modelWith(), DEPLOYMENT, 'production-shop-workload')).toEqual({
    metadata: {
      name: 'shop',
      namespace: 'prod-shop',
      labels: {
        'app.kubernetes.io/name': 'shop',
        'app.kubernetes.io/component': 'module',
        'app.kubernetes.io/part-of': 'switchyard',
        'app.kubernetes.io/managed-by': 'pulumi',
        'switchyard.dev/environment': 'test',
        'switchyard.dev/module': 'shop',
        'switchyard.dev/purpose': 'production',
      },
      annotations: { 'pulumi.com/timeoutSeconds': '630', 'switchyard.dev/commit': 'b'.repeat(40) },
    },
    spec: {
      replicas: 2,
      revisionHistoryLimit: 5,
      selector: {
        matchLabels: { 'app.kubernetes.io/name': 'shop', 'app.kubernetes.io/component': 'module' },
      },
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
      progressDeadlineSeconds: 300,
      template: {
        metadata: {
          labels: expect.objectContaining({ 'app.kubernetes.io/name': 'shop' }),
          annotations: {
            'switchyard.dev/config-hash': expect.stringMatching(/^[0-9a-f]{16}$/),
          },
        },
        spec: {
          automountServiceAccountToken: false,
          enableServiceLinks: false,
          imagePullSecrets: [{ name: 'registry-pull' }],
          priorityClassName: 'switchyard-production',
          securityContext: {
            runAsNonRoot: true,
            runAsUser: 10001,
            runAsGroup: 10001,
            fsGroup: 10001,
            fsGroupChangePolicy: 'OnRootMismatch',
            seccompProfile: { type: 'RuntimeDefault' },
          },
          terminationGracePeriodSeconds: 30,
          topologySpreadConstraints: ['kubernetes.io/hostname', 'topology.kubernetes.io/zone'].map(
            (topologyKey) => ({
              maxSkew: 1,
              topologyKey,
              whenUnsatisfiable: 'ScheduleAnyway',
              labelSelector: {
                matchLabels: { 'app.kubernetes.io/name': 'shop', 'app.kubernetes.io/component': 'module' },
              },
              matchLabelKeys: ['pod-template-hash'],
            }),
          ),
          containers: [
            {
              name: 'module',
              image: `registry.test:5000/modules/shop@sha256:${'a'.repeat(64)}`,
              env: [
                {
                  name: 'SWITCHYARD_SERVICE_PASSWORD_0',
                  valueFrom: { secretKeyRef: { name: 'cache-credentials', key: 'password' } },
                },
                { name: 'CACHE_PASSWORD', value: '$(SWITCHYARD_SERVICE_PASSWORD_0)' },
              ],
              envFrom: [{ configMapRef: { name: 'shop-environment' } }],
              ports: [{ name: 'http', containerPort: 8080 }],
              startupProbe: {
                httpGet: { path: '/readyz', port: 8080 },
                periodSeconds: 1,
                failureThreshold: 120,
              },
              readinessProbe: {
                httpGet: { path: '/readyz', port: 8080 },
                periodSeconds: 5,
                timeoutSeconds: 5,
              },
              livenessProbe: {
                httpGet: { path: '/healthz', port: 8080 },
                periodSeconds: 10,
                timeoutSeconds: 5,
              },
              lifecycle: { preStop: { sleep: { seconds: 5 } } },
              resources: {
                requests: { cpu: '100m', memory: '128Mi', 'ephemeral-storage': '64Mi' },
                limits: { memory: '256Mi', 'ephemeral-storage': '2Gi' },
              },
              securityContext: {
                allowPrivilegeEscalation: false,
                readOnlyRootFilesystem: true,
                runAsNonRoot: true,
                capabilities: { drop: ['ALL'] },
                seccompProfile: { type: 'RuntimeDefault' },
              },
              volumeMounts: [{ name: 'tmp', mountPath: '/tmp' }],
            },
          ],
          volumes: [{ name: 'tmp', emptyDir: { sizeLimit: '2Gi' } }],
        },
      },
    },
  });
});

test('a changed variable starts new Pods, and an unchanged environment does not', () => {
  const hash = (more: string) => {
    const args = argsOf(modelWith({ shop: shop(more) }), DEPLOYMENT, 'production-shop-workload');
    const { spec } = args as {
      spec: { template: { metadata: { annotations: Record<string, string> } } };
    };
    return spec.template.metadata.annotations['switchyard.dev/config-hash'];
  };
  expect(hash('environment: { MODE: fast }')).not.toBe(hash('environment: { MODE: safe }'));
  expect(hash('environment: { A: "1", B: "2" }')).toBe(hash('environment: { B: "2", A: "1" }'));
});

test('the ConfigMap holds the plain variables and no password', () => {
  const args = argsOf(
    modelWith({ shop: shop('environment: { MODE: fast }') }),
    'kubernetes:core/v1:ConfigMap',
    'production-shop-environment',
  );
  expect(args.data).toEqual({
    CACHE_HOST: 'cache.prod-shop.svc',
    CACHE_PORT: '6379',
    MODE: 'fast',
    PORT: '8080',
  });
});

test('no ingress and no host unless the module asks for one', () => {
  expect(namesOf(modelWith())).not.toContain('production-shop-ingress');
  const model = modelWith({
    shop: shop('production: { ingress: { host: shop.example.com, className: nginx, tlsSecret: shop-tls } }'),
  });
  expect(argsOf(model, 'kubernetes:networking.k8s.io/v1:Ingress', 'production-shop-ingress')).toMatchObject({
    spec: {
      ingressClassName: 'nginx',
      tls: [{ hosts: ['shop.example.com'], secretName: 'shop-tls' }],
      rules: [
        {
          host: 'shop.example.com',
          http: {
            paths: [
              {
                path: '/',
                pathType: 'Prefix',
                backend: { service: { name: 'shop', port: { name: 'http' } } },
              },
            ],
          },
        },
      ],
    },
  });
});

test('only a module that has an ingress may have its deploys change ingresses', () => {
  const may = (text?: string) =>
    JSON.stringify(
      argsOf(
        modelWith({ shop: text }),
        'kubernetes:rbac.authorization.k8s.io/v1:Role',
        'production-shop-deployer-role',
      ),
    ).includes('ingresses');
  expect(may()).toBe(false);
  expect(may(shop('production: { ingress: { host: shop.example.com } }'))).toBe(true);
});

test('a database is reached by its module only, the module by anyone', () => {
  const policy = (name: string) =>
    argsOf(modelWith(), 'kubernetes:networking.k8s.io/v1:NetworkPolicy', `production-shop-${name}`).spec;
  const module = { 'app.kubernetes.io/name': 'shop', 'app.kubernetes.io/component': 'module' };
  expect(policy('allow-8080')).toEqual({
    podSelector: { matchLabels: module },
    policyTypes: ['Ingress'],
    ingress: [{ ports: [{ protocol: 'TCP', port: 8080 }] }],
  });
  expect(policy('allow-6379')).toEqual({
    podSelector: { matchLabels: { 'app.kubernetes.io/component': 'service' } },
    policyTypes: ['Ingress'],
    ingress: [{ from: [{ podSelector: { matchLabels: module } }], ports: [{ protocol: 'TCP', port: 6379 }] }],
  });
});

test('a service on the port of its module is opened by a policy of its own', () => {
  const names = namesOf(modelWith({ shop: shop('port: 6379') }));
  expect(names).toContain('production-shop-allow-6379');
  expect(names).toContain('production-shop-services-6379');
});

test('a database that cannot start is replaced by the next template: its Pods have no order to wait for', () => {
  expect(argsOf(modelWith(), STATEFUL_SET, 'production-shop-cache-workload')).toMatchObject({
    spec: { replicas: 1, podManagementPolicy: 'Parallel' },
  });
});

test('databases are kept by default: namespace and StatefulSet are protected, claims stay', () => {
  const model = modelWith();
  expect(declarationOf(model, 'production-shop-namespace')).toMatchObject({
    protect: true,
    retainOnDelete: true,
  });
  const set = declarationOf(model, 'production-shop-cache-workload');
  expect(set).toMatchObject({
    protect: true,
    retainOnDelete: true,
    args: {
      spec: { persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Retain', whenScaled: 'Retain' } },
    },
  });
  // What holds no data may go.
  expect(declarationOf(model, 'production-shop-workload').protect).toBeUndefined();
});

test.each([
  [
    'the stack',
    { stack: `  switchyard:registry: { address: r.test }\n  switchyard:production: { onDelete: delete }\n` },
  ],
  ['the module', { shop: shop('production: { onDelete: delete }') }],
])('databases go with their module where %s says so', (_who, change) => {
  const model = modelWith(change);
  expect(declarationOf(model, 'production-shop-namespace').protect).toBeUndefined();
  expect(declarationOf(model, 'production-shop-cache-workload').protect).toBeUndefined();
  expect(argsOf(model, STATEFUL_SET, 'production-shop-cache-workload')).toMatchObject({
    spec: { persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Delete', whenScaled: 'Retain' } },
  });
});

test('what a backup must hold is marked, on what Kubernetes lets change later', () => {
  const { metadata, spec } = argsOf(modelWith(), STATEFUL_SET, 'production-shop-cache-workload') as {
    metadata: { labels: object };
    spec: { template: { metadata: object }; volumeClaimTemplates: { metadata: object }[] };
  };
  expect(metadata.labels).toMatchObject({ 'switchyard.dev/backup': 'true' });
  expect(spec.template.metadata).toMatchObject({
    labels: { 'switchyard.dev/backup': 'true' },
    annotations: { 'backup.velero.io/backup-volumes': 'cache-data' },
  });
  // The physical identity of stored data: any change here is a new volume.
  expect(spec.volumeClaimTemplates).toEqual([
    {
      metadata: { name: 'cache-data' },
      spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
    },
  ]);
});

test('an existing service is only reached: nothing of it is made, opened or kept', () => {
  const stack = `  switchyard:registry: { address: r.test }\n  switchyard:deployEnvironment: [SWITCHYARD_SEED, SHOP_CACHE_PASSWORD]\n`;
  const model = modelWith({ shop: existing, stack });
  const names = namesOf(model).filter((name) => name.startsWith('production-shop'));
  expect(names).toContain('production-shop-cache-credentials');
  for (const part of ['cache-workload', 'cache-service', 'cache-disruption', 'allow-6379', 'allow-6390'])
    expect(names).not.toContain(`production-shop-${part}`);
  expect(argsOf(model, 'kubernetes:core/v1:Secret', 'production-shop-cache-credentials')).toMatchObject({
    stringData: { password: '«given:SHOP_CACHE_PASSWORD»' },
  });
  expect(argsOf(model, 'kubernetes:core/v1:ConfigMap', 'production-shop-environment').data).toMatchObject({
    CACHE_HOST: 'cache.example.com',
    CACHE_PORT: '6390',
  });
  expect(declarationOf(model, 'production-shop-namespace').protect).toBeUndefined();
});

test('a quota holds a large module at its worst moment', () => {
  const model = modelWith({
    shop: shop('resources: { cpu: "2", memory: 4Gi }\nproduction: { replicas: 10 }'),
  });
  expect(argsOf(model, 'kubernetes:core/v1:ResourceQuota', 'production-shop-quota')).toMatchObject({
    spec: {
      hard: {
        pods: '23',
        'requests.cpu': '43',
        'requests.memory': '85Gi',
        persistentvolumeclaims: '1',
      },
    },
  });
});

test('production ranks before tests, and pushes nothing off a node unless told to', () => {
  const priority = (stack?: string) =>
    argsOf(modelWith({ stack }), 'kubernetes:scheduling.k8s.io/v1:PriorityClass', 'production-priority');
  expect(priority()).toMatchObject({
    metadata: { name: 'switchyard-production' },
    value: 100_000,
    globalDefault: false,
    preemptionPolicy: 'Never',
  });
  expect(
    priority(`  switchyard:registry: { address: r.test }\n  switchyard:production: { preempt: true }\n`),
  ).toMatchObject({ preemptionPolicy: 'PreemptLowerPriority' });
});

test('two modules on one host and path, and a drain longer than a Pod may take to end, are refused with their place', () => {
  const text = shop('production: { ingress: { host: shop.example.com } }');
  expect(
    problemsOf(() => parseCatalog({ ...catalogTexts, modules: { 'shop.yaml': text, 'till.yaml': text } })),
  ).toBe(
    'catalog/modules/till.yaml:4: production.ingress.host: shop.example.com/ is taken by shop. Choose another host or path.',
  );
  expect(problemsOf(() => modelWith({ shop: shop('production: { drainSeconds: 60 }') }))).toBe(
    'catalog/modules/shop.yaml:4: production.drainSeconds: 60 leaves nothing of the 30 s in which a Pod must end. Write less, or raise production.terminationGraceSeconds.',
  );
  expect(
    problemsOf(() => modelWith({ shop: shop('production: { ingress: { host: "https://shop" } }') })),
  ).toContain('catalog/modules/shop.yaml:4: production.ingress.host: is not a host name.');
});
