import type { Place, PodExec } from '../exec';
import type { Restic } from '../restic';
import type { BackupItem } from '../run';
import type { Snapshot } from '../snapshots';

/** Folder of Jenkins' home in its container. */
export const JENKINS_HOME = '/var/jenkins_home';

/** Jenkins' home as a tar: jobs, builds, secrets; not what it makes anew (caches, unpacked war and plug-ins, workspaces). */
export declare function jenkinsItems(exec: PodExec, place: Place): BackupItem[];

/**
 * Unpacks Jenkins' home in a container that has the claim mounted while Jenkins does not run; it needs `tar` and `sh`.
 * @param folder where the claim is mounted there
 */
export declare function restoreJenkinsHome(
  restic: Restic,
  snapshot: Snapshot,
  exec: PodExec,
  place: Place,
  folder?: string,
): Promise<void>;
