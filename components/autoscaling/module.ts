import type { types } from '@pulumi/kubernetes';
import { containerResources, restrictedContainer } from '../../catalog/containers';
import type { Module } from '../../catalog/load';
import { behaviorOf, HANDOVER_SECONDS, PROXY_METRICS_PORT, PROXY_PORT } from '../../catalog/scaling';
import type { Resources, Scaling } from '../../catalog/schema';
import type { Declaration } from '../shared/declaration';
import { namespaceHandle, object } from '../shared/kubernetes';
import { labels, selector } from '../shared/naming';
import { inNamespaces } from '../shared/network';
import { proxyConfig } from './proxy';

/** Who reads how much a module has to do, for its autoscaler. */
export interface MetricsReader {
  /** Namespace that the Prometheus runs in. */
  readonly namespace: string;
  /** Whether it is the site's own, which finds Pods by their annotations. @default false: Switchyard's */
  readonly existing?: boolean;
}

/** Requests per second of a Pod, as the custom metrics API calls it. */
export const METRIC = 'switchyard_requests_per_second';

/** What the accounts of Prometheus and its adapter are called. */
export const METRICS_ACCOUNTS = { prometheus: 'prometheus', adapter: 'metrics-adapter' } as const;

/** What the proxy in a Pod is promised; its connections fill no more memory than that. */
export const PROXY_RESOURCES: Resources = {
  cpu: '50m',
  memory: '64Mi',
  memoryLimit: '128Mi',
  disk: '64Mi',
};

/** The scaling of a module whose requests a proxy counts. */
export function proxied({ production: { scaling } }: Module): Scaling | undefined {
  return scaling && !scaling.metric ? scaling : undefined;
}

/** What the port of a Pod that takes requests is called. */
const REQUEST_PORT = 'http';

/**
 * Where the Service leads to. With a proxy it goes by name, which each Pod has for what takes its requests: while a rollout
 * brings the proxies or takes them away, Pods of both kinds serve (`FindPort` of k8s.io/endpointslice, sidecars included).
 */
export const servicePort = (module: Module): number | string =>
  proxied(module) ? REQUEST_PORT : module.port;

/** What a module calls its own port. */
export const modulePortName = (module: Module): string => (proxied(module) ? 'module' : REQUEST_PORT);

/** Port of a module's Pods that takes requests. */
export const requestPort = (module: Module): number => (proxied(module) ? PROXY_PORT : module.port);

/** Where the Pods of a module tell how much they have to do. */
export const metricsOf = ({ port, production: { scaling } }: Module): { port: number; path: string } =>
  scaling?.metric ? { port, path: scaling.metric.path } : { port: PROXY_METRICS_PORT, path: '/metrics' };

export const proxyConfigName = (module: Module): string => `${module.name}-proxy`;

/** Configuration of the proxy in a module's Pods; undefined where there is none. */
export function proxyConfigOf(module: Module): string | undefined {
  const scaling = proxied(module);
  if (!scaling) return undefined;
  return proxyConfig({
    port: PROXY_PORT,
    metricsPort: PROXY_METRICS_PORT,
    modulePort: module.port,
    concurrency: scaling.concurrency ?? Math.max(16, Math.ceil(scaling.qps)),
    stopSeconds: module.production.terminationGraceSeconds,
  });
}

/**
 * The proxy as a native sidecar: it is ready before the module starts. When the Pod leaves, the kubelet runs both preStop
 * hooks at once and tells a sidecar to end only after the module (killContainer of its kuberuntime), so that the hook
 * itself has the proxy end its connections, once every node knows that the Pod leaves.
 */
export function proxyContainer(image: string, module: Module): types.input.core.v1.Container {
  const ready = { httpGet: { path: '/ready', port: PROXY_METRICS_PORT } };
  return {
    name: 'proxy',
    image,
    command: ['haproxy', '-db', '-f', '/config/haproxy.cfg'],
    restartPolicy: 'Always',
    ports: [
      { name: REQUEST_PORT, containerPort: PROXY_PORT },
      { name: 'metrics', containerPort: PROXY_METRICS_PORT },
    ],
    startupProbe: { ...ready, periodSeconds: 1, failureThreshold: 60 },
    readinessProbe: { ...ready, periodSeconds: 5, timeoutSeconds: 5 },
    lifecycle: {
      preStop: { exec: { command: ['sh', '-c', `sleep ${module.production.drainSeconds}; kill -USR1 1`] } },
    },
    resources: containerResources(PROXY_RESOURCES),
    securityContext: restrictedContainer,
    volumeMounts: [{ name: 'proxy', mountPath: '/config', readOnly: true }],
  };
}

export const proxyVolume = (module: Module) => ({
  name: 'proxy',
  configMap: { name: proxyConfigName(module) },
});

