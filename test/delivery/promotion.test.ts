import fc from 'fast-check';
import { type Release, serialiseLedger, stateOf, withState } from '../../catalog/ledger';
import { exitCode, Failure } from '../../clients/failure';
import type { Relation } from '../../delivery/deploy';
import { type Promoted, type PromotionRequest, promote, whyNotTaken } from '../../delivery/promotion';
import { listReleases } from '../../delivery/releases';
import { scaled } from '../support/scale';
import { ended } from './ended';
import { commitOf, Ledgers, PLACE, releaseOf, runs, STAGING } from './ledgers';

const REGISTRY = 'registry.production.test';
const tagOf = ({ mergeRequest, commit }: Release): string => `mr-${mergeRequest}-${commit.slice(0, 8)}`;

interface Wanted {
  readonly commit?: string;
  readonly force?: boolean;
  readonly propose?: boolean;
  readonly kill?: number;
}

/** Staging, which tests, and production, which takes its releases; both of one GitLab, each with a registry. */
class Environments {
  readonly staging = new Ledgers(STAGING);
  readonly production = new Ledgers(PLACE);
  /** Digest → its tags in production's registry. */
  readonly images = new Map<string, Set<string>>();
  /** What production's cluster was told to run. */
  wanted?: string;
  migrates = false;
  /** What no certificate covers. */
  readonly forged: string[] = [];
  private left = Number.POSITIVE_INFINITY;

  constructor() {
    this.staging.change = this.production.change = () => this.step();
  }

  private step(): void {
    // For good: nothing is done after it, whoever catches it.
    if (this.left-- <= 0) throw new Error('killed');
  }

  private of(project: string): Ledgers['gitlab'] {
    return (project === STAGING.ledgerProject ? this.staging : this.production).gitlab;
  }

  readonly gitlab = {
    file: (...given: Parameters<Ledgers['gitlab']['file']>) => this.of(given[0]).file(...given),
    commitFile: (...given: Parameters<Ledgers['gitlab']['commitFile']>) =>
      this.of(given[0]).commitFile(...given),
    openMergeRequests: () => this.production.gitlab.openMergeRequests(),
    openMergeRequest: (...given: Parameters<Ledgers['gitlab']['openMergeRequest']>) =>
      this.production.gitlab.openMergeRequest(...given),
    statuses: (...given: Parameters<Ledgers['gitlab']['statuses']>) => this.staging.gitlab.statuses(...given),
  } as unknown as Parameters<typeof promote>[0];

  /** A merge that staging tests, releases and runs. */
  async merge(digit: string): Promise<void> {
    await this.staging.deploy(digit);
    this.staging.ran.push(commitOf(digit));
  }

  /** In a history in which each commit has those before it, by their digits, for ancestors; 0 stands beside. */
  private relationTo(commit: string, current: Release | undefined): Relation {
    if (!current) return 'first';
    if (current.commit === commit) return 'same';
    if (current.commit === commitOf('0')) return 'unrelated';
    return current.commit < commit ? 'newer' : 'older';
  }

  readonly request: PromotionRequest = {
    ...PLACE,
    module: 'shop',
    project: 'switchyard/shop',
    from: { ...STAGING, registry: 'registry.test', key: '' },
    registry: REGISTRY,
    force: false,
    migrates: false,
  };

  /** `switchyard promote`: the ledger, then `up`. */
  async promote({ commit, force = false, propose = false, kill }: Wanted = {}): Promise<Promoted> {
    this.left = kill ?? Number.POSITIVE_INFINITY;
    try {
      const promoted = await promote(
        this.gitlab,
        { ...this.request, force, migrates: this.migrates, ...(commit === undefined ? {} : { commit }) },
        {
          prove: async (wanted) => {
            if (this.forged.includes(wanted.commit)) throw new Failure(exitCode.input, 'no certificate.');
            return {
              tag: tagOf(wanted),
              relationTo: async (current) => this.relationTo(wanted.commit, current),
              isWithin: async (undone) => wanted.commit <= undone.commit,
            };
          },
          copy: async (digest, tag) => {
            this.step();
            this.images.set(digest, new Set([...(this.images.get(digest) ?? []), tag]));
          },
          keep: async (digest, tag) => {
            this.step();
            this.images.get(digest)?.add(tag);
          },
        },
        propose,
        () => 1,
      );
      if (promoted.proposed === undefined) {
        this.step();
        this.wanted = stateOf(this.production.now, 'shop').release?.image;
      }
      return promoted;
    } finally {
      this.left = Number.POSITIVE_INFINITY;
    }
  }

