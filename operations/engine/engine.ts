import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type EngineEvent, LocalWorkspace, type PulumiFn, type Stack } from '@pulumi/pulumi/automation';
import { keepsParts } from '../../stacks/backend';
import { isSalted, stackFile, withoutSecrets } from '../../stacks/load';
import { partName } from '../../stacks/names';
import { yamlText } from '../../text/yaml';
import { CLAIMS_PROJECT, Claims, LONGEST_MS } from '../parts/claims';
import { Parts } from '../parts/part-stacks';
import { PulumiCommand, type State, withPassphrase } from './pulumi';
import {
  type Existing,
  type OpenChange,
  openChanges,
  type PendingCreate,
  pendingCreates,
  settledDeployment,
} from './repair';
import { hasResources, keepState, statesFolder } from './states';
import { PROJECT } from './urns';

export type Operation = 'preview' | 'up' | 'refresh' | 'destroy';

/** What the engine can do: people's operations, and the two of them that have a preview of their own. */
export type EngineOperation = Operation | 'previewRefresh' | 'previewDestroy';

export interface EngineInputs {
  /** What comes with Switchyard: the build contexts of its components are relative to it. */
  readonly root: string;
  /** Whose program it is: the delivery image's build context is relative to it. @default `root` */
  readonly project?: string;
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
  /** A deploy: works on this module's part of the state (see `parts/parts.ts`). @default the environment's own state */
  readonly part?: string;
  /**
   * How long it waits for whoever changes the environment or deploys to it, in milliseconds.
   * @default 20 minutes for a deploy, 0 for all else
   */
  readonly patienceMs?: number;
  /**
   * What it claims are leases, which lapse when its process is gone: of a Pod, after which nobody looks.
   * @default those of a deploy are, those of a change of the whole environment stay until somebody takes them away
   */
  readonly lease?: boolean;
  /** What a creation made that was under way when a run was killed; undefined when it made nothing. */
  readonly settle: (create: PendingCreate) => Promise<Existing | undefined>;
  /** Waits for the end of a deletion that was under way when a run was killed. */
  readonly untilEnded: (change: OpenChange) => Promise<void>;
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
  /** Comes before a change, when nobody else can change the same any more. */
  readonly before?: () => Promise<void>;
  readonly onEvent: (event: EngineEvent) => void;
}

export interface OperationResult {
  /** Operation → number of resources, boxes and providers among them, `same` left out. */
  readonly changes: Readonly<Record<string, number>>;
  /** Outputs of the program that are no secrets, after an `up`. */
  readonly outputs: Readonly<Record<string, unknown>>;
}

const withoutSame = (changes: Readonly<Record<string, number | undefined>>): Record<string, number> =>
  Object.fromEntries(
    Object.entries(changes).flatMap(([kind, count]) => (kind === 'same' || !count ? [] : [[kind, count]])),
  );

/** A new folder in which Pulumi finds the project; each stack that is opened there adds its file. */
function projectFolder({ root, project = root }: EngineInputs, backend: string): string {
  const workDir = mkdtempSync(join(tmpdir(), 'switchyard-'));
  writeFileSync(
    join(workDir, 'Pulumi.yaml'),
    yamlText({ name: PROJECT, runtime: 'nodejs', backend: { url: backend } }, {}),
  );
  const contexts: [folder: string, from: string][] = [
    ['components', root],
    ['dist', project],
  ];
  for (const [folder, from] of contexts) {
    if (existsSync(join(from, folder))) symlinkSync(join(from, folder), join(workDir, folder));
  }
  return workDir;
}

/** Pulumi's commands on the claims, which are stacks of a project of their own. */
function claimsCommand(workDir: string, backend: string): PulumiCommand {
  const folder = join(workDir, 'claims');
  mkdirSync(folder);
  writeFileSync(join(folder, 'Pulumi.yaml'), yamlText({ name: CLAIMS_PROJECT, runtime: 'nodejs' }, {}));
  return new PulumiCommand(folder, backend);
}

interface StackRequest {
  /** State backend, as `pulumi login` takes it. */
  readonly backend: string;
  /** See {@link projectFolder}. */
  readonly workDir: string;
  readonly stackName: string;
  /** Make it where there is none. */
  readonly make: boolean;
  /** Encryption salt of a stack whose file names none. @default Pulumi makes one for each run */
  readonly salt?: string;
  /** What encrypts its secrets. @default that of this process */
  readonly passphrase?: string;
}

