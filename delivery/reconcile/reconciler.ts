import { entryOf } from '../../catalog/entry';
import type { Ledger } from '../../catalog/ledger';
import { MERGE_LABEL } from '../../catalog/status';
import { Failure } from '../../clients/failure';
import type { CommitState, CommitStatus, GitLab, MergeRequest, Note } from '../../clients/gitlab';
import { GitLabError } from '../../clients/gitlab-api';
import { agentWords } from '../agent-start';
import { pickMergeRequest } from '../deploy';
import { keepUnseen } from '../drift/unseen';
import { isConcluded, isLeftForPast, readHint, saysQueued } from '../note';
import { putOwnNote } from '../own-note';
import type { PodWords } from '../pod-words';
import type { Where } from '../queue/read';
import { lastSet } from '../review';
import {
  AGENTLESS,
  BROKE_OFF,
  brokeOff,
  GOES_ON,
  goesOn,
  isOpenState,
  QUEUED,
  type Row,
  runsOn,
  STARTED,
  stopped,
  targetOf,
} from '../status';
import { whyNotTest } from '../verify';
import { type Decision, decide, decideHook, decideLeft, type Item, type Posted } from './decide';
import { mergeRequestHook, pushHook } from './hook';
import { type Build, type Builds, type Jenkins, keyOf, type Run } from './jenkins';
import { agentlessMarker, renderAgentless } from './note';
import type { Turns } from './turns';
import { Waiting } from './waiting';
import { BLIND, SEES } from './words';

/** A project whose hook starts a job. */
export interface Watched {
  readonly job: string;
  /** Full path of the GitLab project. */
  readonly project: string;
  /** Target branch of what is built. */
  readonly branch: string;
  readonly requests: {
    /** Name of the status that says how far a merge request is. */
    readonly status: string;
    /** The pipeline merges what is green. Where there is a queue and it does not, a person's label has it do so. */
    readonly merges: boolean;
    /** Drafts are built as well. */
    readonly drafts: boolean;
    /** It does so once somebody has approved. @default nobody is asked */
    readonly reviewed?: boolean;
    /** The merge queue that is kept for them: most test Pods, and its window at the beginning. @default none is */
    readonly queue?: { readonly most: number; readonly start: number };
  };
  /** What a push to the branch leads to. @default nothing */
  readonly heads?: {
    readonly status: string;
    /** Module by whose name the ledger knows what was released. @default the ledger is not asked */
    readonly module?: string;
  };
  /** The job of the clock that looks for drift of an environment: its issues stand in this project. */
  readonly drift?: { readonly job: string; readonly environment: string };
}

export interface ReconcilerOptions {
  readonly gitlab: Pick<
    GitLab,
    | 'time'
    | 'ownId'
    | 'mergeRequest'
    | 'openMergeRequests'
    | 'branchHead'
    | 'statuses'
    | 'setStatus'
    | 'notes'
    | 'createNote'
    | 'editNote'
    | 'mergeRequestsOf'
    | 'project'
    | 'commit'
    | 'hooks'
    | 'testHook'
    | 'approvals'
    | 'labelEvents'
    | 'versions'
    | 'issues'
    | 'isBot'
    | 'openIssue'
    | 'editIssue'
    | 'commentOnIssue'
  >;
  readonly jenkins: Pick<Jenkins, 'builds' | 'hook'>;
  readonly watched: readonly Watched[];
  /** The environment's ledger. */
  readonly ledger: () => Promise<Ledger>;
  /** Who in a project's merge queue something is to be done for. */
  readonly turns: (where: Pick<Where, 'project' | 'branch' | 'most' | 'start'>) => Promise<Turns>;
  /** Address of Jenkins' jobs as builds post it, with a slash at its end: `https://jenkins.example.com/job/switchyard/job/`. */
  readonly jobsUrl: string;
  /** Path of a job's hook, as GitLab has it: `/project/switchyard/orders`. */
  readonly hookPath: (job: string) => string;
  readonly hookToken: (job: string) => string;
  /** The first agents of builds. */
  readonly agents: {
    /** How many there may be at a time. */
    readonly most: number;
    /** How long one may take to start. */
    readonly minutes: number;
    /** What those say that do not. */
    readonly words: () => Promise<PodWords>;
  };
  readonly say: (line: string) => void;
  /** Milliseconds since 1970. @default the clock's */
  readonly now?: () => number;
}

