import { ROTATING_VARIABLE } from '../../components/inputs';
import { type Folders, loadModel } from '../../components/load';
import { type Model, testedModules } from '../../components/model';
import { EVERY } from '../../components/shared/rotation';
import type { Kind } from '../../delivery/backup/snapshots';
import { assertRules } from '../../rules/assert';
import { isOneCluster } from '../../stacks/clusters';
import { secretSources } from '../../stacks/secrets';
import { layOutImages } from '../build/lay-out';
import { questionFor } from '../cli/confirm';
import { FailedRun, type Outcome } from '../cli/outcome';
import { EXIT, Refusal } from '../cli/refusal';
import type { Terminal } from '../cli/terminal';
import { nothingDone, requireSecrets, type Session, withSession } from '../engine/operate';
import { isRealResource } from '../engine/urns';
import { clusterOf, gitlabApiOf } from '../outside/clients';
import { foldersHere } from '../place';
import { type Chosen, chooseBackup, momentOf, openBackup } from './backup';
import { sendCanary, stamped } from './canary';
import { Journal, type RebuildRecord, recordFile, type StepName } from './record';
import {
  type Restoring,
  restoreDatabases,
  restoreImages,
  restoreJenkins,
  restoreRepositories,
} from './restore';
import { foundation, mendState, whole } from './steps';
import { lookAround, namespaceNames, permitted, type TargetName, targetNames, targetsNamed } from './targets';
import { planLines, type RebuildPlan, resultLines } from './tell';

export interface RebuildOptions {
  /** `latest`, or a time. */
  readonly from: string;
  /** In place of the stack's, e.g. a copied folder. */
  readonly repository?: string;
  readonly plan?: boolean;
  readonly over?: string[];
  readonly keep?: string[];
  /** A module's name; true: the first one; false: none. @default true */
  readonly canary?: string | boolean;
  readonly yes?: boolean;
}

/** The secrets of a rebuild, which must come from the environment: the state that may hold them may be lost. */
function bringSecrets(): { readonly seed: string; readonly gitlabToken: string } {
  const { [secretSources.seed]: seed, [secretSources.gitlabToken]: gitlabToken } = process.env;
  const missing = [seed ? '' : secretSources.seed, gitlabToken ? '' : secretSources.gitlabToken].filter(
    Boolean,
  );
  if (!seed || !gitlabToken) {
    throw new Refusal(
      `A rebuild needs ${missing.join(' and ')} in its environment. Take them from where your team keeps them.`,
      EXIT.badInput,
    );
  }
  return { seed, gitlabToken };
}

/** How many resources the state holds; undefined where there is none. */
async function resourcesInState(environment: string, terminal: Terminal): Promise<number | undefined> {
  try {
    return await withSession(
      environment,
      'rebuild',
      terminal,
      async ({ engine }) => {
        const { deployment } = (await engine.state()) as { deployment: { resources?: { type: string }[] } };
        return (deployment.resources ?? []).filter(({ type }) => isRealResource(type)).length;
      },
      { existing: true },
    );
  } catch (error) {
    if (error instanceof Refusal && /was never brought up/.test(error.message)) return undefined;
    throw error;
  }
}

/**
 * Module that a canary is sent through.
 * @throws Refusal for one that none can be sent through
 */
export function canaryOf(
  model: Model,
  { canary = true }: Pick<RebuildOptions, 'canary'>,
): string | undefined {
  const { modules, settings } = model;
  if (canary === false) return undefined;
  // Nobody approves or merges a canary.
  if (canary === true) return testedModules(model).find(({ merge }) => merge === 'automatic')?.name;
  if (settings.promotion)
    throw new Refusal(
      `--canary: merge requests are tested in ${settings.promotion.from}, and reach this environment by a promotion. Leave it out.`,
      EXIT.badInput,
    );
  const named = modules.find(({ name }) => name === canary);
  if (named?.merge === 'automatic') return canary;
  throw new Refusal(
    named
      ? `--canary: merge requests of ${canary} wait for a person (merge: ${named.merge}). Name a module that is merged automatically, or say --no-canary.`
      : `--canary: there is no module "${canary}" in this environment.`,
    EXIT.badInput,
  );
}

const oneCluster = (model: Model, words: string[] | undefined): string[] | undefined =>
  // In one cluster nobody can mean only half of it.
  isOneCluster(model.settings.clusters)
    ? words?.map((word) => (word === 'ci' || word === 'production' ? 'cluster' : word))
    : words;

