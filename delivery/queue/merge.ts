import { STATUS_NAME } from '../../catalog/status';
import { exitCode, Failure } from '../../clients/failure';
import type { Certificate } from '../certificate';
import { marker, readNote } from '../note';
import { ownNote } from '../own-note';
import { AGAIN, eachStep, postRunning, QUEUED } from '../status';
import { type Context, merge, putNote } from '../verify';
import type { Action } from './decide';
import type { Look } from './look';
import { nameOf } from './order';
import { placeText } from './place';
import { whyNotQueued } from './read';
import {
  actionOf,
  certificateOf,
  type Gate,
  leftRebased,
  lookFor,
  placedFirst,
  placeOf,
  waitsForPeople,
} from './turn';

type Ending = Extract<Action, { do: 'merge' | 'take out' }>;

const keyOf = (action: Ending): string => `${action.do} ${action.request.iid} ${action.head} ${action.base}`;

/** Ends a merge request's way through the queue: what was red or in conflict with nothing before it. */
export async function takeOut(
  context: Context,
  certificate: Certificate,
  why: string,
  key: string,
): Promise<void> {
  const out = {
    ...certificate,
    gate: { ...(certificate.gate ?? { since: 0 }), out: context.gitlab.time },
  };
  // The note first: whoever sees the status finds the reasons.
  await eachStep([
    () => putNote(context, out, { state: 'taken out', why }, key),
    () =>
      context.gitlab.setStatus(certificate.project, certificate.headSha, {
        state: 'failed',
        ref: certificate.sourceBranch,
        targetUrl: certificate.build,
        description: why,
      }),
  ]);
}

/**
 * Merges what is first in the queue, whosever build this is, for as long as something is to be merged or taken out. Runs under
 * the lock of its module, and looks again before each step. What it merges, it merges by that one's own signed certificate.
 * @returns the commit of its own merge request on the target branch
 * @throws Failure 1 when its own is taken out or refused, 3 when it has to be tested, 4 when it is left to people or was
 * merged by another build, 8 when it goes on waiting
 */
export async function mergeInTurn(
  context: Context,
  gate: Gate,
  patience?: readonly number[],
): Promise<string> {
  const { gitlab, say } = context;
  const { project, mergeRequest, proof, folder } = gate;
  const done = new Set<string>();
  let own: string | undefined;
  const left = await leftRebased(context, gate, await gitlab.mergeRequest(project, mergeRequest));
  if (left) await putNote(context, left, { state: 'queued', place: 'rebased, and merged now' }, proof.key);
  for (;;) {
    const found = await gitlab.mergeRequest(project, mergeRequest);
    const look = await lookFor(context, gate, found);
    const next = look.actions.find(
      (action): action is Ending => action.do === 'merge' || action.do === 'take out',
    );
    const certificate = next && certificateOf(look, next.request.iid);
    if (!next || !certificate || done.has(keyOf(next))) {
      if (own !== undefined) return own;
      if (found.state === 'merged' && found.sha)
        throw new Failure(exitCode.nothing, `!${mergeRequest} was merged by another build.`);
      return notMerged(context, gate, look, patience);
    }
    done.add(keyOf(next));
    const { iid } = next.request;
    if (next.do === 'take out') {
      await takeOut(context, certificate, next.why, proof.key);
      if (iid === mergeRequest)
        throw new Failure(exitCode.red, `!${iid} is taken out of the queue: ${next.why}.`);
      say(`!${iid} is taken out of the queue: ${next.why}`);
      continue;
    }
    try {
      const commit = await merge(context, certificate, proof.policy, proof.key, folder, patience);
      say(`!${iid} is merged as ${commit}`);
      if (iid === mergeRequest) own = commit;
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      // Whoever is left or refused has it in its note, and does not queue any more; what moved is looked at again.
      if (iid === mergeRequest && error.code !== exitCode.again) throw error;
      say(error.message);
    }
  }
}

/** Says where its own merge request stands that this build does not merge. */
async function notMerged(
  context: Context,
  gate: Gate,
  look: Look,
  patience?: readonly number[],
): Promise<never | string> {
  const { gitlab } = context;
  const { project, mergeRequest, proof, folder } = gate;
  const action = actionOf(look, mergeRequest);
  if (action?.do === 'test') {
    const before = action.ahead.map(nameOf).join(', ');
    const how = before ? `with ${before}` : 'on the target branch as it is now';
    const { source_branch: ref } =
      look.found.get(mergeRequest) ?? (await gitlab.mergeRequest(project, mergeRequest));
    const newest = (await gitlab.statuses(project, action.head, ref, STATUS_NAME)).at(-1);
    const noted = certificateOf(look, mergeRequest);
    const place = placeOf(look, mergeRequest);
    if (noted && place) {
      const progress = { state: 'queued' as const, place: placeText(place, look) };
      await putNote(context, noted, progress, proof.key).catch((error: Error) => context.say(error.message));
    }
    // Its next agent may be long in coming: what runs says so.
    if (newest?.status === 'running' && newest.target_url) {
      const about = { ref, targetUrl: newest.target_url, description: `${AGAIN}${how}` };
      await postRunning(gitlab, project, action.head, about);
    }
    throw new Failure(exitCode.again, `!${mergeRequest} is to be tested ${how}.`);
  }
  const note = await ownNote(gitlab, project, mergeRequest, marker);
  const reading = note && readNote(note.body, proof.key);
  if (!reading || !('certificate' in reading))
    throw new Failure(exitCode.red, `!${mergeRequest} has no certificate that holds.`, 'Build it again.');
  const { certificate } = reading;
  if (certificate.gate?.out !== undefined)
    throw new Failure(exitCode.red, `!${mergeRequest} was taken out of the queue; its note says why.`);
  const found = look.found.get(mergeRequest) ?? (await gitlab.mergeRequest(project, mergeRequest));
  const place = placeOf(look, mergeRequest);
  const queues = place && !whyNotQueued(certificate, found, project, proof);
  // What does not queue, people have the next word on: as where there is no queue.
  if (!queues || (place.state === 'held' && (await waitsForPeople(context, gate, found, certificate))))
    return merge(context, certificate, proof.policy, proof.key, folder, patience);
  const text = placeText(place, look);
  const noted = placedFirst(certificate, place.first);
  await eachStep([
    () => putNote(context, noted, { state: 'queued', place: text }, proof.key),
    () =>
      postRunning(gitlab, project, certificate.headSha, {
        ref: certificate.sourceBranch,
        targetUrl: certificate.build,
        description: `${QUEUED}${text}`,
      }),
  ]);
  throw new Failure(exitCode.queued, `!${mergeRequest} is ${QUEUED}${text}.`);
}
