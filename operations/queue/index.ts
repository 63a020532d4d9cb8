import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { GitLab } from '../../clients/gitlab';
import { loadModel } from '../../components/load';
import type { Model } from '../../components/model';
import type { Asked } from '../../delivery/queue/read';
import { projectPath, projectsOf } from '../../stacks/gitlab';
import { keepsQueue, whyNoQueue } from '../../stacks/merge-queue';
import { secretSources } from '../../stacks/secrets';
import type { CommonOptions, Outcome } from '../cli/outcome';
import { EXIT, Refusal } from '../cli/refusal';
import type { Terminal } from '../cli/terminal';
import { type Shown, untilInterrupted, watchUntilEnded } from '../cli/watch';
import { foldersHere } from '../place';
import { renderQueues, renderTopology, rewrite, writeRendered } from '../render';
import { otherEnvironments } from '../render/others';
import { type ModuleQueue, readQueue } from './read';
import { type QueueFacts, queueOutcome } from './tell';

/** Seconds after which a page that is written again and again is loaded anew. */
const AGAIN_S = 10;

/** Reads the queue of each module that keeps one. One that cannot be read hides no other. */
export async function readQueues(
  { modules, settings }: Model,
  gitlab: Asked & Pick<GitLab, 'commit'>,
): Promise<QueueFacts> {
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
  return {
    environment,
    at: new Date(gitlab.time).toISOString(),
    modules: queues,
    without: modules.flatMap((module) => {
      const why = whyNoQueue(settings, module);
      return why === undefined ? [] : [{ module: module.name, why }];
    }),
    problems,
  };
}

/**
 * Renders the topology into a folder, with the queues on its page; from the second time on only what shows them.
 * @param again whether it is written again and again
 * @returns address of the page
 */
export function pageWriter(
  model: Model,
  stacks: string,
  folder: string,
  again = false,
): (facts: QueueFacts) => string {
  const out = resolve(folder);
  const others = otherEnvironments(stacks, model.catalog, model.settings.environment);
  const render = renderQueues(model, others);
  let isWhole = false;
  return (facts) => {
    const shown = render({ ...facts, ...(again ? { again: AGAIN_S } : {}) });
    if (isWhole) rewrite(shown, out);
    else writeRendered(new Map([...renderTopology(model, undefined, others), ...shown]), out);
    isWhole = true;
    return pathToFileURL(join(out, 'index.html')).href;
  };
}

interface QueueOptions {
  /** Folder into which the topology is rendered with the queues on its page. */
  readonly page?: string;
}

/** @throws Refusal without a token */
function opened(environment: string, { page }: QueueOptions, again = false): () => Promise<Outcome> {
  const folders = foldersHere();
  const model = loadModel(folders, environment);
  const token = process.env[secretSources.gitlabToken];
  if (!token)
    throw new Refusal(
      `${secretSources.gitlabToken} is not set: merge requests are read by it; read_api is enough.`,
      EXIT.badInput,
    );
  const gitlab = new GitLab({ url: model.settings.gitlab.url, token });
  const write = page === undefined ? undefined : pageWriter(model, folders.stacks, page, again);
  return async () => {
    const facts = await readQueues(model, gitlab);
    const outcome = queueOutcome(facts);
    const at = write?.(facts);
    if (at === undefined) return outcome;
    return {
      ...outcome,
      document: { ...outcome.document, page: at },
      lines: [...outcome.lines, `The page: ${at}`],
    };
  };
}

/** `queue`: who waits to be merged, and for what. */
export const queue = async (environment: string, options: QueueOptions = {}): Promise<Outcome> =>
  opened(environment, options)();

/** Of the queue all is told again when anything of it changed. */
export function queueShown(environment: string): Shown<Outcome> {
  let before = '';
  return {
    kind: 'Queue',
    environment,
    outcome: (outcome) => outcome,
    screen: ({ lines }) => lines,
    changes: ({ lines }) => {
      const text = lines.join('\n');
      if (text === before) return [];
      before = text;
      return [`${text}\n`];
    },
    passing: ['at'],
  };
}

/** `queue --watch`: until somebody ends it. */
export const watchQueues = (
  environment: string,
  options: CommonOptions & QueueOptions & { readonly interval: number },
  terminal: Terminal,
): Promise<void> =>
  watchUntilEnded({
    ...queueShown(environment),
    look: opened(environment, options, true),
    json: options.json === true,
    pauseMs: options.interval * 1000,
    terminal,
    end: untilInterrupted(),
  });
