import { lookup } from 'node:dns/promises';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { BlockList, isIP } from 'node:net';
import path from 'node:path';
import type { KubeConfig as KubeConfigType } from '@kubernetes/client-node';
import { KubeConfig } from '@kubernetes/client-node';
import { parseDocument } from 'yaml';
import { z } from 'zod';
import type { CheckFailure } from '../shared/server';
import { containsUnknown, type Props, UNKNOWN } from '../shared/values';

/** A boolean as the engine may send it: itself, or spelled as a string. */
const flag = z.union([z.boolean(), z.enum(['true', 'false']).transform((text) => text === 'true')]);

const settingsSchema = z.strictObject({
  kubeconfig: z.string().optional(),
  context: z.string().optional(),
  cluster: z.string().optional(),
  namespace: z.string().optional(),
  clusterIdentifier: z.string().optional(),
  enableServerSideApply: flag.optional(),
  enablePatchForce: flag.optional(),
  enableConfigMapMutable: flag.optional(),
  enableSecretMutable: flag.optional(),
  upsertExistingObjects: flag.optional(),
  suppressDeprecationWarnings: flag.optional(),
  suppressHelmHookWarnings: flag.optional(),
});

/** Inputs of the provider resource, as documented for the official provider. */
export type ProviderInputs = z.infer<typeof settingsSchema>;

/** Settings of the official provider that this plug-in knows and does not cover. */
const NOT_COVERED: Record<string, string> = {
  renderYamlToDirectory: 'use `switchyard render`',
  alwaysRender: 'use `switchyard render`',
  helmReleaseSettings: 'Helm needs the official plug-in',
  kubeClientSettings: 'the lab needs no client tuning',
  deleteUnreachable: 'start the cluster, or remove what is gone with `pulumi state delete`',
  skipUpdateUnreachable: 'start the cluster',
};

/** What the engine itself adds to a provider's inputs. */
const ENGINE_KEYS = new Set(['version', 'pluginDownloadURL', '__internal']);

/** Drops the engine's own keys and what is not known yet. */
function knownInputs(inputs: Props): Props {
  return Object.fromEntries(
    Object.entries(inputs).filter(([key, value]) => !ENGINE_KEYS.has(key) && !containsUnknown(value)),
  );
}

/** Faults of the provider's inputs: unknown keys, wrong types, settings that only the official plug-in covers. */
export function checkProviderInputs(inputs: Props): CheckFailure[] {
  const failures: CheckFailure[] = [];
  const rest: Props = {};
  for (const [key, value] of Object.entries(knownInputs(inputs))) {
    const remedy = NOT_COVERED[key];
    if (remedy)
      failures.push({ property: key, reason: `is not covered by the lab's kubernetes plug-in: ${remedy}` });
    else rest[key] = value;
  }
  const parsed = settingsSchema.safeParse(rest);
  for (const issue of parsed.error?.issues ?? []) {
    if (issue.code === 'unrecognized_keys') {
      for (const key of issue.keys)
        failures.push({ property: key, reason: 'is not a setting of the kubernetes provider' });
    } else {
      failures.push({ property: issue.path.join('.'), reason: issue.message });
    }
  }
  if (parsed.data?.enableServerSideApply === false) {
    failures.push({
      property: 'enableServerSideApply',
      reason:
        "cannot be false: the lab's kubernetes plug-in only knows server-side apply; remove the setting",
    });
  }
  return failures;
}

/** Parses inputs that {@link checkProviderInputs} found sound. */
export function parseProviderInputs(inputs: Props): ProviderInputs {
  return settingsSchema.parse(knownInputs(inputs));
}

/** Takes a flag from the inputs or, as the official provider does, from the environment. */
export function flagSetting(input: boolean | undefined, variable: string, env = process.env): boolean {
  return input ?? ['1', 'true'].includes((env[variable] ?? '').toLowerCase());
}

/**
 * Reads the kubeconfig: the `kubeconfig` input (its text, or a path), else `KUBECONFIG`, else `~/.kube/config`,
 * else the service account of the Pod. Relative paths of certificates and tokens hold from the file's folder.
 */
