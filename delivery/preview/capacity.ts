import { z } from 'zod';
import { entryOf } from '../../catalog/entry';
import { quantity } from '../../catalog/quantity';
import type { Placed } from './events';

/** CPU in millicores, memory in bytes, Pods in Pods. */
export interface Amount {
  readonly cpu: number;
  readonly memory: number;
  readonly pods: number;
}

/** What a node gives to Pods, and whether it takes new ones. */
export interface Node {
  readonly name: string;
  readonly allocatable: Amount;
  readonly schedulable: boolean;
}

export interface Demand {
  /** Requests of all workloads at the replicas they declare. */
  readonly requests: Amount;
  /** The same with every autoscaler at its maximum and every rollout's surge at once, and every Job running. */
  readonly worst: Amount;
  /** Sum of what the namespaces' quotas admit. */
  readonly quota: Amount;
}

export interface Capacity {
  /** Name of the cluster, as its context is called. */
  readonly cluster: string;
  readonly before: Demand;
  readonly after: Demand;
  /** Undefined when the nodes could not be asked. */
  readonly nodes?: Amount & { readonly count: number };
  /** Why they could not be. */
  readonly unasked?: string;
}

const NOTHING: Amount = { cpu: 0, memory: 0, pods: 0 };
const add = (a: Amount, b: Amount, times = 1): Amount => ({
  cpu: a.cpu + b.cpu * times,
  memory: a.memory + b.memory * times,
  pods: a.pods + b.pods * times,
});
const larger = (a: Amount, b: Amount): Amount => ({
  cpu: Math.max(a.cpu, b.cpu),
  memory: Math.max(a.memory, b.memory),
  pods: Math.max(a.pods, b.pods),
});

const millicores = (value: unknown): number => Math.ceil(Number(((quantity(value) ?? 0) * 1000).toFixed(6)));
const bytes = (value: unknown): number => Math.ceil(quantity(value) ?? 0);

const bag = z.record(z.string(), z.unknown()).catch({});
const containerSchema = z.object({
  restartPolicy: z.unknown().optional(),
  resources: z.object({ requests: bag, limits: bag }).partial().catch({}).default({}),
});
const listOf = <T extends z.ZodType>(inner: T) => z.array(inner).catch([]).default([]);

const workloadSchema = z.object({
  spec: z.object({
    replicas: z.number().catch(1).default(1),
    strategy: z
      .object({
        type: z.string().optional(),
        rollingUpdate: z.object({ maxSurge: z.union([z.number(), z.string()]).optional() }).optional(),
      })
      .catch({})
      .default({}),
    template: z.object({
      spec: z.object({ containers: listOf(containerSchema), initContainers: listOf(containerSchema) }),
    }),
  }),
});

const scalerSchema = z.object({
  metadata: z.object({ namespace: z.string().optional() }).default({}),
  spec: z.object({
    scaleTargetRef: z.object({ kind: z.string().default('Deployment'), name: z.string() }),
    maxReplicas: z.number().optional(),
    maxReplicaCount: z.number().optional(),
  }),
});

const jobSchema = z.object({
  spec: z.object({
    parallelism: z.number().catch(1).default(1),
    template: workloadSchema.shape.spec.shape.template,
  }),
});

const quotaSchema = z.object({
  spec: z.object({ hard: bag, scopes: z.array(z.unknown()).catch([]).default([]) }),
});
const namedSchema = z.object({
  metadata: z
    .object({ name: z.string().default(''), namespace: z.string().optional() })
    .default({ name: '' }),
});

type Container = z.infer<typeof containerSchema>;

/** What the scheduler reserves for a container: a limit without a request is the request. */
const reserved = ({ resources: { requests = {}, limits = {} } }: Container): Amount => ({
  cpu: millicores(requests.cpu ?? limits.cpu),
  memory: bytes(requests.memory ?? limits.memory),
  pods: 0,
});

/**
 * What one Pod reserves: its containers and native sidecars together, or its hungriest init container with the
 * sidecars started before it, whichever is more.
 * https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/#resource-sharing-within-containers
 */