/** Beginning of each note that a pipeline of ours writes: certificates and previews. */
const OURS = '<!-- switchyard:';
/** Milliseconds for which a build that ended is looked at, if it was not. */
const SWEPT_MS = 15 * 60_000;
/** Every so many looks each hook is looked at; and whenever one did not come. */
const HOOKS_EVERY = 10;
/** Milliseconds before a turn that led to nothing is given once more. */
const TURN_MS = 5 * 60_000;
/** Milliseconds in which a look begins with merge requests of one project: whoever opens thousands there delays no other. */
const MOST_LOOKED_MS = 120_000;
/** Looks between two tests of one hook: GitLab allows few a minute, and a receiver that is away stays away. */
const TESTS_EVERY = 5;
/**
 * What GitLab sends to enable a hook again: any answer below 300 does (`WebHooks::LogExecutionService`, `enable!`). A
 * pipeline's event starts nothing in Jenkins (gitlab-plugin, NopPipelineHookTriggerHandler), where one of a push or a merge
 * request would build the newest again.
 */
const TEST_TRIGGER = 'pipeline_events';

/** A commit with what is known of it, and where its status is posted. */
interface Subject {
  readonly watched: Watched;
  /** As people read it: `switchyard/orders!3`. */
  readonly what: string;
  readonly commit: string;
  readonly ref: string;
  /** Name of its status. */
  readonly status: string;
  readonly item: Item;
  /** Newest of its statuses, by number. */
  readonly newest?: CommitStatus;
  /** Newest of those that are its own, and not of another merge request of the same branch and commit. */
  readonly own?: CommitStatus;
  /** Another one's build ended and left {@link newest} open. */
  readonly left?: boolean;
  readonly request?: MergeRequest;
  /** The live build that should say something of it, and gets no agent. */
  readonly stuck?: Build | undefined;
}

/** What one look asks once, however many need it. */
class Look {
  /** Commits whose statuses were read, with their branch. */
  readonly seen = new Set<string>();
  private asked: Promise<Builds> | undefined;
  private readonly turns = new Map<string, Promise<Turns>>();
  private read: Promise<Ledger> | undefined;

  /** @param onBuilds is told what Jenkins answers */
  constructor(
    private readonly options: Pick<ReconcilerOptions, 'jenkins' | 'ledger' | 'turns'>,
    private readonly onBuilds: (builds: Builds) => void,
  ) {}

  builds(): Promise<Builds> {
    this.asked ??= this.options.jenkins.builds().then((builds) => {
      this.onBuilds(builds);
      return builds;
    });
    return this.asked;
  }

  /** Whose turn it is in a project's merge queue. */
  turnsOf({ project, branch, requests }: Watched): Promise<Turns> {
    const asked =
      this.turns.get(project) ??
      this.options.turns({ project, branch, ...(requests.queue ?? { most: 0, start: 1 }) });
    this.turns.set(project, asked);
    return asked;
  }

  ledger(): Promise<Ledger> {
    this.read ??= this.options.ledger();
    return this.read;
  }
}

const isLive = ({ endedAt }: Run): boolean => endedAt === undefined;

const ageOf = (time: string | null | undefined, now: number): number => {
  const at = Date.parse(time ?? '');
  // What has no time is as old as can be: it waits for nothing.
  return Number.isNaN(at) ? Number.MAX_SAFE_INTEGER : now - at;
};

/** Compares what there is with what should be; starts what is missing, and ends what is stale. */
export class Reconciler {
  private looks = 0;
  private own: number | undefined;
  /** Commits that had their end: nothing more is asked about them for some looks. */
  private settled = new Set<string>();
  /** Builds after whose end nothing was left open. */
  private readonly swept = new Set<string>();
  /** What is due for a merge request that queues → when it was started for that last: what leads to nothing is not repeated at once. */
  private readonly turned = new Map<string, number>();
  /** Hook → the look at which it was tested last. */
  private readonly tested = new Map<number, number>();
  private readonly waiting = new Waiting();
  /** Looks for drift that get no agent, and of which people know. */
  private readonly unseen = new Set<string>();
  /** Project → its merge request for which there was no time any more. */
  private readonly left = new Map<string, number>();
  /** Whether the look before this one failed. */
  private blind = false;

  constructor(private readonly options: ReconcilerOptions) {}

  private now(): number {
    return (this.options.now ?? Date.now)();
  }

  /**
   * Looks once at every project. One that fails, or has more merge requests than there is time for, keeps no other from being
   * looked at.
   * @param beat called before each project: it goes on
   * @returns milliseconds after which what is too young to be judged now should be looked at; undefined when nothing is
   */
  async look(beat: () => void = () => undefined): Promise<number | undefined> {
    const full = this.looks++ % HOOKS_EVERY === 0;
    const before = full ? new Set<string>() : this.settled;
    const look = new Look(this.options, (builds) =>
      this.waiting.see(builds, this.options.agents.most, this.now()),
    );
    const waits: number[] = [];
    /** What was said of one project and is true of all, as that Jenkins is away, is said once. */
    const told = new Set<string>();
    const tell = (what: string, error: unknown): void => {
      const [line = ''] = (error as Error).message.split('\n');
      if (!told.has(line)) this.options.say(`${what}: ${BLIND}: ${line}`);
      told.add(line);
    };
    this.settled = new Set();
    if (full) this.swept.clear();
    for (const watched of this.options.watched) {
      beat();
      try {
        const { started, waits: more } = await this.lookAt(watched, look, before, tell);
        waits.push(...more);
        if (full || started) await this.lookAtHook(watched);
        if (watched.drift) await this.lookAtDrift(watched, watched.drift, look);
      } catch (error) {
        tell(watched.project, error);
      }
    }
    if (this.blind && told.size === 0) this.options.say(SEES);
    this.blind = told.size > 0;
    return waits.length > 0 ? Math.min(...waits) : undefined;
  }

