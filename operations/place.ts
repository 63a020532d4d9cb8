import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { backendFault } from '../stacks/backend';
import type { StackSettings } from '../stacks/schema';
import { EXIT, Refusal } from './refusal';

const above = resolve(__dirname, '..');
const isRoot = (folder: string): boolean =>
  ['catalog', 'library'].some((name) => existsSync(join(folder, name)));

/** The checkout, or the folder of the delivery image, which has no catalog but the library. */
export const root = isRoot(above) ? above : process.cwd();

/**
 * Where an environment's state is: the stack says it, unless Pulumi's own variable does.
 * @throws Refusal when the variable holds something else than a backend
 */
export function backendOf(
  settings: Pick<StackSettings, 'backend'>,
  env: NodeJS.ProcessEnv = process.env,
): string {
  const override = env.PULUMI_BACKEND_URL;
  if (!override) return settings.backend;
  const fault = backendFault(override);
  if (fault) throw new Refusal(`PULUMI_BACKEND_URL: ${fault.what}. ${fault.remedy}`, EXIT.badInput);
  return override;
}
