import { createHash } from 'node:crypto';
import { createWriteStream, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { exitCode, Failure } from '../../../clients/failure';
import { GIT_MS, GitFailure, type GitRemote, gitEnvironment, persistently } from '../../../clients/git';
import { type LfsObject, LfsServer, POINTER_BYTES, pointerOf } from '../../../clients/git-lfs';
import { type Call, type Ended, output, outputStream } from '../program';
import type { Restic } from '../restic';
import { Absent, type BackupItem, type Source } from '../run';
import { lfsItem, type Snapshot } from '../snapshots';

/** A GitLab project. */
export interface Project {
  /** Item name: the path below the group, or in full where it lies elsewhere. */
  readonly item: string;
  readonly remote: GitRemote;
}

/** What people push. GitLab keeps refs of its own beside them (merge requests, pipelines) and takes none back. */
const PUSHED = ['refs/heads/*', 'refs/tags/*'] as const;
const refspecs = PUSHED.map((pattern) => `+${pattern}:${pattern}`);

/**
 * What git may take for one project. Anybody who pushes to a branch decides what is fetched, and the Pod that backs up all
 * projects has 1 GiB of memory and 20 GiB of disk (`components/backup`): a project that needs more is told, and no other
 * misses its backup.
 */
export interface GitBounds {
  /** Bytes of one pack. @default 16 GiB */
  readonly pack: number;
  /** Bytes of memory of one program. @default 640 MiB */
  readonly memory: number;
  /** Bytes of its refs' names and numbers. @default 32 MiB */
  readonly refs: number;
  /** Objects of Git LFS. @default 200,000 */
  readonly lfs: number;
}
export const BOUNDS: GitBounds = {
  pack: 16 * 2 ** 30,
  memory: 640 * 2 ** 20,
  refs: 32 * 2 ** 20,
  lfs: 200_000,
};

/** Of what the memory is left for: large files are streamed, and one at a time. */
const FRUGAL = {
  'core.bigFileThreshold': '16m',
  'core.deltaBaseCacheLimit': '32m',
  // One file, which has a bound.
  'fetch.unpackLimit': '1',
  'pack.threads': '1',
  'pack.windowMemory': '64m',
};

async function* linesOf(stream: Readable): AsyncGenerator<Buffer> {
  let left = Buffer.alloc(0);
  for await (const chunk of stream) {
    left = Buffer.concat([left, chunk]);
    for (let end = left.indexOf('\n'); end >= 0; end = left.indexOf('\n')) {
      yield left.subarray(0, end);
      left = left.subarray(end + 1);
    }
  }
}

/** A bare repository in a folder that goes with it. */
class Bare {
  private readonly folder = mkdtempSync(join(tmpdir(), 'switchyard-bundle-'));

  constructor(
    private readonly remote: GitRemote,
    private readonly bounds: GitBounds = BOUNDS,
  ) {}

  private call(args: readonly string[]): Call {
    const { pack, memory, refs } = this.bounds;
    const fault = ({ stderr }: Ended) => new GitFailure(args[0], this.remote.url, stderr, 'do this');
    const settings = Object.entries(FRUGAL).flatMap(([key, value]) => ['-c', `${key}=${value}`]);
    // A file in blocks of 512 bytes, memory (RLIMIT_DATA: what is mapped from files is not in it) in KiB.
    const limits = `ulimit -f ${Math.ceil(pack / 512)} && ulimit -d ${Math.ceil(memory / 1024)}`;
    return {
      program: 'sh',
      args: ['-c', `${limits} && exec git "$@"`, 'git', ...settings, ...args],
      cwd: this.folder,
      env: gitEnvironment(this.remote),
      fault,
      mostBytes: refs,
    };
  }

  file(name: string): string {
    return join(this.folder, name);
  }

  git(...args: string[]): Promise<string> {
    return output(this.call(args));
  }

  /** What the remote has a part in; a second time changes nothing more. */
  atRemote(...args: string[]): Promise<string> {
    return persistently(() => output({ ...this.call(args), timeoutMs: GIT_MS }));
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
        : await this.atRemote('ls-remote', '--refs', this.remote.url, ...PUSHED);
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

  /** Blobs that are as small as a pointer of Git LFS, one id a line. */
  private async *smallBlobs(): AsyncGenerator<string> {
    const format = '--batch-check=%(objecttype) %(objectsize) %(objectname)';
    const all = this.stream('cat-file', '--batch-all-objects', '--unordered', '--buffer', format);
    for await (const line of linesOf(all)) {
      const [type, size, id] = line.toString('latin1').split(' ');
      const fits = Number(size) >= POINTER_BYTES.least && Number(size) <= POINTER_BYTES.most;
      if (type === 'blob' && fits) yield `${id}\n`;
    }
  }

  /** Objects of Git LFS that any commit here names, by oid. */
  async lfsObjects(): Promise<LfsObject[]> {
    const found = new Map<string, LfsObject>();
    const blobs = outputStream(
      this.call(['cat-file', '--batch=%(objectsize)', '--buffer']),
      Readable.from(this.smallBlobs()),
    );
    let left = Buffer.alloc(0);
    for await (const chunk of blobs) {
      left = Buffer.concat([left, chunk]);
      for (;;) {
        const head = left.indexOf('\n') + 1;
        const end = head + Number(left.toString('latin1', 0, head));
        if (head === 0 || left.length <= end) break;
        const object = pointerOf(left.subarray(head, end));
        // One more than is asked for says that there are more.
        if (object && found.size <= this.bounds.lfs) found.set(object.oid, object);
        left = left.subarray(end + 1);
      }
    }
    return [...found.values()].sort((a, b) => (a.oid < b.oid ? -1 : 1));
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

async function withBare<T>(
  remote: GitRemote,
  work: (bare: Bare) => Promise<T>,
  bounds?: GitBounds,
): Promise<T> {
  const bare = new Bare(remote, bounds);
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

/** Objects that GitLab does not have, and of which each is told by name. */
const NAMED = 20;

/** Something that is not stored, and why. */
const untold = (item: string, why: Error): BackupItem => ({
  kind: 'repositories',
  item,
  content: async () => '',
  open: () => Promise.reject(why),
});

/**
 * Objects of Git LFS as items of their own: each is read once, ever. A pointer is a line of text in any branch: of those that
 * name nothing GitLab is asked by the hundred, and a few are told.
 */
async function lfsItems(
  { item, remote }: Project,
  objects: readonly LfsObject[],
  { lfs: most }: GitBounds,
): Promise<BackupItem[]> {
  const server = new LfsServer(remote);
  const asked = objects.slice(0, most);
  // One that does not answer keeps no commit from the backup.
  const all = new Set(asked.map(({ oid }) => oid));
  const held = asked.length === 0 ? undefined : await server.held(asked).catch(() => all);
  // Where it is off, pointers are files like any other.
  if (!held) return [];
  const gone = asked.filter(({ oid }) => !held.has(oid));
  const absent = (oid: string) =>
    new Absent(
      `GitLab has no such object in Git LFS, though a commit names it; who has it can push it (git lfs push --object-id origin ${oid})`,
    );
  const more = gone.length - NAMED;
  return [
    ...asked
      .filter(({ oid }) => held.has(oid))
      .map(
        (object): BackupItem => ({
          kind: 'repositories',
          item: lfsItem(item, object.oid),
          content: async () => object.oid,
          open: async () => {
            const stream = await server.download(object);
            if (stream) return { stream };
            throw absent(object.oid);
          },
        }),
      ),
    ...gone.slice(0, NAMED).map(({ oid }) => untold(lfsItem(item, oid), absent(oid))),
    ...(more > 0
      ? [
          untold(
            `${item}@more`,
            new Absent(`${more} further objects that commits name are not in GitLab's Git LFS either`),
          ),
        ]
      : []),
    ...(objects.length > most
      ? [
          untold(
            `${item}@left`,
            new Failure(
              exitCode.red,
              `commits name more than ${most} objects of Git LFS, and the others were not looked at.`,
              'Find the branch that brought so many, and delete it.',
            ),
          ),
        ]
      : []),
  ];
}

async function bundle(project: Project, bounds: GitBounds): Promise<Source | undefined> {
  const { remote } = project;
  const bare = new Bare(remote, bounds);
  try {
    await bare.open();
    await bare.atRemote('fetch', '--quiet', '--no-tags', remote.url, ...refspecs);
    const refs = await bare.refs('here');
    if (refs.size === 0) {
      bare.close();
      return undefined;
    }
    const parts = await lfsItems(project, await bare.lfsObjects(), bounds);
    return {
      stream: bare.stream('bundle', 'create', '--quiet', '-', '--all'),
      // Somebody may have pushed since it was asked: this is what was fetched.
      content: contentOf(refs),
      parts,
      close: async () => bare.close(),
    };
  } catch (error) {
    bare.close();
    throw error;
  }
}

/**
 * Branches and tags of projects, one bundle each, and what they name of Git LFS, one object each; what `git ls-remote`
 * gives tells whether a bundle has changed.
 */
export function repositoryItems(projects: readonly Project[], bounds = BOUNDS): BackupItem[] {
  return projects.map((project) => ({
    kind: 'repositories',
    item: project.item,
    content: () => withBare(project.remote, async (bare) => contentOf(await bare.refs('there')), bounds),
    open: () => bundle(project, bounds),
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

export interface RestoreOptions {
  /** Replace branches that hold commits which the backup does not have (a README that GitLab made). @default false */
  readonly over?: boolean;
  /** What the backup holds of the project's objects in Git LFS, by oid. @default nothing */
  readonly lfs?: ReadonlyMap<string, Snapshot>;
}

/** GitLab takes no commit that names an object which it does not have (`lib/gitlab/checks/lfs_check.rb`). */
function missingThere(refused: Failure, item: string, absent: readonly LfsObject[]): Failure {
  if (absent.length === 0 || !/LFS objects are missing/.test(refused.message)) return refused;
  return new Failure(
    exitCode.red,
    `git: GitLab refuses ${item}, since these objects of Git LFS are not in the backup: ${absent
      .slice(0, 5)
      .map(({ oid }) => oid)
      .join(', ')}${absent.length > 5 ? ` and ${absent.length - 5} more` : ''}.`,
    'Turn Git LFS off in the settings of the project, go on, and turn it on again.',
  );
}

/**
 * Uploads what a project's commits name of Git LFS, then pushes its branches and tags, and makes sure that they arrived.
 * Refs that the backup does not know stay, and what is there is not sent again.
 * @returns what was done
 * @throws Failure that names the branches which hold what the backup does not, without `over`; nothing was pushed then
 */
export function restoreRepository(
  restic: Restic,
  snapshot: Snapshot,
  remote: GitRemote,
  { over = false, lfs = new Map() }: RestoreOptions = {},
): Promise<string> {
  return withBare(remote, async (bare) => {
    const file = bare.file('backup.bundle');
    await pipeline(restic.read(snapshot), createWriteStream(file));
    await bare.git('fetch', '--quiet', '--no-tags', file, ...refspecs);
    const refs = await bare.refs('here');
    const missing = async (): Promise<string[]> => {
      const there = await bare.refs('there');
      return [...refs].flatMap(([name, id]) => (there.get(name) === id ? [] : [name]));
    };
    const lost = over ? [] : await wouldBeLost(bare, refs, await bare.refs('there'));
    if (lost.length > 0) {
      throw new Failure(
        exitCode.red,
        `git: ${remote.url} holds what the backup of ${snapshot.item} does not: ${lost.slice(0, 5).join(', ')}.`,
        'Nothing was pushed. Look at it first; then restore over it.',
      );
    }
    const named = await bare.lfsObjects();
    const held = named.flatMap((object) => {
      const stored = lfs.get(object.oid);
      return stored ? [{ ...object, stored }] : [];
    });
    const uploaded = await new LfsServer(remote).upload(held, ({ stored }) => restic.read(stored));
    const off =
      uploaded === undefined ? `, without ${held.length} objects of Git LFS, which is off there` : '';
    if ((await missing()).length === 0) return `${uploaded ? 'restored' : 'unchanged'}${off}`;
    await bare
      .atRemote('push', '--quiet', '--no-verify', remote.url, ...refspecs)
      .catch((refused: Failure) => {
        const absent = named.filter(({ oid }) => !lfs.has(oid));
        throw missingThere(refused, snapshot.item, absent);
      });
    const left = await missing();
    if (left.length === 0) return `restored${off}`;
    throw new Failure(
      exitCode.red,
      `git: ${remote.url} did not take ${left.slice(0, 5).join(', ')}.`,
      'Unprotect these branches while restoring.',
    );
  });
}
