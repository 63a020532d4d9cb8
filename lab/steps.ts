import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  appendFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import type { Work } from './estimate';
import { identify, identityText, isAlive, readIdentity } from './machine/process';

/** What there is a limited number of places for; see `PLACES` in run.ts. */
export type Place = 'compile' | 'image' | 'pipeline';

/** One unit of the lab's work: skipped while its inputs are unchanged and its effect is still there. */
export interface Step {
  /** Unique, fit for a file name: names `done/<name>` and `logs/step-<name>.log`. */
  name: string;
  /**
   * Steps whose effects it uses, `inputs` and `done` included: all that it would miss if they had never run. Everything
   * else may run beside it, before or after.
   */
  needs?: readonly string[];
  /** Waits for a place of this kind before `run`; without it, it starts as soon as its needs are met. */
  place?: Place;
  /** Shown while it runs. */
  title: string;
  /** Content hash of everything that its result depends on. */
  inputs: () => Promise<string>;
  /** Does the result still exist in reality? Default: the recorded hash is enough. */
  done?: () => Promise<boolean>;
  /** A way that needs no place, such as a download; tried before `run`. @returns true when nothing is left to do */
  fetch?: (log: StepLog) => Promise<boolean>;
  run: (log: StepLog) => Promise<void>;
}

export interface ExecOptions {
  cwd?: string;
  /** Added to the caller's environment. */
  env?: Record<string, string | undefined>;
  /** Text for standard input; without it there is none. */
  input?: string;
  /** Ends the command and fails after that many seconds; no limit by default. */
  timeoutSeconds?: number;
  /** Exit codes that are no failure; default [0]. */
  accept?: number[];
  /** How far it stands back behind others for the processor, 0 to 19 as nice(1) counts; default 0. */
  nice?: number;
  /** Gets all output as it comes. */
  onOutput?: (text: string) => void;
}

export interface Executed {
  stdout: string;
  stderr: string;
  code: number;
}

export interface StepLog {
  /** The log file. */
  path: string;
  line(text: string): void;
  /** Runs a command with its output in the log file. @throws LabError that names the log */
  exec(command: string, args: string[], options?: ExecOptions): Promise<Executed>;
  /** A line for whoever watches the run, too: something is not as they would expect, and it goes on. */
  note?(text: string): void;
  /** How far the step is. */
  progress?(work: Work): void;
  /** Aborted when the step is to end because another one failed. */
  signal?: AbortSignal;
}

/** A fault a user can act on: what happened, the remedy, and where to read more. */
export class LabError extends Error {
  constructor(
    readonly what: string,
    readonly remedy: string,
    readonly log?: string,
  ) {
    super(`${what}. ${remedy}${log ? ` (log: ${log})` : ''}`);
    this.name = 'LabError';
  }
}

const fromEnvironment = (name: string, fallback: string): string => {
  const value = process.env[name];
  return value ? resolve(value) : fallback;
};

/** All state of the lab: `$SWITCHYARD_LAB_HOME`, else `$XDG_STATE_HOME/switchyard/lab`. */
export function labHome(): string {
  const state = fromEnvironment('XDG_STATE_HOME', join(homedir(), '.local', 'state'));
  return fromEnvironment('SWITCHYARD_LAB_HOME', join(state, 'switchyard', 'lab'));
}

/** What outlives the lab (built programs, base images): `$XDG_CACHE_HOME/switchyard`. */
export function cacheHome(): string {
  return join(fromEnvironment('XDG_CACHE_HOME', join(homedir(), '.cache')), 'switchyard');
}

function* filesUnder(path: string): Generator<string> {
  if (!existsSync(path)) return;
  if (!statSync(path).isDirectory()) {
    yield path;
    return;
  }
  for (const entry of readdirSync(path).sort()) {
    if (entry !== 'node_modules' && entry !== '.git') yield* filesUnder(join(path, entry));
  }
}

/**
 * Hash of files and folders by their names and contents, and of `extra` texts.
 * Independent of the order of `paths` and of where the repository lies; a missing path counts as such.
 */
export async function hashFiles(paths: string[], extra: string[] = []): Promise<string> {
  const hash = createHash('sha256');
  const parts = paths.map((path) => {
    const part = createHash('sha256');
    if (!existsSync(path)) return 'missing';
    for (const file of filesUnder(path)) {
      part.update(`${relative(dirname(path), file)}\0`);
      part.update(readFileSync(file));
      part.update('\0');
    }
    return part.digest('hex');
  });
  for (const part of parts.sort()) hash.update(part);
  for (const text of extra) hash.update(`\0${text}`);
  return hash.digest('hex');
}

const children = new Set<ChildProcess>();

