import { type Command, InvalidArgumentError } from 'commander';
import { wholeNumber } from '../../text/arguments';
import { type CommonOptions, ended, type Outcome, toItsEnd, withJson } from '../cli/outcome';
import { Terminal } from '../cli/terminal';

/** Adds a command to the program. One file each, so that a command is found by its name. */
export type AddCommand = (program: Command) => void;

export interface RunOptions extends CommonOptions {
  readonly only?: string;
  readonly replace?: string[];
  readonly yes?: boolean;
  readonly withoutImages?: boolean;
  readonly lockTimeout?: number;
  readonly lease?: boolean;
  readonly basis?: string;
}

/** A command on one environment whose result is an {@link Outcome}. */
export function environmentCommand<O extends CommonOptions>(
  program: Command,
  name: string,
  description: string,
  run: (environment: string, options: O, terminal: Terminal) => Promise<Outcome> | Outcome,
): Command {
  const kind = `${name.charAt(0).toUpperCase()}${name.slice(1)}`;
  return withJson(program.command(`${name} <environment>`))
    .description(description)
    .action((environment: string, options: O) =>
      toItsEnd(kind, environment, options, (terminal) => run(environment, options, terminal)),
    );
}

/** One of Pulumi's operations, with the options that all of them have. */
export function operationCommand(
  program: Command,
  operation: 'preview' | 'up' | 'refresh' | 'destroy',
  description: string,
): Command {
  return lockTimeout(
    environmentCommand<RunOptions>(
      program,
      operation,
      description,
      async (environment, options, terminal) => {
        // Loaded here: Pulumi takes a second to load, and the other commands need none of it.
        const { operate } = await import('../engine/operate');
        return operate(operation, environment, options, terminal);
      },
    ),
  ).option('--only <modules>', 'production of these modules only, separated by commas');
}

/** How long to wait for whoever changes the environment or deploys to it. */
export const lockTimeout = (command: Command): Command =>
  command.option(
    '--lock-timeout <minutes>',
    'wait so long for whoever changes the environment, or deploys to it',
    wholeNumber,
  );

/** Of a Pod: nobody looks at what is left of one that was killed. */
export const lease = (command: Command): Command =>
  command.option(
    '--lease',
    'let others go on a while after this process was killed: for a Pod, not for people',
  );

interface WatchOptions extends CommonOptions {
  readonly watch?: boolean;
  readonly interval?: number;
}

/** Seconds between two looks of a watch. */
const INTERVAL = 5;

const seconds = (text: string): number => {
  const number = wholeNumber(text);
  if (number < 1) throw new InvalidArgumentError('Give at least 1.');
  return number;
};

/** A command on one environment that can be watched: it looks once, or again and again until somebody ends it, with 0 then. */
export function watchedCommand<O extends WatchOptions>(
  program: Command,
  name: string,
  description: string,
  once: (environment: string, options: O) => Promise<Outcome>,
  watch: (
    environment: string,
    options: O & { readonly interval: number },
    terminal: Terminal,
  ) => Promise<void>,
): Command {
  const kind = `${name.charAt(0).toUpperCase()}${name.slice(1)}`;
  return withJson(program.command(`${name} <environment>`))
    .description(description)
    .option(
      '--watch',
      'go on until interrupted: on a terminal one screen, elsewhere what changes; with --json one document a line',
    )
    .option('--interval <seconds>', `of --watch: look so often; ${INTERVAL} by default`, seconds)
    .action(async (environment: string, options: O) => {
      if (!options.watch) return toItsEnd(kind, environment, options, () => once(environment, options));
      const terminal = new Terminal();
      try {
        await watch(environment, { ...options, interval: options.interval ?? INTERVAL }, terminal);
        // What was asked for in the moment that it was ended is not waited for.
        process.exit(0);
      } catch (error) {
        const { code, message } = ended(error);
        terminal.note(message);
        process.exitCode = code;
      }
    });
}

export const withoutImages = (command: Command): Command =>
  command.option('--without-images', 'leave the images that the topology builds as they are');

export const basis = (command: Command): Command =>
  command.option(
    '--basis <fingerprint>',
    'change nothing where the state or the ledger is not what `redact` found, and wrote into its file `basis`',
  );

export const yes = (command: Command): Command => command.option('--yes', 'do not ask');

export const replace = (command: Command): Command =>
  command.option(
    '--replace <resources...>',
    'make these anew although their inputs are unchanged, as after a change behind a tag',
  );
