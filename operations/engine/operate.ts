import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ProblemsError } from '../../catalog/problems';
import { fetchLedger } from '../../components/ask-gitlab';
import { ONLY_VARIABLE } from '../../components/inputs';
import { type Folders, loadModel } from '../../components/load';
import type { Model } from '../../components/model';
import { assertRules } from '../../rules/assert';
import { isSalted, secretsInStack, stackFile } from '../../stacks/load';
import {
  deployVariables,
  isOfOneModule,
  missingSecrets,
  neededSecrets,
  PASSPHRASE_VARIABLE,
  passphraseProblems,
  secretSources,
  seedProblems,
  stackVariables,
} from '../../stacks/secrets';
import { layOutImages } from '../build/lay-out';
import { confirmationText, countsText, questionFor } from '../cli/confirm';
import { FailedRun, type Outcome } from '../cli/outcome';
import { EXIT, Refusal } from '../cli/refusal';
import type { Terminal } from '../cli/terminal';
import { untilMigrationsEnd } from '../judge/migration-jobs';
import { deployTeller, followModule } from '../judge/rolling';
import { anonymousPushes } from '../outside/anonymous';
import { clusterOf } from '../outside/clients';
import { backendOf, foldersHere } from '../place';
import { basisOf } from '../preview/basis';
import { programHere } from '../program/program';
import { growingVolumes, untilGrown } from '../volumes';
import { type Growth, grown, growthLine } from '../volumes/growth';
import { Engine, type EngineOperation, type Operation, type OperationResult, type RunInputs } from './engine';
import { explain } from './explain';
import { FaultGatherer } from './faults';
import { lockHolders } from './lock';
import { settle, untilEnded, worldOf } from './repair';
import { keptByGitLab, losing, type Step, StepGatherer } from './steps';
import { imageUrns, productionUrns, replaceUrns } from './urns';

export interface OperateOptions {
  readonly only?: string;
  readonly replace?: string[];
  readonly yes?: boolean;
  /** Leave the images that the topology builds as they are. */
  readonly withoutImages?: boolean;
  /** Minutes to wait for whoever changes the environment or deploys to it. @default 20 for a deploy, 0 for all else */
  readonly lockTimeout?: number;
  /** What it claims lapses when its process is gone: see `EngineInputs.lease`. */
  readonly lease?: boolean;
  /** Of an `up`: see {@link assertBasis}. */
  readonly basis?: string;
}

/** An environment, read and checked, with the engine on it. */
export interface Session {
  readonly folders: Folders;
  readonly model: Model;
  readonly engine: Engine;
  /** GitLab's token, from the environment or the stack; empty where neither has it. */
  readonly gitlabToken: () => Promise<string>;
}

/** @throws ProblemsError naming each secret that the program will need and nobody brings, and a seed that is none */
export function requireSecrets(folders: Folders, model: Model, only?: readonly string[]): void {
  const { environment } = model.settings;
  const inStack = secretsInStack(folders.stacks, environment);
  const needed = neededSecrets((only ? deployVariables : stackVariables)(model.settings));
  const seed = inStack.includes('seed') ? undefined : process.env[secretSources.seed];
  const problems = [
    ...missingSecrets(environment, needed, (key) => inStack.includes(key)),
    ...(seed ? seedProblems(environment, seed) : []),
  ];
  if (problems.length > 0) throw new ProblemsError(problems);
}

/** @throws ProblemsError where the stack file lets whoever reads it guess the passphrase */
function refuseGuessable({ stacks }: Folders, environment: string): void {
  const passphrase = process.env[PASSPHRASE_VARIABLE];
  if (passphrase === undefined) return;
  const file = readFileSync(join(stacks, stackFile(environment)), 'utf8');
  const problems = passphraseProblems(environment, passphrase, isSalted(file));
  if (problems.length > 0) throw new ProblemsError(problems);
}

/** @throws ProblemsError naming each registry that builds reach and may push to without a login */
async function refuseOpenRegistries(settings: Model['settings']): Promise<void> {
  const problems = await anonymousPushes(settings);
  if (problems.length > 0) throw new ProblemsError(problems);
}

