import { pauseAfter } from '../status';
import { inOrder, joined, nameOf, type Queued, type Ref } from './order';
import { type End, windowAfter } from './window';

// The gate's queue: pure, and a function of one look at GitLab, git and Jenkins (docs/decisions/0017-merge-queue.md).
// Nothing is remembered from look to look. What was tested is known by the tree that it was tested as, so that a result
// holds for as long as merging gives that tree, whatever became of main meanwhile.

/** The target branch of one project's merge requests. */
export interface Target {
  readonly project: string;
  /** Commit at its head. */
  readonly commit: string;
  readonly tree: string;
  /** That commit was pushed to it, and no merge request brought it. */
  readonly pushed?: boolean;
  /** How merge requests ended here, oldest first; some twenty are enough. */
  readonly ends: readonly End[];
  /** Test Pods that the quota holds. */
  readonly most: number;
  /** Test Pods that first tests have or wait for, which are outside of the gate. */
  readonly taken: number;
}

/** A verdict of a merge request's head on one tree. */
export interface Result {
  /** Tree of the merge result that was tested. */
  readonly tree: string;
  readonly green: boolean;
  /** What failed, as people read it. */
  readonly why: string;
}

/** A test that goes on. */
export interface Test {
  /** Address or number of its build. */
  readonly id: string;
  readonly head: string;
  readonly tree: string;
  /** It was told to stop. */
  readonly stopping: boolean;
}

/** An open merge request, or one that is none any more and whose tests still go on (`ready` says why it may not be merged). */
export interface Request extends Queued {
  readonly head: string;
  /** GitLab merges it at this moment (`locked`). */
  readonly merging: boolean;
  /** Verdicts of this head, newest last. */
  readonly results: readonly Result[];
  /** Its tests at the gate, also those of earlier heads. */
  readonly tests: readonly Test[];
  /** Tests of this head in a row that broke off, and when the last one did (milliseconds since 1970). */
  readonly broke?: { readonly times: number; readonly at: number };
}

/** What merging a head into a commit gives: a commit that exists in a working copy only, or the paths in conflict. */
export type Merged =
  | { readonly commit: string; readonly tree: string }
  | { readonly conflicts: readonly string[] };

/** A merge that git is asked for. */
export interface Ask {
  readonly project: string;
  /** Commit below: the target branch's head, or an answer to an earlier question. */
  readonly below: string;
  readonly head: string;
}

export const askKey = ({ project, below, head }: Ask): string => `${project} ${below} ${head}`;

export interface World {
  /** Milliseconds since 1970, by GitLab's clock. */
  readonly now: number;
  readonly targets: readonly Target[];
  readonly requests: readonly Request[];
  /** By {@link askKey}: the same question has the same answer for ever. */
  readonly merges: ReadonlyMap<string, Merged>;
  /** Window at the beginning. @default 4 */
  readonly start?: number;
}

interface About {
  readonly request: Ref;
  /** Head that it was decided for: what has another one meanwhile is left alone. */
  readonly head: string;
}

export type Action =
  /** Test a head on what main will be: `below` with it has this tree. */
  | (About & {
      readonly do: 'test';
      readonly below: string;
      readonly tree: string;
      /** Those before it that are not merged yet. */
      readonly ahead: readonly Ref[];
    })
  | (About & { readonly do: 'stop'; readonly test: string; readonly why: string })
  /** Merge by `sha`, and only into `base`: main has the tree then. */
  | (About & { readonly do: 'merge'; readonly base: string; readonly tree: string })
  /** End its status as failed. @property base main as it was decided for */
  | (About & { readonly do: 'take out'; readonly base: string; readonly why: string });

/**
 * How a merge request stands.
 *
 * - `held`: not in the queue, or not for now; `why` says what it waits for.
 * - `waits`: behind the window, or for a test Pod.
 * - `passed`: green on those before it, and waits for them.
 * - `failed`: red on those before it: taken out as soon as they are merged, tested again without those that are not.
 * - `conflicts`: does not merge with those before it.
 * - `broke off`: its test ended without a verdict; it is tried again.
 */
export type Standing =
  | 'held'
  | 'waits'
  | 'testing'
  | 'passed'
  | 'failed'
  | 'conflicts'
  | 'broke off'
  | 'merging'
  | 'taken out';

/** Where a merge request stands, as people see it. */
export interface Place extends Ref {
  /** In its queue, from 1; absent for what does not queue. */
  readonly at?: number;
  readonly state: Standing;
  /** Those before it that its test holds, in their order. */
  readonly with: readonly Ref[];
  readonly why?: string;
  /** Who put it first. */
  readonly first?: string;
}

