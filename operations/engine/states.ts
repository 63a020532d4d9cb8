import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { isSecret } from './differences';

/** Copies that stay in an environment's folder. */
const KEPT = 20;

const deploymentSchema = z.looseObject({
  deployment: z.looseObject({ resources: z.array(z.unknown()).nullish() }),
});

/** Does a state hold a resource? An environment that was never brought up has nothing to save. */
export function hasResources(state: unknown): boolean {
  const parsed = deploymentSchema.safeParse(state);
  return (parsed.data?.deployment.resources?.length ?? 0) > 0;
}

/** Paths at which a state holds a secret in the clear; there are none in what `pulumi stack export` gives. */
export function plainSecrets(value: unknown, path = ''): string[] {
  if (isSecret(value)) {
    return value !== null && typeof value === 'object' && 'plaintext' in value ? [path] : [];
  }
  if (value === null || typeof value !== 'object') return [];
  return Object.entries(value).flatMap(([key, inner]) => plainSecrets(inner, path ? `${path}.${key}` : key));
}

/** Switchyard's own files beside Pulumi's. */
export const ownFolder = (env: NodeJS.ProcessEnv = process.env): string =>
  join(env.PULUMI_HOME ?? join(homedir(), '.pulumi'), 'switchyard');

/**
 * Where states are kept when the stack names no `stateCopies`: beside Pulumi's own files, a folder that it needs to be
 * able to write wherever it runs, deploy Pods included.
 */
export const statesFolder = (environment: string, env: NodeJS.ProcessEnv = process.env): string =>
  join(ownFolder(env), 'states', environment);

/** A file name that sorts by time, as in `2026-11-24T11-02-03.456Z.json`. */
export const stateFile = (at: Date): string => `${at.toISOString().replaceAll(':', '-')}.json`;

/**
 * Keeps a state as it was before a run; the oldest of more than twenty go.
 * @param state what `pulumi stack export` gives: secrets encrypted
 * @returns the file, to be given to `pulumi stack import --file`
 * @throws Error when the state holds a secret in the clear
 */
export function keepState(folder: string, state: unknown, at: Date): string {
  const [plain] = plainSecrets(state);
  if (plain !== undefined)
    throw new Error(`the state holds a secret in the clear at ${plain}; it is not copied`);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const file = join(folder, stateFile(at));
  writeFileSync(file, JSON.stringify(state), { mode: 0o600 });
  const kept = readdirSync(folder)
    .filter((name) => /^\d{4}-.*Z\.json$/.test(name))
    .sort();
  for (const name of kept.slice(0, -KEPT)) rmSync(join(folder, name));
  return file;
}
