import fc from 'fast-check';
import { serialiseLedger, stateOf } from '../../catalog/ledger';
import { exitCode, Failure } from '../../clients/failure';
import type { ListedCommit } from '../../clients/gitlab';
import { eventOf } from '../../delivery/ledger';
import { assertImage, listReleases, rollBack } from '../../delivery/releases';
import { tellUndone } from '../../delivery/undo-note';
import { ended } from './ended';
import { BUILD, commitOf, KillableLedgers, Ledgers, PLACE, released, releaseOf, runs } from './ledgers';

describe('what was released', () => {
  test('is told newest first, with who, when and what became of it', async () => {
    const ledgers = await released('a', 'b');
    await ledgers.deploy('c');
    await ledgers.undo('c');
    await ledgers.deploy('7', 'other');
    const rows = await listReleases(ledgers.gitlab, PLACE, 'shop');
    expect(rows.map(({ commit, state, by, why }) => [commit[0], state, by, why])).toEqual([
      ['c', 'undone', 'ada', 'it did not get ready by its deadline (CrashLoopBackOff)'],
      ['b', 'current', 'ada', undefined],
      ['a', 'earlier', 'ada', undefined],
    ]);
    expect(rows[1]).toMatchObject({
      image: releaseOf('b').image,
      mergeRequest: 12,
      at: '2026-11-28T10:00:01Z',
      held: false,
    });
    expect((await listReleases(ledgers.gitlab, PLACE)).map(({ module }) => module)).toEqual([
      'other',
      'shop',
      'shop',
      'shop',
    ]);
    expect(await listReleases(new Ledgers().gitlab, PLACE, 'shop')).toEqual([]);
  });

  test('of what a person put into the ledger by hand, what runs is told; what a person reverted is rolled back', async () => {
    const ledgers = await released('a');
    ledgers.commit(serialiseLedger({ modules: { shop: releaseOf('f') } }), 'I know better', 'Eve');
    expect((await listReleases(ledgers.gitlab, PLACE, 'shop'))[0]).toMatchObject({
      commit: commitOf('f'),
      state: 'current',
    });
    const reverted = await released('a', 'b');
    const [, before] = reverted.commits;
    reverted.commit(before?.text ?? '', 'Revert "production: shop bbbbbbbbbbbb"', 'Ada');
    expect(
      (await listReleases(reverted.gitlab, PLACE, 'shop')).map(({ commit, state }) => [commit[0], state]),
    ).toEqual([
      ['b', 'rolled back'],
      ['a', 'current'],
    ]);
  });

  test('of another environment, of another form, and with names that are none, is no release', () => {
    const commit = (message: string): ListedCommit => ({
      ...{ id: commitOf('1'), title: message, message, author_name: 'x', author_email: '', parent_ids: [] },
      committed_date: '2026-11-28T10:00:00Z',
    });
    for (const title of [
      'staging: shop aaaaaaaaaaaa',
      'production: Shop aaaaaaaaaaaa',
      'production: shop latest',
      'production: shop aaaaaaaaaaaa, undone',
      'Revert "production: shop aaaaaaaaaaaa"',
    ])
      expect([title, eventOf('production', commit(title))]).toEqual([title, undefined]);
    expect(
      eventOf('production', commit('production: shop nothing, undone aaaaaaaaaaaa\n\nWhy: x\n')),
    ).toEqual(
      expect.objectContaining({ module: 'shop', back: { how: 'undone', from: 'a'.repeat(12) }, why: 'x' }),
    );
  });
});

