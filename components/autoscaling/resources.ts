import type { types } from '@pulumi/kubernetes';
import { containerResources, emptyDir, restrictedContainer } from '../../catalog/containers';
import { imageFor } from '../../stacks/load';
import type { Declaration } from '../shared/declaration';
import { contentHash, fencedNamespace, object, restrictedPod } from '../shared/kubernetes';
import { labels, selector } from '../shared/naming';
import { API_PORTS, outside, toNamespace, toSameNamespace } from '../shared/network';
import { certificateRef } from '../shared/references';
import { rotatedMark } from '../shared/rotation';
import type { AutoscalingSpec } from './autoscaling';
import { adapterConfig, prometheusConfig } from './config';
import { METRICS_ACCOUNTS, metricsOf } from './module';
import { CUSTOM_METRICS } from './scales';

const { prometheus, adapter } = METRICS_ACCOUNTS;
/** User `nobody` of both images. */
const USER = 65534;
const PROMETHEUS_PORT = 9090;
const ADAPTER_PORT = 6443;
const RBAC = 'rbac.authorization.k8s.io';
const PURPOSE = 'autoscaling/adapter';

type Part = typeof prometheus | typeof adapter;
const match = (part: Part) => selector(part, 'autoscaling');

function about({ environment, namespace }: AutoscalingSpec) {
  const common = (name: string) =>
    labels({ name, component: 'autoscaling', environment, purpose: 'autoscaling' });
  return { namespace, common, within: (name: string) => ({ namespace, name, labels: common(name) }) };
}

/** One Pod of a part, with the token of its account. */
function deployment(
  spec: AutoscalingSpec,
  part: Part,
  config: string,
  container: Pick<
    types.input.core.v1.Container,
    'image' | 'command' | 'args' | 'readinessProbe' | 'livenessProbe'
  > & {
    readonly port: number;
    readonly memory: string;
    readonly memoryLimit: string;
  },
  secret?: string,
): Declaration {
  const { common, within } = about(spec);
  const { port, memory, memoryLimit, ...given } = container;
  const resources = { cpu: '100m', memory, memoryLimit, disk: '2Gi' };
  return object(
    'kubernetes:apps/v1:Deployment',
    `autoscaling-${part}`,
    'production',
    within(part),
    {
      spec: {
        replicas: 1,
        // While there is none nothing scales in.
        strategy: { type: 'Recreate' },
        revisionHistoryLimit: 3,
        selector: { matchLabels: match(part) },
        template: {
          metadata: {
            labels: { ...common(part), ...match(part) },
            annotations: {
              'switchyard.dev/config-hash': contentHash(config),
              ...(secret ? rotatedMark(spec.versions ?? {}, 'autoscaling') : {}),
            },
          },
          spec: {
            serviceAccountName: part,
            automountServiceAccountToken: true,
            enableServiceLinks: false,
            ...(spec.priorityClass ? { priorityClassName: spec.priorityClass } : {}),
            securityContext: restrictedPod(USER),
            containers: [
              {
                ...given,
                name: part,
                ports: [{ name: 'http', containerPort: port }],
                resources: containerResources(resources),
                securityContext: restrictedContainer,
                volumeMounts: [
                  { name: 'config', mountPath: '/config', readOnly: true },
                  { name: 'data', mountPath: '/data' },
                  ...(secret ? [{ name: 'certificate', mountPath: '/certificate', readOnly: true }] : []),
                ],
              },
            ],
            volumes: [
              { name: 'config', configMap: { name: part } },
              emptyDir('data', resources.disk),
              ...(secret ? [{ name: 'certificate', secret: { secretName: secret } }] : []),
            ],
          },
        },
      },
    },
    {
      dependsOn: [
        `autoscaling-${part}-config`,
        `autoscaling-${part}-account`,
        ...(secret ? ['autoscaling-certificate'] : []),
      ],
    },
  );
}

/** Account, configuration, Pod and Service of a part. */
function part(
  spec: AutoscalingSpec,
  name: Part,
  config: { readonly file: string; readonly text: string },
  port: { readonly outside: number; readonly inside: number },
  workload: Declaration,
): Declaration[] {
  const { within } = about(spec);
  const after = { dependsOn: ['autoscaling-namespace'] };
  return [
    object(
      'kubernetes:core/v1:ServiceAccount',
      `autoscaling-${name}-account`,
      'production',
      within(name),
      { automountServiceAccountToken: false },
      after,
    ),
    object(
      'kubernetes:core/v1:ConfigMap',
      `autoscaling-${name}-config`,
      'production',
      within(name),
      { data: { [config.file]: config.text } },
      after,
    ),
    workload,
    object(
      'kubernetes:core/v1:Service',
      `autoscaling-${name}-service`,
      'production',
      within(name),
      {
        spec: {
          selector: match(name),
          ports: [{ name: 'http', port: port.outside, targetPort: port.inside, protocol: 'TCP' }],
        },
      },
      { dependsOn: [`autoscaling-${name}`] },
    ),
  ];
}

