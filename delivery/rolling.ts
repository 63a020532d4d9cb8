import { lstatSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { z } from 'zod';
import { parseJson } from '../text/json';

// How far a deploy is, as the Pod of its rollout leaves it for whoever tells the merge request: a file that the pipeline carries
// as text. It is told, and decides nothing.

/** Where in the workspace that lies. */
export const ROLLING_FILE = '.switchyard/rollout/progress.json';

/** Bytes of the file: all that may be left takes less. */
const LARGEST = 1 << 10;

const pods = z.number().int().min(0).max(100_000);
/** Milliseconds since 1970, by the clock of the rollout's Pod: when it began, and when it came so far. */
const moment = z.number().int().min(0).max(8.64e15);
const times = { begun: moment, at: moment };

const rollingSchema = z.discriminatedUnion('step', [
  // Of the pipeline itself, before there is a Pod for the rollout.
  z.strictObject({ step: z.literal('turn') }),
  z.strictObject({ step: z.literal('agent') }),
  z.strictObject({ step: z.literal('state'), ...times }),
  z.strictObject({ step: z.literal('begun'), ...times }),
  z.strictObject({ step: z.literal('migration'), ...times }),
  z.strictObject({ step: z.literal('pods'), ready: pods, wanted: pods, ...times }),
  z.strictObject({ step: z.literal('watch'), ready: pods, wanted: pods, ...times }),
]);

/**
 * How far a deploy is. `turn`: another one has the lock. `agent`: the Pod that rolls it out does not run yet. `state`: it opens the
 * module's state, which another run may have. `begun`: nothing of it is seen in the cluster. `migration`: that runs. `pods`: so
 * many of the new Pods are ready. `watch`: all are, and are watched for crashes.
 */
export type Rolling = z.infer<typeof rollingSchema>;

type WithoutTimes<R> = R extends { readonly begun: number } ? Omit<R, keyof typeof times> : never;

/** What the Pod of a rollout says. */
export type RollingStep = WithoutTimes<Rolling>;

/** What was left; undefined where nothing was, or what is none. */
export function readRolling(file: string): Rolling | undefined {
  try {
    const found = lstatSync(file);
    if (!found.isFile() || found.size > LARGEST) return undefined;
    return rollingSchema.safeParse(parseJson(readFileSync(file, 'utf8'))).data;
  } catch {
    return undefined;
  }
}

function after({ begun, at }: { readonly begun: number; readonly at: number }): string {
  const seconds = Math.max(0, Math.floor((at - begun) / 1000));
  return `after ${seconds < 120 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`}`;
}

/** In a few words, for people. */
export function rollingText(rolling: Rolling): string {
  switch (rolling.step) {
    case 'turn':
      return 'it waits for its turn, since another deploy is under way';
    case 'agent':
      return 'it waits for the Pod that rolls it out';
    case 'state':
      return "it opens the module's state, and waits for whoever has that";
    case 'begun':
      return 'what changes is applied';
    case 'migration':
      return `its migration runs (${after(rolling)})`;
    case 'pods':
      return `${rolling.ready} of ${rolling.wanted} Pods are ready (${after(rolling)})`;
    case 'watch':
      return `${rolling.ready} of ${rolling.wanted} Pods are ready (${after(rolling)}), and watched for crashes`;
  }
}

/** Leaves a step where it is another one than was left before. A deploy never fails for it: what cannot be written is not told. */
export type TellRolling = (step: RollingStep) => void;

/**
 * @param begun when the rollout began, in milliseconds since 1970. @default now
 * @param now milliseconds since 1970
 */
export function rollingTeller(file: string, begun?: number, now: () => number = Date.now): TellRolling {
  const since = begun ?? now();
  let before = '';
  return (step) => {
    const is = JSON.stringify(step);
    if (is === before) return;
    before = is;
    try {
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(`${file}.new`, JSON.stringify({ ...step, begun: since, at: now() } satisfies Rolling));
      // Whoever reads meanwhile reads one or the other.
      renameSync(`${file}.new`, file);
    } catch {
      // Nobody is told, and nothing else comes of it.
    }
  };
}
