import type { Module } from '../catalog/load';
import { MERGE_LABEL } from '../catalog/status';
import type { Approval, GitLab, LabelEvent, MergeRequest, Push, Version } from '../clients/gitlab';
import { moment } from '../text/moment';
import type { Given } from './certificate';

/** What GitLab says of who made a merge request's newest commit and who approved it. */
export interface Testimony {
  readonly head: string;
  readonly sourceBranch: string;
  readonly approvals: readonly Approval[];
  /** What the branch has been, newest first. */
  readonly versions: readonly Version[];
  /** Pushes to the project, newest first. */
  readonly pushes: readonly Push[];
  /** Ids of those who opened it, and of whom GitLab takes for authors and committers; undefined where they are too many to be read. */
  readonly people: ReadonlySet<number> | undefined;
  /** Of those who approved, the people who may push. */
  readonly mayPush: ReadonlySet<number>;
  /** The bot's own id. */
  readonly bot: number;
  /** By what a certificate of this head says that its merge request is let through: it was rebased by that. */
  readonly carried?: Given | undefined;
}

/** Whether people let a merge request be merged: by whom, or what it waits for. */
export type Review =
  /** @property given the very word; absent where nobody has been asked yet */
  { readonly by: string; readonly given?: Given } | { readonly why: string };

const WAITS =
  'it waits for an approval by someone who may push, and who neither wrote, pushed nor opened it (merge: reviewed)';

/**
 * Who brought a branch to a commit: one push after the other, back to the one that made the branch.
 * @returns undefined where a link is missing; GitLab then cannot say who pushed what
 */
export function pushersOf(
  pushes: readonly Push[],
  branch: string,
  head: string,
): ReadonlySet<number> | undefined {
  const pushers = new Set<number>();
  let wanted: string | null = head;
  for (const { author_id, push_data: push } of pushes) {
    if (push?.ref_type !== 'branch' || push.ref !== branch || push.commit_to !== wanted) continue;
    pushers.add(author_id);
    if (push.action === 'created') return pushers;
    wanted = push.commit_from;
  }
  return undefined;
}

/**
 * Whether the bot, and nobody else, brought a branch from one commit to another: it pushes there only what GitLab rebases for it.
 * GitLab pushes a rebase in the name of whoever asked for it (`MergeRequests::RebaseService`, `Repository#rebase`).
 */
export function isBotsFrom(
  pushes: readonly Push[],
  { branch, head, of, bot }: Readonly<Record<'branch' | 'head' | 'of', string>> & { readonly bot: number },
): boolean {
  let wanted: string | null = head;
  for (const { author_id, push_data: push } of pushes) {
    if (wanted === of) return true;
    if (push?.ref_type !== 'branch' || push.ref !== branch || push.commit_to !== wanted) continue;
    if (author_id !== bot || push.action !== 'pushed') return false;
    wanted = push.commit_from;
  }
  return wanted === of;
}

/**
 * Whether an approval of the newest commit stands that its makers did not give. GitLab keeps an approval when a commit
 * is pushed (Free, and Premium where it is set so), and says when it was given but not of which commit. One of a commit that
 * the bot has rebased since, as the very tree that was tested, stands for what came of that.
 */
export function decideReview(testimony: Testimony): Review {
  const { head, sourceBranch, approvals, versions, pushes, people, mayPush, bot, carried } = testimony;
  if (approvals.length === 0) return { why: WAITS };
  const [newest] = versions;
  if (newest?.head_commit_sha !== head)
    return { why: `GitLab has not taken in ${head.slice(0, 12)} yet; approve once more when it shows it` };
  const stands = approvals.find(
    ({ user, approved_at }) => user.id === carried?.user && Date.parse(approved_at ?? '') === carried.at,
  );
  if (
    carried &&
    stands &&
    mayPush.has(stands.user.id) &&
    isBotsFrom(pushes, { branch: sourceBranch, head, of: carried.of, bot })
  )
    return { by: stands.user.username, given: carried };
  const pushers = pushersOf(pushes, sourceBranch, head);
  if (!pushers) {
    return {
      why: `GitLab does not say who pushed ${head.slice(0, 12)} to ${sourceBranch}: push it to a new branch, and nothing else with it`,
    };
  }
  if (!people) return { why: 'it has more commits or committers than are read: nobody knows who made it' };
  const whyNot = ({ user, approved_at: at }: Approval): string | undefined => {
    if (user.id === bot || !mayPush.has(user.id)) return 'is no person who may push';
    if (pushers.has(user.id)) return 'pushed it';
    if (people.has(user.id)) return 'wrote or opened it';
    if (at === undefined) return 'approved, but this GitLab does not say when (it takes 18 or newer)';
    return Date.parse(at) > Date.parse(newest.created_at)
      ? undefined
      : 'approved an older commit: revoke it and approve again';
  };
  const judged = approvals.map((approval) => ({
    name: approval.user.username,
    user: approval.user.id,
    at: Date.parse(approval.approved_at ?? ''),
    why: whyNot(approval),
  }));
  const [good] = judged.filter(({ why }) => why === undefined).sort((a, b) => a.at - b.at);
  if (good) return { by: good.name, given: { user: good.user, at: good.at, of: head } };
  return { why: `${WAITS}; ${judged.map(({ name, why }) => `${name} ${why}`).join(', ')}` };
}

const UNSAID = `the catalog leaves the merge to people (merge: manual): merge it by hand, or have the queue do it by the label ${MERGE_LABEL}`;

