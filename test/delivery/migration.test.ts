import { type Release, serialiseLedger, stateOf } from '../../catalog/ledger';
import { exitCode } from '../../clients/failure';
import type { PodWords } from '../../delivery/pod-words';
import { dataStays, listReleases } from '../../delivery/releases';
import { ended } from './ended';
import { BUILD, commitOf, KillableLedgers, Ledgers, PLACE, releaseOf } from './ledgers';

// The ledger of a module whose data is migrated: which release runs its migration, and which never again.

const failed: PodWords = { why: 'its migration failed (Error, exit code 3)', migration: 'failed', pods: [] };
const unready: PodWords = { why: 'it did not get ready by its deadline', migration: 'ran', pods: [] };

async function migrated(...digits: string[]): Promise<Ledgers> {
  const ledgers = new Ledgers();
  ledgers.migrates = true;
  for (const digit of digits) await ledgers.deploy(digit);
  return ledgers;
}
const release = (ledgers: Ledgers) => stateOf(ledgers.now, 'shop').release;
const wanted = (digit: string): Release => ({ ...releaseOf(digit), migrate: true });

describe('a release whose data is migrated', () => {
  test('says so; the one before it does not any more, by a commit that is no release', async () => {
    const ledgers = await migrated('a');
    expect(release(ledgers)).toEqual(wanted('a'));
    await ledgers.deploy('b');
    expect(release(ledgers)).toEqual(wanted('b'));
    expect(ledgers.commits.map(({ title }) => title)).toEqual([
      'production: shop bbbbbbbbbbbb',
      'production: shop aaaaaaaaaaaa needs no migration any more',
      'production: shop aaaaaaaaaaaa',
    ]);
    const rows = await listReleases(ledgers.gitlab, PLACE, 'shop');
    expect(rows.map(({ commit, state }) => [commit[0], state])).toEqual([
      ['b', 'current'],
      ['a', 'earlier'],
    ]);
    // Its build once more changes nothing.
    await ledgers.deploy('b');
    expect(ledgers.commits).toHaveLength(3);
  });

  test('that may not go out leaves what runs as it is', async () => {
    const ledgers = await migrated('b');
    expect((await ended(ledgers.deploy('a'))).code).toBe(exitCode.nothing);
    expect(release(ledgers)).toEqual(wanted('b'));
    expect(ledgers.commits).toHaveLength(1);
  });

  test.each([
    ['failed', failed, 'what its migration changed in the data is not changed back'],
    ['ran', unready, 'data was changed by its migration, and is not changed back'],
  ] as const)(
    'is undone when its migration %s: what was before is not migrated, and all say what is with the data',
    async (migration, words, data) => {
      const ledgers = await migrated('a', 'b');
      const undone = await ledgers.undo('b', 'merge', words);
      const why = `${words.why}; ${data}`;
      expect(undone.undone).toEqual({ why, serves: commitOf('a'), migration });
      expect(stateOf(ledgers.now, 'shop')).toEqual({
        release: releaseOf('a'),
        undone: { how: 'undone', commit: commitOf('b'), mergeRequest: 12, build: BUILD, why, migration },
      });
      expect(ledgers.commits[0]?.message).toContain(`Why: ${why}\n`);
      expect(ledgers.notes[0]?.body).toContain(
        migration === 'ran'
          ? '**Its migration ran before it: data was changed, and is not changed back.**'
          : '**Its migration failed: what it had changed in the data by then is not changed back.**',
      );
      const [row] = await listReleases(ledgers.gitlab, PLACE, 'shop');
      expect(row).toMatchObject({ commit: commitOf('b'), state: 'undone', why });
      // A build of it that is started again knows as much.
      expect(await ledgers.deploy('b')).toMatchObject({ undone: { why, migration } });
      await ledgers.deploy('c');
      expect(release(ledgers)).toEqual(wanted('c'));
    },
  );

  test('is undone without a word of its Pods: its data may have been changed', async () => {
    const ledgers = await migrated('a', 'b');
    const undone = await ledgers.undo('b', 'merge', {
      why: 'it did not get ready by its deadline',
      pods: [],
    });
    expect(undone.undone.migration).toBe('unknown');
    expect(ledgers.notes[0]?.body).toContain('may have changed in the data');
  });

  test('without a migration is undone without a word on data', async () => {
    const ledgers = new Ledgers();
    for (const digit of ['a', 'b']) await ledgers.deploy(digit);
    expect((await ledgers.undo('b')).undone).not.toHaveProperty('migration');
    expect(ledgers.notes[0]?.body).not.toContain('data');
  });
});

describe('what is put back is not migrated', () => {
  test('by a rollback, also when it is held', async () => {
    const ledgers = await migrated('a', 'b', 'c');
    await ledgers.rollBack();
    expect(release(ledgers)).toEqual(releaseOf('b'));
    await ledgers.rollBack('aaaaaaa', true);
    expect(release(ledgers)).toEqual({ ...releaseOf('a'), hold: true });
  });

  test('by a person who reverts the ledger’s newest commit', async () => {
    const ledgers = await migrated('a', 'b');
    ledgers.commit(ledgers.commits[1]?.text ?? '', 'Revert "production: shop bbbbbbbbbbbb"', 'Ada');
    expect(release(ledgers)).toEqual(releaseOf('a'));
  });

  test('what runs stays as it is when it is held', async () => {
    const ledgers = await migrated('a', 'b');
    await ledgers.rollBack('bbbbbbb', true);
    expect(release(ledgers)).toEqual({ ...wanted('b'), hold: true });
  });
});

