import { namespacesOf } from '../../stacks/namespaces';
import type { Model } from '../model';
import type { Declaration } from '../shared/declaration';
import { appliedProgram, repositoryFiles } from '../shared/files';
import { fencedNamespace, retained } from '../shared/kubernetes';
import { labels } from '../shared/naming';
import { agentRole } from '../testing/resources';
import { buildFence } from './network';

/** Names of what brings agents the files that they work from. */
export const agentFiles = (model: Model): string[] =>
  jenkinsNamespaces(model).flatMap(({ type, name }) =>
    type === 'kubernetes:core/v1:ConfigMap' ? [name] : [],
  );

/** Jenkins' own namespace, its agents', the rollouts', and the image builds'. */
export function jenkinsNamespaces(model: Model): Declaration[] {
  const { environment, registry, jenkins } = model.settings;
  const about = (name: string) => ({ name, component: 'jenkins', environment, purpose: 'ci' });
  const agentNamespaces = [
    ['agents', namespacesOf(model.settings).agents],
    ['deploy', namespacesOf(model.settings).deploy],
  ] as const;
  const own = fencedNamespace({
    prefix: 'jenkins',
    namespace: namespacesOf(model.settings).ci,
    provider: 'ci',
    labels: about('jenkins'),
    quota: { pods: 4, cpu: '4', memory: '8Gi', claims: 2 },
    pullFrom: registry.address,
  });
  return [
    ...own.map(
      (declaration): Declaration =>
        // A namespace takes its claims along when it goes.
        declaration.name === 'jenkins-namespace' && jenkins.onDelete === 'retain'
          ? { ...declaration, ...retained }
          : declaration,
    ),
    ...agentNamespaces.flatMap(([prefix, namespace]) => [
      ...fencedNamespace({
        prefix,
        namespace,
        provider: 'ci',
        labels: about(prefix),
        quota: { pods: jenkins.maximumAgents, cpu: '16', memory: '32Gi', claims: 0 },
        pullFrom: registry.address,
      }),
      ...agentRole(model.settings, prefix, namespace, labels(about(prefix))),
      ...repositoryFiles(model.files, { prefix, namespace, provider: 'ci', labels: labels(about(prefix)) }),
    ]),
    appliedProgram(model.program, {
      prefix: 'deploy',
      namespace: namespacesOf(model.settings).deploy,
      provider: 'ci',
      labels: labels(about('deploy')),
    }),
    ...fencedNamespace({
      prefix: 'build',
      namespace: namespacesOf(model.settings).build,
      provider: 'ci',
      labels: about('buildkit'),
      // The one exception to `restricted`: rootless BuildKit makes user namespaces of its own, for which seccomp and
      // AppArmor must be off and `newuidmap` must gain capabilities (see buildkit.ts). Nothing else runs here.
      level: 'privileged',
      quota: { pods: jenkins.maximumAgents, cpu: '16', memory: '32Gi', claims: 0 },
      // A step of a Dockerfile that opens ports on nodes or orders load balancers reaches beyond its Pod.
      caps: { 'services.nodeports': '0', 'services.loadbalancers': '0' },
      egress: buildFence(model),
      pullFrom: registry.address,
    }),
    ...agentRole(
      model.settings,
      'build',
      namespacesOf(model.settings).build,
      labels({ ...about('buildkit'), component: 'jenkins' }),
    ),
  ];
}
