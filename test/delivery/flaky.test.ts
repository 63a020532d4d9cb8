import fc from 'fast-check';
import { parseFragment } from 'parse5';
import type { Note } from '../../clients/gitlab';
import type { Certificate } from '../../delivery/certificate';
import {
  asksOthers,
  historyOf,
  noHistory,
  readHistory,
  readOthers,
  runOf,
  withFlaky,
} from '../../delivery/flaky';
import { readNote, renderNote } from '../../delivery/note';
import { entryLine, parseQuarantine } from '../../delivery/quarantine';
import { character } from '../support/characters';
import { green, KEY, red, sha } from './certificates';

const NOW = Date.parse('2026-11-28T12:00:00Z');
const NAME = 'Orders.Stock is kept';
const build = (number: number): string => green.build.replace('/3/', `/${number}/`);
const by = (number: number, certificate: Certificate): Certificate => ({
  ...certificate,
  build: build(number),
});
const passed = (...names: string[]) =>
  new Map(names.map((name) => [name, { passed: 1, failed: 0, skipped: 0 }]));
const quarantined: Certificate = {
  ...green,
  tests: {
    ...green.tests,
    total: 4,
    passed: 3,
    failed: 0,
    skipped: 0,
    failing: [],
    quarantine: { failed: [{ name: NAME, message: 'x', until: '2026-12-24', times: 1 }], said: [] },
  },
};

describe('a run', () => {
  it('tells what failed, in quarantine or not', () => {
    expect(runOf(red)).toEqual({ build: red.build, failed: [NAME] });
    expect(runOf(quarantined)).toEqual({ build: red.build, failed: [NAME] });
    expect(runOf(green)).toEqual({ build: green.build, failed: [] });
  });

  it.each([
    ['was not made', undefined],
    ['was not whole', [{ name: 'results', message: 'cut off' }]],
    ['failed by a suite', [{ name: 'A.a', message: 'Parent suite setup failed:\nno' }]],
    ['failed by the end of a suite', [{ name: 'A.a', message: 'the suite teardown failed: no' }]],
    ['failed as a whole', Array.from({ length: 21 }, (_, at) => ({ name: `A.${at}`, message: '' }))],
  ])('that %s tells nothing of single tests', (_what, failing) => {
    const tests = failing && {
      ...green.tests,
      total: 30,
      passed: 1,
      failed: failing.length,
      skipped: 0,
      failing,
    };
    expect(runOf({ build: 'b', tests })).toBeUndefined();
  });
});

describe('a test is flaky', () => {
  it('that failed in an earlier build and passes now, on the same tree', () => {
    const history = historyOf(by(1, red), by(2, green));
    expect(history).toEqual({ earlier: [{ build: build(1), failed: [NAME] }], flaky: [] });
    expect(withFlaky(by(2, green), history, passed(NAME), [], NOW)).toEqual({
      ...by(2, green),
      earlier: history.earlier,
      flaky: [{ name: NAME, tree: green.treeSha, failed: 1, runs: 2, until: '2026-12-28' }],
    });
  });

  it('that passed in an earlier build and fails now', () => {
    const history = historyOf(by(1, green), by(2, red));
    expect(withFlaky(by(2, red), history, new Map(), [], NOW).flaky).toMatchObject([{ failed: 1, runs: 2 }]);
  });

  it('with its rate over all runs that are known', () => {
    const first = withFlaky(by(2, red), historyOf(by(1, red), by(2, red)), new Map(), [], NOW);
    expect(first.flaky).toBeUndefined();
    const others = [green, quarantined, { ...green, earlier: [{ build: 'x', failed: [NAME] }] }];
    expect(
      withFlaky(by(3, green), historyOf(first, by(3, green)), passed(NAME), others, NOW).flaky,
    ).toMatchObject([{ failed: 4, runs: 7 }]);
  });

  it('here, where it was so in what was merged of late', () => {
    const other = { ...green, flaky: [{ name: NAME, tree: sha('e'), failed: 1, runs: 9 }] };
    expect(withFlaky(red, noHistory, new Map(), [other], NOW).flaky).toMatchObject([
      { name: NAME, failed: 1, runs: 2 },
    ]);
    expect(withFlaky(green, noHistory, new Map(), [other], NOW).flaky).toBeUndefined();
  });

  it('for good: a newer commit keeps it in mind', () => {
    const flaky = withFlaky(by(2, green), historyOf(by(1, red), by(2, green)), passed(NAME), [], NOW);
    const next = { ...by(3, green), headSha: sha('8'), treeSha: sha('9') };
    const history = historyOf(flaky, next);
    expect(history).toMatchObject({ earlier: [], flaky: [{ name: NAME }] });
    expect(withFlaky(next, history, new Map(), [], NOW).flaky).toEqual(flaky.flaky);
  });
});

