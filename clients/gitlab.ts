import { z } from 'zod';
import { dependencyLines } from '../catalog/depends-on';
import { STATUS_NAME } from '../catalog/status';
import { parseJson } from '../text/json';
import { exitCode, Failure } from './failure';
import { GitLabApi, GitLabError, type GitLabOptions, GRAPHQL, type How, TooLargeAnswer } from './gitlab-api';

const commitId = z.string().regex(/^[0-9a-f]{40}$/);

/** What is kept of a description, in characters: GitLab takes a million of them, and lists a hundred descriptions at once. */
const MOST_DESCRIBED = 16_384;

/** The beginning of a long description, and what its other lines say that it depends on. */
function shortened(text: string): string {
  if (text.length <= MOST_DESCRIBED) return text;
  const kept = [text.slice(0, MOST_DESCRIBED), ...dependencyLines(text, MOST_DESCRIBED)].join('\n');
  // A copy: a part of a text keeps the whole of it in memory.
  return Buffer.from(kept).toString();
}

const mergeRequestSchema = z.object({
  id: z.number(),
  iid: z.number(),
  state: z.enum(['opened', 'closed', 'locked', 'merged']),
  draft: z.boolean().default(false),
  sha: z.string().nullable(),
  title: z.string(),
  author: z.object({ username: z.string() }).optional(),
  description: z.string().transform(shortened).nullish(),
  created_at: z.string().optional(),
  updated_at: z.string().optional(),
  labels: z.array(z.string()).optional(),
  /** Why it can, or cannot yet, be merged. GitLab judges in the background, and this lags behind. */
  detailed_merge_status: z.string().optional(),
  /** By which GitLab judges. `source` is `external` where it has nothing but posted statuses. */
  head_pipeline: z.object({ id: z.number(), source: z.string() }).nullish(),
  source_branch: z.string(),
  target_branch: z.string(),
  source_project_id: z.number().nullable(),
  target_project_id: z.number(),
  merge_commit_sha: z.string().nullish(),
  squash_commit_sha: z.string().nullish(),
  merged_at: z.string().nullish(),
  /** What a merge or a rebase failed with. */
  merge_error: z.string().nullish(),
  /** Told where it is asked for. */
  rebase_in_progress: z.boolean().optional(),
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
  author: z.object({ id: z.number() }),
});
export type Issue = z.infer<typeof issueSchema>;

const approvalsSchema = z.object({
  approved_by: z.array(
    z.object({
      user: z.object({ id: z.number(), username: z.string() }),
      /** GitLab tells it since 18 (`lib/api/entities/approvals.rb`). */
      approved_at: z.iso.datetime({ offset: true }).optional(),
    }),
  ),
});
export type Approval = z.infer<typeof approvalsSchema>['approved_by'][number];

const versionSchema = z.object({
  id: z.number(),
  head_commit_sha: commitId,
  created_at: z.iso.datetime({ offset: true }),
});
export type Version = z.infer<typeof versionSchema>;

const pushSchema = z.object({
  author_id: z.number(),
  /** Without refs where one push changed more of them than the instance lists one by one. */
  push_data: z
    .object({
      action: z.enum(['created', 'pushed', 'removed']),
      ref_type: z.enum(['branch', 'tag']),
      ref: z.string().nullable(),
      commit_from: z.string().nullable(),
      commit_to: z.string().nullable(),
    })
    .optional(),
});
export type Push = z.infer<typeof pushSchema>;

const userGid = z
  .object({ id: z.string().regex(/^gid:\/\/gitlab\/User\/\d+$/) })
  .transform(({ id }) => Number(id.split('/').at(-1)));
const peopleSchema = z.object({
  data: z.object({
    project: z.object({
      mergeRequest: z.object({
        author: userGid,
        committers: z.object({
          nodes: z.array(userGid),
          pageInfo: z.object({ hasNextPage: z.boolean() }),
        }),
        commits: z.object({
          nodes: z.array(z.object({ author: userGid.nullable() })),
          pageInfo: z.object({ hasNextPage: z.boolean(), endCursor: z.string().nullable() }),
        }),
      }),
    }),
  }),
});
/** Pages of 100 commits whose authors are asked for. */
const MOST_COMMIT_PAGES = 20;
/** REST has no user for a commit's author: GitLab finds one by the e-mail addresses that users have confirmed. */
const PEOPLE = `query($project: ID!, $iid: String!, $after: String) {
  project(fullPath: $project) {
    mergeRequest(iid: $iid) {
      author { id }
      committers(first: 100) { nodes { id } pageInfo { hasNextPage } }
      commits(first: 100, after: $after) { nodes { author { id } } pageInfo { hasNextPage endCursor } }
    }
  }
}`;

