import { renderTopology } from '../../../operations/render';
import { jenkinsResources } from '../../support/jenkins';
import { testModel } from '../../support/model';
import { argsOf, declarationOf, modelWith, namesOf } from './support';

const statefulSet = (model = testModel()) =>
  argsOf('kubernetes:apps/v1:StatefulSet', model, 'jenkins-controller');

/** The Pod template as `render` writes it: plain data, without Pulumi's input types. */
interface Template {
  readonly metadata: { readonly annotations?: Record<string, string> };
  readonly spec: {
    readonly containers: {
      readonly name: string;
      readonly image: string;
      readonly command?: string[];
      readonly env: { name: string; value?: string; valueFrom?: object }[];
      readonly resources: { requests: object; limits: object };
      readonly volumeMounts: { name: string; mountPath: string; readOnly?: boolean }[];
      readonly [probe: string]: unknown;
    }[];
    readonly [key: string]: unknown;
  };
}
const template = (model = testModel()): Template =>
  (JSON.parse(JSON.stringify(statefulSet(model))) as { spec: { template: Template } }).spec.template;
const container = (name: string, model = testModel()) => {
  const found = template(model).spec.containers.find((one) => one.name === name);
  if (!found) throw new Error(`there is no container "${name}"`);
  return found;
};

describe('the Pod', () => {
  test('it is one, hardened, and no one else’s service account', () => {
    expect(statefulSet()).toMatchObject({
      // Else a controller that cannot start is never replaced by the next template.
      spec: { replicas: 1, serviceName: 'jenkins', podManagementPolicy: 'Parallel' },
    });
    expect(template().spec).toMatchObject({
      serviceAccountName: 'jenkins',
      enableServiceLinks: false,
      securityContext: {
        runAsNonRoot: true,
        runAsUser: 1000,
        runAsGroup: 1000,
        fsGroup: 1000,
        fsGroupChangePolicy: 'OnRootMismatch',
        seccompProfile: { type: 'RuntimeDefault' },
      },
    });
    expect(template().spec.containers.map(({ name }) => name)).toEqual(['jenkins', 'reload']);
    expect(template().spec).not.toHaveProperty('hostNetwork');
    expect(JSON.stringify(template())).not.toContain('hostPath');
  });

  test('it has ten minutes to start, and is asked at /login ever after', () => {
    const get = { httpGet: { path: '/login', port: 8080 } };
    expect(container('jenkins')).toMatchObject({
      startupProbe: { ...get, periodSeconds: 3, timeoutSeconds: 5, failureThreshold: 200 },
      readinessProbe: { ...get, periodSeconds: 10, timeoutSeconds: 5 },
      livenessProbe: { ...get, periodSeconds: 30, timeoutSeconds: 10, failureThreshold: 5 },
    });
  });

  test('it writes to its home, its cache and /tmp only', () => {
    expect(
      container('jenkins')
        .volumeMounts.filter(({ readOnly }) => !readOnly)
        .map(({ mountPath }) => mountPath),
    ).toEqual(['/var/jenkins_home', '/var/jenkins_home/plugins', '/var/jenkins_cache', '/tmp']);
  });
});

describe('a change of configuration', () => {
  test('of modules leaves the Pod template as it is: nothing restarts', () => {
    const without = testModel({ modules: [] });
    expect(argsOf('kubernetes:core/v1:ConfigMap', without, 'jenkins-casc')).not.toEqual(
      argsOf('kubernetes:core/v1:ConfigMap', testModel(), 'jenkins-casc'),
    );
    expect(statefulSet(without)).toEqual(statefulSet());
    expect(template().metadata.annotations).toBeUndefined();
  });

  test('is reloaded by a sidecar of the same image, from the same files, with the same token', () => {
    const reload = container('reload');
    expect(reload).toMatchObject({
      image: '«output:jenkins-image:repoDigest»',
      command: ['bash', '/opt/switchyard/reload-casc.sh'],
      env: [
        { name: 'JENKINS_ADDRESS', value: 'http://127.0.0.1:8080' },
        { name: 'WATCHED', value: '/var/jenkins_casc /run/secrets/jenkins' },
        {
          name: 'CASC_RELOAD_TOKEN',
          valueFrom: { secretKeyRef: { name: 'jenkins-reload', key: 'token' } },
        },
      ],
      resources: {
        requests: { cpu: '10m', memory: '16Mi', 'ephemeral-storage': '64Mi' },
        limits: { memory: '64Mi', 'ephemeral-storage': '256Mi' },
      },
      volumeMounts: [
        { name: 'casc', mountPath: '/var/jenkins_casc', readOnly: true },
        { name: 'casc-secrets', mountPath: '/run/secrets/jenkins', readOnly: true },
      ],
    });
    const own = container('jenkins').env;
    expect(own).toContainEqual(reload.env[2]);
    expect(own).toContainEqual({ name: 'CASC_JENKINS_CONFIG', value: '/var/jenkins_casc' });
    expect(own).toContainEqual({ name: 'SECRETS', value: '/run/secrets/jenkins' });
  });

  test('is never mounted by single file, which Kubernetes would not refresh', () => {
    expect(JSON.stringify(template())).not.toContain('subPath');
  });

  test('reaches Jenkins after the secrets that it names', () => {
    expect(declarationOf(testModel(), 'jenkins-casc').dependsOn).toContain('jenkins-casc-secrets');
  });

  test('the token is not among the secrets that configuration can name', () => {
    const { stringData } = argsOf('kubernetes:core/v1:Secret', testModel(), 'jenkins-casc-secrets');
    expect(stringData).toEqual({
      ADMIN_PASSWORD: '«secret:jenkins/admin»',
      HOOK_TOKEN_SHOP: '«secret:hook/shop»',
      RECONCILER_PASSWORD: '«secret:jenkins/reconciler»',
    });
    expect(argsOf('kubernetes:core/v1:Secret', testModel(), 'jenkins-reload-token').stringData).toEqual({
      token: '«secret:jenkins/reload»',
    });
  });
});

