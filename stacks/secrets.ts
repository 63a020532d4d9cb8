import type { Problem } from '../catalog/problems';
import { loginVariable } from './login';
import type { StackSettings } from './schema';

/**
 * The few secrets that a person brings. Each comes from the stack file (`pulumi config set --secret`) or from the
 * environment, as CI systems hand secrets in. Everything else is derived or issued, so that nothing else can be lost.
 */
export const secretSources = {
  /** Root of all derived secrets (hook tokens, registry passwords, …). At least 32 random characters. */
  seed: 'SWITCHYARD_SEED',
  /** GitLab token with the `api` scope of a user who may create the group. */
  gitlabToken: 'GITLAB_TOKEN',
} as const;

/** Pulumi's own variable: what encrypts the secrets of states. */
export const PASSPHRASE_VARIABLE = 'PULUMI_CONFIG_PASSPHRASE';

export type SecretName = keyof typeof secretSources;

export const secretNames = Object.keys(secretSources) as SecretName[];

/** A secret that an environment needs: its variable, and its key where the stack file may hold it. */
export interface NeededSecret {
  readonly variable: string;
  readonly key?: SecretName;
  /** The setting that names the variable. @default config.deployEnvironment */
  readonly place?: string;
}

/** The setting that names what deploys need. */
export const DEPLOY_ENVIRONMENT = 'config.deployEnvironment';

/** A variable that a setting names. */
interface NamedVariable {
  readonly variable: string;
  readonly place: string;
}

/** What an environment needs, the named ones first; its settings add plain variables. */
export function neededSecrets(variables: readonly (string | NamedVariable)[]): NeededSecret[] {
  const named = secretNames.map((key) => ({ key, variable: secretSources[key] }));
  const others = variables
    .map((given): NeededSecret => (typeof given === 'string' ? { variable: given } : given))
    .filter(({ variable }) => !named.some((known) => known.variable === variable));
  return [...named, ...others];
}

type Bringing = Pick<StackSettings, 'backup' | 'deployEnvironment' | 'registry'>;

/** Variables that a deploy needs: those that the stack names, and the password for pulling from an existing registry. */
export function deployVariables({ deployEnvironment, registry: { existing } }: Bringing): NamedVariable[] {
  return distinct([
    ...deployEnvironment.map((variable) => ({ variable, place: DEPLOY_ENVIRONMENT })),
    ...(existing
      ? [{ variable: existing.pull.passwordFrom, place: 'config.registry.existing.pull.passwordFrom' }]
      : []),
  ]);
}

/** Variables that hold the keys of the backups' bucket. */
const backupVariables = (backup: Bringing['backup']): NamedVariable[] =>
  Object.entries(backup?.credentialsFrom ?? {}).map(([key, variable]) => ({
    variable,
    place: `config.backup.credentialsFrom.${key}`,
  }));

/** Variables that hold what other environments are previewed and applied with. */
const otherEnvironments = (topology: StackSettings['topologyProject']): NamedVariable[] =>
  Object.entries(topology?.credentials ?? {}).flatMap(([environment, credentials]) => {
    const { variables, previewKubeconfig, applyKubeconfig } = credentials;
    const place = `config.topologyProject.credentials.${environment}`;
    return [
      ...Object.entries(variables).map(([theirs, variable]) => ({
        variable,
        place: `${place}.variables.${theirs}`,
      })),
      { variable: previewKubeconfig, place: `${place}.previewKubeconfig` },
      ...(applyKubeconfig ? [{ variable: applyKubeconfig, place: `${place}.applyKubeconfig` }] : []),
    ];
  });

/** Variables that a whole `up` needs. */
export function stackVariables(
  settings: Bringing & Pick<StackSettings, 'clusters' | 'jenkins' | 'topologyProject'>,
): NamedVariable[] {
  const { clusters, registry } = settings;
  const kubeconfigs = (['ci', 'production'] as const).flatMap((role) => {
    const variable = clusters[role].kubeconfig;
    return variable === undefined ? [] : [{ variable, place: `config.clusters.${role}.kubeconfig` }];
  });
  const push = registry.existing
    ? [{ variable: registry.existing.push.passwordFrom, place: 'config.registry.existing.push.passwordFrom' }]
    : [];
  const keys = Object.entries(registry.s3?.credentialsFrom ?? {}).map(([key, variable]) => ({
    variable,
    place: `config.registry.s3.credentialsFrom.${key}`,
  }));
  const { reader } = settings.jenkins;
  return distinct([
    ...deployVariables(settings),
    ...push,
    ...keys,
    ...backupVariables(settings.backup),
    ...(settings.jenkins.login ? [loginVariable(settings.jenkins.login)] : []),
    ...(reader ? [{ variable: reader.tokenFrom, place: 'config.jenkins.reader.tokenFrom' }] : []),
    ...kubeconfigs,
    ...otherEnvironments(settings.topologyProject),
  ]);
}

