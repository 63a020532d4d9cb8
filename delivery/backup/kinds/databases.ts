import { exitCode, Failure } from '../../../clients/failure';
import type { Place, PodExec } from '../../../clients/pod-exec';
import { type NamespaceSettings, namespacesOf } from '../../../stacks/namespaces';
import type { Restic } from '../restic';
import type { BackupItem } from '../run';
import type { Snapshot } from '../snapshots';

/** How a service is dumped and restored: commands in its own container, whose environment holds the password. */
export interface DatabaseBackup {
  /** Prints a consistent dump and ends with 0. */
  readonly dump: readonly string[];
  /** Reads that dump and ends with 0 when all of it was taken. */
  readonly restore: readonly string[];
  /**
   * Ends the server, for one that loads what `restore` put beside its data when it starts (Redis). The container
   * starts again by itself; the restore is done when it is ready.
   */
  readonly restart?: readonly string[];
  /** Prints what is equal when the rows are equal; for drills. */
  readonly fingerprint?: readonly string[];
}

export interface Database {
  readonly module: string;
  /** Name of the instance: `use.name` of the module's service. */
  readonly service: string;
  readonly place: Place;
  readonly backup: DatabaseBackup;
}

/** Where a module's service runs in production: the only Pod of its StatefulSet. */
export const databasePlace = (settings: NamespaceSettings, module: string, service: string): Place => ({
  namespace: namespacesOf(settings).production(module),
  pod: `${service}-0`,
  container: service,
});

/** Dumps of databases; item `<module>/<service>`. */
export function databaseItems(exec: Pick<PodExec, 'read'>, databases: readonly Database[]): BackupItem[] {
  return databases.map(({ module, service, place, backup }) => ({
    kind: 'databases',
    item: `${module}/${service}`,
    open: async () => ({ stream: exec.read(place, backup.dump) }),
  }));
}

/** Waits for the container, feeds it the dump, restarts it where that is how the server loads it. */
export async function restoreDatabase(
  restic: Pick<Restic, 'read'>,
  snapshot: Snapshot,
  exec: Pick<PodExec, 'ready' | 'write' | 'restart'>,
  { module, service, place, backup }: Database,
): Promise<void> {
  if (snapshot.item !== `${module}/${service}`) {
    throw new Failure(
      exitCode.input,
      `databases: ${snapshot.item} is not restored into ${module}/${service}.`,
    );
  }
  await exec.ready(place);
  await exec.write(place, backup.restore, restic.read(snapshot));
  if (backup.restart) await exec.restart(place, backup.restart);
}
