import { spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { exitCode, Failure } from '../../clients/failure';
import { compileMerged, imageCompiler, requireSameSwitchyard } from './compile';
import { type HandoverPaths, LONGEST_LOG, type Order, readOrder, writeEnded } from './handover';
import { KILLED, variablesOf } from './isolated';

/** Between two looks for the order. */
const LOOK_MS = 100;

/** What a program gets of the variables of the Pod. */
const PASSED = ['PATH', 'LANG', 'TMPDIR'];

/**
 * @throws Failure (exit 1) where this process has a network: so would the program that it starts, and with it the engine's
 * own ports
 */
async function requireConfined(): Promise<void> {
  const code = await new Promise<string | undefined>((resolve) => {
    const socket = createConnection({ host: '127.0.0.1', port: 9 });
    socket.on('connect', () => {
      socket.destroy();
      resolve(undefined);
    });
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code));
  });
  if (code === 'EPERM') return;
  throw new Failure(
    exitCode.red,
    'the merge result’s program would have a network.',
    'Start this command by `confined`.',
  );
}

/** Runs a program, and keeps what it prints as long as it is no longer than a log may be. */
function runLogged(
  command: readonly string[],
  log: string,
  options: { cwd: string; env: Order['variables'] },
) {
  return new Promise<number>((resolve, reject) => {
    const file = openSync(log, 'a');
    let left = LONGEST_LOG;
    const keep = (chunk: Buffer): void => {
      if (left <= 0) return;
      writeSync(file, chunk.subarray(0, left));
      left -= chunk.length;
      if (left <= 0) writeSync(file, '\nIt said more, which is not kept.\n');
    };
    const [program = '', ...args] = command;
    const child = spawn(program, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    child.on('error', reject);
    child.on('close', (code) => {
      closeSync(file);
      resolve(code ?? KILLED);
    });
  });
}

/**
 * Waits for what the engine's side hands over, compiles the merge result there and runs its own `switchyard serve`, which
 * waits for that engine. How it ended is left for that side.
 * @param compiler what the image has for that @default what is beside this program
 */
export async function runProgram(paths: HandoverPaths, compiler = imageCompiler()): Promise<void> {
  await requireConfined();
  let order = readOrder(paths);
  for (; order === undefined; order = readOrder(paths)) await sleep(LOOK_MS);
  const home = mkdtempSync(join(tmpdir(), 'program-'));
  try {
    requireSameSwitchyard(paths.source, compiler);
    const program = await compileMerged(paths.source, home, compiler);
    const served = ['--socket', paths.language, '--rules', paths.rules];
    const code = await runLogged(
      [process.execPath, program.file, 'serve', order.environment, ...served],
      paths.log,
      { cwd: paths.source, env: { ...variablesOf(PASSED), ...order.variables, ...program.env, HOME: home } },
    );
    writeEnded(paths, { code });
  } catch (error) {
    const fault = error instanceof Error ? error.message : String(error);
    writeEnded(paths, { code: error instanceof Failure ? error.code : exitCode.red, fault });
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}
