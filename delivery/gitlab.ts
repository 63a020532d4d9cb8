import { z } from 'zod';
import { STATUS_NAME } from '../catalog/status';
import { wholeOf } from '../clients/pages';
import { CLOCK, type Clock, type Policy, retry, retryAfterMs } from '../clients/retry';
import { parseJson } from './certificate';
import { exitCode, Failure } from './failure';

const commitId = z.string().regex(/^[0-9a-f]{40}$/);

const mergeRequestSchema = z.object({
  iid: z.number(),
  state: z.enum(['opened', 'closed', 'locked', 'merged']),
  draft: z.boolean().default(false),
  sha: z.string().nullable(),
  title: z.string(),
  /** Why it can, or cannot yet, be merged. GitLab judges in the background, and this lags behind. */
  detailed_merge_status: z.string().optional(),
  source_branch: z.string(),
  target_branch: z.string(),
  source_project_id: z.number().nullable(),
  target_project_id: z.number(),
  merge_commit_sha: z.string().nullish(),
  squash_commit_sha: z.string().nullish(),
  merged_at: z.string().nullish(),
  closed_at: z.string().nullish(),
});
export type MergeRequest = z.infer<typeof mergeRequestSchema>;

const noteSchema = z.object({
  id: z.number(),
  body: z.string(),
  system: z.boolean().default(false),
  author: z.object({ id: z.number() }),
});
export type Note = z.infer<typeof noteSchema>;

const fileSchema = z.object({
  content: z.string(),
  encoding: z.literal('base64'),
  last_commit_id: z.string(),
});

const issueSchema = z.object({
  iid: z.number(),
  state: z.enum(['opened', 'closed']),
  title: z.string(),
  description: z.string().nullable(),
});
export type Issue = z.infer<typeof issueSchema>;

export type CommitState = 'pending' | 'running' | 'success' | 'failed' | 'canceled';

/** An answer of GitLab that is not a success. `status` 0: it could not be reached. */
export class GitLabError extends Failure {
  constructor(
    readonly status: number,
    readonly detail: string,
    what: string,
    remedy = '',
    /** Milliseconds that the answer asked to wait. */
    readonly after?: number,
  ) {
    super(exitCode.red, what, remedy);
    this.name = 'GitLabError';
  }
}

export interface GitLabOptions {
  /** Without `/api/v4`. */
  readonly url: string;
  readonly token: string;
  /** @default that of `clients/retry.ts` */
  readonly policy?: Partial<Policy>;
  readonly clock?: Clock;
}

interface Answer {
  readonly body: unknown;
  readonly nextPage: string | undefined;
}

const encode = encodeURIComponent;

/** GitLab's `message` is a string, a list, or a record of lists; `error` appears too. */
function detailOf(body: unknown): string {
  if (typeof body === 'string') return body.split('\n')[0]?.slice(0, 200) ?? '';
  if (body === null || typeof body !== 'object') return '';
  const { message, error } = body as { message?: unknown; error?: unknown };
  const said = message ?? error;
  return (typeof said === 'string' ? said : JSON.stringify(said ?? '')).slice(0, 300);
}

const transient = [0, 429, 500, 502, 503, 504];

/** The few requests that delivery makes, each answer checked. The token travels only in a header. */
export class GitLab {
  constructor(private readonly options: GitLabOptions) {}

