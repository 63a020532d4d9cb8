import { isDeepStrictEqual } from 'node:util';
import {
  emptyLedger,
  type Ledger,
  parseLedger,
  type Release,
  serialiseLedger,
  stateOf,
  withState,
} from '../../catalog/ledger';
import type { ListedCommit, MergeRequest } from '../../clients/gitlab';
import { GitLabError } from '../../clients/gitlab-api';
import { decideLedger, recordRelease } from '../../delivery/deploy';
import type { LedgerPlace } from '../../delivery/ledger';
import type { PodWords } from '../../delivery/pod-words';
import { rollBack } from '../../delivery/releases';
import { undo } from '../../delivery/undo';
import type { Context } from '../../delivery/verify';

// The release ledger as GitLab keeps it, for tests of what is done to it.

export const PLACE = { ledgerProject: 'switchyard/release-ledger', environment: 'production' };
export const STAGING: LedgerPlace = {
  ledgerProject: 'switchyard-staging/release-ledger',
  environment: 'staging',
};
export const BUILD = 'https://jenkins.test/job/shop/9/';
export const commitOf = (digit: string): string => digit.repeat(40);
export const releaseOf = (digit: string, module = 'shop'): Release => ({
  image: `registry.test/modules/${module}@sha256:${digit.repeat(64)}`,
  commit: commitOf(digit),
  mergeRequest: Number.parseInt(digit, 16) + 1,
  build: `https://jenkins.test/job/shop/${digit}/`,
});

interface Note {
  readonly id: number;
  body: string;
  readonly author: { readonly id: number };
  readonly system: boolean;
}

type LedgerCommit = ListedCommit & { readonly text: string };

/** The ledger's project as GitLab keeps it: commits, each with the file that it left. */
export class Ledgers {
  readonly commits: LedgerCommit[] = [];
  /** Branches beside main: what each has, newest first, and main's commit that it began at. */
  readonly branches = new Map<
    string,
    { readonly base: string | undefined; readonly commits: LedgerCommit[] }
  >();
  readonly requests: MergeRequest[] = [];
  readonly notes: Note[] = [];
  /** Commits whose status says that they ran. */
  readonly ran: string[] = [];
  /** Whether the modules' data is migrated for a release. */
  migrates = false;
  /** Called before each change. */
  change: () => void = () => undefined;

  private made = 0;
  private opened = 0;

  constructor(readonly place: LedgerPlace = PLACE) {}

  get now(): Ledger {
    return this.at(this.commits[0]);
  }

  private at(commit: LedgerCommit | undefined): Ledger {
    return commit ? parseLedger(commit.text, 'production.yaml') : emptyLedger;
  }

  commit(
    text: string,
    message: string,
    author = 'Switchyard',
    commits = this.commits,
    parent = commits[0]?.id,
  ): void {
    const [title = ''] = message.split('\n');
    commits.unshift({
      id: (this.made + 1).toString(16).padStart(40, '0'),
      title,
      message,
      text,
      author_name: author,
      author_email: '',
      parent_ids: parent ? [parent] : [],
      committed_date: `2026-11-28T10:00:${String(this.made++).padStart(2, '0')}Z`,
    });
  }

  /** A person merges a merge request: what both sides changed of one module is a conflict, as its lines stand together. */
  merge(iid: number): 'merged' | 'conflict' {
    const request = this.requests.find((one) => one.iid === iid);
    const branch = this.branches.get(request?.source_branch ?? '');
    if (!request || !branch) throw new Error(`!${iid} is not open`);
    const base = this.at(this.commits.find(({ id }) => id === branch.base));
    const theirs = this.at(branch.commits[0]);
    let merged = this.now;
    const names = [base, theirs, merged].flatMap(({ modules, undone = {} }) =>
      [modules, undone].flatMap(Object.keys),
    );
    for (const module of new Set(names)) {
      const [was, is, wanted] = [base, merged, theirs].map((ledger) => stateOf(ledger, module));
      if (isDeepStrictEqual(was, wanted) || isDeepStrictEqual(is, wanted)) continue;
      if (!isDeepStrictEqual(was, is)) return 'conflict';
      merged = withState(merged, module, wanted ?? {});
    }
    this.requests.splice(this.requests.indexOf(request), 1);
    this.branches.delete(request.source_branch);
    this.commits.unshift(...branch.commits);
    this.commit(serialiseLedger(merged), `Merge branch '${request.source_branch}' into 'main'`, 'Ada');
    return 'merged';
  }

