import type { CommitState } from '../../clients/gitlab';
import { isOpenState, MOST_TRIED, pauseAfter } from '../status';

// What is missing, and what is stale: pure, and a function of one look at GitLab, Jenkins and the ledger. Nothing is
// remembered from look to look, so that a restart in any moment loses and repeats nothing; how often something was tried
// stands in the commit's statuses.

/** Milliseconds that a hook may take before it counts as lost, and a build that was asked for before it counts as gone. */
export const GRACE_MS = 10_000;
/** Builds of one commit that may end without a word, and merges of one that may break off, before people are asked. */
export const MOST_TRIES = 3;
/** Milliseconds between two looks at a queue in which somebody waits without a build. */
export const QUEUE_MS = 3_000;

/** The newest of our statuses of a commit. */
export interface Posted {
  readonly state: CommitState;
  /** Milliseconds since it was posted first. */
  readonly age: number;
  /** The build that its link names: whether it goes on. `unknown`: it is not of this Jenkins' job. */
  readonly build: 'live' | 'over' | 'unknown';
  /** It says that its build was started here: people are not waited for, whatever the note of an earlier one says. */
  readonly started?: boolean;
  /** It says that its build got no agent. */
  readonly agentless?: boolean;
  /** It says that the merge request waits in the merge queue: its build came to its end. */
  readonly queues?: boolean;
  /** It was ended to go on with other words, and whoever did so died before they were posted. */
  readonly cut?: boolean;
  /** It says that a build broke off. */
  readonly broke?: InARow;
  /** It says that a build was stopped. */
  readonly stopped?: InARow;
}

/** So many builds ended alike, one after the other, the last one so many milliseconds ago. */
interface InARow {
  readonly times: number;
  readonly age: number;
}

interface Common {
  /** Milliseconds since GitLab saw it change. */
  readonly age: number;
  /** Jenkins has a build of this commit, waiting or running. */
  readonly live: boolean;
  /** The live build that should say something of it gets no agent. */
  readonly stuck?: boolean;
  readonly posted?: Posted;
  /** Builds of this commit that ended without a word, as its statuses tell. */
  readonly brokeOff: number;
}

/** A merge request that is open. */
export interface OpenRequest extends Common {
  readonly kind: 'merge request';
  /** Why it is not tested now, e.g. as a draft. */
  readonly untested?: string;
  /** The pipeline merges it when it is green. */
  readonly merges: boolean;
  /** It does so since a person set a label, where else people merge. */
  readonly letIn?: boolean;
  /** How many builds of it were green, as its statuses tell. */
  readonly green: number;
  /**
   * Whether its last build came to an end of its own: merged, or left to people. Asked for one that is green, and for one
   * that is pending without a build: it may wait for people.
   */
  readonly concluded?: boolean;
  /** A merge queue is kept for its project. */
  readonly queue?: boolean;
  /** Its verdict, or preview, is of another target branch. Asked for where there is one. */
  readonly retargeted?: boolean;
  /**
   * Milliseconds since somebody approved it, or let it in, after its status was posted; `false` where nobody did. Asked with
   * `concluded`, where people do so.
   */
  readonly approved?: number | false;
  /** Whether it stands there, and whether something is to be done for it. Asked where a queue is kept and no build is live. */
  readonly queued?: 'due' | 'waits' | 'no';
}

/** The head of a target branch. */
export interface Head extends Common {
  readonly kind: 'head';
  /** The ledger names it. */
  readonly released: boolean;
  /** How it came: by a merge that this pipeline tested, `soon` while GitLab still works on it. Asked for an unknown one only. */
  readonly origin?: 'tested' | 'soon' | 'other';
}

export type Item = OpenRequest | Head;

