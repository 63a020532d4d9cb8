import { askKey, decide, type Merged, type Request } from '../../delivery/queue/decide';
import type { End } from '../../delivery/queue/window';

// One project's merge requests in virtual time. Times are in test times: a test takes 1 in the middle.

/** How merge requests come and fail. */
export interface Load {
  /** Merge requests that come in one test time; `at once`: so many, all in the first moment. */
  readonly arrivals: number | { readonly atOnce: number };
  /** Chance that two break together of which neither author knew the other's, of those that come within {@link NEAR}. */
  readonly pairs: number;
  /** Chance that a test fails for no reason. */
  readonly flaky: number;
  /** Spread of the time that a test takes: sigma of its logarithm. 0: all the same. */
  readonly spread: number;
  /** How long it is looked at. */
  readonly horizon: number;
  readonly seed: number;
}

export type Strategy =
  /** As before there was a queue: all at once, again whenever main has moved, three times at most. */
  | { readonly kind: 'retry' }
  /** One after the other. */
  | { readonly kind: 'serial' }
  | { readonly kind: 'fixed'; readonly window: number }
  /** `delivery/queue`, with its own window. */
  | { readonly kind: 'queue'; readonly most: number };

export interface Measured {
  /** Merged in one test time, once it runs. */
  readonly throughput: number;
  /** From opening to merging; half and nineteen of twenty take no longer. */
  readonly median: number;
  readonly p95: number;
  /** When the last one was merged. */
  readonly last: number;
  readonly merged: number;
  /** Share of those that ended and were not merged. */
  readonly red: number;
  /** Of these, those that would have passed. */
  readonly wronged: number;
  /** Tests for each that was merged, the first one included. */
  readonly tests: number;
}

/** A generator that gives the same for the same seed (mulberry32, public domain). */
function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

interface Change {
  readonly iid: number;
  readonly openedAt: number;
  /** Main when it was opened: its author knew what was in it. */
  readonly knows: number;
  readyAt?: number;
  result?: { readonly node: number; readonly green: boolean };
  end?: { readonly at: number; readonly how: End };
  rounds: number;
}

interface Run {
  readonly change: Change;
  readonly node: number;
  readonly endsAt: number;
  readonly check: boolean;
}

/** So many merge requests are at work at once: one breaks with none of those that came long before or after it. */
export const NEAR = 16;

/** Main and what it may become: each node is a merge request on another node. */
class History {
  private readonly nodes: { readonly parent: number; readonly change?: Change; readonly sound: boolean }[] = [
    { parent: -1, sound: true },
  ];
  private readonly known = new Map<string, number>();

  constructor(
    private readonly pairs: number,
    private readonly seed: number,
  ) {}

  private breaks(a: Change, b: Change): boolean {
    if (Math.abs(a.iid - b.iid) >= NEAR) return false;
    const [low, high] = a.iid < b.iid ? [a.iid, b.iid] : [b.iid, a.iid];
    return random(this.seed ^ Math.imul(low, 0x9e3779b1) ^ Math.imul(high, 0x85ebca77))() < this.pairs;
  }

  on(parent: number, change: Change): number {
    const key = `${parent} ${change.iid}`;
    const found = this.known.get(key);
    if (found !== undefined) return found;
    let sound = this.sound(parent);
    for (let at = parent; sound && at > 0 && at !== change.knows; at = this.nodes[at]?.parent ?? 0) {
      const other = this.nodes[at]?.change;
      if (other && this.breaks(change, other)) sound = false;
    }
    this.known.set(key, this.nodes.length);
    return this.nodes.push({ parent, change, sound }) - 1;
  }

  sound(node: number): boolean {
    return this.nodes[node]?.sound ?? false;
  }
}

/** Ends that are looked back at. */
const ENDS = 20;
/** Of those that wait, so many are shown to the decision: more than any window, and the order is theirs. */
const SHOWN = 24;

class Simulation {
  private readonly chance: () => number;
  private readonly history: History;
  private readonly changes: Change[] = [];
  private waiting: Change[] = [];
  private runs: Run[] = [];
  private ends: End[] = [];
  /** What git answered: the same question has the same answer for ever. */
  private readonly merges = new Map<string, Merged>();
  private main = 0;
  private now = 0;
  private started = 0;
  private wronged = 0;

  constructor(
    private readonly load: Load,
    private readonly strategy: Strategy,
  ) {
    this.chance = random(load.seed);
    this.history = new History(load.pairs, load.seed);
  }

  private start(change: Change, node: number, check: boolean): void {
    const { spread } = this.load;
    // The same merge request takes as long each time, whatever the strategy.
    const draw = random(this.load.seed + change.iid * 7919);
    const normal = Math.sqrt(-2 * Math.log(1 - draw())) * Math.cos(2 * Math.PI * draw());
    this.started += 1;
    this.runs.push({ change, node, check, endsAt: this.now + Math.exp(spread * normal) });
  }

  private arrive(): void {
    const change: Change = { iid: this.changes.length + 1, openedAt: this.now, knows: this.main, rounds: 1 };
    this.changes.push(change);
    this.start(change, this.history.on(this.main, change), true);
  }

  private close(change: Change, how: End, wronged = false): void {
    change.end = { at: this.now, how };
    this.ends = [...this.ends, how].slice(-ENDS);
    this.waiting = this.waiting.filter((one) => one !== change);
    if (wronged) this.wronged += 1;
  }

  private finish(run: Run): void {
    const { change, node, check } = run;
    const green = this.history.sound(node) && this.chance() >= this.load.flaky;
    if (this.strategy.kind === 'retry') {
      this.retry(change, node, green);
      return;
    }
    change.result = { node, green };
    // What fails by itself, before it queues, is in nobody's way and the same for all strategies.
    if (!check) return;
    change.result = { node, green: true };
    change.readyAt = this.now;
    this.waiting.push(change);
  }

