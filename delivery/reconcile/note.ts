import { inert, podLines } from '../note';
import type { PodWords } from '../pod-words';
import { ownSecrets } from '../start-words';

/** Beginning of the note of a build that gets no agent. */
export const agentlessMarker = '<!-- switchyard:no-agent -->';

/** That note: what the Pods of its agents said. */
export const renderAgentless = (build: string, words: PodWords): string =>
  [
    agentlessMarker,
    `**Switchyard: not begun: ${inert(words.why)}**`,
    '',
    `See to the agents; the build goes on by itself when one starts, and its status with it ([build](${build})).`,
    '',
    ...(words.pods.length > 0
      ? podLines(words, ownSecrets())
      : ['No Pod of theirs says why: see the log of Jenkins, and the quota of their namespace.']),
  ].join('\n');