interface Prepared {
  readonly model: Model;
  readonly folders: Folders;
  readonly secrets: ReturnType<typeof bringSecrets>;
  readonly restic: ReturnType<typeof openBackup>;
  readonly plan: RebuildPlan;
  readonly unfinished: RebuildRecord | undefined;
  readonly seconds: Readonly<Record<'repository' | 'targets', number>>;
}

/** Looks at everything, changes nothing. @throws Refusal of a broken backup, before anything else, and of what lives */
async function prepare(environment: string, options: RebuildOptions, terminal: Terminal): Promise<Prepared> {
  const folders = foldersHere();
  const model = loadModel(folders, environment);
  const { settings } = model;
  assertRules(model);
  requireSecrets(folders, model);
  const secrets = bringSecrets();
  const canary = canaryOf(model, options);
  const wantedOver = targetsNamed('--over', oneCluster(model, options.over));
  const wantedKeep = targetsNamed('--keep', oneCluster(model, options.keep));
  const unfinished = Journal.unfinished(recordFile(environment));
  if (unfinished && unfinished.from !== options.from) {
    throw new Refusal(
      `A rebuild of ${environment} from ${unfinished.from} was begun at ${unfinished.begun} and has not ended: say --from ${unfinished.from} to go on with it. To begin anew, remove ${recordFile(environment)}.`,
      EXIT.badInput,
    );
  }
  const begun = Date.now();
  const restic = openBackup(settings, secrets.seed, options.repository);
  terminal.note('Reading back the backup');
  const at = unfinished?.at ?? momentOf(options.from);
  const chosen = await chooseBackup(restic, at, { readBack: unfinished === undefined });
  const sizes = options.plan ? await sizesOf(restic, chosen) : new Map<Kind, number>();
  const looked = Date.now();
  terminal.note('Looking at what lives');
  const alive = await lookAround(model, {
    gitlab: gitlabApiOf(settings, secrets.gitlabToken),
    namespaces: async (role) =>
      namespaceNames(
        await clusterOf(settings, role).list(
          'v1',
          'Namespace',
          `app.kubernetes.io/part-of=switchyard,switchyard.dev/environment=${environment}`,
        ),
      ),
  });
  const burntAgain = unfinished?.steps.foundation && targetNames.filter((name) => !alive.has(name));
  if (burntAgain && burntAgain.length > 0) {
    throw new Refusal(
      `What the rebuild begun at ${unfinished?.begun} made in ${burntAgain.join(' and ')} is gone again, so it cannot go on. Remove ${recordFile(environment)} to begin anew.`,
      EXIT.badInput,
    );
  }
  // What an unfinished rebuild made itself is not in its way.
  const allowed = unfinished
    ? { over: named(unfinished.over), keep: named(unfinished.keep) }
    : permitted(alive, wantedOver, wantedKeep);
  return {
    folders,
    model,
    secrets,
    restic,
    unfinished,
    plan: {
      environment,
      repository: options.repository ?? settings.backup?.repository ?? '',
      chosen,
      sizes,
      alive,
      ...allowed,
      resources: await resourcesInState(environment, terminal),
      canary,
      done: Object.keys(unfinished?.steps ?? {}),
    },
    seconds: { repository: (looked - begun) / 1000, targets: (Date.now() - looked) / 1000 },
  };
}

const named = (words: readonly string[]): TargetName[] => targetNames.filter((name) => words.includes(name));

async function sizesOf(
  restic: Pick<Prepared['restic'], 'size'>,
  { snapshots }: Chosen,
): Promise<Map<Kind, number>> {
  const sizes = new Map<Kind, number>();
  for (const snapshot of snapshots) {
    sizes.set(snapshot.kind, (sizes.get(snapshot.kind) ?? 0) + (await restic.size(snapshot)));
  }
  return sizes;
}

function openJournal(environment: string, options: RebuildOptions, prepared: Prepared): Journal {
  const { plan, seconds, unfinished } = prepared;
  const file = recordFile(environment);
  if (unfinished) return Journal.goOn(file, unfinished);
  const journal = Journal.begin(file, {
    environment,
    from: options.from,
    at: plan.chosen.at,
    begun: new Date().toISOString(),
    over: [...plan.over],
    keep: [...plan.keep],
    steps: {},
    restored: [],
  });
  journal.done('repository', seconds.repository);
  journal.done('targets', seconds.targets);
  return journal;
}

