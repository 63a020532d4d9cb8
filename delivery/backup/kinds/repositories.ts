import { createHash } from 'node:crypto';
import { createWriteStream, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { exitCode, Failure } from '../../failure';
import { type GitRemote, gitEnvironment } from '../../git';
import { type Call, type Ended, output, outputStream } from '../program';
import type { Restic } from '../restic';
import type { BackupItem, Source } from '../run';
import type { Snapshot } from '../snapshots';

/** A GitLab project. */
export interface Project {
  /** Item name: the path below the group, or in full where it lies elsewhere. */
  readonly item: string;
  readonly remote: GitRemote;
}

/** What people push. GitLab keeps refs of its own beside them (merge requests, pipelines) and takes none back. */
const PUSHED = ['refs/heads/*', 'refs/tags/*'] as const;
const refspecs = PUSHED.map((pattern) => `+${pattern}:${pattern}`);

/** A bare repository in a folder that goes with it. */
class Bare {
  private readonly folder = mkdtempSync(join(tmpdir(), 'switchyard-bundle-'));

  constructor(private readonly remote: GitRemote) {}

  private call(args: readonly string[]): Call {
    const fault = ({ stderr, code }: Ended): Failure => {
      const said = stderr.split('\n').filter((line) => line.trim());
      const telling =
        said.find((line) => /^(fatal|error|remote):/.test(line)) ?? said[0] ?? `exit code ${code}`;
      return new Failure(
        exitCode.red,
        `git ${args[0]} of ${this.remote.url} failed: ${telling.slice(0, 300)}.`,
        'Check that the project exists and that GITLAB_TOKEN may do this.',
      );
    };
    return { program: 'git', args, cwd: this.folder, env: gitEnvironment(this.remote), fault };
  }

  file(name: string): string {
    return join(this.folder, name);
  }

  git(...args: string[]): Promise<string> {
    return output(this.call(args));
  }

  stream(...args: string[]): Source['stream'] {
    return outputStream(this.call(args));
  }

  async open(): Promise<void> {
    await this.git('init', '--quiet', '--bare', '--initial-branch=switchyard');
  }

  /** Refs here, or at the remote: name → object id. */
  async refs(where: 'here' | 'there'): Promise<Map<string, string>> {
    const listed =
      where === 'here'
        ? await this.git('for-each-ref', '--format=%(objectname)%09%(refname)', 'refs/heads', 'refs/tags')
        : await this.git('ls-remote', '--refs', this.remote.url, ...PUSHED);
    return new Map(
      listed
        .split('\n')
        .filter(Boolean)
        .map((line): [string, string] => {
          const [id = '', name = ''] = line.split('\t');
          return [name, id];
        }),
    );
  }

  /** Whether the commit of a ref lies in another one's history. */
  async within(older: string, newer: string): Promise<boolean> {
    try {
      await this.git('merge-base', '--is-ancestor', older, newer);
      return true;
    } catch {
      return false;
    }
  }

  close(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

async function withBare<T>(remote: GitRemote, work: (bare: Bare) => Promise<T>): Promise<T> {
  const bare = new Bare(remote);
  try {
    await bare.open();
    return await work(bare);
  } finally {
    bare.close();
  }
}

function contentOf(refs: ReadonlyMap<string, string>): string {
  const sorted = [...refs].map(([name, id]) => `${name} ${id}\n`).sort();
  return createHash('sha256').update(sorted.join('')).digest('hex');
}

async function bundle(remote: GitRemote): Promise<Source | undefined> {
  const bare = new Bare(remote);
  try {
    await bare.open();
    await bare.git('fetch', '--quiet', '--no-tags', remote.url, ...refspecs);
    const refs = await bare.refs('here');
    if (refs.size === 0) {
      bare.close();
      return undefined;
    }
    return {
      stream: bare.stream('bundle', 'create', '--quiet', '-', '--all'),
      // Somebody may have pushed since it was asked: this is what was fetched.
      content: contentOf(refs),
      close: async () => bare.close(),
    };
  } catch (error) {
    bare.close();
    throw error;
  }
}

/** Branches and tags of projects, one bundle each; what `git ls-remote` gives tells whether one has changed. */
export function repositoryItems(projects: readonly Project[]): BackupItem[] {
  return projects.map(({ item, remote }) => ({
    kind: 'repositories',
    item,
    content: () => withBare(remote, async (bare) => contentOf(await bare.refs('there'))),
    open: () => bundle(remote),
  }));
}

/** Branches and tags there that hold what the backup does not have. */
async function wouldBeLost(
  bare: Bare,
  backup: ReadonlyMap<string, string>,
  there: ReadonlyMap<string, string>,
) {
  const lost: string[] = [];
  for (const [name, id] of there) {
    const ours = backup.get(name);
    if (ours === undefined || ours === id) continue;
    if (name.startsWith('refs/tags/') || !(await bare.within(id, ours))) lost.push(name);
  }
  return lost;
}

/**
 * Pushes a project's branches and tags, and makes sure that they arrived. Refs that the backup does not know stay.
 * @param over replace branches that hold commits which the backup does not have (a README that GitLab made)
 * @throws Failure that names those branches, without `over`; nothing was pushed then
 */
export function restoreRepository(
  restic: Restic,
  snapshot: Snapshot,
  remote: GitRemote,
  options: { readonly over?: boolean } = {},
): Promise<'restored' | 'unchanged'> {
  return withBare(remote, async (bare) => {
    const file = bare.file('backup.bundle');
    await pipeline(restic.read(snapshot), createWriteStream(file));
    await bare.git('fetch', '--quiet', '--no-tags', file, ...refspecs);
    const refs = await bare.refs('here');
    const missing = async (): Promise<string[]> => {
      const there = await bare.refs('there');
      return [...refs].flatMap(([name, id]) => (there.get(name) === id ? [] : [name]));
    };
    if ((await missing()).length === 0) return 'unchanged';
    const lost = options.over ? [] : await wouldBeLost(bare, refs, await bare.refs('there'));
    if (lost.length > 0) {
      throw new Failure(
        exitCode.red,
        `git: ${remote.url} holds what the backup of ${snapshot.item} does not: ${lost.slice(0, 5).join(', ')}.`,
        'Nothing was pushed. Look at it first; then restore over it.',
      );
    }
    await bare.git('push', '--quiet', '--no-verify', remote.url, ...refspecs);
    const left = await missing();
    if (left.length === 0) return 'restored';
    throw new Failure(
      exitCode.red,
      `git: ${remote.url} did not take ${left.slice(0, 5).join(', ')}.`,
      'Unprotect these branches while restoring.',
    );
  });
}
