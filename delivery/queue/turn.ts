import { exitCode, Failure } from '../../clients/failure';
import { WorkingCopy } from '../../clients/git';
import type { MergeRequest } from '../../clients/gitlab';
import { type Certificate, isGreen, isQueued } from '../certificate';
import { marker, readNote } from '../note';
import { ownNote } from '../own-note';
import { readConsent } from '../review';
import { postRunning, QUEUED } from '../status';
import { type Context, certifiedAs, cloneUrl, isBotsRebase, putNote, type QueueTurn } from '../verify';
import type { Action, Place } from './decide';
import { type Look, type LookOptions, lookAt } from './look';
import { placeText, testingText } from './place';
import { type Proof, type Where, whyNotQueued } from './read';

/** One merge request, as its build asks about it. */
export interface Gate {
  readonly project: string;
  /** Projects that it may depend on. @default the own one alone */
  readonly projects?: readonly string[];
  readonly mergeRequest: number;
  /** Test Pods that the quota holds. */
  readonly most: number;
  /** Window at the beginning. */
  readonly start?: number;
  /** Where the project makes no merge commits, the bot rebases who is first. @default no queue is kept there */
  readonly rebases?: boolean;
  readonly proof: Proof;
  /** Folder of a working copy. */
  readonly folder: string;
}

/** What a build of a merge request has to do. */
export type Turn =
  /** Test it; without `turn` on the target branch, as one that does not queue. @property look by which it is its turn */
  | { readonly do: 'test'; readonly turn?: QueueTurn; readonly look?: Look }
  /** A result is there, its own or another's: what comes of it is `merge`'s to decide. */
  | { readonly do: 'merge' }
  | { readonly do: 'wait'; readonly place: string };

export const placeOf = ({ places }: Look, iid: number): Place | undefined =>
  places.find((place) => place.iid === iid);

export const actionOf = ({ actions }: Look, iid: number): Action | undefined =>
  actions.find(({ request, do: what }) => request.iid === iid && what !== 'stop');

/** The certificate of a merge request with what is to be told of its place. */
export function certificateOf(look: Look, iid: number): Certificate | undefined {
  const certificate = look.certificates.get(iid);
  return certificate && placedFirst(certificate, placeOf(look, iid)?.first);
}

export function placedFirst(certificate: Certificate, by: string | undefined): Certificate {
  if (!certificate.gate || certificate.gate.first === by) return certificate;
  const { first: _first, ...gate } = certificate.gate;
  return { ...certificate, gate: by === undefined ? gate : { ...gate, first: by } };
}

/**
 * Whether people have the next word on it: then it is as one that does not queue.
 * @param certificate of its newest commit
 */
export async function waitsForPeople(
  { gitlab }: Context,
  { project, proof }: Gate,
  found: MergeRequest,
  certificate: Certificate | undefined,
): Promise<boolean> {
  if (found.draft) return true;
  const { policy } = proof;
  const carried = certificate?.headSha === found.sha ? certificate?.gate?.given : undefined;
  const consent = await readConsent(gitlab, project, found, { policy, carried });
  return consent !== undefined && 'why' in consent;
}

/** What a merge request's build asks GitLab for. */
export const whereOf = (
  { gitlabUrl }: Context,
  { project, projects, mergeRequest, most, start, proof }: Gate,
  { target_branch: branch }: MergeRequest,
): Where => ({ gitlabUrl, project, projects, branch, most, start, proof, own: mergeRequest });

/** Looks at the queue that a merge request is in, in a working copy of its build. */
export async function lookFor(
  context: Context,
  gate: Gate,
  found: MergeRequest,
  options?: LookOptions,
): Promise<Look> {
  const { project, folder } = gate;
  const copy = new WorkingCopy(folder, { url: cloneUrl(context.gitlabUrl, project), token: context.token });
  await copy.open();
  return lookAt(context.gitlab, whereOf(context, gate, found), copy, options);
}

/** The certificate of an open merge request's note, proved. */
async function notedBy(
  { gitlab }: Context,
  { project, mergeRequest, proof }: Gate,
  found: MergeRequest,
): Promise<Certificate | undefined> {
  if (found.state !== 'opened') return undefined;
  const note = await ownNote(gitlab, project, mergeRequest, marker);
  const reading = note && readNote(note.body, proof.key);
  return reading && 'certificate' in reading ? reading.certificate : undefined;
}

/** The certificate by which a merge request queues. */
async function queuedBy(context: Context, gate: Gate, found: MergeRequest): Promise<Certificate | undefined> {
  const certificate = await notedBy(context, gate, found);
  if (!certificate || whyNotQueued(certificate, found, gate.project, gate.proof)) return undefined;
  return (await mayQueue(context.gitlab, gate)) ? certificate : undefined;
}

