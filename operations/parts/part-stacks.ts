import { cutName, partName } from '../../stacks/names';
import { EXIT, Refusal } from '../cli/refusal';
import { lockHolders } from '../engine/lock';
import { isWrongPassphrase, type PulumiCommand, type StackSummary, type State } from '../engine/pulumi';
import type { Claims } from './claims';
import {
  asStack,
  baseOfCut,
  type Cutting,
  cuttings,
  gatherPart,
  isOpen,
  partPassphrases,
  saltedWith,
  saltOf,
} from './parts';

/** Tag of a part: what it was cut from, the fields of {@link Cut} with commas between. */
const CUT = 'switchyard:cut-from';
/**
 * Tag of an environment's stack: when the update had begun that what was cut for its modules is of. It is gone while
 * somebody changes the environment, and says something else than the stack's history after a plain `pulumi up`.
 */
const CUT_FOR = 'switchyard:cut-for';
/** Where it never had an update. */
const NEVER = 'never';

/** How many of Pulumi's commands run at once. */
const AT_ONCE = 4;

/** What a part was cut from. */
export interface Cut {
  /** See `partBase`. */
  readonly base: string;
  /** When the environment's newest update had begun. */
  readonly update: string;
  /** See `saltOf`. */
  readonly salt: string;
}

/** A part as it was read. */
interface Part {
  readonly name: string;
  readonly module: string;
  /** Undefined for one that a killed run did not finish. */
  readonly cut: Cut | undefined;
  readonly state: State;
}

