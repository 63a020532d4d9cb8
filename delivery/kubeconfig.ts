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