/** Turns what the engine's command line says before its first event into a sentence. */
export function engineFailure(
  error: unknown,
  operation: string,
  environment: string,
  told: boolean,
): Refusal {
  if (error instanceof Refusal || !(error instanceof Error)) {
    return error instanceof Refusal ? error : new Refusal(String(error), EXIT.failed);
  }
  const holders = lockHolders(error.message).map(
    ({ user, host, pid, since }) => `created by ${user}@${host} (pid ${pid}) at ${since}`,
  );
  if (holders.length > 0 || error.name === 'ConcurrentUpdateError') {
    return new Refusal(
      `${environment} is locked, ${holders.join('; ') || 'another run is under way'}. Wait for it; when that process is gone, say: switchyard cancel ${environment}`,
      EXIT.locked,
    );
  }
  if (error.name === 'StackNotFoundError') {
    return new Refusal(`${environment} was never brought up: its backend has no such stack.`, EXIT.failed);
  }
  if (/spawn pulumi ENOENT/.test(error.message)) {
    return new Refusal(
      'The Pulumi CLI is not on PATH. Install it (https://www.pulumi.com/docs/install); `npm run lab` builds one of its own.',
      EXIT.failed,
    );
  }
  const kept = 'What was done is kept: run the same command again.';
  if (told) return new Refusal(`${operation} failed; the reasons stand above. ${kept}`, EXIT.failed);
  const said = /\n stderr: [^\n]*\n([\s\S]*?)\n err\?:/.exec(error.message)?.[1]?.trim() ?? error.message;
  return new Refusal(`${operation} failed: ${said}`, EXIT.failed);
}

/** Opens an environment for as long as `use` takes. */
export async function withSession<T>(
  environment: string,
  operation: string,
  terminal: Terminal,
  use: (session: Session) => Promise<T>,
  options: {
    /** What comes before the engine is started: checks, and what the program reads. */
    readonly before?: (folders: Folders, model: Model) => Promise<void> | void;
    /** Refuse an environment that was never brought up. @default false: it is begun */
    readonly existing?: boolean;
    /** Modules to read the catalog for. @default all */
    readonly only?: readonly string[];
    /** A deploy, on this module's part of the state. @default the environment's own state */
    readonly part?: string;
    /** See {@link OperateOptions.lockTimeout}. */
    readonly lockTimeout?: number;
    /** See {@link OperateOptions.lease}. */
    readonly lease?: boolean;
  } = {},
): Promise<T> {
  const folders = foldersHere();
  const model = loadModel(folders, environment, options.only);
  const { settings } = model;
  const backend = backendOf(settings);
  await options.before?.(folders, model);
  const program = await programHere();
  let engine: Engine | undefined;
  try {
    const opened = await Engine.open({
      root: folders.root,
      project: folders.project,
      environment,
      backend,
      stateCopies: settings.stateCopies,
      stacks: folders.stacks,
      program,
      existing: options.existing,
      part: options.part,
      lease: options.lease,
      ...(options.lockTimeout === undefined ? {} : { patienceMs: options.lockTimeout * 60_000 }),
      settle: async (create) => settle(create, worldOf(settings, await gitlabToken())),
      untilEnded: async (change) => untilEnded(change, worldOf(settings, await gitlabToken())),
      note: (text) => terminal.note(text),
    });
    engine = opened;
    const gitlabToken = async () =>
      process.env[secretSources.gitlabToken] ?? (await opened.config('switchyard:gitlabToken')) ?? '';
    return await use({ folders, model, engine, gitlabToken });
  } catch (error) {
    if (error instanceof ProblemsError) throw error;
    throw engineFailure(error, operation, environment, false);
  } finally {
    await engine?.close();
  }
}

export interface Watched extends OperationResult {
  readonly steps: readonly Step[];
  readonly document: Readonly<Record<string, unknown>>;
}

