import { parseJson } from '../text/json';
import { askText, TooLarge, Unanswered } from './ask';
import { exitCode, Failure } from './failure';
import { CLOCK, type Clock, isTransient, type Policy } from './retry';

/** Status of an answer that is a success and no JSON, which is none of GitLab's. */
export const NO_JSON = 200;

/** An answer of GitLab that is not a success, or {@link NO_JSON}. `status` 0: it could not be reached. */
export class GitLabError extends Failure {
  constructor(
    readonly status: number,
    /** What GitLab said, or why it did not. */
    readonly detail: string,
    what: string,
    remedy = '',
  ) {
    super(exitCode.red, what, remedy);
    this.name = 'GitLabError';
  }
}

/** Whether GitLab may have done what it was told without our hearing of it. */
export const isUnheard = (error: unknown): error is GitLabError =>
  error instanceof GitLabError && (error.status === 0 || isTransient(error.status));

/** An answer larger than any that is read. */
export class TooLargeAnswer extends Failure {}

export interface GitLabOptions {
  /** Without `/api/v4`. */
  readonly url: string;
  readonly token: string;
  /** @default that of `retry.ts`, for each key that is missing */
  readonly policy?: Partial<Policy>;
  readonly clock?: Clock;
}

export interface Answer {
  readonly text: string;
  /** Number of the page after this one. */
  readonly nextPage: string | undefined;
}

/**
 * Bytes of one answer. Whoever asks for all projects' sake has little memory, and what is answered with is text of others: a
 * description has a million characters at most, a note as many, and each of them takes up to six bytes (`\u003c`).
 */
const LARGEST_ANSWER = 8 << 20;

/** The one path that is not of the REST interface. */
export const GRAPHQL = '/graphql';

/** GitLab's `message` is a string, a list, or a record of lists; `error` appears too. */
function detailOf(body: unknown): string {
  if (typeof body === 'string') return body.split('\n')[0]?.slice(0, 200) ?? '';
  if (body === null || typeof body !== 'object') return '';
  const { message, error } = body as { message?: unknown; error?: unknown };
  const said = message ?? error;
  return (typeof said === 'string' ? said : JSON.stringify(said ?? '')).slice(0, 300);
}

export interface How {
  readonly body?: Readonly<Record<string, unknown>>;
  /** Whether a second time changes nothing more. @default only of a GET */
  readonly repeatable?: boolean;
  /** Further statuses that a later try may mend. @default none */
  readonly mendable?: readonly number[];
}

/**
 * GitLab's REST interface, whoever asks: the lookups before the first resource, operations, and `GitLab` (`gitlab.ts`), which
 * knows each request of delivery and checks its answer. The token travels only in a header.
 */
export class GitLabApi {
  private answeredAt: number | undefined;

  /** @param redirect what becomes of an answer that sends on. @default see `ask.ts`: read within GitLab, as of what was renamed */
  constructor(
    private readonly options: GitLabOptions,
    private readonly redirect?: 'error',
  ) {}

  /** GitLab's own clock at its last answer, in milliseconds since 1970; ours before the first. */
  get time(): number {
    return this.answeredAt ?? (this.options.clock ?? CLOCK).now();
  }

