import { setTimeout as sleep } from 'node:timers/promises';
import { together } from '../../../operations/rebuild/together';

test('each item is worked on once, never more at a time than allowed', async () => {
  const done: number[] = [];
  let at = 0;
  let most = 0;
  await together([1, 2, 3, 4, 5], 2, async (item) => {
    most = Math.max(most, ++at);
    await sleep(item % 2 === 0 ? 1 : 3);
    at--;
    done.push(item);
  });
  expect(done.sort()).toEqual([1, 2, 3, 4, 5]);
  expect(most).toBe(2);
});

test('after a fault nothing is begun, what was begun ends, and the first fault is told', async () => {
  const begun: number[] = [];
  const ended: number[] = [];
  const run = together([1, 2, 3, 4], 2, async (item) => {
    begun.push(item);
    await sleep(item === 1 ? 1 : 10);
    if (item < 3) throw new Error(`fault of ${item}`);
    ended.push(item);
  });
  await expect(run).rejects.toThrow('fault of 1');
  expect(begun).toEqual([1, 2]);
  expect(ended).toEqual([]);
});

test('without items there is nothing to wait for', async () => {
  await together([], 3, () => Promise.reject(new Error('never')));
});
