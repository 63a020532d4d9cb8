import fc from 'fast-check';
import { type Clock, POLICY, retry, retryAfterMs } from '../../clients/retry';

/** A clock whose pauses take no time, and what they were. */
function fakeClock(random = () => 0.5): Clock & { readonly pauses: number[] } {
  let now = 0;
  const pauses: number[] = [];
  return {
    pauses,
    random,
    now: () => now,
    sleep: async (ms) => {
      pauses.push(ms);
      now += ms;
    },
  };
}
const failing = (times: number) => {
  let calls = 0;
  return async () => {
    calls += 1;
    if (calls <= times) throw new Error(`fault ${calls}`);
    return calls;
  };
};

test('what fails for a while succeeds, after pauses that grow and are drawn from all they may be', async () => {
  const clock = fakeClock();
  expect(await retry(failing(4), { again: () => true, clock })).toBe(5);
  expect(clock.pauses).toEqual([250, 500, 1000, 2000]);
});

test('what may not be repeated is done once, and its own fault is thrown', async () => {
  const clock = fakeClock();
  await expect(retry(failing(1), { again: () => false, clock })).rejects.toThrow('fault 1');
  expect(clock.pauses).toEqual([]);
});

test('a pause that the answer asks for is kept, unless it is longer than all may take', async () => {
  const clock = fakeClock();
  await retry(failing(1), { again: () => true, after: () => 20_000, clock });
  expect(clock.pauses).toEqual([20_000]);
  await expect(retry(failing(1), { again: () => true, after: () => 3_600_000, clock })).rejects.toThrow(
    'fault 1',
  );
});

test('no try begins after the limit in all, and none gets more time than is left', () =>
  fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 20 }),
      fc.integer({ min: 1, max: 60_000 }),
      fc.double({ min: 0, max: 0.999, noNaN: true }),
      async (attempts, totalMs, random) => {
        const clock = fakeClock(() => random);
        const given: number[] = [];
        const work = async (attemptMs: number) => {
          given.push(attemptMs);
          expect(clock.now()).toBeLessThanOrEqual(totalMs);
          expect(clock.now() + attemptMs).toBeLessThanOrEqual(totalMs + 1);
          throw new Error('never');
        };
        const policy = { attempts, totalMs };
        await expect(retry(work, { again: () => true, policy, clock })).rejects.toThrow('never');
        expect(given.length).toBeLessThanOrEqual(attempts);
        for (const pause of clock.pauses) expect(pause).toBeLessThanOrEqual(POLICY.capMs);
      },
    ),
  ));

test.each([
  ['7', 7000],
  ['Thu, 01 Jan 1970 00:00:09 GMT', 8000],
  ['Thu, 01 Jan 1970 00:00:00 GMT', 0],
  ['soon', undefined],
  [null, undefined],
])('Retry-After %s', (header, ms) => expect(retryAfterMs(header, 1000)).toBe(ms));
