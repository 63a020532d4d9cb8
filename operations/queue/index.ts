import { setTimeout as sleep } from 'node:timers/promises';
import { loadModel } from '../../components/load';
import type { Model } from '../../components/model';
import { GitLab } from '../../delivery/gitlab';
import type { Asked } from '../../delivery/queue/read';
import { projectPath, projectsOf } from '../../stacks/gitlab';
import { keepsQueue, whyNoQueue } from '../../stacks/merge-queue';
import { secretSources } from '../../stacks/secrets';
import { type CommonOptions, documentOf, type Outcome } from '../outcome';
import { foldersHere } from '../place';
import { EXIT, Refusal } from '../refusal';
import type { Terminal } from '../terminal';
import { type ModuleQueue, readQueue } from './read';
import { queueOutcome } from './tell';

/** Milliseconds between two looks of a watch. */
const PAUSE_MS = 5_000;

/** Reads the queue of each module that keeps one. One that cannot be read hides no other. */
export async function readQueues(
  { modules, settings }: Model,
  gitlab: Asked & Pick<GitLab, 'commit'>,
): Promise<Outcome> {
  const { environment, testing } = settings;
  const keeps = modules.filter((module) => keepsQueue(settings, module));
  const projects = projectsOf(
    settings,
    modules.map(({ name }) => name),
  );
  const problems: string[] = [];
  const queues: ModuleQueue[] = [];
  for (const { name } of keeps) {
    const project = projectPath(settings.gitlab, name);
    const { url: gitlabUrl, queue } = settings.gitlab;
    const where = {
      gitlabUrl,
      project,
      projects,
      branch: 'main',
      most: testing.parallel,
      start: queue.window,
    };
    try {
      queues.push(await readQueue(gitlab, { module: name, ...where }));
    } catch (error) {
      problems.push(`${project} (${(error as Error).message.split('\n')[0]})`);
    }
  }
  return queueOutcome({
    environment,
    at: new Date(gitlab.time).toISOString(),
    modules: queues,
    without: modules.flatMap((module) => {
      const why = whyNoQueue(settings, module);
      return why === undefined ? [] : [{ module: module.name, why }];
    }),
    problems,
  });
}

/** @throws Refusal without a token */
function opened(environment: string): () => Promise<Outcome> {
  const model = loadModel(foldersHere(), environment);
  const token = process.env[secretSources.gitlabToken];
  if (!token)
    throw new Refusal(
      `${secretSources.gitlabToken} is not set: merge requests are read by it; read_api is enough.`,
      EXIT.badInput,
    );
  const gitlab = new GitLab({ url: model.settings.gitlab.url, token });
  return () => readQueues(model, gitlab);
}

/** `queue`: who waits to be merged, and for what. */
export const queue = async (environment: string): Promise<Outcome> => opened(environment)();

interface Watch {
  readonly look: () => Promise<Outcome>;
  readonly terminal: Pick<Terminal, 'result' | 'note' | 'clear'>;
  readonly sleep: (milliseconds: number) => Promise<unknown>;
  /** @default for ever */
  readonly looks?: number;
}

/** Prints what has changed: on a terminal in place of what was there, as JSON one document a line. */
export async function printChanges(
  environment: string,
  { json = false }: CommonOptions,
  { look, terminal, sleep: pause, looks = Number.POSITIVE_INFINITY }: Watch,
): Promise<void> {
  let before = '';
  for (let looked = 0; looked < looks; looked++) {
    if (looked > 0) await pause(PAUSE_MS);
    try {
      const { document, lines, exitCode = 0 } = await look();
      const text = lines.join('\n');
      if (text === before) continue;
      before = text;
      if (!json) terminal.clear();
      terminal.result(
        json ? JSON.stringify(documentOf('Queue', environment, exitCode, document)) : `${text}\n`,
      );
    } catch (error) {
      const message = (error as Error).message.split('\n')[0] ?? '';
      if (message !== before) terminal.note(message);
      before = message;
    }
  }
}

/** `queue --watch`: until somebody ends it. */
export const watchQueues = (environment: string, options: CommonOptions, terminal: Terminal): Promise<void> =>
  printChanges(environment, options, { look: opened(environment), terminal, sleep });
