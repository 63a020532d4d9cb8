import { z } from 'zod';
import { askText, type Unanswered } from '../../clients/ask';
import { exitCode, Failure } from '../../clients/failure';
import type { Policy } from '../../clients/retry';
import { parseJson } from '../../text/json';

export interface JenkinsOptions {
  /** Jenkins' address inside the cluster. */
  readonly url: string;
  /** Who looks at builds. @default whoever is not logged in */
  readonly login?: { readonly user: string; readonly password: string };
  /** Folder of the jobs. */
  readonly folder: string;
  /** Others have jobs there as well, whose agents take no room from ours. @default false */
  readonly shared?: boolean;
  /** @default {@link POLICY} */
  readonly policy?: Partial<Policy>;
}

/** Whoever asks looks again within a minute: one that stays away is not waited for. */
const POLICY: Partial<Policy> = { attemptMs: 20_000, totalMs: 60_000 };

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

// Core: Computer.getExecutors, getOneOffExecutors, Executor.getCurrentExecutableForApi (nothing for whoever may not read the
// build). Each pipeline that runs has a one-off executor (workflow-job: WorkflowJob is a FlyweightTask), also after a restart,
// and one of each agent that it has (workflow-durable-task-step: PlaceholderExecutable, whose `url` is its build's).
const executorsSchema = z
  .array(
    z.looseObject({
      currentExecutable: z.looseObject({ url: z.string().optional(), actions: actionsSchema }).nullish(),
    }),
  )
  .nullish();
const computersSchema = z.looseObject({
  computer: z.array(z.looseObject({ executors: executorsSchema, oneOffExecutors: executorsSchema })),
});

const CAUSES = 'actions[causes[data[actionType,mergeRequestIid,lastCommit,sourceBranch]]]';

const read = (of: string, tree: string): string => `${of}/api/json?tree=${encodeURIComponent(tree)}`;

/** A build of one of our jobs. */
export interface Run {
  readonly job: string;
  /** Absent while it waits in the queue. */
  readonly number?: number;
  /** Milliseconds since 1970, by Jenkins' clock; absent while it waits or runs. */
  readonly endedAt?: number;
  /** It has an agent. */
  readonly hasAgent?: boolean;
}

/** One that a hook started. */
export interface Build extends Run {
  readonly action: 'MERGE' | 'PUSH';
  readonly mergeRequest?: number;
  readonly commit: string;
  readonly sourceBranch: string;
}

export interface Builds {
  readonly hooked: readonly Build[];
  /** Started by people and by the clock. */
  readonly others: readonly Run[];
  /** Builds that have an agent: of whatever job, or of ours where others' have agents of their own. */
  readonly inUse: number;
}

/** What the reconciler asks of Jenkins: which builds go on, and to start one as GitLab's hook would. */
export class Jenkins {
  constructor(private readonly options: JenkinsOptions) {}

  private async request(path: string, init: RequestInit = {}): Promise<string> {
    const { url, login, policy } = this.options;
    const address = `${url.replace(/\/+$/, '')}/${path}`;
    const headers =
      init.headers ??
      (login && {
        authorization: `Basic ${Buffer.from(`${login.user}:${login.password}`).toString('base64')}`,
      });
    const { response, body } = await askText(
      address,
      { ...init, headers, redirect: 'error' },
      { policy: { ...POLICY, ...policy } },
    ).catch(({ reason }: Unanswered) => {
      throw new Failure(exitCode.red, `Jenkins: ${url} cannot be reached (${reason}).`);
    });
    if (response.ok) return body;
    const answered = `${path.split('?')[0]} answered ${response.status}`;
    // A hook needs no login, and has its own refusals.
    if (!init.headers && [401, 403].includes(response.status))
      throw new Failure(
        exitCode.red,
        `Jenkins: ${answered}: ${login ? `"${login.user}" may not read it, or has another token by now` : 'not everybody may read it (anonymousRead)'}.`,
      );
    throw new Failure(exitCode.red, `Jenkins: ${answered}.`);
  }

