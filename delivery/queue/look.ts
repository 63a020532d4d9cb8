import type { WorkingCopy } from '../../clients/git';
import type { MergeRequest } from '../../clients/gitlab';
import type { Certificate } from '../certificate';
import {
  type Action,
  askKey,
  type Decided,
  decide,
  type Merged,
  type Place,
  type Test,
  type World,
} from './decide';
import { type Asked, readWorld, type Where } from './read';

/** What is decided of one project's queue, by GitLab and by git. */
export interface Look {
  /** Main as it was decided for. */
  readonly commit: string;
  readonly actions: readonly Action[];
  readonly places: readonly Place[];
  /** By number, proved. */
  readonly certificates: ReadonlyMap<number, Certificate>;
  readonly found: ReadonlyMap<number, MergeRequest>;
}

/**
 * Answers in a working copy what the decision asks. A question of one merge request is asked once, and needs the answers
 * to those before it only: what they name is there by then.
 */
export async function answered(
  world: Omit<World, 'merges'>,
  copy: Pick<WorkingCopy, 'checkOutMerge'>,
): Promise<Decided> {
  const merges = new Map<string, Merged>();
  for (;;) {
    const decision = decide({ ...world, merges });
    if (!('asks' in decision)) return decision;
    for (const ask of decision.asks) merges.set(askKey(ask), await copy.checkOutMerge(ask.below, ask.head));
  }
}

export interface LookOptions {
  /** Tags are fetched as well, as `git describe` needs them. */
  readonly tags?: boolean;
  /** Of one whose test goes on. */
  readonly testing?: Certificate;
}

/** The test that a build began a certificate with. */
export const testOf = ({ build, headSha, treeSha = '' }: Certificate, tree = treeSha): Test => ({
  id: build,
  head: headSha,
  tree,
  stopping: false,
});

/**
 * Looks at a project's queue.
 * @param copy an open working copy; it has the target branch and the heads of the queue then, and what they give together
 */
export async function lookAt(
  gitlab: Asked,
  where: Where,
  copy: WorkingCopy,
  { tags = false, testing }: LookOptions = {},
): Promise<Look> {
  const seen = await readWorld(gitlab, where);
  const queued = seen.requests.filter(({ ready }) => 'since' in ready);
  const has = async (commit: string): Promise<boolean> => copy.has(commit);
  await copy.fetchUntil(
    [where.branch],
    async () => {
      if (!(await has(seen.target.commit))) return false;
      for (const { head } of queued) {
        if ((await has(head)) && !(await copy.haveCommonAncestor(head, seen.target.commit))) return false;
      }
      return true;
    },
    tags,
    queued.map(({ iid }) => iid),
  );
  const requests = await Promise.all(
    seen.requests.map(async (request) => {
      const tests = testing?.mergeRequest === request.iid ? [testOf(testing)] : request.tests;
      return 'since' in request.ready && !(await has(request.head))
        ? // A force-push between the two looks: the newer commit has its own build.
          { ...request, tests, ready: { why: 'its branch has another commit by now' } }
        : { ...request, tests };
    }),
  );
  const target = { ...seen.target, tree: await copy.tree(seen.target.commit) };
  const decision = await answered(
    { now: gitlab.time, targets: [target], requests, start: where.start },
    copy,
  );
  return {
    commit: target.commit,
    actions: decision.actions,
    places: decision.queues.flatMap(({ places }) => places),
    certificates: seen.certificates,
    found: seen.found,
  };
}
