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
import { type PendingCreate, pendingCreates, settledDeployment } from './repair';
import { hasResources, keepState, statesFolder } from './states';
import { PROJECT } from './urns';

export type Operation = 'preview' | 'up' | 'refresh' | 'destroy';

/** What the engine can do: people's operations, and the two of them that have a preview of their own. */
export type EngineOperation = Operation | 'previewRefresh' | 'previewDestroy';

export interface EngineInputs {
  /** The checkout: build contexts are relative to it, as they are under plain `pulumi up`. */
  readonly root: string;
  readonly environment: string;
  /** State backend, as `pulumi login` takes it. */
  readonly backend: string;
  /** Second backend that gets a copy of the state before a run that changes it. @default a folder of this machine */
  readonly stateCopies?: string;
  /** Folder with `Pulumi.<environment>.yaml`. */
  readonly stacks: string;
  readonly program: PulumiFn;
  /** Only look at a stack that is there; else it is made where there is none. @default false */
  readonly existing?: boolean;
  /** The id of what a creation made that was under way when a run was killed; undefined when it made nothing. */
  readonly settle: (create: PendingCreate) => Promise<string | undefined>;
  /** Gets each sentence for the person who watches. */
  readonly note: (text: string) => void;
}

export interface RunInputs {
  /** URNs to which the operation is limited. @default all */
  readonly targets?: readonly string[];
  /** URNs of resources to make anew although nothing of their inputs changed. @default none */
  readonly replace?: readonly string[];
  /** URNs that the operation leaves as they are. @default none */
  readonly exclude?: readonly string[];
  /** Look at reality first, so that what differs from it is put back. @default false */
  readonly refresh?: boolean;
  /**
   * Take back Kubernetes fields that others own by now. The plug-in reads it from its environment; as the provider's
   * own setting it would stay in the state. @default false
   */
  readonly force?: boolean;
  readonly onEvent: (event: EngineEvent) => void;
}

export interface OperationResult {
  /** Operation → number of resources, boxes and providers among them, `same` left out. */
  readonly changes: Readonly<Record<string, number>>;
  readonly outputs: OutputMap;
}

const withoutSame = (changes: Readonly<Record<string, number | undefined>>): Record<string, number> =>
  Object.fromEntries(
    Object.entries(changes).flatMap(([kind, count]) => (kind === 'same' || !count ? [] : [[kind, count]])),
  );

/** Opens a stack of a backend in a folder of its own. */
async function openStack(
  inputs: EngineInputs,
  backend: string,
  workDir: string,
  existing = false,
): Promise<Stack> {
  // Pulumi writes its encryption salt into the stack file it works with: it gets a copy, so that no command of ours
  // changes a file that people keep in git.
  const source = readFileSync(join(inputs.stacks, `Pulumi.${inputs.environment}.yaml`), 'utf8');
  writeFileSync(join(workDir, `Pulumi.${inputs.environment}.yaml`), source);
  writeFileSync(
    join(workDir, 'Pulumi.yaml'),
    stringify({ name: PROJECT, runtime: 'nodejs', backend: { url: backend } }),
  );
  for (const folder of ['components', 'dist']) {
    if (existsSync(join(inputs.root, folder))) symlinkSync(join(inputs.root, folder), join(workDir, folder));
  }
  const stack = { stackName: inputs.environment, projectName: PROJECT, program: inputs.program };
  const options = {
    workDir,
    envVars: { PULUMI_BACKEND_URL: backend, PULUMI_SKIP_UPDATE_CHECK: 'true' },
  };
  return existing
    ? LocalWorkspace.selectStack(stack, options)
    : LocalWorkspace.createOrSelectStack(stack, options);
}

/**
 * Pulumi's engine on one environment, for as long as a command needs it. Interrupting the process cancels what the
 * engine does, which saves its state.
 */
export class Engine {
  private readonly cancel = new AbortController();
  private readonly onSignal = () => this.cancel.abort();
  private saved = false;

  private constructor(
    private readonly inputs: EngineInputs,
    private readonly workDir: string,
    private readonly stack: Stack,
  ) {
    process.once('SIGINT', this.onSignal);
    process.once('SIGTERM', this.onSignal);
  }

  static async open(inputs: EngineInputs): Promise<Engine> {
    const workDir = mkdtempSync(join(tmpdir(), 'switchyard-'));
    try {
      return new Engine(inputs, workDir, await openStack(inputs, inputs.backend, workDir, inputs.existing));
    } catch (error) {
      rmSync(workDir, { recursive: true, force: true });
      throw error;
    }
  }

  close(): void {
    process.removeListener('SIGINT', this.onSignal);
    process.removeListener('SIGTERM', this.onSignal);
    rmSync(this.workDir, { recursive: true, force: true });
  }

  private async pulumi(...args: string[]): Promise<string> {
    const env = {
      ...process.env,
      PULUMI_BACKEND_URL: this.inputs.backend,
      PULUMI_SKIP_UPDATE_CHECK: 'true',
    };
    const options = { cwd: this.workDir, env, maxBuffer: 1 << 30, encoding: 'utf8' as const };
    return (await promisify(execFile)('pulumi', args, options)).stdout;
  }

  /** The state as `pulumi stack export` gives it: secrets stay encrypted, which the Automation API's export undoes. */
  async state(): Promise<{ readonly version: number; readonly deployment: unknown }> {
    return JSON.parse(await this.pulumi('stack', 'export', '--stack', this.inputs.environment));
  }

