import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type Place, placeOf } from '../catalog/place';
import { defaultFolders, type Folders } from '../components/load';
import { backendFault } from '../stacks/backend';
import type { StackSettings } from '../stacks/schema';
import { EXIT, Refusal } from './cli/refusal';
import { transformOf } from './program/transform';

/** What comes with Switchyard. */
export const { product } = placeOf(__dirname);

/** What has Switchyard's own `package.json`: the checkout, or the installed package. */
export const packageRoot = [product, join(product, '..', '..')].find((folder) =>
  existsSync(join(folder, 'package.json')),
);

/**
 * Where commands read from: in a checkout or the delivery image that itself, else the repository around the current folder.
 * @throws Refusal where there is none
 */
export function here(): Place {
  const { project } = placeOf(__dirname);
  if (project !== undefined) return { product, project };
  throw new Refusal(
    `${process.cwd()}: neither this folder nor one around it has Pulumi.yaml, catalog/ and stacks/. Go to your repository, or make one: npx switchyard init <folder>`,
    EXIT.badInput,
  );
}

/**
 * The folders of {@link here}.
 * @throws Refusal for a `transform.ts` that does not compile or exports no function
 */
export function foldersHere(): Folders {
  const place = here();
  return defaultFolders(place.product, place.project, transformOf(place));
}

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
