import { randomBytes } from 'node:crypto';
import { hostname, userInfo } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { EXIT, Refusal } from '../cli/refusal';
import type { PulumiCommand } from '../engine/pulumi';

/**
 * Pulumi's project that keeps the claims, each as a stack of its own. Tags of one stack are one file, which whoever writes a
 * tag reads and writes whole, without a lock (pkg/backend/diy/stack_tags.go of Pulumi 3.259): of two at once one is lost. So a
 * claim is a file that only its owner writes, and whose name never comes again.
 */
export const CLAIMS_PROJECT = 'switchyard-claims';
/** Tag of a claim's stack: who holds it, since when, and how often a lease was renewed. */
const CLAIM = 'switchyard:claim';
/** A claim holds no secret. */
const NO_PASSPHRASE = '';

/** How long a deploy waits for its turn, and how often whoever waits asks, in milliseconds. */
export const LONGEST_MS = 20 * 60_000;
const PAUSE_MS = 5000;
/** Who raised a flag at the same moment as others waits so long for them to lower theirs, in milliseconds. */
const TURN_MS = 30_000;

/** A lease is renewed so often. */
export const RENEWED_MS = 20_000;
/** One that stood unchanged for so long, by the watch of whoever waits, is a dead process's: no two clocks are compared. */
export const LAPSED_MS = 100_000;
/** Its holder stops by itself before that. */
export const LOST_MS = 60_000;

/** Stands before the count of a lease's renewals. */
const LEASE = ', lease ';

/** Who holds a claim and since when, in the words of Pulumi's own locks. */
const holder = (): string =>
  `created by ${userInfo().username}@${hostname()} (pid ${process.pid}) at ${new Date().toISOString()}`;

/** Who holds a claim, as people read it; one who has just raised it did not write that yet. */
const shown = (text: string | undefined): string =>
  text?.split(LEASE)[0] ?? 'by somebody who has just come for it';

/** What a claim is of: an environment, or a part. */
const scopeOf = (name: string): string => name.slice(0, name.lastIndexOf('.'));

/** Where claims are kept, and what is claimed. */
export interface ClaimPlaces {
  /** On {@link CLAIMS_PROJECT}. */
  readonly claims: Pick<PulumiCommand, 'stacks' | 'make' | 'forget' | 'cancel' | 'tag' | 'setTag'>;
  readonly states: Pick<PulumiCommand, 'cancel'>;
}

interface Held {
  /** The claim's stack. */
  readonly name: string;
  /** See {@link scopeOf}. */
  readonly scope: string;
  readonly who: string;
  renewals: number;
  /** When it was last known to stand, by `performance.now()`. */
  known: number;
}

export interface ClaimOptions {
  /**
   * Of a Pod, or of whoever only looks: its claims are leases, which lapse when its process is gone. People's are not: a
   * change of the whole environment that was killed is theirs to look at (`switchyard cancel`).
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
 * lock of one stack does not reach. A claim is a flag of one's own, raised before one looks for others', and whoever goes on
 * has looked while no other of the same was up: so of those that meet one at most goes on, in whatever order a backend shows
 * what was written before somebody looked.
 */
export class Claims {
  private readonly held: Held[] = [];
  /** Claims of processes that are gone → as they stood while they were watched. */
  private readonly dead = new Map<string, string | undefined>();
  private timer: NodeJS.Timeout | undefined;
  private renewing: Promise<void> = Promise.resolve();
  private busy = false;
  private lost = false;
  /** Milliseconds of waiting in all. */
  private paused = 0;

  constructor(
    private readonly places: ClaimPlaces,
    private readonly name: string,
    private readonly options: ClaimOptions = {},
  ) {}

  private pause(milliseconds: number): Promise<unknown> {
    this.paused += milliseconds;
    return (this.options.pause ?? sleep)(milliseconds);
  }

  private refusal(what: string, who: string | undefined): Refusal {
    return new Refusal(
      `${what} is locked, ${shown(who)}. Wait for it; when that process is gone, say: switchyard cancel ${this.name}`,
      EXIT.locked,
    );
  }

  private textOf(name: string): Promise<string | undefined> {
    return this.places.claims.tag(name, CLAIM);
  }

  /** Claims of this environment and of its parts that others hold, by name. */
  private async others(): Promise<string[]> {
    const all = (await this.places.claims.stacks()).map(({ name }) => name);
    const own = this.held.map(({ name }) => name);
    const ours = (scope: string): boolean => scope === this.name || scope.startsWith(`${this.name}.`);
    return all.filter((name) => ours(scopeOf(name)) && !own.includes(name)).sort();
  }

