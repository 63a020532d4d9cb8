import * as pulumi from '@pulumi/pulumi';
import { loadProgramInputs } from './components/inputs';
import { Topology } from './components/topology';

/**
 * The whole program: reads the stack, builds the topology, returns what people need. Plain `pulumi up` runs it as it
 * is; the `switchyard` CLI runs the same function through the Automation API.
 */
async function program(): Promise<Record<string, string>> {
  const inputs = await loadProgramInputs(pulumi.getStack(), __dirname);
  const topology = new Topology('switchyard', inputs);
  return { ...topology.urls };
}

// Pulumi's Node.js runtime calls what the entry point exports, when that is a function.
export = program;
