// Against the GitLab stand-in, whose contract is test/lab/gitlab/lfs.integration.test.ts; only restic's storage is in memory here.

import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { gitEnvironment } from '../../../clients/git';
import { LfsServer, pointerOf } from '../../../clients/git-lfs';
import {
  BOUNDS,
  type GitBounds,
  repositoryItems,
  restoreRepository,
} from '../../../delivery/backup/kinds/repositories';
import type { Restic } from '../../../delivery/backup/restic';
import { backUp, outcomeLine } from '../../../delivery/backup/run';
import { lfsOf, type Snapshot, snapshotsAt } from '../../../delivery/backup/snapshots';
import { git, ROOT_TOKEN, startTestGitLab, stopAll, type TestGitLab } from '../../lab/gitlab/support';
import { Folders } from './support';

const sha = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
const pointer = (oid: string, size: number): string =>
  `version https://git-lfs.github.com/spec/v1\noid sha256:${oid}\nsize ${size}\n`;

/** What is asked of restic here, in memory. */
class Memory {
  readonly stored: { readonly snapshot: Snapshot; readonly bytes: Buffer }[] = [];
  readonly succeeded: string[] = [];
  async prepare() {
    return { snapshots: this.stored.map(({ snapshot }) => snapshot), successes: [] };
  }
  async store(what: Pick<Snapshot, 'kind' | 'item' | 'content'>, input: Readable) {
    const bytes = await buffer(input);
    const snapshot = { ...what, id: String(this.stored.length), time: 1000 + this.stored.length };
    this.stored.push({ snapshot, bytes });
    return { snapshot, bytes: bytes.length, added: bytes.length };
  }
  async succeed(kind: string) {
    this.succeeded.push(kind);
  }
  read({ id }: Snapshot): Readable {
    return Readable.from([this.stored[Number(id)]?.bytes ?? Buffer.alloc(0)]);
  }
  get restic(): Restic {
    return this as unknown as Restic;
  }
}

const folders = new Folders();
let gitlab: TestGitLab;
let work: string;
beforeAll(async () => {
  gitlab = await startTestGitLab();
  work = folders.new('lfs');
});
afterAll(async () => {
  await stopAll();
  folders.remove();
});

const remote = (name: string) => ({ url: `${gitlab.url}/switchyard/${name}.git`, token: ROOT_TOKEN });
const run = async (memory: Memory, name: string, bounds: Partial<GitBounds> = {}): Promise<string[]> => {
  const projects = [{ item: `legacy/${name}`, remote: remote(name) }];
  const outcomes = await backUp({
    restic: memory.restic,
    say: () => undefined,
    sources: [
      {
        kind: 'repositories',
        whole: true,
        items: async () => repositoryItems(projects, { ...BOUNDS, ...bounds }),
      },
    ],
  });
  expect(JSON.stringify(outcomes)).not.toContain(ROOT_TOKEN);
  return outcomes.map((outcome) => outcomeLine(outcome).replace(/, .*/, ''));
};
const restore = (memory: Memory, name: string, lfs = true): Promise<string> => {
  const latest = snapshotsAt(memory.stored.map(({ snapshot }) => snapshot));
  const bundle = latest.find((snapshot) => !lfsOf(snapshot)) as Snapshot;
  const objects = latest.flatMap((snapshot) => {
    const oid = lfsOf(snapshot)?.oid;
    return oid ? [[oid, snapshot] as const] : [];
  });
  return restoreRepository(memory.restic, bundle, remote(name), {
    over: true,
    lfs: new Map(lfs ? objects : []),
  });
};