  private async othersOf(scope: string): Promise<string[]> {
    return (await this.others()).filter((name) => scopeOf(name) === scope);
  }

  private async raise(scope: string): Promise<Held> {
    // Never the name of another claim, also not of one that is gone: so what is taken away is what was meant.
    const name = `${scope}.${randomBytes(8).toString('hex')}`;
    const who = holder();
    try {
      await this.places.claims.make(name, NO_PASSPHRASE);
      await this.places.claims.setTag(name, CLAIM, this.options.lease ? `${who}${LEASE}0` : who);
    } catch (error) {
      await this.remove(name).catch(() => undefined);
      throw error;
    }
    const one = { name, scope, who, renewals: 0, known: performance.now() };
    this.held.push(one);
    this.renewRegularly();
    return one;
  }

  private async lower(one: Held): Promise<void> {
    const at = this.held.indexOf(one);
    if (at >= 0) this.held.splice(at, 1);
    // One that is written meanwhile would come back.
    await this.renewing;
    await this.remove(one.name);
  }

  /** @param name of a claim; one that is gone stays so */
  private async remove(name: string): Promise<void> {
    const { claims } = this.places;
    try {
      await claims.forget(name, { backups: true });
    } catch {
      if (!(await claims.stacks()).some((one) => one.name === name)) return;
      // Its owner was killed while Pulumi wrote it, or another one removes it too.
      await claims.cancel(name);
      await claims.forget(name, { backups: true });
    }
  }

  private renewRegularly(): void {
    const { lease, renewedMs = RENEWED_MS } = this.options;
    if (!lease || this.timer || renewedMs === 0) return;
    this.timer = setInterval(() => {
      // Also while a renewal hangs.
      for (const one of [...this.held])
        if (performance.now() - one.known > LOST_MS) this.lose(one, 'it cannot be renewed');
      if (!this.busy) void this.renew();
    }, renewedMs);
    this.timer.unref();
  }

  /** Shows that this process lives; one renewal at a time, and none after a release. */
  renew(): Promise<void> {
    this.renewing = this.renewing.then(async () => {
      this.busy = true;
      await this.renewNow();
      this.busy = false;
    });
    return this.renewing;
  }

  private async renewNow(): Promise<void> {
    const { claims } = this.places;
    for (const one of [...this.held]) {
      const begun = performance.now();
      try {
        const text = `${one.who}${LEASE}${++one.renewals}`;
        const stands = await claims.setTag(one.name, CLAIM, text);
        // What was removed while it was written is not there to be read.
        if (stands && (await this.textOf(one.name)) === text) one.known = begun;
        else this.lose(one, 'somebody took it away');
      } catch (error) {
        const [said = ''] = (error as Error).message.split('\n');
        if (performance.now() - one.known > LOST_MS) this.lose(one, `it cannot be renewed (${said})`);
      }
    }
  }

  private lose(one: Held, why: string): void {
    const at = this.held.indexOf(one);
    if (at < 0) return;
    this.held.splice(at, 1);
    this.lost = true;
    this.options.note?.(`The claim of ${one.scope} is lost: ${why}. Stopping.`);
    this.options.lost?.();
  }

  /**
   * Whether a claim is of a process that is gone. A person's is never; a lease is watched for as long as a living one would
   * take to be renewed. So is one that says nothing yet: its owner writes who it is before it does anything.
   */
  private async isDead(name: string, seen: string | undefined): Promise<boolean> {
    if (this.dead.has(name)) {
      if (this.dead.get(name) === seen) return true;
      this.dead.delete(name);
    }
    if (seen !== undefined && !seen.includes(LEASE)) return false;
    for (let watched = 0; watched < LAPSED_MS; watched += PAUSE_MS) {
      await this.pause(PAUSE_MS);
      if ((await this.textOf(name)) !== seen) return false;
      if (seen === undefined && !(await this.others()).includes(name)) return false;
    }
    this.options.note?.(
      `${scopeOf(name)} was claimed by a process that is gone (${shown(seen)}): its claim is taken away.`,
    );
    this.dead.set(name, seen);
    return true;
  }

