import { lstatSync, readFileSync } from 'node:fs';
import { z } from 'zod';
import { parseJson } from './certificate';

// What `switchyard judge` says of a rollout that does not hold, for `delivery undo`. Two Pods share it, as a file.

/** Where in the workspace it lies. */
export const UNSTEADY_FILE = '.switchyard/rollout/unsteady.json';

/** Pods that are told of, events and lines of each, and characters of each line. */
export const MOST = { pods: 2, events: 10, lines: 30, characters: 300 } as const;

const line = z.string().max(MOST.characters);

export const unsteadySchema = z.strictObject({
  /** One sentence without its full stop, of our own words and of Kubernetes' reasons only: it goes into a commit's message. */
  why: z.string().regex(/^[A-Za-z0-9 ,()-]{1,200}$/),
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
export type Unsteady = z.infer<typeof unsteadySchema>;

/** Bytes of the file: all that {@link MOST} allows takes less. */
const LARGEST = 256 << 10;

/** What a rollout's Pods said; undefined where it was not left, or is not what may be left. It is told, and decides nothing. */
export function readUnsteady(file: string): Unsteady | undefined {
  const found = lstatSync(file, { throwIfNoEntry: false });
  if (!found?.isFile() || found.size > LARGEST) return undefined;
  return unsteadySchema.safeParse(parseJson(readFileSync(file, 'utf8'))).data;
}