const labelsSchema = z.object({
  data: z.object({
    project: z.object({
      mergeRequest: z.object({
        labels: z.object({
          nodes: z.array(
            z.object({
              id: z.string().regex(/^gid:\/\/gitlab\/[A-Za-z]*Label\/\d+$/),
              updatedAt: z.iso.datetime({ offset: true }),
            }),
          ),
        }),
      }),
    }),
  }),
});
/** REST does not say when a label was changed (`lib/api/entities/label.rb`). */
const LABELS = `query($project: ID!, $iid: String!) {
  project(fullPath: $project) {
    mergeRequest(iid: $iid) { labels(first: 100) { nodes { id updatedAt } } }
  }
}`;

export type CommitState = 'pending' | 'running' | 'success' | 'failed' | 'canceled';

const statusSchema = z.object({
  id: z.number(),
  status: z.string(),
  name: z.string(),
  ref: z.string().nullable(),
  target_url: z.string().nullable(),
  description: z.string().nullable(),
  created_at: z.string(),
  finished_at: z.string().nullish(),
});
/** A status of a commit as GitLab keeps it; one that ended and was posted anew is kept beside the new one. */
export type CommitStatus = z.infer<typeof statusSchema>;

const projectSchema = z.object({
  id: z.number(),
  name: z.string(),
  path_with_namespace: z.string(),
  default_branch: z.string().nullish(),
  web_url: z.string(),
  ssh_url_to_repo: z.string(),
  http_url_to_repo: z.string(),
  namespace: z.object({ name: z.string() }),
});
export type ProjectDetails = z.infer<typeof projectSchema>;

const labelEventSchema = z.object({
  id: z.number(),
  action: z.enum(['add', 'remove']),
  /** Null of a label that is gone since. */
  label: z.object({ id: z.number(), name: z.string() }).nullable(),
  user: z.object({ id: z.number(), username: z.string() }).nullish(),
  created_at: z.iso.datetime({ offset: true }).optional(),
});
/** That somebody put a label on, or took it off. */
export type LabelEvent = z.infer<typeof labelEventSchema>;

/** Roles, as GitLab numbers them. */
const DEVELOPER = 30;
const MAINTAINER = 40;

const protectionSchema = z.object({
  merge_access_levels: z.array(
    z.object({
      access_level: z.number().nullable(),
      user_id: z.number().nullish(),
      group_id: z.number().nullish(),
    }),
  ),
});

const commitSchema = z.object({
  id: commitId,
  title: z.string(),
  message: z.string(),
  author_name: z.string(),
  author_email: z.string(),
  parent_ids: z.array(z.string()),
});
export type CommitDetails = z.infer<typeof commitSchema>;

const listedCommitSchema = commitSchema.extend({ committed_date: z.string() });
/** A commit as a list of them has it: with its time, RFC 3339. */
export type ListedCommit = z.infer<typeof listedCommitSchema>;

const hookSchema = z.object({
  id: z.number(),
  url: z.string(),
  // GitLab without automatic disabling says `executable` always.
  alert_status: z.enum(['executable', 'temporarily_disabled', 'disabled']),
  disabled_until: z.string().nullish(),
});
export type ProjectHook = z.infer<typeof hookSchema>;

/** A user's name as GitLab allows it: a line of ours stays one, and a mention is one. */
export const isUsername = (text: string): boolean => /^[A-Za-z0-9_][A-Za-z0-9_.-]*$/.test(text);

interface Answer {
  /** Undefined where it is no JSON. */
  readonly body: unknown;
  readonly nextPage: string | undefined;
}

const encode = encodeURIComponent;

/** What a second time changes nothing more of. */
const REPEATABLE = { repeatable: true };
/** Rows of a page: fewer where so many are too large, one row at last. */
const PAGE_SIZES = [100, 10, 1] as const;

