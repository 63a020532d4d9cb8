import { plainText } from '../../text/terminal';
import { ago } from '../cli/ago';
import type { Outcome } from '../cli/outcome';
import { EXIT } from '../cli/refusal';
import { columns } from '../cli/table';
import type { ModuleQueue } from './read';

export interface QueueFacts {
  readonly environment: string;
  /** GitLab's clock. */
  readonly at: string;
  readonly modules: readonly ModuleQueue[];
  /** Modules that keep no queue, and why. */
  readonly without: readonly { readonly module: string; readonly why: string }[];
  /** What could not be read. */
  readonly problems: readonly string[];
}

function moduleLines({ module, project, window, most, main, requests }: ModuleQueue, now: string): string[] {
  const queued = requests.filter(({ place }) => place !== undefined).length;
  const head = `${module} (${project}): ${queued} in the queue; ${window} tested side by side, ${most} at most; main ${main.slice(0, 12)}`;
  const rows = requests.map((one) => [
    one.place === undefined ? '-' : `${one.place}`,
    `!${one.mergeRequest}`,
    one.since ? ago(one.since, now) : '-',
    one.author ? plainText(one.author) : '-',
    plainText(one.first ? `put first by ${one.first}; ${one.says}` : one.says),
    plainText(one.title).slice(0, 60),
  ]);
  if (rows.length === 0) return [head];
  return [
    head,
    ...columns([['place', 'mr', 'ready', 'author', 'what', 'title'], ...rows]).map((line) => `  ${line}`),
  ];
}

export function queueOutcome({ environment, at, modules, without, problems }: QueueFacts): Outcome {
  const shown = modules.filter(({ requests }) => requests.length > 0);
  const idle = modules.filter(({ requests }) => requests.length === 0).map(({ module }) => module);
  return {
    document: { at, modules, without, problems },
    lines: [
      ...(shown.length === 0 && problems.length === 0
        ? [`no merge request is open in ${environment}`]
        : shown.flatMap((module) => moduleLines(module, at))),
      ...(shown.length > 0 && idle.length > 0 ? [`nothing open: ${idle.join(', ')}`] : []),
      ...without.map(({ module, why }) => `no queue is kept for ${module} (docs/gate.md): ${why}`),
      ...problems.map((problem) => `not read: ${plainText(problem)}`),
    ],
    ...(problems.length > 0 ? { exitCode: EXIT.unread } : {}),
  };
}