/** Does something with each, some of them at once. @returns what came of each, in their order */
async function each<T, R>(all: readonly T[], work: (one: T) => Promise<R>): Promise<R[]> {
  const done: R[] = [];
  const left = [...all.entries()];
  const worker = async () => {
    for (let next = left.shift(); next; next = left.shift()) done[next[0]] = await work(next[1]);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return done;
}

/**
 * The stacks that hold an environment's parts. Whoever changes the environment cuts what each module's deploys begin
 * with, under that module's own passphrase (docs/decisions/0008); a deploy makes its part of that, and can read nothing
 * else. Whoever opens the environment next gathers the parts.
 */
export class Parts {
  constructor(
    private readonly command: PulumiCommand,
    private readonly claims: Claims,
    private readonly environment: string,
    private readonly note: (text: string) => void,
  ) {}

  private moduleOf(part: string): string {
    return part.slice(partName(this.environment, '').length);
  }

  /** Names of parts, and what was cut for modules to make parts of. */
  private async all(): Promise<{ readonly parts: string[]; readonly cut: StackSummary[] }> {
    const prefix = partName(this.environment, '');
    const found = (await this.command.stacks()).filter(({ name }) => name.startsWith(prefix));
    const isPart = ({ name }: StackSummary) => !this.moduleOf(name).includes('.');
    const parts = found.filter(isPart).map(({ name }) => name);
    return { parts: parts.sort(), cut: found.filter((one) => !isPart(one)) };
  }

  /** What a part was cut from; undefined where there is no such part. */
  private async cutFrom(part: string): Promise<Cut | undefined> {
    const tag = await this.command.tag(part, CUT);
    const [base = '', update = '', salt = ''] = tag?.split(',') ?? [];
    return tag === undefined ? undefined : { base, update, salt };
  }

  private async newest(): Promise<string> {
    return (await this.command.newestUpdate(this.environment)) || NEVER;
  }

  private stale(module: string, why: string): Refusal {
    const { environment } = this;
    return new Refusal(
      `${why}, so that a deploy of ${module} cannot know what it changes. Say: switchyard cut ${environment}. Then start the build again.`,
      EXIT.uncut,
    );
  }

  /**
   * A module's part that agrees with its environment, claimed for a deploy; made of what was cut for the module, where
   * this is the first deploy since.
   * @throws Refusal when its turn did not come, or nothing that agrees with the environment was cut for it
   */
  async open(module: string): Promise<Cut> {
    for (let first = true; ; first = false) {
      await this.claims.deploy(partName(this.environment, module));
      try {
        return await this.ready(module);
      } catch (error) {
        if (!first) throw error;
        // Who only looks does not wait for a deploy, and what it cuts anew is not there for a moment: it is waited for.
        await this.claims.release();
      }
    }
  }

  /** Does something to a part, or to what was cut, that is claimed: who still has Pulumi's lock of it was killed. */
  private async unlocked<T>(stack: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof Error) || lockHolders(error.message).length === 0) throw error;
      await this.command.cancel(stack);
      return work();
    }
  }

  private forget(stack: string): Promise<void> {
    return this.unlocked(stack, () => this.command.forget(stack));
  }

  private async ready(module: string): Promise<Cut> {
    const { environment } = this;
    const part = partName(environment, module);
    const [newest, cutFor, old] = await Promise.all([
      this.newest(),
      this.command.tag(environment, CUT_FOR),
      this.cutFrom(part),
    ]);
    if (cutFor === undefined)
      throw this.stale(
        module,
        `The state of ${environment} was not cut for its modules since it was changed`,
      );
    if (cutFor !== newest || (old && old.update !== newest))
      throw this.stale(module, `${environment} was changed by another program than switchyard`);
    return old ?? this.make(module, newest);
  }

  private async make(module: string, update: string): Promise<Cut> {
    const { environment } = this;
    const part = partName(environment, module);
    const prefix = cutName(environment, module, '');
    const from = (await this.all()).cut.find(({ name }) => name.startsWith(prefix))?.name;
    if (from === undefined)
      throw this.stale(
        module,
        `${environment} has no production of ${module}, or one with something left open`,
      );
    const exported = await this.command.export(from);
    const state = { ...exported, deployment: asStack(exported.deployment, from, part) };
    const cut = {
      base: baseOfCut(state.deployment, environment, module),
      update,
      salt: saltOf(state.deployment),
    };
    try {
      // One that a killed run did not finish.
      await this.forget(part);
      await this.unlocked(part, () => this.command.make(part));
      await this.command.import(part, state);
    } catch (error) {
      if (!isWrongPassphrase(error)) throw error;
      throw new Refusal(
        `The part of ${module} is not encrypted with what this Pod has: it was rotated since the Pod began. Start the build again.`,
        EXIT.failed,
      );
    }
    await this.command.setTag(part, CUT, [cut.base, cut.update, cut.salt].join(','));
    return cut;
  }

  /**
   * Brings all parts into the environment's state, before it is changed. The environment is claimed, and its state has
   * no open operation: writing it would drop that.
   * @param settle settles what a killed deploy left open in a part
   * @returns parts that stay, since nothing may be written
   * @throws Refusal when a deploy is under way
   */
  async gather(
    settle: (part: string, salt: string, passphrase: string | undefined) => Promise<void>,
  ): Promise<readonly string[]> {
    // Also of deploys that have yet to make their part.
    for (const part of await this.claims.deployed()) await this.claims.untilDeployed(part);
    const { parts: names } = await this.all();
    this.claims.assertKept();
    // From here on no deploy begins, also when this is killed.
    await this.command.removeTag(this.environment, CUT_FOR);
    if (names.length === 0) return [];
    const [passphrases, found] = await Promise.all([
      this.passphrases(),
      each(names, (name) => this.read(name)),
    ]);
    const parts: Part[] = [];
    for (const part of found) {
      if (part.cut && isOpen(part.state.deployment)) {
        await settle(part.name, part.cut.salt, passphrases.get(part.module));
        parts.push(await this.read(part.name));
      } else parts.push(part);
    }
    return (await this.bring(parts, passphrases)) ? [] : names;
  }

  /**
   * What {@link gather} does, for whoever only looks: nothing where something stays under way or was left open, so that
   * what these deploys did shows as a change. Afterwards the state is cut anew; also after a plain `pulumi up`.
   */
  async gatherForLook(): Promise<void> {
    const { environment } = this;
    const [{ parts: found }, agrees, isChanging] = await Promise.all([
      this.all(),
      this.agrees(),
      this.claims.isChanging(),
    ]);
    if (found.length === 0 && agrees && !isChanging) return;
    try {
      await this.claims.environment();
      // Only now no deploy begins any more.
      const left: string[] = [];
      for (const part of await this.claims.deployed()) if (!(await this.rests(part))) left.push(part);
      const { parts: names } = await this.all();
      const found = await each(
        names.filter((one) => !left.includes(one)),
        (name) => this.read(name),
      );
      const parts = found.filter(({ state }) => !isOpen(state.deployment));
      left.push(...found.filter((part) => !parts.includes(part)).map(({ name }) => name));
      for (const name of left)
        this.note(`A deploy works on ${name}, or was ended in the middle: what it did shows as a change.`);
      // What changed the environment until now may have cut it.
      if (parts.length === 0 && (await this.agrees())) return;
      await this.command.removeTag(environment, CUT_FOR);
      const brought = parts.length === 0 || (await this.bring(parts, await this.passphrases()));
      await this.cut(brought ? left : [...left, ...names]);
    } catch (error) {
      if (!(error instanceof Error) || lockHolders(error.message).length === 0) throw error;
      this.note(`${environment} is locked: what deploys did since it was changed shows as a change.`);
    } finally {
      await this.claims.release();
    }
  }

  /** Whether what was cut for the modules is of the environment's newest update. */
  private async agrees(): Promise<boolean> {
    const [newest, cutFor] = await Promise.all([this.newest(), this.command.tag(this.environment, CUT_FOR)]);
    // A copy that came without its history was cut for nobody.
    return cutFor === newest || (cutFor === undefined && newest === NEVER);
  }

  /** Whether no deploy works on a part that one had claimed, once it was waited for. */
  private async rests(part: string): Promise<boolean> {
    if (!this.claims.isPatient) return false;
    try {
      await this.claims.untilDeployed(part);
      return true;
    } catch (error) {
      if (error instanceof Refusal && error.code === EXIT.locked) return false;
      throw error;
    }
  }

  private async read(name: string): Promise<Part> {
    const [cut, state] = await Promise.all([this.cutFrom(name), this.command.export(name)]);
    return { name, module: this.moduleOf(name), cut, state };
  }

  private async passphrases(): Promise<ReadonlyMap<string, string>> {
    return partPassphrases((await this.command.open(this.environment)).deployment);
  }

  /**
   * A part with its secrets in plain text; undefined where they were encrypted with something that nobody has any more.
   * @param passphrase that deploys have. @default none: an older program's parts have the environment's
   */
  private async opened(name: string, passphrase: string | undefined): Promise<unknown> {
    for (const one of passphrase === undefined ? [undefined] : [passphrase, undefined]) {
      try {
        return (await this.command.open(name, one)).deployment;
      } catch (error) {
        if (!isWrongPassphrase(error)) throw error;
      }
    }
    return undefined;
  }

  /** @returns false where nothing may be written */
  private async bring(parts: readonly Part[], passphrases: ReadonlyMap<string, string>): Promise<boolean> {
    const { environment } = this;
    const { version, deployment } = await this.command.export(environment);
    if (isOpen(deployment)) return false;
    const opened = await each(
      parts,
      async ({ name, module, cut }) => cut && (await this.opened(name, passphrases.get(module))),
    );
    let gathered = deployment;
    for (const [index, { name, module, cut }] of parts.entries()) {
      if (!cut) continue;
      const part = opened[index];
      if (part === undefined)
        this.note(`${name} cannot be read any more: what deploys did is applied again.`);
      else gathered = gatherPart(gathered, part, { environment, module, base: cut.base });
    }
    this.claims.assertKept();
    await this.command.import(environment, { version, deployment: gathered });
    await each(parts, ({ name }) => this.forget(name));
    return true;
  }

  /**
   * Cuts what each module's deploys begin with, after the environment was changed. It is claimed. What is the same as
   * before is left.
   * @param left parts that deploys work on, or that nobody could gather
   */
  async cut(left: readonly string[] = []): Promise<void> {
    const { environment, command } = this;
    this.claims.assertKept();
    const [{ version, deployment }, before, newest] = await Promise.all([
      command.open(environment),
      this.all(),
      this.newest(),
    ]);
    const wanted = cuttings(deployment, environment);
    // One without a resource is of a run that was killed.
    const kept = before.cut.filter(
      ({ name, resourceCount }) => resourceCount > 0 && wanted.some((one) => one.name === name),
    );
    const fresh = wanted.filter(({ name }) => !kept.some((one) => one.name === name));
    // A deploy that came while the environment was changed made its part of what was cut before.
    const gone = [
      ...before.cut.filter((one) => !kept.includes(one)).map(({ name }) => name),
      ...before.parts.filter((name) => !left.includes(name)),
    ];
    await each(gone, (name) => this.forget(name));
    await each(fresh, (one) => this.makeCut(one, version));
    this.claims.assertKept();
    await command.setTag(environment, CUT_FOR, newest);
  }

  private async makeCut({ module, name, passphrase, deployment }: Cutting, version: number): Promise<void> {
    const salt = await this.command.make(name, passphrase);
    const salted = saltedWith(asStack(deployment, partName(this.environment, module), name), salt);
    await this.command.import(name, { version, deployment: salted }, passphrase);
  }

  /** Breaks the locks of runs that are gone. */
  async unlock(): Promise<void> {
    const { parts } = await this.all();
    for (const part of parts) await this.command.cancel(part);
    await this.claims.break();
  }
}
