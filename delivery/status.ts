import { STATUS_NAME } from '../catalog/status';
import type { CommitStatus, GitLab } from '../clients/gitlab';

// What our statuses say first, where that is read again: a status is the only memory of what became of a build.

/** Of a build that ended without a verdict. */
export const BROKE_OFF = 'broke off: ';
/** Test Pods of a head in a row that may be removed by nobody knows whom, before people are asked. */
export const MOST_REMOVED = 3;
/** Builds in a row that may end by their infrastructure before people are asked; in the merge queue there is no end. */
export const MOST_TRIED = 6;
/** Milliseconds before a test that broke off without a verdict is tried again, doubled each time. */
export const PAUSE_MS = 10_000;
/** Milliseconds of the longest of these pauses. */
export const LONGEST_PAUSE_MS = 600_000;

/** Milliseconds before a test is tried again that broke off so many times in a row. */
export const pauseAfter = (times: number): number =>
  Math.min(LONGEST_PAUSE_MS, PAUSE_MS * 2 ** Math.min(times - 1, 10));

/** Of a merge request that stands in the merge queue. */
export const QUEUED = 'in the queue: ';
/** Of one that runs on with other words. */
export const GOES_ON = 'goes on: ';
/** Of one that another build goes on with. */
const TAKEN_OVER = 'goes on in another build: ';
/** Of one whose build waits for an agent once more. */
export const AGAIN = 'to be tested again: ';
/** Of one whose build the reconciler started. */
export const STARTED = 'waits for its build, which the reconciler started: ';
/** Of one whose build gets no agent. */
export const AGENTLESS = 'not begun: ';

/** Of a preview: the branch that its merge result is with. A branch's name has neither blank nor colon. */
export const into = (branch: string): string => `into ${branch}: `;

/** The target branch that a status names; undefined for one that names none, as those of before there was {@link into}. */
export const targetOf = (description: string | null | undefined): string | undefined =>
  /^into ([^\s:]+): /.exec(description ?? '')?.[1];

/**
 * Has a status run, or wait, with these words and this link, whatever it was: so it is seen of each build whether it has begun.
 * GitLab takes neither for what is so already ("Cannot transition status via :run from :running",
 * `Ci::CreateCommitStatusService`), nor lets what runs wait, so that one is ended first.
 * @param name @default the aggregate's
 */
export async function postBegun(
  gitlab: Pick<GitLab, 'statuses' | 'setStatus'>,
  project: string,
  sha: string,
  status: {
    readonly state: 'running' | 'pending';
    readonly ref: string;
    readonly targetUrl: string;
    readonly description: string;
    readonly name?: string;
  },
): Promise<void> {
  const { state, ref, targetUrl, description, name = STATUS_NAME } = status;
  const newest = (await gitlab.statuses(project, sha, ref, name)).at(-1);
  if (isOpenState(newest?.status) && (newest?.status === 'running' || state === 'pending')) {
    if (newest.status === state && newest.description === description && newest.target_url === targetUrl)
      return;
    // It keeps its link: another build may go on beside this one.
    const other =
      newest.target_url !== null && newest.target_url !== targetUrl ? newest.target_url : undefined;
    await gitlab.setStatus(project, sha, {
      ...status,
      state: 'canceled',
      targetUrl: other ?? targetUrl,
      description: `${other === undefined || waitsAgain(newest) ? GOES_ON : TAKEN_OVER}${description}`,
    });
  }
  await gitlab.setStatus(project, sha, status);
}

/**
 * Has a status that an earlier build left open, or that says that this one gets no agent, lead to this one, which goes on with
 * what was tested.
 */
export async function takeOver(
  gitlab: Pick<GitLab, 'statuses' | 'setStatus'>,
  project: string,
  sha: string,
  about: { readonly ref: string; readonly targetUrl: string },
): Promise<void> {
  const newest = (await gitlab.statuses(project, sha, about.ref, STATUS_NAME)).at(-1);
  const { status: state, description } = newest ?? {};
  if (isOpenState(state))
    await postBegun(gitlab, project, sha, { ...about, state, description: description ?? '' });
  else if (description?.startsWith(AGENTLESS))
    await postRunning(gitlab, project, sha, { ...about, description: 'what was tested is decided on' });
}

/** {@link postBegun} of what runs. */
export const postRunning = (
  gitlab: Pick<GitLab, 'statuses' | 'setStatus'>,
  project: string,
  sha: string,
  status: Omit<Parameters<typeof postBegun>[3], 'state'>,
): Promise<void> => postBegun(gitlab, project, sha, { ...status, state: 'running' });

/**
 * Takes each step in turn, whatever became of those before it: what fails keeps no status from being posted.
 * @throws the first fault, after the last step
 */
export async function eachStep(steps: readonly (() => Promise<unknown>)[]): Promise<void> {
  const faults: unknown[] = [];
  for (const step of steps) await step().catch((fault: unknown) => faults.push(fault));
  if (faults.length > 0) throw faults[0];
}

/** Whether a status was ended for its build to go on with other words. */
export const goesOn = ({ status, description }: CommitStatus): boolean =>
  status === 'canceled' && (description?.startsWith(GOES_ON) ?? false);

/** Whether these words are of a status that was ended to run on with others, by its own build or by another one. */
export const runsOn = (description: string): boolean =>
  [GOES_ON, TAKEN_OVER].some((words) => description.startsWith(words));

/** Whether the build of a status waits for an agent, though it has had one. */
const waitsAgain = (one: CommitStatus): boolean =>
  (isOpenState(one.status) && (one.description?.startsWith(AGAIN) ?? false)) || goesOn(one);

/** Whether a status says that something is still to come. */
export const isOpenState = (state: string | undefined): state is 'pending' | 'running' =>
  state === 'pending' || state === 'running';

/** Builds of a head that ended alike, one after the other, the last among them. */
export interface Row {
  readonly times: number;
  /** When the last one did, in milliseconds since 1970. */
  readonly at: number;
}

const saysBrokeOff = ({ description }: CommitStatus): boolean => description?.startsWith(BROKE_OFF) ?? false;

/** Statuses of a head that broke off, in a row up to now, oldest first. */
export const brokenOff = (statuses: readonly CommitStatus[]): readonly CommitStatus[] =>
  lastAlike(statuses, saysBrokeOff);

/** Tests of a head in a row that broke off. */
export const brokeOff = (statuses: readonly CommitStatus[]): Row | undefined => rowOf(brokenOff(statuses));

/** Builds of a head in a row that were stopped, as their merge request was closed, or had another head or target, then. */
export const stopped = (statuses: readonly CommitStatus[]): Row | undefined =>
  rowOf(lastAlike(statuses, (one) => one.status === 'canceled' && !saysBrokeOff(one)));

function lastAlike(
  statuses: readonly CommitStatus[],
  isOfIt: (status: CommitStatus) => boolean,
): readonly CommitStatus[] {
  // What goes on now has no end yet.
  const ended = statuses.filter(
    ({ status, description }) => !isOpenState(status) && !runsOn(description ?? ''),
  );
  return ended.slice(ended.findLastIndex((one) => !isOfIt(one)) + 1);
}

function rowOf(row: readonly CommitStatus[]): Row | undefined {
  const last = row.at(-1);
  return last ? { times: row.length, at: Date.parse(last.finished_at ?? last.created_at) } : undefined;
}