export interface Queue {
  /** Projects that it is of, sorted: more than one where a dependency joins them. */
  readonly projects: readonly string[];
  readonly places: readonly Place[];
}

export type Decision =
  /** These are needed before anything can be decided. */
  | { readonly asks: readonly Ask[] }
  | {
      readonly actions: readonly Action[];
      readonly queues: readonly Queue[];
      /** Windows by project. */
      readonly windows: Readonly<Record<string, number>>;
      /** Milliseconds after which something is due though nothing happened. */
      readonly next?: number;
    };

/** A decision that nothing is missing for. */
export type Decided = Exclude<Decision, { readonly asks: unknown }>;

/** One project's part of the queues while it is gone through: what main will be so far. */
interface Lane {
  readonly target: Target;
  readonly window: number;
  /** Positions that are looked at: the window, and those behind it whose tests still go on. */
  readonly reach: number;
  /** Test Pods that are free. */
  free: number;
  commit: string;
  /** Those that are merged by then. */
  ahead: readonly Request[];
  /** Positions passed. */
  passed: number;
  /** A question stands open: of what is behind it nothing can be known. */
  open: boolean;
}

/** Goes once through all queues, from the first to the last. */
class Pass {
  readonly asks: Ask[] = [];
  readonly actions: Action[] = [];
  readonly places = new Map<string, Place>();
  /** When something is due though nothing happens, in milliseconds from now. */
  readonly due: number[] = [];
  readonly lanes: ReadonlyMap<string, Lane>;
  /** Those that are merged after all before them, as far as is known. */
  private readonly coming = new Set<string>();

  constructor(
    private readonly world: World,
    requests: readonly Request[],
    queued: readonly Request[],
  ) {
    this.lanes = new Map(
      world.targets.map((target) => [target.project, this.lane(target, requests, queued)]),
    );
  }

  private lane(target: Target, requests: readonly Request[], queued: readonly Request[]): Lane {
    const isOwn = ({ project }: Ref): boolean => project === target.project;
    const window = windowAfter(target.ends, target.most, this.world.start);
    const lastTested = queued
      .filter(isOwn)
      .findLastIndex(({ tests }) => tests.some(({ stopping }) => !stopping));
    const running = requests.filter(isOwn).reduce((sum, { tests }) => sum + tests.length, 0);
    return {
      target,
      window,
      reach: Math.max(window, lastTested + 1),
      free: target.most - target.taken - running,
      commit: target.commit,
      ahead: [],
      passed: 0,
      open: false,
    };
  }

  private stand(request: Request, state: Standing, ahead: readonly Request[], why?: string): void {
    this.places.set(nameOf(request), {
      ...ref(request),
      state,
      with: ahead.map(ref),
      ...(why === undefined ? {} : { why }),
      ...(request.first === undefined ? {} : { first: request.first }),
    });
  }

  private stop(request: Request, why: string, keep?: Test): void {
    for (const test of request.tests) {
      if (test.stopping || test === keep) continue;
      this.actions.push({ do: 'stop', request: ref(request), head: test.head, test: test.id, why });
    }
  }

  /** Stands in nobody's way: those behind are tested without it. */
  aside(request: Request, state: Standing, ahead: readonly Request[], why: string): void {
    this.stop(request, why);
    this.stand(request, state, ahead, why);
  }

  private takeOut(request: Request, base: string, why: string): void {
    this.actions.push({ do: 'take out', request: ref(request), head: request.head, base, why });
    this.aside(request, 'taken out', [], why);
  }