  async untilDone(wanted: Wanted): Promise<Promoted> {
    const once = await this.promote(wanted).catch((error: Error) => {
      if (error.message !== 'killed') throw error;
      return undefined;
    });
    return once ?? this.promote({ ...wanted, kill: undefined });
  }

  get release(): Release | undefined {
    return stateOf(this.production.now, 'shop').release;
  }
}

/** What production has of a release of staging. */
const inProduction = (digit: string): Release => ({
  ...releaseOf(digit),
  image: `${REGISTRY}/modules/shop@sha256:${digit.repeat(64)}`,
});

async function merged(...digits: string[]): Promise<Environments> {
  const environments = new Environments();
  for (const digit of digits) await environments.merge(digit);
  return environments;
}

const refused = async (work: Promise<unknown>): Promise<[number, string]> => {
  const { code, message } = await ended(work);
  expect(message.split('\n')).toHaveLength(1);
  return [code, message];
};

describe('a promotion', () => {
  test('puts what serves in staging into production: digest, commit, merge request and build, its image before', async () => {
    const environments = await merged('a', 'b');
    const { production } = environments;
    production.change = () => {
      expect([...environments.images.keys()]).toEqual([`sha256:${'b'.repeat(64)}`]);
    };
    expect(await environments.promote()).toEqual({ release: inProduction('b'), written: true });
    expect(environments.release).toEqual(inProduction('b'));
    expect(production.commits[0]?.message).toBe(
      `production: shop bbbbbbbbbbbb\n\nPromoted from: staging\nMerge request !12\n${releaseOf('b').build}\n`,
    );
    expect(await listReleases(production.gitlab, PLACE, 'shop')).toMatchObject([
      { commit: commitOf('b'), state: 'current', promotedFrom: 'staging' },
    ]);
    // Retention may take it when its merge request has ended and no ledger names it.
    expect([...environments.images.values()].map((tags) => [...tags])).toEqual([
      ['release-bbbbbbbbbbbb', 'mr-12-bbbbbbbb'],
    ]);
    expect(stateOf(environments.staging.now, 'shop').release).toEqual(releaseOf('b'));
  });

  test('said again changes nothing and is rolled out; the next release takes its place, and may be rolled back', async () => {
    const environments = await merged('a');
    await environments.promote();
    environments.wanted = undefined;
    expect(await environments.promote()).toMatchObject({ written: false });
    expect([environments.production.commits.length, environments.wanted]).toEqual([
      1,
      inProduction('a').image,
    ]);
    await environments.merge('b');
    await environments.promote({ commit: 'bbbbbbb' });
    expect(environments.release).toEqual(inProduction('b'));
    await environments.production.rollBack();
    expect(environments.release).toEqual(inProduction('a'));
  });

  test.each<[string, (environments: Environments) => unknown, Wanted, string]>([
    [
      'of a module without a release',
      ({ staging }) => staging.commit(serialiseLedger({ modules: {} }), 'by hand'),
      {},
      'shop has no release in staging.',
    ],
    ['of what is no commit', () => undefined, { commit: 'main' }, '--commit: "main" is no commit.'],
    [
      'of what does not serve',
      () => undefined,
      { commit: 'aaaaaaa' },
      '--commit: aaaaaaa does not serve in staging: bbbbbbbbbbbb does.',
    ],
    [
      'of what was undone',
      async (environments) => {
        await environments.staging.deploy('c');
        await environments.staging.undo('c');
      },
      { commit: 'ccccccc' },
      '--commit: ccccccc was undone in staging: bbbbbbbbbbbb does.',
    ],
    [
      'of what is held',
      ({ staging }) => {
        const release: Release = { ...releaseOf('b'), hold: true };
        staging.commit(serialiseLedger({ modules: { shop: release } }), 'held');
      },
      {},
      'shop bbbbbbbbbbbb is held in staging. `switchyard rollback staging shop --to bbbbbbbbbbbb` lets it go.',
    ],
    [
      'of what is not known to run',
      ({ staging }) => staging.deploy('c'),
      {},
      'shop cccccccccccc is not known to run in staging: its rollout goes on, or failed.',
    ],
    [
      "of another module's image",
      ({ staging }) => {
        const release = { ...releaseOf('b'), image: releaseOf('b', 'other').image };
        staging.commit(serialiseLedger({ modules: { shop: release } }), 'by hand');
      },
      {},
      'its image is of registry.test/modules/other',
    ],
    ['of what no certificate covers', ({ forged }) => forged.push(commitOf('b')), {}, 'no certificate.'],
  ])('%s is refused, in one line, and changes nothing', async (_what, happened, wanted, what) => {
    const environments = await merged('b');
    await happened(environments);
    expect(await refused(environments.promote({ ...wanted, force: true }))).toEqual([
      exitCode.input,
      expect.stringContaining(what),
    ]);
    expect([environments.production.commits.length, environments.images.size]).toEqual([0, 0]);
  });

  test.each<[string, string, (environments: Environments) => unknown, string]>([
    [
      'older than what is there',
      'b',
      ({ production }) => production.deploy('c'),
      'shop bbbbbbbbbbbb is older than cccccccccccc, which is in production.',
    ],
    [
      'what was rolled back there',
      'b',
      async (environments) => {
        await environments.production.deploy('a');
        await environments.promote();
        await environments.production.rollBack();
      },
      'shop bbbbbbbbbbbb was rolled back in production.',
    ],
    [
      'in the history of what was taken back there',
      'b',
      async ({ production }) => {
        await production.deploy('a');
        await production.deploy('c');
        await production.rollBack();
      },
      'shop bbbbbbbbbbbb is older than cccccccccccc, which was rolled back in production.',
    ],
    [
      'in the place of what is held there',
      'b',
      async ({ production }) => {
        await production.deploy('a');
        await production.rollBack('aaaaaaa', true);
      },
      'shop aaaaaaaaaaaa is held in production.',
    ],
    [
      'in the place of another history',
      'b',
      ({ production }) => production.deploy('0'),
      "shop 000000000000, which is in production, is not part of this branch's history.",
    ],
  ])('of what is %s needs --force', async (_what, digit, happened, what) => {
    const environments = await merged(digit);
    await happened(environments);
    const { length } = environments.production.commits;
    const [code, message] = await refused(environments.promote());
    expect([code, message]).toEqual([exitCode.input, expect.stringContaining(what)]);
    expect(message).toContain('say --force');
    expect(environments.production.commits).toHaveLength(length);
    await environments.promote({ force: true });
    expect(environments.release).toEqual(inProduction(digit));
    expect(stateOf(environments.production.now, 'shop').undone).toBeUndefined();
  });

  test('of what was undone there leaves it so, and says what undid it: what was before may not be rolled out yet', async () => {
    const environments = await merged('a');
    await environments.promote();
    await environments.merge('b');
    await environments.promote();
    await environments.production.undo('b');
    const { length } = environments.production.commits;
    for (const propose of [false, true])
      expect(await environments.promote({ propose })).toEqual({
        release: inProduction('b'),
        from: inProduction('a'),
        written: false,
        undone: expect.objectContaining({ how: 'undone', commit: commitOf('b') }),
      });
    expect(environments.wanted).toBe(inProduction('a').image);
    expect([environments.production.commits.length, environments.production.requests.length]).toEqual([
      length,
      0,
    ]);
    await environments.promote({ force: true });
    expect(environments.release).toEqual(inProduction('b'));
  });

  test('of a commit that is in the ledger already is its rollout, whatever serves in staging by then', async () => {
    const environments = await merged('a');
    await environments.promote({ propose: true });
    environments.production.merge(1);
    await environments.merge('b');
    expect(await environments.promote({ commit: 'aaaaaaa' })).toEqual({
      release: inProduction('a'),
      from: inProduction('a'),
      written: false,
    });
    expect(environments.wanted).toBe(inProduction('a').image);
  });

  test('takes what is newer than what was taken back without being forced', async () => {
    const environments = await merged('b');
    await environments.promote();
    await environments.production.undo('b');
    await environments.merge('c');
    await environments.promote();
    expect(environments.release).toEqual(inProduction('c'));
  });

  test('no answer but "same" goes over what was taken back, held or is newer', () => {
    fc.assert(
      fc.property(
        fc.constantFrom<Relation>('first', 'same', 'newer', 'older', 'unrelated'),
        fc.boolean(),
        fc.boolean(),
        (relation, hold, taken) => {
          const current: Release = { ...releaseOf('1'), ...(hold ? { hold: true } : {}) };
          const undone = { how: 'undone', commit: commitOf('2'), mergeRequest: 2, why: 'x' } as const;
          const why = whyNotTaken(
            { module: 'shop', environment: 'production' },
            releaseOf('2'),
            relation,
            relation === 'first' ? undefined : current,
            taken ? undone : undefined,
          );
          const free = !taken && (relation === 'first' || (relation === 'newer' && !hold));
          expect(why === undefined).toBe(relation === 'same' || free);
        },
      ),
    );
  });
});