function podDemand(containers: readonly Container[], init: readonly Container[]): Amount {
  let sidecars = NOTHING;
  let peak = NOTHING;
  for (const container of init) {
    const wanted = reserved(container);
    if (container.restartPolicy === 'Always') sidecars = add(sidecars, wanted);
    peak = larger(peak, container.restartPolicy === 'Always' ? sidecars : add(sidecars, wanted));
  }
  const running = containers.reduce((sum, container) => add(sum, reserved(container)), sidecars);
  return { ...larger(running, peak), pods: 1 };
}

/** Pods above the wanted number during a rollout: a percentage is rounded up, and 25 % is the default. */
function surgeOf(
  type: string,
  strategy: z.infer<typeof workloadSchema>['spec']['strategy'],
  replicas: number,
): number {
  if (!type.endsWith(':Deployment') || strategy.type === 'Recreate') return 0;
  const given = strategy.rollingUpdate?.maxSurge ?? '25%';
  if (typeof given === 'number') return Math.max(0, given);
  const percent = /^(\d+)%$/.exec(given);
  return percent ? Math.ceil((replicas * Number(percent[1])) / 100) : 0;
}

/** Reckons the demand of Kubernetes objects given as Pulumi inputs. Anything else among them counts nothing. */
export function demandOf(objects: readonly Placed[], nodes: number): Demand {
  const most = new Map<string, number>();
  for (const { type, inputs } of objects) {
    if (!/:(HorizontalPodAutoscaler|ScaledObject)$/.test(type)) continue;
    const parsed = scalerSchema.safeParse(inputs);
    if (!parsed.success) continue;
    const { scaleTargetRef, maxReplicas, maxReplicaCount } = parsed.data.spec;
    // KEDA's own default is 100.
    const limit = maxReplicas ?? maxReplicaCount ?? 100;
    const key = `${parsed.data.metadata.namespace ?? ''}/${scaleTargetRef.kind}/${scaleTargetRef.name}`;
    most.set(key, Math.max(most.get(key) ?? 0, limit));
  }
  let requests = NOTHING;
  let worst = NOTHING;
  let quota = NOTHING;
  for (const { type, inputs } of objects) {
    if (type === 'kubernetes:core/v1:ResourceQuota') {
      const parsed = quotaSchema.safeParse(inputs);
      // One with a scope limits further what the namespace's own admits.
      const hard = parsed.success && parsed.data.spec.scopes.length === 0 ? parsed.data.spec.hard : {};
      quota = add(quota, {
        cpu: millicores(hard['requests.cpu'] ?? hard.cpu),
        memory: bytes(hard['requests.memory'] ?? hard.memory),
        pods: quantity(hard.pods) ?? 0,
      });
      continue;
    }
    const job = type === 'kubernetes:batch/v1:Job' ? jobSchema.safeParse(inputs) : undefined;
    if (job?.success) {
      const { parallelism, template } = job.data.spec;
      worst = add(worst, podDemand(template.spec.containers, template.spec.initContainers), parallelism);
    }
    const kind = /^kubernetes:apps\/v1:(Deployment|StatefulSet|DaemonSet)$/.exec(type)?.[1];
    const parsed = kind ? workloadSchema.safeParse(inputs) : undefined;
    if (!kind || !parsed?.success) continue;
    const { spec } = parsed.data;
    const pod = podDemand(spec.template.spec.containers, spec.template.spec.initContainers);
    const named = namedSchema.safeParse(inputs);
    const { name = '', namespace = '' } = named.success ? named.data.metadata : {};
    const limit = most.get(`${namespace}/${kind}/${name}`);
    const replicas = kind === 'DaemonSet' ? nodes : spec.replicas;
    const highest = Math.max(replicas, limit ?? 0);
    requests = add(requests, pod, replicas);
    worst = add(worst, pod, highest + surgeOf(type, spec.strategy, highest));
  }
  return { requests, worst, quota };
}

/** Adds up what a cluster's schedulable nodes give. */
export const sumNodes = (nodes: readonly Node[]): Amount & { count: number } => {
  const ready = nodes.filter(({ schedulable }) => schedulable);
  return { ...ready.reduce((sum, node) => add(sum, node.allocatable), NOTHING), count: ready.length };
};

