import { stringify } from 'yaml';
import { isOneCluster } from '../../stacks/clusters';
import { neededSecrets, stackVariables } from '../../stacks/secrets';
import type { Model } from '../model';
import type { Declaration } from '../shared/declaration';
import { fencedNamespace, object } from '../shared/kubernetes';
import { labels, names } from '../shared/naming';
import { givenRef } from '../shared/references';
import { agentRole } from '../testing/resources';
import { otherEnvironmentSecrets } from './environments';

const RBAC = 'rbac.authorization.k8s.io';

/** What a preview compares with live objects: kinds of the topology that hold no secret. */
const READ = [
  {
    apiGroups: [''],
    resources: ['namespaces', 'nodes', 'persistentvolumeclaims', 'resourcequotas', 'limitranges'],
  },
  { apiGroups: [''], resources: ['services', 'serviceaccounts'] },
  { apiGroups: ['apps'], resources: ['deployments', 'statefulsets', 'daemonsets'] },
  { apiGroups: ['autoscaling'], resources: ['horizontalpodautoscalers'] },
  { apiGroups: ['networking.k8s.io'], resources: ['networkpolicies'] },
  { apiGroups: ['policy'], resources: ['poddisruptionbudgets'] },
  { apiGroups: [RBAC], resources: ['roles', 'rolebindings'] },
].map((rule) => ({ ...rule, verbs: ['get', 'list'] }));

const about = (model: Model, name: string) => ({
  name,
  component: 'jenkins',
  environment: model.settings.environment,
  purpose: 'ci',
});

/** A namespace for agents of one purpose, with an account of its own and the kubeconfig that uses it. */
function agentNamespace(model: Model, prefix: string, namespace: string, account: string): Declaration[] {
  const { clusters, registry } = model.settings;
  const common = labels(about(model, prefix));
  const within = (name: string) => ({ namespace, name, labels: common });
  const after = { dependsOn: [`${prefix}-namespace`] };
  const mounted = '/var/run/secrets/kubernetes.io/serviceaccount';
  // A production cluster of its own is not reached from here: its context must not lead to this one.
  const { ci, production } = clusters;
  const contexts = isOneCluster(clusters)
    ? [...new Set([ci.context, production.context])].sort()
    : [ci.context];
  const kubeconfig = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [
      {
        name: 'cluster',
        cluster: { server: 'https://kubernetes.default.svc', 'certificate-authority': `${mounted}/ca.crt` },
      },
    ],
    users: [{ name: account, user: { tokenFile: `${mounted}/token` } }],
    contexts: contexts.map((name) => ({ name, context: { cluster: 'cluster', user: account, namespace } })),
    'current-context': ci.context,
  };
  return [
    ...fencedNamespace({
      prefix,
      namespace,
      provider: 'ci',
      labels: about(model, prefix),
      quota: { pods: 10, cpu: '8', memory: '16Gi', claims: 0 },
      pullFrom: registry.address,
    }),
    ...agentRole(prefix, namespace, common),
    object('kubernetes:core/v1:ServiceAccount', `${prefix}-account`, 'ci', within(account), {}, after),
    object(
      'kubernetes:core/v1:ConfigMap',
      `${prefix}-kubeconfig`,
      'ci',
      within('kubeconfig'),
      { data: { config: stringify(kubeconfig, { sortMapEntries: true }) } },
      after,
    ),
  ];
}

function clusterBinding(
  model: Model,
  name: string,
  role: string,
  accounts: readonly { readonly name: string; readonly namespace: string }[],
  dependsOn: readonly string[],
): Declaration {
  return object(
    `kubernetes:${RBAC}/v1:ClusterRoleBinding`,
    name,
    'ci',
    { name: `switchyard-${name}`, labels: labels(about(model, name)) },
    {
      roleRef: { apiGroup: RBAC, kind: 'ClusterRole', name: role },
      subjects: accounts.map((account) => ({ kind: 'ServiceAccount', ...account })),
    },
    { dependsOn },
  );
}

/**
 * What previews and applies merge requests on this repository itself, where the stack asks for it. The preview Pod runs
 * code that nobody has reviewed: see docs/decisions/0006-previews-hold-no-secret.md.
 */
export function topologyPipelineResources(model: Model): Declaration[] {
  const { topologyProject } = model.settings;
  if (!topologyProject) return [];
  const { previewNamespace, applyNamespace } = names;
  const preview = labels(about(model, 'preview'));
  return [
    ...agentNamespace(model, 'preview', previewNamespace, names.previewer),
    object(
      `kubernetes:${RBAC}/v1:ClusterRole`,
      'preview-reader',
      'ci',
      { name: 'switchyard-preview-reader', labels: preview },
      { rules: READ },
    ),
    clusterBinding(
      model,
      'preview-reading',
      'switchyard-preview-reader',
      [
        { name: names.previewer, namespace: previewNamespace },
        // Counts the nodes, where the state's secrets are taken out.
        { name: names.deployer, namespace: names.deployNamespace },
      ],
      ['preview-reader', 'preview-account', 'deploy-account'],
    ),
    object(
      'kubernetes:networking.k8s.io/v1:NetworkPolicy',
      'preview-fence',
      'ci',
      { namespace: previewNamespace, name: 'fence', labels: preview },
      {
        spec: {
          podSelector: {},
          policyTypes: ['Egress'],
          egress: [
            // Names, API servers by their ports, and Jenkins. Whatever else answers on 443 can be reached too: the
            // fence that counts is that the Pod holds nothing worth sending there.
            {
              ports: [
                { protocol: 'UDP', port: 53 },
                { protocol: 'TCP', port: 53 },
                { protocol: 'TCP', port: 443 },
                { protocol: 'TCP', port: 6443 },
              ],
            },
            {
              to: [
                { namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': names.ciNamespace } } },
              ],
              ports: [{ protocol: 'TCP', port: 8080 }],
            },
          ],
        },
      },
      { dependsOn: ['preview-namespace'] },
    ),
    ...(topologyProject.apply === 'automatic'
      ? [
          ...agentNamespace(model, 'apply', applyNamespace, names.applier),
          clusterBinding(
            model,
            'apply-all',
            'cluster-admin',
            [{ name: names.applier, namespace: applyNamespace }],
            ['apply-account'],
          ),
          object(
            'kubernetes:core/v1:Secret',
            'apply-environment',
            'ci',
            { namespace: applyNamespace, name: 'apply-environment', labels: labels(about(model, 'apply')) },
            {
              stringData: Object.fromEntries(
                neededSecrets(stackVariables(model.settings)).map(({ variable }) => [
                  variable,
                  givenRef(variable),
                ]),
              ),
            },
            { dependsOn: ['apply-namespace'] },
          ),
        ]
      : []),
    ...otherEnvironmentSecrets(model),
  ];
}
