import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import {
  type EngineEvent,
  LocalWorkspace,
  type OutputMap,
  type PulumiFn,
  type Stack,
} from '@pulumi/pulumi/automation';
import { stringify } from 'yaml';
import { type PendingCreate, pendingCreates } from './repair';

export type Operation = 'preview' | 'up' | 'refresh' | 'destroy';

export interface EngineInputs {
  /** The checkout: build contexts are relative to it, as they are under plain `pulumi up`. */
  readonly root: string;
  readonly environment: string;
  /** State backend, as `pulumi login` takes it. */
  readonly backend: string;
  /** Folder with `Pulumi.<environment>.yaml`. */
  readonly stacks: string;
  readonly program: PulumiFn;
  /** URNs to which the operation is limited. @default all */
  readonly targets?: readonly string[];
  /** URNs of resources to make anew although nothing of their inputs changed. @default none */
  readonly replace?: readonly string[];
  /** URNs that the operation leaves as they are. @default none */
  readonly exclude?: readonly string[];
  /** Gets each event of the engine. */
  readonly onEvent?: (event: EngineEvent) => void;
  /** The id of what a creation made that was under way when a run was killed; undefined when it made nothing. */
  readonly settle: (create: PendingCreate) => Promise<string | undefined>;
  /** Gets each line that the engine prints. */
  readonly print: (text: string) => void;
}

export interface OperationResult {
  /** Operation → number of resources, `same` left out. */
  readonly changes: Readonly<Record<string, number>>;
  readonly outputs: OutputMap;
}

/** The name under which Pulumi keeps an environment's state. */
export const PROJECT = 'switchyard';

type StackInputs = Pick<EngineInputs, 'root' | 'environment' | 'backend' | 'stacks' | 'program'>;

async function openStack(inputs: StackInputs, workDir: string): Promise<Stack> {
  // Pulumi writes its encryption salt into the stack file it works with: it gets a copy, so that no command of ours
  // changes a file that people keep in git.
  const source = readFileSync(join(inputs.stacks, `Pulumi.${inputs.environment}.yaml`), 'utf8');
  writeFileSync(join(workDir, `Pulumi.${inputs.environment}.yaml`), source);
  writeFileSync(
    join(workDir, 'Pulumi.yaml'),
    stringify({ name: PROJECT, runtime: 'nodejs', backend: { url: inputs.backend } }),
  );
  for (const folder of ['components', 'dist']) {
    if (existsSync(join(inputs.root, folder))) symlinkSync(join(inputs.root, folder), join(workDir, folder));
  }
  return LocalWorkspace.createOrSelectStack(
    { stackName: inputs.environment, projectName: PROJECT, program: inputs.program },
    { workDir, envVars: { PULUMI_BACKEND_URL: inputs.backend, PULUMI_SKIP_UPDATE_CHECK: 'true' } },
  );
}

const withoutSame = (changes: Readonly<Record<string, number | undefined>>): Record<string, number> =>
  Object.fromEntries(
    Object.entries(changes).flatMap(([kind, count]) => (kind === 'same' || !count ? [] : [[kind, count]])),
  );

/**
 * Settles what a killed run left open: what it made is taken over, what it did not make is forgotten. Without it the
 * next run would try to make the same things once more.
 */
async function settlePending(stack: Stack, workDir: string, inputs: EngineInputs): Promise<void> {
  const { deployment } = await stack.exportStack();
  const pending = pendingCreates(deployment).filter(
    ({ urn }) => !inputs.targets || inputs.targets.includes(urn),
  );
  if (pending.length === 0) return;
  inputs.print(
    `A run before was ended while it created ${pending.length} resource(s); settling them first.\n`,
  );
  const args = ['refresh', '--yes', '--skip-preview', '--non-interactive', '--run-program=false'];
  args.push('--stack', inputs.environment, '--clear-pending-creates');
  for (const create of pending) {
    const id = await inputs.settle(create);
    if (id === undefined) continue;
    inputs.print(`  ${create.urn.split('::').at(-1)} exists as ${id}\n`);
    // The flag takes pairs: a URN, then the id.
    args.push('--import-pending-creates', create.urn, '--import-pending-creates', id);
  }
  for (const urn of inputs.targets ?? []) args.push('--target', urn);
  const env = { ...process.env, PULUMI_BACKEND_URL: inputs.backend, PULUMI_SKIP_UPDATE_CHECK: 'true' };
  await promisify(execFile)('pulumi', args, { cwd: workDir, env, maxBuffer: 64 << 20 });
}

/** Runs one operation of Pulumi's engine on the program. Interrupting it cancels the engine, which saves its state. */
export async function runOperation(operation: Operation, inputs: EngineInputs): Promise<OperationResult> {
  const workDir = mkdtempSync(join(tmpdir(), 'switchyard-'));
  const cancel = new AbortController();
  const onSignal = () => cancel.abort();
  process.once('SIGINT', onSignal);
  process.once('SIGTERM', onSignal);
  try {
    const stack = await openStack(inputs, workDir);
    await settlePending(stack, workDir, inputs);
    let changes: Record<string, number> = {};
    const options = {
      onOutput: inputs.print,
      signal: cancel.signal,
      color: (process.stdout.isTTY ? 'always' : 'never') as 'always' | 'never',
      onEvent: (event: EngineEvent) => {
        inputs.onEvent?.(event);
        if (event.summaryEvent) changes = withoutSame(event.summaryEvent.resourceChanges);
      },
      ...(inputs.targets ? { target: [...inputs.targets] } : {}),
      ...(inputs.exclude?.length ? { exclude: [...inputs.exclude] } : {}),
    };
    const planned = { ...options, ...(inputs.replace ? { replace: [...inputs.replace] } : {}) };
    if (operation === 'preview') await stack.preview(planned);
    else if (operation === 'up') await stack.up(planned);
    else if (operation === 'refresh') await stack.refresh(options);
    else await stack.destroy(options);
    return { changes, outputs: operation === 'destroy' ? {} : await stack.outputs() };
  } finally {
    process.removeListener('SIGINT', onSignal);
    process.removeListener('SIGTERM', onSignal);
    rmSync(workDir, { recursive: true, force: true });
  }
}

/** The recorded state of an environment, its secrets in plain text: for what takes them out, and nothing else. */
export async function exportState(inputs: StackInputs): Promise<unknown> {
  const workDir = mkdtempSync(join(tmpdir(), 'switchyard-'));
  try {
    return await (await openStack(inputs, workDir)).exportStack();
  } finally {
    rmSync(workDir, { recursive: true, force: true });
  }
}

/** A secret of the stack file, or undefined when it has none of that name. */
export async function stackSecret(inputs: StackInputs, key: string): Promise<string | undefined> {
  const workDir = mkdtempSync(join(tmpdir(), 'switchyard-'));
  try {
    return (await (await openStack(inputs, workDir)).getAllConfig())[`${PROJECT}:${key}`]?.value;
  } finally {
    rmSync(workDir, { recursive: true, force: true });
  }
}

/** Removes the lock of a run that is gone: what `pulumi cancel` does. */
export async function breakLock(inputs: StackInputs): Promise<void> {
  const workDir = mkdtempSync(join(tmpdir(), 'switchyard-'));
  try {
    const stack = await openStack(inputs, workDir);
    await stack.cancel();
  } finally {
    rmSync(workDir, { recursive: true, force: true });
  }
}