/**
 * Runs an operation of the engine under the eyes of a person: progress, then warnings and faults.
 * @throws FailedRun with the document of what was done
 */
export async function watch(
  session: Session,
  operation: EngineOperation,
  terminal: Terminal,
  inputs: Partial<RunInputs> & { readonly title: string },
): Promise<Watched> {
  const { environment } = session.model.settings;
  const progress = terminal.progress(inputs.title);
  const steps = new StepGatherer();
  const faults = new FaultGatherer();
  const begun = Date.now();
  const documentOf = (fields: Readonly<Record<string, unknown>>) => ({
    operation,
    seconds: Math.round((Date.now() - begun) / 100) / 10,
    resources: steps.all(),
    ...faults.all(),
    ...fields,
  });
  try {
    const { title: _title, ...rest } = inputs;
    const result = await session.engine.run(operation, {
      ...rest,
      onEvent: (event) => {
        progress.take(event);
        steps.take(event);
        faults.take(event);
        inputs.onEvent?.(event);
      },
    });
    progress.end();
    terminal.faults(faults.all());
    const document = documentOf({ changes: result.changes, outputs: result.outputs });
    return { ...result, steps: steps.all(), document };
  } catch (error) {
    progress.end();
    terminal.faults(faults.all());
    const remedies = explain(faults.all().errors.map(({ message }) => message));
    for (const remedy of remedies) terminal.note(remedy);
    const told = faults.all().errors.length > 0;
    const failure = engineFailure(error, operation, environment, told);
    const document = documentOf(told ? {} : { errors: [{ message: failure.message }] });
    throw new FailedRun(failure.message, failure.code, document);
  }
}

/**
 * Asks whether steps may be taken; whoever says `--yes` is not asked.
 * @throws Refusal when the answer is no, or nobody is there
 */
export async function confirmed(
  terminal: Terminal,
  operation: string,
  session: Session,
  planned: Pick<Watched, 'steps' | 'changes'>,
): Promise<void> {
  const { environment, confirm } = session.model.settings;
  const [head, ...rest] = confirmationText(operation, environment, planned.steps, planned.changes);
  terminal.note(head ?? '');
  for (const line of rest) terminal.note(terminal.colours.bold(line));
  const question = questionFor(operation, environment, confirm);
  const answer = await terminal.ask(question.text);
  if (answer === undefined || !question.accepts(answer.trim())) throw nothingDone(operation);
}

export const nothingDone = (operation: string): Refusal =>
  new Refusal(`Nothing was done. Say --yes to ${operation} without being asked.`, EXIT.declined);

const stepLine = ({ operation, kind, name, properties, data }: Step): string => {
  const changed = properties.length > 0 ? `: ${properties.join(', ')}` : '';
  return `${operation.padEnd(8)} ${kind} ${name}${changed}${data ? `  (holds data: ${data})` : ''}`;
};

/**
 * Holds what is recorded against what was compared. A plan is of one state and one ledger: on others the same program would do
 * something else than its reviewers saw.
 * @throws Refusal where something was released or changed since
 */
export async function assertBasis(
  {
    model,
    engine,
    gitlabToken,
  }: Pick<Session, 'model' | 'gitlabToken'> & { readonly engine: Pick<Engine, 'state'> },
  basis: string,
): Promise<void> {
  const { environment, gitlab } = model.settings;
  const ledger = await fetchLedger(gitlab.url, gitlab.group, await gitlabToken(), environment);
  if (basisOf(await engine.state(), ledger) === basis) return;
  throw new Refusal(
    `${environment} was changed since it was compared, by a release or an \`up\`: nothing was done. Compare it again.`,
    EXIT.moved,
  );
}

