import { z } from 'zod';
import { eventsOf, linesOf, MOST, type PodWords } from '../../delivery/pod-words';
import type { PodFacts } from './verdict';

// What the Pods of a rollout that does not hold said, without the secrets of their namespace: a program that cannot reach its
// database likes to print how it tried.

const secretSchema = z.looseObject({ data: z.record(z.string(), z.string()).nullish() });

/** Every text inside a JSON document; none where it is no document. */
function textsIn(text: string): string[] {
  const inner = (value: unknown): string[] => {
    if (typeof value === 'string') return [value];
    return typeof value === 'object' && value !== null ? Object.values(value).flatMap(inner) : [];
  };
  try {
    return inner(JSON.parse(text));
  } catch {
    return [];
  }
}

/** Every value of some Secrets, the lines of longer ones and what stands in documents by itself. */
export function valuesOf(secrets: readonly unknown[]): string[] {
  const values = secrets.flatMap((object) => {
    const parsed = secretSchema.safeParse(object);
    return Object.values(parsed.data?.data ?? {}).map((value) =>
      Buffer.from(value, 'base64').toString('utf8'),
    );
  });
  return [
    ...new Set(
      values.flatMap((value) => [value, ...value.split('\n'), ...textsIn(value)].map((one) => one.trim())),
    ),
  ];
}

/** Where the words come from; each throws when it cannot answer. */
export interface WordSources {
  readonly events: () => Promise<readonly unknown[]>;
  /** Secrets of the module's namespace. */
  readonly secrets: () => Promise<readonly unknown[]>;
  /** Of a Pod's run before, where there was one, else of the one that is; undefined where there is none. */
  readonly log: (pod: PodFacts) => Promise<string | undefined>;
}

/** What is told of a rollout that does not hold. Without the secrets, which must not be told, nothing of its Pods is. */
export async function wordsOf(
  { why, pods }: { readonly why: string; readonly pods: readonly PodFacts[] },
  sources: WordSources,
): Promise<PodWords> {
  try {
    const secrets = valuesOf(await sources.secrets());
    const events = await sources.events().catch(() => []);
    const told = pods.slice(0, MOST.pods).map(async (pod) => ({
      name: pod.name,
      events: eventsOf(events, pod.uid, secrets),
      log: linesOf((await sources.log(pod).catch(() => undefined)) ?? '', secrets).slice(-MOST.lines),
    }));
    return { why, pods: await Promise.all(told) };
  } catch {
    return { why, pods: [] };
  }
}