/** Seconds that a leaving module serves on: with a proxy, until that has handed over what it has. */
export const servesOn = (module: Module): number =>
  module.production.drainSeconds + (proxied(module) ? HANDOVER_SECONDS : 0);

/** Annotations by which a Prometheus of the site's own finds the Pods. */
export function scrapeAnnotations(
  module: Module,
  metrics: MetricsReader | undefined,
): Record<string, string> {
  if (!module.production.scaling || !metrics?.existing) return {};
  const { port, path } = metricsOf(module);
  return { 'prometheus.io/scrape': 'true', 'prometheus.io/port': String(port), 'prometheus.io/path': path };
}

/** A quantity as the API server gives it back: without a fraction, by the largest unit that allows that. */
export function quantity(value: number): string {
  const thousandths = Math.round(value * 1000);
  const [unit, size] = (
    [
      ['M', 1e9],
      ['k', 1e6],
      ['', 1e3],
    ] as const
  ).find(([, one]) => thousandths % one === 0) ?? ['m', 1];
  return `${thousandths / size}${unit}`;
}

/** Who may ask the Pods for metrics: our Prometheus, or where the site's own runs, whose labels nobody knows here. */
function prometheusPeer({ existing, namespace }: MetricsReader): types.input.networking.v1.NetworkPolicyPeer {
  if (existing) return inNamespaces(namespace);
  return {
    ...inNamespaces(namespace),
    podSelector: { matchLabels: selector(METRICS_ACCOUNTS.prometheus, 'autoscaling') },
  };
}

/** What the autoscaler of a module is made of. */
interface ModuleAutoscalingSpec {
  readonly environment: string;
  readonly metrics?: MetricsReader;
  readonly module: Module;
  readonly namespace: string;
}

/** What a module that scales has in its own namespace: the autoscaler, and who may see how much it has to do. */
export function moduleAutoscaling(
  name: string,
  { environment, metrics, module, namespace }: ModuleAutoscalingSpec,
): Declaration[] {
  const { scaling } = module.production;
  if (!scaling) return [];
  if (!metrics) throw new Error(`module "${module.name}" scales: name in "metrics" who reads its load`);
  const common = labels({
    name: module.name,
    component: 'autoscaling',
    environment,
    module: module.name,
    purpose: 'production',
  });
  const within = (objectName: string) => ({ namespace, name: objectName, labels: common });
  const after = { dependsOn: [namespaceHandle(name)] };
  const accounts = Object.values(METRICS_ACCOUNTS);
  return [
    object(
      'kubernetes:autoscaling/v2:HorizontalPodAutoscaler',
      `${name}-autoscaler`,
      'production',
      within(module.name),
      {
        spec: {
          scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: module.name },
          minReplicas: scaling.min,
          maxReplicas: scaling.max,
          metrics: [
            {
              type: 'Pods',
              pods: {
                metric: { name: METRIC },
                target: { type: 'AverageValue', averageValue: quantity(scaling.qps) },
              },
            },
            {
              type: 'ContainerResource',
              containerResource: {
                name: 'cpu',
                // The proxy's own use does not count against what the module is promised.
                container: 'module',
                target: { type: 'Utilization', averageUtilization: scaling.cpu },
              },
            },
          ],
          behavior: behaviorOf(scaling.down) as types.input.autoscaling.v2.HorizontalPodAutoscalerBehavior,
        },
      },
      after,
    ),
    object(
      'kubernetes:networking.k8s.io/v1:NetworkPolicy',
      `${name}-allow-metrics`,
      'production',
      within('allow-metrics'),
      {
        spec: {
          podSelector: { matchLabels: selector(module.name, 'module') },
          policyTypes: ['Ingress'],
          ingress: [
            {
              from: [prometheusPeer(metrics)],
              ports: [{ protocol: 'TCP', port: metricsOf(module).port }],
            },
          ],
        },
      },
      after,
    ),
    ...(metrics.existing
      ? []
      : [
          object(
            'kubernetes:rbac.authorization.k8s.io/v1:Role',
            `${name}-metrics-role`,
            'production',
            within('metrics-reader'),
            { rules: [{ apiGroups: [''], resources: ['pods'], verbs: ['get', 'list', 'watch'] }] },
            after,
          ),
          object(
            'kubernetes:rbac.authorization.k8s.io/v1:RoleBinding',
            `${name}-metrics-binding`,
            'production',
            within('metrics-reader'),
            {
              roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'metrics-reader' },
              subjects: accounts.map((account) => ({
                kind: 'ServiceAccount',
                name: account,
                namespace: metrics.namespace,
              })),
            },
            { dependsOn: [`${name}-metrics-role`] },
          ),
        ]),
  ];
}
