import { join } from 'node:path';
import { PROGRAM_VARIABLE, REPOSITORY } from '../../../lab/topology';
import { bundleProgram } from '../../../operations/build';

/**
 * Bundles the `switchyard` command line once for a run of the end-to-end suites, as the delivery image has it: they start
 * it some hundred times. `npm run lab` starts it from its sources.
 */
export default async function bundleSwitchyard(): Promise<void> {
  // Beside the sources: the program takes the folder above its own for the checkout.
  const bundle = join(REPOSITORY, 'dist', 'switchyard.js');
  await bundleProgram(REPOSITORY, 'switchyard', bundle);
  process.env[PROGRAM_VARIABLE] = bundle;
}
