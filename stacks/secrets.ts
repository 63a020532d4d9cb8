/**
 * The few secrets that a person brings. Each comes from the stack file (`pulumi config set --secret`) or from the
 * environment, as CI systems hand secrets in. Everything else is derived or issued, so that nothing else can be lost.
 */
export const secretSources = {
  /** Root of all derived secrets (hook tokens, registry passwords, …). At least 32 characters. */
  seed: 'SWITCHYARD_SEED',
  /** GitLab token with the `api` scope of a user who may create the group. */
  gitlabToken: 'GITLAB_TOKEN',
} as const;

export type SecretName = keyof typeof secretSources;
