import { isOneCluster } from '../../stacks/clusters';
import { namespacesOf } from '../../stacks/namespaces';
import type { StackSettings } from '../../stacks/schema';
import { type EgressRule, outside, portOf, REGISTRY_PORT, toNamespace } from '../shared/network';

// What a stack's settings say of where its Pods connect to.

/** API servers are no Pods: their addresses differ from site to site, so their ports alone are named. */
export const apiPorts = ({ clusters: { ci, production } }: StackSettings): number[] => [
  ...new Set([...ci.apiPorts, ...production.apiPorts]),
];

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
