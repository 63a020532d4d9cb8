import { hostname, userInfo } from 'node:os';
import { setTimeout } from 'node:timers/promises';
import type { PulumiCommand } from './pulumi';
import { EXIT, Refusal } from './refusal';

/** Tag of an environment's stack while somebody changes all of it. */
const CHANGING = 'switchyard:changing';
/** Tag of a part while a deploy works on it. */
const DEPLOYING = 'switchyard:deploying';

/** How often a deploy asks for its turn, and the milliseconds in between. */
const TRIES = 15;
const PAUSE = 2000;

/** Who holds a lock and since when, in the words of Pulumi's own locks. */
const holder = (): string =>
  `created by ${userInfo().username}@${hostname()} (pid ${process.pid}) at ${new Date().toISOString()}`;

/**
 * Keeps changes of an environment and deploys of its modules apart: they work on states of their own, for which Pulumi's
 * lock of one stack does not reach. Both sides raise their flag before they look for the other's, so that of two that
 * meet at least one goes away.
 */
export class Claims {
  private readonly held: { readonly stack: string; readonly tag: string }[] = [];

  constructor(
    private readonly command: Pick<PulumiCommand, 'tag' | 'setTag' | 'removeTag'>,
    private readonly name: string,
  ) {}

  private refusal(what: string, who: string): Refusal {
    return new Refusal(
      `${what} is locked, ${who}. Wait for it; when that process is gone, say: switchyard cancel ${this.name}`,
      EXIT.locked,
    );
  }

  /** @returns false when there is no such stack */
  private async raise(stack: string, tag: string): Promise<boolean> {
    const raised = await this.command.setTag(stack, tag, holder());
    if (raised) this.held.push({ stack, tag });
    return raised;
  }

  /**
   * Claims the whole environment.
   * @throws Refusal when somebody else has it
   */
  async environment(): Promise<void> {
    if (this.held.length > 0) return;
    const other = await this.changing();
    if (other !== undefined) throw this.refusal(this.name, other);
    await this.raise(this.name, CHANGING);
  }

  /** Who changes the environment. */
  changing(): Promise<string | undefined> {
    return this.command.tag(this.name, CHANGING);
  }

  /**
   * Claims a part for a deploy. Whoever has the environment is waited for, half a minute at most: who only looks has it
   * for seconds.
   * @returns false when the part is gone, or may be by now
   * @throws Refusal when another deploy has the part, or somebody changes the environment
   */
  async deploy(
    part: string,
    pause: (milliseconds: number) => Promise<unknown> = setTimeout,
  ): Promise<boolean> {
    await this.refuseDeploying(part);
    if (!(await this.raise(part, DEPLOYING))) return false;
    let whole = await this.changing();
    if (whole === undefined) return true;
    // Lowered while it waits: else of two that met both would go away.
    await this.release();
    for (let tries = 1; whole !== undefined; tries++) {
      if (tries === TRIES) throw this.refusal(this.name, whole);
      await pause(PAUSE);
      whole = await this.changing();
    }
    return false;
  }

  /** Who deploys to a part. */
  deploying(part: string): Promise<string | undefined> {
    return this.command.tag(part, DEPLOYING);
  }

  /** @throws Refusal when a deploy works on the part */
  async refuseDeploying(part: string): Promise<void> {
    const other = await this.deploying(part);
    if (other !== undefined) throw this.refusal(part, other);
  }

  /** Gives back what this process claimed. */
  async release(): Promise<void> {
    for (const { stack, tag } of this.held.splice(0)) await this.command.removeTag(stack, tag);
  }

  /** Takes away the claims of processes that are gone. */
  async break(parts: readonly string[]): Promise<void> {
    await this.command.removeTag(this.name, CHANGING);
    for (const part of parts) await this.command.removeTag(part, DEPLOYING);
  }
}
