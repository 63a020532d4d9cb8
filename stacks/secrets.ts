import type { Problem } from '../catalog/problems';

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

export const secretNames = Object.keys(secretSources) as SecretName[];

/** A secret that an environment needs: its variable, and its key where the stack file may hold it. */
export interface NeededSecret {
  readonly variable: string;
  readonly key?: SecretName;
}

/** What an environment needs, the named ones first; `deployEnvironment` of its settings adds plain variables. */
export function neededSecrets(deployEnvironment: readonly string[]): NeededSecret[] {
  const named = secretNames.map((key) => ({ key, variable: secretSources[key] }));
  const others = deployEnvironment.filter((variable) => !named.some((known) => known.variable === variable));
  return [...named, ...others.map((variable) => ({ variable }))];
}

/** One fault for each needed secret that neither the stack file nor the environment brings. */
export function missingSecrets(
  environment: string,
  needed: readonly NeededSecret[],
  inStack: (key: SecretName) => boolean,
  variables: NodeJS.ProcessEnv = process.env,
): Problem[] {
  return needed
    .filter(({ key, variable }) => !(key && inStack(key)) && !variables[variable])
    .map(({ key, variable }) => ({
      file: `stacks/Pulumi.${environment}.yaml`,
      key: key ?? 'config.deployEnvironment',
      what: `the secret ${variable} is missing.`,
      remedy: key
        ? `Set ${variable} in the environment of this command, or run "pulumi config set --secret switchyard:${key}".`
        : `Set ${variable} in the environment of this command.`,
    }));
}
