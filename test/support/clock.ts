import type { Clock } from '../../operations/judge/clock';

/** A clock from 0 on, which a sleep moves and nothing else does. */
export function noTime(): Clock {
  let now = 0;
  return {
    now: () => now,
    sleep: async (milliseconds) => {
      now += milliseconds;
    },
  };
}