  private async lookAt(
    watched: Watched,
    look: Look,
    before: ReadonlySet<string>,
    tell: (what: string, error: unknown) => void,
  ): Promise<{ readonly started: boolean; readonly waits: readonly number[] }> {
    const waits: number[] = [];
    const faults = new Map<string, unknown>();
    let started = false;
    const judge = async (key: string, read: () => Promise<Subject>): Promise<void> => {
      if (before.has(key)) {
        this.settled.add(key);
        return;
      }
      const subject = await read();
      const decision = await this.judge(subject, look);
      if (decision.do === 'settle') this.settled.add(key);
      if (decision.do === 'wait') waits.push(decision.ms);
      if (decision.do === 'start' && (await this.start(subject, decision))) {
        started = true;
        await this.remember(subject, look);
      }
      if (decision.do === 'end' && (await this.isStillHead(subject)))
        await this.end(subject, 'canceled', decision.why);
      if (decision.do === 'give up') await this.giveUp(subject, decision.why);
      if (decision.do === 'tell') await this.tell(subject);
    };
    // What GitLab says of one may be so by what its author wrote: the others are looked at all the same. The same fault of
    // two is no fault of theirs.
    const judgeAlone = async (...[key, read]: Parameters<typeof judge>): Promise<void> => {
      try {
        await judge(key, read);
      } catch (error) {
        const same = [...faults.values()].some((one) => (one as Error).message === (error as Error).message);
        if (!(error instanceof Failure) || same) throw error;
        faults.set(key, error);
      }
    };
    const { gitlab } = this.options;
    const { project, branch } = watched;
    const end = this.now() + MOST_LOOKED_MS;
    const requests = this.fromLeft(project, await gitlab.openMergeRequests(project, branch));
    this.left.delete(project);
    for (const [index, request] of requests.entries()) {
      if (this.now() >= end) {
        this.left.set(project, request.iid);
        this.options.say(`${project}: ${requests.length - index} merge requests are left for the next look`);
        break;
      }
      const key = `${project}!${request.iid} ${request.sha}${isLetIn(watched, request) ? ` ${MERGE_LABEL}` : ''}`;
      await judgeAlone(key, () => this.readRequest(watched, request, look));
    }
    if (watched.heads) {
      const head = await this.headOf(project, branch);
      if (head) await judgeAlone(`${project} ${branch} ${head}`, () => this.readHead(watched, head, look));
    }
    for (const [key, error] of faults) tell(key.split(' ', 1)[0] ?? key, error);
    waits.push(...(await this.sweep(watched, look)));
    return { started, waits };
  }

  /** Open merge requests, those first for which there was no time. */
  private fromLeft(project: string, open: readonly MergeRequest[]): readonly MergeRequest[] {
    const left = this.left.get(project);
    const at = open.findIndex(({ iid }) => iid === left);
    return at < 0 ? open : [...open.slice(at), ...open.slice(0, at)];
  }

  /**
   * Ends what a build left open on a commit that is no head any more, as one of two builds of what the other has merged: to
   * such a commit nothing else comes back. Each build is looked at once after its end.
   * @returns how long to wait for those that are too young
   */
  private async sweep(watched: Watched, look: Look): Promise<number[]> {
    const waits: number[] = [];
    const recent = this.now() - SWEPT_MS;
    for (const build of (await look.builds()).hooked) {
      const { job, endedAt, action } = build;
      const key = keyOf(build);
      const status = statusOf(watched, action);
      if (job !== watched.job || endedAt === undefined || endedAt < recent || this.swept.has(key) || !status)
        continue;
      const ref = action === 'MERGE' ? build.sourceBranch : watched.branch;
      const young: number[] = [];
      for (const commit of await this.commitsOf(watched, build)) {
        // What is looked at as a head is judged as one.
        if (look.seen.has(`${commit} ${ref}`)) continue;
        young.push(
          ...(await this.sweepCommit(
            { watched, what: `${watched.project} ${ref}`, commit, ref, status },
            action,
            look,
          )),
        );
      }
      if (young.length === 0) this.swept.add(key);
      waits.push(...young);
    }
    return waits;
  }

