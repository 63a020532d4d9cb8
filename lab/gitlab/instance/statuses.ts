/**
 * The state machine of an external commit status and the status of a pipeline made of them, as GitLab's
 * CommitStatus and Gitlab::Ci::Status::Composite define them.
 */
export const POSTABLE_STATES = ['pending', 'running', 'success', 'failed', 'canceled', 'skipped'] as const;
export type PostableState = (typeof POSTABLE_STATES)[number];
export type JobState = 'created' | PostableState;

type Event = 'enqueue' | 'run' | 'success' | 'drop' | 'cancel' | 'skip';

const TRANSITIONS: Record<Event, { from: readonly JobState[]; to: JobState }> = {
  enqueue: { from: ['created', 'skipped'], to: 'pending' },
  run: { from: ['pending'], to: 'running' },
  success: { from: ['created', 'pending', 'running'], to: 'success' },
  drop: { from: ['created', 'pending', 'running'], to: 'failed' },
  cancel: { from: ['created', 'pending', 'running'], to: 'canceled' },
  skip: { from: ['created', 'pending'], to: 'skipped' },
};

const EVENT_OF: Record<PostableState, Event> = {
  pending: 'enqueue',
  running: 'run',
  success: 'success',
  failed: 'drop',
  canceled: 'cancel',
  skipped: 'skip',
};

/** The new state, or the sentence with which GitLab refuses (400). */
export function postState(from: JobState, posted: PostableState): { state: JobState } | { refusal: string } {
  const event = EVENT_OF[posted];
  // "running" first enqueues a fresh status, without complaint where that is not possible.
  const start = posted === 'running' && TRANSITIONS.enqueue.from.includes(from) ? 'pending' : from;
  const transition = TRANSITIONS[event];
  if (transition.from.includes(start)) return { state: transition.to };
  return {
    refusal: `Cannot transition status via :${event} from :${start} (Reason(s): Status cannot transition via "${event}")`,
  };
}

/** Only these statuses are found again by name; a finished one is followed by a new one (a retry). */
export function isOpenState(state: JobState): boolean {
  return state === 'pending' || state === 'running';
}

export function isFinished(state: JobState): boolean {
  return state === 'success' || state === 'failed' || state === 'canceled' || state === 'skipped';
}

/** The status of a pipeline from its latest (not retried) statuses; `undefined` while it has none. */
export function pipelineStatus(states: readonly JobState[]): JobState | undefined {
  const present = new Set(states);
  const only = (...names: JobState[]): boolean =>
    present.size > 0 && [...present].every((state) => names.includes(state));
  if (present.size === 0) return undefined;
  if (only('skipped')) return 'skipped';
  if (only('success', 'skipped')) return 'success';
  if (only('created')) return 'created';
  if (only('canceled', 'success', 'skipped')) return 'canceled';
  if (only('pending', 'created', 'skipped')) return 'pending';
  if (present.has('running') || present.has('pending') || present.has('created')) return 'running';
  return 'failed';
}
