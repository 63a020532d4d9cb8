import fc from 'fast-check';
import { dependsOn } from '../../../catalog/depends-on';
import { inOrder, joined, nameOf, PASSED_BY, type Queued } from '../../../delivery/queue/order';
import { windowAfter } from '../../../delivery/queue/window';

const queued = (iid: number, more: Partial<Queued> = {}): Queued => ({
  project: 'g/a',
  iid,
  ready: { since: iid },
  needs: [],
  ...more,
});
const open = (iid: number, project = 'g/a') => ({ project, iid, state: 'open' as const });
const order = (requests: readonly Queued[]): string[] => inOrder(requests).queued.map(nameOf);
const held = (requests: readonly Queued[]): Record<string, string> =>
  Object.fromEntries(inOrder(requests).held.map(({ request, why }) => [nameOf(request), why]));

describe('the order', () => {
  it('is who was ready first; at one moment, by name', () => {
    const requests = [queued(3), queued(1), queued(2, { ready: { since: 1 } })];
    expect(order(requests)).toEqual(['g/a!1', 'g/a!2', 'g/a!3']);
    expect(order([...requests].reverse())).toEqual(['g/a!1', 'g/a!2', 'g/a!3']);
  });

  it('has first what somebody put first, with all that it needs', () => {
    const requests = [queued(1), queued(2), queued(3, { first: 'ann', needs: [open(2)] })];
    expect(order(requests)).toEqual(['g/a!2', 'g/a!3', 'g/a!1']);
  });

  it('has what was put first before what broke off often, and that behind all others', () => {
    const often = { broke: { times: PASSED_BY } };
    expect(order([queued(1, often), queued(2), queued(3, { ...often, first: 'ann' })])).toEqual([
      'g/a!3',
      'g/a!2',
      'g/a!1',
    ]);
    expect(order([queued(1, { broke: { times: PASSED_BY - 1 } }), queued(2)])).toEqual(['g/a!1', 'g/a!2']);
  });

  it('holds what may not be merged, and what needs it, each with the reason', () => {
    const requests = [
      queued(1, { ready: { why: 'it is a draft' } }),
      queued(2, { needs: [open(1)] }),
      queued(3, { needs: [open(2)] }),
      queued(4, { needs: [{ ...open(9), state: 'closed' }] }),
      queued(5, { needs: [{ ...open(8, 'x/y'), state: 'foreign' }] }),
      queued(6, { needs: [{ ...open(7), state: 'merged' }] }),
    ];
    expect(order(requests)).toEqual(['g/a!6']);
    expect(held(requests)).toEqual({
      'g/a!1': 'it is a draft',
      'g/a!2': 'it waits for g/a!1, which does not queue (it is a draft)',
      'g/a!3':
        'it waits for g/a!2, which does not queue (it waits for g/a!1, which does not queue (it is a draft))',
      'g/a!4': 'it depends on g/a!9, which is closed',
      'g/a!5': 'it depends on x/y!8, which is none that queues here',
    });
  });

  it('holds a circle, told to each of it from itself on, and who needs one of it', () => {
    const requests = [
      queued(1, { needs: [open(2)] }),
      queued(2, { needs: [open(3, 'g/b')] }),
      queued(3, { project: 'g/b', needs: [open(1)] }),
      queued(4, { needs: [open(1)] }),
      queued(5, { needs: [open(5)] }),
    ];
    expect(order(requests)).toEqual([]);
    expect(held(requests)).toMatchObject({
      'g/a!1': 'it depends on itself: g/a!1 → g/a!2 → g/b!3 → g/a!1',
      'g/a!2': 'it depends on itself: g/a!2 → g/b!3 → g/a!1 → g/a!2',
      'g/b!3': 'it depends on itself: g/b!3 → g/a!1 → g/a!2 → g/b!3',
      'g/a!4': expect.stringMatching(/^it waits for g\/a!1, which does not queue/),
      'g/a!5': 'it depends on itself: g/a!5 → g/a!5',
    });
  });

  it('whatever depends on what: everybody queues behind what it needs or is held, in the same order however they are given', () => {
    const requests = fc.array(
      fc.record({
        needs: fc.array(fc.nat({ max: 8 }), { maxLength: 3 }),
        since: fc.nat({ max: 4 }),
        first: fc.boolean(),
        draft: fc.nat({ max: 5 }).map((n) => n === 0),
      }),
      { maxLength: 9 },
    );
    fc.assert(
      fc.property(requests, fc.infiniteStream(fc.nat()), (given, shuffle) => {
        const all = given.map(({ needs, since, first, draft }, iid) =>
          queued(iid, {
            ready: draft ? { why: 'it is a draft' } : { since },
            ...(first ? { first: 'ann' } : {}),
            needs: needs.map((need) => open(need)),
          }),
        );
        const found = inOrder(all);
        expect(found.queued.length + found.held.length).toBe(all.length);
        const names = found.queued.map(nameOf);
        for (const request of found.queued) {
          expect('since' in request.ready).toBe(true);
          for (const need of request.needs) {
            expect(names.indexOf(nameOf(need))).toBeGreaterThanOrEqual(0);
            expect(names.indexOf(nameOf(need))).toBeLessThan(names.indexOf(nameOf(request)));
          }
        }
        for (const { why } of found.held) expect(why).toMatch(/^it /);
        const keyed = all.map((request) => ({ request, key: shuffle.next().value }));
        const shuffled = keyed.sort((a, b) => a.key - b.key).map(({ request }) => request);
        expect(order(shuffled)).toEqual(names);
      }),
      { numRuns: 300 },
    );
  });

  it('is one queue for projects that an open dependency joins, also through a third', () => {
    const requests = [
      queued(1, { needs: [open(1, 'g/b')] }),
      queued(2, { project: 'g/b', needs: [open(1, 'g/c')] }),
      queued(3, { project: 'g/d', needs: [{ ...open(1, 'g/c'), state: 'merged' }] }),
    ];
    expect(joined(['g/d', 'g/c', 'g/b', 'g/a'], requests)).toEqual([['g/a', 'g/b', 'g/c'], ['g/d']]);
  });
});

