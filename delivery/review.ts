import type { Approval, GitLab, MergeRequest, Push, Version } from './gitlab';

/** What GitLab says of who made a merge request's newest commit and who approved it. */
export interface Testimony {
  readonly head: string;
  readonly sourceBranch: string;
  readonly approvals: readonly Approval[];
  /** What the branch has been, newest first. */
  readonly versions: readonly Version[];
  /** Pushes to the project, newest first. */
  readonly pushes: readonly Push[];
  /** Ids of those who opened it, and of whom GitLab takes for authors and committers. */
  readonly people: ReadonlySet<number>;
  /** Of those who approved, the people who may push. */
  readonly mayPush: ReadonlySet<number>;
  /** The bot's own id. */
  readonly bot: number;
}

/** Whether a merge request counts as reviewed: by whom, or what it waits for. */
export type Review =
  /** @property at when, in milliseconds since 1970 */
  { readonly by: string; readonly at?: number } | { readonly why: string };

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
 * Whether an approval of the newest commit stands that its makers did not give. GitLab keeps an approval when a commit
 * is pushed (Free, and Premium where it is set so), and says when it was given but not of which commit.
 */
export function decideReview(testimony: Testimony): Review {
  const { head, sourceBranch, approvals, versions, people, mayPush, bot } = testimony;
  if (approvals.length === 0) return { why: WAITS };
  const [newest] = versions;
  if (newest?.head_commit_sha !== head)
    return { why: `GitLab has not taken in ${head.slice(0, 12)} yet; approve once more when it shows it` };
  const pushers = pushersOf(testimony.pushes, sourceBranch, head);
  if (!pushers) {
    return {
      why: `GitLab does not say who pushed ${head.slice(0, 12)} to ${sourceBranch}: push it to a new branch, and nothing else with it`,
    };
  }
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
    at: Date.parse(approval.approved_at ?? ''),
    why: whyNot(approval),
  }));
  const [good] = judged.filter(({ why }) => why === undefined).sort((a, b) => a.at - b.at);
  if (good) return { by: good.name, at: good.at };
  return { why: `${WAITS}; ${judged.map(({ name, why }) => `${name} ${why}`).join(', ')}` };
}

/** Asks GitLab, and decides. */
export async function readReview(
  gitlab: Pick<GitLab, 'approvals' | 'ownId' | 'mayPush' | 'versions' | 'pushes' | 'people'>,
  project: string,
  { iid, sha, source_branch: sourceBranch }: MergeRequest,
): Promise<Review> {
  const head = sha ?? '';
  const approvals = await gitlab.approvals(project, iid);
  const asked = { head, sourceBranch, approvals, bot: await gitlab.ownId() };
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
