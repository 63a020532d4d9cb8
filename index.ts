import * as pulumi from '@pulumi/pulumi';
import { type Place, placeOf } from './catalog/place';
import { ProblemsError } from './catalog/problems';
import { loadProgramInputs, RECORDED_VARIABLE } from './components/inputs';
import { defaultFolders } from './components/load';
import type { Transform } from './components/shared/transform';
import { Topology } from './components/topology';
import { assertRules } from './rules/assert';
import { environmentOf } from './stacks/names';

/**
 * The whole program: reads the stack, holds it against the rules, builds the topology, returns what people need. Plain
 * `pulumi up` runs it by `main.ts`; the `switchyard` CLI runs the same function through the Automation API.
 * @param place where it reads from. @default this repository
 * @param transform what that repository changes in all declarations. @default nothing
 */
async function program(place?: Place, transform?: Transform): Promise<Record<string, string>> {
  const { product, project } = place ?? placeOf(__dirname);
  const folders = defaultFolders(product, project, transform);
  const inputs = await loadProgramInputs(environmentOf(pulumi.getStack()), folders);
  const recorded = pulumi.runtime.isDryRun() && process.env[RECORDED_VARIABLE] === 'true';
  try {
    if (!recorded) assertRules(inputs.model, inputs.only);
  } catch (error) {
    // Pulumi prints a RunError as it is, without a stack trace.
    throw error instanceof ProblemsError ? new pulumi.RunError(error.message) : error;
  }
  const topology = new Topology('switchyard', inputs);
  return { ...topology.urls };
}

export = program;