describe('a promotion that meets others', () => {
  /** Something else happens before the ledger is written for the first time. */
  function meeting(environments: Environments, what: () => unknown): void {
    environments.production.change = () => {
      environments.production.change = () => undefined;
      what();
    };
  }

  test('of another module is written over what that one wrote', async () => {
    const environments = await merged('a');
    const { production } = environments;
    meeting(environments, () =>
      production.commit(
        serialiseLedger(withState(production.now, 'other', { release: releaseOf('7') })),
        'x',
      ),
    );
    expect(await environments.promote()).toMatchObject({ written: true });
    expect(Object.keys(production.now.modules)).toEqual(['other', 'shop']);
  });

  test.each<[string, (environments: Environments) => void, string]>([
    [
      'a release in production',
      ({ production }) =>
        production.commit(
          serialiseLedger({ modules: { shop: releaseOf('c') } }),
          'production: shop cccccccccccc',
        ),
      'shop changed in production meanwhile: cccccccccccc is in the ledger now. Nothing was changed; say it again.',
    ],
    [
      'a rollback in staging',
      ({ staging, production }) => {
        staging.commit(serialiseLedger({ modules: { shop: releaseOf('a') } }), 'staging: shop aaaaaaaaaaaa');
        // Whatever makes it look again.
        production.commit(serialiseLedger(production.now), 'x');
      },
      'shop changed in staging meanwhile: aaaaaaaaaaaa is in the ledger now. Nothing was changed; say it again.',
    ],
  ])('%s changes nothing', async (_what, other, what) => {
    const environments = await merged('a', 'b');
    meeting(environments, () => other(environments));
    expect(await refused(environments.promote())).toEqual([exitCode.red, what]);
    expect(environments.release?.image).not.toBe(inProduction('b').image);
  });

  test.each([false, true])(
    'of the same release, both are done, and one wrote it (proposed: %s)',
    async (propose) => {
      const environments = await merged('a', 'b');
      const both = await Promise.all([1, 2].map(() => environments.promote({ propose })));
      if (propose) {
        expect(both.map(({ proposed }) => proposed)).toEqual([1, 1]);
        expect([environments.production.requests.length, environments.production.commits.length]).toEqual([
          1, 0,
        ]);
      } else {
        expect(both.filter(({ written }) => written)).toHaveLength(1);
        expect(environments.production.commits).toHaveLength(1);
      }
    },
  );
});

