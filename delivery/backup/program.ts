import { type ChildProcess, spawn } from 'node:child_process';
import { finished, PassThrough, pipeline, type Readable } from 'node:stream';
import { exitCode, Failure } from '../failure';

export type Environment = Readonly<Record<string, string | undefined>>;

/** What a program said when it failed; the last lines of it, since the reason comes last. */
export interface Ended {
  readonly code: number;
  readonly stderr: string;
}

const STDERR_KEPT = 64 * 1024;

function collectStderr(child: ChildProcess): () => string {
  let text = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    text = (text + chunk.toString('utf8')).slice(-STDERR_KEPT);
  });
  return () => text;
}

const missing = (program: string, error: NodeJS.ErrnoException): Failure =>
  new Failure(
    exitCode.input,
    `${program} cannot be started (${error.code ?? error.message}).`,
    `Put ${program} on PATH.`,
  );

export interface Call {
  readonly program: string;
  readonly args: readonly string[];
  readonly env: Environment;
  readonly cwd?: string;
  /** Makes the error of an end other than 0. */
  readonly fault: (ended: Ended) => Error;
  /** Milliseconds after which the program is ended. @default none */
  readonly timeoutMs?: number;
}

/** Runs a program to its end. @returns what it printed */
export function output({ program, args, env, cwd, fault, timeoutMs }: Call): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd, env: { ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
    const stderr = collectStderr(child);
    const chunks: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
    const timer = timeoutMs === undefined ? undefined : setTimeout(() => child.kill('SIGINT'), timeoutMs);
    child.on('error', (error: NodeJS.ErrnoException) => {
      clearTimeout(timer);
      reject(missing(program, error));
    });
    child.on('close', (code) => {
      clearTimeout(timer);
      if (code === 0) resolve(Buffer.concat(chunks).toString('utf8'));
      else reject(fault({ code: code ?? 1, stderr: stderr() }));
    });
  });
}

/**
 * What a program prints, as a stream that ends only after exit code 0 and breaks otherwise.
 * @param input what it reads; one that breaks breaks the output. @default nothing
 */
export function outputStream({ program, args, env, cwd, fault }: Call, input?: Readable): Readable {
  const child = spawn(program, args, {
    cwd,
    env: { ...env },
    stdio: [input ? 'pipe' : 'ignore', 'pipe', 'pipe'],
  });
  const stderr = collectStderr(child);
  const out = new PassThrough();
  child.stdout?.pipe(out, { end: false });
  if (input && child.stdin) {
    pipeline(input, child.stdin, (error) => {
      // A program that reads no more says why by its exit.
      if (error && (error as NodeJS.ErrnoException).code !== 'EPIPE') out.destroy(error);
    });
  }
  child.on('error', (error: NodeJS.ErrnoException) => out.destroy(missing(program, error)));
  child.on('close', (code) => {
    if (code === 0) out.end();
    else out.destroy(fault({ code: code ?? 1, stderr: stderr() }));
  });
  // Nobody reads on: the program need not go on either.
  out.on('close', () => {
    if (child.exitCode === null) child.kill('SIGTERM');
  });
  return out;
}

/**
 * Copies its input to the program ("$0"), and lets it see the end of it only after the word `done` on descriptor 3.
 * Without that word, be it that the input broke or that this process was killed, the program is ended instead: it
 * would take what came so far for all there is. `unread` on descriptor 3 says that the program reads no more: this
 * process would not see it, since the shell still holds the other end.
 */
const FEED = `{
  trap '' INT
  cat || echo unread >&3
  read -r word <&3
  [ "$word" = done ] && exit 0
  kill -INT 0
  sleep 2
  kill -KILL 0
} | "$0" "$@"`;

/** Runs a program on a stream, whole or not at all. @returns what it printed */
export function feed({ program, args, env, cwd, fault }: Call, input: Readable): Promise<string> {
  return new Promise((resolve, reject) => {
    // A process group of its own, so that ending the group ends nothing else.
    const child = spawn('sh', ['-c', FEED, program, ...args], {
      cwd,
      env: { ...env },
      detached: true,
      stdio: ['pipe', 'pipe', 'pipe', 'pipe'],
    });
    const stderr = collectStderr(child);
    const chunks: Buffer[] = [];
    let broken: Error | undefined;
    let unread = false;
    child.stdout?.on('data', (chunk: Buffer) => chunks.push(chunk));
    const control = child.stdio[3];
    const done = (word: string): void => {
      if (control && 'end' in control) control.end(word);
    };
    const stopReading = (): void => {
      unread = true;
      input.destroy();
      done('');
    };
    control?.on('data', stopReading);
    // What the program has to say is in its own exit; here only a broken pipe would show.
    control?.on('error', () => undefined);
    child.stdin?.on('error', stopReading);
    finished(input, { writable: false }, (error) => {
      if (!error) return;
      broken = error;
      done('');
      child.stdin?.destroy();
    });
    if (child.stdin) {
      input.pipe(child.stdin);
      child.stdin.on('finish', () => done('done\n'));
    }
    child.on('error', (error: NodeJS.ErrnoException) => {
      input.destroy();
      reject(missing('sh', error));
    });
    child.on('close', (code) => {
      if (code === 0 && !broken) return resolve(Buffer.concat(chunks).toString('utf8'));
      // An input that broke for want of a reader is no reason: the program has said why it reads no more.
      reject(broken && !unread ? broken : fault({ code: code ?? 1, stderr: stderr() }));
    });
  });
}
