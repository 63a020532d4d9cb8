import type { types } from '@pulumi/kubernetes';
import { GATE_PORT } from '../../stacks/builds';
import { namespacesOf } from '../../stacks/namespaces';
import type { Declaration } from '../shared/declaration';
import { JENKINS_PORT, jenkinsEndpoint } from '../shared/jenkins-endpoint';
import { object } from '../shared/kubernetes';
import { labels, selector } from '../shared/naming';
import { type EgressRule, inNamespaces, outside, portOf, toNamespace, toRange } from '../shared/network';
import type { FullSpec } from './defaults';
import { agentNamespaces } from './names';

type Peer = types.input.networking.v1.NetworkPolicyPeer;

/** Who may open connections to Jenkins, and to the gate of a build; the namespaces deny all else that comes in. */
export function jenkinsNetwork(spec: FullSpec): Declaration[] {
  const { environment, ingress, metrics, nodePort } = spec;
  const { ci, agents, build, reconciler } = namespacesOf(spec);
  const peers: Peer[] = [
    inNamespaces(...agentNamespaces(spec), reconciler),
    {
      namespaceSelector: {
        matchLabels: { 'app.kubernetes.io/part-of': 'switchyard', 'switchyard.dev/purpose': 'test' },
      },
    },
  ];
  // Only an ingress says by which way people and hooks come in. What arrives through a node's port, or through
  // something of the site's own, has an address that no selector knows.
  const known = ingress !== undefined && nodePort === undefined;
  const from: Peer[] = [
    ...peers,
    ...(ingress ? [inNamespaces(ingress.namespace)] : []),
    ...(metrics ? [inNamespaces(metrics.namespace)] : []),
  ];
  const allow = (
    name: string,
    namespace: string,
    port: number,
    podSelector: types.input.meta.v1.LabelSelector,
    sources?: Peer[],
  ) =>
    object(
      'kubernetes:networking.k8s.io/v1:NetworkPolicy',
      `${name}-allow-${port}`,
      'ci',
      {
        namespace,
        name: `allow-${port}`,
        labels: labels({ name, component: 'jenkins', environment }),
      },
      {
        spec: {
          podSelector,
          policyTypes: ['Ingress'],
          ingress: [{ ...(sources ? { from: sources } : {}), ports: [{ protocol: 'TCP', port }] }],
        },
      },
      { dependsOn: [`${name}-namespace`] },
    );
  return [
    ...(spec.existing
      ? []
      : [
          allow(
            'jenkins',
            ci,
            JENKINS_PORT,
            { matchLabels: selector('jenkins', 'jenkins') },
            known ? from : undefined,
          ),
        ]),
    // A build hands over what it made; the gate asks for the password of that build.
    allow('agents', agents, GATE_PORT, {}, [inNamespaces(build)]),
  ];
}

/** An agent connects to Jenkins, not the other way round. */
const toJenkins = (spec: FullSpec): EgressRule => toNamespace(jenkinsEndpoint(spec).namespace, JENKINS_PORT);

/** Where an agent that runs no foreign code finds Jenkins, also where that is another site's. */
const toJenkinsAnywhere = (spec: FullSpec): EgressRule[] => {
  const url = spec.existing?.agentsUrl;
  return [toJenkins(spec), ...(url ? [outside(portOf(url))] : [])];
};

const apiPorts = ({ cluster, production }: FullSpec): number[] => [
  ...cluster.apiPorts,
  ...production.apiPorts,
];
const gitlabPort = ({ gitlab }: FullSpec): number => portOf(gitlab.url);
const registryPort = ({ registry }: FullSpec): number => portOf(`${registry.scheme}://${registry.address}`);

/**
 * Where the Pods of image builds may connect to besides DNS. Whatever stands in a Dockerfile runs there: no way leads to
 * an API server, a node, a Service that is not named here, or a cloud's metadata.
 */
export function buildWaysOut(spec: FullSpec): EgressRule[] {
  const { builds = [{ cidr: '0.0.0.0/0', ports: [443] }], registry = [] } = spec.network;
  return [
    toJenkins(spec),
    toNamespace(namespacesOf(spec).agents, GATE_PORT),
    // Base images of the topology's own; its proxy shows builds nothing else.
    ...registry,
    ...builds.map(toRange),
  ];
}

/** Where Jenkins connects to: GitLab, and the API server that starts its agents. */
export const controllerWaysOut = (spec: FullSpec): EgressRule[] => [
  ...(spec.network.neighbours ?? []),
  outside(...apiPorts(spec), gitlabPort(spec)),
];

/** Where `delivery` Pods connect to. */
export const deliveryWaysOut = (spec: FullSpec): EgressRule[] => [
  ...toJenkinsAnywhere(spec),
  ...(spec.network.registry ?? []),
  ...(spec.network.neighbours ?? []),
  // API servers: how test Pods start.
  outside(...spec.cluster.apiPorts, gitlabPort(spec), registryPort(spec)),
];

/** Where Pods connect to that back up what was released. */
export const releaseBackupWaysOut = (spec: FullSpec): EgressRule[] => [
  ...toJenkinsAnywhere(spec),
  ...(spec.network.registry ?? []),
  ...(spec.network.metrics ?? []),
  ...(spec.network.neighbours ?? []),
  outside(gitlabPort(spec), registryPort(spec), ...(spec.releaseBackup?.ports ?? [])),
];

/** Where Pods connect to that change this environment, or work for others: their clusters, GitLab, registry and state. */
export const changingWaysOut = (spec: FullSpec): EgressRule[] => [
  ...toJenkinsAnywhere(spec),
  ...(spec.network.registry ?? []),
  ...(spec.network.neighbours ?? []),
  outside(...(spec.network.changing ?? [...apiPorts(spec), gitlabPort(spec), registryPort(spec)])),
];

/** Where a merge request's own program connects to: names, API servers by their ports, and Jenkins. */
export const previewWaysOut = (spec: FullSpec): EgressRule[] => [
  toJenkins(spec),
  // Whatever else answers on 443 can be reached too: the fence that counts is that the Pod holds nothing worth sending there.
  outside(...(spec.network.previews ?? apiPorts(spec))),
];

/** Where the look for drift goes: API servers, GitLab, Jenkins, and the Pushgateway. */
export const driftWaysOut = (spec: FullSpec): EgressRule[] => [
  ...toJenkinsAnywhere(spec),
  ...(spec.network.neighbours ?? []),
  outside(...apiPorts(spec), gitlabPort(spec)),
  ...(spec.network.metrics ?? []),
];

/** Where the reconciler goes: GitLab, the API server, and Jenkins. */
export const reconcilerWaysOut = (spec: FullSpec): EgressRule[] => [
  outside(gitlabPort(spec), ...spec.cluster.apiPorts),
  ...toJenkinsAnywhere(spec),
  ...(spec.network.neighbours ?? []),
];