describe('a rollback', () => {
  test('puts the release before back; said again it changes nothing, and with a commit it goes further', async () => {
    const ledgers = await released('a', 'b', 'c');
    expect(await ledgers.rollBack()).toMatchObject({ written: true, release: releaseOf('b') });
    const { length } = ledgers.commits;
    expect(await ledgers.rollBack()).toMatchObject({ written: false, release: releaseOf('b') });
    expect(ledgers.commits).toHaveLength(length);
    await ledgers.rollBack('aaaaaaa');
    expect(runs(ledgers)).toBe('a');
    expect(stateOf(ledgers.now, 'shop').undone).toMatchObject({ how: 'rolled back', commit: commitOf('c') });
  });

  test('survives another module’s merge, and late builds of what was taken back; the next merge goes forward', async () => {
    const ledgers = await released('a', 'b', 'd');
    await ledgers.rollBack('aaaaaaa');
    await ledgers.deploy('1', 'other');
    // `c` was never released, and is in the history of what was taken back.
    for (const late of ['d', 'c', 'b'])
      expect([late, (await ended(ledgers.deploy(late))).code]).toEqual([late, exitCode.nothing]);
    expect(runs(ledgers)).toBe('a');
    expect(runs(ledgers, 'other')).toBe('1');
    await ledgers.deploy('e');
    expect(runs(ledgers)).toBe('e');
    expect(stateOf(ledgers.now, 'shop').undone).toBeUndefined();
    // What people took back is not where the next rollback goes.
    await ledgers.rollBack();
    expect(runs(ledgers)).toBe('b');
  });

  test('that is held stays whatever is merged, until one without --hold lets it go', async () => {
    const ledgers = await released('a', 'b');
    await ledgers.rollBack(undefined, true);
    expect(await ended(ledgers.deploy('c'))).toMatchObject({
      code: exitCode.nothing,
      message: expect.stringContaining('aaaaaaaaaaaa is held'),
    });
    expect((await listReleases(ledgers.gitlab, PLACE, 'shop')).find(({ held }) => held)?.commit).toBe(
      commitOf('a'),
    );
    await ledgers.rollBack();
    await ledgers.deploy('c');
    expect(runs(ledgers)).toBe('c');
  });

  test('to the newest takes nothing back, and later ones go out', async () => {
    const ledgers = await released('a', 'b');
    await ledgers.rollBack();
    await ledgers.rollBack('bbbbbbb');
    expect(stateOf(ledgers.now, 'shop')).toEqual({ release: releaseOf('b') });
    expect(
      (await listReleases(ledgers.gitlab, PLACE, 'shop')).map(({ commit, state }) => [commit[0], state]),
    ).toEqual([
      ['b', 'current'],
      ['a', 'earlier'],
    ]);
  });

  test.each([
    ['bbbbbbz', 'is no commit'],
    ['abc', 'is no commit'],
    ['fffffff', 'is no release of shop in production. There are: bbbbbbbbbbbb, aaaaaaaaaaaa'],
    [undefined, 'has no earlier release'],
  ])('to %s is refused, in one line: %s', async (to, what) => {
    const ledgers = await released('a', ...(to ? ['b'] : []));
    const failure = await ended(ledgers.rollBack(to));
    expect([failure.code, failure.message.split('\n')]).toEqual([
      exitCode.input,
      [expect.stringContaining(what)],
    ]);
    expect((await ended(new Ledgers().rollBack())).message).toContain('has no release');
  });

  test('never goes back to what did not get ready', async () => {
    const ledgers = await released('a', 'b');
    await ledgers.undo('b');
    await ledgers.deploy('c');
    await ledgers.rollBack();
    expect(runs(ledgers)).toBe('a');
  });

  test('that meets a release changes nothing', async () => {
    const ledgers = await released('a', 'b');
    ledgers.change = () => {
      ledgers.change = () => undefined;
      ledgers.commit(serialiseLedger({ modules: { shop: releaseOf('c') } }), 'production: shop cccccccccccc');
    };
    const { length } = ledgers.commits;
    const work = rollBack(ledgers.gitlab, { ...PLACE, module: 'shop', hold: false }, undefined, () => 1);
    expect((await ended(work)).message).toContain('was released meanwhile');
    expect(ledgers.commits).toHaveLength(length + 1);
  });

  test.each([undefined, 'aaaaaaa'])(
    'that is rolled out in a further round of its build (--to %s) stays as it is, and takes nothing back that was released since',
    async (to) => {
      const ledgers = await released('a', 'b');
      await ledgers.rollBack(to);
      const again = await ledgers.rollBack(to, false, commitOf('a'));
      expect(again).toMatchObject({ written: false, release: releaseOf('a') });
      await ledgers.deploy('c');
      const failure = await ended(ledgers.rollBack(to, false, commitOf('a')));
      expect([failure.code, failure.message]).toEqual([
        exitCode.nothing,
        'shop was released since: cccccccccccc is in the ledger, no longer aaaaaaaaaaaa.',
      ]);
      expect(runs(ledgers)).toBe('c');
    },
  );

  test('needs the image of this module, and that it is still there', async () => {
    const registry = (found: boolean) => ({
      resolve: async () => (found ? { digest: '', mediaType: '', bytes: Buffer.alloc(0) } : undefined),
    });
    await assertImage(registry(true), 'registry.test', 'shop', releaseOf('a'));
    for (const [there, module, what] of [
      [false, 'shop', 'is gone from the registry'],
      [true, 'other', 'its image is of'],
    ] as const)
      expect(
        (await ended(assertImage(registry(there), 'registry.test', module, releaseOf('a')))).message,
      ).toContain(what);
  });
});

