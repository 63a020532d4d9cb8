import { partName } from '../stacks/names';
import type { Claims } from './claims';
import { lockHolders } from './lock';
import { cutPart, gatherPart, isOpen, partBase, saltOf } from './parts';
import type { PulumiCommand } from './pulumi';

/** Tag of a part: what it was cut from, the fields of {@link Cut} with commas between. */
const CUT = 'switchyard:cut-from';

/** What a part was cut from. */
export interface Cut {
  /** See {@link partBase}. */
  readonly base: string;
  /** When the environment's newest update had begun; empty where there was none. */
  readonly update: string;
  /** See {@link saltOf}. */
  readonly salt: string;
}

/** A part as it was read. */
interface Part {
  readonly name: string;
  /** Undefined for one that a killed run did not finish. */
  readonly cut: Cut | undefined;
  readonly deployment: unknown;
}

/** The stacks that hold an environment's parts. */
export class Parts {
  constructor(
    private readonly command: PulumiCommand,
    private readonly claims: Claims,
    private readonly environment: string,
    private readonly note: (text: string) => void,
  ) {}

  private async all(): Promise<string[]> {
    const prefix = partName(this.environment, '');
    return (await this.command.stacks()).filter((name) => name.startsWith(prefix)).sort();
  }

  /** What a part was cut from; undefined where there is no such part. */
  private async cutFrom(part: string): Promise<Cut | undefined> {
    const tag = await this.command.tag(part, CUT);
    const [base = '', update = '', salt = ''] = tag?.split(',') ?? [];
    return tag === undefined ? undefined : { base, update, salt };
  }

  /**
   * A module's part that agrees with its environment, claimed where it is for a deploy.
   * @param deploy claim it, and cut it where there is none
   * @returns undefined where the environment's own state is to be worked on: see {@link ready}
   * @throws Refusal when somebody else has the part or the environment
   */
  async open(module: string, deploy: boolean): Promise<Cut | undefined> {
    for (;;) {
      const cut = await this.ready(module, deploy);
      // Whoever was waited for may have gathered it.
      if (!cut || !deploy || (await this.claims.deploy(partName(this.environment, module)))) return cut;
    }
  }

  /**
   * Sees to it that a module has a part that agrees with its environment.
   * @param make cut one where there is none
   * @returns undefined where the environment's own state is to be worked on: it has no production of the module yet,
   * something was left open in it, or a plain `pulumi up` changed it since the part was cut
   */
  private async ready(module: string, make: boolean): Promise<Cut | undefined> {
    const part = partName(this.environment, module);
    const newest = await this.command.newestUpdate(this.environment);
    const old = await this.cutFrom(part);
    if (old || !make) return old?.update === newest ? old : undefined;
    const { version, deployment } = await this.command.export(this.environment);
    const own = cutPart(deployment, this.environment, module);
    if (!own || isOpen(deployment)) return undefined;
    // One that a killed run did not finish.
    await this.command.forget(part);
    await this.command.make(part);
    await this.command.import(part, { version, deployment: own });
    const base = partBase(deployment, this.environment, module);
    const cut = { base, update: newest, salt: saltOf(deployment) };
    await this.command.setTag(part, CUT, [cut.base, cut.update, cut.salt].join(','));
    return cut;
  }

  /**
   * Brings all parts into the environment's state. The environment is claimed, and its state has no open operation:
   * writing it would drop that.
   * @param settle settles what a killed deploy left open in a part
   * @throws Refusal when a deploy is under way
   */
  async gather(settle: (part: string, salt: string) => Promise<void>): Promise<void> {
    const names = await this.all();
    for (const name of names) await this.claims.refuseDeploying(name);
    const parts: Part[] = [];
    for (const name of names) {
      const part = await this.read(name);
      if (part.cut && isOpen(part.deployment)) {
        await settle(name, part.cut.salt);
        parts.push(await this.read(name));
      } else parts.push(part);
    }
    await this.bring(parts);
  }

  /**
   * What {@link gather} does, for whoever only looks: nothing where something is under way or was left open, so that
   * what these deploys did shows as a change.
   */
  async gatherForLook(): Promise<void> {
    const names = await this.all();
    if (names.length === 0 || (await this.claims.changing()) !== undefined) return;
    await this.claims.environment();
    try {
      const parts: Part[] = [];
      for (const name of names) {
        const part = (await this.claims.deploying(name)) === undefined ? await this.read(name) : undefined;
        if (part && !isOpen(part.deployment)) parts.push(part);
        else
          this.note(`A deploy works on ${name}, or was ended in the middle: what it did shows as a change.`);
      }
      await this.bring(parts);
    } catch (error) {
      if (!(error instanceof Error) || lockHolders(error.message).length === 0) throw error;
      this.note(`${this.environment} is locked: what deploys did since it was changed shows as a change.`);
    } finally {
      await this.claims.release();
    }
  }

  private async read(name: string): Promise<Part> {
    return {
      name,
      cut: await this.cutFrom(name),
      deployment: (await this.command.export(name)).deployment,
    };
  }

  private async bring(parts: readonly Part[]): Promise<void> {
    if (parts.length === 0) return;
    const { environment } = this;
    const { version, deployment } = await this.command.export(environment);
    if (isOpen(deployment)) return;
    let gathered = deployment;
    for (const { name, cut, deployment: part } of parts) {
      if (!cut) continue;
      const module = name.slice(partName(environment, '').length);
      gathered = gatherPart(gathered, part, { environment, module, base: cut.base });
    }
    await this.command.import(environment, { version, deployment: gathered });
    for (const { name } of parts) await this.command.forget(name);
  }

  /** Breaks the locks of runs that are gone. */
  async unlock(): Promise<void> {
    const parts = await this.all();
    for (const part of parts) await this.command.cancel(part);
    await this.claims.break(parts);
  }
}