function prometheusPart(spec: AutoscalingSpec): Declaration[] {
  const text = prometheusConfig(spec.modules);
  const probe = (path: string) => ({
    httpGet: { path, port: PROMETHEUS_PORT },
    periodSeconds: 5,
    timeoutSeconds: 5,
  });
  return part(
    spec,
    prometheus,
    { file: 'prometheus.yml', text },
    { outside: PROMETHEUS_PORT, inside: PROMETHEUS_PORT },
    deployment(spec, prometheus, text, {
      image: imageFor({ images: spec.images ?? {} }, 'prometheus'),
      command: ['prometheus'],
      args: [
        '--config.file=/config/prometheus.yml',
        '--storage.tsdb.path=/data',
        // An autoscaler asks for seconds; what happened is for another Prometheus to keep.
        '--storage.tsdb.retention.time=2h',
        `--web.listen-address=:${PROMETHEUS_PORT}`,
      ],
      readinessProbe: probe('/-/ready'),
      livenessProbe: { ...probe('/-/healthy'), failureThreshold: 12 },
      port: PROMETHEUS_PORT,
      memory: '256Mi',
      memoryLimit: '1Gi',
    }),
  );
}

/** What an aggregated API server needs besides: to ask the real one who asks, and its own certificate. */
function adapterPart(spec: AutoscalingSpec): Declaration[] {
  const { namespace, common, within } = about(spec);
  const host = `${adapter}.${namespace}.svc`;
  const text = adapterConfig();
  const account = [{ kind: 'ServiceAccount', name: adapter, namespace }];
  const probe = (path: string) => ({
    httpGet: { path, port: ADAPTER_PORT, scheme: 'HTTPS' },
    periodSeconds: 5,
    timeoutSeconds: 5,
  });
  return [
    object(
      'kubernetes:core/v1:Secret',
      'autoscaling-certificate',
      'production',
      within('certificate'),
      {
        type: 'kubernetes.io/tls',
        stringData: {
          'tls.crt': certificateRef(PURPOSE, host, 'cert'),
          'tls.key': certificateRef(PURPOSE, host, 'key'),
        },
      },
      { dependsOn: ['autoscaling-namespace'] },
    ),
    ...part(
      spec,
      adapter,
      { file: 'config.yaml', text },
      { outside: 443, inside: ADAPTER_PORT },
      deployment(
        spec,
        adapter,
        text,
        {
          image: imageFor({ images: spec.images ?? {} }, 'prometheusAdapter'),
          args: [
            '--config=/config/config.yaml',
            `--prometheus-url=http://${prometheus}.${namespace}.svc:${PROMETHEUS_PORT}/`,
            // How long a new module's metric stays unknown.
            '--metrics-relist-interval=30s',
            '--metrics-max-age=2m',
            `--secure-port=${ADAPTER_PORT}`,
            '--tls-cert-file=/certificate/tls.crt',
            '--tls-private-key-file=/certificate/tls.key',
            '--cert-dir=/data',
          ],
          readinessProbe: probe('/readyz'),
          livenessProbe: { ...probe('/livez'), failureThreshold: 12 },
          port: ADAPTER_PORT,
          memory: '128Mi',
          memoryLimit: '512Mi',
        },
        'certificate',
      ),
    ),
    object(
      `kubernetes:${RBAC}/v1:ClusterRoleBinding`,
      'autoscaling-delegator',
      'production',
      { name: `${namespace}-delegator`, labels: common(adapter) },
      { roleRef: { apiGroup: RBAC, kind: 'ClusterRole', name: 'system:auth-delegator' }, subjects: account },
      { dependsOn: [`autoscaling-${adapter}-account`] },
    ),
    object(
      `kubernetes:${RBAC}/v1:RoleBinding`,
      'autoscaling-authentication',
      'production',
      { namespace: 'kube-system', name: `${namespace}-authentication`, labels: common(adapter) },
      {
        roleRef: { apiGroup: RBAC, kind: 'Role', name: 'extension-apiserver-authentication-reader' },
        subjects: account,
      },
      { dependsOn: [`autoscaling-${adapter}-account`] },
    ),
    object(
      'kubernetes:apiregistration.k8s.io/v1:APIService',
      'autoscaling-api',
      'production',
      { name: CUSTOM_METRICS, labels: common(adapter) },
      {
        spec: {
          group: 'custom.metrics.k8s.io',
          version: 'v1beta2',
          groupPriorityMinimum: 100,
          versionPriority: 200,
          service: { name: adapter, namespace, port: 443 },
          caBundle: certificateRef(PURPOSE, host, 'bundle'),
        },
      },
      { dependsOn: [`autoscaling-${adapter}-service`] },
    ),
  ];
}

/**
 * What tells autoscalers how much each Pod has to do: a Prometheus that asks the Pods of the modules that scale, and
 * nobody else, and the adapter that answers for it as `custom.metrics.k8s.io`.
 */
export function autoscalingDeclarations(spec: AutoscalingSpec): Declaration[] {
  const { environment, namespace } = spec;
  return [
    ...fencedNamespace({
      prefix: 'autoscaling',
      namespace,
      provider: 'production',
      labels: {
        name: 'autoscaling',
        component: 'autoscaling',
        environment,
        purpose: 'autoscaling',
      },
      quota: { pods: 4, cpu: '1', memory: '2Gi', disk: '8Gi', claims: 0 },
      open: [
        { port: PROMETHEUS_PORT, pods: match(prometheus), from: match(adapter) },
        // API servers are no Pods: nobody knows their addresses.
        { port: ADAPTER_PORT, pods: match(adapter) },
      ],
      egress: [
        outside(...(spec.apiPorts ?? API_PORTS)),
        toSameNamespace,
        ...spec.modules.map((one) => toNamespace(one.namespace, metricsOf(one.module).port)),
      ],
    }),
    ...prometheusPart(spec),
    ...adapterPart(spec),
  ];
}