describe("Jenkins' home", () => {
  test('is kept by default: protected, and left in place with its namespace even when unprotected', () => {
    for (const name of ['jenkins-home', 'jenkins-namespace']) {
      expect(declarationOf(modelWith(), name)).toMatchObject({ protect: true, retainOnDelete: true });
    }
    expect(
      jenkinsResources(modelWith())
        .filter(({ protect, retainOnDelete }) => protect || retainOnDelete)
        .map(({ name }) => name),
    ).toEqual(['jenkins-namespace', 'jenkins-home']);
  });

  test('goes with the rest where the stack says delete', () => {
    for (const { protect, retainOnDelete } of jenkinsResources(modelWith('onDelete: delete'))) {
      expect([protect, retainOnDelete]).toEqual([undefined, undefined]);
    }
  });

  test('is a volume of its own, marked for backup, with a class only where one is named', () => {
    expect(argsOf('kubernetes:core/v1:PersistentVolumeClaim', modelWith(), 'jenkins-home')).toMatchObject({
      metadata: { name: 'jenkins-home', namespace: 'ci', labels: { 'switchyard.dev/backup': 'true' } },
      spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '20Gi' } } },
    });
    expect(
      argsOf('kubernetes:core/v1:PersistentVolumeClaim', modelWith(), 'jenkins-home').spec,
    ).not.toHaveProperty('storageClassName');
    expect(
      argsOf(
        'kubernetes:core/v1:PersistentVolumeClaim',
        modelWith('storageClass: fast-retain, storage: 50Gi'),
        'jenkins-home',
      ).spec,
    ).toEqual({
      accessModes: ['ReadWriteOnce'],
      storageClassName: 'fast-retain',
      resources: { requests: { storage: '50Gi' } },
    });
  });
});

describe('disruption', () => {
  const budget = (model = modelWith()) =>
    argsOf('kubernetes:policy/v1:PodDisruptionBudget', model, 'jenkins-disruption').spec;

  test('no drain evicts Jenkins unasked, unless the stack allows it', () => {
    const selector = {
      matchLabels: { 'app.kubernetes.io/name': 'jenkins', 'app.kubernetes.io/component': 'jenkins' },
    };
    expect(budget()).toEqual({ maxUnavailable: 0, selector });
    expect(budget(modelWith('evictable: true'))).toEqual({ maxUnavailable: 1, selector });
  });
});

describe('rights', () => {
  test('in its own namespace Jenkins reads Secrets and does nothing else', () => {
    expect(
      argsOf('kubernetes:rbac.authorization.k8s.io/v1:Role', testModel(), 'jenkins-credentials-role').rules,
    ).toEqual([{ apiGroups: [''], resources: ['secrets'], verbs: ['get', 'list', 'watch'] }]);
    const roles = jenkinsResources(testModel()).filter(({ type }) => type.endsWith(':Role'));
    expect(roles.map(({ name }) => name).sort()).toEqual([
      'agents-agents-role',
      'agents-delivery-role',
      'agents-reconciler-role',
      'build-agents-role',
      'build-delivery-role',
      'deploy-agents-role',
      'deploy-delivery-role',
      'jenkins-credentials-role',
    ]);
  });

  test('no agent namespace lets Jenkins read Secrets', () => {
    for (const name of ['agents-agents-role', 'deploy-agents-role']) {
      const role = argsOf('kubernetes:rbac.authorization.k8s.io/v1:Role', testModel(), name);
      expect(JSON.stringify(role.rules)).not.toContain('secrets');
    }
  });
});

