import { setTimeout as sleep } from 'node:timers/promises';
import { isRecord, type Props } from '../shared/values';
import type { Connection } from './config';

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

/** GitLab refused a request. The message names method, path, status, GitLab's own words and, where known, the remedy. */
export class GitLabError extends Error {
  constructor(
    readonly method: Method,
    readonly path: string,
    readonly status: number,
    /** What GitLab said. */
    readonly reason: string,
  ) {
    super(`GitLab: ${method} ${path}: ${status} ${reason}${remedy(path, status, reason)}`);
  }
}

function remedy(path: string, status: number, reason: string): string {
  // The API of hooks says only that the URL is invalid; other places say why.
  const blockedHook = /\/hooks(?:\/|$)/.test(path) && /invalid url given/i.test(reason);
  if (blockedHook || /requests to (?:the local (?:network|host)|localhost)/i.test(reason)) {
    return (
      '. If the URL is right, it is a private address, and an administrator must allow hooks to those: ' +
      'PUT /application/settings {"allow_local_requests_from_web_hooks_and_services": true}'
    );
  }
  if (status === 401)
    return ". The token is wrong, expired or revoked: set the provider's token or GITLAB_TOKEN";
  if (/insufficient_scope/.test(reason)) return '. The token needs the scope "api"';
  return '';
}

/** GitLab answers `{"message": string | {field: [faults]}}`, `{"error": string}` or `{"error", "error_description"}`. */
function reasonOf(body: unknown, statusText: string): string {
  if (!isRecord(body)) return statusText;
  const { message, error, error_description: description } = body;
  if (isRecord(message)) {
    return Object.entries(message)
      .map(
        ([field, faults]) => `${field} ${Array.isArray(faults) ? faults.join(', ') : JSON.stringify(faults)}`,
      )
      .join('; ');
  }
  const said = [message ?? error, description].filter((part) => part !== undefined && part !== null);
  return (
    said.map((part) => (typeof part === 'string' ? part : JSON.stringify(part))).join(': ') || statusText
  );
}

/** REST v4, with repeats where a repeat is harmless. */
export class Client {
  constructor(
    private readonly connection: Connection,
    private readonly signal?: AbortSignal,
  ) {}

  get(path: string, query: Props = {}): Promise<Props> {
    return this.object('GET', path, query);
  }

  post(path: string, body: Props = {}): Promise<Props> {
    return this.object('POST', path, body);
  }

  put(path: string, body: Props = {}): Promise<Props> {
    return this.object('PUT', path, body);
  }

  patch(path: string, body: Props = {}): Promise<Props> {
    return this.object('PATCH', path, body);
  }

  /** Deleting what is gone already is a success. */
  async delete(path: string, query: Props = {}): Promise<void> {
    await this.find(() => this.send('DELETE', path, query));
  }

  /** The object, or `undefined` when there is none. */
  async lookUp(path: string, query: Props = {}): Promise<Props | undefined> {
    return this.find(() => this.get(path, query));
  }

  private async find<T>(request: () => Promise<T>): Promise<T | undefined> {
    try {
      return await request();
    } catch (error) {
      if (error instanceof GitLabError && error.status === 404) return undefined;
      throw error;
    }
  }

  private async object(method: Method, path: string, params: Props): Promise<Props> {
    const body = await this.send(method, path, params);
    if (isRecord(body)) return body;
    throw new Error(`GitLab: ${method} ${path}: the answer is not an object`);
  }

  private async send(method: Method, path: string, params: Props): Promise<unknown> {
    for (let attempt = 0; ; attempt++) {
      const last = attempt >= this.connection.retries;
      try {
        return await this.once(method, path, params);
      } catch (error) {
        if (last || this.signal?.aborted || !repeatable(method, error)) throw error;
        await sleep(200 * 2 ** attempt, undefined, { signal: this.signal });
      }
    }
  }

  private async once(method: Method, path: string, params: Props): Promise<unknown> {
    const url = new URL(path.replace(/^\//, ''), this.connection.baseUrl);
    const headers: Record<string, string> = {
      'PRIVATE-TOKEN': this.connection.token,
      Accept: 'application/json',
    };
    const init: RequestInit = { method, headers, redirect: 'manual' };
    const timeout = AbortSignal.timeout(60_000);
    init.signal = this.signal ? AbortSignal.any([this.signal, timeout]) : timeout;
    if (method === 'GET' || method === 'DELETE') {
      for (const [key, value] of Object.entries(params)) url.searchParams.set(key, String(value));
    } else {
      headers['Content-Type'] = 'application/json';
      init.body = JSON.stringify(params);
    }
    let response: Response;
    try {
      response = await fetch(url, init);
    } catch (error) {
      throw new Unreachable(method, path, this.connection.baseUrl, error);
    }
    const text = await response.text();
    let body: unknown;
    try {
      body = text === '' ? {} : JSON.parse(text);
    } catch {
      body = undefined;
    }
    if (response.ok && body !== undefined) return body;
    throw new GitLabError(
      method,
      `/${path.replace(/^\//, '')}`,
      response.status,
      reasonOf(body, response.statusText),
    );
  }
}

/** No answer at all. */
class Unreachable extends Error {
  readonly refused: boolean;

  constructor(method: Method, path: string, baseUrl: string, cause: unknown) {
    const inner = cause instanceof Error && cause.cause instanceof Error ? cause.cause : cause;
    const code = inner instanceof Error && 'code' in inner ? String(inner.code) : String(inner);
    super(`GitLab: ${method} ${path}: no answer from ${baseUrl} (${code}). Is it running?`);
    this.refused = code === 'ECONNREFUSED';
  }
}

/** A refused connection never reached GitLab; anything else may have, so only what changes nothing twice is repeated. */
function repeatable(method: Method, error: unknown): boolean {
  if (error instanceof Unreachable) return error.refused || method !== 'POST';
  if (!(error instanceof GitLabError)) return false;
  if (error.status === 429) return true;
  return error.status >= 500 && method !== 'POST';
}
