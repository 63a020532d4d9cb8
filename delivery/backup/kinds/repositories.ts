import type { GitRemote } from '../../git';
import type { Restic } from '../restic';
import type { BackupItem } from '../run';
import type { Snapshot } from '../snapshots';

/** A GitLab project. */
export interface Project {
  /** Item name: the path below the group, or in full where it lies elsewhere. */
  readonly item: string;
  readonly remote: GitRemote;
}

/** Branches and tags of projects, one bundle each; what `git ls-remote` gives tells whether one has changed. */
export declare function repositoryItems(projects: readonly Project[]): BackupItem[];

/**
 * Pushes a project's branches and tags, and makes sure that they arrived. Refs that the backup does not know stay.
 * @param over replace branches that hold commits which the backup does not have (a README that GitLab made)
 * @throws Failure that names those branches, without `over`; nothing was pushed then
 */
export declare function restoreRepository(
  restic: Restic,
  snapshot: Snapshot,
  remote: GitRemote,
  options?: { readonly over?: boolean },
): Promise<'restored' | 'unchanged'>;