  private async once(
    method: string,
    path: string,
    body: Record<string, unknown> | undefined,
    timeout: number,
  ): Promise<Answer> {
    let response: Response;
    let text: string;
    try {
      response = await fetch(`${this.options.url.replace(/\/+$/, '')}/api/v4${path}`, {
        method,
        headers: {
          'private-token': this.options.token,
          ...(body ? { 'content-type': 'application/json' } : {}),
        },
        body: body ? JSON.stringify(body) : undefined,
        redirect: 'error',
        signal: AbortSignal.timeout(Math.ceil(timeout)),
      });
      text = await response.text();
    } catch (error) {
      const { message, cause } = error as Error & { cause?: { message?: string } };
      const reason = cause?.message || message;
      throw new GitLabError(
        0,
        reason,
        `GitLab: ${this.options.url} cannot be reached (${reason}).`,
        'Check GITLAB_URL and the network.',
      );
    }
    const parsed = parseJson(text);
    if (!response.ok) {
      const detail = detailOf(parsed ?? text);
      throw new GitLabError(
        response.status,
        detail,
        `GitLab: ${method} ${path.split('?')[0]} answered ${response.status}${detail ? ` (${detail})` : ''}.`,
        response.status === 401 || response.status === 403
          ? 'Check that GITLAB_TOKEN is valid, has the api scope and may do this in the project.'
          : '',
        retryAfterMs(response.headers.get('retry-after'), (this.options.clock ?? CLOCK).now()),
      );
    }
    return { body: parsed, nextPage: response.headers.get('x-next-page') || undefined };
  }

  /** Repeats what a second try can mend: reads after transient faults, writes only after what the caller names. */
  private async request(
    method: string,
    path: string,
    body?: Record<string, unknown>,
    mendable: readonly number[] = method === 'GET' ? transient : [429],
  ): Promise<Answer> {
    return retry((timeout) => this.once(method, path, body, timeout), {
      again: (error) => error instanceof GitLabError && mendable.includes(error.status),
      after: (error) => (error instanceof GitLabError ? error.after : undefined),
      policy: this.options.policy,
      clock: this.options.clock,
    });
  }

  private check<T>(schema: z.ZodType<T>, answer: Answer, path: string): T {
    const parsed = schema.safeParse(answer.body);
    if (parsed.success) return parsed.data;
    const issue = parsed.error.issues[0];
    throw new Failure(
      exitCode.red,
      `GitLab: the answer of ${path} is not understood (${issue?.path.join('.') || 'body'}: ${issue?.message}).`,
      'Check that GITLAB_URL is a GitLab and no proxy answers in its place.',
    );
  }

  private async get<T>(path: string, schema: z.ZodType<T>): Promise<T> {
    return this.check(schema, await this.request('GET', path), path);
  }

  private async all<T>(path: string, schema: z.ZodType<T>): Promise<T[]> {
    const separator = path.includes('?') ? '&' : '?';
    const body = await wholeOf(`${path}${separator}per_page=100`, async (page) => {
      const answer = await this.request('GET', page);
      return { body: answer.body, next: answer.nextPage };
    });
    return this.check(z.array(schema), { body, nextPage: undefined }, path);
  }

  /** The bot's own user id. */
  async ownId(): Promise<number> {
    return (await this.get('/user', z.object({ id: z.number() }))).id;
  }

  mergeRequest(project: string, iid: number): Promise<MergeRequest> {
    return this.get(`/projects/${encode(project)}/merge_requests/${iid}`, mergeRequestSchema);
  }

  /** Merge requests that brought a commit, the merge commit's own among them. */
  mergeRequestsOf(project: string, sha: string): Promise<MergeRequest[]> {
    return this.all(
      `/projects/${encode(project)}/repository/commits/${sha}/merge_requests`,
      mergeRequestSchema,
    );
  }

  /** How a project's merge requests are merged: `merge`, `rebase_merge` or `ff`. */
  async mergeMethod(project: string): Promise<string> {
    const path = `/projects/${encode(project)}`;
    return (await this.get(path, z.object({ merge_method: z.string() }))).merge_method;
  }

  /** Commit at the head of a branch. */
  async branchHead(project: string, branch: string): Promise<string> {
    const path = `/projects/${encode(project)}/repository/branches/${encode(branch)}`;
    return (await this.get(path, z.object({ commit: z.object({ id: commitId }) }))).commit.id;
  }

  /** `PUT …/merge` with `sha`: GitLab itself refuses when the source branch has moved. */
  async merge(project: string, iid: number, sha: string): Promise<MergeRequest> {
    const path = `/projects/${encode(project)}/merge_requests/${iid}/merge`;
    return this.check(mergeRequestSchema, await this.request('PUT', path, { sha }), path);
  }

