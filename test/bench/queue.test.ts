import { plot } from '../../bench/queue/plot';
import { type Load, NEAR, pairsOf, type Strategy, simulate } from '../../bench/queue/simulate';

const atOnce = (count: number): Load => ({
  arrivals: { atOnce: count },
  pairs: 0,
  flaky: 0,
  spread: 0,
  horizon: 50,
  seed: 1,
});
const queue: Strategy = { kind: 'queue', most: 8 };

it('six at once, none of them at fault: all are merged in twice the time of one, where three would have been red', () => {
  expect(simulate(atOnce(1), queue)).toMatchObject({ last: 1, merged: 1, tests: 1 });
  expect(simulate(atOnce(6), queue)).toMatchObject({ last: 2, merged: 6, red: 0 });
  expect(simulate(atOnce(6), { kind: 'serial' })).toMatchObject({ last: 6, merged: 6, red: 0 });
  expect(simulate(atOnce(6), { kind: 'retry' })).toMatchObject({ merged: 3, red: 0.5, wronged: 3 });
});

it('eight at once take three test times from a window of four, and two from one of seven', () => {
  expect(simulate(atOnce(8), queue)).toMatchObject({ last: 3, merged: 8 });
  expect(simulate(atOnce(8), { kind: 'fixed', window: 7 })).toMatchObject({ last: 2, merged: 8 });
});

it('whoever breaks with another one is not merged, and nobody else is wronged', () => {
  const load: Load = { arrivals: 2, pairs: pairsOf(0.4), flaky: 0, spread: 0.3, horizon: 20, seed: 3 };
  const measured = simulate(load, queue);
  expect(measured).toMatchObject({ wronged: 0 });
  expect(measured.red).toBeGreaterThan(0);
  expect(measured.merged).toBeGreaterThan(10);
  expect(simulate(load, queue)).toEqual(measured);
});

it('pairs break as often as makes two of five break with one of fifteen others', () => {
  expect(1 - (1 - pairsOf(0.4)) ** (NEAR - 1)).toBeCloseTo(0.4);
});

it('a plot has a line for each strategy in each panel, and text as text', () => {
  const lines = [
    { name: 'a <b>', values: [1, 2] },
    { name: 'c', values: [3, 400] },
  ];
  const picture = plot(
    'x < y',
    [1, 2],
    [
      { title: 'one & all', lines, highest: 4 },
      { title: 'two', lines, highest: 4 },
    ],
  );
  expect(picture.match(/<polyline/g)).toHaveLength(4);
  expect(picture).toContain('a &lt;b&gt;');
  expect(picture).toContain('one &amp; all');
  expect(picture).toContain('<title>x &lt; y</title>');
  expect(picture).not.toContain('NaN');
  // What is above the highest stands at the edge.
  expect(picture).toMatch(/points="[\d.]+,124 [\d.]+,64"/);
});
