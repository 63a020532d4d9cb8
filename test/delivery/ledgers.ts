import { emptyLedger, type Ledger, parseLedger, type Release, stateOf } from '../../catalog/ledger';
import { decideLedger, recordRelease } from '../../delivery/deploy';
import { GitLabError, type ListedCommit } from '../../delivery/gitlab';
import type { PodWords } from '../../delivery/pod-words';
import { rollBack } from '../../delivery/releases';
import { undo } from '../../delivery/undo';
import type { Context } from '../../delivery/verify';

// The release ledger as GitLab keeps it, for tests of what is done to it.

export const PLACE = { ledgerProject: 'switchyard/release-ledger', environment: 'production' };
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

/** The ledger's project as GitLab keeps it: commits, each with the file that it left. */
export class Ledgers {
  readonly commits: (ListedCommit & { readonly text: string })[] = [];
  readonly notes: Note[] = [];
  /** Commits whose status says that they ran. */
  readonly ran: string[] = [];
  /** Whether the modules' data is migrated for a release. */
  migrates = false;
  /** Called before each change. */
  change: () => void = () => undefined;

  get now(): Ledger {
    const [last] = this.commits;
    return last ? parseLedger(last.text, 'production.yaml') : emptyLedger;
  }

  commit(text: string, message: string, author = 'Switchyard'): void {
    const id = (this.commits.length + 1).toString(16).padStart(40, '0');
    const [title = ''] = message.split('\n');
    this.commits.unshift({
      id,
      title,
      message,
      text,
      author_name: author,
      author_email: '',
      parent_ids: this.commits[0] ? [this.commits[0].id] : [],
      committed_date: `2026-11-28T10:00:${String(this.commits.length).padStart(2, '0')}Z`,
    });
  }

  readonly gitlab = {
    file: async (_project: string, _path: string, ref: string) => {
      const found = ref === 'main' ? this.commits[0] : this.commits.find(({ id }) => id === ref);
      return found && { text: found.text, lastCommit: found.id };
    },
    commitsOf: async () => this.commits,
    commitFile: async (
      _project: string,
      { text, message, lastCommit }: { text: string; message: string; lastCommit?: string },
    ) => {
      this.change();
      if (lastCommit !== this.commits[0]?.id) throw new GitLabError(400, '', 'has changed');
      this.commit(text, message);
      return '';
    },
    ownId: async () => 1,
    statuses: async (_project: string, sha: string) =>
      this.ran.includes(sha)
        ? [{ status: 'success', description: `shop ${sha.slice(0, 12)} runs in production` }]
        : [],
    notes: async () => this.notes,
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
    return recordRelease(this.context, { ...PLACE, module, by: 'ada' }, next, async (current, undone) => {
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
    });
  }

  rollBack(to?: string, hold = false, wrote?: string) {
    return rollBack(this.gitlab, { ...PLACE, module: 'shop', hold, wrote, ...(to ? { to } : {}) });
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
      PLACE.ledgerProject,
      {
        ...{ module: 'shop', project: 'switchyard/shop', environment: 'production', branch: 'main', by },
        ...{ commit, mergeRequest, image },
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

  constructor() {
    super();
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
