import { clusterWide, namespacesOf } from '../../stacks/namespaces';
import type { StackSettings } from '../../stacks/schema';
import { hookTokenPurpose } from '../gitlab/resources';
import type { Model } from '../model';
import { type Ref, secretRef } from '../shared/references';

/** File names below JCasC's secrets folder. */
export const cascSecrets = {
  adminPassword: 'ADMIN_PASSWORD',
  hookToken: (module: string) => `HOOK_TOKEN_${module.replaceAll('-', '_').toUpperCase()}`,
} as const;

/** Ids of the credentials that builds use; each is a labelled Secret of the same name. */
export const credentialIds = {
  botToken: 'gitlab-bot-token',
  botLogin: 'gitlab-bot',
  certificateKey: 'certificate-key',
  /** Login at the registry for one module's repository. */
  registry: (module: string) => `registry-${module}`,
} as const;

/** Secret with the login for base images, in the namespace of the delivery Pods. */
export const BASES_SECRET = 'registry-bases';

/** The token of each job's hook, by its file name. */
export const hookTokens = ({ modules, settings: { topologyProject } }: Model): Record<string, Ref> =>
  Object.fromEntries(
    [...modules.map(({ name }) => name), ...(topologyProject ? [topologyProject.path] : [])].map((name) => [
      cascSecrets.hookToken(name),
      secretRef(hookTokenPurpose(name)),
    ]),
  );

/** Jenkins' HTTP port, for people, hooks, agents (WebSocket) and metrics alike. */
export const JENKINS_PORT = 8080;

/** User and group of the official image. */
export const JENKINS_USER = 1000;

/** Jenkins' address for its agents, which stay inside the cluster whatever address people use. */
export const addressForAgents = ({ settings }: Model): string => {
  const { existing } = settings.jenkins;
  return existing?.agentsUrl ?? `http://jenkins.${existing?.namespace ?? namespacesOf(settings).ci}.svc:8080`;
};

/** Name of the Kubernetes cloud: in a Jenkins with others it must be told apart. */
export const cloudName = ({ settings }: Model): string =>
  settings.jenkins.existing ? clusterWide(settings, 'switchyard') : 'kubernetes';

/** Namespaces in which agents of Jenkins' own work and image builds run; tests have one a module. */
export function agentNamespaces(settings: StackSettings): string[] {
  const { agents, build, deploy, preview, drift, apply } = namespacesOf(settings);
  const { topologyProject } = settings;
  return [
    agents,
    build,
    deploy,
    ...(topologyProject ? [preview, drift] : []),
    ...(topologyProject?.apply === 'automatic' ? [apply] : []),
  ];
}
