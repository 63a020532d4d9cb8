import { createHash } from 'node:crypto';
import { emptyLedger, type Ledger } from '../../../catalog/ledger';
import type { CommitDetails, CommitStatus, MergeRequest, ProjectHook } from '../../../delivery/gitlab';
import { GitLabError } from '../../../delivery/gitlab';
import { marker } from '../../../delivery/note';
import type { Build as JenkinsBuild } from '../../../delivery/reconcile/jenkins';
import { Reconciler, type ReconcilerOptions, type Watched } from '../../../delivery/reconcile/reconciler';
import { BROKE_OFF, QUEUED } from '../../../delivery/status';
import { isFinished, isOpenState, type JobState, postState } from '../../../lab/gitlab/statuses';

export const PROJECT = 'switchyard/orders';
const JOBS = 'https://jenkins.example.com/job/switchyard/job/';
const BOT = 9;

export const watchedOrders: Watched = {
  job: 'orders',
  project: PROJECT,
  branch: 'main',
  requests: { status: 'switchyard', merges: true, drafts: false },
  heads: { status: 'switchyard', module: 'orders' },
};

interface Status extends CommitStatus {
  sha: string;
  status: JobState;
}

interface Request extends MergeRequest {
  sha: string;
  note?: string;
  /** In the merge queue since when, by what head, and what main was when it was tested. */
  queued?: { readonly since: number; readonly head: string; readonly on: string };
}

/** A build as the shared library runs it, one stage a step. */
interface Build {
  readonly number: number;
  readonly action: 'MERGE' | 'PUSH';
  readonly iid?: number;
  /** Commit of the hook. */
  readonly commit: string;
  stage: 'waiting' | 'testing' | 'reported' | 'over';
  /** Head that it took to test. */
  taken?: string;
  /** Main that it is tested on. */
  on?: string;
}

interface Hook {
  readonly action: 'MERGE' | 'PUSH';
  readonly iid?: number;
  readonly commit: string;
}

/** GitLab, Jenkins and the ledger in memory, with a clock; GitLab's rules of statuses are the stand-in's own. */
export class Simulated {
  now = Date.parse('2026-11-28T10:00:00Z');
  readonly requests: Request[] = [];
  readonly posted: Status[] = [];
  readonly builds: Build[] = [];
  /** Sent, and not arrived. */
  hooks: Hook[] = [];
  main = sha('first');
  ledger: string | undefined;
  /** Commits of main → the merge request that brought them. */
  readonly merged = new Map<string, Request>();
  readonly said: string[] = [];
  /** Starts by the reconciler, each with what was going on. */
  readonly starts: { readonly hook: Hook; readonly beside: readonly Build[]; readonly at: number }[] = [];
  readonly calls: string[] = [];
  hookState: ProjectHook[] = [
    { id: 5, url: 'https://jenkins.example.com/project/switchyard/orders', alert_status: 'executable' },
  ];
  readonly tested: string[] = [];
  /** What happens between two requests of a look. */
  between: () => void = () => undefined;
  private counter = 0;

  /** @param queues merge requests queue, one after the other: each is merged as first in the queue, tested on main as it is */
  constructor(readonly queues = false) {}

  // What people and GitLab do.

  open(more: Partial<Request> = {}): Request {
    const iid = this.requests.length + 1;
    const request: Request = {
      id: 100 + iid,
      iid,
      state: 'opened',
      draft: false,
      sha: sha(`head ${iid}.${this.counter++}`),
      title: `change ${iid}`,
      source_branch: `change-${iid}`,
      target_branch: 'main',
      source_project_id: 1,
      target_project_id: 1,
      updated_at: this.time(),
      ...more,
    };
    this.requests.push(request);
    this.hooks.push({ action: 'MERGE', iid, commit: request.sha });
    return request;
  }