  /** @returns how long to wait, if its status is too young */
  private async sweepCommit(
    about: Omit<Subject, 'item'>,
    action: Build['action'],
    look: Look,
  ): Promise<number[]> {
    const { watched, commit, ref, status } = about;
    const statuses = await this.statusesLeft(watched.project, commit, ref, status);
    const isItsOwn = (one: Build): boolean =>
      one.job === watched.job && one.action === action && one.commit === commit;
    const { hooked } = await look.builds();
    const { newest, known } = this.known(watched, statuses, hooked, isItsOwn);
    const decision = decideLeft(known);
    if (decision.do === 'wait') return [decision.ms];
    const subject = { ...about, newest };
    if (decision.do === 'end' && (await this.isStill(subject, isItsOwn)))
      await this.end(subject, 'canceled', decision.why);
    return [];
  }

  /** Commits that a build may have said something of: it takes the newest head of its merge request, whichever its hook was of. */
  private async commitsOf({ project }: Watched, { commit, mergeRequest }: Build): Promise<string[]> {
    if (mergeRequest === undefined) return [commit];
    const versions = (await unlessGone(this.options.gitlab.versions(project, mergeRequest))) ?? [];
    const heads = versions.map(({ head_commit_sha: head }) => head);
    const first = heads.lastIndexOf(commit);
    return [...new Set([commit, ...heads.slice(0, first < 0 ? heads.length : first)])];
  }

  /** Statuses of a commit that a force-push may have taken away: then it has none. */
  private async statusesLeft(
    project: string,
    commit: string,
    ref: string,
    status: string,
  ): Promise<CommitStatus[]> {
    return (await unlessGone(this.options.gitlab.statuses(project, commit, ref, status))) ?? [];
  }

  /** The head of a branch; undefined for a project that has nothing yet. */
  private headOf(project: string, branch: string): Promise<string | undefined> {
    return unlessGone(this.options.gitlab.branchHead(project, branch));
  }

  private async readRequest(watched: Watched, request: MergeRequest, look: Look): Promise<Subject> {
    const { gitlab } = this.options;
    const { status, merges, drafts } = watched.requests;
    const commit = request.sha ?? '';
    const about = {
      watched,
      request,
      what: `${watched.project}!${request.iid}`,
      commit,
      ref: request.source_branch,
      status,
    };
    const untested = whyNotTest(request) ?? (request.draft && !drafts ? 'it is a draft' : undefined);
    if (!untested) look.seen.add(`${commit} ${request.source_branch}`);
    const all = untested ? [] : await gitlab.statuses(watched.project, commit, about.ref, status);
    const hooked = untested ? [] : (await look.builds()).hooked;
    const statuses = all.filter((one) => !this.isOfAnother(watched, request, one, hooked));
    const isItsOwn = (build: Build) => isOf(build, watched, 'MERGE', commit, request.iid);
    const { newest: own, known } = this.known(watched, statuses, hooked, isItsOwn);
    // A build takes the newest head, whichever it was started for.
    const mayTake = ({ job, mergeRequest }: Build) => job === watched.job && mergeRequest === request.iid;
    const stuck = this.stuckOf(watched, { statuses, all }, hooked.filter(isLive), { isItsOwn, mayTake });
    const newest = all.at(-1);
    const left =
      newest !== undefined &&
      newest !== own &&
      isOpenState(newest.status) &&
      this.buildOf(watched, newest.target_url, hooked.filter(isLive)) === 'over';
    return {
      ...about,
      newest,
      own,
      left,
      stuck,
      item: {
        kind: 'merge request',
        ...known,
        stuck: stuck !== undefined,
        ...(untested === undefined ? {} : { untested }),
        age: ageOf(request.updated_at, gitlab.time),
        merges,
        letIn: isLetIn(watched, request),
        queue: watched.requests.queue !== undefined,
        // A build is green in each of its rounds; one without an address counts by itself.
        green: new Set(
          statuses.filter((one) => one.status === 'success').map((one) => one.target_url ?? one.id),
        ).size,
      },
    };
  }

  private async readHead(watched: Watched, commit: string, look: Look): Promise<Subject> {
    const { gitlab } = this.options;
    const { status = '', module } = watched.heads ?? {};
    const { project, branch } = watched;
    look.seen.add(`${commit} ${branch}`);
    const statuses = await gitlab.statuses(project, commit, branch, status);
    const { hooked } = await look.builds();
    const isItsOwn = (build: Build) => isOf(build, watched, 'PUSH', commit);
    const { newest, known } = this.known(watched, statuses, hooked, isItsOwn);
    const stuck = this.stuckOf(watched, { statuses }, hooked.filter(isLive), { isItsOwn });
    const released =
      statuses.length === 0 &&
      module !== undefined &&
      entryOf((await look.ledger()).modules, module)?.commit === commit;
    const item = {
      kind: 'head' as const,
      ...known,
      stuck: stuck !== undefined,
      released,
      age: Number.MAX_SAFE_INTEGER,
    };
    const what = `${project} ${branch}`;
    return { watched, what, commit, ref: branch, status, newest, own: newest, stuck, item };
  }

