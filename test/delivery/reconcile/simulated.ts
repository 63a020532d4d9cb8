import { createHash } from 'node:crypto';
import { emptyLedger, type Ledger } from '../../../catalog/ledger';
import { MERGE_LABEL } from '../../../catalog/status';
import type { CommitDetails, CommitStatus, MergeRequest, ProjectHook } from '../../../clients/gitlab';
import { GitLabError } from '../../../clients/gitlab-api';
import { agentWords } from '../../../delivery/agent-start';
import { isConcluded, marker } from '../../../delivery/note';
import type { Build as JenkinsBuild, Run } from '../../../delivery/reconcile/jenkins';
import { Reconciler, type ReconcilerOptions, type Watched } from '../../../delivery/reconcile/reconciler';
import {
  AGAIN,
  AGENTLESS,
  BROKE_OFF,
  brokenOff,
  GOES_ON,
  into,
  MOST_REMOVED,
  MOST_TRIED,
  QUEUED,
  STARTED,
} from '../../../delivery/status';
import { isFinished, isOpenState, type JobState, postState } from '../../../lab/gitlab/instance/statuses';
import { green } from '../certificates';

export const PROJECT = 'switchyard/orders';
const JOBS = 'https://jenkins.example.com/job/switchyard/job/';
const BOT = 9;
/** What the reconciler says of a look in which it died. */
export const DIED = 'it died';

/** An event of an agent's Pod, as Kubernetes has it. */
const FAILED = {
  type: 'Warning',
  reason: 'FailedMount',
  message: 'MountVolume.SetUp failed for volume "kube": secret "switchyard-lab" not found',
  involvedObject: { kind: 'Pod', name: 'delivery-1', uid: 'a' },
  metadata: { creationTimestamp: '2026-11-28T10:01:00Z' },
};

export const watchedOrders: Watched = {
  job: 'orders',
  project: PROJECT,
  branch: 'main',
  requests: { status: 'switchyard', merges: true, drafts: false },
  heads: { status: 'switchyard', module: 'orders' },
};

/** The topology's own project, whose statuses have the same name here. */
export const watchedPreviews: Watched = {
  ...watchedOrders,
  requests: { status: 'switchyard', merges: false, drafts: true },
  heads: { status: 'switchyard' },
};

/** The status of one environment that a preview covers. */
export const OF_LAB = 'switchyard/lab';

interface Status extends CommitStatus {
  sha: string;
  status: JobState;
}

interface Request extends MergeRequest {
  sha: string;
  /** Its heads, one after the other. */
  readonly heads: string[];
  note?: string;
  /** When people approved it, in milliseconds since 1970, and whether that counts. */
  approved?: { readonly at: number; readonly counts: boolean };
  /** Note of the reconciler's own: why no agent started. */
  agents?: string;
  /** In the merge queue since when, by what head, and what main was when it was tested. */
  queued?: {
    readonly since: number;
    readonly head: string;
    readonly on: string;
    /** Address of the build that tested it. */
    readonly by: string;
  };
}

/** A build as the shared library runs it, one stage a step. */
interface Build {
  readonly number: number;
  readonly action: 'MERGE' | 'PUSH';
  readonly iid?: number;
  /** Commit of the hook. */
  readonly commit: string;
  stage: 'waiting' | 'testing' | 'reported' | 'over';
  startedAt: number;
  endedAt?: number;
  /** Head that it took to test. */
  taken?: string;
  /** Main that it is tested on. */
  on?: string;
  /** Branch that it is tested with. */
  target?: string;
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

  /** What becomes of a request of the reconciler's after so many: it dies before it is heard, or after. */
  dies: { requests: number; readonly heard: boolean } | undefined;

  /** Builds are previews of the topology's own project: people merge what is green. */
  previews = false;

  /** Builds that no hook started. */
  others: Run[] = [];
  /** Titles of the issues that were opened or edited. */
  readonly issues: string[] = [];