async function openStack(inputs: EngineInputs, request: StackRequest): Promise<Stack> {
  const { backend, workDir, stackName, make, salt = '', passphrase } = request;
  // Pulumi writes its encryption salt into the stack file it works with: it gets a copy, so that no command of ours
  // changes a file that people keep in git.
  const file = readFileSync(join(inputs.stacks, stackFile(inputs.environment)), 'utf8');
  // What it holds encrypted is the environment's: a part has another passphrase.
  const source = stackName === inputs.environment ? file : withoutSecrets(file);
  const salted = salt === '' || isSalted(source);
  writeFileSync(
    join(workDir, stackFile(stackName)),
    salted ? source : `${source}\nencryptionsalt: ${salt}\n`,
  );
  const stack = { stackName, projectName: PROJECT, program: inputs.program };
  const options = {
    workDir,
    envVars: {
      PULUMI_BACKEND_URL: backend,
      PULUMI_SKIP_UPDATE_CHECK: 'true',
      ...withPassphrase(passphrase),
    },
  };
  const opened = await (make
    ? LocalWorkspace.createOrSelectStack(stack, options)
    : LocalWorkspace.selectStack(stack, options));
  // After each run the Automation API asks for the newest update and for all outputs, secrets in plain text: three
  // commands, two of which derive the key anew. Nothing of it is used here but the plain outputs of an `up`.
  opened.info = async () => undefined;
  opened.outputs = async () => ({});
  return opened;
}

/** Gives back what was claimed; where that fails it is told, so that it hides nothing else. */
async function giveBack(claims: Claims, { environment, note }: EngineInputs): Promise<void> {
  await claims.release().catch((error: Error) => {
    const [said = ''] = error.message.split('\n');
    note(`${environment} stays locked (${said}): say switchyard cancel ${environment}.`);
  });
}

/** Milliseconds within which a second signal is the first one once more: a terminal and `npm` both send it. */
const AGAIN_MS = 2000;

/**
 * Pulumi's engine on one environment, for as long as a command needs it. Interrupting the process cancels what the
 * engine does, which saves its state.
 */
export class Engine {
  private readonly cancel = new AbortController();
  /** When this process was told to end, by `performance.now()`. */
  private told: number | undefined;
  /**
   * Told once, it cancels; told again a while later, it ends at once, as by a person who does not wait. It listens until the
   * engine is closed: Pulumi's SDK starts programs by execa, whose signal-exit ends this process where no other listener is
   * left, and one that listens once is gone by then.
   */
  private readonly onSignal = (signal: NodeJS.Signals) => {
    if (this.told !== undefined && performance.now() - this.told > AGAIN_MS) {
      this.unlisten();
      process.kill(process.pid, signal);
    }
    this.told ??= performance.now();
    this.cancel.abort();
  };
  private saved = false;

  private constructor(
    private readonly inputs: EngineInputs,
    private readonly workDir: string,
    private readonly stack: Stack,
    private readonly command: PulumiCommand,
    private readonly claims: Claims,
    private readonly parts: Parts | undefined,
  ) {}

  static async open(inputs: EngineInputs): Promise<Engine> {
    const { backend, environment, existing, part, note, lease = part !== undefined } = inputs;
    const workDir = projectFolder(inputs, backend);
    const command = new PulumiCommand(workDir, backend);
    const lost = new AbortController();
    const claiming = { note, lost: () => lost.abort() };
    const patienceMs = inputs.patienceMs ?? (part === undefined ? 0 : LONGEST_MS);
    const places = { claims: claimsCommand(workDir, backend), states: command };
    const claims = new Claims(places, environment, { ...claiming, patienceMs, lease });
    const parts = keepsParts(backend) ? new Parts(command, claims, environment, note) : undefined;
    try {
      const cut = part === undefined ? undefined : await parts?.open(part);
      const stack = await openStack(
        inputs,
        part !== undefined && cut
          ? { backend, workDir, stackName: partName(environment, part), make: false, salt: cut.salt }
          : { backend, workDir, stackName: environment, make: !existing },
      );
      if (!cut && parts) {
        // Of whoever is killed while it only looks, nothing is left to look at.
        const looking = new Claims(places, environment, { ...claiming, patienceMs, lease: true });
        await new Parts(command, looking, environment, note).gatherForLook();
      }
      const engine = new Engine(inputs, workDir, stack, command, claims, parts);
      // Whoever took a lease away goes on with the state.
      lost.signal.addEventListener('abort', () => engine.cancel.abort(), { once: true });
      process.on('SIGINT', engine.onSignal);
      process.on('SIGTERM', engine.onSignal);
      return engine;
    } catch (error) {
      await giveBack(claims, inputs);
      rmSync(workDir, { recursive: true, force: true });
      throw error;
    }
  }

