import { mayReconcile } from '../../stacks/merge-queue';
import { clusterWide, type NamespaceSettings, namespacesOf } from '../../stacks/namespaces';
import { hookTokenPurpose } from '../gitlab/hooks';
import type { Account } from '../shared/exec-role';
import { names } from '../shared/naming';
import { inputRef, type Ref, secretRef } from '../shared/references';
import type { FullSpec } from './defaults';
import type { JenkinsSpec } from './jenkins';

/** File names below JCasC's secrets folder. */
export const cascSecrets = {
  adminPassword: 'ADMIN_PASSWORD',
  /** Whom the emergency login belongs to. */
  emergencyGroup: 'EMERGENCY_GROUP',
  /** Of Jenkins as a client of whoever says who people are. */
  clientSecret: 'LOGIN_CLIENT_SECRET',
  reconcilerPassword: 'RECONCILER_PASSWORD',
  hookToken: (module: string) => `HOOK_TOKEN_${module.replaceAll('-', '_').toUpperCase()}`,
} as const;

/** Ids of the credentials that builds use; each is a labelled Secret of the same name. */
export const credentialIds = {
  botToken: 'gitlab-bot-token',
  /** Of the commands that only read. */
  readerToken: 'gitlab-reader-token',
  botLogin: 'gitlab-bot',
  certificateKey: 'certificate-key',
  /** Login at the registry for one module's repository. */
  registry: (module: string) => `registry-${module}`,
  /** What gives the secrets of one module's production, in the seed's place. */
  keys: (module: string) => `keys-${module}`,
  /** What opens one module's part of the state. */
  part: (module: string) => `part-${module}`,
} as const;

/** Purpose of the secret that signs certificates: stacks that share a seed do not take each other's. */
export const certificatePurpose = (environment: string): string => `certificate/${environment}`;

/** Purpose of the secret that encrypts one module's part of the state. */
export const partPurpose = (module: string): string => `part/${module}`;

/** Declaration of the Secret that opens one module's part of the state. */
export const partSecretName = (module: string): string => `jenkins-part-${module}`;

/** Secret with what opens the whole state. */
export const STATE_SECRET = 'state-environment';

/** Secret with the login for base images, in the namespace of the delivery Pods. */
export const BASES_SECRET = 'registry-bases';

type Jobs = Pick<JenkinsSpec, 'modules' | 'promoted' | 'topologyProject'>;

/** Modules whose merge requests are tested here. */
export const testedHere = <T>({
  modules = [],
  promoted = false,
}: {
  readonly modules?: readonly T[];
  readonly promoted?: boolean;
}): readonly T[] => (promoted ? [] : modules);

/** Jobs that a hook starts. */
export const hookedJobs = (spec: Jobs): string[] => [
  ...testedHere(spec).map(({ name }) => name),
  ...(spec.topologyProject ? [spec.topologyProject.path] : []),
];

/** The token of each job's hook, by its file name. */
export const hookTokens = (spec: Jobs): Record<string, Ref> =>
  Object.fromEntries(
    hookedJobs(spec).map((name) => [cascSecrets.hookToken(name), secretRef(hookTokenPurpose(name))]),
  );

/** Purpose of the secret with which the reconciler logs in to Jenkins. */
export const RECONCILER_PURPOSE = 'jenkins/reconciler';

type Reading = Pick<JenkinsSpec, 'anonymousRead' | 'existing' | 'login' | 'reader'>;

/** Whether the reconciler has a user in our Jenkins: where everybody may read, it needs none, and gets none. */
export const reconcilerLogsIn = ({ anonymousRead, existing, login }: Reading): boolean =>
  !anonymousRead && !login && !existing;

/** Who looks at builds for the reconciler; undefined where whoever is not logged in may. */
export function reconcilerLogin(
  spec: Reading,
): { readonly user: string; readonly password: string | Ref } | undefined {
  const { reader } = spec;
  if (reader) return { user: reader.user, password: inputRef('reader.password', reader.password) };
  return reconcilerLogsIn(spec)
    ? { user: names.reconciler, password: secretRef(RECONCILER_PURPOSE) }
    : undefined;
}

/** Whether a reconciler runs. */
export const reconciles = (spec: Reading & Jobs): boolean =>
  mayReconcile(spec) && hookedJobs(spec).length > 0;

/** Tells the `delivery` command that what waits in the merge queue is started again by somebody. */
export const queueing = (spec: Reading & Jobs): { name: string; value: string }[] =>
  reconciles(spec) ? [{ name: 'SWITCHYARD_QUEUE', value: 'true' }] : [];

/** Account of the Pods that take a merge request through its tests. */
export const deliveryAccount = (settings: NamespaceSettings): Account => ({
  name: names.delivery,
  namespace: namespacesOf(settings).agents,
});

/** User and group of the official image. */
export const JENKINS_USER = 1000;

/** Name of the Kubernetes cloud: in a Jenkins with others it must be told apart. */
export const cloudName = (spec: Pick<JenkinsSpec, 'existing' | 'namespacePrefix'>): string =>
  spec.existing ? clusterWide(spec, 'switchyard') : 'kubernetes';

/** Namespaces in which agents of Jenkins' own work and image builds run; tests have one a module. */
export function agentNamespaces(spec: FullSpec): string[] {
  const { agents, build, deploy, releaseBackup, preview, drift, apply } = namespacesOf(spec);
  const { topologyProject } = spec;
  return [
    agents,
    build,
    deploy,
    ...(spec.releaseBackup ? [releaseBackup] : []),
    ...(topologyProject ? [preview, drift] : []),
    ...(topologyProject?.apply === 'automatic' ? [apply] : []),
  ];
}
