import type { NamespaceFacts } from './facts';
import { type Item, violation } from './facts/item';
import { containerPart, containersOf, type PodUse } from './facts/pods';
import { at, fields, list, text } from './facts/read';
import type { Violation } from './facts/violation';
import { bytes, millicores, showBytes, showMillicores } from './quantities';
import type { Rule } from './rule';

type Amount = {
  readonly parse: (value: unknown) => number | undefined;
  readonly show: (n: number) => string;
};
const CPU: Amount = { parse: millicores, show: showMillicores };
const BYTES: Amount = { parse: bytes, show: showBytes };
const COUNT: Amount = { parse: (value) => (value === undefined ? undefined : Number(value)), show: String };

/** Keys of `spec.hard` that can be compared with what the topology declares, and what each counts in. */
const KEYS = {
  pods: COUNT,
  'requests.cpu': CPU,
  'requests.memory': BYTES,
  'limits.cpu': CPU,
  'limits.memory': BYTES,
  'requests.ephemeral-storage': BYTES,
  'limits.ephemeral-storage': BYTES,
  persistentvolumeclaims: COUNT,
  'requests.storage': BYTES,
} as const satisfies Record<string, Amount>;
type Key = keyof typeof KEYS;
const isKey = (key: string): key is Key => key in KEYS;

/** Quotas write a kind alone for its requests as well. */
const ALIASES: Readonly<Record<string, string>> = {
  cpu: 'requests.cpu',
  memory: 'requests.memory',
  'ephemeral-storage': 'requests.ephemeral-storage',
};

type Side = 'requests' | 'limits';
const AMOUNTS = { cpu: CPU, memory: BYTES, 'ephemeral-storage': BYTES } as const satisfies Record<
  string,
  Amount
>;
type Kind = keyof typeof AMOUNTS;
const isAmount = (kind: string | undefined): kind is Kind => kind !== undefined && kind in AMOUNTS;

/** What the API server takes for one container: its own figure, else its limit, else the LimitRange's default. */
function figure(container: unknown, side: Side, kind: Kind, limits: readonly Item[]): number | undefined {
  const { parse } = AMOUNTS[kind];
  const own = parse(at(container, 'resources', side, kind));
  if (own !== undefined) return own;
  const limit = side === 'requests' ? parse(at(container, 'resources', 'limits', kind)) : undefined;
  if (limit !== undefined) return limit;
  for (const range of limits) {
    for (const entry of list(range.args, 'spec', 'limits')) {
      if (text(entry, 'type') !== 'Container') continue;
      const given =
        side === 'requests'
          ? (at(entry, 'defaultRequest', kind) ?? at(entry, 'default', kind))
          : at(entry, 'default', kind);
      if (given !== undefined) return parse(given);
    }
  }
  return undefined;
}

interface PodDemand {
  readonly amount: number;
  /** Containers without a figure, which a quota on it refuses. */
  readonly without: readonly string[];
}

/**
 * One Pod's effective demand as Kubernetes computes it: containers and sidecars together, or an init container with the
 * sidecars started before it, whichever is more.
 */
function podDemand(pod: PodUse, side: Side, kind: Kind, limits: readonly Item[]): PodDemand {
  let together = 0;
  let sidecars = 0;
  let starting = 0;
  const without: string[] = [];
  for (const { name, container, init, sidecar } of containersOf(pod.spec)) {
    const amount = figure(container, side, kind, limits);
    if (amount === undefined) without.push(name);
    const counted = amount ?? 0;
    if (sidecar) sidecars += counted;
    else if (init) starting = Math.max(starting, sidecars + counted);
    else together += counted;
    if (sidecar) starting = Math.max(starting, sidecars);
  }
  return { amount: Math.max(together + sidecars, starting), without };
}

const storageOf = (claim: unknown): number =>
  bytes(at(claim, 'spec', 'resources', 'requests', 'storage')) ?? 0;

/** The Pods that a quota counts: one with a scope, those with a deadline or without one, else all. */
function countedBy(quota: Item, pods: readonly PodUse[]): readonly PodUse[] {
  const scopes = list(quota.args, 'spec', 'scopes');
  return pods.filter(({ spec }) => {
    const ends = at(spec, 'activeDeadlineSeconds') !== undefined;
    return !scopes.includes(ends ? 'NotTerminating' : 'Terminating');
  });
}

/** What a namespace needs of one key at its worst moment. */
function demandOf(space: NamespaceFacts, key: Key): number {
  let sum = 0;
  if (key === 'persistentvolumeclaims' || key === 'requests.storage') {
    const count = (claim: unknown) => (key === 'requests.storage' ? storageOf(claim) : 1);
    for (const item of space.claims) sum += count(item.args);
    for (const pod of space.pods) for (const claim of pod.claims) sum += pod.claimCopies * count(claim);
    return sum;
  }
  for (const pod of space.pods) {
    if (key === 'pods') sum += pod.copies;
    else {
      const [side, kind] = key.split('.') as [Side, Kind];
      sum += pod.copies * podDemand(pod, side, kind, space.limits).amount;
    }
  }
  return sum;
}

function refused(space: NamespaceFacts, key: Key): Violation[] {
  const [side, kind] = key.split('.');
  if ((side !== 'requests' && side !== 'limits') || !isAmount(kind)) return [];
  return space.pods.flatMap((pod) =>
    podDemand(pod, side, kind, space.limits).without.map((container) =>
      violation(
        pod.item,
        `has no ${side}.${kind}, which the quota of ${space.name} asks for: the Pod is refused.`,
        `Name it in the container's resources, or a default in the LimitRange.`,
        { part: containerPart(pod, container) },
      ),
    ),
  );
}

/**
 * The worst moment of a namespace: every workload at its most replicas with the surge of a rollout, every job with its
 * parallelism, and one of each kind of agent or test Pod. Pods that are ending still count for some seconds; Kubernetes
 * tries again until they are gone.
 */
export const quotaFits: Rule = {
  id: 'quota-fits',
  holds: "A namespace's quota holds its workloads at their worst moment, the surge of a rollout included.",
  why: 'A rollout stands still half-way: the new Pods are refused, and nothing says so but an event.',
  check: (facts) =>
    facts.namespaces.flatMap((space) =>
      space.quotas.flatMap((quota) =>
        Object.entries(fields(quota.args, 'spec', 'hard')).flatMap(([name, hard]) => {
          const counted = { ...space, pods: countedBy(quota, space.pods) };
          const key = ALIASES[name] ?? name;
          if (!isKey(key)) return [];
          const { parse, show } = KEYS[key];
          const limit = parse(hard);
          const demand = demandOf(counted, key);
          const tooSmall =
            limit !== undefined && demand > limit
              ? [
                  violation(
                    quota,
                    `allows ${show(limit)} of ${name}, but ${space.name} needs ${show(demand)} at its worst moment.`,
                    `Raise it to ${show(demand)} at least, or ask for less.`,
                  ),
                ]
              : [];
          return [...tooSmall, ...refused(counted, key)];
        }),
      ),
    ),
};
