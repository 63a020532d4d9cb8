import { z } from 'zod';
import { retry } from '../../clients/retry';
import { parseJson } from '../certificate';
import { exitCode, Failure } from '../failure';

export interface JenkinsOptions {
  /** Jenkins' address inside the cluster. */
  readonly url: string;
  /** Who looks at builds. @default whoever is not logged in */
  readonly login?: { readonly user: string; readonly password: string };
  /** Folder of the jobs. */
  readonly folder: string;
  readonly attemptMs?: number;
}

// Source: gitlab-plugin, cause/GitLabWebHookCause and cause/CauseData: both are exported beans, `data` with them.
const actionSchema = z.looseObject({
  causes: z
    .array(
      z.looseObject({
        data: z
          .looseObject({
            actionType: z.string().nullish(),
            mergeRequestIid: z.number().nullish(),
            lastCommit: z.string().nullish(),
            sourceBranch: z.string().nullish(),
          })
          .nullish(),
      }),
    )
    .optional(),
});
// Actions that export nothing appear as empty objects or null (core, Api and ModelBuilder).
const actionsSchema = z.array(actionSchema.nullish()).nullish();
const folderSchema = z.looseObject({
  jobs: z.array(
    z.looseObject({
      name: z.string(),
      builds: z
        .array(
          z.looseObject({
            number: z.number(),
            building: z.boolean(),
            timestamp: z.number(),
            duration: z.number(),
            actions: actionsSchema,
          }),
        )
        .nullish(),
    }),
  ),
});
const queueSchema = z.looseObject({
  items: z.array(
    z.looseObject({ task: z.looseObject({ url: z.string().nullish() }), actions: actionsSchema }),
  ),
});

const CAUSES = 'actions[causes[data[actionType,mergeRequestIid,lastCommit,sourceBranch]]]';

const read = (of: string, tree: string): string => `${of}/api/json?tree=${encodeURIComponent(tree)}`;

/** A build that a hook started; without a number while it waits in the queue. */
export interface Build {
  readonly job: string;
  readonly number?: number;
  readonly action: 'MERGE' | 'PUSH';
  readonly mergeRequest?: number;
  readonly commit: string;
  readonly sourceBranch: string;
  /** Milliseconds since 1970, by Jenkins' clock; absent while it waits or runs. */
  readonly endedAt?: number;
}

/** What the reconciler asks of Jenkins: which builds go on, and to start one as GitLab's hook would. */
export class Jenkins {
  constructor(private readonly options: JenkinsOptions) {}

  private async request(path: string, init: RequestInit = {}): Promise<string> {
    const { url, login, attemptMs = 20_000 } = this.options;
    const address = `${url.replace(/\/+$/, '')}/${path}`;
    let response: Response;
    try {
      response = await fetch(address, {
        ...init,
        headers:
          init.headers ??
          (login && {
            authorization: `Basic ${Buffer.from(`${login.user}:${login.password}`).toString('base64')}`,
          }),
        redirect: 'error',
        signal: AbortSignal.timeout(attemptMs),
      });
    } catch (error) {
      const { message, cause } = error as Error & { cause?: { message?: string } };
      throw new Failure(exitCode.red, `Jenkins: ${url} cannot be reached (${cause?.message || message}).`);
    }
    const text = await response.text();
    if (response.ok) return text;
    throw new Failure(exitCode.red, `Jenkins: ${path.split('?')[0]} answered ${response.status}.`);
  }

  private async json<T>(path: string, schema: z.ZodType<T>): Promise<T> {
    const text = await retry(() => this.request(path), {
      again: () => true,
      policy: { attempts: 2, baseMs: 500 },
    });
    const parsed = schema.safeParse(parseJson(text));
    if (parsed.success) return parsed.data;
    const issue = parsed.error.issues[0];
    throw new Failure(
      exitCode.red,
      `Jenkins: the answer of ${path.split('?')[0]} is not understood (${issue?.path.join('.')}: ${issue?.message}).`,
    );
  }

  /**
   * Every build of our jobs that waits or runs, and those that ended of late (Jenkins lists a job's newest hundred). The
   * queue first, since a build leaves it before it is listed.
   */
  async builds(): Promise<Build[]> {
    const { folder } = this.options;
    const queue = await this.json(read('queue', `items[task[url],${CAUSES}]`), queueSchema);
    const builds = `builds[number,building,timestamp,duration,${CAUSES}]{0,100}`;
    const path = read(`job/${folder}`, `jobs[name,${builds}]`);
    const { jobs } = await this.json(path, folderSchema);
    const waiting = queue.items.flatMap(({ task, actions }) => {
      const job = new RegExp(`/job/${folder}/job/([^/]+)/$`).exec(task.url ?? '')?.[1];
      return job === undefined ? [] : causesOf({ job: decodeURIComponent(job) }, actions);
    });
    const started = jobs.flatMap(({ name: job, builds }) =>
      (builds ?? []).flatMap(({ number, building, timestamp, duration, actions }) =>
        causesOf({ job, number, ...(building ? {} : { endedAt: timestamp + duration }) }, actions),
      ),
    );
    return [...waiting, ...started];
  }

  /** Gives a job a hook of GitLab's, as GitLab gives it. @throws Failure when Jenkins does not take it */
  async hook(job: string, event: string, token: string, payload: object): Promise<void> {
    await this.request(`project/${this.options.folder}/${job}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-gitlab-event': event, 'x-gitlab-token': token },
      body: JSON.stringify(payload),
    });
  }
}

function causesOf(
  build: Pick<Build, 'job' | 'number' | 'endedAt'>,
  actions: z.infer<typeof actionsSchema>,
): Build[] {
  return (actions ?? []).flatMap((action) =>
    (action?.causes ?? []).flatMap(({ data }): Build[] => {
      const { actionType, mergeRequestIid, lastCommit, sourceBranch } = data ?? {};
      if ((actionType !== 'MERGE' && actionType !== 'PUSH') || !lastCommit || !sourceBranch) return [];
      const about = { ...build, action: actionType, commit: lastCommit, sourceBranch } as const;
      return [mergeRequestIid ? { ...about, mergeRequest: mergeRequestIid } : about];
    }),
  );
}