describe('a release that is undone', () => {
  test('is taken out of the ledger by a commit that says why; what was before it is there again', async () => {
    const ledgers = await released('a', 'b');
    expect(await ledgers.undo('b')).toMatchObject({ undone: { serves: commitOf('a') } });
    expect(ledgers.commits[0]?.message).toBe(
      `production: shop aaaaaaaaaaaa, undone bbbbbbbbbbbb\n\nWhy: it did not get ready by its deadline (CrashLoopBackOff)\nMerge request !12\n${BUILD}\n`,
    );
    expect(stateOf(ledgers.now, 'shop')).toEqual({
      release: releaseOf('a'),
      undone: {
        how: 'undone',
        commit: commitOf('b'),
        mergeRequest: 12,
        build: BUILD,
        why: 'it did not get ready by its deadline (CrashLoopBackOff)',
      },
    });
    expect(ledgers.notes[0]?.body).toContain(
      '@ada: shop bbbbbbbbbbbb was rolled out to production and is undone',
    );
    // A second build of it finishes what the first one began; a third module's ledger is its own.
    expect(await ledgers.deploy('b')).toMatchObject({ undone: { commit: commitOf('b') } });
    await ledgers.deploy('c');
    expect(runs(ledgers)).toBe('c');
  });

  test('as the first one leaves nothing, and says so', async () => {
    const ledgers = await released('b');
    expect((await ledgers.undo('b')).undone).not.toHaveProperty('serves');
    expect(runs(ledgers)).toBeUndefined();
    expect(ledgers.commits[0]?.title).toBe('production: shop nothing, undone bbbbbbbbbbbb');
    expect(ledgers.notes[0]?.body).toContain('It was the first release there');
    expect((await ended(ledgers.rollBack())).message).toContain('has no release');
    expect(await ledgers.deploy('b')).toMatchObject({ undone: { commit: commitOf('b') } });
    await ledgers.deploy('c');
    expect(runs(ledgers)).toBe('c');
  });

  test('of a rollback leaves the ledger as it was before it', async () => {
    const ledgers = await released('a', 'b');
    const before = ledgers.now;
    await ledgers.rollBack();
    await ledgers.undo('a', 'rollback');
    expect(ledgers.now).toEqual(before);
  });

  test('is none that ran before: a build that is repeated in an outage takes nothing back', async () => {
    const ledgers = await released('a', 'b');
    ledgers.ran.push(commitOf('b'));
    const failure = await ended(ledgers.undo('b'));
    expect([failure.code, failure.message]).toEqual([
      exitCode.red,
      expect.stringContaining('it ran in production before'),
    ]);
    expect(runs(ledgers)).toBe('b');
  });

  test('never takes back what came meanwhile, nor what it does not know', async () => {
    const ledgers = await released('a', 'b', 'c');
    await ledgers.undo('b');
    expect(runs(ledgers)).toBe('c');
    const byHand = new Ledgers();
    byHand.commit(serialiseLedger({ modules: { shop: releaseOf('b') } }), 'by hand');
    expect((await ended(byHand.undo('b'))).message).toContain('is not undone');
  });
});

describe('after a person reverted the ledger’s commit', () => {
  test('the build of what ran does not put it there again, and the next merge goes forward', async () => {
    const ledgers = await released('a', 'b');
    ledgers.commit(ledgers.commits[1]?.text ?? '', 'Revert "production: shop bbbbbbbbbbbb"', 'Ada');
    expect((await ended(ledgers.deploy('b', 'shop', true))).message).toContain('it ran already');
    expect(runs(ledgers)).toBe('a');
    await ledgers.deploy('c');
    expect(runs(ledgers)).toBe('c');
  });
});

/** The ledger, and production beside it, which knows one bad release. */
class Production extends KillableLedgers {
  /** Image that the cluster was told to run, and the last one that got ready. */
  wanted?: string;
  serving?: string;
  told?: string;

  constructor(private readonly bad: string) {
    super();
  }

  private up(): void {
    this.change();
    this.wanted = stateOf(this.now, 'shop').release?.image;
    this.change();
    // What does not get ready takes no Pod's place that serves.
    if (this.wanted !== releaseOf(this.bad).image) this.serving = this.wanted;
  }

