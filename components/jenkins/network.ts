import type { types } from '@pulumi/kubernetes';
import { buildWays, GATE_PORT, publicBlock } from '../../stacks/builds';
import { namespacesOf } from '../../stacks/namespaces';
import type { Model } from '../model';
import { REGISTRY_PORT } from '../registry/config';
import type { Declaration } from '../shared/declaration';
import { inNamespaces, object } from '../shared/kubernetes';
import { labels, selector } from '../shared/naming';
import { agentNamespaces, JENKINS_PORT } from './names';

type Peer = types.input.networking.v1.NetworkPolicyPeer;
type EgressRule = types.input.networking.v1.NetworkPolicyEgressRule;

/** Who may open connections to Jenkins, and to the gate of a build; the namespaces deny all else that comes in. */
export function jenkinsNetwork(model: Model): Declaration[] {
  const { environment, jenkins } = model.settings;
  const { ci, agents, build } = namespacesOf(model.settings);
  const peers: Peer[] = [
    inNamespaces(...agentNamespaces(model.settings)),
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
    allow(
      'jenkins',
      ci,
      JENKINS_PORT,
      { matchLabels: selector('jenkins', 'jenkins') },
      known ? from : undefined,
    ),
    // A build hands over what it made; the gate asks for the password of that build.
    allow('agents', agents, GATE_PORT, {}, [inNamespaces(build)]),
  ];
}

/**
 * Where the Pods of image builds may connect to besides DNS. Whatever stands in a Dockerfile runs there: no way leads to
 * an API server, a node, a Service that is not named here, or a cloud's metadata.
 */
export function buildFence({ settings }: Model): EgressRule[] {
  const { ci, agents, registry } = namespacesOf(settings);
  const tcp = (port: number) => ({ protocol: 'TCP', port });
  return [
    // The agent in the Pod connects to Jenkins, not the other way round.
    { to: [inNamespaces(ci)], ports: [tcp(JENKINS_PORT)] },
    { to: [inNamespaces(agents)], ports: [tcp(GATE_PORT)] },
    // Base images of the topology's own; its proxy shows builds nothing else.
    ...(settings.registry.existing ? [] : [{ to: [inNamespaces(registry)], ports: [tcp(REGISTRY_PORT)] }]),
    ...buildWays(settings).map(({ cidr, ports }) => ({
      to: [{ ipBlock: publicBlock(cidr) }],
      ports: ports.map(tcp),
    })),
  ];
}
