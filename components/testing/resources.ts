import { agentResources, CARRIER_RESOURCES, diskOf, TEST_ACCOUNT } from '../../catalog/containers';
import { entryOf } from '../../catalog/entry';
import { agentRole, rightIn } from '../shared/agent-access';
import type { Declaration } from '../shared/declaration';
import { JENKINS_PORT } from '../shared/jenkins-endpoint';
import { fencedNamespace, object, pullSecretHandle } from '../shared/kubernetes';
import { labels, names } from '../shared/naming';
import { toNamespace, toRange } from '../shared/network';
import { bytes, millicores, wholeCores, wholeGibibytes } from '../shared/quantities';
import type { ModuleTestsSpec } from './module-tests';

/** What Robot, Jenkins' agent and what copies results ask for beside the module in a test Pod (delivery/test-pod.ts). */
const BESIDE: { readonly cpu: number; readonly memory: number; readonly disk: number } = {
  cpu: 100 + millicores(CARRIER_RESOURCES.cpu),
  memory: bytes('192Mi') + bytes(CARRIER_RESOURCES.memory),
  disk:
    bytes(diskOf({})) + bytes(agentResources.limits['ephemeral-storage']) + bytes(diskOf(CARRIER_RESOURCES)),
};

/** So many test Pods at a time, each with everything that the module brings. */
function quota({ module, parallel = 8, services = {} }: ModuleTestsSpec) {
  const parts = [
    module.resources,
    ...module.services.map(
      (use) => use.resources ?? entryOf(services, use.kind)?.resources ?? module.resources,
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

/**
 * The namespace in which one module's test Pods run.
 * @param prefix name of the component: what the names of all declarations begin with
 */
export function moduleTestsDeclarations(prefix: string, spec: ModuleTestsSpec): Declaration[] {
  const { environment, jenkins, module, namespace } = spec;
  const about = {
    name: module.name,
    component: 'testing',
    environment,
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
      quota: quota(spec),
      // A test that opens ports on nodes or orders load balancers reaches beyond its namespace.
      caps: { 'services.nodeports': '0', 'services.loadbalancers': '0' },
      // The module and its services share one Pod, so they need no way out at all.
      egress: [toNamespace(jenkins.namespace, JENKINS_PORT), ...module.test.egress.map(toRange)],
      pullFrom: spec.registry,
    }),
    object(
      'kubernetes:core/v1:ServiceAccount',
      `${prefix}-account`,
      'ci',
      { namespace, name: TEST_ACCOUNT, labels: labels(about) },
      // Pods that a test's author writes get the pull secret without naming it, and no token unless they ask.
      { automountServiceAccountToken: false, imagePullSecrets: [{ name: names.pullSecret }] },
      { dependsOn: [pullSecretHandle(prefix)] },
    ),
    ...agentRole(jenkins, prefix, namespace, labels(about)),
    // Kubernetes has no rights by label: `delivery reap` checks those.
    ...rightIn(prefix, within, spec.reaper, {
      resources: ['pods', 'persistentvolumeclaims'],
      verbs: ['list', 'delete'],
    }),
    // How a test Pod starts: `delivery test-pod-watch`.
    ...rightIn(prefix, within, spec.delivery, { resources: ['pods', 'events'], verbs: ['list'] }),
  ];
}
