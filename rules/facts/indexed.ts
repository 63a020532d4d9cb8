import { type Item, nameOf, namespaceOf } from './item';
import type { JenkinsFacts } from './jenkins';
import type { PodUse } from './pods';

/** All that stands in one namespace. */
export interface NamespaceFacts {
  readonly cluster: string;
  readonly name: string;
  /** Absent when someone else makes the namespace. */
  readonly declared?: Item;
  readonly quotas: readonly Item[];
  readonly limits: readonly Item[];
  readonly policies: readonly Item[];
  readonly claims: readonly Item[];
  readonly pods: readonly PodUse[];
}

/** Every resource, indexed once so that no rule searches. */
export interface Indexed {
  readonly items: readonly Item[];
  readonly byType: ReadonlyMap<string, readonly Item[]>;
  readonly byName: ReadonlyMap<string, Item>;
  readonly namespaces: readonly NamespaceFacts[];
  readonly pods: readonly PodUse[];
  readonly jenkins: JenkinsFacts;
  /** The day of the look, `YYYY-MM-DD` in UTC. */
  readonly today: string;
  /** Where the images of releases come from; absent where nobody says. */
  readonly ledger?: LedgerFacts;
  /** Modules whose test Pod cannot be made, with the reason. */
  readonly untestable: readonly Untestable[];
}

export interface LedgerFacts {
  /** The environment's file, as people know it. */
  readonly file: string;
  /** Repositories of a module: that of the stack's registry, then those of addresses that it had before. */
  readonly repositoriesOf: (module: string) => readonly string[];
}

export interface Untestable {
  readonly module: string;
  readonly reason: string;
}

type Mutable = { -readonly [K in keyof NamespaceFacts]: NamespaceFacts[K] } & {
  quotas: Item[];
  limits: Item[];
  policies: Item[];
  claims: Item[];
  pods: PodUse[];
};

/** What stands in each namespace. */
export function indexNamespaces(items: readonly Item[], pods: readonly PodUse[]): NamespaceFacts[] {
  const spaces = new Map<string, Mutable>();
  const space = (cluster: string, name: string): Mutable => {
    const key = `${cluster}\n${name}`;
    const known = spaces.get(key);
    if (known) return known;
    const made: Mutable = { cluster, name, quotas: [], limits: [], policies: [], claims: [], pods: [] };
    spaces.set(key, made);
    return made;
  };
  for (const item of items) {
    const cluster = item.cluster ?? '';
    if (item.type === 'kubernetes:core/v1:Namespace') space(cluster, nameOf(item)).declared = item;
    else if (item.type === 'kubernetes:core/v1:ResourceQuota')
      space(cluster, namespaceOf(item)).quotas.push(item);
    else if (item.type === 'kubernetes:core/v1:LimitRange')
      space(cluster, namespaceOf(item)).limits.push(item);
    else if (item.type === 'kubernetes:core/v1:PersistentVolumeClaim')
      space(cluster, namespaceOf(item)).claims.push(item);
    else if (item.type === 'kubernetes:networking.k8s.io/v1:NetworkPolicy')
      space(cluster, namespaceOf(item)).policies.push(item);
  }
  for (const pod of pods) space(pod.cluster, pod.namespace).pods.push(pod);
  return [...spaces.values()];
}
