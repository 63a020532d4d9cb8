import { LEDGER_PROJECT } from '../../catalog/ledger';
import { askText } from '../../clients/ask';
import { GitLab } from '../../clients/gitlab';
import { readReleaseLedger } from '../../components/ask-gitlab';
import { loadModel } from '../../components/load';
import type { Model } from '../../components/model';
import { names } from '../../components/shared/naming';
import type { Restic } from '../../delivery/backup/restic';
import { ledgerEvents } from '../../delivery/ledger';
import { isOneCluster } from '../../stacks/clusters';
import { namespacesOf } from '../../stacks/namespaces';
import { secretSources } from '../../stacks/secrets';
import type { CommonOptions, Outcome } from '../cli/outcome';
import type { Terminal } from '../cli/terminal';
import { kept, untilInterrupted, watchUntilEnded } from '../cli/watch';
import { clusterOf } from '../outside/clients';
import { foldersHere } from '../place';
import { openBackup } from '../rebuild/backup';
import { lastBuildUrl, readStatus, type Sources } from './read';
import { changeTeller, statusOutcome, statusScreen } from './tell';

/** Time for Jenkins to answer, in milliseconds. */
const PATIENCE = 10_000;

/**
 * The repository as whoever runs this command reaches it: with the seed, from which its key comes, and the bucket's keys.
 * @throws Error when the seed is not at hand, or the repository is a volume
 */
function openRepository(settings: Model['settings']): Restic {
  if (!settings.backup) throw new Error('the stack makes none');
  if (settings.backup.claim)
    throw new Error('they are on a volume, which only the jobs in the cluster reach');
  const seed = process.env[secretSources.seed];
  if (!seed) throw new Error(`${secretSources.seed} is not set`);
  return openBackup(settings, seed);
}

function sourcesOf({ settings }: Model): Sources {
  const { environment, gitlab, jenkins } = settings;
  const { JENKINS_USER, JENKINS_TOKEN, [secretSources.gitlabToken]: token = '' } = process.env;
  const login = JENKINS_USER
    ? Buffer.from(`${JENKINS_USER}:${JENKINS_TOKEN ?? ''}`).toString('base64')
    : undefined;
  return {
    ledger: () => readReleaseLedger(gitlab.url, gitlab.group, token, environment),
    events: (modules) =>
      ledgerEvents(
        new GitLab({ url: gitlab.url, token, policy: { attempts: 4 } }),
        { ledgerProject: `${gitlab.group}/${LEDGER_PROJECT}`, environment },
        undefined,
        (events) => modules.every((name) => events.some(({ module }) => module === name)),
      ),
    workloads: (kind) =>
      clusterOf(settings, 'production').list(
        'apps/v1',
        kind,
        `app.kubernetes.io/part-of=switchyard,switchyard.dev/purpose=production,switchyard.dev/environment=${environment}`,
      ),
    autoscalers: () =>
      clusterOf(settings, 'production').list(
        'autoscaling/v2',
        'HorizontalPodAutoscaler',
        `app.kubernetes.io/part-of=switchyard,switchyard.dev/purpose=production,switchyard.dev/environment=${environment}`,
      ),
    reload: () =>
      clusterOf(settings, 'ci').log(
        { namespace: namespacesOf(settings).ci, name: 'jenkins-0', container: 'reload' },
        { lines: 1, previous: false },
      ),
    reconciler: async () => {
      const { reconciler: namespace } = namespacesOf(settings);
      const pods = await clusterOf(settings, 'ci').list(
        'v1',
        'Pod',
        `app.kubernetes.io/name=${names.reconciler}`,
        namespace,
      );
      const [pod] = pods as readonly { readonly metadata?: { readonly name?: string } }[];
      const name = pod?.metadata?.name;
      if (name === undefined) return undefined;
      const container = 'delivery';
      return clusterOf(settings, 'ci').log({ namespace, name, container }, { lines: 200, previous: false });
    },
    backups: () => openRepository(settings).holdings(),
    backupJobs: async () => {
      const roles = isOneCluster(settings.clusters) ? (['ci'] as const) : (['ci', 'production'] as const);
      const jobs = roles.map((role) =>
        clusterOf(settings, role).list(
          'batch/v1',
          'Job',
          `app.kubernetes.io/component=backup,switchyard.dev/environment=${environment}`,
        ),
      );
      return (await Promise.all(jobs)).flat();
    },
    lastBuild: async (module) => {
      const { response, body } = await askText(
        lastBuildUrl(settings, module),
        { headers: login ? { authorization: `Basic ${login}` } : {} },
        { policy: { attempts: 3, attemptMs: PATIENCE } },
      );
      if (response.status === 404) return undefined;
      if (!response.ok) throw new Error(`${jenkins.url} answers ${response.status}`);
      return JSON.parse(body);
    },
  };
}

/** `status`: what is released, what runs, and how the last jobs ended. */
export async function status(environment: string): Promise<Outcome> {
  const model = loadModel(foldersHere(), environment);
  return statusOutcome(await readStatus(model, sourcesOf(model)));
}

/** Milliseconds for which a watch keeps what changes by the hour, and how the last jobs ended. */
const SLOW = 60_000;
const JOBS = 20_000;

/** The same for a watch: ledger, Pods and autoscalers are read by each look, and the ledger's commits when it has changed. */
function watchedSources(model: Model): Sources {
  const sources = sourcesOf(model);
  let ledger = '';
  const events = kept((_ledger: string, modules: readonly string[]) => sources.events(modules), SLOW * 60);
  return {
    ...sources,
    ledger: async () => {
      const now = await sources.ledger();
      ledger = JSON.stringify(now);
      return now;
    },
    events: (modules) => events(ledger, modules),
    lastBuild: kept(sources.lastBuild, JOBS),
    reload: kept(sources.reload, SLOW),
    reconciler: kept(sources.reconciler, SLOW),
    backups: kept(sources.backups, SLOW),
    backupJobs: kept(sources.backupJobs, SLOW),
  };
}

/** `status --watch`: until somebody ends it. */
export async function watchStatus(
  environment: string,
  options: CommonOptions & { readonly interval: number },
  terminal: Terminal,
): Promise<void> {
  const model = loadModel(foldersHere(), environment);
  const sources = watchedSources(model);
  await watchUntilEnded({
    kind: 'Status',
    environment,
    look: () => readStatus(model, sources),
    outcome: statusOutcome,
    screen: (facts, { rows }) => statusScreen(facts, rows),
    changes: changeTeller(),
    passing: ['at'],
    json: options.json === true,
    pauseMs: options.interval * 1000,
    terminal,
    end: untilInterrupted(),
  });
}
