import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, dirname, isAbsolute, join } from 'node:path';
import type { KubeConfig } from '@kubernetes/client-node';
import { parse } from 'yaml';
import { z } from 'zod';

const tokenFilesSchema = z.looseObject({
  users: z
    .array(z.looseObject({ name: z.string(), user: z.looseObject({ tokenFile: z.string().optional() }) }))
    .optional(),
});

/** kubectl and Pulumi read a user's `tokenFile`; the client library leaves it out, and comes as nobody. */
function takeTokenFiles(config: KubeConfig, text: string, folder: string): void {
  const parsed = tokenFilesSchema.safeParse(parse(text));
  const files = new Map(
    (parsed.data?.users ?? []).flatMap(({ name, user: { tokenFile } }) =>
      tokenFile ? [[name, isAbsolute(tokenFile) ? tokenFile : join(folder, tokenFile)]] : [],
    ),
  );
  config.users = config.users.map((user) => {
    const tokenFile = files.get(user.name);
    return tokenFile && !user.token
      ? { ...user, authProvider: { name: 'tokenFile', config: { tokenFile } } }
      : user;
  });
}

/**
 * A kubeconfig as kubectl reads it, with a context chosen (default: its own): `text`, else the files of `KUBECONFIG`, else
 * `~/.kube/config`.
 * @throws Error when the context, or what it names, is not there
 */
export async function kubeconfigFor(context?: string, text?: string): Promise<KubeConfig> {
  // Loaded only here: most commands never need it.
  const { KubeConfig } = await import('@kubernetes/client-node');
  const config = new KubeConfig();
  if (text) {
    config.loadFromString(text);
    takeTokenFiles(config, text, process.cwd());
  } else {
    config.loadFromDefault();
    const named = process.env.KUBECONFIG?.split(delimiter).filter((file) => file !== '') ?? [];
    for (const file of named.length > 0 ? named : [join(homedir(), '.kube', 'config')]) {
      if (existsSync(file)) takeTokenFiles(config, readFileSync(file, 'utf8'), dirname(file));
    }
  }
  if (context !== undefined) config.setCurrentContext(context);
  if (!config.getCurrentCluster()) {
    throw new Error(`the kubeconfig has no context "${config.getCurrentContext()}" with a cluster`);
  }
  return config;
}

/** The kubeconfig that `KUBECONFIG` names; without that variable, the Pod's own account. */
export async function kubeconfigHere(): Promise<KubeConfig> {
  if (process.env.KUBECONFIG) return kubeconfigFor();
  const { KubeConfig } = await import('@kubernetes/client-node');
  const config = new KubeConfig();
  config.loadFromCluster();
  return config;
}

/** Contexts of the kubeconfig at hand. */
export async function contextsHere(): Promise<ReadonlySet<string>> {
  const { KubeConfig } = await import('@kubernetes/client-node');
  const config = new KubeConfig();
  config.loadFromDefault();
  return new Set(config.getContexts().map(({ name }) => name));
}

const kubeconfigShape = z.looseObject({
  contexts: z.array(z.looseObject({ name: z.string(), context: z.looseObject({ cluster: z.string() }) })),
  clusters: z.array(z.looseObject({ name: z.string(), cluster: z.looseObject({ server: z.string() }) })),
});

/** The API server that a context of these kubeconfigs names; the first file that knows it wins, as for kubectl. */
export function serverOf(context: string, texts: readonly string[]): string | undefined {
  const files = texts.map((text) => kubeconfigShape.safeParse(parse(text)).data);
  const cluster = files.flatMap((file) => file?.contexts ?? []).find(({ name }) => name === context)
    ?.context.cluster;
  return files.flatMap((file) => file?.clusters ?? []).find(({ name }) => name === cluster)?.cluster.server;
}

/** The kubeconfigs that are read where no text is given: the files of `KUBECONFIG`, else `~/.kube/config`, as far as they are there. */
export function kubeconfigTexts(text: string | undefined): string[] {
  if (text) return [text];
  const paths = process.env.KUBECONFIG?.split(delimiter).filter((path) => path !== '');
  return (paths ?? [join(homedir(), '.kube', 'config')]).flatMap((path) => {
    try {
      return [readFileSync(path, 'utf8')];
    } catch {
      return [];
    }
  });
}