const distinct = (all: readonly NamedVariable[]): NamedVariable[] => [
  ...new Map(all.map((named) => [named.variable, named])).values(),
];

/** A key of an environment for a path of purposes; the path '' is the whole environment. */
export interface SubKey {
  readonly environment: string;
  readonly path: string;
  readonly key: string;
}

/** As a Pod is given it in the seed's place. */
export const writtenKey = ({ environment, path, key }: SubKey): string =>
  `switchyard-key:${environment}:${path}:${key}`;

/** The sub-keys that stand in a seed's place, with spaces between them; undefined for a seed. */
export function subKeysIn(root: string): SubKey[] | undefined {
  const parts = root.split(/\s+/).filter(Boolean);
  const read = parts.map((part) => /^switchyard-key:([^:]+):([^:]*):([0-9a-f]{64})$/.exec(part));
  if (read.length === 0 || read.some((one) => one === null)) return undefined;
  return read.flatMap((one) =>
    one ? [{ environment: one[1] ?? '', path: one[2] ?? '', key: one[3] ?? '' }] : [],
  );
}

/** Whether what stands in a seed's place gives less than all secrets of an environment: a rollout of one module has that. */
export const isOfOneModule = (root: string): boolean =>
  subKeysIn(root)?.every(({ path }) => path !== '') ?? false;

/** The least that a seed may hold, in characters and in bits of what its characters tell apart. */
const SEED_CHARACTERS = 32;
const SEED_BITS = 80;

/** Bits by the frequency of a text's characters: nothing for a repeated one, some 118 for 32 random hexadecimal ones. */
function bitsOf(text: string): number {
  const counts = new Map<string, number>();
  for (const one of text) counts.set(one, (counts.get(one) ?? 0) + 1);
  return [...counts.values()].reduce((sum, count) => sum - count * Math.log2(count / text.length), 0);
}

/**
 * Why a seed is not one; undefined where it will do. It cannot be told whether a text is random, only that some are not:
 * those of a few characters, and repetitions.
 * @param environment that the seed is for
 */
function faultOfSeed(seed: string, environment: string): string | undefined {
  const keys = subKeysIn(seed);
  if (keys) {
    const other = keys.find((one) => one.environment !== environment);
    return other && `is a key of the environment "${other.environment}"`;
  }
  if (seed.includes('switchyard-key:')) return 'is neither a seed nor a key that was derived from one';
  return guessable(seed);
}

/** Why a secret can be guessed; undefined where that cannot be told of it. */
function guessable(secret: string): string | undefined {
  if (secret.length < SEED_CHARACTERS)
    return `has ${secret.length} characters, of which there must be ${SEED_CHARACTERS} random ones`;
  const repeated = `${secret}${secret}`.indexOf(secret, 1) < secret.length;
  return repeated || bitsOf(secret) < SEED_BITS
    ? 'is not random: its characters repeat each other'
    : undefined;
}

/**
 * The fault of a passphrase that can be guessed, where the stack file holds Pulumi's salt: by it whoever reads the file, a
 * merge request's preview too, tries as many as they like without asking anyone.
 */
export function passphraseProblems(environment: string, passphrase: string, salted: boolean): Problem[] {
  const fault = salted ? guessable(passphrase) : undefined;
  if (fault === undefined) return [];
  return [
    {
      file: `stacks/Pulumi.${environment}.yaml`,
      key: 'encryptionsalt',
      what: `the secret ${PASSPHRASE_VARIABLE} ${fault}: whoever reads this file may try others by it.`,
      remedy:
        'Make one with "openssl rand -hex 32" and bring it in with "pulumi stack change-secrets-provider passphrase", or take the salt out of the file.',
    },
  ];
}

/** The fault of a seed that is there; none where it will do. */
export function seedProblems(environment: string, seed: string): Problem[] {
  const fault = faultOfSeed(seed, environment);
  if (fault === undefined) return [];
  return [
    {
      file: `stacks/Pulumi.${environment}.yaml`,
      key: 'seed',
      what: `the secret ${secretSources.seed} ${fault}.`,
      remedy:
        'Make one with "openssl rand -hex 32"; where this one is in use, "switchyard rotate" brings the new one in (docs/environments.md).',
    },
  ];
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
    .map(({ key, variable, place }) => ({
      file: `stacks/Pulumi.${environment}.yaml`,
      key: key ?? place ?? DEPLOY_ENVIRONMENT,
      what: `the secret ${variable} is missing.`,
      remedy: key
        ? `Set ${variable} in the environment of this command, or run "pulumi config set --secret switchyard:${key}".`
        : `Set ${variable} in the environment of this command.`,
    }));
}
