import { randomBytes } from 'node:crypto';
import { hostname, userInfo } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { PulumiCommand } from './pulumi';
import { EXIT, Refusal } from './refusal';

/** Tag of an environment's stack while somebody changes all of it. */
const CHANGING = 'switchyard:changing';
/** Tag of a part while a deploy works on it. */
const DEPLOYING = 'switchyard:deploying';

/** How long a deploy waits for its turn, and how often whoever waits asks, in milliseconds. */
export const LONGEST_MS = 20 * 60_000;
const PAUSE_MS = 5000;

/** A lease is renewed so often. */
export const RENEWED_MS = 20_000;
/** One that stood unchanged for so long, by the watch of whoever waits, is a dead process's: no two clocks are compared. */
export const LAPSED_MS = 100_000;
/** Its holder stops by itself before that. */
const LOST_MS = 60_000;

/** Stands before the count of a lease's renewals. */
const LEASE = ', lease ';

/** Who holds a lock and since when, in the words of Pulumi's own locks. */
const holder = (): string =>
  `created by ${userInfo().username}@${hostname()} (pid ${process.pid}) at ${new Date().toISOString()}`;

/** Tells apart two of the same moment. */
const MARK = ' #';

/** Whose a claim is, and as people read it. */
const ownerOf = (claim: string): string => claim.split(LEASE)[0] ?? claim;
const shown = (claim: string): string => claim.split(MARK)[0] ?? claim;

type Command = Pick<PulumiCommand, 'tag' | 'setTag' | 'removeTag' | 'cancel'>;

interface Held {
  readonly stack: string;
  readonly tag: string;
  readonly who: string;
  renewals: number;
  /** When it was last known to stand, by `performance.now()`. */
  known: number;
}

export interface ClaimOptions {
  /**
   * Of a deploy, or of whoever only looks: its claims are leases, which lapse when its process is gone. People's are not:
   * a change of the whole environment that was killed is theirs to look at (`switchyard cancel`).
   * @default false
   */
  readonly lease?: boolean;
  /** How long it waits for its turn, in milliseconds. @default 0: it is refused where a living process stands in the way */
  readonly patienceMs?: number;
  /** Gets each sentence for the person who watches. */
  readonly note?: (text: string) => void;
  /** A lease was taken away, or could not be renewed: whoever holds it must stop. */
  readonly lost?: () => void;
  readonly pause?: (milliseconds: number) => Promise<unknown>;
  /** How often leases are renewed, in milliseconds; 0: by {@link Claims.renew} only. @default {@link RENEWED_MS} */
  readonly renewedMs?: number;
}

/**
 * Keeps changes of an environment and deploys of its modules apart: they work on states of their own, for which Pulumi's
 * lock of one stack does not reach. Both sides raise their flag before they look for the other's, so that of two that
 * meet at least one goes away.
 */
export class Claims {
  private readonly held: Held[] = [];
  private timer: NodeJS.Timeout | undefined;
  private renewing: Promise<void> = Promise.resolve();
  private lost = false;
  /** Milliseconds of waiting in all. */
  private paused = 0;

  constructor(
    private readonly command: Command,
    private readonly name: string,
    private readonly options: ClaimOptions = {},
  ) {}

  private pause(milliseconds: number): Promise<unknown> {
    this.paused += milliseconds;
    return (this.options.pause ?? sleep)(milliseconds);
  }

  private refusal(what: string, who: string): Refusal {
    return new Refusal(
      `${what} is locked, ${shown(who)}. Wait for it; when that process is gone, say: switchyard cancel ${this.name}`,
      EXIT.locked,
    );
  }

  /**
   * Two that raise the same flag at once: the later one's stands. The other finds so now, or when it renews its lease; a
   * backend has no way to write only where nothing stands, so that Pulumi's own lock of the state comes last.
   * @returns `gone`: there is no such stack; `taken`: by another
   */
  private async raise(stack: string, tag: string): Promise<'raised' | 'gone' | 'taken'> {
    const who = `${holder()}${MARK}${randomBytes(4).toString('hex')}`;
    const value = this.options.lease ? `${who}${LEASE}0` : who;
    if (!(await this.command.setTag(stack, tag, value))) return 'gone';
    const found = await this.command.tag(stack, tag);
    if (found !== undefined && found !== value) return 'taken';
    this.held.push({ stack, tag, who, renewals: 0, known: performance.now() });
    this.renewRegularly();
    return 'raised';
  }

  private renewRegularly(): void {
    const { lease, renewedMs = RENEWED_MS } = this.options;
    if (!lease || this.timer || renewedMs === 0) return;
    this.timer = setInterval(() => void this.renew(), renewedMs);
    this.timer.unref();
  }

  /** Shows that this process lives; one renewal at a time, and none after a release. */
  renew(): Promise<void> {
    this.renewing = this.renewing.then(() => this.renewNow());
    return this.renewing;
  }