  /**
   * Posts a status of a commit. Posts that meet each other answer 409, and posting twice changes nothing, so both
   * that and a transient fault are tried again. `ref` is a bare branch name; `name` is the aggregate's by default.
   */
  async setStatus(
    project: string,
    sha: string,
    status: { state: CommitState; ref: string; targetUrl?: string; description: string; name?: string },
  ): Promise<void> {
    const path = `/projects/${encode(project)}/statuses/${sha}`;
    const body = {
      state: status.state,
      ref: status.ref,
      name: status.name ?? STATUS_NAME,
      description: status.description.slice(0, 255),
      // GitLab refuses a longer one (GenericCommitStatus), and a cut one would lead nowhere.
      ...(status.targetUrl && status.targetUrl.length <= 255 ? { target_url: status.targetUrl } : {}),
    };
    try {
      await this.request('POST', path, body, [409, ...transient]);
    } catch (error) {
      // GitLab answers 400 when a status already is what it is asked to become.
      const same =
        error instanceof GitLabError &&
        error.status === 400 &&
        /cannot transition status/i.test(error.detail);
      if (!same) throw error;
    }
  }

  notes(project: string, iid: number): Promise<Note[]> {
    return this.all(
      `/projects/${encode(project)}/merge_requests/${iid}/notes?sort=asc&order_by=created_at`,
      noteSchema,
    );
  }

  async createNote(project: string, iid: number, body: string): Promise<void> {
    await this.request('POST', `/projects/${encode(project)}/merge_requests/${iid}/notes`, { body });
  }

  async editNote(project: string, iid: number, note: number, body: string): Promise<void> {
    const path = `/projects/${encode(project)}/merge_requests/${iid}/notes/${note}`;
    await this.request('PUT', path, { body }, transient);
  }

  /** Issues of a project with a label, open and closed. */
  issues(project: string, label: string): Promise<Issue[]> {
    return this.all(`/projects/${encode(project)}/issues?labels=${encode(label)}&state=all`, issueSchema);
  }

  /** @returns the new issue's number in the project; labels that the project does not have come into being */
  async openIssue(
    project: string,
    issue: { readonly title: string; readonly description: string; readonly labels: string },
  ): Promise<number> {
    const path = `/projects/${encode(project)}/issues`;
    return this.check(issueSchema, await this.request('POST', path, issue), path).iid;
  }

  async editIssue(
    project: string,
    iid: number,
    change: { readonly description?: string; readonly state_event?: 'close' | 'reopen' },
  ): Promise<void> {
    await this.request('PUT', `/projects/${encode(project)}/issues/${iid}`, change, transient);
  }

  async commentOnIssue(project: string, iid: number, body: string): Promise<void> {
    await this.request('POST', `/projects/${encode(project)}/issues/${iid}/notes`, { body });
  }

  /** A file at a branch's head with the last commit that touched it, or undefined when there is none. */
  async file(
    project: string,
    path: string,
    branch: string,
  ): Promise<{ text: string; lastCommit: string } | undefined> {
    const route = `/projects/${encode(project)}/repository/files/${encode(path)}?ref=${encode(branch)}`;
    try {
      const found = await this.get(route, fileSchema);
      return {
        text: Buffer.from(found.content, 'base64').toString('utf8'),
        lastCommit: found.last_commit_id,
      };
    } catch (error) {
      if (error instanceof GitLabError && error.status === 404) return undefined;
      throw error;
    }
  }

  /**
   * Commits one file. With `lastCommit`, GitLab refuses (400) when the file has changed since; without it,
   * when the file exists.
   */
  async commitFile(
    project: string,
    change: { branch: string; path: string; text: string; message: string; lastCommit?: string },
  ): Promise<string> {
    const route = `/projects/${encode(project)}/repository/commits`;
    const answer = await this.request('POST', route, {
      branch: change.branch,
      commit_message: change.message,
      actions: [
        {
          action: change.lastCommit ? 'update' : 'create',
          file_path: change.path,
          content: change.text,
          ...(change.lastCommit ? { last_commit_id: change.lastCommit } : {}),
        },
      ],
    });
    return this.check(z.object({ id: commitId }), answer, route).id;
  }
}