  /** Writes the state anew, as `change` makes it from the deployment that there is. */
  async rewrite(change: (deployment: unknown) => unknown): Promise<void> {
    const { version, deployment } = await this.state();
    await this.stack.importStack({ version, deployment: change(deployment) });
  }

  /** The state with its secrets in plain text: for what takes them out, and nothing else. */
  async openState(): Promise<unknown> {
    return this.stack.exportStack();
  }

  /**
   * Writes the state anew, as `pulumi stack import` does, and reads what the outside says of some of its resources.
   * @param deployment of {@link state}: secrets encrypted
   */
  async writeState(
    { version, deployment }: { readonly version: number; readonly deployment: Record<string, unknown> },
    read: readonly string[] = [],
  ): Promise<void> {
    await this.stack.importStack({ version, deployment });
    if (read.length > 0) await this.stack.refresh({ target: [...read], runProgram: false });
  }

  /**
   * What must come before any run that changes something, once: the state is copied, and what a killed run left open
   * is settled.
   */
  async prepare(targets?: readonly string[]): Promise<void> {
    if (this.saved) return;
    const state = await this.state();
    if (hasResources(state)) await this.saveAside(state);
    await this.settlePending(state, targets);
    this.saved = true;
  }

  private async saveAside(state: { readonly version: number; readonly deployment: unknown }): Promise<void> {
    const { environment, stateCopies } = this.inputs;
    if (stateCopies === undefined) {
      const file = keepState(statesFolder(environment), state, new Date());
      this.inputs.note(`The state as it was: ${file}`);
      return;
    }
    // Pulumi itself carries it, with the credentials that it has for every kind of backend.
    const workDir = mkdtempSync(join(tmpdir(), 'switchyard-copy-'));
    try {
      const copy = await openStack(this.inputs, stateCopies, workDir);
      await copy.importStack({ version: state.version, deployment: state.deployment });
      this.inputs.note(`The state as it was: stack ${environment} of ${stateCopies}`);
    } finally {
      rmSync(workDir, { recursive: true, force: true });
    }
  }

  /**
   * Settles what a killed run left open: what it made is taken over, what it did not make is forgotten. Without it the
   * next run would try to make the same things once more. The state is written anew, because the engine's own way
   * (`refresh --import-pending-creates`) drops them without a word.
   */
  private async settlePending(
    state: { readonly version: number; readonly deployment: unknown },
    targets?: readonly string[],
  ): Promise<void> {
    const { note, settle } = this.inputs;
    const pending = pendingCreates(state.deployment);
    // Writing the state drops every open operation: a limited run leaves it to a whole one, unless all are its own.
    if (pending.length === 0 || pending.some(({ urn }) => targets && !targets.includes(urn))) return;
    note(`A run before was ended while it created ${pending.length} resource(s); settling them first.`);
    const found = new Map<string, string>();
    for (const create of pending) {
      const id = await settle(create);
      if (id === undefined) continue;
      note(`  ${create.urn.split('::').at(-1)} exists as ${id}`);
      found.set(create.urn, id);
    }
    const deployment = settledDeployment(state.deployment, found);
    // Reads what the killed run was not told.
    await this.writeState({ version: state.version, deployment }, [...found.keys()]);
  }

  /** Runs one operation on the program. */
  async run(operation: EngineOperation, inputs: RunInputs): Promise<OperationResult> {
    const changing = operation === 'up' || operation === 'refresh' || operation === 'destroy';
    if (changing) await this.prepare(inputs.targets);
    let changes: Record<string, number> = {};
    let outputs: OutputMap = {};
    const options = {
      signal: this.cancel.signal,
      color: 'never' as const,
      onEvent: (event: EngineEvent) => {
        if (event.summaryEvent) changes = withoutSame(event.summaryEvent.resourceChanges);
        inputs.onEvent(event);
      },
      ...(inputs.targets ? { target: [...inputs.targets] } : {}),
      ...(inputs.exclude?.length ? { exclude: [...inputs.exclude] } : {}),
    };
    const planned = {
      ...options,
      ...(inputs.replace ? { replace: [...inputs.replace] } : {}),
      ...(inputs.refresh ? { refresh: true } : {}),
    };
    const { workspace } = this.stack;
    workspace.envVars = {
      ...workspace.envVars,
      PULUMI_K8S_ENABLE_PATCH_FORCE: String(inputs.force ?? false),
    };
    if (operation === 'preview') await this.stack.preview(planned);
    else if (operation === 'up') outputs = (await this.stack.up(planned)).outputs;
    else if (operation === 'refresh') await this.stack.refresh(options);
    else if (operation === 'destroy') await this.stack.destroy(options);
    else if (operation === 'previewDestroy') await this.stack.previewDestroy(options);
    // What the program says does not matter to a look at what is there, so that it needs none of its secrets.
    else await this.stack.previewRefresh({ ...options, runProgram: false });
    return { changes, outputs };
  }

  /** A key of the stack's own config, decrypted. */
  async config(key: string): Promise<string | undefined> {
    return (await this.stack.getAllConfig())[key]?.value;
  }

  /** Removes the lock of a run that is gone: what `pulumi cancel` does. */
  async unlock(): Promise<void> {
    await this.stack.cancel();
  }
}