  private async renewNow(): Promise<void> {
    for (const one of [...this.held]) {
      try {
        const found = await this.command.tag(one.stack, one.tag);
        if (found === undefined || ownerOf(found) !== one.who) {
          this.lose(one, 'somebody took it away');
          continue;
        }
        one.renewals++;
        await this.command.setTag(one.stack, one.tag, `${one.who}${LEASE}${one.renewals}`);
        one.known = performance.now();
      } catch (error) {
        const [said = ''] = (error as Error).message.split('\n');
        if (performance.now() - one.known > LOST_MS) this.lose(one, `it cannot be renewed (${said})`);
      }
    }
  }

  private lose(one: Held, why: string): void {
    this.held.splice(this.held.indexOf(one), 1);
    this.lost = true;
    this.options.note?.(`The claim of ${one.stack} is lost: ${why}. Stopping.`);
    this.options.lost?.();
  }

  /**
   * Whether a claim is of a process that is gone, and out of the way now. A person's is never; a lease is watched for as
   * long as a living one would take to be renewed.
   */
  private async lapsed(stack: string, tag: string, seen: string): Promise<boolean> {
    if (!seen.includes(LEASE)) return false;
    for (let watched = 0; watched < LAPSED_MS; watched += PAUSE_MS) {
      await this.pause(PAUSE_MS);
      const now = await this.command.tag(stack, tag);
      if (now === undefined) return true;
      if (now !== seen) return false;
    }
    this.options.note?.(
      `${stack} was claimed by a deploy that is gone (${shown(seen)}): its claim is taken away.`,
    );
    // Pulumi's own lock first: while the claim stands, nobody else begins.
    await this.command.cancel(stack);
    if ((await this.command.tag(stack, tag)) === seen) await this.command.removeTag(stack, tag);
    return true;
  }

  /**
   * Waits for the end of a claim.
   * @throws Refusal when it did not come within this one's patience
   */
  private async untilFree(stack: string, tag: string): Promise<void> {
    const begun = this.paused;
    let told = false;
    for (;;) {
      const other = await this.command.tag(stack, tag);
      if (other === undefined || (await this.lapsed(stack, tag, other))) return;
      if (this.paused - begun >= (this.options.patienceMs ?? 0)) throw this.refusal(stack, other);
      if (!told) this.options.note?.(`${stack} is locked, ${shown(other)}: waiting for its end.`);
      told = true;
      await this.pause(PAUSE_MS);
    }
  }

  /**
   * Claims the whole environment.
   * @throws Refusal when somebody else has it
   */
  async environment(): Promise<void> {
    if (this.held.length > 0) return;
    for (;;) {
      await this.untilFree(this.name, CHANGING);
      // Of two that raise it at once one goes round again, and finds the other's.
      if ((await this.raise(this.name, CHANGING)) !== 'taken') return;
    }
  }

  /**
   * Waits until nobody changes the environment.
   * @throws Refusal when its turn did not come
   */
  untilUnchanging(): Promise<void> {
    return this.untilFree(this.name, CHANGING);
  }

  /** Whether it waits for its turn. */
  get isPatient(): boolean {
    return (this.options.patienceMs ?? 0) > 0;
  }

  /** @throws Refusal when a lease was lost: what it kept apart is no longer apart */
  assertKept(): void {
    if (this.lost) throw new Refusal(`The claim of ${this.name} was lost. Say the same again.`, EXIT.locked);
  }

  /** Who changes the environment. */
  changing(): Promise<string | undefined> {
    return this.command.tag(this.name, CHANGING);
  }

  /**
   * Claims a part for a deploy. Whoever has the part or the environment is waited for; a claim that a killed deploy left is
   * taken away.
   * @returns false when the part is gone, or may be by now
   * @throws Refusal when its turn did not come
   */
  async deploy(part: string): Promise<boolean> {
    for (;;) {
      await this.untilFree(part, DEPLOYING);
      const raised = await this.raise(part, DEPLOYING);
      if (raised === 'gone') return false;
      if (raised === 'raised') break;
    }
    if ((await this.changing()) === undefined) return true;
    // Lowered while it waits: else of two that met both would go away.
    await this.release();
    await this.untilFree(this.name, CHANGING);
    return false;
  }

  /** Who deploys to a part. */
  deploying(part: string): Promise<string | undefined> {
    return this.command.tag(part, DEPLOYING);
  }

  /**
   * Waits until no deploy works on a part; what a killed one left is taken away, after it was watched for a while.
   * @throws Refusal when its turn did not come
   */
  untilDeployed(part: string): Promise<void> {
    return this.untilFree(part, DEPLOYING);
  }

  /** Gives back what this process claimed, and nothing that is another's by now. */
  async release(): Promise<void> {
    clearInterval(this.timer);
    this.timer = undefined;
    const held = this.held.splice(0);
    await this.renewing;
    for (const { stack, tag, who } of held) {
      const now = await this.command.tag(stack, tag);
      if (now !== undefined && ownerOf(now) === who) await this.command.removeTag(stack, tag);
    }
  }

  /** Takes away the claims of processes that are gone. */
  async break(parts: readonly string[]): Promise<void> {
    await this.command.removeTag(this.name, CHANGING);
    for (const part of parts) await this.command.removeTag(part, DEPLOYING);
  }
}
