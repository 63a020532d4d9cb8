import { dependsOn } from '../../catalog/depends-on';
import type { Module } from '../../catalog/load';
import { folded } from '../../catalog/shapes';
import { FIRST_LABEL, STATUS_NAME } from '../../catalog/status';
import { type CommitStatus, type GitLab, isUsername, type MergeRequest } from '../../clients/gitlab';
import { type Certificate, isGreen, isQueued } from '../certificate';
import { isConcluded, marker, readHint, readNote, verdictLine } from '../note';
import { type AskedOfPeople, lastSet, readConsent } from '../review';
import { whyOtherImage } from '../state';
import { brokeOff, isOpenState, QUEUED } from '../status';
import type { Request, Target } from './decide';
import { type Need, nameOf, type Ref } from './order';

// The world of one project as GitLab tells it. Merge requests come first and the branch's head last: one that is merged in
// between is then in both, and merging it once more gives the same tree. The other way round it would be in none, and all
// behind it would be tested again.

/** What is asked of GitLab. */
export type Asked = AskedOfPeople &
  Pick<
    GitLab,
    | 'time'
    | 'openMergeRequests'
    | 'lockedMergeRequests'
    | 'mergedOfLate'
    | 'findMergeRequest'
    | 'branchHead'
    | 'statuses'
    | 'notes'
    | 'isBot'
  >;

/** By what a note counts: it was made for exactly what would be merged now. */
export interface Proof {
  readonly key: string;
  readonly module: string;
  readonly policy: Module['merge'];
  readonly declared: string;
  /** `host[:port][/prefix]` of the module's images. */
  readonly registry: string;
}

export interface Where {
  /** GitLab's address, without a path. */
  readonly gitlabUrl: string;
  readonly project: string;
  readonly branch: string;
  /** Projects that merge requests may depend on. @default the own one alone */
  readonly projects?: readonly string[];
  /** Test Pods that the quota holds. */
  readonly most: number;
  /** @default notes are taken as hints: enough to start a build by, and for nothing else */
  readonly proof?: Proof;
  /** Window at the beginning. */
  readonly start?: number;
  /** A person asks: the bot's notes are those that a bot wrote. @default whoever asks is the bot */
  readonly asPerson?: boolean;
  /** The merge request whose build asks: that it was left to people once does not keep it out. */
  readonly own?: number;
}

export interface Seen {
  /** `tree` is not known to GitLab's API. */
  readonly target: Omit<Target, 'tree'>;
  /** Window at the beginning. */
  readonly start?: number;
  readonly requests: readonly Request[];
  /** By number: what its note says, for those that may queue. */
  readonly certificates: ReadonlyMap<number, Certificate>;
  readonly found: ReadonlyMap<number, MergeRequest>;
  /** Oldest first. */
  readonly merged: readonly MergeRequest[];
}

/** Why a merge request is none that pipelines test. */
function whyNone(found: MergeRequest): string | undefined {
  if (!found.sha) return 'it has no commits';
  if (found.source_project_id !== found.target_project_id) return 'it comes from a fork';
  return found.draft ? 'it is a draft' : undefined;
}

/** Whether a certificate says of a merge request as it is now what its tests came to. */
const isVerdict = ({ headSha, targetBranch, tests, conflicts }: Certificate, found: MergeRequest): boolean =>
  headSha === found.sha && targetBranch === found.target_branch && (tests ?? conflicts) !== undefined;

/** Why a note's certificate does not put a merge request into the queue, or undefined when it does. */
export function whyNotQueued(
  certificate: Certificate,
  found: MergeRequest,
  project: string,
  proof: Proof | undefined,
): string | undefined {
  if (
    certificate.mergeRequest !== found.iid ||
    certificate.project !== project ||
    certificate.projectId !== found.target_project_id
  )
    return 'its certificate belongs to another merge request';
  if (certificate.headSha !== found.sha) return 'its newest commit has no verdict yet';
  if (certificate.targetBranch !== found.target_branch) return 'it has another target branch now';
  if (!isQueued(certificate)) return certificate.gate ? 'it was taken out' : verdictLine(certificate);
  if (!proof) return undefined;
  if (certificate.module !== proof.module) return 'its certificate belongs to another module';
  if (certificate.policy !== proof.policy) return `the catalog's merge policy is ${proof.policy} now`;
  if (certificate.declared !== proof.declared)
    return 'the catalog declares another module or other services now';
  return certificate.image
    ? whyOtherImage(certificate.image.repository, proof.registry, proof.module)
    : undefined;
}

/** What a certificate's merge request asks of people, and by whose word it was let through already. */
export const asksOf = ({ policy, gate }: Certificate): Parameters<typeof readConsent>[3] => ({
  policy: policy as Module['merge'],
  carried: gate?.given,
});

/** Milliseconds after which a status that still runs is no test's: no build takes so long. */
const LONGEST_MS = 4 * 3_600_000;

