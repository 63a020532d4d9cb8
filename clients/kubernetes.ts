import { isTransient, type Policy, retry, retryAfterMs } from './retry';

/** Waits for an answer of a cluster, for so many milliseconds. */
export async function within<T>(answer: Promise<T>, ms: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(
      () => reject(new Error(`the cluster did not answer within ${Math.round(ms / 100) / 10} s`)),
      ms,
    );
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** An answer of the API server that is a refusal, as its client throws it (`ApiException`). */
interface Refusal {
  readonly code: number;
  readonly headers?: Readonly<Record<string, string>>;
}

const isRefusal = (error: unknown): error is Refusal =>
  error !== null && typeof error === 'object' && 'code' in error && typeof error.code === 'number';

/**
 * Asks the API server by its own client, which has neither time-outs nor retries, under the one policy.
 * @param repeatable whether a second time changes nothing more. @default true
 */
export const answered = <T>(
  work: () => Promise<T>,
  { repeatable = true, policy }: { readonly repeatable?: boolean; readonly policy?: Partial<Policy> } = {},
): Promise<T> =>
  retry((ms) => within(work(), ms), {
    again: (error) => repeatable && (!isRefusal(error) || isTransient(error.code)),
    after: (error) =>
      isRefusal(error) ? retryAfterMs(error.headers?.['retry-after'], Date.now()) : undefined,
    policy,
  });

/** Why a cluster did not give what it was asked for, in a few words. */
export function whyNot(error: unknown): string {
  if (isRefusal(error)) return String(error.code);
  const { message = '', cause } = (error ?? {}) as { message?: string; cause?: { message?: string } };
  return (cause?.message || message).split('\n')[0] || 'no answer';
}
