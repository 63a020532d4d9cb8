import './cli/node';

import { Command, CommanderError } from 'commander';
import { goOnWithoutReader } from '../text/arguments';
import { EXIT, exitCodes } from './cli/refusal';
import { cancel } from './commands/cancel';
import { check } from './commands/check';
import { completion } from './commands/completion';
import { cut } from './commands/cut';
import { destroy } from './commands/destroy';
import { drift } from './commands/drift';
import { drill } from './commands/drill';
import { initCommand } from './commands/init';
import { judge } from './commands/judge';
import { moduleCommands } from './commands/module';
import { preview } from './commands/preview';
import { promote } from './commands/promote';
import { queue } from './commands/queue';
import { rebuild } from './commands/rebuild';
import { redact } from './commands/redact';
import { refresh } from './commands/refresh';
import { releases } from './commands/releases';
import { render } from './commands/render';
import { replay } from './commands/replay';
import { rollback } from './commands/rollback';
import { rotate } from './commands/rotate';
import { scrub } from './commands/scrub';
import { serve } from './commands/serve';
import { status } from './commands/status';
import { up } from './commands/up';

/** The `switchyard` command line: one file a command in `commands/`. */
export function cli(): Command {
  const program = new Command('switchyard')
    .description("A company's CI/CD topology as one program")
    .showHelpAfterError('(see --help)')
    .addHelpText(
      'after',
      `\nExit codes:\n${exitCodes.map(([code, meaning]) => `  ${code}  ${meaning}`).join('\n')}\n\nMore: docs/environments.md`,
    )
    // Before the commands are added: each takes over what the program is set to.
    .exitOverride();
  for (const add of [
    preview,
    up,
    refresh,
    destroy,
    rebuild,
    drill,
    drift,
    rotate,
    status,
    queue,
    releases,
    promote,
    rollback,
    cancel,
    cut,
    initCommand,
    check,
    render,
    replay,
    moduleCommands,
    redact,
    scrub,
    serve,
    judge,
    completion,
  ]) {
    add(program);
  }
  return program;
}

/** Commander has said what was wrong, or shown the help that was asked for. */
function exitCodeOf(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT.badInput;
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  return EXIT.failed;
}

/** Does what the process's own arguments say; the exit code tells how it went. */
export async function main(): Promise<void> {
  goOnWithoutReader();
  try {
    await cli().parseAsync();
  } catch (error) {
    process.exitCode = exitCodeOf(error);
  }
}

if (require.main === module) void main();