  /**
   * @param path below the interface, beginning with `/`
   * @throws GitLabError for any answer but a success, and for none; TooLargeAnswer
   */
  async request(method: string, path: string, how: How = {}): Promise<Answer> {
    const { body, repeatable = method === 'GET', mendable } = how;
    const { token, policy, clock } = this.options;
    const root = this.options.url.replace(/\/+$/, '');
    const what = `${method} ${path.split('?')[0]}`;
    const init: RequestInit = {
      method,
      headers: { 'private-token': token, ...(body ? { 'content-type': 'application/json' } : {}) },
      ...(body ? { body: JSON.stringify(body) } : {}),
      ...(this.redirect ? { redirect: this.redirect } : {}),
    };
    const url = `${root}${path === GRAPHQL ? '/api' : '/api/v4'}${path}`;
    const asking = { repeatable, mendable, most: LARGEST_ANSWER, policy, clock };
    const { response, body: text } = await askText(url, init, asking).catch((error: unknown) => {
      if (error instanceof TooLarge)
        throw new TooLargeAnswer(
          exitCode.red,
          `GitLab: ${what} answered with more than ${LARGEST_ANSWER} bytes.`,
        );
      if (!(error instanceof Unanswered)) throw error;
      throw new GitLabError(
        0,
        error.reason,
        `GitLab: ${this.options.url} cannot be reached (${error.reason}).`,
        'Check GITLAB_URL and the network.',
      );
    });
    const date = Date.parse(response.headers.get('date') ?? '');
    if (!Number.isNaN(date)) this.answeredAt = date;
    if (response.ok) return { text, nextPage: response.headers.get('x-next-page') || undefined };
    const { status } = response;
    const detail = detailOf(parseJson(text) ?? text);
    throw new GitLabError(
      status,
      detail,
      `GitLab: ${what} answered ${status}${detail ? ` (${detail})` : ''}.`,
      status === 401 || status === 403
        ? 'Check that GITLAB_TOKEN is valid, has the api scope and may do this in the project.'
        : '',
    );
  }

  /** Undefined where GitLab answers 404. @param path as GitLab's documentation has it: `projects/1/hooks` */
  private async found(path: string): Promise<Answer | undefined> {
    try {
      return await this.request('GET', `/${path}`);
    } catch (error) {
      if (error instanceof GitLabError && error.status === 404) return undefined;
      throw error;
    }
  }

  /** What is at a path, as text; undefined where GitLab answers 404. @param path as of {@link get} */
  async text(path: string): Promise<string | undefined> {
    return (await this.found(path))?.text;
  }

  private async read(path: string): Promise<{ body: unknown; next: string | undefined } | undefined> {
    const answer = await this.found(path);
    if (!answer) return undefined;
    const body = parseJson(answer.text);
    if (body !== undefined) return { body, next: answer.nextPage };
    throw new GitLabError(
      NO_JSON,
      'no JSON',
      `GitLab: what answers at ${this.options.url} is no GitLab: GET /${path.split('?')[0]} gives no JSON.`,
      'Check the address, and what stands between.',
    );
  }

  /** What is at a path, of a list the one page that the path names; undefined where GitLab answers 404. @param path as of {@link get} */
  async page(path: string): Promise<unknown> {
    return (await this.read(path))?.body;
  }

  /**
   * The whole of what is at a path: of a list every page (20 rows each, where the path has no `per_page`; 100 at most), of
   * anything else its body; undefined where GitLab answers 404.
   * @param path as GitLab's documentation has it: `projects/1/hooks`
   */
  async get(path: string): Promise<unknown> {
    const first = await this.read(path);
    if (!first || !Array.isArray(first.body)) return first?.body;
    const rows: unknown[] = [...first.body];
    const separator = path.includes('?') ? '&' : '?';
    for (let { next } = first; next; ) {
      const page = await this.read(`${path}${separator}page=${next}`);
      if (!page || !Array.isArray(page.body))
        throw new Error(`GitLab: page ${next} of ${path.split('?')[0]} is not a list`);
      rows.push(...page.body);
      next = page.next;
    }
    return rows;
  }

  /** @returns the body of the answer; undefined where GitLab answers 404. @param path as of {@link get} */
  async post(path: string, body: Readonly<Record<string, unknown>>): Promise<unknown> {
    try {
      return parseJson((await this.request('POST', `/${path}`, { body })).text);
    } catch (error) {
      if (error instanceof GitLabError && error.status === 404) return undefined;
      throw error;
    }
  }

  /** Removes what is at a path, if it is there. @param path as of {@link get} */
  async remove(path: string): Promise<void> {
    try {
      await this.request('DELETE', `/${path}`, { repeatable: true });
    } catch (error) {
      if (!(error instanceof GitLabError && error.status === 404)) throw error;
    }
  }
}
