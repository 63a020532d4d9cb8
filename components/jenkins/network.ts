import type { types } from '@pulumi/kubernetes';
import { namespacesOf } from '../../stacks/namespaces';
import type { Model } from '../model';
import type { Declaration } from '../shared/declaration';
import { object } from '../shared/kubernetes';
import { labels, selector } from '../shared/naming';
import { BUILDKIT_PORT, JENKINS_PORT } from './names';

type Peer = types.input.networking.v1.NetworkPolicyPeer;

const namespaceOf = (...values: string[]): Peer => ({
  namespaceSelector: {
    matchExpressions: [{ key: 'kubernetes.io/metadata.name', operator: 'In', values }],
  },
});

/** Who may open connections to Jenkins and to BuildKit; the namespaces deny all else that comes in. */
export function jenkinsNetwork(model: Model): Declaration[] {
  const { environment, jenkins, topologyProject } = model.settings;
  const agents: Peer[] = [
    namespaceOf(
      namespacesOf(model.settings).agents,
      namespacesOf(model.settings).deploy,
      ...(topologyProject ? [namespacesOf(model.settings).preview, namespacesOf(model.settings).drift] : []),
      ...(topologyProject?.apply === 'automatic' ? [namespacesOf(model.settings).apply] : []),
    ),
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
    ...(jenkins.ingress ? [namespaceOf(jenkins.ingress.namespace)] : []),
    ...(jenkins.metrics ? [namespaceOf(jenkins.metrics.namespace)] : []),
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
      [namespaceOf(namespacesOf(model.settings).agents)],
    ),
  ];
}