describe('the way in', () => {
  const policy = (model: ReturnType<typeof modelWith>, name: string) =>
    argsOf('kubernetes:networking.k8s.io/v1:NetworkPolicy', model, name).spec;
  const ingress = 'ingress: { host: jenkins.test, className: nginx, tlsSecret: jenkins-tls }';
  const byName = (...values: string[]) => ({
    namespaceSelector: {
      matchExpressions: [{ key: 'kubernetes.io/metadata.name', operator: 'In', values }],
    },
  });
  const tests = {
    namespaceSelector: {
      matchLabels: { 'app.kubernetes.io/part-of': 'switchyard', 'switchyard.dev/purpose': 'test' },
    },
  };

  test('without an ingress there is none, and the Service stays inside the cluster', () => {
    expect(namesOf(modelWith())).not.toContain('jenkins-ingress');
    expect(argsOf('kubernetes:core/v1:Service', modelWith(), 'jenkins-service')).toMatchObject({
      spec: { type: 'ClusterIP', ports: [{ name: 'http', port: 8080, targetPort: 8080, protocol: 'TCP' }] },
    });
  });

  test('an ingress leads the host to Jenkins, with the certificate that the stack names', () => {
    expect(
      argsOf('kubernetes:networking.k8s.io/v1:Ingress', modelWith(ingress), 'jenkins-ingress').spec,
    ).toEqual({
      ingressClassName: 'nginx',
      tls: [{ hosts: ['jenkins.test'], secretName: 'jenkins-tls' }],
      rules: [
        {
          host: 'jenkins.test',
          http: {
            paths: [
              {
                path: '/',
                pathType: 'Prefix',
                backend: { service: { name: 'jenkins', port: { name: 'http' } } },
              },
            ],
          },
        },
      ],
    });
  });

  test('an ingress without class and certificate names neither', () => {
    const { metadata, spec } = argsOf(
      'kubernetes:networking.k8s.io/v1:Ingress',
      modelWith('ingress: { host: jenkins.test, annotations: { cert-manager.io/cluster-issuer: ca } }'),
      'jenkins-ingress',
    );
    expect(Object.keys(spec ?? {})).toEqual(['rules']);
    expect(metadata).toMatchObject({ annotations: { 'cert-manager.io/cluster-issuer': 'ca' } });
  });

  test('with an ingress only it, the agents, the reconciler and Prometheus reach Jenkins', () => {
    expect(policy(modelWith(`${ingress}, metrics: { namespace: watch }`), 'jenkins-allow-8080')).toEqual({
      podSelector: {
        matchLabels: { 'app.kubernetes.io/name': 'jenkins', 'app.kubernetes.io/component': 'jenkins' },
      },
      policyTypes: ['Ingress'],
      ingress: [
        {
          from: [
            byName('ci-agents', 'ci-build', 'ci-deploy', 'ci-reconciler'),
            tests,
            byName('ingress-nginx'),
            byName('watch'),
          ],
          ports: [{ protocol: 'TCP', port: 8080 }],
        },
      ],
    });
  });

  test('a node port, and a way of the site’s own, are open to addresses that no selector knows', () => {
    for (const model of [modelWith(), modelWith(`${ingress}, nodePort: 30080`)]) {
      expect(policy(model, 'jenkins-allow-8080')).toMatchObject({
        ingress: [{ ports: [{ protocol: 'TCP', port: 8080 }] }],
      });
      expect(JSON.stringify(policy(model, 'jenkins-allow-8080'))).not.toContain('from');
    }
  });

  test('nobody reaches the Pod of a build, and only such Pods reach the gate of one', () => {
    expect(namesOf(testModel()).filter((name) => /^build-(allow|service)/.test(name))).toEqual([]);
    expect(policy(testModel(), 'build-deny')).toEqual({
      podSelector: {},
      policyTypes: ['Ingress', 'Egress'],
    });
    expect(policy(testModel(), 'agents-allow-8099')).toEqual({
      podSelector: {},
      policyTypes: ['Ingress'],
      ingress: [{ from: [byName('ci-build')], ports: [{ protocol: 'TCP', port: 8099 }] }],
    });
  });
});