  private get holds(): boolean {
    return this.serving === this.wanted;
  }

  /** What the pipeline does with one merge (`release` in modulePipeline.groovy), killed before its nth change. */
  async build(digit: string, kill = Number.POSITIVE_INFINITY): Promise<'done' | 'killed'> {
    return this.untilKilled(kill, async () => {
      const recorded = await this.deploy(digit);
      let undone = typeof recorded === 'object';
      this.up();
      if (!this.holds && !undone) {
        await this.undo(digit);
        undone = true;
        this.up();
      }
      this.change();
      const { commit, mergeRequest, image } = releaseOf(digit);
      if (undone)
        await tellUndone(
          this.context,
          {
            ...{ module: 'shop', project: 'switchyard/shop', environment: 'production', branch: 'main' },
            ...{ commit, mergeRequest, image, by: 'merge', undone: { why: 'x' } },
          },
          BUILD,
        );
      this.change();
      this.told = `${digit} ${undone ? 'undone' : this.holds ? 'runs' : 'failed'}`;
    });
  }
}

describe('a deploy that is killed', () => {
  /** What the reconciler does with a build that ended without a word: it starts it again. */
  async function journey(bad: string, first: string[], next: string, kills: readonly number[]) {
    const production = new Production(bad);
    for (const digit of first) await production.build(digit);
    let killed = 0;
    for (const kill of kills) killed += (await production.build(next, kill)) === 'killed' ? 1 : 0;
    if (killed === kills.length) await production.build(next);
    return { production, killed };
  }

  test.each([
    ['a bad release after a good one', 'b', ['a'], 'a', 'b undone'],
    ['a first release that is bad', 'b', [], undefined, 'b undone'],
    ['a good release', 'f', ['a'], 'b', 'b runs'],
  ])(
    '%s ends in one of both, and says so, wherever it is killed, and twice',
    async (_what, bad, first, runsThen, told) => {
      const moments = 12;
      let reached = 0;
      for (let kill = 0; kill < moments; kill++) {
        for (const kills of [[kill], [kill, kill]]) {
          const { production, killed } = await journey(bad, first, 'b', kills);
          if (kills.length === 1 && killed > 0) reached = kill;
          const about = `killed before ${kills}`;
          expect([about, runs(production)]).toEqual([about, runsThen]);
          // The cluster has what the ledger says, and serves it: the next `up` finds nothing to do.
          const image = runsThen && releaseOf(runsThen).image;
          expect([about, production.wanted, production.serving]).toEqual([about, image, image]);
          expect([about, production.told]).toEqual([about, told]);
          const notes = production.notes.filter(({ body }) => body.includes('switchyard:undone'));
          expect([about, notes.length]).toEqual([about, told === 'b undone' ? 1 : 0]);
        }
      }
      // Otherwise the last step was never tried.
      expect(reached).toBeGreaterThanOrEqual(told === 'b undone' ? 7 : 3);
      expect(reached).toBeLessThan(moments - 1);
    },
  );

  test('in any order of good and bad releases, kills and rollbacks, the ledger names what serves in the end', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.record({
            act: fc.constantFrom('merge', 'rollback', 'late build'),
            kill: fc.option(fc.nat({ max: 10 }), { nil: undefined }),
          }),
          { maxLength: 8 },
        ),
        fc.constantFrom(...'123456'),
        async (acts, bad) => {
          const production = new Production(bad);
          let merged = 0;
          for (const { act, kill } of acts) {
            const digit = String(act === 'merge' ? Math.min(++merged, 8) : Math.max(1, merged - 1));
            if (act === 'rollback') {
              await production.rollBack().catch((error: Error) => {
                if (!(error instanceof Failure) || error.code !== exitCode.input) throw error;
              });
              production.wanted = stateOf(production.now, 'shop').release?.image;
              if (production.wanted !== releaseOf(bad).image) production.serving = production.wanted;
              continue;
            }
            const skipped = (error: Error): 'done' => {
              if (!(error instanceof Failure) || error.code !== exitCode.nothing) throw error;
              return 'done';
            };
            if ((await production.build(digit, kill).catch(skipped)) === 'killed')
              await production.build(digit).catch(skipped);
          }
          const { release } = stateOf(production.now, 'shop');
          expect(production.wanted).toBe(release?.image);
          expect(production.serving).toBe(release?.image);
          expect(release?.commit).not.toBe(commitOf(bad));
        },
      ),
      { numRuns: 50 },
    );
  });
});
