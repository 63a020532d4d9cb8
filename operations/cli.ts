import { appendFileSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { CommandError, ConcurrentUpdateError, type EngineEvent } from '@pulumi/pulumi/automation';
import { Command } from 'commander';
import { findModule } from '../catalog/load';
import { ProblemsError } from '../catalog/problems';
import { type BoxDeclaration, topologyBoxes } from '../components/boxes';
import { ONLY_VARIABLE } from '../components/inputs';
import { defaultFolders, loadModel } from '../components/load';
import type { Model } from '../components/model';
import { typeToken } from '../components/shared/box';
import type { Declaration } from '../components/shared/declaration';
import program from '../index';
import { secretsInStack, stackNames } from '../stacks/load';
import { missingSecrets, neededSecrets } from '../stacks/secrets';
import { breakLock, type Operation, PROJECT, runOperation } from './engine';
import { lockHolders } from './lock';
import { previewInputs } from './preview/gather';
import { scrub, writePreviewInputs } from './preview/prepare';
import { withhold } from './preview/withhold';
import { renderTopology, writeRendered } from './render';
import { settle, worldOf } from './repair';

/** Exit codes, for scripts. */
const EXIT = { failed: 1, badInput: 2, declined: 3, locked: 4 } as const;

/** The checkout, or the folder that the delivery image was laid out in. */
const root = existsSync(join(__dirname, '..', 'catalog')) ? resolve(__dirname, '..') : process.cwd();

class Refusal extends Error {
  constructor(
    message: string,
    readonly code: number,
  ) {
    super(message);
  }
}

interface RunOptions {
  readonly only?: string;
  readonly replace?: string[];
  readonly yes?: boolean;
  readonly record?: string;
  readonly withoutImages?: boolean;
}

/** URNs that a run is limited to or told to replace: told from the model alone, since names are fixed there. */
function urnsOf(
  environment: string,
  model: Model,
  wanted: (box: BoxDeclaration, declaration: Declaration) => boolean,
): string[] {
  return topologyBoxes(model).flatMap((box) =>
    box.declarations
      .filter((declaration) => wanted(box, declaration))
      .map(
        (declaration) =>
          `urn:pulumi:${environment}::${PROJECT}::${typeToken('index', 'Topology')}$${typeToken(box.box)}$${declaration.type}::${declaration.name}`,
      ),
  );
}

/** The production boxes of some modules. */
function productionUrns(environment: string, model: Model, modules: readonly string[]): string[] {
  // A module that is deployed for the first time has no release here yet; its workload is targeted all the same.
  const releases = Object.fromEntries(
    modules.map((name) => [name, { image: 'to-be-read@sha256:0', commit: '' }]),
  );
  return urnsOf(
    environment,
    { ...model, releases },
    (box) => box.box === 'production' && box.module !== undefined && modules.includes(box.module),
  );
}

/** @throws Refusal for a name that the topology does not have */
function replaceUrns(environment: string, model: Model, resources: readonly string[]): string[] {
  return resources.flatMap((name) => {
    const found = urnsOf(environment, model, (_box, declaration) => declaration.name === name);
    if (found.length > 0) return found;
    throw new Refusal(
      `--replace: ${environment} has no resource "${name}". Their names stand in resources.md of \`switchyard render ${environment}\`.`,
      EXIT.badInput,
    );
  });
}

/** The images that the topology builds. */
const imageUrns = (environment: string, model: Model): string[] =>
  urnsOf(environment, model, (_box, declaration) => declaration.provider === 'docker');

/** Writes each event of the engine on a line of `events.jsonl`: what `delivery` makes a merge request's note from. */
function openRecord(folder: string): (event: EngineEvent) => void {
  mkdirSync(folder, { recursive: true });
  const file = join(folder, 'events.jsonl');
  writeFileSync(file, '');
  return (event) => appendFileSync(file, `${JSON.stringify(event)}\n`);
}

async function confirm(question: string): Promise<boolean> {
  if (!process.stdin.isTTY) return false;
  const prompt = createInterface({ input: process.stdin, output: process.stdout });
  try {
    return (await prompt.question(`${question} [y/N] `)).trim().toLowerCase() === 'y';
  } finally {
    prompt.close();
  }
}

/** The engine prints its diagnostics as it goes; what its command line says before that is only in the error. */
function engineFailure(
  error: CommandError,
  operation: Operation,
  environment: string,
  printed: boolean,
): Refusal {
  if (error instanceof ConcurrentUpdateError) {
    const holders = lockHolders(error.message).map(
      ({ user, host, pid, since }) => `created by ${user}@${host} (pid ${pid}) at ${since}`,
    );
    return new Refusal(
      `${environment} is locked, ${holders.join('; ') || 'another run is under way'}. Wait for it; when that process is gone, say: switchyard cancel ${environment}`,
      EXIT.locked,
    );
  }
  if (/spawn pulumi ENOENT/.test(error.message)) {
    return new Refusal(
      'The Pulumi CLI is not on PATH. Install it (https://www.pulumi.com/docs/install); `npm run lab` builds one of its own.',
      EXIT.failed,
    );
  }
  const said = /\n stderr: [^\n]*\n([\s\S]*?)\n err\?:/.exec(error.message)?.[1]?.trim() ?? error.message;
  const kept = 'What was done is kept: run the same command again.';
  return new Refusal(
    printed ? `${operation} failed; the reasons stand above. ${kept}` : `${operation} failed: ${said}`,
    EXIT.failed,
  );
}

async function operate(operation: Operation, environment: string, options: RunOptions): Promise<void> {
  const folders = defaultFolders(root);
  const model = loadModel(folders, environment);
  const only = options.only?.split(',').filter((name) => name !== '');
  for (const name of only ?? []) findModule(model.catalog, name);
  if (only) process.env[ONLY_VARIABLE] = only.join(',');
  if (operation === 'preview' || operation === 'up') {
    const inStack = secretsInStack(folders.stacks, environment);
    const needed = neededSecrets(model.settings.deployEnvironment);
    const missing = missingSecrets(environment, needed, (key) => inStack.includes(key));
    if (missing.length > 0) throw new ProblemsError(missing);
  }
  if (operation !== 'preview' && operation !== 'refresh' && !options.yes) {
    if (!(await confirm(`${operation} ${environment}?`))) {
      throw new Refusal(`Nothing was done. Say --yes to ${operation} without being asked.`, EXIT.declined);
    }
  }
  const withoutImages = options.withoutImages === true || options.record !== undefined;
  const record = options.record === undefined ? undefined : openRecord(resolve(options.record));
  // A deploy evaluates one module's production box and builds no image; images may be left out.
  if (!only && !withoutImages && operation !== 'destroy' && existsSync(join(root, 'delivery', 'cli.ts'))) {
    // Loaded here, because the delivery image, which has no bundler, runs this file too.
    const { buildDeliveryImage } = await import('./build');
    await buildDeliveryImage(root);
  }
  let printed = false;
  const result = await runOperation(operation, {
    root,
    environment,
    backend: process.env.PULUMI_BACKEND_URL ?? model.settings.backend,
    stacks: folders.stacks,
    program,
    settle: (create) => settle(create, worldOf(model.settings, process.env.GITLAB_TOKEN ?? '')),
    targets: only ? productionUrns(environment, model, only) : undefined,
    replace: options.replace ? replaceUrns(environment, model, options.replace) : undefined,
    exclude: withoutImages ? imageUrns(environment, model) : undefined,
    onEvent: record,
    print: (text) => {
      printed = true;
      process.stdout.write(text);
    },
  }).catch((error: unknown) => {
    throw error instanceof CommandError ? engineFailure(error, operation, environment, printed) : error;
  });
  const counts = Object.entries(result.changes).map(([kind, count]) => `${count} ${kind}`);
  process.stdout.write(
    `${operation} of ${environment}: ${counts.length > 0 ? counts.join(', ') : 'no change'}\n`,
  );
}

function cli(): Command {
  const command = new Command('switchyard')
    .description("A company's CI/CD topology as one program")
    .showHelpAfterError('(see --help)')
    .exitOverride();
  for (const operation of ['preview', 'up', 'refresh', 'destroy'] as const) {
    const subcommand = command
      .command(`${operation} <environment>`)
      .description(`Pulumi's ${operation} of an environment`)
      .option('--only <modules>', 'production of these modules only, separated by commas')
      .option('--yes', 'do not ask');
    if (operation === 'preview' || operation === 'up') {
      subcommand.option(
        '--replace <resources...>',
        'make these anew although their inputs are unchanged, as after a change behind a tag',
      );
    }
    if (operation === 'preview' || operation === 'up') {
      subcommand.option('--without-images', 'leave the images that the topology builds as they are');
    }
    if (operation === 'preview') {
      subcommand.option(
        '--record <folder>',
        "write the engine's events there, for a merge request's note; images are left out",
      );
    }
    subcommand.action((environment: string, options: RunOptions) => operate(operation, environment, options));
  }
  command
    .command('cancel <environment>')
    .description('break the lock of a run that is gone; its half-done work is settled by the next one')
    .option('--yes', 'do not ask')
    .action(async (environment: string, options: { yes?: boolean }) => {
      const folders = defaultFolders(root);
      const { settings } = loadModel(folders, environment);
      if (!options.yes && !(await confirm(`Break the lock of ${environment}?`))) {
        throw new Refusal('Nothing was done. Say --yes to cancel without being asked.', EXIT.declined);
      }
      const backend = process.env.PULUMI_BACKEND_URL ?? settings.backend;
      await breakLock({ environment, backend, stacks: folders.stacks, root, program });
      process.stdout.write(`${environment} is unlocked\n`);
    });
  const gather = (environment: string) => {
    const folders = defaultFolders(root);
    return previewInputs({ root, environment, folders, program });
  };
  command
    .command('withhold <environment>')
    .description(
      'write what a preview of foreign code may see: the state without its secrets, and placeholders',
    )
    .requiredOption('--out <folder>', 'where to; what stands there goes')
    .action(async (environment: string, options: { out: string }) => {
      const { state, unmarked } = writePreviewInputs(await gather(environment), resolve(options.out));
      if (unmarked > 0) {
        process.stderr.write(`${unmarked} text(s) of the state hold a secret without being marked as one\n`);
      }
      process.stdout.write(
        `${environment}: state ${state.slice(0, 12)} without its secrets in ${options.out}\n`,
      );
    });
  command
    .command('scrub <environment> <folder>')
    .description(
      'take secret values out of what a preview wrote; leaves a file `leaked` beside it when there were any',
    )
    .action(async (environment: string, folder: string) => {
      const { deployment, boxes, secrets } = await gather(environment);
      const declared = boxes.flatMap(({ declarations }) => declarations.map(({ args }) => args));
      const leaks = scrub(resolve(folder), withhold(deployment, declared, secrets).values);
      if (leaks === 0) return;
      writeFileSync(join(resolve(folder), '..', 'leaked'), `${leaks}\n`);
      process.stderr.write(`secret values stood in ${leaks} file(s) and were taken out: rotate them\n`);
    });
  command
    .command('render <environment> [module]')
    .description('write all manifests and the list of resources; needs no engine, cluster or network')
    .requiredOption('--out <folder>', 'where to')
    .action((environment: string, module: string | undefined, options: { out: string }) => {
      const model = loadModel(defaultFolders(root), environment);
      if (module !== undefined) findModule(model.catalog, module);
      const files = renderTopology(model, module);
      writeRendered(files, resolve(options.out));
      process.stdout.write(`${files.size} files in ${options.out}\n`);
    });
  command
    .command('check [environment]')
    .description('check the catalog and the stack files')
    .action((environment: string | undefined) => {
      const folders = defaultFolders(root);
      for (const name of environment ? [environment] : stackNames(folders.stacks)) {
        const model = loadModel(folders, name);
        process.stdout.write(`${name}: ${model.modules.length} modules, no fault\n`);
      }
    });
  return command;
}

/** One line a fault, never a stack trace, except for faults of this program itself when DEBUG asks for it. */
function report(error: unknown): number {
  if (error instanceof Refusal) {
    process.stderr.write(`${error.message}\n`);
    return error.code;
  }
  if (error instanceof ProblemsError) {
    process.stderr.write(`${error.message}\n`);
    return EXIT.badInput;
  }
  if (error instanceof Error && 'exitCode' in error && 'code' in error) {
    // Commander has said it already; help and version end with 0.
    return error.exitCode === 0 ? 0 : EXIT.badInput;
  }
  process.stderr.write(`${error instanceof Error ? error.message.split('\n')[0] : String(error)}\n`);
  if (process.env.DEBUG && error instanceof Error) process.stderr.write(`${error.stack}\n`);
  return EXIT.failed;
}

cli()
  .parseAsync()
  .catch((error: unknown) => {
    process.exitCode = report(error);
  });