  readonly gitlab = {
    file: async (_project: string, _path: string, ref: string) => {
      const found =
        ref === 'main'
          ? this.commits[0]
          : (this.branches.get(ref)?.commits[0] ?? this.commits.find(({ id }) => id === ref));
      return found && { text: found.text, lastCommit: found.id };
    },
    commitsOf: async () => this.commits,
    commitFile: async (
      _project: string,
      change: { branch: string; text: string; message: string; lastCommit?: string; from?: string },
    ) => {
      this.change();
      const { branch, text, message, lastCommit, from } = change;
      const [main] = this.commits;
      if (branch !== 'main' && from === 'main') this.branches.set(branch, { base: main?.id, commits: [] });
      const commits = branch === 'main' ? this.commits : this.branches.get(branch)?.commits;
      const before = commits?.[0]?.id ?? main?.id;
      if (!commits || lastCommit !== before) throw new GitLabError(400, '', 'has changed');
      this.commit(text, message, undefined, commits, before);
      return commits[0]?.id ?? '';
    },
    openMergeRequests: async () => this.requests,
    openMergeRequest: async (
      _project: string,
      request: Pick<MergeRequest, 'source_branch' | 'target_branch' | 'title' | 'description'>,
    ) => {
      this.change();
      if (this.requests.some(({ source_branch }) => source_branch === request.source_branch))
        throw new GitLabError(409, '', 'Another open merge request already exists');
      const iid = ++this.opened;
      const opened: MergeRequest = {
        ...request,
        ...{ id: iid, iid, state: 'opened', draft: false, sha: null },
        ...{ source_project_id: 1, target_project_id: 1 },
      };
      this.requests.push(opened);
      return opened;
    },
    ownId: async () => 1,
    statuses: async (_project: string, sha: string) =>
      this.ran.includes(sha)
        ? [{ status: 'success', description: `shop ${sha.slice(0, 12)} runs in ${this.place.environment}` }]
        : [],
    notes: async (_project: string, _iid: number, wanted: (note: Note) => unknown) =>
      this.notes.filter(wanted),
    mergeRequest: async () => ({ author: { username: 'ada' } }),
    createNote: async (_project: string, _iid: number, body: string) => {
      this.change();
      this.notes.push({ id: this.notes.length, body, author: { id: 1 }, system: false });
    },
    editNote: async (_project: string, _iid: number, note: number, body: string) => {
      this.change();
      const found = this.notes.find(({ id }) => id === note);
      if (found) found.body = body;
    },
  };

  get context(): Context {
    return {
      gitlab: this.gitlab as unknown as Context['gitlab'],
      gitlabUrl: 'https://gitlab.test',
      token: 'glpat-the-token-of-the-bot',
      say: () => undefined,
      noteRetries: { baseMs: 1, capMs: 1 },
    };
  }

  /** A deploy, of a history in which each commit has those before it, by their digits, for ancestors. */
  async deploy(digit: string, module = 'shop', ran = false): ReturnType<typeof recordRelease> {
    const next: Release = { ...releaseOf(digit, module), ...(this.migrates ? { migrate: true } : {}) };
    return recordRelease(
      this.context,
      { ...this.place, module, by: 'ada' },
      next,
      async (current, undone) => {
        const relation = !current
          ? 'first'
          : current.commit === next.commit
            ? 'same'
            : current.commit < next.commit
              ? 'newer'
              : 'older';
        const covered = undone && next.commit <= undone.commit;
        return decideLedger(current, next, relation, {
          rollback: false,
          ran,
          ...(covered ? { undone } : {}),
        });
      },
    );
  }

  rollBack(to?: string, hold = false, wrote?: string) {
    return rollBack(this.gitlab, { ...this.place, module: 'shop', hold, wrote, ...(to ? { to } : {}) });
  }

  undo(
    digit: string,
    by: 'merge' | 'rollback' = 'merge',
    words: PodWords | undefined = {
      why: 'it did not get ready by its deadline (CrashLoopBackOff)',
      pods: [],
    },
  ) {
    const { commit, mergeRequest, image } = releaseOf(digit);
    return undo(
      this.context,
      this.place.ledgerProject,
      {
        ...{ module: 'shop', project: 'switchyard/shop', branch: 'main', by },
        ...{ environment: this.place.environment, commit, mergeRequest, image },
      },
      BUILD,
      words,
    );
  }
}

/** A ledger in which these were released, one after the other. */
export async function released(...digits: string[]): Promise<Ledgers> {
  const ledgers = new Ledgers();
  for (const digit of digits) await ledgers.deploy(digit);
  return ledgers;
}
export const runs = (ledgers: Ledgers, module = 'shop') => stateOf(ledgers.now, module).release?.commit[0];

/** The ledgers, and what stands beside them, in builds that are killed before one of their changes. */
export class KillableLedgers extends Ledgers {
  private left = Number.POSITIVE_INFINITY;

  constructor(place?: LedgerPlace) {
    super(place);
    this.change = () => {
      // For good: nothing is done after it, whoever catches it.
      if (this.left-- <= 0) throw new Error('killed');
    };
  }

  /** Runs a build, killed before its nth change from 0 on. */
  protected async untilKilled(kill: number, build: () => Promise<void>): Promise<'done' | 'killed'> {
    this.left = kill;
    try {
      await build();
      return 'done';
    } catch (error) {
      if ((error as Error).message !== 'killed') throw error;
      return 'killed';
    } finally {
      this.left = Number.POSITIVE_INFINITY;
    }
  }
}