  /** What its statuses and Jenkins tell of a commit. */
  private known(
    watched: Watched,
    statuses: readonly CommitStatus[],
    builds: readonly Build[],
    isItsOwn: (build: Build) => boolean,
  ): {
    readonly newest: CommitStatus | undefined;
    readonly known: { readonly live: boolean; readonly posted?: Posted; readonly brokeOff: number };
  } {
    const newest = statuses.at(-1);
    const live = builds.filter(isLive);
    const { time } = this.options.gitlab;
    const inARow = (row: Row | undefined) => row && { times: row.times, age: time - row.at };
    const isCanceled = newest?.status === 'canceled';
    const says = (words: string): boolean => newest?.description?.startsWith(words) ?? false;
    const posted: Posted | undefined = newest && {
      state: newest.status as CommitState,
      age: ageOf(newest.created_at, time),
      build: this.buildOf(watched, newest.target_url, live),
      started: says(STARTED),
      agentless: says(AGENTLESS),
      queues: newest.status === 'running' && says(QUEUED),
      cut: isCanceled && runsOn(newest.description ?? ''),
      broke: says(BROKE_OFF) ? inARow(brokeOff(statuses)) : undefined,
      stopped: isCanceled ? inARow(stopped(statuses)) : undefined,
    };
    const known = {
      live: live.some(isItsOwn),
      brokeOff: statuses.filter(({ description }) => description?.startsWith(BROKE_OFF)).length,
      ...(posted ? { posted } : {}),
    };
    return { newest, known };
  }

  /**
   * The live build that should say something of a commit, and gets no agent: the one that did last, or else its own.
   * @param all with the statuses of other merge requests of the same branch and commit
   * @param mayTake whether a build may say something of the commit when it has an agent
   */
  private stuckOf(
    watched: Watched,
    {
      statuses,
      all = statuses,
    }: Readonly<Record<'statuses', readonly CommitStatus[]>> & { readonly all?: readonly CommitStatus[] },
    live: readonly Build[],
    {
      isItsOwn,
      mayTake = isItsOwn,
    }: { readonly isItsOwn: (build: Build) => boolean; readonly mayTake?: (build: Build) => boolean },
  ): Build | undefined {
    const newest = statuses.at(-1);
    const last = all.at(-1);
    const buildOf = ({ target_url: url }: CommitStatus) => this.buildOf(watched, url, live);
    // What another one's build says while it goes on is not talked over.
    if (last && last !== newest && isOpenState(last.status) && buildOf(last) !== 'over') return undefined;
    // For what has its end nobody waits: it was told, too.
    if (newest && (buildOf(newest) === 'unknown' || !isAwaited(newest))) return undefined;
    if (live.some((build) => build.hasAgent && mayTake(build))) return undefined;
    const speaker = live.find((build) => this.urlOf(build) === newest?.target_url);
    const { minutes } = this.options.agents;
    return (speaker ? [speaker] : live.filter(isItsOwn)).find(
      (build) => !build.hasAgent && this.waiting.of(build, this.now()) >= minutes * 60_000,
    );
  }

  private urlOf({ job, number }: Run): string {
    return `${this.options.jobsUrl}${job}/${number}/`;
  }

  /** Number of the build of a project's job that a status leads to. */
  private numberOf({ job }: Watched, url: string | null): number | undefined {
    const root = `${this.options.jobsUrl}${job}/`;
    if (!url?.startsWith(root)) return undefined;
    const number = /^(\d+)\/$/.exec(url.slice(root.length))?.[1];
    return number === undefined ? undefined : Number(number);
  }

  /** Whether a status of a merge request's branch and commit is another one's: by the build it leads to, or older than this one. */
  private isOfAnother(
    watched: Watched,
    { iid, created_at: opened }: MergeRequest,
    { target_url: url, created_at: posted }: CommitStatus,
    builds: readonly Build[],
  ): boolean {
    const number = this.numberOf(watched, url);
    const build = builds.find((one) => one.job === watched.job && one.number === number);
    if (number !== undefined && build?.mergeRequest !== undefined) return build.mergeRequest !== iid;
    return Date.parse(posted) < Date.parse(opened ?? '');
  }