  push(request: Request): void {
    if (request.state !== 'opened') return;
    request.sha = sha(`head ${request.iid}.${this.counter++}`);
    request.updated_at = this.time();
    this.hooks.push({ action: 'MERGE', iid: request.iid, commit: request.sha });
  }

  /** A hook arrives at Jenkins. */
  arrive(hook: Hook): void {
    this.builds.push({ ...hook, number: this.builds.length + 1, stage: 'waiting' });
  }

  get live(): Build[] {
    return this.builds.filter(({ stage }) => stage !== 'over');
  }

  newest(commit: string, ref: string): Status | undefined {
    return this.posted.filter((one) => one.sha === commit && one.ref === ref).at(-1);
  }

  /** One stage of a build, as `delivery` does it. */
  step(build: Build, green = true): void {
    const url = `${JOBS}orders/${build.number}/`;
    if (build.action === 'PUSH') {
      if (build.stage === 'waiting') {
        this.post(build.commit, 'main', 'running', url);
        build.stage = 'testing';
      } else {
        this.ledger = build.commit;
        this.post(build.commit, 'main', 'success', url);
        build.stage = 'over';
      }
      return;
    }
    const request = this.requests[(build.iid ?? 0) - 1];
    if (!request) throw new Error('a build of nothing');
    if (this.queues) {
      this.stepInQueue(build, request, url, green);
      return;
    }
    if (build.stage === 'waiting') {
      if (request.state !== 'opened') {
        build.stage = 'over';
        return;
      }
      build.taken = request.sha;
      this.post(request.sha, request.source_branch, 'running', url);
      build.stage = 'testing';
    } else if (build.stage === 'testing') {
      const commit = build.taken ?? '';
      request.note = noteOf(commit, '');
      this.post(commit, request.source_branch, green ? 'success' : 'failed', url);
      build.stage = green ? 'reported' : 'over';
    } else {
      build.stage = 'over';
      if (request.state === 'opened' && request.sha === build.taken) this.mergeNow(request);
    }
  }

  private mergeNow(request: Request): void {
    request.state = 'merged';
    request.merged_at = this.time();
    request.note = noteOf(request.sha, 'merged');
    const commit = sha(`merge of ${request.sha}`);
    request.merge_commit_sha = commit;
    this.merged.set(commit, request);
    this.main = commit;
    this.hooks.push({ action: 'PUSH', commit });
  }

  /** Who stands in the queue, in its order. */
  get queue(): Request[] {
    return this.requests
      .filter(({ state, queued, sha: head }) => state === 'opened' && queued?.head === head)
      .sort((a, b) => (a.queued?.since ?? 0) - (b.queued?.since ?? 0) || a.iid - b.iid);
  }

  /** Words of a status that runs: GitLab takes no others for it, so it is ended first. */
  private runOn(request: Request, url: string, words: string): void {
    const { sha: head, source_branch: branch } = request;
    if (this.newest(head, branch)?.status === 'running') this.post(head, branch, 'canceled', url, 'goes on');
    this.post(head, branch, 'running', url, words);
  }

  /** Source, test, report, and the merge of whoever is first. */
  private stepInQueue(build: Build, request: Request, url: string, green: boolean): void {
    if (build.stage === 'waiting') {
      const at = this.queue.indexOf(request);
      if (request.state !== 'opened') build.stage = 'over';
      else if (at > 0) {
        this.runOn(request, url, `${QUEUED}place ${at + 1}`);
        build.stage = 'over';
      } else if (at === 0 && request.queued?.on === this.main) build.stage = 'reported';
      else {
        this.runOn(request, url, 'testing');
        Object.assign(build, { stage: 'testing', taken: request.sha, on: this.main });
      }
      return;
    }
    if (build.stage === 'testing') {
      const commit = build.taken ?? '';
      const isHead = request.sha === commit && request.state === 'opened';
      if (green && isHead) {
        request.queued = { since: request.queued?.since ?? this.now, head: commit, on: build.on ?? '' };
        request.note = noteOf(commit, '', 'what comes of it is decided next');
      } else if (isHead) {
        delete request.queued;
        request.note = noteOf(commit, 'taken out');
      }
      if (!green || !isHead) this.post(commit, request.source_branch, isHead ? 'failed' : 'canceled', url);
      build.stage = green && isHead ? 'reported' : 'over';
      return;
    }
    for (let first = this.queue[0]; first?.queued?.on === this.main; first = this.queue[0]) {
      this.post(first.sha, first.source_branch, 'success', url);
      this.mergeNow(first);
    }
    const at = this.queue.indexOf(request);
    if (at > 0) this.runOn(request, url, `${QUEUED}place ${at + 1}`);
    build.stage = at === 0 ? 'waiting' : 'over';
  }