/** Whether the newest status of a head without a verdict says that its first test goes on, or is about to. */
const saysTesting = (newest: CommitStatus | undefined, now: number): boolean =>
  newest !== undefined &&
  isOpenState(newest.status) &&
  !newest.description?.startsWith(QUEUED) &&
  now - Date.parse(newest.created_at) < LONGEST_MS;

/** Merge requests that are followed to see whether they lead back: more is no dependency but a plan. */
const MOST_FOLLOWED = 20;

const isSame = (a: Ref, b: Ref): boolean => folded(a.project) === folded(b.project) && a.iid === b.iid;

class Reading {
  private readonly needs = new Map<string, Promise<Need>>();
  /** Merge requests that are none of the open ones here. */
  private readonly others = new Map<string, Promise<MergeRequest | undefined>>();
  /** By a user's number: whether notes of theirs are ours. */
  private readonly ours = new Map<number, Promise<boolean>>();
  readonly certificates = new Map<number, Certificate>();
  /** By number: when it was taken out. */
  readonly outs = new Map<number, number>();
  /** Test Pods that first tests have or wait for. */
  taken = 0;

  constructor(
    private readonly gitlab: Asked,
    private readonly where: Where,
    private readonly bot: number | undefined,
    private readonly open: readonly MergeRequest[],
  ) {}

  /** Each is asked for once, however many depend on it. */
  private need(project: string, iid: number): Promise<Need> {
    const ref = { project, iid };
    const found = this.needs.get(nameOf(ref)) ?? this.askNeed(ref);
    this.needs.set(nameOf(ref), found);
    return found;
  }

  private find(ref: Ref): Promise<MergeRequest | undefined> {
    const found = this.others.get(nameOf(ref)) ?? this.gitlab.findMergeRequest(ref.project, ref.iid);
    this.others.set(nameOf(ref), found);
    return found;
  }

  private async askNeed(ref: Ref): Promise<Need> {
    const { project, branch } = this.where;
    const own = ref.project === project;
    if (own && this.open.some(({ iid }) => iid === ref.iid)) return { ...ref, state: 'open' };
    const found = await this.find(ref);
    if (!found || (own && found.target_branch !== branch)) return { ...ref, state: 'foreign' };
    if (found.state === 'merged' || found.state === 'closed') return { ...ref, state: found.state };
    return { ...ref, state: 'open' };
  }

  /**
   * The way from one merge request to another by what each says it depends on, whatever project it is of. What is merged or
   * closed depends on nothing any more.
   */
  private async wayTo(to: Ref, at: Ref, passed: Set<string>): Promise<readonly Ref[] | undefined> {
    if (isSame(at, to)) return [to];
    if (passed.has(nameOf(at)) || passed.size >= MOST_FOLLOWED) return undefined;
    passed.add(nameOf(at));
    const open = at.project === this.where.project && this.open.find(({ iid }) => iid === at.iid);
    const found = open || (await this.find(at));
    if (!found || found.state === 'merged' || found.state === 'closed') return undefined;
    const { gitlabUrl, project: own, projects = [] } = this.where;
    const where = { gitlabUrl, project: at.project, projects: [...projects, own] };
    for (const need of dependsOn(found.description ?? '', where).needs) {
      const way = await this.wayTo(to, need, passed);
      if (way) return [at, ...way];
    }
    return undefined;
  }

  private isOurs(user: number): Promise<boolean> {
    if (this.bot !== undefined) return Promise.resolve(user === this.bot);
    const asked = this.ours.get(user) ?? this.gitlab.isBot(user);
    this.ours.set(user, asked);
    return asked;
  }

  /** Who put a merge request first. */
  private async first({ iid, labels = [] }: MergeRequest): Promise<string | undefined> {
    if (!labels.includes(FIRST_LABEL)) return undefined;
    const events = await this.gitlab.labelEvents(this.where.project, iid);
    const name = lastSet(events, FIRST_LABEL)?.user?.username ?? '';
    // GitLab keeps no events of users that are gone.
    return isUsername(name) ? name : 'somebody';
  }

  private certified(body: string): Certificate | undefined {
    const { proof } = this.where;
    if (!proof) return readHint(body);
    const reading = readNote(body, proof.key);
    return 'certificate' in reading ? reading.certificate : undefined;
  }