describe('a test is not flaky', () => {
  it('that failed on another tree', () => {
    expect(historyOf(by(1, red), { ...by(2, green), treeSha: sha('9') })).toEqual(noHistory);
  });
  it('that is gone, or is skipped now, or whose run was not whole', () => {
    const history = historyOf(by(1, red), by(2, green));
    const skipped = new Map([[NAME, { passed: 0, failed: 0, skipped: 1 }]]);
    for (const seen of [new Map(), skipped])
      expect(withFlaky(by(2, green), history, seen, [], NOW).flaky).toBeUndefined();
    const { tests: _tests, ...broken } = by(2, green);
    expect(withFlaky(broken, history, passed(NAME), [], NOW)).toEqual({
      ...broken,
      earlier: history.earlier,
    });
  });
  it('that failed once more, or by the same build', () => {
    expect(
      withFlaky(by(2, red), historyOf(by(1, red), by(2, red)), new Map(), [], NOW).flaky,
    ).toBeUndefined();
    expect(historyOf(by(1, red), by(1, green))).toEqual(noHistory);
  });
});

test('ten runs and twenty tests are kept at most, and no rate is above one', () => {
  const name = fc.constantFrom<string>('a', 'b', 'c');
  const failed = fc.uniqueArray(name);
  fc.assert(
    fc.property(fc.array(failed, { minLength: 1, maxLength: 15 }), (runs) => {
      let noted: Certificate | undefined;
      for (const [at, names] of runs.entries()) {
        const failing = names.map((one) => ({ name: one, message: 'x' }));
        const tests = { total: 4, passed: 4 - names.length, failed: names.length, skipped: 0, failing };
        const now = { ...green, build: `b${at}`, tests };
        const seen = passed(...['a', 'b', 'c'].filter((one) => !names.includes(one)));
        noted = withFlaky(now, historyOf(noted, now), seen, [], NOW);
        expect(readNote(renderNote(noted, { state: 'tested' }, KEY), KEY)).toEqual({ certificate: noted });
      }
      expect(noted?.earlier?.length ?? 0).toBe(Math.min(9, runs.length - 1));
      const mixed = ['a', 'b', 'c'].filter(
        (one) => runs.some((f) => f.includes(one)) && runs.some((f) => !f.includes(one)),
      );
      if (runs.length <= 10) expect(noted?.flaky?.map((one) => one.name).sort() ?? []).toEqual(mixed);
      for (const one of noted?.flaky ?? []) expect(one.failed).toBeLessThanOrEqual(one.runs);
    }),
    { numRuns: 60 },
  );
});

