import { only } from '../graph';
import { machineSteps, runningDaemons, stopMachine } from '../machine';
import { preflight } from '../machine/preflight';
import { runSteps } from '../run';
import { labSteps } from '../sequence';
import { LabError, lockLab, type Step } from '../steps';
import { toolchainSteps } from '../toolchain';
import { addonSteps, nodeSteps, storageSteps } from './index';

const GROUPS: Record<string, () => Step[]> = {
  toolchain: toolchainSteps,
  machine: machineSteps,
  storage: storageSteps,
  node: nodeSteps,
  addons: addonSteps,
};

/** `cli.ts up [group…] | down | status`: the cluster alone, for work on this folder. */
async function main([verb, ...names]: string[]): Promise<void> {
  if (verb === 'status') {
    process.stdout.write(`${runningDaemons().join('\n') || 'nothing runs'}\n`);
    return;
  }
  if (verb !== 'up' && verb !== 'down') throw new LabError('usage: cli.ts up [group…] | down | status', '');
  const release = lockLab();
  try {
    if (verb === 'down') return await stopMachine();
    preflight();
    const groups = (names.length > 0 ? names : Object.keys(GROUPS)).map((name) => {
      const group = GROUPS[name];
      if (!group) throw new LabError(`no group ${name}`, `Groups: ${Object.keys(GROUPS).join(', ')}`);
      return group();
    });
    const chosen = groups.flat().map(({ name }) => name);
    await runSteps(only(labSteps(), chosen));
  } finally {
    release();
  }
}

main(process.argv.slice(2)).catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
