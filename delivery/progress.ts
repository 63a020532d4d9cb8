import { type Deployment, pickMergeRequest } from './deploy';
import { short } from './ledger';
import { marker, ON_ITS_WAY, type Progress, readNote, renderNote } from './note';
import { ownNote } from './own-note';
import { type Rolling, rollingText } from './rolling';
import type { Context } from './verify';

// How far a deploy is, in its merge request's note. What came of it is written over that: by `delivery rollout`, or by
// `delivery deploy` where nothing was released.

/** A deploy that has not come to the ledger yet. */
export interface Coming {
  readonly project: string;
  readonly environment: string;
  readonly commit: string;
  readonly branch: string;
}

/** Whether a note says that a commit is merged, and no more than how far its deploy is. */
const isMerged = (body: string, commit: string): boolean =>
  new RegExp(`^\\| Then \\| merged as ${short(commit)}(?: \\||; ${ON_ITS_WAY} )`, 'm').test(body);

const isOnItsWay = (body: string, commit: string): boolean =>
  new RegExp(`^\\| Then \\| merged as ${short(commit)}; ${ON_ITS_WAY} `, 'm').test(body);

/** Edits the bot's own note where it has a certificate of ours, and a predicate holds for it. */
async function edit(
  { gitlab }: Pick<Context, 'gitlab'>,
  project: string,
  iid: number,
  progress: Progress,
  key: string,
  is: (body: string) => boolean = () => true,
): Promise<void> {
  const mine = await ownNote(gitlab, project, iid, marker);
  if (!mine || !is(mine.body)) return;
  const reading = readNote(mine.body, key);
  if (!('certificate' in reading)) return;
  await gitlab.editNote(project, iid, mine.id, renderNote(reading.certificate, progress, key, gitlab.time));
}

async function editThatOf(
  context: Pick<Context, 'gitlab'>,
  { project, commit, branch }: Coming,
  progress: Progress,
  key: string,
  is: (body: string, commit: string) => boolean,
): Promise<void> {
  const found = pickMergeRequest(await context.gitlab.mergeRequestsOf(project, commit), commit, branch);
  if (found) await edit(context, project, found.iid, progress, key, (body) => is(body, commit));
}

/** Tells that a deploy waits before it came to the ledger; a note that says more than that it is merged stays as it is. */
export async function tellComing(
  context: Pick<Context, 'gitlab'>,
  coming: Coming,
  rolling: Rolling,
  build: string,
  key: string,
): Promise<void> {
  const { commit, environment } = coming;
  const says = rollingText(rolling);
  await editThatOf(context, coming, { state: 'on its way', commit, environment, build, says }, key, isMerged);
}

/** Tells how far the rollout of what the ledger names is. */
export async function tellRolling(
  context: Pick<Context, 'gitlab'>,
  { project, mergeRequest, commit, environment, undone }: Deployment,
  rolling: Rolling,
  build: string,
  key: string,
): Promise<void> {
  const progress = {
    state: 'on its way' as const,
    commit,
    environment,
    build,
    says: rollingText(rolling),
    ...(undone ? { undone: undone.why } : {}),
  };
  await edit(context, project, mergeRequest, progress, key);
}

/** Takes back that a deploy is on its way, where nothing was released: the commit is merged, and no more. */
export async function tellNotComing(
  context: Pick<Context, 'gitlab'>,
  coming: Coming,
  key: string,
): Promise<void> {
  await editThatOf(context, coming, { state: 'merged', commit: coming.commit }, key, isOnItsWay);
}
