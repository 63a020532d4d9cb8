// The real restic: each of its calls derives a key for half a second, which is too slow for the unit tests.

import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { repositoryItems, restoreRepository } from '../../../delivery/backup/kinds/repositories';
import { backUp } from '../../../delivery/backup/run';
import type { Snapshot } from '../../../delivery/backup/snapshots';
import { Folders, vault } from '../../delivery/backup/support';

jest.setTimeout(300_000);

const folders = new Folders();
afterAll(() => folders.remove());

const root = folders.new('git');
const restic = vault(join(root, 'repository'), root);
const remote = (name: string) => ({ url: `file://${join(root, name)}`, token: 'token-of-the-bot' });

function git(folder: string, ...args: string[]): string {
  const env = { PATH: process.env.PATH, HOME: root, GIT_CONFIG_GLOBAL: '/dev/null' };
  const who = ['-c', 'user.name=A', '-c', 'user.email=a@example.com'];
  return execFileSync('git', ['-C', folder, ...who, ...args], { encoding: 'utf8', env });
}

function project(name: string): string {
  const folder = join(root, name);
  mkdirSync(folder);
  git(folder, 'init', '--quiet', '--bare', '--initial-branch=main');
  return folder;
}

function commit(folder: string, branch: string, message: string): void {
  const tree = git(folder, 'mktree').trim();
  let parent: string[] = [];
  try {
    parent = ['-p', git(folder, 'rev-parse', '--verify', '--quiet', branch).trim()];
  } catch {
    // The first commit of the branch.
  }
  const id = git(folder, 'commit-tree', tree, ...parent, '-m', message).trim();
  git(folder, 'update-ref', `refs/heads/${branch}`, id);
}

const pushed = (folder: string): string =>
  git(folder, 'for-each-ref', '--format=%(objectname) %(refname)', 'refs/heads', 'refs/tags');

async function run(): Promise<string[]> {
  const projects = ['orders', 'nothing'].map((item) => ({ item, remote: remote(item) }));
  const outcomes = await backUp({
    restic,
    say: () => undefined,
    sources: [{ kind: 'repositories', whole: true, items: async () => repositoryItems(projects) }],
  });
  return outcomes.map(({ item, result }) => `${item} ${result}`);
}

/** Working folders of backups of this suite, which has temporary files of its own. */
const bundles = () => readdirSync(tmpdir()).filter((name) => name.startsWith('switchyard-bundle-'));

test('branches and tags come back equal; what GitLab keeps for itself stays out; a new commit alone is read again', async () => {
  const orders = project('orders');
  project('nothing');
  commit(orders, 'main', 'one');
  commit(orders, 'main', 'two');
  commit(orders, 'feature/x', 'three');
  git(orders, 'tag', '-a', 'v1', '-m', 'release', 'main');
  git(orders, 'update-ref', 'refs/merge-requests/1/head', 'feature/x');

  expect(await run()).toEqual(['orders stored', 'nothing empty']);
  expect(await run()).toEqual(['orders unchanged', 'nothing empty']);
  const [snapshot] = (await restic.holdings()).snapshots as [Snapshot];

  const empty = project('empty');
  expect(await restoreRepository(restic, snapshot, remote('empty'))).toBe('restored');
  expect(pushed(empty)).toBe(pushed(orders));
  expect(git(empty, 'for-each-ref')).not.toContain('merge-requests');
  expect(await restoreRepository(restic, snapshot, remote('empty'))).toBe('unchanged');

  // A push alone, of which the backup knows nothing: it is not undone, unless that is wanted.
  commit(empty, 'main', 'pushed since');
  const ahead = pushed(empty);
  await expect(restoreRepository(restic, snapshot, remote('empty'))).rejects.toThrow(
    `${remote('empty').url} holds what the backup of orders does not: refs/heads/main. Nothing was pushed.`,
  );
  expect(pushed(empty)).toBe(ahead);
  expect(await restoreRepository(restic, snapshot, remote('empty'), { over: true })).toBe('restored');
  expect(pushed(empty)).toBe(pushed(orders));

  // A project that is behind is brought forward, and branches that the backup does not know stay.
  const behind = project('behind');
  git(behind, 'fetch', '--quiet', orders, 'main:refs/heads/main', 'main:refs/heads/other');
  git(behind, 'update-ref', 'refs/heads/main', 'main~1');
  expect(await restoreRepository(restic, snapshot, remote('behind'))).toBe('restored');
  expect(git(behind, 'rev-parse', 'main')).toBe(git(orders, 'rev-parse', 'main'));
  expect(git(behind, 'branch', '--list', 'other')).toContain('other');

  commit(orders, 'main', 'four');
  expect(await run()).toEqual(['orders stored', 'nothing empty']);
  expect(bundles()).toEqual([]);
});

test('a project that cannot be read fails alone, without the token in its fault', async () => {
  const [item] = repositoryItems([{ item: 'gone', remote: remote('gone') }]);
  await expect(item?.content?.()).rejects.toThrow(/^git ls-remote of file:.*\/gone failed/);
  await expect(item?.content?.()).rejects.not.toThrow('token-of-the-bot');
});