/** Text as GitLab's database takes it: names of tests and files stand in it, and a status that is refused never ends. */
const asKept = (text: string): string => text.replace(/\p{Cc}+/gu, ' ').replace(/\p{Cs}/gu, '\ufffd');

/**
 * GitLab as delivery works with it, and as operations do the same by hand: each request by name, each answer checked. What it is
 * told of a project is that project's: an answer that sends on, as where another has its path now, is a fault.
 */
export class GitLab {
  private readonly api: GitLabApi;

  constructor(options: GitLabOptions) {
    this.api = new GitLabApi(options, 'error');
  }

  /** GitLab's own clock at its last answer, in milliseconds since 1970; ours before the first. */
  get time(): number {
    return this.api.time;
  }

  /** Writes are tried again after a fault only where the caller says so: of too many requests none was carried out. */
  private async request(
    method: string,
    path: string,
    body?: Record<string, unknown>,
    how: Omit<How, 'body'> = {},
  ): Promise<Answer> {
    const { text, nextPage } = await this.api.request(method, path, { body, ...how });
    return { body: parseJson(text), nextPage };
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

  /** Undefined where GitLab has none. */
  private async found<T>(path: string, schema: z.ZodType<T>): Promise<T | undefined> {
    try {
      return await this.get(path, schema);
    } catch (error) {
      if (error instanceof GitLabError && error.status === 404) return undefined;
      throw error;
    }
  }

  /**
   * Rows of a list, in its order, page by page.
   * @param most rows that are asked for. @default all
   * @param isEnough asked after each page with all so far. @default the list has an end
   * @param keep which rows are kept. @default all
   */
  private async all<T>(
    path: string,
    schema: z.ZodType<T>,
    {
      most = Number.POSITIVE_INFINITY,
      isEnough = () => false,
      keep = () => true,
    }: {
      readonly most?: number;
      readonly isEnough?: (found: readonly T[]) => boolean;
      readonly keep?: (row: T) => boolean | Promise<boolean>;
    } = {},
  ): Promise<T[]> {
    const from = async (size: number): Promise<T[]> => {
      const route = `${path}${path.includes('?') ? '&' : '?'}per_page=${size}`;
      const found: T[] = [];
      for (let page: string | undefined = '', asked = 0; page !== undefined; ) {
        const answer: Answer = await this.request('GET', `${route}${page && `&page=${page}`}`);
        for (const row of this.check(z.array(schema), answer, path)) if (await keep(row)) found.push(row);
        asked += size;
        page = asked >= most || isEnough(found) ? undefined : answer.nextPage;
      }
      return found;
    };
    for (const size of PAGE_SIZES) {
      try {
        return await from(Math.min(size, most));
      } catch (error) {
        if (!(error instanceof TooLargeAnswer) || size === PAGE_SIZES.at(-1)) throw error;
      }
    }
    throw new Error('a list has pages');
  }

  /** The beginning of a list, as far as it is wanted; 5,000 rows at most. */
  private async pagesUntil<T>(
    path: string,
    schema: z.ZodType<T>,
    isEnough: (found: readonly T[]) => boolean,
    pages = 50,
  ): Promise<readonly T[]> {
    if (isEnough([])) return [];
    return this.all(path, schema, { most: pages * 100, isEnough });
  }

  /** The bot's own user id. */
  async ownId(): Promise<number> {
    return (await this.get('/user', z.object({ id: z.number() }))).id;
  }

  mergeRequest(project: string, iid: number): Promise<MergeRequest> {
    return this.get(`/projects/${encode(project)}/merge_requests/${iid}`, mergeRequestSchema);
  }

  /** Merge requests into a branch that are open. */
  openMergeRequests(project: string, branch: string): Promise<MergeRequest[]> {
    return this.all(
      `/projects/${encode(project)}/merge_requests?state=opened&target_branch=${encode(branch)}`,
      mergeRequestSchema,
    );
  }

  /**
   * Opens a merge request within a project, whose branch goes when it is merged.
   * @throws GitLabError 409 where one of that branch is open already
   */
  async openMergeRequest(
    project: string,
    request: {
      readonly source_branch: string;
      readonly target_branch: string;
      readonly title: string;
      readonly description: string;
    },
  ): Promise<MergeRequest> {
    const path = `/projects/${encode(project)}/merge_requests`;
    const body = { ...request, remove_source_branch: true };
    return this.check(mergeRequestSchema, await this.request('POST', path, body), path);
  }

  /** Those that GitLab merges at this moment: the list of open ones does not have them, nor has that of merged ones. */
  lockedMergeRequests(project: string, branch: string): Promise<MergeRequest[]> {
    return this.all(
      `/projects/${encode(project)}/merge_requests?state=locked&target_branch=${encode(branch)}`,
      mergeRequestSchema,
    );
  }

  /** Merge requests that were merged into a branch: of the newest twenty changes, oldest merge first. */
  async mergedOfLate(project: string, branch: string): Promise<MergeRequest[]> {
    // `merged_at` as an order is younger than what we take (GitLab 17.2); a merge is a change as well.
    const path = `/projects/${encode(project)}/merge_requests?state=merged&target_branch=${encode(branch)}&order_by=updated_at&sort=desc`;
    const found = await this.all(path, mergeRequestSchema, { most: 20 });
    const at = ({ merged_at }: MergeRequest): number => Date.parse(merged_at ?? '') || 0;
    return found.sort((a, b) => at(a) - at(b));
  }

  /** Undefined for one that is not there, or that the bot may not see. */
  findMergeRequest(project: string, iid: number): Promise<MergeRequest | undefined> {
    return this.found(`/projects/${encode(project)}/merge_requests/${iid}`, mergeRequestSchema);
  }

  /** Statuses of a commit on a branch, of one name or of all, those that were posted anew among them, in the order of their making. */
  async statuses(project: string, sha: string, ref: string, name?: string): Promise<CommitStatus[]> {
    const named = name === undefined ? '' : `&name=${encode(name)}`;
    const path = `/projects/${encode(project)}/repository/commits/${sha}/statuses?all=true&ref=${encode(ref)}${named}`;
    return (await this.all(path, statusSchema)).sort((a, b) => a.id - b.id);
  }

  project(project: string): Promise<ProjectDetails> {
    return this.get(`/projects/${encode(project)}`, projectSchema);
  }

  commit(project: string, sha: string): Promise<CommitDetails> {
    return this.get(`/projects/${encode(project)}/repository/commits/${sha}`, commitSchema);
  }

  hooks(project: string): Promise<ProjectHook[]> {
    return this.all(`/projects/${encode(project)}/hooks`, hookSchema);
  }

  /**
   * Sends a hook what its trigger sends, also a disabled one; GitLab enables it again where the receiver takes it.
   * @throws GitLabError 422 when the receiver does not, or the project has nothing to send
   */
  async testHook(project: string, hook: number, trigger: string): Promise<void> {
    await this.request('POST', `/projects/${encode(project)}/hooks/${hook}/test/${trigger}`);
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

  /** Starts a rebase of the source branch onto its target, in the background: what comes of it is a push. */
  async rebase(project: string, iid: number): Promise<void> {
    await this.request('PUT', `/projects/${encode(project)}/merge_requests/${iid}/rebase`, {});
  }

  /** A merge request, and whether it is being rebased. */
  rebasing(project: string, iid: number): Promise<MergeRequest> {
    const path = `/projects/${encode(project)}/merge_requests/${iid}?include_rebase_in_progress=true`;
    return this.get(path, mergeRequestSchema);
  }

  /** `PUT …/merge` with `sha`: GitLab itself refuses when the source branch has moved. */
  async merge(project: string, iid: number, sha: string): Promise<MergeRequest> {
    const path = `/projects/${encode(project)}/merge_requests/${iid}/merge`;
    return this.check(mergeRequestSchema, await this.request('PUT', path, { sha }), path);
  }

  /** What became of a merge request's labels, oldest first. */
  async labelEvents(project: string, iid: number): Promise<LabelEvent[]> {
    const path = `/projects/${encode(project)}/merge_requests/${iid}/resource_label_events`;
    return (await this.all(path, labelEventSchema)).sort((a, b) => a.id - b.id);
  }

  /**
   * When each label of a merge request, by its number, was changed last: its name among the rest. Milliseconds since 1970, in
   * whole seconds, as GitLab tells it (`Types::TimeType`).
   */
  async labelChanges(project: string, iid: number): Promise<ReadonlyMap<number, number>> {
    const asked = { query: LABELS, variables: { project, iid: String(iid) } };
    const answer = await this.request('POST', GRAPHQL, asked, REPEATABLE);
    const { nodes } = this.check(labelsSchema, answer, GRAPHQL).data.project.mergeRequest.labels;
    return new Map(nodes.map(({ id, updatedAt }) => [Number(id.split('/').at(-1)), Date.parse(updatedAt)]));
  }

  /** Whether a user is a token's bot. */
  async isBot(user: number): Promise<boolean> {
    return (await this.get(`/users/${user}`, z.object({ bot: z.boolean() }))).bot;
  }

  /** Who approved a merge request, whichever of its commits they saw. */
  async approvals(project: string, iid: number): Promise<readonly Approval[]> {
    const path = `/projects/${encode(project)}/merge_requests/${iid}/approvals`;
    return (await this.get(path, approvalsSchema)).approved_by;
  }

  /** What a merge request's branch has been, newest first: each version is made when GitLab takes in a push. */
  async versions(project: string, iid: number): Promise<Version[]> {
    const all = await this.all(`/projects/${encode(project)}/merge_requests/${iid}/versions`, versionSchema);
    return all.sort((a, b) => b.id - a.id);
  }

  /**
   * Pushes to a project, newest first, a page of 100 after the other.
   * @param isEnough asked after each page with all so far
   * @param pages most that are read
   */
  pushes(
    project: string,
    isEnough: (pushes: readonly Push[]) => boolean,
    pages?: number,
  ): Promise<readonly Push[]> {
    const path = `/projects/${encode(project)}/events?action=pushed&sort=desc`;
    return this.pagesUntil(path, pushSchema, isEnough, pages);
  }

  /**
   * Ids of those who opened a merge request, and of whom GitLab takes for authors and committers of its commits; undefined of one
   * that has more than anybody reads.
   */
  async people(project: string, iid: number): Promise<ReadonlySet<number> | undefined> {
    const ids = new Set<number>();
    let after: string | null = null;
    for (let page = 0; page < MOST_COMMIT_PAGES; page++) {
      const answer: Answer = await this.request(
        'POST',
        GRAPHQL,
        { query: PEOPLE, variables: { project, iid: String(iid), after } },
        REPEATABLE,
      );
      const { author, committers, commits } = this.check(peopleSchema, answer, GRAPHQL).data.project
        .mergeRequest;
      if (committers.pageInfo.hasNextPage) return undefined;
      for (const id of [author, ...committers.nodes, ...commits.nodes.map((commit) => commit.author)])
        if (id !== null) ids.add(id);
      if (!commits.pageInfo.hasNextPage) return ids;
      after = commits.pageInfo.endCursor;
    }
    return undefined;
  }

  /** Whether a user is a person who may push to the project: active, no token's bot, Developer or above. */
  mayPush(project: string, user: number): Promise<boolean> {
    return this.isPersonOf(project, user, DEVELOPER);
  }

  /**
   * Whether a user is a person who may merge into a branch by hand, as far as its protection goes by roles: what a licence adds
   * for single users counts for those, what it adds for groups is not asked for. Where there is no protection by this very name,
   * or it may not be read, Maintainers may.
   */
  async mayMerge(project: string, branch: string, user: number): Promise<boolean> {
    const path = `/projects/${encode(project)}/protected_branches/${encode(branch)}`;
    const protection = await this.found(path, protectionSchema).catch((error: unknown) => {
      if (error instanceof GitLabError && error.status === 403) return undefined;
      throw error;
    });
    const levels = protection?.merge_access_levels ?? [];
    if (levels.some(({ user_id }) => user_id === user)) return this.isPersonOf(project, user, DEVELOPER);
    // 0: nobody.
    const roles = levels.flatMap(({ access_level: level, user_id, group_id }) =>
      level && !user_id && !group_id ? [level] : [],
    );
    if (levels.length > 0 && roles.length === 0) return false;
    return this.isPersonOf(
      project,
      user,
      roles.length > 0 ? Math.max(DEVELOPER, Math.min(...roles)) : MAINTAINER,
    );
  }

  private async isPersonOf(project: string, user: number, level: number): Promise<boolean> {
    const member = await this.found(
      `/projects/${encode(project)}/members/all/${user}`,
      z.object({ access_level: z.number(), state: z.string() }),
    );
    if (!member || member.access_level < level || member.state !== 'active') return false;
    return !(await this.isBot(user));
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
      description: [...asKept(status.description)].slice(0, 255).join(''),
      // GitLab refuses a longer one (GenericCommitStatus), and a cut one would lead nowhere.
      ...(status.targetUrl && status.targetUrl.length <= 255 ? { target_url: status.targetUrl } : {}),
    };
    try {
      await this.request('POST', path, body, { repeatable: true, mendable: [409] });
    } catch (error) {
      // GitLab answers 400 when a status already is what it is asked to become.
      const same =
        error instanceof GitLabError &&
        error.status === 400 &&
        /cannot transition status/i.test(error.detail);
      if (!same) throw error;
    }
  }

  /**
   * Notes of a merge request, oldest first.
   * @param wanted whose text is kept: others write as many as they like, of a million characters each
   * @param most that are wanted: behind them nothing is read
   */
  notes(
    project: string,
    iid: number,
    wanted: (note: Note) => boolean | Promise<boolean>,
    most = Number.POSITIVE_INFINITY,
  ): Promise<Note[]> {
    const path = `/projects/${encode(project)}/merge_requests/${iid}/notes?sort=asc&order_by=created_at`;
    return this.all(path, noteSchema, { keep: wanted, isEnough: ({ length }) => length >= most });
  }

  async createNote(project: string, iid: number, body: string): Promise<void> {
    await this.request('POST', `/projects/${encode(project)}/merge_requests/${iid}/notes`, { body });
  }

  async editNote(project: string, iid: number, note: number, body: string): Promise<void> {
    const path = `/projects/${encode(project)}/merge_requests/${iid}/notes/${note}`;
    await this.request('PUT', path, { body }, REPEATABLE);
  }

  /**
   * Issues of a project with a label, open and closed.
   * @param wanted whose text is kept: others write as many as they like, of a million characters each
   */
  issues(
    project: string,
    label: string,
    wanted: (issue: Issue) => boolean | Promise<boolean>,
  ): Promise<Issue[]> {
    const path = `/projects/${encode(project)}/issues?labels=${encode(label)}&state=all`;
    return this.all(path, issueSchema, { keep: wanted });
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
    await this.request('PUT', `/projects/${encode(project)}/issues/${iid}`, change, REPEATABLE);
  }

  async commentOnIssue(project: string, iid: number, body: string): Promise<void> {
    await this.request('POST', `/projects/${encode(project)}/issues/${iid}/notes`, { body });
  }

  /** A file at a branch's head, or at a commit, with the last commit that touched it; undefined when there is none. */
  async file(
    project: string,
    path: string,
    ref: string,
  ): Promise<{ text: string; lastCommit: string } | undefined> {
    const route = `/projects/${encode(project)}/repository/files/${encode(path)}?ref=${encode(ref)}`;
    const found = await this.found(route, fileSchema);
    return (
      found && {
        text: Buffer.from(found.content, 'base64').toString('utf8'),
        lastCommit: found.last_commit_id,
      }
    );
  }

  /**
   * Commits of a branch that touched a file, newest first, a page of 100 after the other.
   * @param isEnough asked after each page with all so far
   * @param pages most that are read
   */
  commitsOf(
    project: string,
    path: string,
    branch: string,
    isEnough: (commits: readonly ListedCommit[]) => boolean,
    pages?: number,
  ): Promise<readonly ListedCommit[]> {
    const route = `/projects/${encode(project)}/repository/commits?ref_name=${encode(branch)}&path=${encode(path)}`;
    return this.pagesUntil(route, listedCommitSchema, isEnough, pages);
  }

  /**
   * Commits one file. With `lastCommit`, GitLab refuses (400) when the file has changed since; without it,
   * when the file exists.
   * @param change with `from` the branch is made anew from that one, whatever it held, and `lastCommit` is of that one's file
   */
  async commitFile(
    project: string,
    change: {
      branch: string;
      path: string;
      text: string;
      message: string;
      lastCommit?: string;
      from?: string;
    },
  ): Promise<string> {
    const route = `/projects/${encode(project)}/repository/commits`;
    const answer = await this.request('POST', route, {
      branch: change.branch,
      ...(change.from === undefined ? {} : { start_branch: change.from, force: true }),
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
