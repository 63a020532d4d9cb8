import { clusterWide, namespacesOf } from '../../stacks/namespaces';
import { yamlText } from '../../text/yaml';
import type { Declaration } from '../shared/declaration';
import { appliedProgram, repositoryFiles } from '../shared/files';
import { kubernetesKinds } from '../shared/kinds';
import { fencedNamespace, object } from '../shared/kubernetes';
import { labels, names } from '../shared/naming';
import type { EgressRule } from '../shared/network';
import { inputRef } from '../shared/references';
import type { FullSpec } from './defaults';
import { otherEnvironmentSecrets } from './environments';
import { STATE_SECRET } from './names';
import { agentAccess, agentsDisk } from './namespaces';
import { changingWaysOut, driftWaysOut, previewWaysOut } from './network';

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

/** Kinds that an environment has where a module of it scales. */
const OF_SCALING: readonly string[] = ['horizontalpodautoscalers', 'apiservices'];

/** Kinds that an environment has where a module of it migrates its data. */
const OF_MIGRATIONS: readonly string[] = ['jobs'];

/** API group of a type token; empty for the core's. */
const groupOf = (type: string): string => type.replace(/^kubernetes:(core)?/, '').replace(/\/.*$/, '');

/** What the look for drift compares with: every kind that may be declared, but Secrets. The plug-in looks at a workload's parts too, to tell whether it is ready. */
const look = ({ autoscaled, migrated }: Pick<TopologyProject, 'autoscaled' | 'migrated'>) =>
  [
    ...kubernetesKinds()
      .filter(
        ([, plural]) =>
          plural !== 'secrets' &&
          (autoscaled || !OF_SCALING.includes(plural)) &&
          (migrated || !OF_MIGRATIONS.includes(plural)),
      )
      .map(([type, resource]) => ({ apiGroups: [groupOf(type)], resources: [resource] })),
    { apiGroups: [''], resources: ['pods', 'events'] },
    { apiGroups: ['apps'], resources: ['replicasets', 'controllerrevisions'] },
    { apiGroups: ['discovery.k8s.io'], resources: ['endpointslices'] },
  ].map((rule) => ({ ...rule, verbs: ['get', 'list'] }));

const about = (spec: FullSpec, name: string) => ({
  name,
  component: 'jenkins',
  environment: spec.environment,
  purpose: 'ci',
});

/** A namespace's account, and the kubeconfig that uses it, for the contexts that the stack names. */
function accountOf(
  spec: FullSpec,
  prefix: string,
  { namespace, account, after }: { namespace: string; account: string; after: string },
): Declaration[] {
  const options = { dependsOn: [after] };
  const within = (name: string) => ({ namespace, name, labels: labels(about(spec, prefix)) });
  const mounted = '/var/run/secrets/kubernetes.io/serviceaccount';
  // A production cluster of its own is not reached from here: its context must not lead to this one.
  const { cluster: ci, production } = spec;
  const contexts =
    production.server === undefined ? [...new Set([ci.context, production.context])].sort() : [ci.context];
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
    object('kubernetes:core/v1:ServiceAccount', `${prefix}-account`, 'ci', within(account), {}, options),
    object(
      'kubernetes:core/v1:ConfigMap',
      `${prefix}-kubeconfig`,
      'ci',
      within('kubeconfig'),
      { data: { config: yamlText(kubeconfig, { sortMapEntries: true }) } },
      options,
    ),
  ];
}

/** A namespace for agents of one purpose, with an account of its own and the kubeconfig that uses it. */
function agentNamespace(
  spec: FullSpec,
  prefix: string,
  namespace: string,
  account: string,
  egress: readonly EgressRule[],
): Declaration[] {
  return [
    ...fencedNamespace({
      prefix,
      namespace,
      provider: 'ci',
      labels: about(spec, prefix),
      quota: { pods: 10, cpu: '8', memory: '16Gi', disk: agentsDisk(10), claims: 0 },
      egress,
      pullFrom: spec.registry,
    }),
    ...agentAccess(spec, prefix, namespace, labels(about(spec, prefix))),
    ...accountOf(spec, prefix, { namespace, account, after: `${prefix}-namespace` }),
  ];
}

function clusterBinding(
  spec: FullSpec,
  name: string,
  role: string,
  accounts: readonly { readonly name: string; readonly namespace: string }[],
  dependsOn: readonly string[],
): Declaration {
  return object(
    `kubernetes:${RBAC}/v1:ClusterRoleBinding`,
    name,
    'ci',
    { name: clusterWide(spec, `switchyard-${name}`), labels: labels(about(spec, name)) },
    {
      roleRef: { apiGroup: RBAC, kind: 'ClusterRole', name: role },
      subjects: accounts.map((account) => ({ kind: 'ServiceAccount', ...account })),
    },
    { dependsOn },
  );
}