/** What GitLab says of the label by which a person has a merge request merged. */
export interface Word {
  readonly head: string;
  readonly sourceBranch: string;
  /** Labels that it has. */
  readonly labels: readonly string[];
  /** What became of them, oldest first. */
  readonly events: readonly LabelEvent[];
  /** When labels that it has were changed last, by number: milliseconds since 1970, in whole seconds. */
  readonly changed: ReadonlyMap<number, number>;
  readonly versions: readonly Version[];
  /** Pushes to the project, newest first; needed with {@link carried} only. */
  readonly pushes: readonly Push[];
  /** Whether whoever set it last is a person, and no token's bot, who may merge. */
  readonly mayMerge: boolean;
  readonly bot: number;
  readonly carried?: Given | undefined;
}

/** The label's last setting. */
export const lastSet = (events: readonly LabelEvent[], label: string): LabelEvent | undefined =>
  events.findLast((event) => event.action === 'add' && event.label?.name === label);

/**
 * Whether a person said by the label that the newest commit is to be merged, who could do so by hand. It is of the commit that
 * was the newest when it was set, as an approval is. GitLab knows a label of an event by its number, and whoever is a
 * Reporter renames any (`ProjectPolicy`, admin_label): what was changed since may have been another word.
 */
export function decideWord(word: Word): Review {
  const { head, sourceBranch, labels, events, changed, versions, pushes, mayMerge, bot, carried } = word;
  if (!labels.includes(MERGE_LABEL)) return { why: UNSAID };
  const set = lastSet(events, MERGE_LABEL);
  const [newest] = versions;
  if (newest?.head_commit_sha !== head)
    return {
      why: `GitLab has not taken in ${head.slice(0, 12)} yet; set ${MERGE_LABEL} anew when it shows it`,
    };
  if (!set?.user || !set.label || set.created_at === undefined)
    return { why: `GitLab does not say who set ${MERGE_LABEL}, or when: set it anew` };
  const { id: user, username: by } = set.user;
  if (!mayMerge) return { why: `${by}, who set ${MERGE_LABEL}, is no person who may merge` };
  const at = Date.parse(set.created_at);
  const last = changed.get(set.label.id);
  if (last === undefined)
    return { why: `GitLab does not say when ${MERGE_LABEL} was changed last: set it anew` };
  if (last >= Math.floor(at / 1000) * 1000)
    return {
      why: `${MERGE_LABEL} was changed since ${by} set it (${moment(last)} and ${moment(at)}): take it off and set it anew`,
    };
  const isCarried =
    carried?.user === user &&
    carried.at === at &&
    isBotsFrom(pushes, { branch: sourceBranch, head, of: carried.of, bot });
  if (isCarried) return { by, given: carried };
  return at > Date.parse(newest.created_at)
    ? { by, given: { user, at, of: head } }
    : { why: `${by} set ${MERGE_LABEL} for an older commit: take it off and set it anew` };
}

/** What is asked of GitLab about what people say. */
export type AskedOfPeople = Pick<
  GitLab,
  | 'approvals'
  | 'ownId'
  | 'mayPush'
  | 'mayMerge'
  | 'versions'
  | 'pushes'
  | 'people'
  | 'labelEvents'
  | 'labelChanges'
>;

/** Asks GitLab for approvals, and decides. */
export async function readReview(
  gitlab: AskedOfPeople,
  project: string,
  { iid, sha, source_branch: sourceBranch }: MergeRequest,
  carried?: Given,
): Promise<Review> {
  const head = sha ?? '';
  const approvals = await gitlab.approvals(project, iid);
  const asked = { head, sourceBranch, approvals, bot: await gitlab.ownId(), carried };
  const none = { versions: [], pushes: [], people: new Set<number>(), mayPush: new Set<number>() };
  if (approvals.length === 0) return decideReview({ ...asked, ...none });
  const mayPush = new Set<number>();
  for (const { user } of approvals) if (await gitlab.mayPush(project, user.id)) mayPush.add(user.id);
  return decideReview({
    ...asked,
    mayPush,
    versions: await gitlab.versions(project, iid),
    pushes: await gitlab.pushes(project, (found) => pushersOf(found, sourceBranch, head) !== undefined),
    people: await gitlab.people(project, iid),
  });
}

/** Asks GitLab for the label, and decides. */
async function readWord(
  gitlab: AskedOfPeople,
  project: string,
  { iid, sha, source_branch: sourceBranch, target_branch: branch, labels = [] }: MergeRequest,
  carried?: Given,
): Promise<Review> {
  if (!labels.includes(MERGE_LABEL)) return { why: UNSAID };
  const asked = { head: sha ?? '', sourceBranch, labels, bot: await gitlab.ownId(), carried };
  const events = await gitlab.labelEvents(project, iid);
  const { id } = lastSet(events, MERGE_LABEL)?.user ?? {};
  const isEnough = (found: readonly Push[]): boolean =>
    carried === undefined ||
    isBotsFrom(found, { branch: sourceBranch, head: asked.head, of: carried.of, bot: asked.bot });
  return decideWord({
    ...asked,
    events,
    changed: await gitlab.labelChanges(project, iid),
    versions: await gitlab.versions(project, iid),
    pushes: carried ? await gitlab.pushes(project, isEnough) : [],
    mayMerge: id !== undefined && (await gitlab.mayMerge(project, branch, id)),
  });
}

/**
 * What people say of a merge request, by what its module asks of them.
 * @param carried by what its certificate says that it was let through
 * @returns undefined where nobody is asked
 */
export async function readConsent(
  gitlab: AskedOfPeople,
  project: string,
  request: MergeRequest,
  { policy, carried }: { readonly policy: Module['merge']; readonly carried?: Given | undefined },
): Promise<Review | undefined> {
  if (policy === 'automatic') return undefined;
  return policy === 'manual'
    ? readWord(gitlab, project, request, carried)
    : readReview(gitlab, project, request, carried);
}
