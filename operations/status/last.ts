import type { Release } from '../../catalog/ledger';
import { type LedgerEvent, short } from '../../delivery/ledger';

/** How what is released came into the ledger last. */
export interface LastRelease {
  /**
   * `merge`: a deploy of its merge request. `rollback`: a person went back to it, by a command or a job. `undone`: what was
   * released after it did not hold. `by hand`: somebody changed the ledger in GitLab.
   */
  readonly how: 'merge' | 'rollback' | 'undone' | 'by hand';
  /** RFC 3339; absent where it was by hand. */
  readonly at?: string;
  /** Author of the merge request, or who rolled back; absent where nobody is behind it. */
  readonly by?: string;
}

/** @param events of this module, newest first */
export function lastOf(events: readonly LedgerEvent[], { commit }: Pick<Release, 'commit'>): LastRelease {
  const [newest] = events;
  if (newest?.to !== short(commit)) return { how: 'by hand' };
  const { at, back, why } = newest;
  if (back?.how === 'undone') return { how: 'undone', at };
  // One that goes forward by `--to` takes nothing back, and says so only in its reason.
  const how = back || why?.startsWith('rolled back') ? 'rollback' : 'merge';
  return { how, at, by: newest.by ?? newest.author };
}
