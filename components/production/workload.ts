import {
  containerResources,
  diskOf,
  emptyDir,
  MODULE_USER,
  restrictedContainer,
} from '../../catalog/containers';
import type { Module } from '../../catalog/load';
import { imageFor } from '../../stacks/load';
import type { StackSettings } from '../../stacks/schema';
import {
  modulePortName,
  proxied,
  proxyConfigName,
  proxyConfigOf,
  proxyContainer,
  proxyVolume,
  scrapeAnnotations,
  servesOn,
  servicePort,
} from '../autoscaling/module';
import type { Declaration } from '../shared/declaration';
import { contentHash, ingressSpec, namespaceHandle, object, restrictedPod } from '../shared/kubernetes';
import { labels, names, selector } from '../shared/naming';
import { inputRef, type Ref } from '../shared/references';
import { keptUntilRotated, rotatedMark, VERSIONS } from '../shared/rotation';
import { environmentName, modulePurpose, moduleVariables } from './access';
import { migrates, migration, migrationHandle } from './migration';
import type { ModuleProductionSpec } from './module-production';

/** Labels of a module's Pods. */
export const modulePods = (module: Module): Record<string, string> => selector(module.name, 'module');

/** When a rollout of a module counts as one that does not hold: as the module says, else as the stack does. */
export const rolloutOf = (
  stack: Pick<StackSettings['production'], 'readySeconds' | 'watchSeconds'>,
  { production }: Module,
) => ({
  readySeconds: production.readySeconds ?? stack.readySeconds,
  watchSeconds: production.watchSeconds ?? stack.watchSeconds,
});

const READY_SECONDS = 300;

/**
 * Seconds that the provider waits for a rollout. It does not end with Kubernetes' own deadline (pulumi-kubernetes,
 * provider/pkg/await/deployment.go), but by its annotation. One that goes on for longer, since it has many Pods, is left to
 * `switchyard judge`, which waits for as long as there is progress.
 */
const rolloutSeconds = (readySeconds: number): number => 2 * readySeconds + 30;

function podSpec(spec: ModuleProductionSpec, image: string | Ref) {
  const { images = {}, module, priorityClass } = spec;
  const match = modulePods(module);
  const { production } = module;
  const probe = (path: string) => ({ httpGet: { path, port: module.port } });
  const spread = (topologyKey: string) => ({
    maxSkew: 1,
    topologyKey,
    // A cluster with one node, or with one left, still runs the module.
    whenUnsatisfiable: 'ScheduleAnyway',
    labelSelector: { matchLabels: match },
    // Counted within one rollout: the Pods that are about to leave do not decide where the new ones go.
    matchLabelKeys: ['pod-template-hash'],
  });
  return {
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    imagePullSecrets: [{ name: names.pullSecret }],
    ...(priorityClass ? { priorityClassName: priorityClass } : {}),
    securityContext: restrictedPod(MODULE_USER),
    terminationGracePeriodSeconds: production.terminationGraceSeconds,
    topologySpreadConstraints: [spread('kubernetes.io/hostname'), spread('topology.kubernetes.io/zone')],
    ...(proxied(module) ? { initContainers: [proxyContainer(imageFor({ images }, 'haproxy'), module)] } : {}),
    containers: [
      {
        name: 'module',
        image,
        env: [...moduleVariables(spec).own],
        envFrom: [{ configMapRef: { name: environmentName(module) } }],
        ports: [{ name: modulePortName(module), containerPort: module.port }],
        startupProbe: { ...probe(module.probes.ready), periodSeconds: 1, failureThreshold: 120 },
        readinessProbe: { ...probe(module.probes.ready), periodSeconds: 5, timeoutSeconds: 5 },
        livenessProbe: { ...probe(module.probes.live), periodSeconds: 10, timeoutSeconds: 5 },
        // Endpoints reach the nodes some seconds after a Pod is told to leave; until then it gets requests.
        ...(servesOn(module) > 0 ? { lifecycle: { preStop: { sleep: { seconds: servesOn(module) } } } } : {}),
        resources: containerResources(module.resources),
        securityContext: restrictedContainer,
        volumeMounts: [{ name: 'tmp', mountPath: '/tmp' }],
      },
    ],
    volumes: [emptyDir('tmp', diskOf(module.resources)), ...(proxied(module) ? [proxyVolume(module)] : [])],
  };
}

