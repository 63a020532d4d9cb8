import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { entryOf } from '../../catalog/entry';
import { findModule, type Module } from '../../catalog/load';
import { fetchReleases } from '../../components/ask-gitlab';
import { loadModel } from '../../components/load';
import type { Model } from '../../components/model';
import { modulePods, rolloutOf } from '../../components/production/workload';
import { podWordsText } from '../../delivery/pod-words';
import { namespacesOf } from '../../stacks/namespaces';
import { secretSources } from '../../stacks/secrets';
import type { Outcome } from '../outcome';
import { listObjects, readLog, readObject } from '../outside';
import { foldersHere } from '../place';
import { EXIT, Refusal } from '../refusal';
import { judge as judgeBy, type Look, podsOf, stageOf } from './verdict';
import { type WordSources, wordsOf } from './words';

/** Name of the module's own container. */
const CONTAINER = 'module';

/** Seconds beyond the deadline in which Kubernetes says itself that it has passed. */
const SLACK = 30;

const selectorOf = (labels: Readonly<Record<string, string>>): string =>
  Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .join(',');

function looksAt({ settings }: Model, module: Module, image: string): () => Promise<Look> {
  const namespace = namespacesOf(settings).production(module.name);
  return async () => {
    const [deployment, pods] = await Promise.all([
      readObject(settings, 'production', {
        apiVersion: 'apps/v1',
        kind: 'Deployment',
        metadata: { name: module.name, namespace },
      }),
      listObjects(settings, 'production', 'v1', 'Pod', selectorOf(modulePods(module)), namespace),
    ]);
    return { stage: stageOf(deployment, image), pods: podsOf(pods, image) };
  };
}

function wordSources({ settings }: Model, module: Module): WordSources {
  const namespace = namespacesOf(settings).production(module.name);
  const list = (kind: string) => () => listObjects(settings, 'production', 'v1', kind, '', namespace);
  return {
    events: list('Event'),
    secrets: list('Secret'),
    log: async ({ name, restarts }) => {
      const of = (previous: boolean) =>
        readLog(settings, 'production', { namespace, name, container: CONTAINER }, { lines: 30, previous });
      return (restarts > 0 ? await of(true) : undefined) ?? (await of(false));
    },
  };
}

export interface JudgeOptions {
  /** File for what the Pods of a rollout that does not hold said; one that is there goes. */
  readonly out: string;
}

/** `judge`: whether the rollout of a module's release holds. */
export async function judge(environment: string, name: string, { out }: JudgeOptions): Promise<Outcome> {
  const model = loadModel(foldersHere(), environment, [name]);
  const { gitlab } = model.settings;
  const module = findModule(model.catalog, name);
  rmSync(out, { force: true });
  const token = process.env[secretSources.gitlabToken] ?? '';
  const release = entryOf(await fetchReleases(gitlab.url, gitlab.group, token, environment), name);
  const document = { module: name, commit: release?.commit ?? null };
  if (!release)
    return { document: { ...document, verdict: 'not released' }, lines: [`${name} is not released`] };
  const { readySeconds, watchSeconds } = rolloutOf(model.settings.production, module);
  const verdict = await judgeBy(
    looksAt(model, module, release.image),
    { readySeconds: readySeconds + SLACK, watchSeconds },
    { now: () => performance.now(), sleep: (milliseconds) => sleep(milliseconds) },
  );
  const about = `${name} ${release.commit.slice(0, 12)} in ${environment}`;
  if (verdict.is === 'other')
    throw new Refusal(`${about}: the cluster does not have it, so there is nothing to judge.`, EXIT.failed);
  if (verdict.is !== 'unsteady')
    return {
      document: { ...document, verdict: verdict.is },
      lines: [`${about} is ready, and did not crash within ${watchSeconds} s`],
    };
  const unsteady = await wordsOf(verdict, wordSources(model, module));
  mkdirSync(dirname(out), { recursive: true });
  writeFileSync(out, podWordsText(unsteady));
  return {
    document: { ...document, verdict: 'unsteady', why: unsteady.why },
    lines: [`${about} does not hold: ${unsteady.why}`],
    exitCode: EXIT.unsteady,
  };
}
