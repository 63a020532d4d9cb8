import { z } from 'zod';
import { type Ledger, stateOf } from '../../catalog/ledger';
import { scales } from '../../components/autoscaling/scales';
import type { Model } from '../../components/model';
import type { Holdings } from '../../delivery/backup/snapshots';
import type { LedgerEvent } from '../../delivery/ledger';
import { blindness } from '../../delivery/reconcile/words';
import { jobFolder } from '../../stacks/gitlab';
import { mayReconcile } from '../../stacks/merge-queue';
import { scaledBy } from '../drift/authors';
import { conditionsSchema } from '../outside/conditions';
import { autoscalerOf } from './autoscalers';
import { backupFacts, runOf } from './backups';
import type { LastJob, ModuleFacts, Reload, Running, StatusFacts } from './facts';
import { lastOf } from './last';

/** What the sidecar says when Jenkins took the configuration. */
const RELOADED = 'configuration reloaded';

const workloadSchema = z.looseObject({
  metadata: z.looseObject({ name: z.string(), labels: z.record(z.string(), z.string()).default({}) }),
  spec: z.looseObject({
    replicas: z.number().default(1),
    template: z.looseObject({
      spec: z.looseObject({ containers: z.array(z.looseObject({ image: z.string() })).min(1) }),
    }),
  }),
  status: z
    .looseObject({
      readyReplicas: z.number().default(0),
      updatedReplicas: z.number().default(0),
      conditions: conditionsSchema,
    })
    .prefault({}),
});

/** A workload as the API server tells it; undefined for what is none. */
export function workloadOf(
  object: unknown,
):
  | { readonly name: string; readonly module: string; readonly component: string; readonly running: Running }
  | undefined {
  const parsed = workloadSchema.safeParse(object);
  if (!parsed.success) return undefined;
  const { metadata, spec, status } = parsed.data;
  const by = scaledBy(object);
  const condition = (type: string, is: string) =>
    status.conditions?.find((one) => one.type === type && one.status === is);
  const failure = condition('ReplicaFailure', 'True');
  const late = condition('Progressing', 'False')?.reason === 'ProgressDeadlineExceeded';
  return {
    name: metadata.name,
    module: metadata.labels['switchyard.dev/module'] ?? '',
    component: metadata.labels['app.kubernetes.io/component'] ?? '',
    running: {
      image: spec.template.spec.containers[0]?.image ?? '',
      // A Pod of the release before is ready too: only those of this one count.
      ready: Math.min(status.readyReplicas, status.updatedReplicas),
      desired: spec.replicas,
      serving: status.readyReplicas,
      ...(by === undefined ? {} : { scaledBy: by }),
      ...(failure ? { failure: failure.message } : {}),
      ...(late ? { late } : {}),
    },
  };
}

const jobSchema = z.looseObject({
  number: z.number(),
  result: z.string().nullish(),
  timestamp: z.number(),
  url: z.string().default(''),
});

/** Jenkins' answer to `lastBuild/api/json`. */
export function jobOf(body: unknown): LastJob | undefined {
  const parsed = jobSchema.safeParse(body);
  if (!parsed.success) return undefined;
  const { number, result, timestamp, url } = parsed.data;
  return { number, result: result ?? 'RUNNING', at: new Date(timestamp).toISOString(), url };
}

/** Where Jenkins tells of a job's last build: jobs of a nested group lie in one folder of its flattened name. */
export const lastBuildUrl = ({ gitlab, jenkins }: Model['settings'], module: string): string =>
  `${jenkins.url}/job/${jobFolder(gitlab)}/job/${module}/lastBuild/api/json`;

/** The last line that the sidecar wrote which has Jenkins reload its configuration (`image/reload-casc.sh`). */
export function reloadOf(log: string | undefined): Reload | undefined {
  const [, at, word] = /^(\d{4}-\S+Z) (.+)$/.exec(log?.trim().split('\n').at(-1) ?? '') ?? [];
  return at === undefined || word === undefined ? undefined : { at, word, loaded: word === RELOADED };
}

