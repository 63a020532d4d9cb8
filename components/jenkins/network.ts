import type { types } from '@pulumi/kubernetes';
import { ProblemsError } from '../../catalog/problems';
import { buildWays, GATE_PORT } from '../../stacks/builds';
import { parseStack, stackFile } from '../../stacks/load';
import { namespacesOf } from '../../stacks/namespaces';
import type { StackSettings } from '../../stacks/schema';
import { repositoryPorts } from '../backup/network';
import type { Model } from '../model';
import type { Declaration } from '../shared/declaration';
import { JENKINS_PORT } from '../shared/jenkins-endpoint';
import { object } from '../shared/kubernetes';
import { labels, selector } from '../shared/naming';
import {
  apiPorts,
  changingPorts,
  type EgressRule,
  gitlabPort,
  inNamespaces,
  outside,
  registryPort,
  toJenkins,
  toJenkinsAnywhere,
  toMetrics,
  toNamespace,
  toNeighbours,
  toRange,
  toRegistry,
} from '../shared/network';
import { otherEnvironments } from './environments';
import { agentNamespaces } from './names';

type Peer = types.input.networking.v1.NetworkPolicyPeer;

/** Who may open connections to Jenkins, and to the gate of a build; the namespaces deny all else that comes in. */
export function jenkinsNetwork(model: Model): Declaration[] {
  const { environment, jenkins } = model.settings;
  const { ci, agents, build, reconciler } = namespacesOf(model.settings);
  const peers: Peer[] = [
    inNamespaces(...agentNamespaces(model.settings), reconciler),
    {
      namespaceSelector: {
        matchLabels: { 'app.kubernetes.io/part-of': 'switchyard', 'switchyard.dev/purpose': 'test' },
      },
    },
  ];
  // Only an ingress says by which way people and hooks come in. What arrives through a node's port, or through
  // something of the site's own, has an address that no selector knows.
  const known = jenkins.ingress !== undefined && jenkins.nodePort === undefined;
  const from: Peer[] = [
    ...peers,
    ...(jenkins.ingress ? [inNamespaces(jenkins.ingress.namespace)] : []),
    ...(jenkins.metrics ? [inNamespaces(jenkins.metrics.namespace)] : []),
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
    ...(jenkins.existing
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

/**
 * Where the Pods of image builds may connect to besides DNS. Whatever stands in a Dockerfile runs there: no way leads to
 * an API server, a node, a Service that is not named here, or a cloud's metadata.
 */
export function buildWaysOut({ settings }: Model): EgressRule[] {
  return [
    toJenkins(settings),
    toNamespace(namespacesOf(settings).agents, GATE_PORT),
    // Base images of the topology's own; its proxy shows builds nothing else.
    ...toRegistry(settings),
    ...buildWays(settings).map(toRange),
  ];
}

/** Where Jenkins connects to: GitLab, and the API server that starts its agents. */
export const controllerWaysOut = ({ settings }: Model): EgressRule[] => [
  ...toNeighbours(settings),
  outside(...apiPorts(settings), gitlabPort(settings)),
];

/** Where `delivery` Pods connect to. */
export const deliveryWaysOut = ({ settings }: Model): EgressRule[] => [
  ...toJenkinsAnywhere(settings),
  ...toRegistry(settings),
  ...toNeighbours(settings),
  // API servers: how test Pods start.
  outside(...settings.clusters.ci.apiPorts, gitlabPort(settings), registryPort(settings)),
];

/** Where Pods connect to that back up what was released. */
export const releaseBackupWaysOut = ({ settings }: Model): EgressRule[] => [
  ...toJenkinsAnywhere(settings),
  ...toRegistry(settings),
  ...toMetrics(settings),
  ...toNeighbours(settings),
  outside(gitlabPort(settings), registryPort(settings), ...repositoryPorts(settings)),
];

/** Settings of the other environments that this one's Pods work for, as far as their files can be read. */
function othersOf({ settings, files }: Model): StackSettings[] {
  return otherEnvironments(settings).flatMap(({ environment }) => {
    const file = stackFile(environment);
    try {
      return [parseStack(files.stacks[file] ?? '', `stacks/${file}`, environment)];
    } catch (error) {
      // What is wrong with it is told where that environment is checked.
      if (error instanceof ProblemsError) return [];
      throw error;
    }
  });
}

/** Where Pods connect to that change this environment, or work for others: their clusters, GitLab, registry and state. */
export const changingWaysOut = (model: Model): EgressRule[] => [
  ...toJenkinsAnywhere(model.settings),
  ...toRegistry(model.settings),
  ...toNeighbours(model.settings),
  outside(...[model.settings, ...othersOf(model)].flatMap(changingPorts)),
];

/** Where a merge request's own program connects to: names, API servers by their ports, and Jenkins. */
export const previewWaysOut = (model: Model): EgressRule[] => [
  toJenkins(model.settings),
  // Whatever else answers on 443 can be reached too: the fence that counts is that the Pod holds nothing worth sending there.
  outside(...[model.settings, ...othersOf(model)].flatMap(apiPorts)),
];

/** Where the look for drift goes: API servers, GitLab, Jenkins, and the Pushgateway. */
export const driftWaysOut = ({ settings }: Model): EgressRule[] => [
  ...toJenkinsAnywhere(settings),
  ...toNeighbours(settings),
  outside(...apiPorts(settings), gitlabPort(settings)),
  ...toMetrics(settings),
];