  /** Agents at a time. */
  most = 0;
  /** No agent starts. */
  broken = false;
  /** Builds of which it was said that they get no agent. */
  readonly told: { readonly build: Build; readonly at: number }[] = [];

  /** What is green is merged once it is approved. It queues nowhere. */
  reviewed = false;
  /** People merge what is green, or have the queue do so by a label. It stands first there at once. */
  letsIn = false;

  /** All that was posted. */
  readonly words: { readonly commit: string; readonly ref: string; readonly description: string }[] = [];

  /** @param queues merge requests queue, one after the other: each is merged as first in the queue, tested on main as it is */
  constructor(readonly queues = false) {}

  // What people and GitLab do.

  open(more: Partial<Request> = {}): Request {
    const iid = this.requests.length + 1;
    const head = more.sha ?? sha(`head ${iid}.${this.counter++}`);
    const request: Request = {
      id: 100 + iid,
      iid,
      state: 'opened',
      draft: false,
      sha: head,
      heads: [head],
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

  /** @param head @default a new one */
  push(request: Request, head = sha(`head ${request.iid}.${this.counter++}`)): void {
    if (request.state !== 'opened' || request.sha === head) return;
    request.sha = head;
    request.heads.push(head);
    this.tell(request);
  }

  /** A change of a merge request by which GitLab's hook starts a build. */
  private tell(request: Request): void {
    request.updated_at = this.time();
    this.hooks.push({ action: 'MERGE', iid: request.iid, commit: request.sha });
  }

  close(request: Request): void {
    if (request.state !== 'opened') return;
    request.state = 'closed';
    request.updated_at = this.time();
  }

  reopen(request: Request): void {
    if (request.state !== 'closed') return;
    request.state = 'opened';
    this.tell(request);
  }

  /** Its hook starts nothing: it brings no new commit. */
  retarget(request: Request, branch: string): void {
    if (request.state !== 'opened') return;
    request.target_branch = branch;
    request.updated_at = this.time();
  }

  /** A hook arrives at Jenkins. */
  arrive(hook: Hook): void {
    this.builds.push({ ...hook, number: this.builds.length + 1, stage: 'waiting', startedAt: this.now });
  }

  get live(): Build[] {
    return this.builds.filter(({ stage }) => stage !== 'over');
  }

  /** Builds that have an agent. */
  get held(): Build[] {
    return this.live.filter(({ stage }) => stage !== 'waiting');
  }

  /** Whether a build may take its next step: its first needs an agent. */
  mayStep(build: Build): boolean {
    return build.stage !== 'waiting' || (!this.broken && this.held.length < this.most);
  }

  newest(commit: string, ref: string, name = 'switchyard'): Status | undefined {
    return this.posted.filter((one) => one.sha === commit && one.ref === ref && one.name === name).at(-1);
  }

  /** One stage of a build, as `delivery` does it. */
  step(build: Build, green = true): void {
    this.takeStep(build, green);
    if (build.stage === 'over') build.endedAt = this.now;
  }

  private takeStep(build: Build, green: boolean): void {
    const url = `${JOBS}orders/${build.number}/`;
    if (build.action === 'PUSH') {
      if (build.stage === 'waiting') {
        this.runOn(build.commit, 'main', url, 'deploying');
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
    if (this.previews) {
      this.stepOfPreview(build, request, url, green);
      return;
    }
    if (build.stage === 'waiting') {
      if (request.state !== 'opened') {
        build.stage = 'over';
        return;
      }
      Object.assign(build, { taken: request.sha, target: request.target_branch });
      const isTested =
        (this.reviewed || this.letsIn) &&
        request.note !== undefined &&
        isConcluded(request.note, request.sha);
      if (this.reviewed && !isTested)
        this.post(request.sha, request.source_branch, 'pending', url, 'testing');
      else if (!this.reviewed && !isTested) this.runOn(request.sha, request.source_branch, url, 'testing');
      build.stage = isTested ? 'reported' : 'testing';
    } else if (build.stage === 'testing') {
      const commit = build.taken ?? '';
      if (request.state === 'closed' || request.sha !== commit) {
        this.post(commit, request.source_branch, 'canceled', url, 'nobody waits for it');
        build.stage = 'over';
        return;
      }
      request.note = noteOf(commit, '', '', build.target);
      if (!green || !this.reviewed)
        this.post(commit, request.source_branch, green ? 'success' : 'failed', url);
      build.stage = green ? 'reported' : 'over';
    } else {
      build.stage = 'over';
      if (request.state !== 'opened' || request.sha !== build.taken) {
        const why = request.state === 'closed' ? 'is closed' : 'has a newer commit, which has its own build';
        if (request.state !== 'merged')
          request.note = noteOf(build.taken ?? '', `not merged: !${request.iid} ${why}`);
        return;
      }
      if (request.target_branch !== build.target) {
        build.stage = 'waiting';
        return;
      }
      if ((this.reviewed || this.letsIn) && !request.approved?.counts) this.waitForPeople(request, url);
      else {
        if (this.reviewed) this.post(request.sha, request.source_branch, 'success', url);
        this.mergeNow(request);
      }
    }
  }

  private waitForPeople(request: Request, url: string): void {
    const { sha: commit, source_branch: ref } = request;
    request.note = noteOf(commit, 'not merged: it waits for an approval');
    if (this.letsIn) {
      this.post(commit, ref, 'success', url, 'green');
      return;
    }
    if (!this.newest(commit, ref)?.description?.startsWith(STARTED)) return;
    this.post(commit, ref, 'canceled', url, `${GOES_ON}waits for an approval`);
    this.post(commit, ref, 'pending', url, 'waits for an approval');
  }

  /** A preview of the topology's: source, and what it shows, which people judge. */
  private stepOfPreview(build: Build, request: Request, url: string, green: boolean): void {
    const { source_branch: ref } = request;
    if (build.stage === 'waiting') {
      build.stage = request.state === 'opened' ? 'testing' : 'over';
      if (request.state !== 'opened') return;
      Object.assign(build, { taken: request.sha, target: request.target_branch });
      this.runOn(request.sha, ref, url, `${into(request.target_branch)}previewing the merge result`);
      this.post(request.sha, ref, 'pending', url, 'waits for its preview', OF_LAB);
      return;
    }
    const { taken = '', target = '' } = build;
    const isWanted = request.state === 'opened' && request.sha === taken && request.target_branch === target;
    const state = !isWanted ? 'canceled' : green ? 'success' : 'failed';
    const words = isWanted ? 'previewed: lab' : 'the preview is cancelled';
    this.post(taken, ref, state, url, words, OF_LAB);
    this.post(taken, ref, state, url, `${into(target)}${words}`);
    build.stage = 'over';
  }

  mergeNow(request: Request): void {
    request.state = 'merged';
    request.merged_at = this.time();
    request.note = noteOf(request.sha, 'merged');
    if (request.target_branch !== 'main') return;
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
  private runOn(commit: string, ref: string, url: string, words: string): void {
    const last = this.newest(commit, ref);
    if (last?.status === 'running') {
      const waits = last.target_url === url || last.description?.startsWith(AGAIN);
      this.post(
        commit,
        ref,
        'canceled',
        last.target_url ?? url,
        `${waits ? GOES_ON : 'goes on in another build: '}${words}`,
      );
    }
    this.post(commit, ref, 'running', url, words);
  }

  /** Source, test, report, and the merge of whoever is first. */
  private stepInQueue(build: Build, request: Request, url: string, green: boolean): void {
    if (build.stage === 'waiting') {
      const at = this.queue.indexOf(request);
      if (request.state !== 'opened') build.stage = 'over';
      else if (at > 0) {
        this.runOn(request.sha, request.source_branch, url, `${QUEUED}place ${at + 1}`);
        build.stage = 'over';
      } else if (at === 0 && request.queued?.on === this.main) {
        const last = this.newest(request.sha, request.source_branch);
        if (last && (isOpenState(last.status) || last.description?.startsWith(AGENTLESS)))
          this.runOn(request.sha, request.source_branch, url, 'decided on');
        build.stage = 'reported';
      } else {
        this.runOn(request.sha, request.source_branch, url, 'testing');
        Object.assign(build, { stage: 'testing', taken: request.sha, on: this.main });
      }
      return;
    }
    if (build.stage === 'testing') {
      const commit = build.taken ?? '';
      const isHead = request.sha === commit && request.state === 'opened';
      if (green && isHead) {
        request.queued = {
          since: request.queued?.since ?? this.now,
          head: commit,
          on: build.on ?? '',
          by: url,
        };
        request.note = noteOf(commit, '', 'its tests have ended');
      } else if (isHead) {
        delete request.queued;
        request.note = noteOf(commit, 'taken out');
      }
      if (!green || !isHead) this.post(commit, request.source_branch, isHead ? 'failed' : 'canceled', url);
      build.stage = green && isHead ? 'reported' : 'over';
      return;
    }
    for (let first = this.queue[0]; first?.queued?.on === this.main; first = this.queue[0]) {
      this.post(first.sha, first.source_branch, 'success', first.queued.by);
      this.mergeNow(first);
    }
    const at = this.queue.indexOf(request);
    // Another head has its place: what it said of its own stands.
    if (at < 0) this.crashed.add(url);
    if (at > 0) this.runOn(request.sha, request.source_branch, url, `${QUEUED}place ${at + 1}`);
    if (at === 0) this.runOn(request.sha, request.source_branch, url, `${AGAIN}on main as it is now`);
    build.stage = at === 0 ? 'waiting' : 'over';
  }

  /**
   * A build whose test Pod does not start, or is lost: as `delivery report` has it, it is tried again, and in the queue without an end.
   * @param removed nobody knows by whom: there is an end to that in the queue, too
   */
  outage(build: Build, removed = false): void {
    const request = this.requests[(build.iid ?? 0) - 1];
    if (!request || this.previews || build.stage !== 'testing') return;
    const commit = build.taken ?? '';
    const { source_branch: ref } = request;
    const row = brokenOff(this.posted.filter((one) => one.sha === commit && one.ref === ref));
    const words = `the test Pod was lost${removed ? ': it was removed' : ''}`;
    const alike = row.filter(({ description }) => description === `${BROKE_OFF}${words}`).length;
    const again =
      (this.queue.includes(request) || row.length + 1 < MOST_TRIED) &&
      !(removed && alike + 1 >= MOST_REMOVED);
    const url = `${JOBS}orders/${build.number}/`;
    if (again) this.post(commit, ref, 'canceled', url, `${BROKE_OFF}${words}`);
    else if (removed) {
      this.step(build, false);
      return;
    } else this.post(commit, ref, 'failed', url, words);
    Object.assign(build, { stage: 'over', endedAt: this.now });
  }

  /** A build that ends without another word. */
  crash(build: Build): void {
    Object.assign(build, { stage: 'over', endedAt: this.now });
    this.crashed.add(`${JOBS}orders/${build.number}/`);
  }

  /** Addresses of builds that ended without a word. */
  readonly crashed = new Set<string>();
  /** Addresses of builds that came to their end, and that the reconciler ended the status of an open merge request for. */
  readonly wronged: string[] = [];

  /** Posts as GitLab takes it: what cannot become of an open status is refused, and `setStatus` takes that for done. */
  post(
    commit: string,
    ref: string,
    state: JobState,
    url: string,
    description = '',
    name = 'switchyard',
  ): void {
    const last = this.newest(commit, ref, name);
    const open = last && isOpenState(last.status) ? last : undefined;
    const outcome = postState(open ? open.status : 'created', state as 'running');
    if ('refusal' in outcome) return;
    this.words.push({ commit, ref, description });
    if (open) Object.assign(open, { status: outcome.state, target_url: url, description });
    else {
      this.posted.push({
        id: this.posted.length + 1,
        sha: commit,
        ref,
        name,
        status: outcome.state,
        target_url: url,
        description,
        created_at: this.time(),
      });
    }
  }

  private noteAgents(iid: number, body: string): Promise<void> {
    return this.heard('GitLab', () => {
      const request = this.requests[iid - 1];
      if (request) request.agents = body;
    });
  }

  private time(): string {
    return new Date(this.now).toISOString();
  }

  // What the reconciler sees.

  private answer<T>(call: string, value: () => T): Promise<T> {
    this.between();
    return this.heard(call, () => structuredClone(value()));
  }

  private async heard<T>(call: string, take: () => T): Promise<T> {
    this.calls.push(call);
    const death = this.dies && this.dies.requests-- <= 0 ? this.dies : undefined;
    if (death) this.dies = undefined;
    if (death?.heard === false) throw new Error(DIED);
    const answer = take();
    if (death) throw new Error(DIED);
    return answer;
  }

  reconciler(more: Partial<ReconcilerOptions> = {}): Reconciler {
    return new Reconciler({ ...this.options(), ...more });
  }

  options(): ReconcilerOptions {
    const simulated = this;
    return {
      gitlab: {
        get time() {
          return simulated.now;
        },
        ownId: () => this.answer('GitLab', () => BOT),
        mergeRequest: (_project, iid) => this.answer('GitLab', () => this.requests[iid - 1] as Request),
        openMergeRequests: (_project, branch) =>
          this.answer('GitLab', () =>
            this.requests.filter(
              ({ state, target_branch }) => state === 'opened' && target_branch === branch,
            ),
          ),
        branchHead: () => this.answer('GitLab', () => this.main),
        statuses: (_project, commit, ref, name) =>
          this.answer('GitLab', () =>
            this.posted.filter(
              (one) => one.sha === commit && one.ref === ref && (name ?? one.name) === one.name,
            ),
          ),
        setStatus: (_project, commit, { state, ref, targetUrl = '', description, name }) =>
          this.heard('GitLab', () => {
            const isOpen = this.requests.some((one) => one.sha === commit && one.state === 'opened');
            if (isOpen && description.startsWith(BROKE_OFF) && /\/\d+\/$/.test(targetUrl)) {
              if (!this.crashed.has(targetUrl)) this.wronged.push(targetUrl);
            }
            if (description.startsWith(AGENTLESS)) {
              const build = this.builds.find(({ number }) => targetUrl === `${JOBS}orders/${number}/`);
              if (build) this.told.push({ build: structuredClone(build), at: this.now });
            }
            this.post(commit, ref, state, targetUrl, description, name);
          }),
        notes: (_project, iid, wanted) =>
          this.answer('GitLab', () => {
            const { note, agents } = this.requests[iid - 1] ?? {};
            return [note, agents]
              .flatMap((body, at) =>
                body === undefined ? [] : [{ id: 2 * iid + at, body, system: false, author: { id: BOT } }],
              )
              .filter(wanted);
          }),
        createNote: (_project, iid, body) => this.noteAgents(iid, body),
        editNote: (_project, iid, _note, body) => this.noteAgents(iid, body),
        mergeRequestsOf: (_project, commit) =>
          this.answer('GitLab', () => [this.merged.get(commit)].flatMap((one) => one ?? [])),
        project: () =>
          this.heard('GitLab', () => ({
            id: 1,
            name: 'orders',
            path_with_namespace: PROJECT,
            web_url: `https://gitlab.example.com/${PROJECT}`,
            ssh_url_to_repo: `git@gitlab.example.com:${PROJECT}.git`,
            http_url_to_repo: `https://gitlab.example.com/${PROJECT}.git`,
            namespace: { name: 'switchyard' },
          })),
        commit: (_project, id): Promise<CommitDetails> =>
          this.heard('GitLab', () => ({
            id,
            title: 't',
            message: 't',
            author_name: 'Ann',
            author_email: 'ann@example.com',
            parent_ids: [],
          })),
        versions: (_project, iid) =>
          this.answer('GitLab', () =>
            (this.requests[iid - 1]?.heads ?? [])
              .map((head, id) => ({ id, head_commit_sha: head, created_at: this.time() }))
              .reverse(),
          ),
        labelEvents: (_project, iid) =>
          this.answer('labels', () => {
            const { approved } = this.requests[iid - 1] ?? {};
            return approved
              ? [
                  {
                    id: 1,
                    action: 'add' as const,
                    label: { id: 1, name: MERGE_LABEL },
                    user: { id: 7, username: 'ben' },
                    created_at: new Date(approved.at).toISOString(),
                  },
                ]
              : [];
          }),
        approvals: (_project, iid) =>
          this.answer('GitLab', () => {
            const { approved } = this.requests[iid - 1] ?? {};
            return approved
              ? [{ user: { id: 7, username: 'ben' }, approved_at: new Date(approved.at).toISOString() }]
              : [];
          }),
        hooks: () => this.answer('GitLab', () => this.hookState),
        issues: () => this.answer('GitLab', () => []),
        isBot: (user) => this.answer('GitLab', () => user === BOT),
        openIssue: (_project, { title, description }) =>
          this.heard('GitLab', () => {
            this.issues.push(title, description);
            return 1;
          }),
        editIssue: () => Promise.reject(new Error('there is none to edit')),
        commentOnIssue: () => Promise.reject(new Error('there is none to comment on')),
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
          return this.answer('Jenkins', () => ({
            others: this.others,
            inUse: this.held.length,
            hooked: this.builds.map(
              (build): JenkinsBuild => ({
                job: 'orders',
                number: build.number,
                action: build.action,
                ...(build.iid === undefined ? {} : { mergeRequest: build.iid }),
                commit: build.commit,
                sourceBranch: build.iid === undefined ? 'main' : `change-${build.iid}`,
                ...(build.endedAt === undefined ? {} : { endedAt: build.endedAt }),
                ...(this.held.includes(build) ? { hasAgent: true } : {}),
              }),
            ),
          }));
        },
        hook: (_job, event, _token, payload) =>
          this.heard('Jenkins', () => {
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
          }),
      },
      watched: [
        this.queues
          ? { ...watchedOrders, requests: { ...watchedOrders.requests, queue: { most: 4, start: 4 } } }
          : this.previews
            ? watchedPreviews
            : watchedOrders,
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
      agents: {
        most: this.most,
        minutes: 15,
        words: () => this.answer('Kubernetes', () => agentWords([FAILED], 15, 0)),
      },
      now: () => this.now,
      say: (line) => this.said.push(line),
    };
  }

  down = false;

  /** Whether a commit's status came to its end. */
  ended(commit: string, ref: string): boolean {
    const found = this.newest(commit, ref);
    return found !== undefined && isFinished(found.status);
  }
}

export const sha = (text: string): string => createHash('sha1').update(text).digest('hex');

/** What the reconciler reads of a module's note, which it takes for a hint: it is not signed. */
const noteOf = (headSha: string, then: string, queue = '', targetBranch = 'main'): string => {
  const certificate = JSON.stringify({ ...green, headSha, targetBranch }, null, 2);
  const rows = `${queue ? `| Queue | ${queue} |\n` : ''}${then ? `| Then | ${then} |\n` : ''}`;
  return `${marker}\n**Switchyard: passed**\n\n${rows}\n\`\`\`json\n${certificate}\n\`\`\`\n\nSignature: \`${'0'.repeat(64)}\`\n`;
};
