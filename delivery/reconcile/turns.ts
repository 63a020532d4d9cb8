import type { Certificate } from '../certificate';
import type { CommitDetails, GitLab, MergeRequest } from '../gitlab';
import { askKey, decide, type Merged } from '../queue/decide';
import { type Asked, readWorld, type Seen } from '../queue/read';

// Whose turn it is in the merge queue, as far as can be told without git and without the certificates' key: by what notes say
// was tested, and by which merge requests brought main to where it is. A build that is started by it proves both. Where the
// two differ, a build is started in vain, or one behind others a little late; what is first is always started.

/** One step of main: a commit, and the head that a merge request brought with it. */
export interface Step {
  readonly commit: string;
  readonly brought: string;
  /** Main before it. */
  readonly parent: string;
}

/** What is due of a merge request; the same words as long as it is the same. */
export type Turns = ReadonlyMap<number, string>;

/** Steps of main that are looked back at: what is older no result of the queue was made on. */
const MOST_STEPS = 24;

/** Names a tree by what went into it: a commit of main, and heads in their order. */
function naming(steps: readonly Step[]): (commit: string, heads: readonly string[]) => string {
  const names = new Map<string, string>();
  for (const { commit, brought, parent } of [...steps].reverse())
    names.set(commit, `${names.get(parent) ?? parent}+${brought}`);
  return (commit, heads) => [names.get(commit) ?? commit, ...heads].join('+');
}

/** The head of main and those below it that merge requests brought, newest first. */
export async function stepsOf(
  commit: string,
  merged: readonly MergeRequest[],
  parentOf: (commit: string) => Promise<string | undefined>,
): Promise<Step[]> {
  const steps: Step[] = [];
  for (let at = commit; steps.length < MOST_STEPS; ) {
    const request = merged.find(
      ({ merge_commit_sha, squash_commit_sha }) => (merge_commit_sha ?? squash_commit_sha) === at,
    );
    const parent = request?.sha ? await parentOf(at) : undefined;
    if (!request?.sha || parent === undefined) break;
    steps.push({ commit: at, brought: request.sha, parent });
    at = parent;
  }
  return steps;
}

/** What is due in one project's queue. Pure. */
export function dueIn(seen: Seen, steps: readonly Step[], now: number): Turns {
  const nameOfTree = naming(steps);
  const treeOf = ({ ahead, baseSha, headSha }: Certificate): string =>
    nameOfTree(ahead?.onto ?? baseSha, [
      ...(ahead?.requests ?? []).map((request) => request.headSha),
      headSha,
    ]);
  const requests = seen.requests.map((request) => {
    const certificate = seen.certificates.get(request.iid);
    return {
      ...request,
      results: request.results.map((result) => ({ ...result, tree: certificate ? treeOf(certificate) : '' })),
    };
  });
  const commit = nameOfTree(seen.target.commit, []);
  const target = { ...seen.target, commit, tree: commit };
  const merges = new Map<string, Merged>();
  for (;;) {
    const decision = decide({ now, targets: [target], requests, merges });
    if ('asks' in decision) {
      for (const ask of decision.asks) {
        const merged = `${ask.below}+${ask.head}`;
        merges.set(askKey(ask), { commit: merged, tree: merged });
      }
      continue;
    }
    return new Map(
      decision.actions.flatMap((action): [number, string][] =>
        action.do === 'stop'
          ? []
          : [
              [
                action.request.iid,
                `${action.do} ${action.head} ${'tree' in action ? action.tree : action.base}`,
              ],
            ],
      ),
    );
  }
}

/**
 * Asks GitLab whose turn it is.
 * @param live numbers of the merge requests that Jenkins has a build of: those that do not queue hold a test Pod each
 */
export function askTurns(gitlab: Asked & Pick<GitLab, 'commit'>, gitlabUrl: string) {
  /** A commit has the same parents for ever. */
  const known = new Map<string, Promise<CommitDetails>>();
  return async (
    { project, branch, most }: { readonly project: string; readonly branch: string; readonly most: number },
    live: readonly number[],
  ): Promise<Turns> => {
    const seen = await readWorld(gitlab, { gitlabUrl, project, branch, most });
    const queued = seen.requests.filter(({ ready }) => 'since' in ready).map(({ iid }) => iid);
    const taken = live.filter((iid) => !queued.includes(iid)).length;
    const parentOf = async (commit: string): Promise<string | undefined> => {
      const key = `${project} ${commit}`;
      const asked = known.get(key) ?? gitlab.commit(project, commit);
      known.set(key, asked);
      try {
        return (await asked).parent_ids[0];
      } catch (error) {
        known.delete(key);
        throw error;
      }
    };
    const steps = await stepsOf(seen.target.commit, seen.merged, parentOf);
    for (const key of [...known.keys()].slice(0, Math.max(0, known.size - 1000))) known.delete(key);
    return dueIn({ ...seen, target: { ...seen.target, taken } }, steps, gitlab.time);
  };
}