async function asked(environment: string, model: Model, terminal: Terminal): Promise<void> {
  const question = questionFor('rebuild', environment, model.settings.confirm);
  const answer = await terminal.ask(question.text);
  if (answer === undefined || !question.accepts(answer.trim())) throw nothingDone('rebuild');
}

/** The steps that change something, each once. */
async function carryOut(
  session: Session,
  prepared: Prepared,
  journal: Journal,
  terminal: Terminal,
): Promise<string | undefined> {
  const { model, restic, secrets, plan } = prepared;
  const { record } = journal;
  const lived = new Set(named([...record.over, ...record.keep]));
  const restoring: Restoring = {
    model,
    restic,
    chosen: plan.chosen,
    ...secrets,
    journal,
    note: (text) => terminal.note(text),
  };
  const step = async (name: StepName, work: () => Promise<void>): Promise<void> => {
    if (journal.hasDone(name)) return terminal.note(`${name}: done before`);
    terminal.note(`${name} …`);
    const begun = Date.now();
    await work();
    journal.done(name, (Date.now() - begun) / 1000);
  };
  await step('state', () => mendState(session, terminal, lived));
  await step('foundation', () => foundation(session, terminal, lived.size > 0));
  await step('repositories', () => restoreRepositories(restoring));
  await step('registry', () => restoreImages(restoring, 'released'));
  await step('databases', () => restoreDatabases(restoring));
  await step('jenkins', () => restoreJenkins(restoring));
  await step('topology', () => whole(session, terminal, lived.size > 0));
  let canary: string | undefined;
  const { canary: module } = plan;
  if (module !== undefined) {
    await step('canary', async () => {
      canary = await sendCanary({
        settings: model.settings,
        gitlab: gitlabApiOf(model.settings, secrets.gitlabToken),
        module,
        name: stamped('rebuild'),
        note: (text) => terminal.note(text),
      });
    });
  }
  await step('history', () => restoreImages(restoring, 'history'));
  return canary;
}

/** What a rebuild did, for the report of a drill. */
export interface Rebuilt {
  readonly record: RebuildRecord;
  readonly plan: RebuildPlan;
  /** The canary's commit on main. */
  readonly canary: string | undefined;
}

/** Rebuilds an environment; undefined where only the plan was wanted. */
export async function runRebuild(
  environment: string,
  options: RebuildOptions,
  terminal: Terminal,
): Promise<Rebuilt | RebuildPlan> {
  const prepared = await prepare(environment, options, terminal);
  if (options.plan) return prepared.plan;
  for (const line of planLines(prepared.plan)) terminal.note(line);
  if (!options.yes) await asked(environment, prepared.model, terminal);
  const journal = openJournal(environment, options, prepared);
  await layOutImages(prepared.model);
  // A lost state holds no secret that could be kept, and what is taken over comes without them.
  process.env[ROTATING_VARIABLE] = EVERY;
  try {
    const canary = await withSession(environment, 'rebuild', terminal, (session) =>
      carryOut(session, prepared, journal, terminal),
    );
    journal.end();
    return { record: journal.record, plan: prepared.plan, canary };
  } catch (error) {
    const said = error instanceof Error ? error.message : String(error);
    throw new FailedRun(
      `${said}\nThe rebuild goes on from there when the same command is run again.`,
      EXIT.failed,
      { steps: journal.record.steps, errors: [{ message: said }] },
    );
  } finally {
    delete process.env[ROTATING_VARIABLE];
  }
}

/** `switchyard rebuild` */
export async function rebuild(
  environment: string,
  options: RebuildOptions,
  terminal: Terminal,
): Promise<Outcome> {
  if (!options.plan && !options.yes && !process.stdin.isTTY) throw nothingDone('rebuild');
  const done = await runRebuild(environment, options, terminal);
  if (!('record' in done)) {
    const { chosen, sizes, alive, ...rest } = done;
    return {
      document: {
        ...rest,
        at: new Date(chosen.at * 1000).toISOString(),
        snapshots: chosen.snapshots,
        bytes: Object.fromEntries(sizes),
        alive: Object.fromEntries(alive),
      },
      lines: planLines(done),
    };
  }
  return { document: { ...done.record, canary: done.canary }, lines: resultLines(done.record) };
}
