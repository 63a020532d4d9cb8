import type { StackSettings } from '../../stacks/schema';
import {
  apiPorts,
  backendPorts,
  type EgressRule,
  gitlabPort,
  outside,
  portOf,
  registryPort,
  toMetrics,
  toNeighbours,
  toRegistry,
} from '../shared/network';

/** Port of the repository, where it is a bucket. */
export const repositoryPorts = ({ backup }: StackSettings): number[] =>
  backup?.repository.startsWith('s3:') ? [portOf(backup.repository.slice(3))] : [];

/**
 * Where backup Pods may connect to besides DNS. What they reach lies outside of the cluster: the ports are those that
 * the stack names. Databases and Jenkins need no opening: commands inside their containers go through the API server.
 */
export function backupEgress(settings: StackSettings, role: 'ci' | 'production'): EgressRule[] {
  const sources =
    role === 'ci' ? [gitlabPort(settings), registryPort(settings), ...backendPorts(settings)] : [];
  return [
    outside(...apiPorts(settings), ...repositoryPorts(settings), ...sources),
    ...(role === 'ci' ? [...toRegistry(settings), ...toNeighbours(settings)] : []),
    ...toMetrics(settings),
  ];
}