  private unlisten(): void {
    process.removeListener('SIGINT', this.onSignal);
    process.removeListener('SIGTERM', this.onSignal);
  }

  async close(): Promise<void> {
    // A signal that comes while the claims are given back is no reason to leave them.
    await giveBack(this.claims, this.inputs);
    this.unlisten();
    rmSync(this.workDir, { recursive: true, force: true });
  }

  /** The stack that this engine works on, whose name its URNs begin with: the environment's, or a part's. */
  get stackName(): string {
    return this.stack.name;
  }

  /** The state as `pulumi stack export` gives it: secrets stay encrypted, which the Automation API's export undoes. */
  async state(): Promise<State> {
    return this.command.export(this.stackName);
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
   * What must come before a change: once, the state is copied and what a killed run left open is settled; each time,
   * what deploys did meanwhile is brought in.
   */
  async prepare(targets?: readonly string[]): Promise<void> {
    await this.claimed(targets, async () => undefined);
  }

  /**
   * Does something while nobody else changes the same, after what must come before it. A part is claimed for as long as
   * it is open, an environment for one change: a rebuild's canary is deployed between two.
   */
  private async claimed<T>(targets: readonly string[] | undefined, work: () => Promise<T>): Promise<T> {
    const whole = this.stackName === this.inputs.environment;
    try {
      if (whole && this.parts) await this.claims.environment();
      if (!this.saved) {
        const state = await this.state();
        if (hasResources(state)) await this.saveAside(state);
        await this.settlePending(state, targets);
        this.saved = true;
      }
      return whole && this.parts ? await this.gathered(this.parts, work) : await work();
    } finally {
      if (whole) await giveBack(this.claims, this.inputs);
    }
  }

  /** Changes the environment after its parts were gathered, and cuts it for its modules afterwards, however that ended. */
  private async gathered<T>(parts: Parts, work: () => Promise<T>): Promise<T> {
    const { environment, note } = this.inputs;
    const left = await parts.gather((...part) => this.settlePart(...part));
    let result: T;
    try {
      result = await work();
    } catch (error) {
      await parts.cut(left).catch((other: Error) => {
        const [said = ''] = other.message.split('\n');
        note(`No module can be deployed before the next switchyard up ${environment} (${said}).`);
      });
      throw error;
    }
    await parts.cut(left);
    return result;
  }

  private async settlePart(part: string, salt: string, passphrase: string | undefined): Promise<void> {
    const { workDir, inputs } = this;
    const stack = await openStack(inputs, {
      backend: inputs.backend,
      workDir,
      stackName: part,
      make: false,
      salt,
      passphrase,
    });
    const engine = new Engine(inputs, workDir, stack, this.command, this.claims, this.parts);
    await engine.settlePending(await engine.state());
  }

  private async saveAside(state: State): Promise<void> {
    const { stateCopies } = this.inputs;
    if (stateCopies === undefined) {
      const file = keepState(statesFolder(this.stackName), state, new Date());
      this.inputs.note(`The state as it was: ${file}`);
      return;
    }
    // Pulumi itself carries it, with the credentials that it has for every kind of backend.
    const workDir = projectFolder(this.inputs, stateCopies);
    try {
      const { inputs, stackName } = this;
      const copy = await openStack(inputs, { backend: stateCopies, workDir, stackName, make: true });
      await copy.importStack({ version: state.version, deployment: state.deployment });
      this.inputs.note(`The state as it was: stack ${this.stackName} of ${stateCopies}`);
    } finally {
      rmSync(workDir, { recursive: true, force: true });
    }
  }

  /**
   * Settles what a killed run left open. The engine itself forgets it in its next run: it would make things once more
   * that are there, miss what is gone, and keep what was changed.
   */
  private async settlePending(state: State, targets?: readonly string[]): Promise<void> {
    const creates = pendingCreates(state.deployment);
    const changes = openChanges(state.deployment);
    const open = [...creates, ...changes].map(({ urn }) => urn);
    // Writing the state drops every open operation: a limited run leaves it to a whole one, unless all are its own.
    if (open.length === 0 || open.some((urn) => targets && !targets.includes(urn))) return;
    this.inputs.note(
      `A run before was ended in the middle of ${open.length} resource(s); settling them first.`,
    );
    // First, since it keeps what is open of creations.
    await this.settleChanges(changes);
    if (creates.length > 0) await this.settleCreates(creates);
  }

  /** Reads what was changed or deleted, whole or in part. */
  private async settleChanges(changes: readonly OpenChange[]): Promise<void> {
    if (changes.length === 0) return;
    for (const change of changes) await this.inputs.untilEnded(change);
    await this.stack.refresh({ target: changes.map(({ urn }) => urn), runProgram: false });
  }

  /**
   * What was made is taken over, what was not made is forgotten. The state is written anew, because the engine's own
   * way (`refresh --import-pending-creates`) drops them without a word.
   */
  private async settleCreates(creates: readonly PendingCreate[]): Promise<void> {
    const { note, settle } = this.inputs;
    const found = new Map<string, Existing>();
    for (const create of creates) {
      const existing = await settle(create);
      if (!existing) continue;
      note(`  ${create.urn.split('::').at(-1)} exists as ${existing.id}`);
      found.set(create.urn, existing);
    }
    const { version, deployment } = await this.state();
    // Reads what the killed run was not told.
    await this.writeState({ version, deployment: settledDeployment(deployment, found) }, [...found.keys()]);
  }

  /** Runs one operation on the program. */
  async run(operation: EngineOperation, inputs: RunInputs): Promise<OperationResult> {
    const changing = operation === 'up' || operation === 'refresh' || operation === 'destroy';
    if (!changing) return this.runNow(operation, inputs);
    return this.claimed(inputs.targets, async () => {
      await inputs.before?.();
      // Taken away before the engine listens: it would begin all the same.
      this.claims.assertKept();
      const unfinished = new Set<string>();
      const onEvent = (event: EngineEvent) => {
        const { op, urn } = event.resOpFailedEvent?.metadata ?? {};
        if (op === 'update' && urn !== undefined) unfinished.add(urn);
        inputs.onEvent(event);
      };
      try {
        return await this.runNow(operation, { ...inputs, onEvent });
      } catch (error) {
        // Whoever took it away goes on with the state.
        this.claims.assertKept();
        if (this.told !== undefined) await this.readUnfinished([...unfinished]);
        throw error;
      }
    });
  }

  /**
   * Reads what a run that was told to end began to change. The Kubernetes provider then tells nothing of what it had sent
   * (its Update reads the object by a client that is cancelled, provider/pkg/provider/provider.go), so the state would say
   * what was there before, and a program that goes back to that would find no change. What was refused is not read: the
   * state would take for its own what others have changed.
   */
  private async readUnfinished(urns: readonly string[]): Promise<void> {
    if (urns.length === 0) return;
    const { environment, note } = this.inputs;
    await this.stack.refresh({ target: [...urns], runProgram: false }).catch((error: Error) => {
      const [said = ''] = error.message.split('\n');
      note(`What was under way could not be read (${said}): say switchyard refresh ${environment} first.`);
    });
  }

  private async runNow(operation: EngineOperation, inputs: RunInputs): Promise<OperationResult> {
    let changes: Record<string, number> = {};
    let outputs: Record<string, unknown> = {};
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
    else if (operation === 'up') {
      await this.stack.up(planned);
      outputs = await this.command.plainOutputs(this.stackName);
    } else if (operation === 'refresh') await this.stack.refresh(options);
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

  /** Removes the locks of runs that are gone: what `pulumi cancel` does, on the environment and on its parts. */
  async unlock(): Promise<void> {
    await this.stack.cancel();
    await this.parts?.unlock();
  }
}