  /**
   * Waits until none but the dead claim something.
   * @returns whether there are any of these
   * @throws Refusal when that did not come within this one's patience
   */
  private async untilDead(scope: string): Promise<boolean> {
    const begun = this.paused;
    let told = false;
    for (;;) {
      const found = await this.othersOf(scope);
      let other: { readonly text: string | undefined } | undefined;
      for (const name of found) {
        const text = await this.textOf(name);
        if (await this.isDead(name, text)) continue;
        // Whoever was watched may have gone in good order.
        if ((await this.othersOf(scope)).includes(name)) other ??= { text };
      }
      if (!other) return found.some((name) => this.dead.has(name));
      if (this.paused - begun >= (this.options.patienceMs ?? 0)) throw this.refusal(scope, other.text);
      if (!told) this.options.note?.(`${scope} is locked, ${shown(other.text)}: waiting for its end.`);
      told = true;
      await this.pause(PAUSE_MS);
    }
  }

  /** Whether its flag is up and no living one of the same beside it. The dead must be as they were while they were watched. */
  private async isAlone({ name, scope }: Held): Promise<boolean> {
    for (let waited = 0; ; waited += PAUSE_MS) {
      const up = (await this.places.claims.stacks()).map((one) => one.name);
      if (!up.includes(name)) return false;
      const own = this.held.map((one) => one.name);
      const living: string[] = [];
      for (const other of up) {
        if (own.includes(other) || scopeOf(other) !== scope) continue;
        const isGone = this.dead.has(other) && this.dead.get(other) === (await this.textOf(other));
        if (!isGone) living.push(other);
      }
      if (living.length === 0) return true;
      // Of those that came at once the last ones of the list make way; one that has it already does not.
      if (waited >= TURN_MS || living.some((other) => other < name)) return false;
      await this.pause(PAUSE_MS);
    }
  }

  /**
   * Claims one thing, and takes over what the dead left of it: Pulumi's own lock, then their claims.
   * @throws Refusal when its turn did not come
   */
  private async take(scope: string): Promise<Held> {
    for (;;) {
      await this.untilDead(scope);
      const own = await this.raise(scope);
      if (await this.isAlone(own)) {
        await this.bury(scope);
        return own;
      }
      await this.lower(own);
    }
  }

  /** Takes away what the dead left of what is claimed. */
  private async bury(scope: string): Promise<void> {
    if (this.dead.size === 0) return;
    const left = (await this.othersOf(scope)).filter((name) => this.dead.has(name));
    // Who wrote nothing yet had begun nothing.
    if (left.some((name) => this.dead.get(name) !== undefined)) await this.places.states.cancel(scope);
    for (const name of left) await this.remove(name);
  }

  /**
   * Waits for the end of a claim, and takes over what the dead left of it.
   * @throws Refusal when it did not come within this one's patience
   */
  private async untilFree(scope: string): Promise<void> {
    if (await this.untilDead(scope)) await this.lower(await this.take(scope));
  }

  /**
   * Claims the whole environment.
   * @throws Refusal when somebody else has it
   */
  async environment(): Promise<void> {
    if (this.held.length === 0) await this.take(this.name);
  }

  /** Whether it waits for its turn. */
  get isPatient(): boolean {
    return (this.options.patienceMs ?? 0) > 0;
  }

  /** @throws Refusal when a lease was lost: what it kept apart is no longer apart */
  assertKept(): void {
    if (this.lost) throw new Refusal(`The claim of ${this.name} was lost. Say the same again.`, EXIT.locked);
  }

  /** Whether another one changes the environment. */
  async isChanging(): Promise<boolean> {
    return (await this.othersOf(this.name)).length > 0;
  }

  /**
   * Claims a part for a deploy, whether there is such a stack yet or not. Whoever has the part or the environment is waited
   * for; a claim that a killed process left is taken away.
   * @throws Refusal when its turn did not come
   */
  async deploy(part: string): Promise<void> {
    for (;;) {
      await this.untilFree(this.name);
      const own = await this.take(part);
      if (!(await this.isChanging())) return;
      // Lowered while it waits: else of two that met both would go away.
      await this.lower(own);
    }
  }

  /** Parts that deploys work on, or are about to. */
  async deployed(): Promise<string[]> {
    const parts = (await this.others()).map(scopeOf).filter((scope) => scope !== this.name);
    return [...new Set(parts)];
  }

  /**
   * Waits until no deploy works on a part; what a killed one left is taken away, after it was watched for a while.
   * @throws Refusal when its turn did not come
   */
  untilDeployed(part: string): Promise<void> {
    return this.untilFree(part);
  }

  /** Gives back what this process claimed, and nothing that is another's. */
  async release(): Promise<void> {
    clearInterval(this.timer);
    this.timer = undefined;
    for (const one of [...this.held]) await this.lower(one);
  }

  /** Takes away the claims of all others on the environment and its parts: of processes that are gone. */
  async break(): Promise<void> {
    for (const name of await this.others()) await this.remove(name);
  }
}
