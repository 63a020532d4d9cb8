import { setTimeout as wait } from 'node:timers/promises';
import { moment } from '../../text/moment';
import { documentOf, type Outcome } from './outcome';
import type { Screen, Size, Terminal } from './terminal';

// Looks at something again and again until somebody ends it, as `kubectl get --watch` and `watch` do: on a terminal one screen that
// is drawn anew, elsewhere what changed.

/** What is told of each look. */
export interface Shown<F> {
  /** `kind` of the document, as in `Status`. */
  readonly kind: string;
  readonly environment: string;
  readonly outcome: (facts: F) => Outcome;
  /** All of it on a terminal of this size. */
  readonly screen: (facts: F, size: Size) => readonly string[];
  /** What is new since the look before, of the first one all of it; nothing where nothing changed. */
  readonly changes: (facts: F) => readonly string[];
  /** Fields of the document that differ in each look, and are no change. */
  readonly passing?: readonly string[];
}

export interface Watch<F> extends Shown<F> {
  readonly look: () => Promise<F>;
  readonly json: boolean;
  /** Milliseconds between two looks. */
  readonly pauseMs: number;
  readonly terminal: Pick<Terminal, 'result' | 'note' | 'screen'>;
  /** Somebody ends it. */
  readonly end: AbortSignal;
  readonly clock?: WatchClock;
}

/** What tests replace. */
export interface WatchClock {
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Ends before its time when the signal does. */
  readonly sleep: (milliseconds: number, end: AbortSignal) => Promise<void>;
}

const CLOCK: WatchClock = {
  now: Date.now,
  sleep: (milliseconds, signal) => wait(milliseconds, undefined, { signal }).catch(() => undefined),
};

/** Milliseconds after which a look that has not ended is told. */
const PATIENCE_MS = 10_000;

/** Tells what a look saw, and why one saw nothing. */
interface Teller<F> {
  readonly saw: (facts: F) => void;
  /** @param since when the first look began of those that failed, in milliseconds since 1970 */
  readonly failed: (why: string, since: number) => void;
  readonly over: () => void;
}

/** In a pipe and as JSON: the same fault is told once, on stderr, and that it is over. */
function lineTeller<F>(watch: Watch<F>): Teller<F> {
  const { terminal, environment, kind, passing = [] } = watch;
  let fault: string | undefined;
  let before = '';
  const document = (facts: F): void => {
    const { document: fields, exitCode = 0 } = watch.outcome(facts);
    const kept = Object.entries(fields).filter(([name]) => !passing.includes(name));
    const now = JSON.stringify([exitCode, kept]);
    if (now === before) return;
    before = now;
    terminal.result(JSON.stringify(documentOf(kind, environment, exitCode, fields)));
  };
  return {
    saw: (facts) => {
      if (fault !== undefined) terminal.note('it answers again');
      fault = undefined;
      if (watch.json) document(facts);
      else for (const line of watch.changes(facts)) terminal.result(line);
    },
    failed: (why) => {
      if (why !== fault) terminal.note(why);
      fault = why;
    },
    over: () => undefined,
  };
}

/** On a terminal: what was seen last stays, with when that was. */
function screenTeller<F>(watch: Watch<F>, screen: Screen, now: () => number): Teller<F> {
  const { environment, kind, pauseMs } = watch;
  let seen: F | undefined;
  const draw = (said: string): void => {
    const head = `switchyard ${kind.toLowerCase()} ${environment}, every ${pauseMs / 1000} s: ${said}`;
    const size = { ...screen.size(), rows: Math.max(4, screen.size().rows - 1) };
    screen.draw([head, ...(seen === undefined ? [] : watch.screen(seen, size))]);
  };
  return {
    saw: (facts) => {
      seen = facts;
      draw(moment(now()));
    },
    failed: (why, since) => draw(`not since ${moment(since)}: ${why}`),
    over: () => screen.end(),
  };
}

/** Looks until somebody ends it; a look that fails ends nothing. */
export async function watchUntilEnded<F>(watch: Watch<F>): Promise<void> {
  const { look, pauseMs, terminal, json, end, clock = CLOCK } = watch;
  const screen = json ? undefined : terminal.screen();
  const teller = screen ? screenTeller(watch, screen, clock.now) : lineTeller(watch);
  const ended = new Promise<void>((resolve) => {
    end.addEventListener('abort', () => resolve(), { once: true });
  });
  let since: number | undefined;
  try {
    while (!end.aborted) {
      const begun = since ?? clock.now();
      const looked = new AbortController();
      void clock.sleep(PATIENCE_MS, looked.signal).then(() => {
        if (!looked.signal.aborted && !end.aborted) teller.failed('no answer yet', begun);
      });
      const result = look().then(
        (facts) => () => {
          since = undefined;
          teller.saw(facts);
        },
        (error: Error) => () => {
          since = begun;
          teller.failed(error.message.split('\n')[0] ?? '', begun);
        },
      );
      const tell = await Promise.race([result, ended]);
      looked.abort();
      if (end.aborted || !tell) break;
      tell();
      await clock.sleep(pauseMs, end);
    }
  } finally {
    teller.over();
  }
}

/** Ends when a person says so (Ctrl-C) or whoever reads goes away. Who is told to end otherwise gives the terminal back first. */
export function untilInterrupted(): AbortSignal {
  const end = new AbortController();
  process.once('SIGINT', () => end.abort());
  for (const [signal, number] of Object.entries({ SIGTERM: 15, SIGHUP: 1 }))
    process.once(signal, () => process.exit(128 + number));
  process.stdout.once('error', () => end.abort());
  return end.signal;
}

/** Keeps an answer for a while: what changes seldom, or is much to ask for, is not asked for by each look. */
export function kept<A extends readonly unknown[], T>(
  read: (...asked: A) => Promise<T>,
  milliseconds: number,
  now: () => number = Date.now,
): (...asked: A) => Promise<T> {
  const answers = new Map<string, { readonly at: number; readonly answer: T }>();
  return async (...asked) => {
    const key = JSON.stringify(asked);
    const before = answers.get(key);
    if (before && now() - before.at < milliseconds) return before.answer;
    const answer = await read(...asked);
    for (const [other, { at }] of answers) if (now() - at >= milliseconds) answers.delete(other);
    answers.set(key, { at: now(), answer });
    return answer;
  };
}