  /** A build that ends without another word. */
  crash(build: Build): void {
    build.stage = 'over';
    this.crashed.add(`${JOBS}orders/${build.number}/`);
  }

  /** Addresses of builds that ended without a word. */
  readonly crashed = new Set<string>();
  /** Addresses of builds that came to their end, and that the reconciler ended the status of an open merge request for. */
  readonly wronged: string[] = [];

  /** Posts as GitLab takes it: what cannot become of an open status is refused, and `setStatus` takes that for done. */
  post(commit: string, ref: string, state: JobState, url: string, description = ''): void {
    const last = this.newest(commit, ref);
    const open = last && isOpenState(last.status) ? last : undefined;
    const outcome = postState(open ? open.status : 'created', state as 'running');
    if ('refusal' in outcome) return;
    if (open) Object.assign(open, { status: outcome.state, target_url: url, description });
    else {
      this.posted.push({
        id: this.posted.length + 1,
        sha: commit,
        ref,
        name: 'switchyard',
        status: outcome.state,
        target_url: url,
        description,
        created_at: this.time(),
      });
    }
  }

  private time(): string {
    return new Date(this.now).toISOString();
  }

  // What the reconciler sees.

  private answer<T>(call: string, value: () => T): Promise<T> {
    this.calls.push(call);
    this.between();
    return Promise.resolve(structuredClone(value()));
  }

