import { setTimeout } from 'node:timers/promises';

/** What waits for something looks at it by this: tests have one that takes no time. */
export interface Clock {
  /** Milliseconds. */
  now(): number;
  sleep(milliseconds: number): Promise<void>;
}

/** The real one, which no change of the system's time moves. */
export const realClock: Clock = {
  now: () => performance.now(),
  sleep: (milliseconds) => setTimeout(milliseconds),
};