/** Commits files, and a submodule beside them, to a project's branch. */
async function commit(name: string, branch: string, files: Record<string, string | Buffer>): Promise<void> {
  const folder = join(work, name);
  mkdirSync(folder, { recursive: true });
  if ((await git(folder, 'rev-parse', '--git-dir')).code !== 0)
    await git(folder, 'init', '-q', '-b', 'start');
  for (const [path, text] of Object.entries(files)) writeFileSync(join(folder, path), text);
  await git(folder, 'add', '--all');
  await git(folder, 'update-index', '--add', '--cacheinfo', `160000,${'1'.repeat(40)},shared`);
  await git(folder, 'commit', '-qm', 'Change');
  const to = gitlab.remote(`switchyard/${name}`, ROOT_TOKEN);
  const pushed = await git(folder, 'push', '-q', '--force', to, `HEAD:refs/heads/${branch}`);
  if (pushed.code !== 0) throw new Error(pushed.output);
}
const give = (name: string, ...objects: Buffer[]) =>
  new LfsServer(remote(name)).upload(
    objects.map((bytes) => ({ oid: sha(bytes), size: bytes.length, bytes })),
    ({ bytes }) => Readable.from([bytes]),
  );
const has = async (name: string, bytes: Buffer): Promise<boolean> => {
  const stream = await new LfsServer(remote(name)).download({ oid: sha(bytes), size: bytes.length });
  return stream !== undefined && (await buffer(stream)).equals(bytes);
};
const make = (name: string, lfs_enabled = true) =>
  gitlab.project(name, { initialize_with_readme: false, lfs_enabled });

test('every object that a commit names is stored once and comes back before the refs, submodules with them', async () => {
  for (const name of ['orders', 'fresh', 'half']) await make(name);
  await make('off', false);
  const [old, large] = [Buffer.from('of an older commit'), randomBytes(3_000_000)];
  expect(await give('orders', old, large)).toBe(2);
  await commit('orders', 'main', {
    'a.bin': pointer(sha(old), old.length),
    'what.md': `A pointer:\n${pointer('9'.repeat(64), 3)}`,
    // As small as a pointer, and no text.
    'é.bin': Buffer.alloc(150, 0xff),
  });
  await commit('orders', 'main', { 'a.bin': pointer(sha(large), large.length) });

  const memory = new Memory();
  const items = [sha(old), sha(large)]
    .sort()
    .map((oid) => `repositories legacy/orders@sha256:${oid}: stored`);
  expect(await run(memory, 'orders')).toEqual(['repositories legacy/orders: stored', ...items]);
  // Stored beside what was not there yet: read once more, its objects are not.
  expect(await run(memory, 'orders')).toEqual(['repositories legacy/orders: stored']);
  expect(await run(memory, 'orders')).toEqual(['repositories legacy/orders: unchanged']);

  // Without what it names GitLab takes no commit: the reason that it is uploaded first.
  await expect(restore(memory, 'fresh', false)).rejects.toThrow(
    `git: GitLab refuses legacy/orders, since these objects of Git LFS are not in the backup: ${[sha(old), sha(large)].sort().join(', ')}. Turn Git LFS off`,
  );
  expect(await restore(memory, 'fresh')).toBe('restored');
  expect(await has('fresh', old)).toBe(true);
  expect(await has('fresh', large)).toBe(true);
  expect(await restore(memory, 'fresh')).toBe('unchanged');
  const tree = (name: string) =>
    git(join(work, 'orders'), 'ls-remote', gitlab.remote(`switchyard/${name}`, ROOT_TOKEN));
  expect((await tree('fresh')).output).toBe((await tree('orders')).output);
  const clone = join(work, 'clone');
  await git(work, 'clone', '-q', gitlab.remote('switchyard/fresh', ROOT_TOKEN), clone);
  expect((await git(clone, 'ls-tree', 'HEAD', 'shared')).output).toContain(`160000 commit ${'1'.repeat(40)}`);

  // One that broke off goes on with what is missing.
  await give('half', old);
  expect(await restore(memory, 'half')).toBe('restored');
  expect(await has('half', large)).toBe(true);
  // Git LFS is off: commits come back, and it is said.
  expect(await restore(memory, 'off')).toBe('restored, without 2 objects of Git LFS, which is off there');
}, 60_000);