  private async ready(found: MergeRequest): Promise<{
    readonly ready: Request['ready'];
    readonly needs: readonly Need[];
    readonly certificate?: Certificate;
    /** Its newest commit has no verdict on this target branch. */
    readonly untested?: boolean;
  }> {
    const { project, proof, own } = this.where;
    const held = (why: string, untested = false) => ({ ready: { why }, needs: [], untested });
    const none = whyNone(found);
    if (none) return held(none);
    const [note] = await this.gitlab.notes(
      project,
      found.iid,
      async ({ system, body, author }) =>
        !system && body.startsWith(marker) && (await this.isOurs(author.id)),
      1,
    );
    if (!note) return held('it has no verdict yet', true);
    const certificate = this.certified(note.body);
    if (!certificate) return held('its certificate does not hold', true);
    if (certificate.gate?.out !== undefined) this.outs.set(found.iid, certificate.gate.out);
    const why = whyNotQueued(certificate, found, project, proof);
    if (why) return held(why, !isVerdict(certificate, found));
    if (found.iid !== own && isConcluded(note.body, certificate.headSha)) return held('it is left to people');
    const { since = 0 } = certificate.gate ?? {};
    const consent = await readConsent(this.gitlab, project, found, asksOf(certificate));
    if (consent && 'why' in consent) return { ...held(consent.why), certificate };
    const { gitlabUrl, projects = [] } = this.where;
    const asked = dependsOn(found.description ?? '', { gitlabUrl, project, projects });
    if (asked.faults[0] !== undefined) return { ...held(asked.faults.join('; ')), certificate };
    const needs = await Promise.all(asked.needs.map((need) => this.need(need.project, need.iid)));
    // Of another project's queue nothing is known here but how it ends, and whether that can come.
    const elsewhere = needs.find((need) => need.project !== project && need.state === 'open');
    if (elsewhere) {
      const self = { project, iid: found.iid };
      const way = await this.wayTo(self, elsewhere, new Set());
      const why = way
        ? `it depends on itself: ${[self, ...way].map(nameOf).join(' → ')}`
        : `it waits for ${nameOf(elsewhere)}, which is not merged yet`;
      return { ...held(why), certificate };
    }
    // An approval that comes late does not overtake those that are tested already.
    return { ready: { since: Math.max(since, consent?.given?.at ?? 0) }, needs, certificate };
  }

  async request(found: MergeRequest): Promise<Request> {
    const { project } = this.where;
    const head = found.sha ?? '';
    const { ready, needs, certificate, untested } = await this.ready(found);
    if (certificate) this.certificates.set(found.iid, certificate);
    const queues = certificate !== undefined && 'since' in ready;
    const statuses =
      queues || untested ? await this.gitlab.statuses(project, head, found.source_branch, STATUS_NAME) : [];
    if (untested && saysTesting(statuses.at(-1), this.gitlab.time)) this.taken += 1;
    const broke = queues ? brokeOff(statuses) : undefined;
    const first = queues ? await this.first(found) : undefined;
    return {
      project,
      iid: found.iid,
      head,
      merging: found.state === 'locked',
      ready,
      needs,
      results:
        queues && certificate.treeSha
          ? [{ tree: certificate.treeSha, green: isGreen(certificate), why: verdictLine(certificate) }]
          : [],
      tests: [],
      ...(first === undefined ? {} : { first }),
      ...(broke ? { broke } : {}),
    };
  }
}

/** Merge requests that are asked about at a time: anybody may open thousands. */
const AT_ONCE = 8;

/** What is found out of each, in their order. */
async function eachOf<A, B>(all: readonly A[], ask: (one: A) => Promise<B>): Promise<B[]> {
  const answers: B[] = new Array(all.length);
  const left = all.entries();
  const work = async (): Promise<void> => {
    for (const [index, one] of left) answers[index] = await ask(one);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return answers;
}

/** What GitLab says of one project's merge requests into one branch. */
export async function readWorld(gitlab: Asked, where: Where): Promise<Seen> {
  const { project, branch, most, start, asPerson } = where;
  const listed = [
    ...(await gitlab.openMergeRequests(project, branch)),
    ...(await gitlab.lockedMergeRequests(project, branch)),
  ];
  const found = new Map(listed.map((one) => [one.iid, one]));
  const open = [...found.values()];
  const reading = new Reading(gitlab, where, asPerson ? undefined : await gitlab.ownId(), open);
  const requests = await eachOf(open, (one) => reading.request(one));
  const merged = await gitlab.mergedOfLate(project, branch);
  const outs = requests.flatMap(({ iid }) => reading.outs.get(iid) ?? []);
  const ends = [
    ...merged.map(({ merged_at }) => ({ at: Date.parse(merged_at ?? '') || 0, end: 'merged' as const })),
    ...outs.map((at) => ({ at, end: 'taken out' as const })),
  ].sort((a, b) => a.at - b.at);
  const commit = await gitlab.branchHead(project, branch);
  const came = merged.some((one) => [one.merge_commit_sha, one.squash_commit_sha, one.sha].includes(commit));
  return {
    target: {
      project,
      commit,
      pushed: merged.length > 0 && !came,
      ends: ends.slice(-20).map(({ end }) => end),
      most,
      taken: reading.taken,
    },
    ...(start === undefined ? {} : { start }),
    requests,
    certificates: reading.certificates,
    found,
    merged,
  };
}