/** The released module: nothing until its first release, whose deploy brings it. */
export function workload(name: string, spec: ModuleProductionSpec): Declaration[] {
  const { environment, metrics, module, namespace, release, versions = {} } = spec;
  if (!release) return [];
  const image = inputRef('release.image', release.image);
  const common = labels({
    name: module.name,
    component: 'module',
    environment,
    module: module.name,
    purpose: 'production',
  });
  const match = modulePods(module);
  const within = (objectName: string, annotations?: Record<string, string>) => ({
    namespace,
    name: objectName,
    labels: common,
    ...(annotations ? { annotations } : {}),
  });
  const variables = moduleVariables(spec);
  const { ingress, nodePort, scaling } = module.production;
  const proxy = proxyConfigOf(module);
  const rotated = keptUntilRotated(spec, modulePurpose(module.name), [
    `spec.template.metadata.annotations["${VERSIONS}"]`,
  ]);
  const readySeconds = module.production.readySeconds ?? spec.readySeconds ?? READY_SECONDS;
  const before = [
    `${name}-environment`,
    ...module.services.map((use) => `${name}-${use.name}-${use.existing ? 'credentials' : 'service'}`),
  ];
  return [
    ...migration(name, spec, readySeconds, before),
    object(
      'kubernetes:core/v1:ConfigMap',
      `${name}-environment`,
      'production',
      within(environmentName(module)),
      { data: variables.plain },
      { dependsOn: [namespaceHandle(name)] },
    ),
    ...(proxy === undefined
      ? []
      : [
          object(
            'kubernetes:core/v1:ConfigMap',
            `${name}-proxy`,
            'production',
            within(proxyConfigName(module)),
            { data: { 'haproxy.cfg': proxy } },
            { dependsOn: [namespaceHandle(name)] },
          ),
        ]),
    object(
      'kubernetes:apps/v1:Deployment',
      `${name}-workload`,
      'production',
      // People who look at the cluster find the way back to the commit.
      within(module.name, {
        'switchyard.dev/commit': release.commit,
        'pulumi.com/timeoutSeconds': String(rolloutSeconds(readySeconds)),
      }),
      {
        spec: {
          replicas: module.production.replicas,
          revisionHistoryLimit: 5,
          selector: { matchLabels: match },
          strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
          progressDeadlineSeconds: readySeconds,
          template: {
            metadata: {
              labels: { ...common, ...match },
              annotations: {
                'switchyard.dev/config-hash': contentHash(
                  proxy === undefined ? variables.plain : [variables.plain, proxy],
                ),
                ...scrapeAnnotations(module, metrics),
                ...rotatedMark(versions, modulePurpose(module.name)),
              },
            },
            spec: podSpec(spec, image),
          },
        },
      },
      {
        dependsOn: [
          ...before,
          ...(proxy === undefined ? [] : [`${name}-proxy`]),
          ...(migrates(spec) ? [migrationHandle(name)] : []),
        ],
        // With the passwords, and not before: Pods that start anew are to find the new ones.
        ...rotated,
        // The number of Pods is the autoscaler's: no run sets it back.
        ...(scaling ? { ignoreChanges: ['spec.replicas', ...(rotated.ignoreChanges ?? [])] } : {}),
      },
    ),
    object(
      'kubernetes:core/v1:Service',
      `${name}-service`,
      'production',
      within(module.name),
      {
        spec: {
          type: nodePort ? 'NodePort' : 'ClusterIP',
          selector: match,
          ports: [
            {
              name: 'http',
              port: 80,
              targetPort: servicePort(module),
              protocol: 'TCP',
              ...(nodePort ? { nodePort } : {}),
            },
          ],
        },
      },
      { dependsOn: [`${name}-workload`] },
    ),
    ...(ingress
      ? [
          object(
            'kubernetes:networking.k8s.io/v1:Ingress',
            `${name}-ingress`,
            'production',
            within(
              module.name,
              Object.keys(ingress.annotations).length > 0 ? ingress.annotations : undefined,
            ),
            {
              spec: ingressSpec(ingress, {
                host: ingress.host,
                path: ingress.path,
                service: module.name,
                port: 'http',
              }),
            },
            { dependsOn: [`${name}-service`] },
          ),
        ]
      : []),
    object(
      'kubernetes:policy/v1:PodDisruptionBudget',
      `${name}-disruption`,
      'production',
      within(module.name),
      {
        spec: {
          maxUnavailable: 1,
          selector: { matchLabels: match },
          // A Pod that never gets ready must not keep a node from being drained.
          unhealthyPodEvictionPolicy: 'AlwaysAllow',
        },
      },
      { dependsOn: [namespaceHandle(name)] },
    ),
  ];
}
