import { dumpedServices } from '../../catalog/services';
import {
  type BackupKind,
  backsUpReleases,
  backupRepository,
  backupKinds as kinds,
} from '../../stacks/backup';
import { isOneCluster } from '../../stacks/clusters';
import { namespacesOf } from '../../stacks/namespaces';
import { repositoryRoot } from '../../stacks/registry';
import type { StackSettings } from '../../stacks/schema';
import { secretSources } from '../../stacks/secrets';
import type { BackupCluster, BackupSpec } from '../backup/backup';
import { type Sources, sourceVariables, type Variable } from '../backup/environment';
import { group } from '../gitlab/projects';
import { deliveryImage } from '../jenkins/images';
import type { Model } from '../model';
import { namespaceHandle } from '../shared/kubernetes';
import { type EgressRule, outside, portOf } from '../shared/network';
import { givenRef } from '../shared/references';
import { registryEndpoint } from '../shared/registry-login';
import {
  apiPorts,
  backendPorts,
  gitlabPort,
  registryPort,
  toMetrics,
  toNeighbours,
  toRegistry,
} from './network';

/** Which cluster backs up what. Databases are dumped where they run; all else is reached from the ci cluster. */
export function backupKinds(model: Model): Record<BackupCluster, readonly BackupKind[]> {
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

/** Where the repository is. */
export function repositoryVariables({ environment, backup, metrics }: StackSettings): Variable[] {
  if (!backup) return [];
  return [
    { name: 'RESTIC_REPOSITORY', value: backupRepository(backup.repository, environment) },
    { name: 'SWITCHYARD_ENVIRONMENT', value: environment },
    ...(metrics ? [{ name: 'METRICS_PUSHGATEWAY', value: metrics.pushgateway }] : []),
  ];
}

/** Port of the repository, where it is a bucket. */
export const repositoryPorts = ({ backup }: StackSettings): number[] =>
  backup?.repository.startsWith('s3:') ? [portOf(backup.repository.slice(3))] : [];

/** Where repositories and images are read from. */
const sourcesOf = ({ gitlab, registry, topologyProject }: StackSettings): Sources => ({
  gitlab,
  registry: { repositories: repositoryRoot({ registry }), scheme: registry.scheme },
  topologyProject,
});

/**
 * Where backup Pods may connect to besides DNS. What they reach lies outside of the cluster: the ports are those that
 * the stack names. Databases and Jenkins need no opening: commands inside their containers go through the API server.
 */
function egressOf(settings: StackSettings, role: BackupCluster): EgressRule[] {
  const sources =
    role === 'ci' ? [gitlabPort(settings), registryPort(settings), ...backendPorts(settings)] : [];
  return [
    outside(...apiPorts(settings), ...repositoryPorts(settings), ...sources),
    ...(role === 'ci' ? [...toRegistry(settings), ...toNeighbours(settings)] : []),
    ...toMetrics(settings),
  ];
}

/**
 * Variables with which the state backend is opened: those that deploys are given, without what decrypts the state, since
 * its copy stays encrypted, and without passwords of services that stand already.
 */
function backendVariables(model: Model): string[] {
  const services = model.modules.flatMap((module) =>
    module.services.flatMap((use) => {
      return use.existing ? [use.existing.credentialsFrom] : [];
    }),
  );
  const others = new Set<string>([secretSources.seed, 'PULUMI_CONFIG_PASSPHRASE', ...services]);
  return model.settings.deployEnvironment.filter((variable) => !others.has(variable));
}

/** Backups, where the stack has some. */
export function backupSpec(model: Model): BackupSpec | undefined {
  const { settings } = model;
  const { backend, backup, environment, gitlab, jenkins, registry, secrets } = settings;
  if (!backup) return undefined;
  const namespaces = namespacesOf(settings);
  const { credentialsFrom: keys } = backup;
  return {
    environment,
    namespace: namespaces.backup,
    settings: backup,
    credentials: keys && { accessKey: givenRef(keys.accessKey), secretKey: givenRef(keys.secretKey) },
    kinds: backupKinds(model),
    egress: { ci: egressOf(settings, 'ci'), production: egressOf(settings, 'production') },
    deliveryImage,
    registry: registryEndpoint(registry),
    releaseDays: registry.retention.releaseDays,
    gitlab,
    group,
    repository: repositoryVariables(settings),
    sources: sourceVariables(sourcesOf(settings)),
    backend: {
      url: backend,
      variables: Object.fromEntries(
        backendVariables(model).map((variable) => [variable, givenRef(variable)]),
      ),
    },
    files: model.files,
    // One that stands already is its owner's to back up.
    jenkins: jenkins.existing
      ? undefined
      : { prefix: 'jenkins', namespace: namespaces.ci, pods: ['jenkins-0'] },
    releases: backsUpReleases(backup)
      ? { namespace: namespaces.releaseBackup, after: namespaceHandle('release-backup') }
      : undefined,
    versions: secrets.versions,
    rotating: model.rotating,
  };
}
