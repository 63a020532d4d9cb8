import { type Item, kindOf, nameOf, namespaceOf } from './item';
import type { JenkinsFacts } from './jenkins';
import { at, type Fields, fields, isFields, list, number, text } from './read';

/** Pods that one resource may run at the same time. */
export interface PodUse {
  readonly item: Item;
  readonly cluster: string;
  readonly namespace: string;
  /** Says which of the resource's Pods, where it has several kinds. */
  readonly part?: string;
  readonly annotations: Fields;
  readonly spec: Fields;
  /** Pods at the worst moment: every replica, or the autoscaler's most, and the surge of a rollout. */
  readonly copies: number;
  /** Volume claims that each Pod brings. */
  readonly claims: readonly unknown[];
  /** Pods that keep their claims: replicas without surge. */
  readonly claimCopies: number;
  /** Environment variables of all containers, those that ConfigMaps bring among them. */
  readonly variables: readonly Variable[];
}

/** An environment variable of a container. */
export interface Variable {
  readonly container: string;
  readonly name: string;
  /** Absent where a Secret, the Pod itself or a ConfigMap that nobody declares fills it. */
  readonly value?: string;
}

/** A container with where it stands. */
export interface ContainerUse {
  readonly name: string;
  readonly container: Fields;
  /** Runs beside the others from start to end, although listed under `initContainers`. */
  readonly sidecar: boolean;
  readonly init: boolean;
}

/** What a volume is, by its field: an API server makes an emptyDir of one that says nothing. */
export function volumeKinds(volume: unknown): string[] {
  const given = Object.entries(fields(volume)).flatMap(([key, value]) =>
    key === 'name' || value === undefined || value === null ? [] : [key],
  );
  return given.length === 0 && isFields(volume) ? ['emptyDir'] : given;
}

/** Every container of a Pod. */
export function containersOf(spec: Fields): ContainerUse[] {
  const use = (container: unknown, init: boolean): ContainerUse[] =>
    isFields(container)
      ? [
          {
            name: text(container, 'name') ?? '',
            container,
            init,
            sidecar: init && text(container, 'restartPolicy') === 'Always',
          },
        ]
      : [];
  return [
    ...list(spec, 'initContainers').flatMap((container) => use(container, true)),
    ...list(spec, 'containers').flatMap((container) => use(container, false)),
  ];
}

/**
 * Variables in the order in which Kubernetes applies them: ConfigMaps of `envFrom`, then `env`. One of the same name that
 * comes later replaces the earlier one, which is still there to be read.
 */
function variablesOf(spec: Fields, dataOf: (configMap: string) => Fields): Variable[] {
  return containersOf(spec).flatMap(({ name: container, container: fieldsOf }) => [
    ...list(fieldsOf, 'envFrom').flatMap((source) =>
      Object.entries(dataOf(text(source, 'configMapRef', 'name') ?? '')).map(([key, value]) => ({
        container,
        name: `${text(source, 'prefix') ?? ''}${key}`,
        value: text(value),
      })),
    ),
    ...list(fieldsOf, 'env').map((entry) => {
      const from = at(entry, 'valueFrom', 'configMapKeyRef');
      return {
        container,
        name: text(entry, 'name') ?? '',
        value: text(entry, 'value') ?? text(dataOf(text(from, 'name') ?? ''), text(from, 'key') ?? ''),
      };
    }),
  ]);
}

/** Pods beyond the replicas while a Deployment rolls out. Kubernetes rounds a percentage up; its default is 25 %. */
function surge(spec: Fields, replicas: number): number {
  if (text(spec, 'strategy', 'type') === 'Recreate') return 0;
  const given = fields(spec, 'strategy', 'rollingUpdate').maxSurge ?? '25%';
  if (typeof given === 'number') return given;
  const percent = /^([0-9]+)%$/.exec(String(given));
  return percent ? Math.ceil((replicas * Number(percent[1])) / 100) : Number(given) || 0;
}

const target = (cluster: string, namespace: string, kind: string, name: string): string =>
  [cluster, namespace, kind, name].join('\n');

