import type { Registry } from '../../registry';
import type { Restic } from '../restic';
import type { BackupItem } from '../run';
import type { Snapshot } from '../snapshots';

/**
 * Images that ledgers name, one OCI layout (tar) each. One that was stored once is never read again.
 * @param references `<repository>@<digest>`, e.g. `modules/orders@sha256:…`
 */
export declare function imageItems(registry: Registry, references: readonly string[]): BackupItem[];

/** `{repository, digest}` of a `registry` item. */
export declare function imageOf(item: string): { readonly repository: string; readonly digest: string };

/** Pushes an image under its digest and the tags it had; every blob is proved by the registry. */
export declare function restoreImage(
  restic: Restic,
  snapshot: Snapshot,
  registry: Registry,
): Promise<'restored' | 'unchanged'>;