describe('what is known', () => {
  const note = (certificate: Certificate, key = KEY, author = 9) => ({
    id: 1,
    body: renderNote(certificate, { state: 'tested' }, key),
    system: false,
    author: { id: author },
  });
  const gitlab = (notes: Record<number, ReturnType<typeof note>[]>) => ({
    ownId: async () => 9,
    notes: async (_project: string, iid: number, wanted: (note: Note) => unknown) =>
      (notes[iid] ?? []).filter(wanted),
    mergedOfLate: async () => [8, 7, 6].map((iid) => ({ iid }) as never),
  });

  it("comes from the bot's own signed notes, each of its own merge request", async () => {
    const now = by(2, green);
    expect((await readHistory(gitlab({ 7: [note(by(1, red))] }), now, KEY)).earlier).toHaveLength(1);
    const none = [
      note(by(1, red), `${KEY}2`),
      note(by(1, red), KEY, 10),
      note(by(1, { ...red, mergeRequest: 8 })),
      note(by(1, { ...red, project: 'switchyard/billing' })),
    ];
    for (const one of none) expect(await readHistory(gitlab({ 7: [one] }), now, KEY)).toEqual(noHistory);
    const others = gitlab({ 8: [note({ ...green, mergeRequest: 8 })], 7: [note(green)], 6: [] });
    expect(await readOthers(others, now, KEY)).toEqual([{ ...green, mergeRequest: 8 }]);
  });

  it('is asked for where something failed', () => {
    const { tests } = green;
    if (!tests || !red.tests || !quarantined.tests) throw new Error('no tests');
    expect(asksOthers(tests, noHistory)).toBe(false);
    expect(asksOthers(red.tests, noHistory)).toBe(true);
    expect(asksOthers(quarantined.tests, noHistory)).toBe(true);
    expect(asksOthers(tests, historyOf(by(1, red), by(2, green)))).toBe(true);
  });
});

/** What a reader sees and copies of a line's HTML. */
const textOf = (html: string): string => {
  const inner = (node: { nodeName: string; value?: string; childNodes?: never[] }): string =>
    node.value ?? (node.childNodes ?? []).map(inner).join('');
  return inner(parseFragment(html) as never);
};

describe('the note', () => {
  const flakyBy = (name: string): Certificate => ({
    ...green,
    flaky: [{ name, tree: sha('c'), failed: 2, runs: 31, until: '2026-12-28' }],
  });

  it('shows the rate, and the entry to copy', () => {
    const note = renderNote(flakyBy(NAME), { state: 'tested' }, KEY);
    expect(note).toContain(`| ${NAME} | 2 of 31 runs that are known |`);
    expect(textOf(note)).toContain(
      '- { test: "Orders.Stock is kept", reason: "flaky: failed in 2 of 31 runs, see !7", until: 2026-12-28 }',
    );
  });

  it('suggests nothing for what is quarantined, or cannot be', () => {
    const [one] = flakyBy(NAME).flaky ?? [];
    if (!one) throw new Error('none');
    const { until: _until, ...kept } = one;
    expect(renderNote({ ...green, flaky: [kept] }, { state: 'tested' }, KEY)).not.toContain('Mend it');
    expect(renderNote(flakyBy('x'.repeat(500)), { state: 'tested' }, KEY)).not.toContain('Mend it');
  });

  it('lets no name act, and what is copied is read as the same name', () => {
    const names = fc
      .string({ unit: character, minLength: 1, maxLength: 60 })
      .filter((name) => !/\p{Surrogate}/u.test(name) && !name.includes('\0') && name !== '__proto__');
    fc.assert(
      fc.property(names, (name) => {
        const certificate = flakyBy(name);
        const note = renderNote(certificate, { state: 'tested' }, KEY);
        expect(readNote(note, KEY)).toEqual({ certificate });
        const line = note.split('\n').find((each) => /^- .*test/.test(each)) ?? '';
        const copied = textOf(line.slice(2)).replace(/^`|`$/g, '').replace(/\s+/g, ' ');
        expect(parseQuarantine(`tests:\n  ${copied}\n`, NOW)).toMatchObject({ value: [{ test: name }] });
        expect(entryLine({ test: name, reason: 'x', until: '2026-12-28' })).not.toMatch(/\n/);
      }),
    );
  });
});
