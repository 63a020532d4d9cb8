import { type Refused, ResticFailure } from '../../../delivery/backup/restic';
import type { Snapshot } from '../../../delivery/backup/snapshots';
import { EXIT, Refusal } from '../../../operations/cli/refusal';
import { chooseBackup, momentOf, newestByKind } from '../../../operations/rebuild/backup';

const snapshot = (kind: Snapshot['kind'], item: string, time: number): Snapshot => ({
  id: `${kind}-${item}-${time}`,
  kind,
  item,
  time,
});
const snapshots = [
  snapshot('repositories', 'orders', 100),
  snapshot('repositories', 'orders', 200),
  snapshot('databases', 'orders/mysql', 150),
];
const restic = (calls: string[], failure?: Refused) => ({
  check: async () => {
    calls.push('check');
    if (failure) throw new ResticFailure(failure, 'backup: it is bad.', 'Do this.');
  },
  holdings: async () => {
    calls.push('holdings');
    return { snapshots, successes: [] };
  },
});

test('all is read back before anything is chosen; a moment takes of each item what was the latest then', async () => {
  const calls: string[] = [];
  const chosen = await chooseBackup(restic(calls), 160, { readBack: true });
  expect(calls).toEqual(['check', 'holdings']);
  expect(chosen.snapshots.map(({ id }) => id)).toEqual([
    'repositories-orders-100',
    'databases-orders/mysql-150',
  ]);
  expect(newestByKind(chosen)).toEqual([
    { kind: 'repositories', time: 100, items: 1 },
    { kind: 'databases', time: 150, items: 1 },
  ]);
});

test.each([
  ['wrong-key', EXIT.badInput],
  ['damaged', EXIT.failed],
  ['absent', EXIT.badInput],
] as const)('a repository that is refused for %s ends it with nothing listed', async (reason, code) => {
  const calls: string[] = [];
  const error = await chooseBackup(restic(calls, reason), 160, { readBack: true }).catch((thrown) => thrown);
  expect(error).toBeInstanceOf(Refusal);
  expect(error).toMatchObject({ code, message: expect.stringMatching(/it is bad.*Nothing was restored\./) });
  expect(calls).toEqual(['check']);
});

test('a moment before the first backup is refused', async () => {
  await expect(chooseBackup(restic([]), 50, { readBack: false })).rejects.toThrow(
    'There is no snapshot at or before 1970-01-01T00:00:50.000Z. Nothing was restored.',
  );
});

test('a moment is a time or "latest", nothing else', () => {
  expect(momentOf('2026-11-24T03:00:00Z')).toBe(Date.UTC(2026, 10, 24, 3) / 1000);
  expect(momentOf('latest', 5_500)).toBe(5);
  for (const wrong of ['yesterday', '3', '', '2026-13-99']) {
    expect(() => momentOf(wrong)).toThrow(/is neither "latest" nor a time/);
  }
});
