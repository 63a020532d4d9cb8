import type { QueuedRequest } from '../../operations/queue/read';
import type { QueueFacts } from '../../operations/queue/tell';

/** A merge request that waits, in place `place`. */
export const waiting = (place: number, more: Partial<QueuedRequest> = {}): QueuedRequest => ({
  mergeRequest: place,
  title: `change ${place}`,
  author: 'ann',
  head: `${place}`.repeat(40).slice(0, 40),
  place,
  state: 'testing',
  with: Array.from({ length: place - 1 }, (_, index) => index + 1),
  since: '2026-11-28T10:00:00.000Z',
  says: `place ${place}: its tests run now`,
  ...more,
});

/** Queues of the test topology's one module. */
export const queuesOf = (
  requests: readonly QueuedRequest[],
  more: Partial<QueueFacts> = {},
  window = 4,
): QueueFacts => ({
  environment: 'test',
  at: '2026-11-28T10:20:00.000Z',
  modules: [
    {
      module: 'shop',
      project: 'switchyard/shop',
      window,
      most: 8,
      main: 'a'.repeat(40),
      requests,
    },
  ],
  without: [],
  problems: [],
  ...more,
});