  /** Looks at the next one in the order. */
  next(request: Request, lane: Lane): void {
    const { ahead } = lane;
    const position = lane.passed++;
    const missing = request.needs.find((need) => need.state === 'open' && !this.coming.has(nameOf(need)));
    if (missing) {
      this.aside(request, 'held', ahead, `it waits for ${nameOf(missing)}, which does not pass now`);
      return;
    }
    if (lane.open || position >= lane.reach) {
      this.stand(request, 'waits', ahead);
      this.coming.add(nameOf(request));
      return;
    }
    const ask = { project: request.project, below: lane.commit, head: request.head };
    const merged = this.world.merges.get(askKey(ask));
    if (!merged) {
      this.asks.push(ask);
      lane.open = true;
      this.coming.add(nameOf(request));
      return;
    }
    const isFirst = ahead.length === 0;
    if ('conflicts' in merged) {
      const paths = merged.conflicts.slice(0, 3).join(', ');
      if (isFirst)
        this.takeOut(request, lane.target.commit, `it conflicts with the target branch in ${paths}`);
      else this.aside(request, 'conflicts', ahead, `it conflicts with ${names(ahead)} in ${paths}`);
      return;
    }
    const result = request.results.findLast(({ tree }) => tree === merged.tree);
    if (result && !result.green) {
      // Red on what is not merged yet may be the fault of those before it.
      if (isFirst) this.takeOut(request, lane.target.commit, result.why);
      else this.aside(request, 'failed', ahead, result.why);
      return;
    }
    this.coming.add(nameOf(request));
    lane.commit = merged.commit;
    lane.ahead = [...ahead, request];
    if (request.merging) this.stand(request, 'merging', ahead);
    else if (result) this.green(request, lane.target.commit, ahead, merged.tree);
    else this.untested(request, lane, { ahead, below: ask.below, tree: merged.tree, position });
  }

  private green(request: Request, base: string, ahead: readonly Request[], tree: string): void {
    this.stop(request, 'it is tested');
    const waitsFor = [...ahead, ...request.needs.filter(({ state }) => state === 'open')];
    if (waitsFor.length > 0) {
      this.stand(request, 'passed', ahead, `it waits for ${names(waitsFor)}`);
      return;
    }
    this.actions.push({ do: 'merge', request: ref(request), head: request.head, base, tree });
    this.stand(request, 'merging', ahead);
  }

  private untested(
    request: Request,
    lane: Lane,
    {
      ahead,
      below,
      tree,
      position,
    }: {
      readonly ahead: readonly Request[];
      readonly below: string;
      readonly tree: string;
      readonly position: number;
    },
  ): void {
    const { head, broke, results } = request;
    const own = request.tests.find((test) => test.head === head && test.tree === tree && !test.stopping);
    this.stop(request, 'what it is tested with has changed, or it is tested twice', own);
    const { pushed, commit } = lane.target;
    const again =
      pushed && results.length > 0
        ? `the target branch was pushed to (${commit.slice(0, 12)}), so it is tested again`
        : undefined;
    if (own) {
      this.stand(request, 'testing', ahead, again);
      return;
    }
    const wait = broke ? broke.at + pauseAfter(broke.times) - this.world.now : 0;
    if (broke && wait > 0) {
      this.due.push(wait);
      const often = broke.times === 1 ? 'once' : `${broke.times} times`;
      this.stand(request, 'broke off', ahead, `its test broke off ${often}; it is tried again`);
      return;
    }
    if (position >= lane.window || lane.free <= 0) {
      this.stand(request, 'waits', ahead);
      return;
    }
    lane.free -= 1;
    this.actions.push({ do: 'test', request: ref(request), head, below, tree, ahead: ahead.map(ref) });
    this.stand(request, 'testing', ahead, again);
  }
}

/** What is to be done now, and where everybody stands. */
export function decide(world: World): Decision {
  const projects = world.targets.map(({ project }) => project);
  // Of a branch that is not looked at nothing is known.
  const requests = world.requests.filter(({ project }) => projects.includes(project));
  const { queued, held } = inOrder(requests);
  const pass = new Pass(world, requests, queued);
  for (const request of queued) {
    const lane = pass.lanes.get(request.project);
    if (lane) pass.next(request, lane);
  }
  const { asks, actions, places, due, lanes } = pass;
  if (asks.length > 0) return { asks };
  for (const { request, why } of held) pass.aside(request, 'held', [], why);
  const placesOf = (some: readonly Request[], within: readonly string[]): Place[] =>
    some.flatMap((request) => (within.includes(request.project) ? (places.get(nameOf(request)) ?? []) : []));
  return {
    actions,
    queues: joined(projects, requests).map((within) => ({
      projects: within,
      places: [
        ...placesOf(queued, within).map((place, index) => ({ ...place, at: index + 1 })),
        ...placesOf(
          held.map(({ request }) => request),
          within,
        ),
      ],
    })),
    windows: Object.fromEntries([...lanes].map(([project, { window }]) => [project, window])),
    ...(due.length > 0 ? { next: Math.min(...due) } : {}),
  };
}

const ref = ({ project, iid }: Ref): Ref => ({ project, iid });
const names = (requests: readonly Ref[]): string => requests.map(nameOf).join(', ');