describe('a promotion by a merge request', () => {
  test('changes the ledger when people merge it, and is rolled out then', async () => {
    const environments = await merged('a', 'b');
    const { production } = environments;
    expect(await environments.promote({ propose: true })).toMatchObject({ written: false, proposed: 1 });
    expect([environments.release, environments.wanted]).toEqual([undefined, undefined]);
    expect(production.requests).toMatchObject([
      {
        source_branch: 'promote-shop-bbbbbbbbbbbb',
        target_branch: 'main',
        title: 'production: shop bbbbbbbbbbbb',
        description: expect.stringContaining(
          '`switchyard promote production shop --commit bbbbbbbbbbbb` rolls it out.',
        ),
      },
    ]);
    // Nothing but a tag that retention leaves alone: no ledger names it.
    expect([...environments.images.values()].map((tags) => [...tags])).toEqual([['release-bbbbbbbbbbbb']]);
    expect(production.merge(1)).toBe('merged');
    expect(environments.release).toEqual(inProduction('b'));
    expect(await listReleases(production.gitlab, PLACE, 'shop')).toMatchObject([
      { commit: commitOf('b'), state: 'current', promotedFrom: 'staging' },
    ]);
    expect(await environments.promote({ propose: true })).not.toHaveProperty('proposed');
    expect(environments.wanted).toBe(inProduction('b').image);
  });

  test('said again is made anew from what the ledger says by then, and only then', async () => {
    const environments = await merged('b');
    const { production } = environments;
    await environments.promote({ propose: true });
    const branch = () => production.branches.get('promote-shop-bbbbbbbbbbbb');
    const first = branch();
    await environments.promote({ propose: true });
    expect(branch()).toBe(first);
    await production.deploy('7', 'other');
    await environments.promote({ propose: true });
    expect(branch()?.base).toBe(production.commits[0]?.id);
    expect(production.requests).toHaveLength(1);
    expect(production.merge(1)).toBe('merged');
    expect(Object.keys(production.now.modules)).toEqual(['other', 'shop']);
  });

  test('that another release overtook is a conflict in GitLab', async () => {
    const environments = await merged('b');
    await environments.promote({ propose: true });
    await environments.merge('c');
    await environments.promote();
    expect(environments.production.merge(1)).toBe('conflict');
    expect(environments.release).toEqual(inProduction('c'));
  });

  test('is undone as one that was written at once', async () => {
    const environments = await merged('a');
    await environments.promote();
    await environments.merge('b');
    await environments.promote({ propose: true });
    environments.production.merge(1);
    await environments.production.undo('b');
    expect(stateOf(environments.production.now, 'shop')).toMatchObject({
      release: inProduction('a'),
      undone: { how: 'undone', commit: commitOf('b') },
    });
  });
});

