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
   * `repositories`: path of the project below its group, or in full where it lies elsewhere, and of each of its objects
   * in Git LFS that path and `@<digest>`; `registry`: `<repository>@<digest>`; `databases`: `<module>/<service>`;
   * `jenkins`: `home`; `state`: `stack`.
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

const lfsItemPattern = /^([^@\s]+)@sha256:([0-9a-f]{64})$/;

/** The item of an object in Git LFS. */
export const lfsItem = (project: string, oid: string): string => `${project}@sha256:${oid}`;

/** The project and the oid of such an item; undefined: it is another one. */
export function lfsOf({ kind, item }: Pick<Snapshot, 'kind' | 'item'>) {
  const [, project, oid] = (kind === 'repositories' && lfsItemPattern.exec(item)) || [];
  return project && oid ? { project, oid } : undefined;
}

/**
 * The backup to rebuild from: of each item the latest snapshot at or before a moment. A digest never means something
 * else, so images and objects of Git LFS count whenever they were read; the ledger or the history at that moment says
 * which of them are needed.
 * @param at Unix seconds; undefined: the latest of all
 * @returns in the order of kinds, then of items
 */
export function snapshotsAt(snapshots: readonly Snapshot[], at?: number): Snapshot[] {
  const latest = new Map<string, Snapshot>();
  for (const snapshot of snapshots) {
    const byDigest = snapshot.kind === 'registry' || lfsOf(snapshot) !== undefined;
    if (at !== undefined && !byDigest && snapshot.time > at) continue;
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