  /** Whether the build that a status leads to goes on: by its number and its job, since numbers begin anew in a new home. */
  private buildOf(watched: Watched, url: string | null, live: readonly Build[]): Posted['build'] {
    // A status may have no link: GitLab takes none that is long.
    if (url === null) return 'over';
    if (!url.startsWith(`${this.options.jobsUrl}${watched.job}/`)) return 'unknown';
    const number = this.numberOf(watched, url);
    return number !== undefined && live.some((build) => build.job === watched.job && build.number === number)
      ? 'live'
      : 'over';
  }

  /** Decides, after asking what the decision needs. */
  private async judge(subject: Subject, look: Look): Promise<Decision> {
    const decision = decide(subject.item);
    if (decision.do !== 'ask') return decision;
    return decide(await this.asked(subject, look));
  }

  private async asked(subject: Subject, look: Look): Promise<Item> {
    const { item, watched, request, commit, own } = subject;
    const { gitlab } = this.options;
    const { project, branch } = watched;
    if (item.kind === 'merge request') {
      const notes = request ? await this.ownNotes(project, request.iid) : [];
      const concluded = notes.some((body) => isConcluded(body, commit) && !isLeftForPast(body, commit));
      const queues = item.queue && request && notes.some((body) => saysQueued(body, commit));
      // Of the newest verdict: an edited note stays one.
      const verdict = notes.map(readHint).find((hint) => hint?.headSha === commit);
      const target = verdict?.targetBranch ?? targetOf(own?.description);
      const { reviewed } = watched.requests;
      const asksPeople =
        concluded && request && (reviewed ? own?.status === 'pending' : isLetIn(watched, request));
      return {
        ...item,
        concluded,
        retargeted: target !== undefined && target !== branch,
        ...(asksPeople && own ? { approved: await this.approvedSince(watched, request, own) } : {}),
        queued: queues ? await this.queued(watched, request, look, own) : 'no',
      };
    }
    const requests = await gitlab.mergeRequestsOf(project, commit);
    const found = pickMergeRequest(requests, commit, branch);
    if (!found) {
      const locked = requests.some((one) => one.state === 'locked' && one.target_branch === branch);
      return { ...item, origin: locked ? 'soon' : 'other' };
    }
    const notes = await this.ownNotes(project, found.iid);
    const tested = notes.some((body) => body.startsWith(OURS) && !body.startsWith(agentlessMarker));
    return { ...item, origin: tested ? 'tested' : 'other', age: ageOf(found.merged_at, gitlab.time) };
  }

  /** Milliseconds since the newest approval, or setting of the label, that is later than a status; `false` where there is none. */
  private async approvedSince(
    { project, requests: { reviewed } }: Watched,
    { iid }: MergeRequest,
    { created_at: posted }: CommitStatus,
  ): Promise<number | false> {
    const { gitlab } = this.options;
    const said = reviewed
      ? (await gitlab.approvals(project, iid)).map(({ approved_at: at }) => at)
      : [lastSet(await gitlab.labelEvents(project, iid), MERGE_LABEL)?.created_at];
    const times = said.map((at) => Date.parse(at ?? ''));
    const later = times.filter((at) => at > Date.parse(posted ?? ''));
    return later.length > 0 && gitlab.time - Math.max(...later);
  }

  private async queued(
    watched: Watched,
    { iid }: MergeRequest,
    look: Look,
    newest: CommitStatus | undefined,
  ): Promise<NonNullable<Extract<Item, { kind: 'merge request' }>['queued']>> {
    const due = (await look.turnsOf(watched)).get(iid);
    if (due === undefined) return 'waits';
    const { status = '', description } = newest ?? {};
    // What broke off is tried again after pauses of the queue's own.
    const broke = description?.startsWith(BROKE_OFF) || (status !== 'failed' && status !== 'success');
    if (broke && !description?.startsWith(QUEUED)) return 'due';
    const { time } = this.options.gitlab;
    for (const [key, at] of this.turned) if (time - at >= TURN_MS) this.turned.delete(key);
    return this.turned.has(`${watched.project}!${iid} ${due}`) ? 'waits' : 'due';
  }

  /** Keeps in mind what a build was started for. Forgotten by a restart, it is started for it once more. */
  private async remember({ watched, request, item }: Subject, look: Look): Promise<void> {
    if (item.kind !== 'merge request' || !item.queue || !request) return;
    const due = (await look.turnsOf(watched)).get(request.iid);
    if (due !== undefined)
      this.turned.set(`${watched.project}!${request.iid} ${due}`, this.options.gitlab.time);
  }

  /** The bot's own notes of a merge request; those of others count for nothing. */
  private async ownNotes(project: string, iid: number): Promise<string[]> {
    const { gitlab } = this.options;
    this.own ??= await gitlab.ownId();
    const isOwn = ({ author, system }: Note): boolean => author.id === this.own && !system;
    return (await gitlab.notes(project, iid, isOwn)).map(({ body }) => body);
  }

