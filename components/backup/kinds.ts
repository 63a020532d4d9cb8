import type { Module, ServiceUse } from '../../catalog/load';
import { type BackupKind, backupKinds as kinds } from '../../stacks/backup';
import { isOneCluster } from '../../stacks/clusters';
import type { Model } from '../model';
import { serviceOf } from '../production/access';

/** The services of a module that are made here and can be dumped. */
export const dumpedServices = (model: Model, module: Module): ServiceUse[] =>
  module.services.filter((use) => {
    const { backup } = serviceOf(model, use);
    return !use.existing && backup !== undefined && 'dump' in backup;
  });

/** Which cluster backs up what. Databases are dumped where they run; all else is reached from the ci cluster. */
export function backupKinds(model: Model): Record<'ci' | 'production', readonly BackupKind[]> {
  const wanted = kinds.filter((kind) => {
    if (kind === 'databases') return model.modules.some((module) => dumpedServices(model, module).length > 0);
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
