import type { types } from '@pulumi/kubernetes';
import { namespacesOf } from '../../stacks/namespaces';
import type { Model } from '../model';
import { REGISTRY_PORT } from '../registry/config';
import { inNamespaces } from '../shared/kubernetes';
import { portOf } from '../shared/network';

type EgressRule = types.input.networking.v1.NetworkPolicyEgressRule;

/** Port of the S3 store that a state backend is kept in; a cloud's own store answers at 443. */
function backendPort(backend: string): number[] {
  if (!/^(s3|https):/.test(backend)) return [443];
  const endpoint = backend.startsWith('https:') ? backend : new URL(backend).searchParams.get('endpoint');
  return [endpoint && URL.canParse(endpoint) ? portOf(endpoint) : 443];
}

/**
 * Where backup Pods may connect to besides DNS. What they reach lies outside of the cluster, at addresses that no
 * selector knows: the ports are those that the stack names. Databases and Jenkins need no opening: commands inside their
 * containers go through the API server, which answers at one of two ports.
 */
export function backupEgress(model: Model, role: 'ci' | 'production'): EgressRule[] {
  const { backup, backend, gitlab, metrics, registry } = model.settings;
  const repository = backup?.repository.startsWith('s3:') ? [portOf(backup.repository.slice(3))] : [];
  const sources =
    role === 'ci'
      ? [portOf(gitlab.url), portOf(`${registry.scheme}://${registry.address}`), ...backendPort(backend)]
      : [];
  const pushed = metrics && !metrics.namespace ? [portOf(metrics.pushgateway)] : [];
  const ports = [...new Set([443, 6443, ...repository, ...sources, ...pushed])].sort((a, b) => a - b);
  return [
    { ports: ports.map((port) => ({ protocol: 'TCP', port })) },
    // Behind its address, as most networks see it, the registry is this Pod.
    ...(role === 'ci' && !registry.existing
      ? [
          {
            to: [inNamespaces(namespacesOf(model.settings).registry)],
            ports: [{ protocol: 'TCP', port: REGISTRY_PORT }],
          },
        ]
      : []),
    ...(metrics?.namespace
      ? [
          {
            to: [inNamespaces(metrics.namespace)],
            ports: [{ protocol: 'TCP', port: portOf(metrics.pushgateway) }],
          },
        ]
      : []),
  ];
}
