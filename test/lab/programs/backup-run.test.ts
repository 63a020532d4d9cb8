// The real restic: each of its calls derives a key for half a second, which is too slow for the unit tests.

import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { databasePlace } from '../../../delivery/backup/kinds/databases';
import { jenkinsPlace } from '../../../delivery/backup/kinds/jenkins';
import { type BackupItem, backUp, type KindSource } from '../../../delivery/backup/run';
import { kinds, lastSuccess, type Snapshot, snapshotsAt } from '../../../delivery/backup/snapshots';
import { broken, Folders, streamOf, vault } from '../../delivery/backup/support';

jest.setTimeout(300_000);

const folders = new Folders();
afterAll(() => folders.remove());

test('one fault stops neither its kind nor the others; unchanged items are not read again', async () => {
  const root = folders.new('run');
  const restic = vault(join(root, 'repository'), root);
  const read: string[] = [];
  const item = (kind: BackupItem['kind'], name: string, content?: string): BackupItem => ({
    kind,
    item: name,
    content: content ? async () => content : undefined,
    open: async () => {
      read.push(`${kind} ${name}`);
      if (name === 'broken') return { stream: broken('it broke off') };
      if (name === 'empty') return undefined;
      return { stream: streamOf(`${kind} ${name}`), content };
    },
  });
  const source = (kind: KindSource['kind'], ...items: BackupItem[]): KindSource => ({
    kind,
    whole: true,
    items: async () => items,
  });
  const run = async (state: BackupItem[]) => {
    const outcomes = await backUp({
      restic,
      say: () => undefined,
      // Given in another order than the one in which they have to be read.
      sources: [
        source('state', ...state),
        source('databases', item('databases', 'broken'), item('databases', 'orders/mysql')),
        { kind: 'registry', whole: true, items: () => Promise.reject(new Error('the ledger is away')) },
        source(
          'repositories',
          item('repositories', 'orders', 'refs-1'),
          item('repositories', 'empty', 'none'),
        ),
        { ...source('jenkins', item('jenkins', 'home')), whole: false },
      ],
    });
    return outcomes.map(({ kind, item: name, result, why }) => [kind, name, result, why].join(' ').trim());
  };

  expect(await run([item('state', 'stack')])).toEqual([
    'repositories orders stored',
    'repositories empty empty',
    'registry * failed the ledger is away',
    'databases broken failed it broke off',
    'databases orders/mysql stored',
    'jenkins home stored',
    'state stack stored',
  ]);
  const first = await restic.holdings();
  expect(first.snapshots.map(({ item: name }) => name)).toEqual(['orders', 'orders/mysql', 'home', 'stack']);
  // Whole and without a fault: neither the broken ones, nor a part of one.
  expect(first.successes.map(({ kind }) => kind)).toEqual(['repositories', 'state']);
  expect(await text(restic.read(first.snapshots[1] as Snapshot))).toBe('databases orders/mysql');

  read.length = 0;
  expect(await run([])).toContain('repositories orders unchanged');
  expect(read).not.toContain('repositories orders');
  expect(read).toContain('databases orders/mysql');
  const second = await restic.holdings();
  expect(second.snapshots.filter(({ kind }) => kind === 'repositories')).toHaveLength(1);
  expect(lastSuccess(second, 'repositories')).toBeGreaterThan(lastSuccess(first, 'repositories') ?? 0);
  expect(lastSuccess(second, 'databases')).toBeUndefined();
});

test('with the wrong key nothing is read and nothing is stored', async () => {
  const root = folders.new('key');
  await vault(join(root, 'repository'), root).prepare();
  const wrong = vault(join(root, 'repository'), root, { env: { RESTIC_PASSWORD: 'another-key' } });
  const items = jest.fn();
  await expect(
    backUp({ restic: wrong, say: () => undefined, sources: [{ kind: 'state', whole: true, items }] }),
  ).rejects.toThrow('does not open with this key');
  expect(items).not.toHaveBeenCalled();
});

test('a backup of a moment is the latest of each item until then; an image or object of Git LFS counts whenever it was read', () => {
  const snapshot = (time: number, kind: Snapshot['kind'], item: string): Snapshot => ({
    id: `${kind}-${time}`,
    time,
    kind,
    item,
  });
  const all = [
    snapshot(1, 'state', 'stack'),
    snapshot(2, 'databases', 'b/mysql'),
    snapshot(3, 'databases', 'a/mysql'),
    snapshot(9, 'databases', 'a/mysql'),
    snapshot(9, 'registry', 'modules/a@sha256:1'),
    snapshot(9, 'repositories', 'a'),
    snapshot(8, 'repositories', `a@sha256:${'0'.repeat(64)}`),
  ];
  const ids = (at?: number) => snapshotsAt(all, at).map(({ id }) => id);
  expect(ids(3)).toEqual(['repositories-8', 'registry-9', 'databases-3', 'databases-2', 'state-1']);
  expect(ids()).toEqual([
    'repositories-9',
    'repositories-8',
    'registry-9',
    'databases-9',
    'databases-2',
    'state-1',
  ]);
});

test('every digest that the ledger names is read after the ledger, and places are those of the topology', () => {
  expect(kinds.indexOf('repositories')).toBeLessThan(kinds.indexOf('registry'));
  expect(databasePlace({}, 'orders', 'mysql').namespace).toBe('prod-orders');
  expect(jenkinsPlace({}).namespace).toBe('ci');
});
