import { renameSync } from 'node:fs';
import { join } from 'node:path';
import { PROGRAM_VARIABLE, REPOSITORY } from '../../../lab/topology';
import { bundleProgram } from '../../../operations/build';

/**
 * Bundles the `switchyard` command line once for a run of the end-to-end suites, as the delivery image has it: they start
 * it some hundred times. `npm run lab` starts it from its sources.
 */
export default async function bundleSwitchyard(): Promise<void> {
  const bundle = join(REPOSITORY, 'dist', 'switchyard.js');
  // At once, since two runs of suites may be under way.
  const made = `${bundle}.${process.pid}`;
  await bundleProgram(REPOSITORY, 'switchyard', made);
  renameSync(made, bundle);
  process.env[PROGRAM_VARIABLE] = bundle;
  // Node keeps what it compiled: each start of the command line, and of the plug-ins, takes half a second less.
  process.env.NODE_COMPILE_CACHE = join(REPOSITORY, 'dist', 'compile-cache');
  // As in the delivery image: a bundle does not stand where its sources do.
  process.env.SWITCHYARD_CATALOG = join(REPOSITORY, 'catalog');
  process.env.SWITCHYARD_STACKS = join(REPOSITORY, 'stacks');
  process.env.SWITCHYARD_LIBRARY = join(REPOSITORY, 'delivery', 'library');
}
