import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { entryOf } from '../../catalog/entry';
import { findModule, type Module } from '../../catalog/load';
import { fetchReleases } from '../../components/ask-gitlab';
import { loadModel } from '../../components/load';
import type { Model } from '../../components/model';
import {
  MIGRATION_CONTAINER,
  migrationName,
  migrationPods,
  migrationSeconds,
  WAITING_CONTAINER,
} from '../../components/production/migration';
import { rolloutOf } from '../../components/production/workload';
import { type PodWords, podWordsText } from '../../delivery/pod-words';
import type { TellRolling } from '../../delivery/rolling';
import { namespacesOf } from '../../stacks/namespaces';
import { secretSources } from '../../stacks/secrets';
import { plainText } from '../../text/terminal';
import type { Outcome } from '../cli/outcome';
import { EXIT, Refusal } from '../cli/refusal';
import { clusterOf } from '../outside/clients';
import { foldersHere } from '../place';
import { realClock } from './clock';
import { failedMigration, migrationStage, untilMigrated } from './migration';
import { laterTeller, readRollout, readyOf, selectorOf } from './rolling';
import { judge as judgeBy, type Look, podsOf, stageOf } from './verdict';
import { type WordSources, wordsOf } from './words';

/** Name of the module's own container. */
const CONTAINER = 'module';

/** Seconds beyond the deadline in which Kubernetes says itself that it has passed. */
const SLACK = 30;

/** @param tell is told how far it is by each look */
function looksAt(
  { settings }: Model,
  module: Module,
  image: string,
  tell: TellRolling | undefined,
): () => Promise<Look> {
  return async () => {
    const { deployment, pods: all } = await readRollout(settings, module);
    const stage = stageOf(deployment, image);
    const pods = podsOf(all, image);
    const step = stage === 'ready' ? 'watch' : 'pods';
    tell?.({ step, ...readyOf({ deployment, pods: all }) });
    return { stage, pods };
  };
}

/** @param containers whose log is told: that of the first one that said something */
function wordSources({ settings }: Model, module: Module, ...containers: string[]): WordSources {
  const namespace = namespacesOf(settings).production(module.name);
  const list = (kind: string) => () => clusterOf(settings, 'production').list('v1', kind, '', namespace);
  return {
    events: list('Event'),
    secrets: list('Secret'),
    log: async ({ name, restarts }) => {
      const of = async (previous: boolean): Promise<string | undefined> => {
        for (const container of containers) {
          const about = { namespace, name, container };
          const said = await clusterOf(settings, 'production').log(about, { lines: 30, previous });
          if (said) return said;
        }
        return undefined;
      };
      return (restarts > 0 ? await of(true) : undefined) ?? (await of(false));
    },
  };
}

type Migrated = { readonly is: 'ran' | 'none' } | { readonly is: 'failed'; readonly words: PodWords };

/** What became of the migration of a release. */
async function migrationOf(
  model: Model,
  module: Module,
  { commit, image }: { readonly commit: string; readonly image: string },
  readySeconds: number,
  tell: TellRolling | undefined,
): Promise<Migrated> {
  const { settings } = model;
  const namespace = namespacesOf(settings).production(module.name);
  const name = migrationName(module, commit);
  const job = { apiVersion: 'batch/v1', kind: 'Job', metadata: { name, namespace } };
  const ended = await untilMigrated(
    async () => {
      const seen = migrationStage(await clusterOf(settings, 'production').read(job));
      if (seen.stage === 'running') tell?.({ step: 'migration' });
      return seen;
    },
    migrationSeconds(module, readySeconds).whole + SLACK,
    realClock,
  );
  if (ended.stage !== 'failed') return { is: ended.stage === 'ran' ? 'ran' : 'none' };
  const sources = wordSources(model, module, MIGRATION_CONTAINER, WAITING_CONTAINER);
  const selector = selectorOf({ ...migrationPods(module), 'batch.kubernetes.io/job-name': name });
  const pods = await clusterOf(settings, 'production').list('v1', 'Pod', selector, namespace);
  const events = await sources.events().catch(() => []);
  const failed = failedMigration(ended, podsOf(pods, image), events);
  return { is: 'failed', words: { ...(await wordsOf(failed, sources)), migration: 'failed' } };
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
  const tell = laterTeller();
  const { readySeconds, watchSeconds } = rolloutOf(model.settings.production, module);
  const about = `${name} ${release.commit.slice(0, 12)} in ${environment}`;
  const unsteadyIs = (words: PodWords, said: readonly string[]): Outcome => {
    mkdirSync(dirname(out), { recursive: true });
    writeFileSync(out, podWordsText(words));
    return {
      document: { ...document, verdict: 'unsteady', why: words.why },
      lines: [`${about} does not hold: ${words.why}`, ...said],
      exitCode: EXIT.unsteady,
    };
  };
  const migrated =
    release.migrate && module.production.migrate
      ? await migrationOf(model, module, release, readySeconds, tell)
      : ({ is: 'none' } as const);
  if (migrated.is === 'failed')
    return unsteadyIs(
      migrated.words,
      migrated.words.pods.flatMap(({ log }) => log.map((line) => `  ${plainText(line)}`)),
    );
  const verdict = await judgeBy(
    looksAt(model, module, release.image, tell),
    { readySeconds: readySeconds + SLACK, watchSeconds },
    realClock,
  );
  if (verdict.is === 'other')
    throw new Refusal(`${about}: the cluster does not have it, so there is nothing to judge.`, EXIT.failed);
  if (verdict.is !== 'unsteady')
    return {
      document: { ...document, verdict: verdict.is },
      lines: [`${about} is ready, and did not crash within ${watchSeconds} s`],
    };
  const unsteady = await wordsOf(verdict, wordSources(model, module, CONTAINER));
  return unsteadyIs({ ...unsteady, ...(migrated.is === 'ran' ? { migration: 'ran' } : {}) }, []);
}
