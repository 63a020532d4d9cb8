import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline/promises';
import type { CommandError } from '@pulumi/pulumi/automation';
import { Command } from 'commander';
import { findModule } from '../catalog/load';
import { ProblemsError } from '../catalog/problems';
import { defaultFolders, loadModel } from '../components/load';
import { stackNames } from '../stacks/load';
import type { Operation } from './engine';
import { addModuleCommands } from './module/command';
import { EXIT, Refusal } from './refusal';
import { renderTopology, writeRendered } from './render';

/** The checkout, or the folder that the delivery image was laid out in. */
const root = existsSync(join(__dirname, '..', 'catalog')) ? resolve(__dirname, '..') : process.cwd();

interface RunOptions {
  readonly only?: string;
  readonly replace?: string[];
  readonly yes?: boolean;
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
function engineFailure(error: CommandError, operation: Operation, printed: boolean): Refusal {
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
  if (operation !== 'preview' && operation !== 'refresh' && !options.yes) {
    if (!(await confirm(`${operation} ${environment}?`))) {
      throw new Refusal(`Nothing was done. Say --yes to ${operation} without being asked.`, EXIT.declined);
    }
  }
  // A deploy evaluates one module's production box and builds no image.
  if (!only && operation !== 'destroy' && existsSync(join(root, 'delivery', 'cli.ts'))) {
    // Loaded here, because the delivery image, which has no bundler, runs this file too.
    const { buildDeliveryImage } = await import('./build');
    await buildDeliveryImage(root);
  }
  // Loaded here: Pulumi takes more than a second to load, and the other commands need none of it.
  const { default: program } = await import('../index');
  const { ONLY_VARIABLE } = await import('../components/inputs');
  const { CommandError } = await import('@pulumi/pulumi/automation');
  const { runOperation } = await import('./engine');
  const { productionUrns, replaceUrns } = await import('./urns');
  if (only) process.env[ONLY_VARIABLE] = only.join(',');
  let printed = false;
  const result = await runOperation(operation, {
    root,
    environment,
    backend: process.env.PULUMI_BACKEND_URL ?? model.settings.backend,
    stacks: folders.stacks,
    program,
    targets: only ? productionUrns(environment, model, only) : undefined,
    replace: options.replace ? replaceUrns(environment, model, options.replace) : undefined,
    print: (text) => {
      printed = true;
      process.stdout.write(text);
    },
  }).catch((error: unknown) => {
    throw error instanceof CommandError ? engineFailure(error, operation, printed) : error;
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
    subcommand.action((environment: string, options: RunOptions) => operate(operation, environment, options));
  }
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
  addModuleCommands(command, root);
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
