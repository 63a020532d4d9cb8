import type { CommitState } from '../gitlab';

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
  /** It says that the merge request waits in the merge queue: its build came to its end. */
  readonly queues?: boolean;
}

interface Common {
  /** Milliseconds since GitLab saw it change. */
  readonly age: number;
  /** Jenkins has a build of this commit, waiting or running. */
  readonly live: boolean;
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
  /** How many builds of it were green, as its statuses tell. */
  readonly green: number;
  /**
   * Whether its last build came to an end of its own: merged, or left to people. Asked for one that is green, and for one
   * that is pending without a build: it may wait for people.
   */
  readonly concluded?: boolean;
  /** A merge queue is kept for its project. */
  readonly queue?: boolean;
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
  /** A fact is missing: `concluded`, `queued` or `origin`. */
  | { readonly do: 'ask' }
  /** @property why as people read it. @property end whether the status that stands is ended first */
  | { readonly do: 'start'; readonly why: string; readonly end: boolean }
  /** End the status for good. */
  | { readonly do: 'give up'; readonly why: string };

const isOpen = (state: CommitState): boolean => state === 'pending' || state === 'running';

const wait = (age: number): Decision | undefined =>
  age < GRACE_MS ? { do: 'wait', ms: GRACE_MS - age } : undefined;

/** What is to be done for one merge request or one head. */
export function decide(item: Item): Decision {
  if (item.kind === 'merge request' && item.untested !== undefined) return { do: 'watch' };
  if (item.live) return { do: 'watch' };
  const { posted } = item;
  if (!posted) return item.kind === 'head' ? unknownHead(item) : unknownRequest(item);
  const queued = item.kind === 'merge request' ? inQueue(item, posted) : undefined;
  if (queued) return queued;
  if (posted.state === 'pending' && posted.build === 'over' && item.kind === 'merge request') {
    if (item.concluded === undefined) return wait(posted.age) ?? { do: 'ask' };
    if (item.concluded) return { do: 'settle' };
  }
  if (isOpen(posted.state)) return unended(item, posted);
  if (item.kind === 'head' || posted.state !== 'success') return { do: 'settle' };
  return unmerged(item, posted);
}

/** What is to be done for one that stands in the merge queue, whatever its status says; undefined for any other. */
function inQueue({ queue, queued }: OpenRequest, posted: Posted): Decision | undefined {
  // A build may have taken a newer head than it was started for: it goes on, though none of this head is live.
  if (!queue || (isOpen(posted.state) && posted.build !== 'over')) return undefined;
  if (queued === undefined) return (posted.queues ? undefined : wait(posted.age)) ?? { do: 'ask' };
  if (queued === 'no') return undefined;
  // The queue has pauses of its own for what breaks off again and again, and takes nobody out for it.
  return queued === 'due'
    ? { do: 'start', why: 'its turn came in the merge queue', end: isOpen(posted.state) && !posted.queues }
    : { do: 'wait', ms: QUEUE_MS };
}

const LOST = 'its hook did not start a build';

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
  if (brokeOff + 1 < MOST_TRIES) return { do: 'start', why: 'its build ended without a word', end: true };
  return {
    do: 'give up',
    why: `${MOST_TRIES} builds of it ended without a word; see the log of the last one`,
  };
}

/** What is to be done with the status of a commit that is no head any more, after a build of it ended. */
export function decideLeft({
  live,
  posted,
}: Pick<Common, 'live' | 'posted'>):
  | { readonly do: 'nothing' }
  | Extract<Decision, { do: 'wait' }>
  | { readonly do: 'end'; readonly why: string } {
  if (live || !posted || !isOpen(posted.state) || posted.build !== 'over') return { do: 'nothing' };
  const { age } = posted;
  return age < GRACE_MS
    ? { do: 'wait', ms: GRACE_MS - age }
    : { do: 'end', why: 'its build ended without a word, and a newer commit has taken its place' };
}

/** Green, and not merged. */
function unmerged({ merges, concluded, green }: OpenRequest, posted: Posted): Decision {
  if (!merges || concluded) return { do: 'settle' };
  if (concluded === undefined) return { do: 'ask' };
  const young = wait(posted.age);
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