const nodeListSchema = z.object({
  items: z.array(
    z.object({
      metadata: z.object({ name: z.string() }),
      spec: z.object({ unschedulable: z.boolean().nullish() }).nullish(),
      status: z.object({ allocatable: bag }).nullish(),
    }),
  ),
});

/** Nodes from Kubernetes' own list; undefined when it is not one. */
export function readNodes(list: unknown): Node[] | undefined {
  const parsed = nodeListSchema.safeParse(list);
  if (!parsed.success) return undefined;
  return parsed.data.items.map(({ metadata, spec, status }) => ({
    name: metadata.name,
    allocatable: {
      cpu: millicores(status?.allocatable.cpu),
      memory: bytes(status?.allocatable.memory),
      pods: quantity(status?.allocatable.pods) ?? 0,
    },
    schedulable: spec?.unschedulable !== true,
  }));
}

const unaskedSchema = z.object({ unasked: z.string() });

/** Why there is no list of nodes in its place, as far as it is told. */
export const readUnasked = (list: unknown): string | undefined => unaskedSchema.safeParse(list).data?.unasked;

/**
 * What a merge does to each cluster.
 * @param clusters role of a cluster → its context; roles that share a context share the nodes
 * @param nodes context → its nodes; a context that is absent could not be asked
 * @param unasked context → why it could not be
 */
export function capacityOf(
  before: readonly Placed[],
  after: readonly Placed[],
  clusters: Readonly<Record<string, string>>,
  nodes: Readonly<Record<string, readonly Node[]>>,
  unasked: Readonly<Record<string, string>> = {},
): Capacity[] {
  const contexts = [...new Set(Object.values(clusters))].sort();
  return contexts.map((context) => {
    const roles = Object.keys(clusters).filter((role) => clusters[role] === context);
    const here = ({ provider }: Placed) => roles.some((role) => provider === `${role}-cluster`);
    const given = entryOf(nodes, context);
    const sum = given && sumNodes(given);
    const why = entryOf(unasked, context);
    return {
      cluster: context,
      before: demandOf(before.filter(here), sum?.count ?? 1),
      after: demandOf(after.filter(here), sum?.count ?? 1),
      ...(sum ? { nodes: sum } : {}),
      ...(why === undefined ? {} : { unasked: why }),
    };
  });
}

/** Sentences on what does not fit, most pressing first; empty when all does. */
export function capacityWarnings({ cluster, before, after, nodes, unasked }: Capacity): string[] {
  if (!nodes) {
    const why = unasked === undefined ? '' : ` (${unasked})`;
    return [`${cluster}: its nodes could not be asked${why}: whether they suffice is not known.`];
  }
  const dimensions = ['cpu', 'memory', 'pods'] as const;
  const over = (what: keyof Demand) =>
    dimensions.filter((dimension) => after[what][dimension] > nodes[dimension]);
  const grown = (what: keyof Demand) =>
    dimensions.some((dimension) => after[what][dimension] > before[what][dimension]);
  const said: string[] = [];
  const requests = over('requests');
  const worst = over('worst');
  if (requests.length > 0) {
    said.push(
      `${cluster}: the requests exceed what the nodes give (${requests.join(', ')}): Pods will stay pending.`,
    );
  } else if (worst.length > 0) {
    said.push(
      `${cluster}: with every autoscaler at its maximum the nodes do not suffice (${worst.join(', ')}).`,
    );
  }
  if (over('quota').length > 0 && grown('quota')) {
    said.push(`${cluster}: the quotas admit more than the nodes give, and this merge request raises them.`);
  }
  return said;
}

/** `1.5`, `250m`: cores as people read them. */
export const showCpu = (value: number): string =>
  value % 1000 === 0 || value >= 10_000 ? String(Math.round(value / 100) / 10) : `${value}m`;

/** Binary units with at most one decimal. */
export function showMemory(value: number): string {
  const units = ['B', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi'];
  let unit = 0;
  let rest = value;
  while (rest >= 1024 && unit < units.length - 1) {
    rest /= 1024;
    unit += 1;
  }
  return `${Math.round(rest * 10) / 10}${units[unit]}`;
}
