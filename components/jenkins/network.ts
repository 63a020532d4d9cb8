import type { types } from '@pulumi/kubernetes';
import { namespacesOf } from '../../stacks/namespaces';
import type { Model } from '../model';
import type { Declaration } from '../shared/declaration';
import { inNamespaces, object } from '../shared/kubernetes';
import { labels, selector } from '../shared/naming';
import { agentNamespaces, BUILDKIT_PORT, JENKINS_PORT } from './names';

type Peer = types.input.networking.v1.NetworkPolicyPeer;

/** Who may open connections to Jenkins and to BuildKit; the namespaces deny all else that comes in. */
export function jenkinsNetwork(model: Model): Declaration[] {
  const { environment, jenkins } = model.settings;
  const agents: Peer[] = [
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
    ...agents,
    ...(jenkins.ingress ? [inNamespaces(jenkins.ingress.namespace)] : []),
    ...(jenkins.metrics ? [inNamespaces(jenkins.metrics.namespace)] : []),
  ];
  const allow = (
    name: string,
    where: { namespace: string; name: string; component: string },
    port: number,
    peers?: Peer[],
  ) =>
    object(
      'kubernetes:networking.k8s.io/v1:NetworkPolicy',
      `${name}-allow-${port}`,
      'ci',
      {
        namespace: where.namespace,
        name: `allow-${port}`,
        labels: labels({ name: where.name, component: where.component, environment }),
      },
      {
        spec: {
          podSelector: { matchLabels: selector(where.name, where.component) },
          policyTypes: ['Ingress'],
          ingress: [{ ...(peers ? { from: peers } : {}), ports: [{ protocol: 'TCP', port }] }],
        },
      },
      { dependsOn: [`${name}-namespace`] },
    );
  return [
    allow(
      'jenkins',
      { namespace: namespacesOf(model.settings).ci, name: 'jenkins', component: 'jenkins' },
      JENKINS_PORT,
      known ? from : undefined,
    ),
    // Whoever reaches BuildKit may run what they like in it: only the Pods that build images do.
    allow(
      'build',
      { namespace: namespacesOf(model.settings).build, name: 'buildkitd', component: 'buildkit' },
      BUILDKIT_PORT,
      [inNamespaces(namespacesOf(model.settings).agents)],
    ),
  ];
}