test('an object that GitLab does not have is told by name, stops nothing, and is looked for again', async () => {
  await make('holes', false);
  const [kept, lost] = [Buffer.from('kept'), Buffer.from('lost')];
  await commit('holes', 'main', {
    'kept.bin': pointer(sha(kept), kept.length),
    'lost.bin': pointer(sha(lost), lost.length),
  });
  const memory = new Memory();
  // Off: its pointers are files like any other.
  expect(await run(memory, 'holes')).toEqual(['repositories legacy/holes: stored']);
  const { id } = await gitlab.ok('GET', '/projects/switchyard%2Fholes');
  await gitlab.ok('PUT', `/projects/${id}`, { lfs_enabled: true });
  await give('holes', kept);
  await commit('holes', 'other', { 'more.txt': 'more\n' });
  const lines = await run(memory, 'holes');
  const absent = `repositories legacy/holes@sha256:${sha(lost)}: absent: GitLab has no such object in Git LFS`;
  expect(lines.sort()).toEqual(
    [
      'repositories legacy/holes: stored',
      `repositories legacy/holes@sha256:${sha(kept)}: stored`,
      absent,
    ].sort(),
  );
  expect(memory.succeeded).toEqual(['repositories', 'repositories']);
  expect(await run(memory, 'holes')).toEqual(['repositories legacy/holes: stored', absent]);
  await give('holes', lost);
  expect(await run(memory, 'holes')).toContain(`repositories legacy/holes@sha256:${sha(lost)}: stored`);
  await run(memory, 'holes');
  expect(await run(memory, 'holes')).toEqual(['repositories legacy/holes: unchanged']);
}, 60_000);

test('contents that are something else are not stored', async () => {
  const bytes = Buffer.from('what it is');
  const broken = await new LfsServer(remote('orders')).download({ oid: sha(bytes), size: 1 });
  expect(broken).toBeUndefined();
  await give('orders', bytes);
  writeFileSync(join(gitlab.dataDir, 'lfs-objects', sha(bytes)), 'what it was');
  const other = await new LfsServer(remote('orders')).download({ oid: sha(bytes), size: bytes.length });
  await expect(buffer(other as Readable)).rejects.toThrow(`gave something else as object ${sha(bytes)}`);
});

