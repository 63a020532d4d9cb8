import { writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Reconciler } from './reconciler';

/** Milliseconds between the beginnings of two looks. */
export const INTERVAL_MS = 60_000;
/** No two looks are closer together, in milliseconds, however young something is. */
const CLOSEST_MS = 3_000;

/** Milliseconds to the next look, after one that took some. */
export function pauseAfter(took: number, wanted: number | undefined, interval = INTERVAL_MS): number {
  const regular = interval - took;
  return Math.max(CLOSEST_MS, wanted === undefined ? regular : Math.min(regular, wanted));
}

/**
 * Looks again and again until it is told to stop; a look that has begun comes to its end.
 * @param alive file that is written at each look, and at each project of one, by which a look that hangs is found
 */
export async function reconcileForever(
  reconciler: Pick<Reconciler, 'look'>,
  { signal, alive, interval }: { signal: AbortSignal; alive?: string; interval?: number },
): Promise<void> {
  while (!signal.aborted) {
    const beat = (): void => {
      if (alive) writeFileSync(alive, '');
    };
    beat();
    const began = performance.now();
    const wanted = await reconciler.look(beat);
    await sleep(pauseAfter(performance.now() - began, wanted, interval), undefined, { signal }).catch(
      () => undefined,
    );
  }
}
