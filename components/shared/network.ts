import type { types } from '@pulumi/kubernetes';
import { openBlock, publicBlock } from '../../catalog/addresses';

/** A way out, as a network policy has it. */
export type EgressRule = types.input.networking.v1.NetworkPolicyEgressRule;

/** Port of an address, by what its scheme says where it names none. */
export const portOf = (url: string): number => {
  const { port, protocol } = new URL(url);
  return port ? Number(port) : protocol === 'http:' ? 80 : 443;
};

/** Ports that an API server usually has: of its Service, and its own. */
export const API_PORTS: readonly number[] = [443, 6443];

/** Pods of other namespaces, by the namespaces' names. */
export const inNamespaces = (...values: string[]): types.input.networking.v1.NetworkPolicyPeer => ({
  namespaceSelector: {
    matchExpressions: [{ key: 'kubernetes.io/metadata.name', operator: 'In', values }],
  },
});

const tcp = (port: number) => ({ protocol: 'TCP', port });

/** Pods of another namespace, at these ports, or at whatever they take connections. */
export const toNamespace = (namespace: string, ...ports: number[]): EgressRule => ({
  to: [inNamespaces(namespace)],
  ...(ports.length > 0 ? { ports: ports.map(tcp) } : {}),
});

/** Pods of the same namespace. */
export const toSameNamespace: EgressRule = { to: [{ podSelector: {} }] };

/**
 * What lies outside of the cluster, at addresses that no selector knows: by its ports alone, and never where machines
 * are told who they are.
 */
export const outside = (...ports: number[]): EgressRule => ({
  to: ['0.0.0.0/0', '::/0'].map((cidr) => ({ ipBlock: openBlock(cidr) })),
  ports: [...new Set(ports)].sort((a, b) => a - b).map(tcp),
});

/** A range that a file names, at its ports. */
export const toRange = ({
  cidr,
  ports,
}: {
  readonly cidr: string;
  readonly ports: readonly number[];
}): EgressRule => ({
  to: [{ ipBlock: publicBlock(cidr) }],
  ports: ports.map(tcp),
});

/** Port that the registry's clients reach, whether the registry or the proxy before it listens there. */
export const REGISTRY_PORT = 5000;
