import { lstatSync, readFileSync } from 'node:fs';
import { parseJson } from '../text/json';
import { type PodWords, podWordsSchema } from './pod-words';

// What `switchyard judge` says of a rollout that does not hold, for `delivery undo`, and `delivery test-pod-watch` of a test Pod
// that does not start, for `delivery verdict`. Two Pods or commands share it, as a file.

/** Where in the workspace what is said of a rollout lies. */
export const UNSTEADY_FILE = '.switchyard/rollout/unsteady.json';

/** Bytes of the file: all that may be left takes less. */
const LARGEST = 256 << 10;

/** What Pods said; undefined where it was not left, or is not what may be left. It is told, and decides no more than whether the same is tried again. */
export function readPodWords(file: string): PodWords | undefined {
  const found = lstatSync(file, { throwIfNoEntry: false });
  if (!found?.isFile() || found.size > LARGEST) return undefined;
  return podWordsSchema.safeParse(parseJson(readFileSync(file, 'utf8'))).data;
}