describe('the migration of what is promoted', () => {
  test.each([false, true])(
    'runs for each release, and not again for what is put back (proposed: %s)',
    async (propose) => {
      const environments = await merged('a');
      environments.migrates = true;
      await environments.promote();
      await environments.merge('b');
      await environments.promote({ propose });
      if (propose) {
        expect(environments.release).toEqual({ ...inProduction('a'), migrate: true });
        environments.production.merge(1);
      }
      expect(environments.release).toEqual({ ...inProduction('b'), migrate: true });
      await environments.production.undo('b');
      expect(environments.release).toEqual(inProduction('a'));
      await environments.promote({ force: true });
      expect(environments.release).toEqual({ ...inProduction('b'), migrate: true });
    },
  );

  test('does not run for what is older, what it ran for, and what runs', async () => {
    const environments = await merged('b');
    environments.migrates = true;
    await environments.production.deploy('c');
    await environments.promote({ force: true });
    expect(environments.release).toEqual(inProduction('b'));
    await environments.promote();
    expect(environments.release).toEqual(inProduction('b'));
    // By another hand from elsewhere, and held: it stays so.
    const held: Release = { ...releaseOf('b'), hold: true, migrate: true };
    environments.production.commit(serialiseLedger({ modules: { shop: held } }), 'x');
    await environments.promote();
    expect(environments.release).toEqual({ ...inProduction('b'), hold: true, migrate: true });
    const ran = {
      how: 'undone',
      commit: commitOf('b'),
      mergeRequest: 12,
      why: 'x',
      migration: 'ran',
    } as const;
    environments.production.commit(serialiseLedger({ modules: {}, undone: { shop: ran } }), 'x');
    await environments.promote({ force: true });
    expect(environments.release).toEqual(inProduction('b'));
  });
});