  private post(
    subject: Omit<Subject, 'item'>,
    state: CommitState,
    description: string,
    url?: string,
  ): Promise<void> {
    const { watched, commit, ref, status } = subject;
    return this.options.gitlab.setStatus(watched.project, commit, {
      state,
      ref,
      name: status,
      targetUrl: url ?? subject.newest?.target_url ?? `${this.options.jobsUrl}${watched.job}/`,
      description,
    });
  }

  /**
   * Ends what a build left open: its status, and before that those of single environments, `<status>/<environment>`, which a
   * merge waits for as well.
   */
  private async end(subject: Omit<Subject, 'item'>, state: CommitState, why: string): Promise<void> {
    const { watched, commit, ref, status } = subject;
    const all = (await unlessGone(this.options.gitlab.statuses(watched.project, commit, ref))) ?? [];
    const newest = new Map(all.map((one) => [one.name, one]));
    const live = (await this.options.jenkins.builds()).hooked.filter(isLive);
    for (const one of newest.values()) {
      if (!one.name.startsWith(`${status}/`) || !isOpenState(one.status)) continue;
      if (this.buildOf(watched, one.target_url, live) === 'over')
        await this.post({ ...subject, status: one.name, newest: one }, 'canceled', `${BROKE_OFF}${why}`);
    }
    await this.post(subject, state, `${BROKE_OFF}${why}`);
  }

  /**
   * Whether all is as it was when it was decided: what came meanwhile (a late hook, a build's last word) is another's turn.
   * The statuses after Jenkins was asked: a build that ended in between has posted its end. Jenkins once more after them: a
   * build that began in between has posted nothing yet.
   */
  private async isStill(
    { watched, commit, ref, status, newest }: Omit<Subject, 'item'>,
    isItsOwn: (build: Build) => boolean,
  ): Promise<boolean> {
    const { jenkins } = this.options;
    const goesOn = async () =>
      (await jenkins.builds()).hooked.some((build) => isLive(build) && isItsOwn(build));
    if (await goesOn()) return false;
    if (!(await this.isNewest({ watched, commit, ref, status, newest }))) return false;
    return !(await goesOn());
  }

  private async isNewest({
    watched,
    commit,
    ref,
    status,
    newest,
  }: Pick<Subject, 'watched' | 'commit' | 'ref' | 'status' | 'newest'>): Promise<boolean> {
    const now = (await this.options.gitlab.statuses(watched.project, commit, ref, status)).at(-1);
    return (
      now?.id === newest?.id && now?.status === newest?.status && now?.description === newest?.description
    );
  }

  /** {@link isStill} of a head: that it still is one, too. */
  private async isStillHead(subject: Subject): Promise<boolean> {
    const { watched, request, commit } = subject;
    const { project, branch } = watched;
    if (request) {
      const now = await this.options.gitlab.mergeRequest(project, request.iid);
      if (now.state !== 'opened' || now.sha !== commit) return false;
    } else if ((await this.headOf(project, branch)) !== commit) return false;
    return this.isStill(subject, (build) =>
      request ? isOf(build, watched, 'MERGE', commit, request.iid) : isOf(build, watched, 'PUSH', commit),
    );
  }

  /** Starts what is missing, by the hook that did not come. @returns whether it did */
  private async start(subject: Subject, decision: Extract<Decision, { do: 'start' }>): Promise<boolean> {
    const { gitlab, jenkins, hookToken, say } = this.options;
    const { watched, what, commit, request } = subject;
    const project = await gitlab.project(watched.project);
    const head = await gitlab.commit(watched.project, commit);
    // Last: nothing is asked any more between this and the start.
    if (!(await this.isStillHead(subject))) return false;
    if (decision.end) await this.end(subject, 'canceled', decision.why);
    else if (subject.left)
      await this.post(subject, 'canceled', `${BROKE_OFF}it was of another merge request of this commit`);
    // GitLab gives what is open no other words.
    else if (isOpenState(subject.newest?.status))
      await this.post(subject, 'canceled', `${GOES_ON}${decision.why}`);
    // Before it is started, so that a build that dies at once is counted as well.
    await this.post({ ...subject, newest: undefined }, 'pending', `${STARTED}${decision.why}`);
    const [event, payload] = request
      ? ['Merge Request Hook', mergeRequestHook(project, request, head)]
      : ['Push Hook', pushHook(project, watched.branch, head)];
    await jenkins.hook(watched.job, event as string, hookToken(watched.job), payload as object);
    say(`${what}: started ${watched.job} for ${commit.slice(0, 12)}: ${decision.why}`);
    return true;
  }

  private async giveUp(subject: Subject, why: string): Promise<void> {
    if (!(await this.isStillHead(subject))) return;
    await this.end(subject, 'failed', why);
    this.options.say(`${subject.what}: ${subject.commit.slice(0, 12)} failed: ${why}`);
  }

