import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { LabError, labHome } from '../steps';
import { holder } from './holder';
import {
  endProcess,
  identify,
  identityText,
  isAlive,
  type ProcessIdentity,
  parseIdentity,
  sleep,
} from './process';

export interface Daemon {
  /** Names `run/<name>.pid` and `logs/<name>.log`. */
  name: string;
  /** Program: absolute path, or a name found on PATH. */
  command: string;
  args: string[];
  env?: Record<string, string>;
  cwd?: string;
  /** `lab`: the node's address 198.18.0.2; `host`: the machine's own network (only dockerd needs it). */
  network: 'lab' | 'host';
  /** A real probe of the service; asked every 100 ms until true. */
  ready: () => Promise<boolean>;
  /** Default 60. */
  timeoutSeconds?: number;
  /** Further text whose change must restart the daemon, such as the content of its config file. */
  config?: string;
  /** Seconds between SIGTERM and SIGKILL at a stop; default 10. */
  graceSeconds?: number;
}

const pidFile = (name: string): string => join(labHome(), 'run', `${name}.pid`);
export const daemonLog = (name: string): string => join(labHome(), 'logs', `${name}.log`);

/** Hash of everything that a running daemon was started with. */
export function daemonHash(daemon: Omit<Daemon, 'ready'>): string {
  const { command, args, env = {}, cwd = '', network, config = '' } = daemon;
  const sorted = Object.entries(env).sort(([a], [b]) => (a < b ? -1 : 1));
  return createHash('sha256')
    .update(JSON.stringify([command, args, sorted, cwd, network, config]))
    .digest('hex');
}

function readState(name: string): { identity: ProcessIdentity; hash: string } | undefined {
  if (!existsSync(pidFile(name))) return undefined;
  const [first, hash] = readFileSync(pidFile(name), 'utf8').split('\n');
  const identity = parseIdentity(first);
  return identity && { identity, hash: hash ?? '' };
}

/** The daemon's process while it runs. */
export function daemonProcess(name: string): ProcessIdentity | undefined {
  const state = readState(name);
  return state && isAlive(state.identity) ? state.identity : undefined;
}

/** Names of all daemons that run now. */
export function runningDaemons(): string[] {
  const folder = join(labHome(), 'run');
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((file) => file.endsWith('.pid') && file !== 'machine.pid')
    .map((file) => file.slice(0, -'.pid'.length))
    .filter((name) => daemonProcess(name) !== undefined)
    .sort();
}

/** Ends a daemon, if it runs. What its pid file names is ended only when it is that very process. */
export async function stopDaemon(name: string, graceSeconds = 10): Promise<void> {
  await endProcess(daemonProcess(name), graceSeconds);
  rmSync(pidFile(name), { force: true });
}

/** The last lines of a daemon's log that hold anything, cut to one line. */
function lastWords(name: string): string {
  try {
    const file = openSync(daemonLog(name), 'r');
    const { size } = fstatSync(file);
    const buffer = Buffer.alloc(Math.min(size, 4096));
    readSync(file, buffer, 0, buffer.length, size - buffer.length);
    closeSync(file);
    const lines = buffer.toString('utf8').trim().split('\n');
    return (lines.pop() ?? '').slice(0, 300);
  } catch {
    return '';
  }
}

function childOf(pid: number): ProcessIdentity | undefined {
  try {
    const [first] = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ');
    return first ? identify(Number(first)) : undefined;
  } catch {
    return undefined;
  }
}

async function probe(daemon: Daemon): Promise<boolean> {
  try {
    return await daemon.ready();
  } catch {
    return false;
  }
}

/**
 * Starts a daemon inside the machine and waits until it serves. One that already runs with the same
 * command, environment and config is left alone.
 * @throws LabError when it ends early or is not ready in time, naming its log
 */
export async function startDaemon(daemon: Daemon): Promise<void> {
  const machine = holder();
  if (!machine) throw new LabError(`${daemon.name}: the lab's machine is not up`, 'Run `npm run lab`');
  const hash = daemonHash(daemon);
  const log = daemonLog(daemon.name);
  const deadline = Date.now() + (daemon.timeoutSeconds ?? 60) * 1000;
  const state = readState(daemon.name);
  let running = state && isAlive(state.identity) ? state.identity : undefined;
  if (running && state?.hash !== hash) {
    await stopDaemon(daemon.name, daemon.graceSeconds);
    running = undefined;
  }
  if (!running) {
    mkdirSync(join(labHome(), 'run'), { recursive: true });
    mkdirSync(join(labHome(), 'logs'), { recursive: true });
    const output = openSync(log, 'a');
    const spaces = ['--target', String(machine.pid), '--mount', '--pid'];
    if (daemon.network === 'lab') spaces.push('--net');
    const enter = spawn(
      'nsenter',
      [...spaces, `--wd=${daemon.cwd ?? labHome()}`, '--', daemon.command, ...daemon.args],
      { detached: true, stdio: ['ignore', output, output], env: { ...process.env, ...daemon.env } },
    );
    closeSync(output);
    let failed = '';
    enter.on('error', (error) => {
      failed = error.message;
    });
    enter.unref();
    // nsenter forks the daemon into the PID namespace; its child is the process to remember.
    while (!running && !failed && enter.exitCode === null && Date.now() < deadline) {
      running = enter.pid ? childOf(enter.pid) : undefined;
      if (!running) await sleep(5);
    }
    if (!running) {
      throw new LabError(
        `${daemon.name} did not start: ${failed || lastWords(daemon.name)}`,
        'See its log, then run `npm run lab` again',
        log,
      );
    }
    writeFileSync(pidFile(daemon.name), `${identityText(running)}${hash}\n`);
  }
  while (!(await probe(daemon))) {
    if (!isAlive(running)) {
      throw new LabError(
        `${daemon.name} ended while starting: ${lastWords(daemon.name)}`,
        'See its log, then run `npm run lab` again',
        log,
      );
    }
    if (Date.now() > deadline) {
      throw new LabError(
        `${daemon.name} was not ready after ${daemon.timeoutSeconds ?? 60} s: ${lastWords(daemon.name)}`,
        'See its log, then run `npm run lab` again',
        log,
      );
    }
    await sleep(100);
  }
}