describe('a promotion that is killed', () => {
  test.each([
    ['at once', false],
    ['by a merge request', true],
  ])('%s is said again, wherever and however often', async (_how, propose) => {
    let reached = 0;
    for (let kill = 0; kill < 12; kill++) {
      const environments = await merged('a');
      environments.migrates = true;
      await environments.promote();
      await environments.merge('b');
      for (let times = 0; times < 2; times++)
        await environments.promote({ propose, kill }).catch((error: Error) => {
          if (error.message !== 'killed') throw error;
          reached = Math.max(reached, kill);
        });
      await environments.promote({ propose });
      if (propose) {
        expect([kill, environments.production.requests.length]).toEqual([kill, 1]);
        environments.production.merge(1);
        await environments.promote({ propose });
      }
      expect([kill, environments.release]).toEqual([kill, { ...inProduction('b'), migrate: true }]);
      expect([kill, environments.wanted]).toEqual([kill, inProduction('b').image]);
      const tags = environments.images.get(`sha256:${'b'.repeat(64)}`);
      expect([kill, [...(tags ?? [])]]).toEqual([kill, ['release-bbbbbbbbbbbb', 'mr-12-bbbbbbbb']]);
      // The one before was settled once, and by a commit of its own.
      const settles = environments.production.commits.filter(({ title }) =>
        title.includes('no migration any more'),
      );
      expect([kill, settles.length]).toEqual([kill, 1]);
    }
    // Otherwise the last step was never tried.
    expect(reached).toBeGreaterThanOrEqual(3);
    expect(reached).toBeLessThan(11);
  });

  test('in any order of merges, rollbacks, undos, proposals, merges of those, and kills, production has what ran in staging, and its image', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.record({
            act: fc.constantFrom(
              'merge',
              'bad merge',
              'staging back',
              'promote',
              'force',
              'propose',
              'accept',
              'production back',
              'production undo',
            ),
            kill: fc.option(fc.nat({ max: 7 }), { nil: undefined }),
          }),
          { maxLength: 14 },
        ),
        async (acts) => {
          const environments = new Environments();
          const { staging, production } = environments;
          const known = (error: Error): void => {
            if (!(error instanceof Failure)) throw error;
          };
          let count = 1;
          for (const { act, kill } of acts) {
            const digit = Math.min(count, 15).toString(16);
            const before = environments.release;
            if (act === 'merge' || act === 'bad merge') {
              count++;
              await staging.deploy(digit).catch(known);
              if (act === 'merge') staging.ran.push(commitOf(digit));
              else await staging.undo(digit).catch(known);
            } else if (act === 'staging back') await staging.rollBack().catch(known);
            else if (act === 'production back') await production.rollBack().catch(known);
            else if (act === 'production undo') {
              if (before) await production.undo(before.commit[0] ?? '').catch(known);
            } else if (act === 'accept') {
              const [open] = production.requests;
              if (open) production.merge(open.iid);
            } else {
              const wanted = { force: act === 'force', propose: act === 'propose', kill };
              const done = await environments.untilDone(wanted).catch(known);
              const serves = stateOf(staging.now, 'shop').release;
              if (done && !done.undone && act !== 'propose')
                expect(environments.release?.commit).toBe(serves?.commit);
              if (done?.undone) expect(environments.release).toEqual(before);
              if (!done) expect(environments.release).toEqual(before);
            }
            const { release } = environments;
            if (!release) continue;
            const digest = release.image.slice(release.image.indexOf('@') + 1);
            expect(release.image.startsWith(`${REGISTRY}/modules/shop@`)).toBe(true);
            expect(digest).toBe(`sha256:${release.commit[0]?.repeat(64)}`);
            expect([...environments.images.keys()]).toContain(digest);
            expect(staging.ran).toContain(release.commit);
            // Retention may take none but what a ledger named once.
            const named = production.commits.map(({ text }) => text).join('');
            for (const [image, tags] of environments.images)
              if ([...tags].some((tag) => tag.startsWith('mr-'))) expect(named).toContain(image);
          }
        },
      ),
      { numRuns: scaled({ usual: 100, all: 3000 }) },
    );
  });
});

test('a module’s proposals and releases are apart from those of others', async () => {
  const environments = await merged('a');
  await environments.production.deploy('7', 'other');
  await environments.promote();
  expect(runs(environments.production, 'other')).toBe('7');
});