/** `preview`, `up`, `refresh` and `destroy`. */
export async function operate(
  operation: Operation,
  environment: string,
  options: OperateOptions,
  terminal: Terminal,
): Promise<Outcome> {
  const asks = (operation === 'up' || operation === 'destroy') && !options.yes;
  const only = options.only?.split(',').filter((name) => name !== '');
  const withoutImages = options.withoutImages === true;
  // Whoever cannot derive the environment's secrets cannot open its state either.
  const part = isOfOneModule(process.env[secretSources.seed] ?? '') ? (only?.join(',') ?? '') : undefined;
  if (part !== undefined && only?.length !== 1)
    throw new Refusal(
      `${secretSources.seed} is the keys of one module: say --only with its name.`,
      EXIT.badInput,
    );
  const tell = part === undefined ? undefined : deployTeller();
  tell?.({ step: 'state' });
  let growing: readonly Growth[] = [];
  const prepare = async (folders: Folders, model: Model) => {
    if (only) process.env[ONLY_VARIABLE] = only.join(',');
    if (operation === 'preview' || operation === 'up') {
      assertRules(model, only);
      requireSecrets(folders, model, only);
      refuseGuessable(folders, environment);
      // The Pods of a merge request reach no registry, and this one changes nothing.
      if (operation === 'up' && !only) await refuseOpenRegistries(model.settings);
      // A deploy changes no volume.
      if (!only) growing = await growingVolumes(model, (text) => terminal.note(text));
    }
    if (asks && !process.stdin.isTTY) throw nothingDone(operation);
    // A deploy evaluates one module's production box and builds no image; images may be left out.
    if (!only && !withoutImages && operation !== 'destroy') await layOutImages(model);
  };
  return withSession(
    environment,
    operation,
    terminal,
    async (session) => {
      tell?.({ step: 'begun' });
      const stack = session.engine.stackName;
      const targets = only ? productionUrns(stack, session.model, only) : undefined;
      const replace = options.replace ? replaceUrns(stack, session.model, options.replace) : undefined;
      const exclude = withoutImages && !only ? imageUrns(stack, session.model) : undefined;
      const title = `${operation} of ${environment}`;
      if (asks) {
        const before = operation === 'up' ? 'preview' : 'previewDestroy';
        const planned = await watch(session, before, terminal, {
          targets,
          replace,
          exclude,
          title: `preview of ${title}`,
        });
        if (Object.keys(planned.changes).length === 0 && growing.length === 0) {
          return { document: { ...planned.document, operation }, lines: [`${title}: no change`] };
        }
        for (const one of growing) terminal.note(growthLine(one));
        await confirmed(terminal, operation, session, planned);
      }
      const before = async () => {
        if (options.basis !== undefined) await assertBasis(session, options.basis);
        await untilMigrationsEnd(session.model, only, (text) => terminal.note(text));
        for (const one of growing.filter(({ byEngine }) => !byEngine))
          await clusterOf(session.model.settings, one.role).patch({ ...grown(one) });
      };
      const over = new AbortController();
      const { model } = session;
      const deployed = model.modules.find(({ name }) => name === part);
      if (tell && deployed) void followModule(model.settings, deployed, tell, over.signal);
      const result = await watch(session, operation, terminal, {
        targets,
        replace,
        exclude,
        title,
        ...(operation === 'up' ? { before } : {}),
      }).finally(() => over.abort());
      if (operation === 'up' && growing.length > 0) {
        terminal.note(`${growing.length} volume(s) grow; they are waited for`);
        const faults = await untilGrown(session.model.settings, growing);
        if (faults.length > 0) {
          const errors = faults.map((message) => ({ message }));
          throw new FailedRun(faults.join('\n'), EXIT.failed, { ...result.document, errors });
        }
      }
      if (operation === 'destroy')
        for (const line of keptByGitLab(result.steps, model.settings.gitlab)) terminal.note(line);
      const listed = operation === 'preview' ? result.steps.map(stepLine) : [];
      const data = losing(result.steps).filter((step) => step.data !== undefined).length;
      const warned = operation === 'preview' && data > 0 ? [`${data} of them take data with them`] : [];
      return {
        document: result.document,
        lines: [...listed, ...warned, ...growing.map(growthLine), `${title}: ${countsText(result.changes)}`],
      };
    },
    { before: prepare, only, part, lockTimeout: options.lockTimeout, lease: options.lease },
  );
}
