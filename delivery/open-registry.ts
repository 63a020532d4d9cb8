import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { exitCode, Failure } from '../clients/failure';
import { Registry } from '../clients/registry';
import type { Policy } from '../clients/retry';
import { parseJson } from '../text/json';

const configSchema = z.looseObject({
  auths: z.record(z.string(), z.looseObject({ auth: z.string().optional() })).default({}),
});

/**
 * The `user:password` (base64) that docker's config.json keeps for a registry, or undefined.
 * @throws Failure (exit 2) when the file is not one
 */
export function credentialsFor(text: string, host: string, file: string): string | undefined {
  const parsed = configSchema.safeParse(parseJson(text));
  if (!parsed.success) {
    throw new Failure(
      exitCode.input,
      `${file}: is not a docker config.`,
      'Write {"auths": {"host:port": {"auth": "…"}}}.',
    );
  }
  for (const [key, entry] of Object.entries(parsed.data.auths)) {
    if (key.replace(/^https?:\/\//, '').replace(/\/.*$/, '') === host && entry.auth) return entry.auth;
  }
  return undefined;
}

export function readDockerConfig(folder: string | undefined, host: string): string | undefined {
  if (!folder) return undefined;
  const file = join(folder, 'config.json');
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
  return credentialsFor(text, host, file);
}

/** The login that the pipeline binds around a command, for one module's repository. */
function boundLogin({ REGISTRY_USER, REGISTRY_PASSWORD }: NodeJS.ProcessEnv): string | undefined {
  if (!REGISTRY_USER || !REGISTRY_PASSWORD) return undefined;
  return Buffer.from(`${REGISTRY_USER}:${REGISTRY_PASSWORD}`).toString('base64');
}

/** The registry that a command's settings name, with the login that is bound, or else the one of `DOCKER_CONFIG`. */
export function openRegistry(
  settings: {
    readonly REGISTRY: string;
    readonly REGISTRY_PLAIN_HTTP: boolean;
  },
  policy?: Partial<Policy>,
): Registry {
  const [host = '', ...below] = settings.REGISTRY.split('/');
  return new Registry({
    host,
    below: below.join('/'),
    plainHttp: settings.REGISTRY_PLAIN_HTTP,
    credentials: boundLogin(process.env) ?? readDockerConfig(process.env.DOCKER_CONFIG, host),
    policy,
  });
}
