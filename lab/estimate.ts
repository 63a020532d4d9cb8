/** How far a step is, in units of its own. */
export interface Work {
  done: number;
  total: number;
  unit: 'packages' | 'MB';
}

/** What a step took on this machine the last time that it ran. */
export interface Took {
  milliseconds: number;
  /** Units of work that it did in that time. */
  units?: number;
}

/** Shares of the work and counts below which a step's own pace says nothing yet. */
const KNOWN_SHARE = 0.03;
const KNOWN_UNITS = 10;

/**
 * Milliseconds that are left of a step, or undefined while there is no way to know.
 * @param elapsed milliseconds since the step, or its counted work, began
 * @param last what it took here the last time
 * @param pace milliseconds per unit of the same kind in this very run, for a step that never ran here
 */
export function timeLeft(elapsed: number, work?: Work, last?: Took, pace?: number): number | undefined {
  if (work && work.total > 0) {
    const share = Math.min(work.done / work.total, 1);
    const own = work.done >= KNOWN_UNITS && share >= KNOWN_SHARE ? elapsed / work.done : undefined;
    const before = last?.units ? last.milliseconds / last.units : pace;
    if (own === undefined && before === undefined) return undefined;
    // The farther a step is, the more its own pace counts: packages differ, and so does what runs beside it.
    const per = share * (own ?? before ?? 0) + (1 - share) * (before ?? own ?? 0);
    return Math.max(0, work.total - work.done) * per;
  }
  if (!last) return undefined;
  // Longer than the last time: nobody knows how much longer.
  return last.milliseconds > elapsed ? last.milliseconds - elapsed : undefined;
}

/** `45s`, `3m`, `1h05m`: as exact as an estimate may look. */
export function roughly(milliseconds: number): string {
  const seconds = Math.max(5, Math.ceil(milliseconds / 5000) * 5);
  if (seconds < 90) return `${seconds}s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes}m`;
  return `${Math.floor(minutes / 60)}h${String(minutes % 60).padStart(2, '0')}m`;
}

/** `412 of 1833 packages, about 4m left`; empty when nothing is known. */
export function describeWork(work: Work | undefined, left: number | undefined): string {
  const parts: string[] = [];
  if (work) {
    const rounded = (value: number): number => (work.unit === 'MB' ? Math.round(value) : value);
    parts.push(
      work.total > 0
        ? `${rounded(Math.min(work.done, work.total))} of ${rounded(work.total)} ${work.unit}`
        : `${rounded(work.done)} ${work.unit}`,
    );
  }
  if (left !== undefined) parts.push(`about ${roughly(left)} left`);
  return parts.join(', ');
}