describe('going forward again to the newest release', () => {
  test.each([
    ['runs a migration that failed', failed, true],
    ['does not run one that ran', unready, false],
  ] as const)('%s', async (_what, words, runs) => {
    const ledgers = await migrated('a', 'b');
    await ledgers.undo('b', 'merge', words);
    await ledgers.rollBack('bbbbbbb');
    expect(release(ledgers)).toEqual(runs ? wanted('b') : releaseOf('b'));
  });

  test('runs none of an older one: the data is beyond it', async () => {
    const ledgers = await migrated('a', 'b', 'c');
    await ledgers.rollBack('aaaaaaa');
    await ledgers.rollBack('bbbbbbb');
    expect(release(ledgers)).toEqual(releaseOf('b'));
  });

  test('that fails again leaves the ledger as it was, and what is known by now', async () => {
    const ledgers = await migrated('a', 'b');
    await ledgers.undo('b', 'merge', failed);
    const before = stateOf(ledgers.now, 'shop');
    await ledgers.rollBack('bbbbbbb');
    await ledgers.undo('b', 'rollback', unready);
    expect(stateOf(ledgers.now, 'shop')).toEqual({
      ...before,
      undone: { ...before.undone, migration: 'ran' },
    });
  });
});

test('whoever goes back is told that the data stays, and who goes forward that it is migrated', () => {
  expect(dataStays(releaseOf('a'), wanted('b'))).toBe(
    'the data stays as the migration of bbbbbbbbbbbb left it: nothing of that is taken back',
  );
  expect(dataStays(wanted('b'), releaseOf('a'))).toBe(
    'the migration of bbbbbbbbbbbb runs before its rollout',
  );
  expect(dataStays(releaseOf('a'), releaseOf('b'))).toBeUndefined();
  expect(dataStays(wanted('b'), wanted('b'))).toBeUndefined();
});

/** The ledger, and the cluster beside it with the Job of the newest migration. */
class Cluster extends KillableLedgers {
  override migrates = true;
  /** Commit whose Job is there, and whether it failed. */
  job?: { readonly commit: string; readonly failed: boolean };
  /** What was migrated, one entry a run. */
  readonly migrated: string[] = [];
  wanted?: string;

  /** @param migratesBadly release whose migration fails @param bad release that never gets ready */
  constructor(
    private readonly migratesBadly: string,
    private readonly bad: string,
  ) {
    super();
  }

  /** What `up` does, and `judge` says: the Job stays as long as its release does, and the Deployment waits for it. */
  up(): PodWords | undefined {
    const { commit, image, migrate } = release(this) ?? {};
    if (!commit || !migrate) {
      this.change();
      this.job = undefined;
    } else if (this.job?.commit !== commit) {
      this.change();
      this.job = { commit, failed: commit === commitOf(this.migratesBadly) };
      this.migrated.push(commit[0] ?? '');
    }
    this.change();
    if (this.job?.failed) return failed;
    this.wanted = image;
    this.change();
    return commit === commitOf(this.bad) ? unready : undefined;
  }

  async build(digit: string, kill = Number.POSITIVE_INFINITY): Promise<'done' | 'killed'> {
    return this.untilKilled(kill, async () => {
      const recorded = await this.deploy(digit);
      const words = this.up();
      if (words && typeof recorded !== 'object') {
        await this.undo(digit, 'merge', words);
        this.up();
      }
    });
  }
}

describe('a deploy that is killed', () => {
  test.each([
    ['a good release', '', '', 'b', ['a', 'b']],
    ['one whose migration fails', 'b', '', 'a', ['a', 'b']],
    ['one that does not get ready behind its migration', '', 'b', 'a', ['a', 'b']],
  ] as const)(
    'of %s migrates once, wherever it is killed, and twice',
    async (_what, migratesBadly, bad, runs, ran) => {
      const moments = 12;
      let reached = 0;
      for (let kill = 0; kill < moments; kill++) {
        for (const kills of [[kill], [kill, kill]]) {
          const cluster = new Cluster(migratesBadly, bad);
          await cluster.build('a');
          for (const each of kills) if ((await cluster.build('b', each)) === 'killed') reached = kill;
          await cluster.build('b');
          const about = `killed before ${kills}`;
          expect([about, release(cluster)?.commit[0]]).toEqual([about, runs]);
          expect([about, cluster.wanted]).toEqual([about, releaseOf(runs).image]);
          expect([about, cluster.migrated]).toEqual([about, ran]);
          // The next `up` finds nothing to do, and no migration of what was put back runs.
          const before = [cluster.job, cluster.wanted];
          expect(cluster.up()).toBeUndefined();
          expect([cluster.job, cluster.wanted, cluster.migrated]).toEqual([...before, ran]);
          // Nor does one when a person reverts what was released.
          cluster.commit(serialiseLedger({ modules: { shop: releaseOf('a') } }), 'Revert', 'Ada');
          cluster.up();
          expect([about, cluster.migrated]).toEqual([about, ran]);
          await cluster.build('c');
          expect([about, cluster.migrated]).toEqual([about, [...ran, 'c']]);
        }
      }
      expect(reached).toBeGreaterThan(3);
      expect(reached).toBeLessThan(moments - 1);
    },
  );
});
