import { copyFileSync, existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { buildPlugins } from '../plugins/build';
import { LabError, type StepLog } from '../steps';

const REPOSITORY = join(__dirname, '..', '..');
const NODE = join(REPOSITORY, 'node_modules', 'node', 'bin', 'node');

/** What the agent image's own programs are made from. */
export async function agentInputs(): Promise<string[]> {
  return ['lab/plugins', 'package-lock.json', 'sdks'].map((part) => join(REPOSITORY, part));
}

/** Node 22 and the provider plug-ins with their launchers. */
export async function makeAgentProgram(context: string, log: StepLog): Promise<void> {
  if (!existsSync(NODE)) throw new LabError(`Node 22 is not at ${NODE}`, 'Run: npm ci');
  for (const folder of ['node', 'launchers', 'program'])
    mkdirSync(join(context, folder), { recursive: true });
  copyFileSync(NODE, join(context, 'node', 'node'));
  const launchers = await buildPlugins({
    outDir: join(context, 'program', 'plugins'),
    binDir: join(context, 'launchers'),
    node: '/usr/local/bin/node',
    launchFrom: '/opt/switchyard/plugins',
  });
  log.line(`launchers: ${launchers.length} plug-ins`);
}
