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
    const parts = await this.all();
    for (const part of parts) await this.claims.refuseDeploying(part);
    for (const part of parts) {
      const cut = await this.cutFrom(part);
      if (cut && isOpen((await this.command.export(part)).deployment)) await settle(part, cut.salt);
    }
    await this.bring(parts);
  }

  /**
   * What {@link gather} does, for whoever only looks: nothing where something is under way or was left open, so that
   * what these deploys did shows as a change.
   */
  async gatherForLook(): Promise<void> {
    const parts = await this.all();
    if (parts.length === 0 || (await this.claims.changing()) !== undefined) return;
    await this.claims.environment();
    try {
      const ended: string[] = [];
      for (const part of parts) {
        const under = (await this.claims.deploying(part)) !== undefined;
        if (under || isOpen((await this.command.export(part)).deployment)) {
          this.note(`A deploy works on ${part}, or was ended in the middle: what it did shows as a change.`);
        } else ended.push(part);
      }
      await this.bring(ended);
    } catch (error) {
      if (!(error instanceof Error) || lockHolders(error.message).length === 0) throw error;
      this.note(`${this.environment} is locked: what deploys did since it was changed shows as a change.`);
    } finally {
      await this.claims.release();
    }
  }

  private async bring(parts: readonly string[]): Promise<void> {
    if (parts.length === 0) return;
    const { environment } = this;
    const { version, deployment } = await this.command.export(environment);
    if (isOpen(deployment)) return;
    let gathered = deployment;
    for (const part of parts) {
      const cut = await this.cutFrom(part);
      if (!cut) continue;
      const module = part.slice(partName(environment, '').length);
      const { deployment: brought } = await this.command.export(part);
      gathered = gatherPart(gathered, brought, { environment, module, base: cut.base });
    }
    await this.command.import(environment, { version, deployment: gathered });
    for (const part of parts) await this.command.forget(part);
  }

  /** Breaks the locks of runs that are gone. */
  async unlock(): Promise<void> {
    const parts = await this.all();
    for (const part of parts) await this.command.cancel(part);
    await this.claims.break(parts);
  }
}