/** Runs a command and appends its output to a file; what {@link StepLog.exec} does. */
export function execLogged(
  logFile: string,
  command: string,
  args: string[],
  options: ExecOptions = {},
  signal?: AbortSignal,
): Promise<Executed> {
  return new Promise((fulfil, reject) => {
    signal?.throwIfAborted();
    appendFileSync(logFile, `$ ${command} ${args.join(' ')}\n`);
    // nice(1) becomes the command. Set from here it would miss the threads that the command has started by then.
    const nice = options.nice ? ['nice', '-n', String(options.nice)] : [];
    const [program = command, ...all] = [...nice, command, ...args];
    const child = spawn(program, all, {
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
      stdio: [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    });
    children.add(child);
    let stdout = '';
    let stderr = '';
    let last = '';
    let late = false;
    const timer = options.timeoutSeconds
      ? setTimeout(() => {
          late = true;
          child.kill('SIGKILL');
        }, options.timeoutSeconds * 1000)
      : undefined;
    // An interrupt lets a compiler remove its scratch folders; what does not listen is ended.
    const end = (): void => {
      child.kill('SIGINT');
      setTimeout(() => child.kill('SIGKILL'), 10_000).unref();
    };
    signal?.addEventListener('abort', end, { once: true });
    const keep = (text: string): void => {
      appendFileSync(logFile, text);
      options.onOutput?.(text);
      last = (last + text).slice(-2000);
    };
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
      keep(text);
    });
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
      keep(text);
    });
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(options.input);
    const finish = (): void => {
      children.delete(child);
      clearTimeout(timer);
      signal?.removeEventListener('abort', end);
    };
    child.on('error', (error: NodeJS.ErrnoException) => {
      finish();
      const missing = error.code === 'ENOENT';
      reject(
        new LabError(
          missing ? `${command} is not installed` : `${command} did not start: ${error.message}`,
          missing ? 'Install it, or run `npm run lab` as root so that it is installed' : 'See the log',
          logFile,
        ),
      );
    });
    child.on('close', (code, sig) => {
      finish();
      if (code !== null && !late && (options.accept ?? [0]).includes(code))
        return fulfil({ stdout, stderr, code });
      const how = late ? `took more than ${options.timeoutSeconds} s` : `ended with ${sig ?? `code ${code}`}`;
      const tail = last.trim().split('\n').pop()?.trim();
      reject(
        new LabError(
          `${command} ${args.slice(0, 3).join(' ')} ${how}${tail ? `: ${tail.slice(0, 300)}` : ''}`,
          'See the log, then run the command again: finished steps are skipped',
          logFile,
        ),
      );
    });
  });
}

/** The log of one step, started afresh. Its commands end with `signal`. */
export function openLog(name: string, signal?: AbortSignal): StepLog {
  const path = join(labHome(), 'logs', `step-${name}.log`);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, '');
  return {
    path,
    line: (text) => appendFileSync(path, `${text}\n`),
    exec: (command, args, options) => execLogged(path, command, args, options, signal),
    signal,
  };
}

/** `4.2s`, `3m07s`. */
export function elapsed(milliseconds: number): string {
  const seconds = milliseconds / 1000;
  if (seconds < 60) return `${seconds.toFixed(1)}s`;
  const whole = Math.round(seconds);
  return `${Math.floor(whole / 60)}m${String(whole % 60).padStart(2, '0')}s`;
}

let interruptible = false;

/** On Ctrl-C or SIGTERM: ends the commands under way (never the lab's daemons), says how to go on, exits. */
export function handleInterrupts(): void {
  if (interruptible) return;
  interruptible = true;
  for (const [name, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const) {
    process.once(name, () => {
      for (const child of children) child.kill('SIGTERM');
      process.stdout.write(`\ninterrupted: run the same command again to go on where it stopped\n`);
      process.exit(code);
    });
  }
}

/**
 * Makes this process the only one working on the lab. The lock of a process that is gone is taken over.
 * @returns release function
 * @throws LabError naming the owner
 */
export function lockLab(): () => void {
  const file = `${labHome()}.lock`;
  mkdirSync(dirname(file), { recursive: true });
  const me = identify(process.pid);
  if (!me) throw new LabError('/proc does not show this process', 'Mount /proc');
  const mine = `${file}.${process.pid}`;
  writeFileSync(mine, identityText(me));
  try {
    for (let attempt = 0; attempt < 5; attempt++) {
      try {
        // link(2) either creates the whole lock or fails: no half-written owner is ever seen.
        linkSync(mine, file);
        let held = true;
        const release = (): void => {
          if (held && readIdentity(file)?.pid === process.pid) rmSync(file, { force: true });
          held = false;
          // After a tear-down the lock was the last file of ours in the default state folder.
          const parent = dirname(file);
          if (!process.env.SWITCHYARD_LAB_HOME && existsSync(parent) && readdirSync(parent).length === 0) {
            rmdirSync(parent);
          }
        };
        process.once('exit', release);
        return release;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
        const owner = readIdentity(file);
        if (owner && isAlive(owner)) {
          throw new LabError(
            `another lab command (pid ${owner.pid}) is at work in ${labHome()}`,
            `Wait for it, or end it: kill ${owner.pid}`,
          );
        }
        rmSync(file, { force: true });
      }
    }
  } finally {
    rmSync(mine, { force: true });
  }
  throw new LabError(`the lock ${file} keeps coming back`, 'Remove it by hand');
}