/** What an agent may look at. */
function lookAccess(
  spec: FullSpec,
  prefix: 'preview' | 'drift',
  allowed: {
    readonly rules: typeof READ;
    readonly subjects: readonly { readonly name: string; readonly namespace: string }[];
    readonly accounts: readonly string[];
  },
): Declaration[] {
  const reader = clusterWide(spec, `switchyard-${prefix}-reader`);
  const common = labels(about(spec, prefix));
  return [
    object(
      `kubernetes:${RBAC}/v1:ClusterRole`,
      `${prefix}-reader`,
      'ci',
      { name: reader, labels: common },
      { rules: allowed.rules },
    ),
    clusterBinding(spec, `${prefix}-reading`, reader, allowed.subjects, [
      `${prefix}-reader`,
      ...allowed.accounts,
    ]),
  ];
}

/**
 * Where drift is looked for on a schedule. Neither its account nor its token may change anything, and it is given a
 * state without secrets, as a preview is.
 */
function driftResources(spec: FullSpec, project: TopologyProject): Declaration[] {
  const { watcher } = names;
  const { drift: namespace } = namespacesOf(spec);
  const common = labels(about(spec, 'drift'));
  const place = { prefix: 'drift', namespace, provider: 'ci', labels: common } as const;
  return [
    ...agentNamespace(spec, 'drift', namespace, watcher, driftWaysOut(spec)),
    ...repositoryFiles(spec.files, place),
    appliedProgram(spec.program, place),
    ...lookAccess(spec, 'drift', {
      rules: look(project),
      subjects: [{ name: watcher, namespace }],
      accounts: ['drift-account'],
    }),
    object(
      'kubernetes:core/v1:Secret',
      'drift-environment',
      'ci',
      { namespace, name: 'drift-environment', labels: common },
      { stringData: { GITLAB_TOKEN: inputRef('watcherToken', project.watcherToken) } },
      { dependsOn: ['drift-namespace'] },
    ),
  ];
}

type TopologyProject = NonNullable<FullSpec['topologyProject']>;

const valuesOf = (variables: TopologyProject['applyEnvironment']) =>
  Object.fromEntries(Object.entries(variables).map(([name, value]) => [name, inputRef(name, value)]));

/** What the Pods are given that read all of the state: they take its secrets out, and cut it for its modules. */
export function stateResources(spec: FullSpec): Declaration[] {
  if (!spec.state) return [];
  const { deploy: namespace } = namespacesOf(spec);
  const after = 'deploy-namespace';
  const where = { namespace, name: STATE_SECRET, labels: labels(about(spec, names.state)) };
  const stringData = valuesOf(spec.state);
  return [
    ...accountOf(spec, 'state', { namespace, account: names.state, after }),
    object(
      'kubernetes:core/v1:Secret',
      'state-environment',
      'ci',
      where,
      { stringData },
      { dependsOn: [after] },
    ),
  ];
}

/**
 * What previews and applies merge requests on this repository itself, where the stack asks for it. The preview Pod runs
 * code that nobody has reviewed: see docs/decisions/0006-previews-hold-no-secret.md.
 */
export function topologyPipelineResources(spec: FullSpec): Declaration[] {
  const { topologyProject } = spec;
  if (!topologyProject) return [];
  const namespaces = namespacesOf(spec);
  return [
    ...agentNamespace(spec, 'preview', namespaces.preview, names.previewer, previewWaysOut(spec)),
    ...lookAccess(spec, 'preview', {
      rules: READ,
      subjects: [
        { name: names.previewer, namespace: namespaces.preview },
        // Counts the nodes, where the state's secrets are taken out.
        { name: names.state, namespace: namespaces.deploy },
      ],
      accounts: ['preview-account', 'state-account'],
    }),
    ...driftResources(spec, topologyProject),
    ...(topologyProject.apply === 'automatic'
      ? [
          ...agentNamespace(spec, 'apply', namespaces.apply, names.applier, changingWaysOut(spec)),
          clusterBinding(
            spec,
            'apply-all',
            'cluster-admin',
            [{ name: names.applier, namespace: namespaces.apply }],
            ['apply-account'],
          ),
          object(
            'kubernetes:core/v1:Secret',
            'apply-environment',
            'ci',
            { namespace: namespaces.apply, name: 'apply-environment', labels: labels(about(spec, 'apply')) },
            { stringData: valuesOf(topologyProject.applyEnvironment) },
            { dependsOn: ['apply-namespace'] },
          ),
        ]
      : []),
    ...otherEnvironmentSecrets(spec),
  ];
}
