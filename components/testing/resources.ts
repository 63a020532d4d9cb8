import { agentResources, diskOf, TEST_ACCOUNT } from '../../catalog/containers';
import { entryOf } from '../../catalog/entry';
import type { Module } from '../../catalog/load';
import { type NamespaceSettings, namespacesOf } from '../../stacks/namespaces';
import type { Model } from '../model';
import type { Declaration } from '../shared/declaration';
import { fencedNamespace, object } from '../shared/kubernetes';
import { labels, names } from '../shared/naming';
import { toJenkins, toRange } from '../shared/network';
import { bytes, millicores, wholeCores, wholeGibibytes } from '../shared/quantities';

/** What Robot and Jenkins' agent ask for beside the module in a test Pod (delivery/test-pod.ts). */
const BESIDE: { readonly cpu: number; readonly memory: number; readonly disk: number } = {
  cpu: 100,
  memory: bytes('192Mi'),
  disk: bytes(diskOf({})) + bytes(agentResources.limits['ephemeral-storage']),
};

/** So many test Pods at a time, each with everything that the module brings. */
function quota(model: Model, module: Module) {
  const { parallel } = model.settings.testing;
  const parts = [
    module.resources,
    ...module.services.map(
      (use) => use.resources ?? entryOf(model.catalog.services, use.kind)?.resources ?? module.resources,
    ),
  ];
  const one = {
    cpu: parts.reduce((sum, { cpu }) => sum + millicores(cpu), BESIDE.cpu),
    memory: parts.reduce((sum, { memory }) => sum + bytes(memory), BESIDE.memory),
    disk: parts.reduce((sum, part) => sum + bytes(diskOf(part)), BESIDE.disk),
  };
  return {
    pods: parallel,
    cpu: wholeCores(Math.max(parallel * 1000, parallel * one.cpu)),
    memory: wholeGibibytes(Math.max(parallel * bytes('2Gi'), parallel * one.memory)),
    disk: wholeGibibytes(parallel * one.disk),
    // Tests keep their data in the Pod: what would outlive it would be the next test's surprise.
    claims: 0,
  };
}

/** What Jenkins may do where its agents run, and nowhere else. */
export function agentRole(
  settings: NamespaceSettings,
  prefix: string,
  namespace: string,
  common: Record<string, string>,
): Declaration[] {
  const within = { namespace, name: 'jenkins-agents', labels: common };
  const after = { dependsOn: [`${prefix}-namespace`] };
  const all = ['create', 'delete', 'get', 'list', 'patch', 'update', 'watch'];
  return [
    object(
      'kubernetes:rbac.authorization.k8s.io/v1:Role',
      `${prefix}-agents-role`,
      'ci',
      within,
      {
        rules: [
          { apiGroups: [''], resources: ['pods', 'persistentvolumeclaims'], verbs: all },
          { apiGroups: [''], resources: ['pods/exec'], verbs: ['create', 'get'] },
          { apiGroups: [''], resources: ['pods/log', 'events'], verbs: ['get', 'list', 'watch'] },
        ],
      },
      after,
    ),
    object(
      'kubernetes:rbac.authorization.k8s.io/v1:RoleBinding',
      `${prefix}-agents-binding`,
      'ci',
      within,
      {
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'jenkins-agents' },
        subjects: [{ kind: 'ServiceAccount', name: 'jenkins', namespace: namespacesOf(settings).ci }],
      },
      { dependsOn: [`${prefix}-agents-role`] },
    ),
  ];
}

/** A right to some kinds in a test namespace, for an account of another one. */
function testingRole(
  prefix: string,
  within: { readonly namespace: string; readonly labels: Record<string, string> },
  account: { readonly name: string; readonly namespace: string },
  right: { readonly resources: readonly string[]; readonly verbs: readonly string[] },
): Declaration[] {
  const { name } = account;
  return [
    object(
      'kubernetes:rbac.authorization.k8s.io/v1:Role',
      `${prefix}-${name}-role`,
      'ci',
      { ...within, name },
      { rules: [{ apiGroups: [''], resources: [...right.resources], verbs: [...right.verbs] }] },
      { dependsOn: [`${prefix}-namespace`] },
    ),
    object(
      'kubernetes:rbac.authorization.k8s.io/v1:RoleBinding',
      `${prefix}-${name}-binding`,
      'ci',
      { ...within, name },
      {
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name },
        subjects: [{ kind: 'ServiceAccount', ...account }],
      },
      { dependsOn: [`${prefix}-${name}-role`] },
    ),
  ];
}

/** The namespace in which one module's test Pods run. */
export function testingResources(model: Model, module: Module): Declaration[] {
  const prefix = `testing-${module.name}`;
  const namespaces = namespacesOf(model.settings);
  const namespace = namespaces.test(module.name);
  const about = {
    name: module.name,
    component: 'testing',
    environment: model.settings.environment,
    module: module.name,
    purpose: 'test',
  };
  const within = { namespace, labels: labels(about) };
  return [
    ...fencedNamespace({
      prefix,
      namespace,
      provider: 'ci',
      labels: about,
      quota: quota(model, module),
      // A test that opens ports on nodes or orders load balancers reaches beyond its namespace.
      caps: { 'services.nodeports': '0', 'services.loadbalancers': '0' },
      // The module and its services share one Pod, so they need no way out at all.
      egress: [toJenkins(model.settings), ...module.test.egress.map(toRange)],
      pullFrom: model.settings.registry.address,
    }),
    object(
      'kubernetes:core/v1:ServiceAccount',
      `${prefix}-account`,
      'ci',
      { namespace, name: TEST_ACCOUNT, labels: labels(about) },
      // Pods that a test's author writes get the pull secret without naming it, and no token unless they ask.
      { automountServiceAccountToken: false, imagePullSecrets: [{ name: names.pullSecret }] },
      { dependsOn: [`${prefix}-pull`] },
    ),
    ...agentRole(model.settings, prefix, namespace, labels(about)),
    // Kubernetes has no rights by label: `delivery reap` checks those.
    ...testingRole(
      prefix,
      within,
      { name: names.reaper, namespace: namespaces.reaper },
      { resources: ['pods', 'persistentvolumeclaims', 'secrets'], verbs: ['list', 'delete'] },
    ),
    // How a test Pod starts: `delivery test-pod-watch`.
    ...testingRole(
      prefix,
      within,
      { name: names.delivery, namespace: namespaces.agents },
      { resources: ['pods', 'events'], verbs: ['list'] },
    ),
  ];
}
