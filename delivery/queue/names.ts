import type { CommitDetails, GitLab, MergeRequest } from '../../clients/gitlab';
import type { Certificate } from '../certificate';
import { marker, readHint } from '../note';
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

/** The commit that a merge request is on its target branch as: its own head where GitLab only moved the branch. */
const commitOf = ({ merge_commit_sha, squash_commit_sha, sha }: MergeRequest): string | null =>
  merge_commit_sha ?? squash_commit_sha ?? sha;

/**
 * The head of main and those below it that merge requests brought, newest first, as far as anybody's result was made on them.
 * @param cameBy the head that was tested, and main before it; undefined where that is not known
 * @param bases commits that results were made on
 */
export async function stepsOf(
  commit: string,
  merged: readonly MergeRequest[],
  cameBy: (request: MergeRequest, commit: string) => Promise<Omit<Step, 'commit'> | undefined>,
  bases: Iterable<string>,
): Promise<Step[]> {
  const steps: Step[] = [];
  const left = new Set(bases);
  for (let at = commit; steps.length < MOST_STEPS; ) {
    left.delete(at);
    const request = left.size > 0 ? merged.find((one) => commitOf(one) === at) : undefined;
    const came = request?.sha ? await cameBy(request, at) : undefined;
    if (!came) break;
    steps.push({ commit: at, ...came });
    at = came.parent;
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

/** What is asked for once. */
class Kept<T> {
  private readonly known = new Map<string, Promise<T>>();

  async of(key: string, ask: () => Promise<T>): Promise<T> {
    const { known } = this;
    const asked = known.get(key) ?? ask();
    known.set(key, asked);
    try {
      return await asked;
    } catch (error) {
      known.delete(key);
      throw error;
    }
  }

  /** Forgets what was asked for first. */
  shrink(): void {
    const { known } = this;
    for (const key of [...known.keys()].slice(0, Math.max(0, known.size - MOST_KNOWN))) known.delete(key);
  }
}

/**
 * What brought main to where it is, by GitLab's API. A commit has the same parents for ever, and what was merged was tested as
 * it was, so each is asked for once. Where the bot rebased a head for its merge, the note names the one that was tested, and main
 * before it, whatever the method is by which GitLab merges.
 */
export class Parents {
  private readonly commits = new Kept<CommitDetails>();
  private readonly hints = new Kept<Certificate | undefined>();
  private readonly bots = new Kept<boolean>();

  constructor(private readonly gitlab: Pick<GitLab, 'commit' | 'notes' | 'isBot'>) {}

  async of(project: string, { target, merged, certificates }: Seen): Promise<Step[]> {
    const bases = [...certificates.values()].map(({ ahead, baseSha }) => ahead?.onto ?? baseSha);
    const cameBy = async (
      request: MergeRequest,
      commit: string,
    ): Promise<Omit<Step, 'commit'> | undefined> => {
      const { iid, sha = '', merge_commit_sha, squash_commit_sha } = request;
      const said = await this.hints.of(`${project}!${iid} ${sha}`, () => this.hintOf(project, iid));
      const hint = said?.headSha === sha ? said : undefined;
      const parent =
        (merge_commit_sha ?? squash_commit_sha)
          ? (await this.commits.of(`${project} ${commit}`, () => this.gitlab.commit(project, commit)))
              .parent_ids[0]
          : hint && !hint.ahead
            ? hint.baseSha
            : undefined;
      return parent === undefined ? undefined : { brought: hint?.rebasedFrom ?? sha ?? '', parent };
    };
    const steps = await stepsOf(target.commit, merged, cameBy, bases);
    for (const kept of [this.commits, this.hints, this.bots]) kept.shrink();
    return steps;
  }

  /** What a bot's note says of one that is merged. */
  private async hintOf(project: string, iid: number): Promise<Certificate | undefined> {
    const [note] = await this.gitlab.notes(
      project,
      iid,
      async ({ system, body, author }) =>
        !system &&
        body.startsWith(marker) &&
        (await this.bots.of(String(author.id), () => this.gitlab.isBot(author.id))),
      1,
    );
    return note && readHint(note.body);
  }
}