  /** Says that a build gets no agent, and what its Pods say. It stops nothing: a build that has one at last posts over it. */
  private async tell(subject: Subject): Promise<void> {
    const { gitlab, jenkins, say } = this.options;
    const { watched, what, commit, stuck } = subject;
    if (!stuck) return;
    const url = this.urlOf(stuck);
    const words = await this.words(what);
    const iid = await this.requestOf(subject);
    // The note first: whoever sees the status finds it.
    if (iid !== undefined)
      await putOwnNote({ gitlab }, watched.project, iid, agentlessMarker, renderAgentless(url, words)).catch(
        (error: Error) => say(`${what}: ${error.message}`),
      );
    const { hooked } = await jenkins.builds();
    const waits = ({ hasAgent, ...build }: Build) =>
      keyOf(build) === keyOf(stuck) && isLive(build) && !hasAgent;
    // Last: a build that has its agent at this moment has posted nothing yet, and posts over this.
    if (!hooked.some(waits) || !(await this.isNewest(subject))) return;
    await this.post(subject, 'failed', `${AGENTLESS}${words.why}; it goes on when one does`, url);
    say(`${what}: ${commit.slice(0, 12)}: ${words.why}`);
  }

  /** What the Pods of first agents say that do not start. */
  private words(what: string): Promise<PodWords> {
    const { agents, say } = this.options;
    return agents.words().catch((error: Error) => {
      say(`${what}: ${error.message}`);
      return agentWords([], agents.minutes, 0);
    });
  }

  /** Keeps the issue that nobody looked for drift, where the look gets no agent. The next look that is one closes it. */
  private async lookAtDrift(
    { project }: Watched,
    { job, environment }: NonNullable<Watched['drift']>,
    look: Look,
  ): Promise<void> {
    const { agents, gitlab, say } = this.options;
    for (const build of (await look.builds()).others) {
      const vain = this.waiting.of(build, this.now());
      if (build.job !== job || vain < agents.minutes * 60_000 || this.unseen.has(keyOf(build))) continue;
      const start = await this.words(project);
      await keepUnseen(gitlab, project, { environment, build: this.urlOf(build), start });
      this.unseen.add(keyOf(build));
      say(`${project}: ${job}: ${start.why}`);
    }
  }

  /** Number of the merge request that a commit is of, or came by. */
  private async requestOf({ watched, commit, request }: Subject): Promise<number | undefined> {
    if (request) return request.iid;
    const { project, branch } = watched;
    return pickMergeRequest(await this.options.gitlab.mergeRequestsOf(project, commit), commit, branch)?.iid;
  }

  /** Has GitLab enable a hook again that it disabled, and says so. */
  private async lookAtHook({ project, job }: Watched): Promise<void> {
    const { gitlab, hookPath, say } = this.options;
    const hook = (await gitlab.hooks(project)).find(
      ({ url }) => URL.canParse(url) && new URL(url).pathname === hookPath(job),
    );
    const { enable, say: line } = decideHook(hook && { status: hook.alert_status });
    if (!enable || !hook) {
      if (line) say(`${project}: ${line}`);
      return;
    }
    const last = this.tested.get(hook.id);
    if (last !== undefined && this.looks - last < TESTS_EVERY) return;
    this.tested.set(hook.id, this.looks);
    try {
      await gitlab.testHook(project, hook.id, TEST_TRIGGER);
      say(`${project}: ${line}; enabled it again`);
    } catch (error) {
      say(`${project}: ${line}; it stays so: ${(error as Error).message.split('\n')[0]}`);
    }
  }
}

/** Whether people merge its project's merge requests, and one of them has the queue do so for this one. */
const isLetIn = ({ requests: { merges, queue } }: Watched, { labels = [] }: MergeRequest): boolean =>
  !merges && queue !== undefined && labels.includes(MERGE_LABEL);

const statusOf = ({ requests, heads }: Watched, action: Build['action']): string | undefined =>
  action === 'MERGE' ? requests.status : heads?.status;

/** Whether something is to come after a status: it is open, goes on, or is tried again. */
const isAwaited = (status: CommitStatus): boolean =>
  isOpenState(status.status) || goesOn(status) || (status.description?.startsWith(BROKE_OFF) ?? false);

/** Undefined for what GitLab does not have. */
async function unlessGone<T>(asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof GitLabError && error.status === 404) return undefined;
    throw error;
  }
}

function isOf(
  build: Build,
  { job }: Watched,
  action: Build['action'],
  commit: string,
  mergeRequest?: number,
): boolean {
  return (
    build.job === job &&
    build.action === action &&
    build.commit === commit &&
    build.mergeRequest === mergeRequest
  );
}
