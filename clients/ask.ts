import { type Clock, isTransient, type Policy, retry, retryAfterMs } from './retry';

export interface Asking {
  /** Whether a second time changes nothing more. @default GET, HEAD, PUT and DELETE, unless the body is a stream */
  readonly repeatable?: boolean;
  /** Statuses beyond those of {@link isTransient} that a later try may mend. @default none */
  readonly mendable?: readonly number[];
  /** Bytes of an answer that are read as text. @default all */
  readonly most?: number;
  /** @default that of `retry.ts`, for each key that is missing */
  readonly policy?: Partial<Policy>;
  readonly clock?: Clock;
}

/** Addresses that one request may be sent on to. */
const MOST_SENT_ON = 5;

/** An answer that sends on to where nobody asks. */
class SentOn extends Error {}

/**
 * An answer of the server that was asked. One that sends on is followed within it alone, and where it is read only: fetch
 * would take every header but `Authorization` to whoever is named, a token of GitLab's among them, and take what that one
 * says for what was asked for.
 */
async function fetchThere(url: string, init: RequestInit): Promise<Response> {
  if (init.redirect) return fetch(url, init);
  let at = url;
  for (let left = MOST_SENT_ON; ; left -= 1) {
    const response = await fetch(at, { ...init, redirect: 'manual' });
    const location = [301, 302, 303, 307, 308].includes(response.status)
      ? response.headers.get('location')
      : null;
    if (location === null) return response;
    await response.body?.cancel();
    const to = URL.parse(location, at);
    if (!to) throw new SentOn('it sends on to nowhere');
    const { origin, pathname } = to;
    if (origin !== new URL(at).origin) throw new SentOn(`it sends on to ${origin}, where nobody asks`);
    if (!/^(GET|HEAD)$/.test(init.method ?? 'GET')) throw new SentOn(`it sends on to ${pathname}`);
    if (left === 0) throw new SentOn('it sends on and on');
    at = to.href;
  }
}

/** An answer that a later try may mend. */
class Passing extends Error {
  constructor(
    readonly response: Response,
    readonly said: string,
  ) {
    super(`answered ${response.status}`);
  }
}

/** What a try ended with that no answer came of: a time-out, a cut, a name that is not known. */
const reasonOf = (error: unknown): string => {
  const { message = '', cause } = (error ?? {}) as { message?: string; cause?: { message?: string } };
  return cause?.message || message;
};

/** No answer came. */
export class Unanswered extends Error {
  constructor(readonly reason: string) {
    super(reason);
    this.name = 'Unanswered';
  }
}

/** An answer is larger than any that is read. */
export class TooLarge extends Error {}

/** @throws TooLarge */
async function textOf(response: Response, most: number | undefined): Promise<string> {
  if (most === undefined) return response.text();
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length;
    if (bytes > most) throw new TooLarge(`it is larger than ${most} bytes`);
    chunks.push(chunk);
  }
  return new TextDecoder().decode(Buffer.concat(chunks));
}

/**
 * Asks over HTTP under the one policy: each try has its time-out, the body's last byte included, and what is repeatable
 * is tried again when no answer came, or one that passes.
 * @param init its `redirect`: where it is not named, nobody but the server that is asked hears anything. With `follow` others
 *   hear what stands in no `Authorization`: for storages that a registry or Git LFS sends on to
 * @param read gets the body, within the same time-out
 * @returns the last answer, whatever its status, and what `read` gave of it
 * @throws {@link Unanswered} with the reason of the last try; {@link TooLarge}
 */
export async function ask<T>(
  url: string,
  init: RequestInit,
  read: (response: Response) => Promise<T>,
  asking: Asking = {},
): Promise<{ readonly response: Response; readonly body: T }> {
  const { body, method = 'GET' } = init;
  const repeatable =
    asking.repeatable ?? (/^(GET|HEAD|PUT|DELETE)$/.test(method) && !(body instanceof ReadableStream));
  const { clock, mendable = [], most } = asking;
  const once = async (timeoutMs: number) => {
    const response = await fetchThere(url, {
      ...init,
      signal: AbortSignal.timeout(Math.ceil(timeoutMs)),
    });
    if (isTransient(response.status) || mendable.includes(response.status))
      throw new Passing(response, await textOf(response, most));
    return { response, body: await read(response) };
  };
  try {
    return await retry(once, {
      // Of too many requests none was carried out.
      again: (error) =>
        !(error instanceof SentOn || error instanceof TooLarge) &&
        (repeatable ||
          (error instanceof Passing && error.response.status === 429 && !(body instanceof ReadableStream))),
      after: (error) =>
        error instanceof Passing
          ? retryAfterMs(error.response.headers.get('retry-after'), clock?.now() ?? Date.now())
          : undefined,
      policy: asking.policy,
      ...(clock ? { clock } : {}),
    });
  } catch (error) {
    if (error instanceof Passing) {
      const { status, headers } = error.response;
      const last = new Response(error.said, { status, headers });
      return { response: last, body: await read(last) };
    }
    if (error instanceof TooLarge) throw error;
    throw new Unanswered(reasonOf(error));
  }
}

/** The same, with the body as text. */
export const askText = (url: string, init: RequestInit = {}, asking: Asking = {}) =>
  ask(url, init, (response) => textOf(response, asking.most), asking);