  private async json<T>(path: string, schema: z.ZodType<T>): Promise<T> {
    const text = await this.request(path);
    const parsed = schema.safeParse(parseJson(text));
    if (parsed.success) return parsed.data;
    const issue = parsed.error.issues[0];
    throw new Failure(
      exitCode.red,
      `Jenkins: the answer of ${path.split('?')[0]} is not understood (${issue?.path.join('.')}: ${issue?.message}).`,
    );
  }

  /** The job of ours that an address leads to, and the number of the build, if it names one. */
  private jobAt(url: string | null | undefined): { job: string; number?: number } | undefined {
    const [, job, number] =
      new RegExp(`/job/${this.options.folder}/job/([^/]+)/(?:(\\d+)/)?$`).exec(url ?? '') ?? [];
    if (job === undefined) return undefined;
    return { job: decodeURIComponent(job), ...(number === undefined ? {} : { number: Number(number) }) };
  }

  /**
   * Every build of our jobs that waits or runs, and those that ended of late: of a job's builds Jenkins lists the newest
   * hundred, so that those that run are asked for by what they run on. Waiting ones first and listed ones last, since a
   * build waits, runs and ends in this order.
   */
  async builds(): Promise<Builds> {
    const { folder, shared } = this.options;
    const queue = await this.json(read('queue', `items[task[url],${CAUSES}]`), queueSchema);
    const executable = 'currentExecutable[url';
    const executors = `executors[${executable}]],oneOffExecutors[${executable},${CAUSES}]]`;
    const { computer } = await this.json(read('computer', `computer[${executors}]`), computersSchema);
    const builds = `builds[number,building,timestamp,duration,${CAUSES}]{0,100}`;
    const path = read(`job/${folder}`, `jobs[name,${builds}]`);
    const { jobs } = await this.json(path, folderSchema);
    const waiting = queue.items.flatMap(({ task, actions }) => {
      const at = this.jobAt(task.url);
      return at ? causesOf({ job: at.job }, actions) : [];
    });
    const working = new Set(
      computer
        .flatMap((one) => one.executors ?? [])
        .flatMap(({ currentExecutable }) => currentExecutable?.url ?? [])
        .filter((url) => !shared || this.jobAt(url) !== undefined),
    );
    const withAgent = new Set([...working].map((url) => keyOf(this.jobAt(url) ?? {})));
    const agentOf = (run: Run) => (withAgent.has(keyOf(run)) ? { hasAgent: true } : {});
    const started = jobs.flatMap(({ name: job, builds }) =>
      (builds ?? []).map(({ number, building, timestamp, duration, actions }) => {
        const of = { job, number };
        const run: Run = { ...of, ...(building ? agentOf(of) : { endedAt: timestamp + duration }) };
        return { run, hooked: causesOf(run, actions) };
      }),
    );
    const listed = new Set(started.map(({ run }) => keyOf(run)));
    const running = computer
      .flatMap(({ oneOffExecutors }) => oneOffExecutors ?? [])
      .flatMap(({ currentExecutable }) => {
        const at = this.jobAt(currentExecutable?.url);
        if (!at?.number || listed.has(keyOf(at))) return [];
        const run: Run = { job: at.job, number: at.number, ...agentOf(at) };
        return [{ run, hooked: causesOf(run, currentExecutable?.actions) }];
      });
    const all = [...started, ...running];
    return {
      hooked: [...waiting, ...all.flatMap(({ hooked }) => hooked)],
      others: all.filter(({ hooked }) => hooked.length === 0).map(({ run }) => run),
      inUse: working.size,
    };
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

/** By what a build is known. */
export const keyOf = ({ job, number }: Partial<Run>): string => `${job} ${number}`;

function causesOf(build: Run, actions: z.infer<typeof actionsSchema>): Build[] {
  return (actions ?? []).flatMap((action) =>
    (action?.causes ?? []).flatMap(({ data }): Build[] => {
      const { actionType, mergeRequestIid, lastCommit, sourceBranch } = data ?? {};
      if ((actionType !== 'MERGE' && actionType !== 'PUSH') || !lastCommit || !sourceBranch) return [];
      const about = { ...build, action: actionType, commit: lastCommit, sourceBranch } as const;
      return [mergeRequestIid ? { ...about, mergeRequest: mergeRequestIid } : about];
    }),
  );
}
