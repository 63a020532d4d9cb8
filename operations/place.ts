import { rootOf } from '../catalog/program';
import { backendFault } from '../stacks/backend';
import type { StackSettings } from '../stacks/schema';
import { EXIT, Refusal } from './refusal';

/** The checkout, or the folder of the delivery image. */
export const root = rootOf(__dirname);

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