describe('the ways out of a build', () => {
  const ways = (model: ReturnType<typeof modelWith>) => {
    const { spec } = argsOf('kubernetes:networking.k8s.io/v1:NetworkPolicy', model, 'build-egress');
    const { egress } = JSON.parse(JSON.stringify(spec)) as {
      egress: { to: { ipBlock?: object; namespaceSelector?: object }[]; ports: { port: number }[] }[];
    };
    return egress.map(({ to, ports }) => [to[0]?.ipBlock ?? to[0]?.namespaceSelector, ports[0]?.port]);
  };
  const inside = (name: string) => ({
    matchExpressions: [{ key: 'kubernetes.io/metadata.name', operator: 'In', values: [name] }],
  });
  const always = [
    [{}, 53],
    [inside('ci'), 8080],
    [inside('ci-agents'), 8099],
    [inside('registry'), 5000],
  ];
  const PRIVATE = [
    '10.0.0.0/8',
    '100.100.100.200/32',
    '100.64.0.0/10',
    '127.0.0.0/8',
    '168.63.129.16/32',
    '169.254.0.0/16',
    '172.16.0.0/12',
    '192.168.0.0/16',
  ];

  test('are few, and none leads to a private or a link-local address', () => {
    expect(ways(testModel())).toEqual([...always, [{ cidr: '0.0.0.0/0', except: PRIVATE }, 443]]);
  });

  test('are what the stack names, beside the mirror where that is an address', () => {
    const named = modelWith('buildEgress: [{ cidr: 10.1.2.0/24, ports: [8081] }]');
    expect(ways(named)).toEqual([...always, [{ cidr: '10.1.2.0/24' }, 8081]]);
    expect(
      ways(modelWith('buildEgress: [{ cidr: 8.0.0.0/5, ports: [443] }, { cidr: 168.0.0.0/6, ports: [80] }]')),
    ).toEqual([
      ...always,
      [{ cidr: '8.0.0.0/5', except: ['10.0.0.0/8'] }, 443],
      [{ cidr: '168.0.0.0/6', except: ['168.63.129.16/32', '169.254.0.0/16'] }, 80],
    ]);
    const mirrored = modelWith('buildEgress: []', { mirror: '10.9.8.7:5000' });
    expect(ways(mirrored)).toEqual([...always, [{ cidr: '10.9.8.7/32' }, 5000]]);
    expect(ways(modelWith('', { mirror: '10.9.8.7:5000' }))).toEqual(ways(mirrored));
  });
});

describe('metrics', () => {
  test('the Pod is marked for Prometheus only where the stack wants metrics', () => {
    expect(template().metadata).not.toHaveProperty('annotations');
    expect(template(modelWith('metrics: {}')).metadata.annotations).toEqual({
      'prometheus.io/scrape': 'true',
      'prometheus.io/path': '/prometheus/',
      'prometheus.io/port': '8080',
    });
  });
});

describe('image builds', () => {
  test('BuildKit keeps its cache within the setting', () => {
    const { data } = argsOf('kubernetes:core/v1:ConfigMap', modelWith('buildCache: 40Gi'), 'build-config');
    expect(data).toEqual({
      'buildkitd.toml': '[worker.oci]\n  gc = true\n  reservedSpace = "40GiB"\n  maxUsedSpace = "40GiB"\n',
    });
  });
});

test('credentials are Secrets with the label that makes them so, and hold references only', () => {
  const secrets = jenkinsResources(testModel()).filter(({ args }) =>
    JSON.stringify(args).includes('jenkins.io/credentials-type'),
  );
  expect(
    secrets.map(({ name }) => {
      const { metadata, stringData } = JSON.parse(
        JSON.stringify(argsOf('kubernetes:core/v1:Secret', testModel(), name)),
      ) as { metadata: { name: string; labels: Record<string, string> }; stringData: object };
      return [metadata.name, metadata.labels['jenkins.io/credentials-type'], stringData];
    }),
  ).toEqual([
    ['gitlab-bot-token', 'secretText', { text: '«output:gitlab-bot:token»' }],
    ['gitlab-reader-token', 'secretText', { text: '«output:gitlab-reader:token»' }],
    ['gitlab-bot', 'usernamePassword', { username: 'oauth2', password: '«output:gitlab-bot:token»' }],
    ['certificate-key', 'secretText', { text: '«secret:certificate/test»' }],
    ['registry-shop', 'usernamePassword', { username: 'push-shop', password: '«secret:registry/push-shop»' }],
    ['keys-shop', 'secretText', { text: '«key:service/shop» «key:registry/pull»' }],
    ['part-shop', 'secretText', { text: '«secret:part/shop»' }],
  ]);
});

test('an ingress is rendered as a manifest', () => {
  const rendered = renderTopology(modelWith('ingress: { host: jenkins.test }')).get(
    'kubernetes/ci/jenkins.yaml',
  );
  expect(rendered).toContain('apiVersion: networking.k8s.io/v1\nkind: Ingress\n');
});
