import { z } from 'zod';
import { hide } from '../text/hide';
import { unicodeEscape } from '../text/unicode';

// What a Pod that does not start, or does not stay up, said: its events and the last lines of its log.

/** Pods that are told of, events and lines of each, and characters of each line. */
export const MOST = { pods: 2, events: 10, lines: 30, characters: 300 } as const;

const line = z.string().max(MOST.characters);

export const podWordsSchema = z.strictObject({
  /** One sentence without its full stop, of our own words and of Kubernetes' reasons only: it goes into a commit's message. */
  why: z.string().regex(/^[A-Za-z0-9 ,()-]{1,200}$/),
  /** It is the infrastructure's: an image that does not come, a node, a service, an agent. What is tested has no part in it. */
  infrastructure: z.literal(true).optional(),
  /** The Pod had started, and was taken away by its cluster (`infrastructure`), or removed by nobody knows whom. */
  lost: z.literal(true).optional(),
  /** Of a release with a migration: whether that failed, or ran and what came after it failed. */
  migration: z.enum(['ran', 'failed']).optional(),
  pods: z
    .array(
      z.strictObject({
        name: z.string().max(253),
        /** `reason: message`, oldest first. */
        events: z.array(line).max(MOST.events),
        /** The last lines of its log: of the run that ended where one did. */
        log: z.array(line).max(MOST.lines),
      }),
    )
    .max(MOST.pods),
});
export type PodWords = z.infer<typeof podWordsSchema>;

/** A reason is a word of Kubernetes' own; whatever else stands there is none. */
export const reasonWord = (reason: string): string => (/^[A-Za-z0-9]{1,60}$/.test(reason) ? reason : '');

/** How a container ended. */
export const endedAs = ({
  reason,
  exitCode,
}: {
  readonly reason: string;
  readonly exitCode: number;
}): string => [reasonWord(reason), `exit code ${exitCode}`].filter(Boolean).join(', ');

/** The lines of a text, without secrets and cut to what is told of each. */
export const linesOf = (text: string, secrets: readonly string[] = []): string[] =>
  // Before it is cut: half a secret is one too.
  hide(text, secrets)
    .text.split('\n')
    .map((line) =>
      line
        .trimEnd()
        .slice(0, MOST.characters)
        .replace(/[\ud800-\udbff]$/, ''),
    )
    .filter((line) => line.trim() !== '');

export const eventSchema = z.looseObject({
  involvedObject: z.looseObject({ uid: z.string().default('') }),
  reason: z.string().default(''),
  message: z.string().nullish(),
  count: z.number().nullish(),
  lastTimestamp: z.union([z.string(), z.date()]).nullish(),
  eventTime: z.union([z.string(), z.date()]).nullish(),
  metadata: z.looseObject({ creationTimestamp: z.union([z.string(), z.date()]).nullish() }),
});
type Event = z.infer<typeof eventSchema>;

/** When an event was last seen, in milliseconds of the epoch. */
export const eventTime = ({
  lastTimestamp,
  eventTime: at,
  metadata,
}: Pick<Event, 'lastTimestamp' | 'eventTime' | 'metadata'>): number =>
  new Date(lastTimestamp ?? at ?? metadata.creationTimestamp ?? 0).getTime();

/** An event as it is told. */
const eventLine = ({ reason, message, count }: Pick<Event, 'reason' | 'message' | 'count'>): string =>
  `${reason}: ${(message ?? '').replace(/\s+/g, ' ')}${count && count > 1 ? ` (${count} times)` : ''}`;

/** Events of an object, oldest first. */
export const eventsOf = (
  objects: readonly unknown[],
  uid: string,
  secrets: readonly string[] = [],
): string[] =>
  objects
    .flatMap((object) => eventSchema.safeParse(object).data ?? [])
    .filter(({ involvedObject }) => involvedObject.uid === uid)
    .sort((a, b) => eventTime(a) - eventTime(b))
    .slice(-MOST.events)
    .flatMap((event) => linesOf(eventLine(event), secrets).slice(0, 1));

/** The text of a file of them: of ASCII alone, so that whoever carries it needs to know no encoding. */
export const podWordsText = (words: PodWords): string =>
  `${JSON.stringify(words).replace(/[\u007f-\uffff]/g, unicodeEscape)}\n`;
