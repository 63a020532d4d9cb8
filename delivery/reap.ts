import type { Cluster, Kind, Metadata } from '../clients/kubernetes-in-pod';

/** Kinds that a test may leave behind. No Secrets: nothing makes any there, and who may list them reads the registry's login. */
export const reapedKinds = ['pods', 'persistentvolumeclaims'] as const satisfies readonly Kind[];

/** Marks of what a test run made; see `testPod`. What `up` made carries others, and never an end. */
const OURS = { 'app.kubernetes.io/managed-by': 'switchyard', 'switchyard.dev/purpose': 'test' } as const;
const EXPIRES = 'switchyard.dev/expires';

/** Finds all that may ever be reaped. */
export const reapSelector = [...Object.entries(OURS).map(([key, value]) => `${key}=${value}`), EXPIRES].join(
  ',',
);

export type ReapDecision =
  | { readonly remove: true }
  | { readonly remove: false; readonly why: 'not ours' | 'no time' | 'still alive' };

/** Unix seconds of an object's end: as they stand, or `90s`, so many seconds after it was made. */
function endOf(expires: string, created: string): number | undefined {
  const [, count, unit] = /^([1-9]\d{0,15})(s?)$/.exec(expires) ?? [];
  if (count === undefined) return undefined;
  const made = Math.ceil(Date.parse(created) / 1000);
  return unit === '' ? Number(count) : Number.isNaN(made) ? undefined : made + Number(count);
}

/**
 * Whether an object is past its end. The labels are checked here again: what the API server was asked for is no
 * reason to delete.
 * @param created the API server's own time, RFC 3339
 * @param now Unix seconds
 */
export function decideReap(
  labels: Readonly<Record<string, string>>,
  created: string,
  now: number,
): ReapDecision {
  if (Object.entries(OURS).some(([key, value]) => labels[key] !== value))
    return { remove: false, why: 'not ours' };
  const end = endOf(labels[EXPIRES] ?? '', created);
  if (end === undefined) return { remove: false, why: 'no time' };
  return end <= now ? { remove: true } : { remove: false, why: 'still alive' };
}

export interface Reaped {
  readonly kind: Kind;
  readonly namespace: string;
  readonly name: string;
}

/**
 * Removes what is past its end in some namespaces. One namespace that fails keeps no other from being cleaned.
 * @throws the first failure, after all namespaces were tried
 */
export async function reap(
  cluster: Pick<Cluster, 'list' | 'remove'>,
  namespaces: readonly string[],
  now: number,
  say: (line: string) => void,
): Promise<Reaped[]> {
  const reaped: Reaped[] = [];
  const failures: unknown[] = [];
  const look = async (kind: Kind, found: Metadata): Promise<void> => {
    const { namespace, name } = found;
    const decision = decideReap(found.labels, found.creationTimestamp, now);
    if (!decision.remove) {
      if (decision.why === 'no time') say(`left: ${kind} ${namespace}/${name}: ${EXPIRES} is no time`);
      return;
    }
    if (await cluster.remove(kind, found)) {
      reaped.push({ kind, namespace, name });
      const end = found.labels[EXPIRES] ?? '';
      const when = end.endsWith('s') ? `${end} after it was made` : `since ${end}`;
      say(`removed: ${kind} ${namespace}/${name}, past its end ${when}`);
    }
  };
  for (const namespace of namespaces) {
    for (const kind of reapedKinds) {
      try {
        for (const found of await cluster.list(kind, namespace, reapSelector)) await look(kind, found);
      } catch (error) {
        failures.push(error);
        say(`${kind} of ${namespace}: ${(error as Error).message}`);
      }
    }
  }
  if (failures.length > 0) throw failures[0];
  return reaped;
}