  reconciler(more: Partial<ReconcilerOptions> = {}): Reconciler {
    const simulated = this;
    return new Reconciler({
      gitlab: {
        get time() {
          return simulated.now;
        },
        ownId: () => this.answer('GitLab', () => BOT),
        mergeRequest: (_project, iid) => this.answer('GitLab', () => this.requests[iid - 1] as Request),
        openMergeRequests: () =>
          this.answer('GitLab', () => this.requests.filter(({ state }) => state === 'opened')),
        branchHead: () => this.answer('GitLab', () => this.main),
        statuses: (_project, commit, ref) =>
          this.answer('GitLab', () => this.posted.filter((one) => one.sha === commit && one.ref === ref)),
        setStatus: (_project, commit, { state, ref, targetUrl = '', description }) => {
          this.calls.push('GitLab');
          const isOpen = this.requests.some((one) => one.sha === commit && one.state === 'opened');
          if (isOpen && description.startsWith(BROKE_OFF) && /\/\d+\/$/.test(targetUrl)) {
            if (!this.crashed.has(targetUrl)) this.wronged.push(targetUrl);
          }
          this.post(commit, ref, state, targetUrl, description);
          return Promise.resolve();
        },
        notes: (_project, iid) =>
          this.answer('GitLab', () => {
            const body = this.requests[iid - 1]?.note;
            return body === undefined ? [] : [{ id: iid, body, system: false, author: { id: BOT } }];
          }),
        mergeRequestsOf: (_project, commit) =>
          this.answer('GitLab', () => [this.merged.get(commit)].flatMap((one) => one ?? [])),
        project: () => {
          this.calls.push('GitLab');
          return Promise.resolve({
            id: 1,
            name: 'orders',
            path_with_namespace: PROJECT,
            web_url: `https://gitlab.example.com/${PROJECT}`,
            ssh_url_to_repo: `git@gitlab.example.com:${PROJECT}.git`,
            http_url_to_repo: `https://gitlab.example.com/${PROJECT}.git`,
            namespace: { name: 'switchyard' },
          });
        },
        commit: (_project, id): Promise<CommitDetails> => {
          this.calls.push('GitLab');
          return Promise.resolve({
            id,
            title: 't',
            message: 't',
            author_name: 'Ann',
            author_email: 'ann@example.com',
            parent_ids: [],
          });
        },
        hooks: () => this.answer('GitLab', () => this.hookState),
        testHook: (_project, id, trigger) => {
          this.calls.push('GitLab');
          this.tested.push(trigger);
          const hook = this.hookState.find((one) => one.id === id);
          if (!hook || this.down) {
            throw new GitLabError(422, 'execution expired', 'GitLab: POST answered 422 (execution expired).');
          }
          hook.alert_status = 'executable';
          return Promise.resolve();
        },
      },
      jenkins: {
        builds: () => {
          if (this.down) return Promise.reject(new Error('Jenkins cannot be reached.'));
          return this.answer('Jenkins', () =>
            this.builds.map(
              (build): JenkinsBuild => ({
                job: 'orders',
                number: build.number,
                action: build.action,
                ...(build.iid === undefined ? {} : { mergeRequest: build.iid }),
                commit: build.commit,
                sourceBranch: build.iid === undefined ? 'main' : `change-${build.iid}`,
                ...(build.stage === 'over' ? { endedAt: Date.now() } : {}),
              }),
            ),
          );
        },
        hook: (_job, event, _token, payload) => {
          this.calls.push('Jenkins');
          const given = payload as {
            after?: string;
            object_attributes?: { iid: number; last_commit: { id: string } };
          };
          const request = given.object_attributes;
          const hook: Hook = request
            ? { action: 'MERGE', iid: request.iid, commit: request.last_commit.id }
            : { action: 'PUSH', commit: given.after ?? '' };
          expect(event).toBe(request ? 'Merge Request Hook' : 'Push Hook');
          const beside = this.live.filter(
            (one) => one.action === hook.action && one.iid === hook.iid && one.commit === hook.commit,
          );
          this.starts.push({ hook, beside: structuredClone(beside), at: this.now });
          this.arrive(hook);
          return Promise.resolve();
        },
      },
      watched: [
        this.queues ? { ...watchedOrders, requests: { ...watchedOrders.requests, queue: 4 } } : watchedOrders,
      ],
      turns: () =>
        this.answer('GitLab', () => {
          const [first] = this.queue;
          return new Map(first ? [[first.iid, `${this.main} ${first.sha} ${first.queued?.on}`]] : []);
        }),
      ledger: () =>
        this.answer(
          'GitLab',
          (): Ledger =>
            this.ledger === undefined
              ? emptyLedger
              : {
                  ...emptyLedger,
                  modules: { orders: { image: 'i', commit: this.ledger, mergeRequest: 1, build: 'b' } },
                },
        ),
      jobsUrl: JOBS,
      hookPath: (job) => `/project/switchyard/${job}`,
      hookToken: () => 'token',
      say: (line) => this.said.push(line),
      ...more,
    });
  }

  down = false;

  /** Whether a commit's status came to its end. */
  ended(commit: string, ref: string): boolean {
    const found = this.newest(commit, ref);
    return found !== undefined && isFinished(found.status);
  }
}

export const sha = (text: string): string => createHash('sha1').update(text).digest('hex');

const noteOf = (commit: string, then: string, queue = ''): string =>
  `${marker}\n**Switchyard: passed**\n\n${queue ? `| Queue | ${queue} |\n` : ''}${then ? `| Then | ${then} |\n` : ''}\n"headSha": "${commit}"\n`;