export function loadKubeConfig(inputs: ProviderInputs, env = process.env): KubeConfigType {
  const config = new KubeConfig();
  const source = inputs.kubeconfig?.trim() ?? '';
  let files: string[] = [];
  if (source === '') {
    files = (env.KUBECONFIG ?? '').split(path.delimiter).filter((file) => file !== '');
    const missing = files.find((file) => !existsSync(file));
    if (missing)
      throw new Error(`KUBECONFIG: ${missing}: no such file; set KUBECONFIG or the provider's kubeconfig`);
    config.loadFromDefault();
  } else if (/^[^\n{]+$/.test(source)) {
    const file = source.replace(/^~(?=\/)/, env.HOME ?? '~');
    if (!existsSync(file) || !statSync(file).isFile()) {
      throw new Error(`kubernetes provider: kubeconfig: ${file}: no such file; give its path or its content`);
    }
    config.loadFromFile(file);
    files = [file];
  } else {
    try {
      config.loadFromString(source);
    } catch {
      // The parser's own message may quote lines that hold a key or a token.
      throw new Error(
        'kubernetes provider: kubeconfig: the text is not a valid kubeconfig (YAML with clusters, users and contexts)',
      );
    }
  }
  const texts = files.length > 0 ? files.map((file) => readFileSync(file, 'utf8')) : [source];
  for (const text of texts) takeTokenFiles(config, text);
  if (inputs.context !== undefined) {
    if (!config.getContextObject(inputs.context)) {
      const names = config.getContexts().map((context) => context.name);
      throw new Error(
        `kubernetes provider: context "${inputs.context}" is not in the kubeconfig; it has ${names.join(', ') || 'none'}`,
      );
    }
    config.setCurrentContext(inputs.context);
  }
  if (inputs.cluster !== undefined) {
    const current = config.getContextObject(config.getCurrentContext());
    if (!config.getCluster(inputs.cluster)) {
      throw new Error(`kubernetes provider: cluster "${inputs.cluster}" is not in the kubeconfig`);
    }
    const name = `${inputs.cluster}-override`;
    config.addContext({
      name,
      cluster: inputs.cluster,
      user: current?.user ?? '',
      namespace: current?.namespace,
    });
    config.setCurrentContext(name);
  }
  if (!config.getCurrentCluster()) {
    throw new Error(
      "kubernetes provider: the kubeconfig names no current cluster; set its current-context or the provider's context",
    );
  }
  return config;
}

const tokenFilesSchema = z.looseObject({
  users: z
    .array(z.looseObject({ name: z.string(), user: z.looseObject({ tokenFile: z.string().optional() }) }))
    .optional(),
});

/** kubectl and the official plug-in read `tokenFile` of a user, which @kubernetes/client-node leaves out. */
function takeTokenFiles(config: KubeConfigType, text: string): void {
  const parsed = tokenFilesSchema.safeParse(parseDocument(text).toJS());
  if (!parsed.success) return;
  for (const { name, user } of parsed.data.users ?? []) {
    if (!user.tokenFile) continue;
    config.users = config.users.map((known) =>
      known.name === name && !known.token
        ? { ...known, authProvider: { name: 'tokenFile', config: { tokenFile: user.tokenFile } } }
        : known,
    );
  }
}

const LAB_ADDRESSES = new BlockList();
LAB_ADDRESSES.addSubnet('127.0.0.0', 8);
LAB_ADDRESSES.addAddress('::1', 'ipv6');
// RFC 2544: reserved for tests; the lab's node, Pods and Services live there, so in-cluster clients match too.
LAB_ADDRESSES.addSubnet('198.18.0.0', 15);

type Lookup = (host: string) => Promise<readonly { readonly address: string; readonly family: number }[]>;

const allAddresses: Lookup = (host) => lookup(host, { all: true });

/**
 * This plug-in is test equipment: it refuses every API server but one on loopback or in the lab's own range
 * (198.18.0.0/15), so that it can never touch a company's cluster by mistake. A name, as a Pod uses it, must resolve
 * to such addresses only.
 */
export async function assertLabServer(server: string, addressesOf = allAddresses): Promise<void> {
  let url: URL;
  try {
    url = new URL(server);
  } catch {
    throw new Error(`kubernetes provider: the kubeconfig's server "${server}" is not a URL`);
  }
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const addresses = isIP(host)
    ? [{ address: host, family: isIP(host) }]
    : await addressesOf(host).catch(() => []);
  const inLab = addresses.every(({ address, family }) =>
    LAB_ADDRESSES.check(address, family === 6 ? 'ipv6' : 'ipv4'),
  );
  if (addresses.length > 0 && inLab) return;
  throw new Error(
    `kubernetes provider: refusing API server ${url.host}: this is the lab's own plug-in and speaks only to loopback ` +
      'or 198.18.0.0/15. Install the official one: pulumi plugin install resource kubernetes v4.34.2',
  );
}

/** The API server's URL of a provider's inputs, or `undefined` when it cannot be told (unknown or unreadable). */
export function serverOf(inputs: Props): string | undefined {
  if (inputs.kubeconfig === UNKNOWN) return undefined;
  try {
    return loadKubeConfig(parseProviderInputs(inputs)).getCurrentCluster()?.server;
  } catch {
    return undefined;
  }
}
