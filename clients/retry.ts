import { setTimeout as sleep } from 'node:timers/promises';

/**
 * The one policy of retries and time-outs: of HTTP by `ask.ts` (GitLab, the registry, Jenkins, what receives
 * metrics), of Kubernetes by `kubernetes.ts` where its client asks and by `ask.ts` elsewhere, of git by
 * `git.ts`, of opening restic's repository. Two programs try an S3 storage again by themselves, so that theirs is
 * only limited: Pulumi's commands on a state in all, restic by how long it stands still. `up`, `preview` and `destroy` take
 * as long as the engine takes.
 *
 * Own code, since none of the libraries has all three of `Retry-After`, a limit in all, and a clock from outside (p-retry is
 * ESM only and knows no `Retry-After`; undici's RetryAgent repeats by method, below what tells whether an effect was
 * checked).
 */
export interface Policy {
  /** Tries in all, the first among them. */
  readonly attempts: number;
  /** Longest pause before the second try, in milliseconds; it doubles with each. */
  readonly baseMs: number;
  /** No pause of our own is longer, in milliseconds. */
  readonly capMs: number;
  /** Milliseconds that one try may take. */
  readonly attemptMs: number;
  /** Milliseconds after which no further try begins, pauses included. */
  readonly totalMs: number;
}

export const POLICY: Policy = {
  attempts: 6,
  baseMs: 500,
  capMs: 10_000,
  attemptMs: 30_000,
  totalMs: 180_000,
};

/** What tests replace, so that they wait for nothing. */
export interface Clock {
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly sleep: (ms: number) => Promise<void>;
  /** From 0 up to, and without, 1. */
  readonly random: () => number;
}

export const CLOCK: Clock = {
  now: Date.now,
  sleep: (ms) => sleep(ms),
  random: Math.random,
};

/** Answers that a later try may mend: too many requests, and a server or a proxy that is busy, away or starting. */
export const isTransient = (status: number): boolean => [429, 500, 502, 503, 504].includes(status);

/**
 * Milliseconds that a `Retry-After` header (RFC 9110, 10.2.3) asks for: seconds or a date.
 * @returns undefined when there is none, or none that can be read
 */
export function retryAfterMs(header: string | null | undefined, now: number): number | undefined {
  const text = header?.trim() ?? '';
  if (/^\d+$/.test(text)) return Number(text) * 1000;
  const date = text === '' ? Number.NaN : Date.parse(text);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}

export interface Retries {
  /**
   * Whether a try may follow this fault: never for what changes something, unless a second time changes nothing more or
   * the effect was looked for.
   */
  readonly again: (error: unknown) => boolean;
  /** What the answer asked for, in milliseconds. @default nothing */
  readonly after?: (error: unknown) => number | undefined;
  /** @default {@link POLICY}, for each key that is missing */
  readonly policy?: Partial<Policy>;
  /** @default {@link CLOCK} */
  readonly clock?: Clock;
}

/**
 * Does something until it succeeds. The pause is drawn from all of what it may be (full jitter), so that many who met
 * do not meet again, and is never shorter than what the answer asked for.
 * @param work is given the milliseconds that this try may take
 * @throws the last fault, as it is
 */
export async function retry<T>(work: (attemptMs: number) => Promise<T>, retries: Retries): Promise<T> {
  const { attempts, baseMs, capMs, attemptMs, totalMs } = { ...POLICY, ...retries.policy };
  const clock = retries.clock ?? CLOCK;
  const end = clock.now() + totalMs;
  for (let attempt = 1; ; attempt++) {
    try {
      return await work(Math.min(attemptMs, Math.max(1, end - clock.now())));
    } catch (error) {
      if (attempt >= attempts || !retries.again(error)) throw error;
      const own = clock.random() * Math.min(capMs, baseMs * 2 ** (attempt - 1));
      const pause = Math.max(own, retries.after?.(error) ?? 0);
      if (clock.now() + pause >= end) throw error;
      await clock.sleep(pause);
    }
  }
}
