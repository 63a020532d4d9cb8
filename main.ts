import { defaultFolders } from './components/load';
import program from './index';
import { beforePlainPulumi } from './operations/program/plain';

/**
 * What plain `pulumi up` runs: the program of `index.ts`, after what the `switchyard` CLI does before it, so that the
 * delivery image is built from this checkout as it is now.
 */
async function main(): Promise<Record<string, string>> {
  await beforePlainPulumi(defaultFolders(__dirname));
  return program();
}

// Pulumi's Node.js runtime calls what the entry point exports, when that is a function.
export = main;
