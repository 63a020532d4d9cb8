import type { types } from '@pulumi/kubernetes';
import { openBlock, publicBlock } from '../../catalog/addresses';
import { isOneCluster } from '../../stacks/clusters';
import { namespacesOf } from '../../stacks/namespaces';
import type { StackSettings } from '../../stacks/schema';
import { JENKINS_PORT, jenkinsEndpoint } from './jenkins-endpoint';

/** A way out, as a network policy has it. */
export type EgressRule = types.input.networking.v1.NetworkPolicyEgressRule;

/** Port of an address, by what its scheme says where it names none. */
export const portOf = (url: string): number => {
  const { port, protocol } = new URL(url);
  return port ? Number(port) : protocol === 'http:' ? 80 : 443;
};

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

/** API servers are no Pods: their addresses differ from site to site, so their ports alone are named. */
export const apiPorts = ({ clusters: { ci, production } }: StackSettings): number[] => [
  ...new Set([...ci.apiPorts, ...production.apiPorts]),
];

/** Port that the registry's clients reach, whether the registry or the proxy before it listens there. */
export const REGISTRY_PORT = 5000;

/** An agent connects to Jenkins, not the other way round. */
export const toJenkins = (settings: StackSettings): EgressRule =>
  toNamespace(jenkinsEndpoint(settings).namespace, JENKINS_PORT);

/** Where an agent that runs no foreign code finds Jenkins, also where that is another site's. */
export const toJenkinsAnywhere = (settings: StackSettings): EgressRule[] => {
  const url = settings.jenkins.existing?.agentsUrl;
  return [toJenkins(settings), ...(url ? [outside(portOf(url))] : [])];
};

export const gitlabPort = ({ gitlab }: StackSettings): number => portOf(gitlab.url);

export const registryPort = ({ registry }: StackSettings): number =>
  portOf(`${registry.scheme}://${registry.address}`);

/** Behind its address, as most networks see it, the registry is this Pod. */
export const toRegistry = (settings: StackSettings): EgressRule[] =>
  settings.registry.existing ? [] : [toNamespace(namespacesOf(settings).registry, REGISTRY_PORT)];

/** What the stack says stands in the ci cluster itself, behind addresses that it names elsewhere. */
export const toNeighbours = ({ egress }: StackSettings): EgressRule[] =>
  egress.map(({ namespace, ports }) => toNamespace(namespace, ...ports));

/** Where metrics are pushed to. */
export const toMetrics = ({ metrics }: StackSettings): EgressRule[] =>
  metrics
    ? [
        metrics.namespace
          ? toNamespace(metrics.namespace, portOf(metrics.pushgateway))
          : outside(portOf(metrics.pushgateway)),
      ]
    : [];

/** Ports of the stores that the state is kept in; a cloud's own store answers at 443. */
export const backendPorts = ({ backend, stateCopies }: StackSettings): number[] =>
  [backend, stateCopies].flatMap((url) => {
    if (url === undefined || url.startsWith('file:')) return [];
    const store = url.startsWith('https:')
      ? url
      : URL.canParse(url)
        ? new URL(url).searchParams.get('endpoint')
        : null;
    if (!store) return [443];
    // An endpoint without a scheme is taken for https.
    const address = /^https?:/.test(store) ? store : `https://${store}`;
    return [URL.canParse(address) ? portOf(address) : 443];
  });

/** Where Pods go that change an environment: its clusters, GitLab, registry and state. */
export const changingPorts = (settings: StackSettings): number[] => {
  const { clusters } = settings;
  const { server } = clusters.production;
  return [
    ...apiPorts(settings),
    ...(server && !isOneCluster(clusters) ? [portOf(server)] : []),
    gitlabPort(settings),
    registryPort(settings),
    ...backendPorts(settings),
  ];
};
