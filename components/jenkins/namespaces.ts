import { AGENT_DISK, agentResources } from '../../catalog/containers';
import { namespacesOf } from '../../stacks/namespaces';
import { RELEASE_DISK } from '../backup/environment';
import { agentRole, rightIn } from '../shared/agent-access';
import type { Declaration } from '../shared/declaration';
import { appliedProgram, repositoryFiles } from '../shared/files';
import { jenkinsEndpoint } from '../shared/jenkins-endpoint';
import { fencedNamespace, object, retained } from '../shared/kubernetes';
import { labels, names } from '../shared/naming';
import { bytes, wholeGibibytes } from '../shared/quantities';
import { deliveryDisk } from './agents';
import { buildDisk } from './buildkit';
import type { FullSpec } from './defaults';
import { deliveryAccount } from './names';
import {
  buildWaysOut,
  changingWaysOut,
  controllerWaysOut,
  deliveryWaysOut,
  releaseBackupWaysOut,
} from './network';

/** Declaration of the account of `delivery` Pods. */
const DELIVERY_ACCOUNT = 'agents-account';

/** Names of what agents cannot be without: the files that they work from, and an account. */
export const agentFiles = (spec: FullSpec): string[] => [
  ...jenkinsNamespaces(spec).flatMap(({ type, name }) =>
    type === 'kubernetes:core/v1:ConfigMap' ? [name] : [],
  ),
  DELIVERY_ACCOUNT,
];

/** Disk that so many agent Pods may fill, each with the agent beside one other container. */
export const agentsDisk = (pods: number, other: string = AGENT_DISK): string =>
  wholeGibibytes(pods * (bytes(agentResources.limits['ephemeral-storage']) + bytes(other)));

/**
 * What may be known of agents where they run: by Jenkins all, and by `delivery agent-events` why none starts. No Pods: each
 * shows the secret by which its agent connects.
 */
export const agentAccess = (
  spec: FullSpec,
  prefix: string,
  namespace: string,
  common: Record<string, string>,
): Declaration[] => [
  ...agentRole(jenkinsEndpoint(spec), prefix, namespace, common),
  ...rightIn(prefix, { namespace, labels: common }, deliveryAccount(spec), {
    resources: ['events'],
    verbs: ['list'],
  }),
];

/** Jenkins' own namespace, its agents', the rollouts', and the image builds'. */
export function jenkinsNamespaces(spec: FullSpec): Declaration[] {
  const { environment, registry, maximumAgents } = spec;
  const namespaces = namespacesOf(spec);
  const about = (name: string) => ({ name, component: 'jenkins', environment, purpose: 'ci' });
  const agentNamespaces = [
    ['agents', namespaces.agents, deliveryDisk(spec), deliveryWaysOut(spec)],
    ['deploy', namespaces.deploy, AGENT_DISK, changingWaysOut(spec)],
    ...(spec.releaseBackup
      ? ([
          ['release-backup', namespaces.releaseBackup, RELEASE_DISK.all, releaseBackupWaysOut(spec)],
        ] as const)
      : []),
  ] as const;
  const own = fencedNamespace({
    prefix: 'jenkins',
    namespace: namespaces.ci,
    provider: 'ci',
    labels: about('jenkins'),
    quota: { pods: 4, cpu: '4', memory: '8Gi', disk: '36Gi', claims: 2 },
    egress: controllerWaysOut(spec),
    pullFrom: registry,
  });
  return [
    // Another's Jenkins has its namespace already.
    ...(spec.existing ? [] : own).map(
      (declaration): Declaration =>
        // A namespace takes its claims along when it goes.
        declaration.name === 'jenkins-namespace' && spec.onDelete === 'retain'
          ? { ...declaration, ...retained }
          : declaration,
    ),
    ...agentNamespaces.flatMap(([prefix, namespace, disk, egress]) => [
      ...fencedNamespace({
        prefix,
        namespace,
        provider: 'ci',
        labels: about(prefix),
        quota: {
          pods: maximumAgents,
          cpu: '16',
          memory: '32Gi',
          disk: agentsDisk(maximumAgents, disk),
          claims: 0,
        },
        egress,
        pullFrom: registry,
      }),
      ...agentAccess(spec, prefix, namespace, labels(about(prefix))),
      ...repositoryFiles(spec.files, { prefix, namespace, provider: 'ci', labels: labels(about(prefix)) }),
    ]),
    object(
      'kubernetes:core/v1:ServiceAccount',
      DELIVERY_ACCOUNT,
      'ci',
      { namespace: namespaces.agents, name: names.delivery, labels: labels(about('agents')) },
      { automountServiceAccountToken: false },
      { dependsOn: ['agents-namespace'] },
    ),
    appliedProgram(spec.program, {
      prefix: 'deploy',
      namespace: namespaces.deploy,
      provider: 'ci',
      labels: labels(about('deploy')),
    }),
    ...fencedNamespace({
      prefix: 'build',
      namespace: namespaces.build,
      provider: 'ci',
      labels: about('buildkit'),
      // The one exception to `restricted`: rootless BuildKit makes user namespaces of its own, for which seccomp and
      // AppArmor must be off and `newuidmap` must gain capabilities (see buildkit.ts). Nothing else runs here.
      level: 'privileged',
      quota: {
        pods: maximumAgents,
        cpu: '16',
        memory: '32Gi',
        disk: agentsDisk(maximumAgents, buildDisk(spec)),
        claims: 0,
      },
      // A step of a Dockerfile that opens ports on nodes or orders load balancers reaches beyond its Pod.
      caps: { 'services.nodeports': '0', 'services.loadbalancers': '0' },
      egress: buildWaysOut(spec),
      pullFrom: registry,
    }),
    ...agentAccess(spec, 'build', namespaces.build, labels({ ...about('buildkit'), component: 'jenkins' })),
  ];
}
