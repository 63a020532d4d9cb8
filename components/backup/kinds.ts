import { dumpedServices } from '../../catalog/services';
import { type BackupKind, backupKinds as kinds } from '../../stacks/backup';
import { isOneCluster } from '../../stacks/clusters';
import type { Model } from '../model';

/** Which cluster backs up what. Databases are dumped where they run; all else is reached from the ci cluster. */
export function backupKinds(model: Model): Record<'ci' | 'production', readonly BackupKind[]> {
  const wanted = kinds.filter((kind) => {
    if (kind === 'databases')
      return model.modules.some((module) => dumpedServices(model.catalog.services, module).length > 0);
    // A Jenkins that stands already is its owner's to back up.
    return kind !== 'jenkins' || !model.settings.jenkins.existing;
  });
  return isOneCluster(model.settings.clusters)
    ? { ci: wanted, production: [] }
    : {
        ci: wanted.filter((kind) => kind !== 'databases'),
        production: wanted.filter((kind) => kind === 'databases'),
      };
}
