import { z } from 'zod';
import { hide } from '../../delivery/preview/hide';
import { MOST, type Unsteady } from '../../delivery/unsteady';
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

const eventSchema = z.looseObject({
  involvedObject: z.looseObject({ uid: z.string().default('') }),
  reason: z.string().default(''),
  message: z.string().nullish(),
  count: z.number().nullish(),
  lastTimestamp: z.union([z.string(), z.date()]).nullish(),
  eventTime: z.union([z.string(), z.date()]).nullish(),
  metadata: z.looseObject({ creationTimestamp: z.union([z.string(), z.date()]).nullish() }),
});

const clean = (text: string, secrets: readonly string[]): string[] =>
  // Before it is cut: half a secret is one too.
  hide(text, secrets)
    .text.split('\n')
    .map((line) => [...line.trimEnd()].slice(0, MOST.characters).join(''))
    .filter((line) => line.trim() !== '');

/** Events of an object, oldest first. */
export function eventsOf(objects: readonly unknown[], uid: string, secrets: readonly string[]): string[] {
  const at = ({ lastTimestamp, eventTime, metadata }: z.infer<typeof eventSchema>): number =>
    new Date(lastTimestamp ?? eventTime ?? metadata.creationTimestamp ?? 0).getTime();
  return objects
    .flatMap((object) => eventSchema.safeParse(object).data ?? [])
    .filter(({ involvedObject }) => involvedObject.uid === uid)
    .sort((a, b) => at(a) - at(b))
    .slice(-MOST.events)
    .flatMap(({ reason, message, count }) => {
      const text = `${reason}: ${(message ?? '').replace(/\s+/g, ' ')}${count && count > 1 ? ` (${count} times)` : ''}`;
      return clean(text, secrets).slice(0, 1);
    });
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
): Promise<Unsteady> {
  try {
    const secrets = valuesOf(await sources.secrets());
    const events = await sources.events().catch(() => []);
    const told = pods.slice(0, MOST.pods).map(async (pod) => ({
      name: pod.name,
      events: eventsOf(events, pod.uid, secrets),
      log: clean((await sources.log(pod).catch(() => undefined)) ?? '', secrets).slice(-MOST.lines),
    }));
    return { why, pods: await Promise.all(told) };
  } catch {
    return { why, pods: [] };
  }
}

/** The file's text: of ASCII alone, so that whoever carries it needs to know no encoding. */
export const unsteadyText = (unsteady: Unsteady): string =>
  `${JSON.stringify(unsteady).replace(/[\u007f-\uffff]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)}\n`;