  private retry(change: Change, node: number, green: boolean): void {
    const now = this.history.on(this.main, change);
    if (!green) this.close(change, 'taken out', this.history.sound(node));
    else if (now === node) {
      this.main = node;
      this.close(change, 'merged');
    } else if (change.rounds === 3) this.close(change, 'taken out', this.history.sound(now));
    else {
      change.rounds += 1;
      this.start(change, now, false);
    }
  }

  private most(): number {
    if (this.strategy.kind === 'fixed') return this.strategy.window;
    return this.strategy.kind === 'queue' ? this.strategy.most : 1;
  }

  /** Decides and does until nothing is left to do. */
  private look(): void {
    const { merges } = this;
    const most = this.most();
    const fixed = this.strategy.kind !== 'queue';
    for (;;) {
      const shown = this.waiting.slice(0, SHOWN);
      const requests = shown.map((change): Request => {
        const { iid, readyAt = 0, result } = change;
        const tests = this.runs
          .filter((run) => run.change === change)
          .map((run) => ({
            id: `${iid} ${run.node}`,
            head: String(iid),
            tree: String(run.node),
            stopping: false,
          }));
        return {
          project: 'p',
          iid,
          head: String(iid),
          merging: false,
          ready: { since: readyAt },
          needs: [],
          results: result ? [{ tree: String(result.node), green: result.green, why: 'red' }] : [],
          tests,
        };
      });
      const main = String(this.main);
      const target = { project: 'p', commit: main, tree: main, ends: fixed ? [] : this.ends, most, taken: 0 };
      const decision = decide({
        now: this.now,
        targets: [target],
        requests,
        merges,
        ...(fixed ? { start: most } : {}),
      });
      if ('asks' in decision) {
        // The answers to what is asked next, where all goes well, at the same time.
        for (const ask of decision.asks) {
          let below = ask.below;
          for (const change of shown.slice(shown.findIndex(({ iid }) => String(iid) === ask.head))) {
            const node = String(this.history.on(Number(below), change));
            const key = askKey({ project: ask.project, below, head: String(change.iid) });
            merges.set(key, { commit: node, tree: node });
            below = node;
          }
        }
        continue;
      }
      for (const action of decision.actions) {
        const change = shown.find(({ iid }) => iid === action.request.iid);
        if (!change) throw new Error('decided about nobody');
        if (action.do === 'test') this.start(change, Number(action.tree), false);
        else if (action.do === 'stop')
          this.runs = this.runs.filter((run) => `${change.iid} ${run.node}` !== action.test);
        else if (action.do === 'merge') {
          this.main = Number(action.tree);
          this.close(change, 'merged');
        } else this.close(change, 'taken out', this.history.sound(this.history.on(this.main, change)));
      }
      if (decision.actions.length === 0) return;
    }
  }

  run(): Measured {
    const { arrivals, horizon } = this.load;
    const atOnce = typeof arrivals === 'object' ? arrivals.atOnce : 0;
    for (let i = 0; i < atOnce; i++) this.arrive();
    // The order in which they come must not depend on what else is drawn.
    const coming = random(this.load.seed + 1);
    const gap = (): number =>
      typeof arrivals === 'object' ? Number.POSITIVE_INFINITY : -Math.log(1 - coming()) / arrivals;
    for (let next = gap(); ; ) {
      const [run] = [...this.runs].sort((a, b) => a.endsAt - b.endsAt || a.change.iid - b.change.iid);
      const at = Math.min(next, run?.endsAt ?? Number.POSITIVE_INFINITY);
      if (at > horizon) break;
      this.now = at;
      if (run && run.endsAt <= next) {
        this.runs = this.runs.filter((one) => one !== run);
        this.finish(run);
      } else {
        this.arrive();
        next += gap();
      }
      if (this.strategy.kind !== 'retry') this.look();
    }
    return this.measure();
  }

  private measure(): Measured {
    const { horizon, arrivals } = this.load;
    const warm = typeof arrivals === 'object' ? 0 : horizon / 5;
    const ended = this.changes.filter(({ end }) => end);
    const merged = ended.filter(({ end }) => end?.how === 'merged');
    const late = merged.filter(({ end }) => (end?.at ?? 0) >= warm);
    // Those that were not merged by the end have waited so long already.
    const waits = this.changes
      .filter(({ openedAt, end }) => openedAt >= warm && end?.how !== 'taken out')
      .map(({ openedAt, end }) => (end?.at ?? horizon) - openedAt)
      .sort((a, b) => a - b);
    const at = (share: number): number => waits[Math.floor(share * waits.length)] ?? 0;
    return {
      throughput: late.length / (horizon - warm),
      median: at(0.5),
      p95: at(0.95),
      last: Math.max(0, ...merged.map(({ end }) => end?.at ?? 0)),
      merged: merged.length,
      red: ended.length === 0 ? 0 : 1 - merged.length / ended.length,
      wronged: this.wronged,
      tests: merged.length === 0 ? 0 : this.started / merged.length,
    };
  }
}

export const simulate = (load: Load, strategy: Strategy): Measured => new Simulation(load, strategy).run();

/**
 * Chance that a pair breaks together by which one of {@link NEAR} breaks with at least one of the others as often as was
 * measured: Uber saw it in 40 % with 16 (Ananthanarayanan and others, Keeping Master Green at Scale, EuroSys 2019).
 */
export const pairsOf = (share: number): number => 1 - (1 - share) ** (1 / (NEAR - 1));