/** Where the facts come from; each throws when it cannot answer. */
export interface Sources {
  readonly ledger: () => Promise<Ledger>;
  /** What was changed in it, newest first, until each of these modules is among it; asked only where something was released. */
  readonly events: (modules: readonly string[]) => Promise<readonly LedgerEvent[]>;
  /** Workloads of a kind that carry our production label. */
  readonly workloads: (kind: 'Deployment' | 'StatefulSet') => Promise<readonly unknown[]>;
  /** Autoscalers of production; asked only where a module scales. */
  readonly autoscalers: () => Promise<readonly unknown[]>;
  /** Body of the last build's page; undefined when the job never ran. */
  readonly lastBuild: (module: string) => Promise<unknown>;
  /** The end of the log of the sidecar that has Jenkins reload; asked only where Jenkins is ours. */
  readonly reload: () => Promise<string | undefined>;
  /** The end of the log of the reconciler; asked only where one runs. */
  readonly reconciler: () => Promise<string | undefined>;
  /** What the environment's repository holds; asked only where the stack makes backups. */
  readonly backups: () => Promise<Holdings>;
  /** Jobs that make them. */
  readonly backupJobs: () => Promise<readonly unknown[]>;
}

/** Reads what there is to know; what cannot be read is named and does not hide the rest. */
export async function readStatus(
  model: Model,
  sources: Sources,
  now = Math.floor(Date.now() / 1000),
): Promise<StatusFacts> {
  const problems: string[] = [];
  const attempt = async <T>(what: string, read: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await read();
    } catch (error) {
      const reason = error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error);
      problems.push(`${what} (${reason})`);
      return undefined;
    }
  };
  const { backup, jenkins } = model.settings;
  const withHistory = async () => {
    const ledger = await attempt('the release ledger', sources.ledger);
    const released = model.modules.flatMap(({ name }) =>
      ledger && stateOf(ledger, name).release ? [name] : [],
    );
    const events =
      released.length > 0
        ? await attempt("the release ledger's commits", () => sources.events(released))
        : undefined;
    return { ledger, events };
  };
  const [{ ledger, events }, objects, holdings, backupJobs, scalers, reload, reconciler] = await Promise.all([
    withHistory(),
    attempt('the production cluster', async () => [
      ...(await sources.workloads('Deployment')),
      ...(await sources.workloads('StatefulSet')),
    ]),
    backup ? attempt('the backups', sources.backups) : undefined,
    backup ? attempt('the backup jobs', sources.backupJobs) : undefined,
    scales(model) ? attempt('the autoscalers', sources.autoscalers) : undefined,
    jenkins.existing ? undefined : attempt("Jenkins' configuration", sources.reload),
    mayReconcile(jenkins) ? attempt('the reconciler', sources.reconciler) : undefined,
  ]);
  const reloaded = reloadOf(reload);
  const blind = blindness(reconciler);
  const workloads = (objects ?? []).flatMap((object) => workloadOf(object) ?? []);
  const jobs = await attempt('Jenkins', () =>
    Promise.all(model.modules.map(async ({ name }) => [name, jobOf(await sources.lastBuild(name))] as const)),
  );
  const lastJobs = new Map(jobs ?? []);
  const autoscalers = new Map(
    (scalers ?? [])
      .flatMap((object) => autoscalerOf(object) ?? [])
      .map(({ module, facts }) => [module, facts]),
  );
  const modules = model.modules.map(({ name, production }): ModuleFacts => {
    const own = workloads.filter(({ module }) => module === name);
    const { release, undone } = ledger ? stateOf(ledger, name) : {};
    return {
      name,
      released: release,
      ...(release && events
        ? {
            last: lastOf(
              events.filter((event) => event.module === name),
              release,
            ),
          }
        : {}),
      ...(undone ? { undone } : {}),
      running: own.find(({ component }) => component === 'module')?.running,
      services: Object.fromEntries(
        own.filter(({ component }) => component === 'service').map((found) => [found.name, found.running]),
      ),
      lastJob: lastJobs.get(name),
      ...(production.scaling && scalers ? { autoscaler: autoscalers.get(name) ?? 'none' } : {}),
    };
  });
  return {
    environment: model.settings.environment,
    at: new Date(now * 1000).toISOString(),
    modules,
    ...(backup
      ? {
          backups:
            holdings &&
            backupFacts(
              model,
              holdings,
              (backupJobs ?? []).flatMap((job) => runOf(job) ?? []),
              now,
            ),
        }
      : { backups: 'none' as const }),
    versions: model.settings.secrets.versions,
    rotating: model.settings.secrets.rotating,
    ...(reloaded ? { reload: reloaded } : {}),
    ...(blind === undefined ? {} : { blind }),
    problems,
    complete: ledger !== undefined && objects !== undefined,
  };
}