describe('the window', () => {
  const many = (end: 'merged' | 'taken out', count: number) => Array<typeof end>(count).fill(end);

  it('starts at four, grows by one, is halved, and is never less than three or more than the quota', () => {
    expect(windowAfter([], 8)).toBe(4);
    expect(windowAfter([], 2)).toBe(2);
    expect(windowAfter([], 8, 6)).toBe(6);
    expect(windowAfter(many('merged', 3), 8)).toBe(7);
    expect(windowAfter(many('merged', 30), 8)).toBe(8);
    expect(windowAfter([...many('merged', 3), 'taken out'], 8)).toBe(3);
    expect(windowAfter(many('taken out', 9), 8)).toBe(3);
    expect(windowAfter([...many('taken out', 9), 'merged'], 8)).toBe(4);
    expect(windowAfter(many('taken out', 9), 2)).toBe(2);
    expect(windowAfter([...many('merged', 2), 'taken out'], 8, 1)).toBe(1);
    expect(windowAfter([], 0, 0)).toBe(1);
  });
});

describe('Depends-On', () => {
  const read = (description: string) =>
    dependsOn(description, {
      gitlabUrl: 'https://gitlab.test/root/',
      project: 'g/a',
      projects: ['g/a', 'g/sub/b', 'G2/c'],
    });
  const refs = (description: string): string[] => read(description).needs.map(nameOf);

  it('names a merge request by its number, its project, or its address; each once', () => {
    const text = [
      'Takes the new field.',
      '',
      'Depends-On: !12',
      '  depends-on:   g/sub/b!3  ',
      'DEPENDS-ON: https://gitlab.test/root/g/sub/b/-/merge_requests/3',
      'Depends-On: g/a!12',
      'This depends-on: !4 is no line of its own.',
    ].join('\r\n');
    expect(refs(text)).toEqual(['g/a!12', 'g/sub/b!3']);
    expect(read(text).faults).toEqual([]);
    expect(read('')).toEqual({ needs: [], faults: [] });
  });

  it('names a project as the topology does, in whatever letters it is written', () => {
    expect(refs('Depends-On: G/A!1\nDepends-On: g2/C!2')).toEqual(['g/a!1', 'G2/c!2']);
  });

  it.each(['other/project!5', 'g/b!1', 'https://gitlab.test/root/other/project/-/merge_requests/5'])(
    'is told of no project but the topology’s: %j',
    (text) => {
      expect(read(`Depends-On: ${text}\nDepends-On: !2`)).toEqual({
        needs: [{ project: 'g/a', iid: 2 }],
        faults: [`Depends-On: ${text} is of no project of this topology`],
      });
    },
  );

  it.each([
    'https://gitlab.test.evil.test/root/g/b/-/merge_requests/3',
    'https://gitlab.test/g/b/-/merge_requests/3',
    'https://gitlab.test/root/g/b/-/merge_requests/3/diffs',
    'https://gitlab.test/root/g/../b/-/merge_requests/3',
    '!0',
    '!12 and !13',
    'b!3',
    '../b!3',
    '',
    '!1234567890',
  ])('tells what is none: %j', (text) => {
    const { needs, faults } = read(`Depends-On: ${text}`);
    expect(needs).toEqual([]);
    expect(faults).toEqual([expect.stringMatching(/^Depends-On: .* is no merge request; write /)]);
  });

  it('reads twenty lines, and takes time by the length alone', () => {
    const many = Array.from({ length: 21 }, (_, i) => `Depends-On: !${i + 1}`).join('\n');
    expect(read(many).needs).toHaveLength(20);
    expect(read(many).faults).toEqual(['21 lines Depends-On, and 20 are read']);
    const began = performance.now();
    for (const hostile of ['Depends-On: ', 'depends-on:\t', ' ', 'Depends-On: a/', '\n'])
      read(hostile.repeat(1_000_000 / hostile.length));
    expect(performance.now() - began).toBeLessThan(2000);
  });
});
