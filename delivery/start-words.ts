import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { redact } from '../text/hide';
import { linesOf, type PodWords, podWordsText } from './pod-words';
import { readPodWords } from './unsteady';

/** Where in the workspace lies what is said of a Pod that does not start. */
export const START_FILE = '.switchyard/start/words.json';

/** Leaves what is said of a Pod that does not start for the command that tells how the build ended, and says it. */
export function leaveStartWords(workspace: string, words: PodWords, say: (line: string) => void): void {
  const file = join(workspace, START_FILE);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, podWordsText(words));
  for (const { name, events, log } of words.pods)
    for (const line of [...events, ...log]) say(`${name}: ${line}`);
}

/** Secrets of this process that what Pods say must not show. */
export const ownSecrets = (): readonly string[] =>
  [process.env.GITLAB_TOKEN, process.env.SWITCHYARD_CERTIFICATE_KEY].filter((value) => value !== undefined);

/** What a build left of a Pod that did not start, without secrets; undefined where there was none. */
export function startWords(workspace: string): PodWords | undefined {
  const words = readPodWords(join(workspace, START_FILE));
  if (!words) return undefined;
  // What is hidden may be shorter than what stands for it.
  const hidden = (lines: readonly string[]) =>
    lines.flatMap((line) => linesOf(redact(line, ownSecrets())).slice(0, 1));
  const pods = words.pods.map((pod) => ({ ...pod, events: hidden(pod.events), log: hidden(pod.log) }));
  return { ...words, pods };
}
