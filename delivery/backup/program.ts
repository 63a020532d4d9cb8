import { type ChildProcess, spawn } from 'node:child_process';
import { finished, PassThrough, pipeline, type Readable } from 'node:stream';
import { exitCode, Failure } from '../../clients/failure';

export type Environment = Readonly<Record<string, string | undefined>>;

/** What a program said when it failed; the last lines of it, since the reason comes last. */
export interface Ended {
  readonly code: number;
  readonly stderr: string;
}

const STDERR_KEPT = 64 * 1024;

function collectStderr(child: ChildProcess): () => string {
  let text = '';
  child.stderr?.setEncoding('utf8').on('data', (more: string) => {
    text = (text + more).slice(-STDERR_KEPT);
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
  /** Milliseconds after which {@link output} ends the program. @default none */
  readonly timeoutMs?: number;
  /** Bytes that {@link output} takes; one that prints more is ended. @default no limit */
  readonly mostBytes?: number;
  /** Milliseconds without a byte that it takes or gives while that is its turn, after which a stream's program is ended. @default none */
  readonly stallMs?: number;
  /** Milliseconds for a stream's program that is ended to put its things in order. @default 10 seconds */
  readonly lastMs?: number;
}

const LAST_MS = 10_000;

/**
 * Watches that a program goes on.
 * @param progress changes with what it does; undefined while others keep it waiting
 * @param end is called once, after it was the same for too long
 * @returns ends the watch, and says what there is to say of it
 */
function watch(
  stallMs: number | undefined,
  progress: () => number | undefined,
  end: () => void,
): () => string {
  if (stallMs === undefined) return () => '';
  let said = '';
  let last: number | undefined;
  let since = Date.now();
  const timer = setInterval(() => {
    const now = progress();
    if (now === undefined || now !== last) {
      last = now;
      since = Date.now();
    } else if (Date.now() - since >= stallMs && said === '') {
      said = `\nFatal: made no progress for ${stallMs / 1000} s`;
      end();
    }
  }, stallMs / 10);
  return () => {
    clearInterval(timer);
    return said;
  };
}

/** Runs a program to its end. @returns what it printed */
export function output({ program, args, env, cwd, fault, timeoutMs, mostBytes }: Call): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd, env: { ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
    const stderr = collectStderr(child);
    const chunks: Buffer[] = [];
    let given = 0;
    child.stdout.on('data', (chunk: Buffer) => {
      given += chunk.length;
      if (mostBytes === undefined || given <= mostBytes) chunks.push(chunk);
      else if (late === '') end(`printed more than ${mostBytes} bytes`);
    });
    let late = '';
    const end = (why: string): void => {
      late = `\nfatal: ${why}`;
      // Its own helpers may hold what it prints open for longer than it runs itself.
      child.once('exit', () => {
        child.stdout.destroy();
        child.stderr.destroy();
      });
      child.kill('SIGINT');
    };
    const timer =
      timeoutMs === undefined
        ? undefined
        : setTimeout(() => end(`timed out after ${timeoutMs / 1000} s`), timeoutMs);
    child.on('error', (error: NodeJS.ErrnoException) => {
      clearTimeout(timer);
      reject(missing(program, error));
    });
    child.on('close', (code) => {
      clearTimeout(timer);
      if (code === 0 && late === '') resolve(Buffer.concat(chunks).toString('utf8'));
      else reject(fault({ code: code ?? 1, stderr: stderr() + late }));
    });
  });
}

/**
 * What a program prints, as a stream that ends only after exit code 0 and breaks otherwise.
 * @param input what it reads; one that breaks breaks the output. @default nothing
 */
export function outputStream(
  { program, args, env, cwd, fault, stallMs, lastMs = LAST_MS }: Call,
  input?: Readable,
): Readable {
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
  let given = 0;
  child.stdout?.on('data', (chunk: Buffer) => {
    given += chunk.length;
  });
  const unwatch = watch(
    stallMs,
    () => (out.writableNeedDrain ? undefined : given),
    () => {
      child.kill('SIGINT');
      setTimeout(() => child.kill('SIGKILL'), lastMs).unref();
    },
  );
  child.on('error', (error: NodeJS.ErrnoException) => {
    unwatch();
    out.destroy(missing(program, error));
  });
  child.on('close', (code) => {
    const stalled = unwatch();
    if (code === 0) out.end();
    else out.destroy(fault({ code: code ?? 1, stderr: stderr() + stalled }));
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
export function feed(
  { program, args, env, cwd, fault, stallMs, lastMs = LAST_MS }: Call,
  input: Readable,
): Promise<string> {
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
    const kill = (signal: NodeJS.Signals): void => {
      try {
        if (child.pid !== undefined) process.kill(-child.pid, signal);
      } catch {
        // All of the group has ended.
      }
    };
    let last: NodeJS.Timeout | undefined;
    let taken = 0;
    child.stdin?.on('drain', () => {
      taken += 1;
    });
    const unwatch = watch(
      stallMs,
      () => (child.stdin?.writableNeedDrain || child.stdin?.writableEnded ? taken : undefined),
      () => {
        unread = true;
        kill('SIGINT');
        last = setTimeout(() => kill('SIGKILL'), lastMs);
      },
    );
    child.on('error', (error: NodeJS.ErrnoException) => {
      unwatch();
      input.destroy();
      reject(missing('sh', error));
    });
    child.on('close', (code) => {
      const stalled = unwatch();
      clearTimeout(last);
      if (stalled) input.destroy();
      if (code === 0 && !broken) return resolve(Buffer.concat(chunks).toString('utf8'));
      // An input that broke for want of a reader is no reason: the program has said why it reads no more.
      reject(broken && !unread ? broken : fault({ code: code ?? 1, stderr: stderr() + stalled }));
    });
  });
}
