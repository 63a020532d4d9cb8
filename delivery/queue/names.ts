import type { Certificate } from '../certificate';
import type { CommitDetails, GitLab, MergeRequest } from '../gitlab';
import { askKey, type Decided, decide, type Merged } from './decide';
import { testOf } from './look';
import type { Seen } from './read';

// The queue without git and without the certificates' key: trees are named by what went into them, a commit of main, followed
// back by the merge requests that brought it, and heads. What notes say was tested is believed. Where git sees it otherwise,
// two names may stand for one tree, and hardly ever one name for two.

/** One step of main: a commit, and the head that a merge request brought with it. */
export interface Step {
  readonly commit: string;
  readonly brought: string;
  /** Main before it. */
  readonly parent: string;
}

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

/**
 * What is decided where each tree is known by its name only. Pure.
 * @param testing of one whose test goes on
 */
export function decideByNames(
  seen: Seen,
  steps: readonly Step[],
  now: number,
  testing?: Certificate,
): Decided {
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
      tests: testing?.mergeRequest === request.iid ? [testOf(testing, treeOf(testing))] : request.tests,
    };
  });
  const commit = nameOfTree(seen.target.commit, []);
  const target = { ...seen.target, commit, tree: commit };
  const merges = new Map<string, Merged>();
  for (;;) {
    const decision = decide({ now, targets: [target], requests, merges, start: seen.start });
    if (!('asks' in decision)) return decision;
    for (const ask of decision.asks) {
      const merged = `${ask.below}+${ask.head}`;
      merges.set(askKey(ask), { commit: merged, tree: merged });
    }
  }
}

/** Commits that are kept in mind at most. */
const MOST_KNOWN = 1000;

/** What brought main to where it is, by GitLab's API. A commit has the same parents for ever, so each is asked for once. */
export class Parents {
  private readonly known = new Map<string, Promise<CommitDetails>>();

  constructor(private readonly gitlab: Pick<GitLab, 'commit'>) {}

  async of(project: string, { target, merged }: Seen): Promise<Step[]> {
    const { known } = this;
    const steps = await stepsOf(target.commit, merged, async (commit) => {
      const key = `${project} ${commit}`;
      const asked = known.get(key) ?? this.gitlab.commit(project, commit);
      known.set(key, asked);
      try {
        return (await asked).parent_ids[0];
      } catch (error) {
        known.delete(key);
        throw error;
      }
    });
    for (const key of [...known.keys()].slice(0, Math.max(0, known.size - MOST_KNOWN))) known.delete(key);
    return steps;
  }
}
