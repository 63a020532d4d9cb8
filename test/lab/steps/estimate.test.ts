import fc from 'fast-check';
import { describeWork, roughly, timeLeft, type Work } from '../../../lab/estimate';

const packages = (done: number, total: number): Work => ({ done, total, unit: 'packages' });

describe('timeLeft', () => {
  test('of a step without counted work is what is missing to its last time', () => {
    expect(timeLeft(4000, undefined, { milliseconds: 10_000 })).toBe(6000);
  });
  test('is unknown for a step that never ran here, and for one over its last time', () => {
    expect(timeLeft(4000)).toBeUndefined();
    expect(timeLeft(11_000, undefined, { milliseconds: 10_000 })).toBeUndefined();
  });
  test('at its start goes by the last time per package, so a half-filled cache counts', () => {
    const last = { milliseconds: 600_000, units: 2000 };
    expect(timeLeft(0, packages(0, 2000), last)).toBe(600_000);
    expect(timeLeft(0, packages(0, 500), last)).toBe(150_000);
  });
  test('the first time goes by the pace of this run, and is unknown without', () => {
    expect(timeLeft(0, packages(0, 100), undefined, 200)).toBe(20_000);
    expect(timeLeft(0, packages(0, 100))).toBeUndefined();
  });
  test('turns from the pace of before to its own while it goes on', () => {
    const last = { milliseconds: 100_000, units: 1000 };
    // Half done, twice as slow as the last time: half of the rest at either pace.
    expect(timeLeft(100_000, packages(500, 1000), last)).toBe(500 * 150);
    expect(timeLeft(100_000, packages(1000, 1000), last)).toBe(0);
  });
  test('does not judge by its first few packages', () => {
    expect(timeLeft(60_000, packages(5, 1000))).toBeUndefined();
    expect(timeLeft(60_000, packages(100, 1000))).toBe(540_000);
  });
  test('is never negative and never without a number', () => {
    const count = fc.nat(5000);
    fc.assert(
      fc.property(
        fc.nat(10 ** 7),
        count,
        count,
        fc.nat(10 ** 7),
        count,
        (elapsed, done, total, ms, units) => {
          const left = timeLeft(elapsed, packages(done, total), { milliseconds: ms, units });
          if (left !== undefined) {
            expect(left).toBeGreaterThanOrEqual(0);
            expect(Number.isFinite(left)).toBe(true);
          }
        },
      ),
    );
  });
});

test('estimates look as exact as they are', () => {
  expect([200, 41_000, 89_000, 200_000, 3_540_000, 3_900_000].map(roughly)).toEqual([
    '5s',
    '45s',
    '2m',
    '3m',
    '59m',
    '1h05m',
  ]);
});

test('work reads as a sentence, and says nothing that is not known', () => {
  expect(describeWork(packages(412, 1833), 240_000)).toBe('412 of 1833 packages, about 4m left');
  expect(describeWork({ done: 41.7, total: 101.2, unit: 'MB' }, undefined)).toBe('42 of 101 MB');
  expect(describeWork({ done: 3.2, total: 0, unit: 'MB' }, undefined)).toBe('3 MB');
  expect(describeWork(undefined, 30_000)).toBe('about 30s left');
  expect(describeWork(undefined, undefined)).toBe('');
  expect(describeWork(packages(12, 10), undefined)).toBe('10 of 10 packages');
});
