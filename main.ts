import * as pulumi from '@pulumi/pulumi';
import { ProblemsError } from './catalog/problems';
import { defaultFolders, loadModel } from './components/load';
import program from './index';
import { layOutImage } from './operations/lay-out';
import { environmentOf } from './stacks/names';

/**
 * What plain `pulumi up` runs: the program of `index.ts`, after what the `switchyard` CLI does before it, so that the
 * delivery image is built from this checkout as it is now.
 */
async function main(): Promise<Record<string, string>> {
  try {
    await layOutImage(loadModel(defaultFolders(__dirname), environmentOf(pulumi.getStack())));
  } catch (error) {
    // Pulumi prints a RunError as it is, without a stack trace.
    throw error instanceof ProblemsError ? new pulumi.RunError(error.message) : error;
  }
  return program();
}

// Pulumi's Node.js runtime calls what the entry point exports, when that is a function.
export = main;
