/** How one merge request ended at the gate. */
export type End = 'merged' | 'taken out';

/** Merge requests that are tested side by side before anything is known of how they end. */
export const START = 4;
/** No window gets smaller, unless it began so: with less, a few that fail hold up all others (zuul, `window-floor`). */
const LEAST = 3;

/**
 * How many merge requests of a project are tested side by side: one more after each that was merged, half of it after each that
 * was taken out, but not less than three, and never more than the quota holds. So Zuul does it (zuul/model.py, ChangeQueue:
 * linear by 1, exponential by 2), after TCP. It is counted anew from the ends that GitLab still tells, since nothing is
 * remembered.
 * @param ends oldest first
 * @param most test Pods that the quota holds
 */
export function windowAfter(ends: readonly End[], most: number, start = START): number {
  const limit = Math.max(1, most);
  const begin = Math.min(limit, Math.max(1, start));
  const least = Math.min(begin, LEAST);
  return ends.reduce(
    (window, end) =>
      end === 'merged' ? Math.min(limit, window + 1) : Math.max(least, Math.floor(window / 2)),
    begin,
  );
}