// A pointer is a line of text that anybody commits to a branch of their own.
describe('whatever branches name', () => {
  const many = (count: number, from = 0): Record<string, string> =>
    Object.fromEntries(
      Array.from({ length: count }, (_, index) => [
        `${from + index}.bin`,
        pointer(sha(Buffer.from(`nothing ${from + index}`)), 5),
      ]),
    );

  test('a pointer that names another size of an object takes it out of no backup, and stops no restore', async () => {
    for (const name of ['shadowed', 'again']) await make(name);
    const bytes = Buffer.from('what everybody needs');
    await give('shadowed', bytes);
    await commit('shadowed', 'main', { 'a.bin': pointer(sha(bytes), bytes.length) });
    await commit('shadowed', 'shadow', { 'a.bin': pointer(sha(bytes), 999_999_999_999_999) });
    await commit('shadowed', 'shorter', { 'a.bin': pointer(sha(bytes), 1) });
    const memory = new Memory();
    expect(await run(memory, 'shadowed')).toEqual([
      'repositories legacy/shadowed: stored',
      `repositories legacy/shadowed@sha256:${sha(bytes)}: stored`,
    ]);
    expect(await restore(memory, 'again')).toBe('restored');
    expect(await has('again', bytes)).toBe(true);
  }, 60_000);

  test('of pointers that name nothing a few are told, and GitLab is asked by the hundred', async () => {
    await make('flooded', false);
    await commit('flooded', 'flood', many(230));
    const { id } = await gitlab.ok('GET', '/projects/switchyard%2Fflooded');
    await gitlab.ok('PUT', `/projects/${id}`, { lfs_enabled: true });
    const asked = jest.spyOn(globalThis, 'fetch');
    const lines = await run(new Memory(), 'flooded');
    expect(asked.mock.calls.filter(([url]) => String(url).endsWith('/batch'))).toHaveLength(3);
    asked.mockRestore();
    expect(lines).toHaveLength(22);
    expect(lines.at(-1)).toContain('legacy/flooded@more: absent: 210 further objects that commits name');
    const few = await run(new Memory(), 'flooded', { lfs: 100 });
    expect(few.at(-1)).toContain(
      'legacy/flooded@left: failed: commits name more than 100 objects of Git LFS',
    );
  }, 60_000);

  test.each<[string, Record<string, Buffer>, Partial<GitBounds>, string]>([
    ['more than the disk holds', { 'big.bin': randomBytes(3 << 20) }, { pack: 1 << 20 }, 'index-pack'],
    [
      'what takes more memory than there is',
      { 'a.txt': Buffer.alloc(15 << 20, 'ab'), 'b.txt': Buffer.alloc(15 << 20, 'abc') },
      { memory: 12 << 20 },
      'ut of memory',
    ],
    [
      'more branches than can be read',
      { 'a.txt': Buffer.from('a') },
      { refs: 10 },
      'printed more than 10 bytes',
    ],
  ])(
    '%s is told of its project, and keeps no other from its backup',
    async (what, files, bounds, why) => {
      const [name, other] = [`bomb-${what.length}`, `beside-${what.length}`];
      for (const one of [name, other]) await make(one);
      await commit(name, 'main', files as Record<string, Buffer>);
      await commit(other, 'main', { 'a.txt': 'a' });
      const memory = new Memory();
      const lines = [...(await run(memory, name, bounds)), ...(await run(memory, other))];
      expect(lines[0]).toMatch(new RegExp(`legacy/${name}: failed: git .* failed: .*`));
      expect(lines[0]).toContain(why);
      expect(lines[1]).toBe(`repositories legacy/${other}: stored`);
    },
    60_000,
  );
});

test('what a pointer is: docs/spec.md of git-lfs', () => {
  const oid = 'a'.repeat(64);
  expect(pointerOf(Buffer.from(pointer(oid, 12)))).toEqual({ oid, size: 12 });
  expect(pointerOf(Buffer.from(pointer(oid, 12).replace('git-lfs', 'hawser')))).toEqual({ oid, size: 12 });
  const extended = pointer(oid, 12).replace('oid ', `ext-0-case sha256:${'b'.repeat(64)}\noid `);
  expect(pointerOf(Buffer.from(extended))).toEqual({ oid, size: 12 });
  for (const other of [
    `\n${pointer(oid, 12)}`,
    pointer(oid.toUpperCase(), 12),
    pointer(oid.slice(1), 12),
    pointer(oid, 12).replace('size', 'bytes'),
    `${pointer(oid, 12)}${'x 1\n'.repeat(250)}`,
  ]) {
    expect(pointerOf(Buffer.from(other))).toBeUndefined();
  }
});

test('delivery’s git leaves files as they were committed, however git-lfs is set up on the machine', async () => {
  const home = folders.new('home');
  const filter = '[filter "lfs"]\n\tsmudge = false\n\tclean = false\n\tprocess = false\n\trequired = true\n';
  writeFileSync(join(home, '.gitconfig'), filter);
  const env = gitEnvironment(remote('orders'), { PATH: process.env.PATH, HOME: home });
  const at = (...args: string[]): string => execFileSync('git', args, { cwd: home, env, encoding: 'utf8' });
  at('init', '--quiet');
  writeFileSync(join(home, '.gitattributes'), '*.bin filter=lfs\n');
  writeFileSync(join(home, 'a.bin'), 'its own contents\n');
  at('add', '.gitattributes', 'a.bin');
  at('commit', '--quiet', '-m', 'One');
  at('rm', '--quiet', 'a.bin');
  at('checkout', '--quiet', '--force', 'HEAD', '--', 'a.bin');
  expect(at('show', 'HEAD:a.bin')).toBe('its own contents\n');
});