/** Most replicas by what an autoscaler scales. */
function scaledTo(byType: ReadonlyMap<string, readonly Item[]>): Map<string, number> {
  const most = new Map<string, number>();
  for (const item of byType.get('kubernetes:autoscaling/v2:HorizontalPodAutoscaler') ?? []) {
    const kind = text(item.args, 'spec', 'scaleTargetRef', 'kind') ?? '';
    const name = text(item.args, 'spec', 'scaleTargetRef', 'name') ?? '';
    most.set(
      target(item.cluster ?? '', namespaceOf(item), kind, name),
      number(item.args, 'spec', 'maxReplicas') ?? 1,
    );
  }
  return most;
}

function fromItem(item: Item, scaled: ReadonlyMap<string, number>): Omit<PodUse, 'variables'>[] {
  const kind = kindOf(item);
  const spec = fields(item.args, 'spec');
  const cluster = item.cluster ?? '';
  const namespace = namespaceOf(item);
  const replicas =
    scaled.get(target(cluster, namespace, kind, nameOf(item))) ?? number(spec, 'replicas') ?? 1;
  const use = (template: Fields, copies: number, claimCopies = 0): Omit<PodUse, 'variables'> => ({
    item,
    cluster,
    namespace,
    annotations: fields(template, 'metadata', 'annotations'),
    spec: fields(template, 'spec'),
    copies,
    claims: list(spec, 'volumeClaimTemplates'),
    claimCopies,
  });
  switch (kind) {
    case 'Deployment':
    case 'ReplicaSet':
    case 'ReplicationController':
      return [use(fields(spec, 'template'), replicas + (kind === 'Deployment' ? surge(spec, replicas) : 0))];
    case 'StatefulSet':
      return [use(fields(spec, 'template'), replicas, replicas)];
    case 'DaemonSet':
      // One on each node, and nobody knows here how many nodes there are.
      return [use(fields(spec, 'template'), 1)];
    case 'Job':
      return [use(fields(spec, 'template'), number(spec, 'parallelism') ?? 1)];
    case 'CronJob': {
      const job = fields(spec, 'jobTemplate', 'spec');
      return [use(fields(job, 'template'), number(job, 'parallelism') ?? 1)];
    }
    case 'Pod':
      return [use(item.args, 1)];
    default:
      return [];
  }
}

/** Every Pod that the topology runs or lets run: workloads, jobs, Jenkins' agents, test Pods. */
export function podsOf(
  items: readonly Item[],
  byType: ReadonlyMap<string, readonly Item[]>,
  jenkins: JenkinsFacts,
): PodUse[] {
  const scaled = scaledTo(byType);
  const configMaps = new Map<string, Fields>();
  for (const item of byType.get('kubernetes:core/v1:ConfigMap') ?? []) {
    const key = target(item.cluster ?? '', namespaceOf(item), 'ConfigMap', nameOf(item));
    configMaps.set(key, fields(item.args, 'data'));
  }
  const pods = [
    ...items.flatMap((item) => (item.type.startsWith('kubernetes:') ? fromItem(item, scaled) : [])),
    ...jenkins.templates.map(({ name, namespace, pod, declaredBy }) => ({
      item: declaredBy,
      cluster: declaredBy.cluster ?? '',
      namespace,
      part: `agent "${name}"`,
      annotations: fields(pod, 'metadata', 'annotations'),
      spec: fields(pod, 'spec'),
      copies: 1,
      claims: [],
      claimCopies: 0,
    })),
  ];
  return pods.map((pod) => ({
    ...pod,
    variables: variablesOf(
      pod.spec,
      (name) => configMaps.get(target(pod.cluster, pod.namespace, 'ConfigMap', name)) ?? {},
    ),
  }));
}

/** `agent "delivery", container "jnlp"`, for a violation's place. */
export const containerPart = (pod: PodUse, container: string): string =>
  [...(pod.part ? [pod.part] : []), `container "${container}"`].join(', ');