/**
 * The certificate of a head that the bot has rebased while its note is of the one before: whoever had it rebased in its turn died,
 * or has not written it down yet. Nothing of it is to be tested again.
 */
export async function leftRebased(
  context: Context,
  gate: Gate,
  found: MergeRequest,
): Promise<Certificate | undefined> {
  if (!gate.rebases || !found.sha || found.draft) return undefined;
  const certificate = await notedBy(context, gate, found);
  if (!certificate || certificate.headSha === found.sha || !isGreen(certificate)) return undefined;
  const { gitlab } = context;
  const { project, proof, folder } = gate;
  const { sha: head, source_branch: source, target_branch: target } = found;
  if (whyNotQueued({ ...certificate, headSha: head }, found, project, proof)) return undefined;
  if ((await gitlab.mergeMethod(project)) === 'merge') return undefined;
  if (!(await isBotsRebase(context, certificate, head))) return undefined;
  const copy = new WorkingCopy(folder, { url: cloneUrl(context.gitlabUrl, project), token: context.token });
  await copy.open();
  await copy.fetchHead(head, source, target);
  const rebased = await certifiedAs(context, certificate, { head, copy });
  return 'why' in rebased ? undefined : rebased;
}

/**
 * Whether a queue can be kept by how a project merges. Without merge commits GitLab merges only what stands on the target's
 * head: there somebody has to rebase who is first.
 */
export const mayQueue = async (
  gitlab: Context['gitlab'],
  { project, rebases = false }: Pick<Gate, 'project' | 'rebases'>,
): Promise<boolean> => rebases || (await gitlab.mergeMethod(project)) === 'merge';

/** Whether the note of a merge request says that it queues. */
export async function isInQueue(context: Context, gate: Gate): Promise<boolean> {
  const found = await context.gitlab.mergeRequest(gate.project, gate.mergeRequest);
  return ((await queuedBy(context, gate, found)) ?? (await leftRebased(context, gate, found))) !== undefined;
}

/** What is to be done for a merge request at this moment. */
export async function turnOf(context: Context, gate: Gate): Promise<Turn> {
  const { project, mergeRequest } = gate;
  const found = await context.gitlab.mergeRequest(project, mergeRequest);
  const certificate = await queuedBy(context, gate, found);
  const since = certificate?.gate;
  if (!certificate || !since) return { do: (await leftRebased(context, gate, found)) ? 'merge' : 'test' };
  const look = await lookFor(context, gate, found, { tags: true });
  const place = placeOf(look, mergeRequest);
  const action = actionOf(look, mergeRequest);
  if (action?.do === 'test') {
    const requests = action.ahead.map(({ iid }) => ({
      mergeRequest: iid,
      headSha: look.found.get(iid)?.sha ?? '',
    }));
    return {
      do: 'test',
      look,
      turn: {
        head: action.head,
        gate: since,
        below: action.below,
        ...(requests.length > 0 ? { ahead: { onto: look.commit, requests } } : {}),
      },
    };
  }
  if (look.actions.some(({ do: what }) => what === 'merge' || what === 'take out')) return { do: 'merge' };
  if (!place || (place.state === 'held' && (await waitsForPeople(context, gate, found, certificate))))
    return { do: 'test' };
  return { do: 'wait', place: placeText(place, look) };
}

/**
 * Has the note of a merge request that queues say that its tests run, and of what. It keeps the verdict by which it queues.
 * What GitLab does not take is said, and stops nothing.
 * @param testing what its build tests
 */
export async function tellTesting(
  context: Context,
  { project, mergeRequest, proof }: Gate,
  look: Look,
  testing: Certificate,
): Promise<void> {
  const noted = certificateOf(look, mergeRequest);
  const place = placeOf(look, mergeRequest);
  if (!noted || !place || !isQueued(testing)) return;
  try {
    const { state, sha } = await context.gitlab.mergeRequest(project, mergeRequest);
    if (state !== 'opened' || sha !== noted.headSha) return;
    const progress = {
      state: 'queued' as const,
      place: testingText(place, look, testing),
      build: testing.build,
    };
    await putNote(context, noted, progress, proof.key);
  } catch (error) {
    context.say((error as Error).message);
  }
}

/** Says by the status where a merge request stands, and ends the build. */
export async function waitInQueue(
  { gitlab }: Context,
  { project, mergeRequest }: Gate,
  place: string,
  build: string,
): Promise<never> {
  const found = await gitlab.mergeRequest(project, mergeRequest);
  if (found.state === 'opened' && found.sha)
    await postRunning(gitlab, project, found.sha, {
      ref: found.source_branch,
      targetUrl: build,
      description: `${QUEUED}${place}`,
    });
  throw new Failure(exitCode.queued, `!${mergeRequest} is ${QUEUED}${place}.`);
}
