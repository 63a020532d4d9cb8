import type { Restic } from '../restic';
import type { BackupItem } from '../run';
import type { Snapshot } from '../snapshots';

/**
 * The environment's Pulumi state, as `pulumi stack export` gives it: its secrets stay encrypted.
 * @param folder holds Pulumi.yaml
 * @param env PULUMI_BACKEND_URL or a login, and what that backend asks for
 */
export declare function stateItems(
  environment: string,
  folder: string,
  env: Readonly<Record<string, string | undefined>>,
): BackupItem[];

/** The state of a snapshot, for `pulumi stack import`: its text, proved to be JSON. */
export declare function readState(restic: Restic, snapshot: Snapshot): Promise<string>;
