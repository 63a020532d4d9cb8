import { type BackupKind, backupKinds } from '../../stacks/backup';

export const kinds = backupKinds;
export type Kind = BackupKind;

export const isKind = (text: string): text is Kind => (kinds as readonly string[]).includes(text);

/** One backed-up item at one time. */
export interface Snapshot {
  /** Restic's id, in full. */
  readonly id: string;
  /** Unix seconds. */
  readonly time: number;
  readonly kind: Kind;
  /**
   * `repositories`: path of the project below its group, or in full where it lies elsewhere; `registry`:
   * `<repository>@<digest>`; `databases`: `<module>/<service>`; `jenkins`: `home`; `state`: `stack`.
   */
  readonly item: string;
  /** Tells without reading whether the item has changed since. */
  readonly content?: string;
}

/** A whole kind was backed up without a fault: unchanged items have no snapshot of their own to say so. */
export interface Success {
  readonly id: string;
  readonly kind: Kind;
  /** Unix seconds. */
  readonly time: number;
}

/** What one environment's repository holds. */
export interface Holdings {
  /** Oldest first. */
  readonly snapshots: readonly Snapshot[];
  /** Oldest first. */
  readonly successes: readonly Success[];
}

/**
 * The backup to rebuild from: of each item the latest snapshot at or before a moment. A digest never means another
 * image, so an image counts whenever it was read; the ledger at that moment says which of them are needed.
 * @param at Unix seconds; undefined: the latest of all
 * @returns in the order of kinds, then of items
 */
export function snapshotsAt(snapshots: readonly Snapshot[], at?: number): Snapshot[] {
  const latest = new Map<string, Snapshot>();
  for (const snapshot of snapshots) {
    if (at !== undefined && snapshot.kind !== 'registry' && snapshot.time > at) continue;
    const key = `${snapshot.kind} ${snapshot.item}`;
    const known = latest.get(key);
    if (!known || known.time <= snapshot.time) latest.set(key, snapshot);
  }
  return [...latest.values()].sort(
    (a, b) => kinds.indexOf(a.kind) - kinds.indexOf(b.kind) || (a.item < b.item ? -1 : 1),
  );
}

/** The last time at which all of a kind was known to be backed up, at or before a moment; Unix seconds. */
export function lastSuccess(holdings: Holdings, kind: Kind, at?: number): number | undefined {
  const times = holdings.successes
    .filter((success) => success.kind === kind && (at === undefined || success.time <= at))
    .map(({ time }) => time);
  return times.length > 0 ? Math.max(...times) : undefined;
}