export type Decision =
  /** It has its end: of this commit nothing more is to come. */
  | { readonly do: 'settle' }
  /** It goes on by itself. */
  | { readonly do: 'watch' }
  /** Too young to judge. */
  | { readonly do: 'wait'; readonly ms: number }
  /** A fact is missing: `concluded`, `queued`, `retargeted` or `origin`. */
  | { readonly do: 'ask' }
  /** @property why as people read it. @property end whether the status that stands is ended first */
  | { readonly do: 'start'; readonly why: string; readonly end: boolean }
  /** End the status that a dead build left; what comes next has its time. */
  | { readonly do: 'end'; readonly why: string }
  /** End the status for good. */
  | { readonly do: 'give up'; readonly why: string }
  /** Say that its build gets no agent; it goes on when it has one. */
  | { readonly do: 'tell' };

const wait = (age: number): Decision | undefined =>
  age < GRACE_MS ? { do: 'wait', ms: GRACE_MS - age } : undefined;

/** What is to be done for one merge request or one head. */
export function decide(item: Item): Decision {
  if (item.kind === 'merge request' && item.untested !== undefined) return { do: 'watch' };
  if (item.stuck) return { do: 'tell' };
  if (item.live) return { do: 'watch' };
  const { posted } = item;
  if (!posted) return item.kind === 'head' ? unknownHead(item) : unknownRequest(item);
  if (item.kind === 'merge request' && item.retargeted && !posted.started && item.brokeOff + 1 < MOST_TRIES)
    return { do: 'start', why: 'it has another target branch now', end: false };
  const decision = decidePosted(item, posted);
  const isUnasked = item.kind === 'merge request' && item.retargeted === undefined;
  return decision.do === 'settle' && isUnasked ? { do: 'ask' } : decision;
}

function decidePosted(item: Item, posted: Posted): Decision {
  const queued = item.kind === 'merge request' ? inQueue(item, posted) : undefined;
  if (queued) return queued;
  if (
    posted.state === 'pending' &&
    posted.build === 'over' &&
    !posted.started &&
    item.kind === 'merge request'
  ) {
    if (item.concluded === undefined) return wait(posted.age) ?? { do: 'ask' };
    if (item.concluded) return item.approved === undefined ? { do: 'settle' } : approved(item.approved);
  }
  if (isOpenState(posted.state) || posted.agentless || posted.cut) return unended(item, posted);
  if (posted.state === 'canceled') {
    if (item.kind === 'head') return posted.broke ? unended(item, posted) : { do: 'settle' };
    if (posted.broke) return again(posted.broke);
    if (posted.stopped) return open(item, posted.stopped);
  }
  if (item.kind === 'head' || posted.state !== 'success') return { do: 'settle' };
  return unmerged(item, posted);
}

/** What waits for people: an approval starts a build, and says nothing itself; a label does neither. */
function approved(age: number | false): Decision {
  if (age === false) return { do: 'watch' };
  return wait(age) ?? { do: 'start', why: 'people let it be merged, and no build came of that', end: false };
}

/** What is to be done for one that stands in the merge queue, whatever its status says; undefined for any other. */
function inQueue({ queue, queued }: OpenRequest, posted: Posted): Decision | undefined {
  // A build may have taken a newer head than it was started for: it goes on, though none of this head is live.
  if (!queue || ((isOpenState(posted.state) || posted.agentless) && posted.build !== 'over'))
    return undefined;
  if (queued === undefined) return (posted.queues ? undefined : wait(posted.age)) ?? { do: 'ask' };
  if (queued === 'no') return undefined;
  // The queue has pauses of its own for what breaks off again and again, and takes nobody out for it.
  const isLeft = isOpenState(posted.state) && !posted.queues;
  if (queued === 'due') return { do: 'start', why: 'its turn came in the merge queue', end: isLeft };
  // Those before it may be long in coming.
  return isLeft ? { do: 'end', why: `${WORDLESS}; it waits for its turn` } : { do: 'wait', ms: QUEUE_MS };
}

const LOST = 'its hook did not start a build';
const WORDLESS = 'its build ended without a word';

const unknownRequest = ({ age }: OpenRequest): Decision =>
  wait(age) ?? { do: 'start', why: LOST, end: false };

function unknownHead({ age, released, origin }: Head): Decision {
  if (released || origin === 'other') return { do: 'settle' };
  if (origin === undefined) return { do: 'ask' };
  if (origin === 'soon') return { do: 'wait', ms: GRACE_MS };
  return wait(age) ?? { do: 'start', why: LOST, end: false };
}

/** A status that says that something goes on, while nothing of this commit does. */
function unended({ brokeOff }: Common, posted: Posted): Decision {
  // Another Jenkins' build, or one of another job: nothing is known of it here.
  if (posted.build !== 'over') return { do: 'watch' };
  const young = wait(posted.age);
  if (young) return young;
  // One that is canceled was ended already, by a start that came no further.
  const end = posted.state !== 'canceled' || posted.cut === true;
  if (brokeOff + Number(end) < MOST_TRIES) return { do: 'start', why: WORDLESS, end };
  return {
    do: 'give up',
    why: `${MOST_TRIES} builds of it ended without a word; see the log of the last one`,
  };
}

/** What broke off for its infrastructure's sake, and does not queue: tried again after a pause that doubles. */
function again({ times, age }: NonNullable<Posted['broke']>): Decision {
  if (times >= MOST_TRIED)
    return {
      do: 'give up',
      why: `its test broke off ${times} times; start its build when the cause is mended`,
    };
  const left = pauseAfter(times) - age;
  if (left > 0) return { do: 'wait', ms: left };
  return { do: 'start', why: 'its test broke off', end: false };
}

/** What was stopped, as it was closed or had another head or target then, and is to be tested all the same. */
function open({ age }: OpenRequest, { times, age: ended }: InARow): Decision {
  // What opened it again, or brought its head back, may have sent a hook.
  const left = Math.max(GRACE_MS - age, pauseAfter(times) - ended);
  if (left > 0) return { do: 'wait', ms: left };
  if (times >= MOST_TRIES)
    return { do: 'give up', why: `${times} builds of it were stopped; start one when the cause is mended` };
  return { do: 'start', why: 'its build was stopped, and it is open', end: false };
}

/** What is to be done with the status of a commit that is no head any more, after a build of it ended. */
export function decideLeft({
  live,
  posted,
}: Pick<Common, 'live' | 'posted'>): { readonly do: 'nothing' } | Extract<Decision, { do: 'wait' | 'end' }> {
  if (live || !posted || !isOpenState(posted.state) || posted.build !== 'over') return { do: 'nothing' };
  const { age } = posted;
  return age < GRACE_MS
    ? { do: 'wait', ms: GRACE_MS - age }
    : { do: 'end', why: `${WORDLESS}, and nobody waits for it any more` };
}

/** Green, and not merged. */
function unmerged(
  { age, merges, letIn, concluded, green, approved: said }: OpenRequest,
  posted: Posted,
): Decision {
  if (!merges && !letIn) return { do: 'settle' };
  if (concluded === undefined) return { do: 'ask' };
  if (concluded) return letIn && said !== undefined ? approved(said) : { do: 'settle' };
  // What opened it again, or took it out of draft, may have sent a hook.
  const young = wait(Math.min(age, posted.age));
  if (young) return young;
  return green < MOST_TRIES
    ? { do: 'start', why: 'it is green, and its build ended before it was merged', end: false }
    : { do: 'settle' };
}

/** A hook of GitLab's as it is now. */
export interface HookState {
  readonly status: 'executable' | 'temporarily_disabled' | 'disabled';
}

/** Whether a hook is to be enabled again, and what is said of one. */
export function decideHook(hook: HookState | undefined): { readonly enable: boolean; readonly say?: string } {
  if (!hook) return { enable: false, say: 'has no hook that leads to its job: run `switchyard up`' };
  if (hook.status === 'executable') return { enable: false };
  return {
    enable: true,
    say: `GitLab ${hook.status === 'disabled' ? 'disabled its hook' : 'disabled its hook for a while'} after failures in a row`,
  };
}
