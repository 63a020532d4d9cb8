import { lstatSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Module } from '../catalog/load';
import { NO_CI_CONFIG, STATUS_NAME } from '../catalog/status';
import { exitCode, Failure } from '../clients/failure';
import { WorkingCopy } from '../clients/git';
import type { CommitState, GitLab, MergeRequest } from '../clients/gitlab';
import { GitLabError } from '../clients/gitlab-api';
import type { Policy } from '../clients/retry';
import { type Certificate, type Given, isGreen, isInfrastructure, isQueued, isRemoved } from './certificate';
import { marker, type Progress, readNote, renderNote, verdictLine } from './note';
import { ownNote, putOwnNote } from './own-note';
import { isBotsFrom, type Review, readConsent } from './review';
import { whyOtherImage } from './state';
import {
  AGAIN,
  BROKE_OFF,
  brokenOff,
  eachStep,
  GOES_ON,
  isOpenState,
  MOST_REMOVED,
  MOST_TRIED,
  postBegun,
  STARTED,
  takeOver,
} from './status';

/** What every command towards GitLab needs. */
export interface Context {
  readonly gitlab: GitLab;
  /** GitLab's address, without a path. */
  readonly gitlabUrl: string;
  readonly token: string;
  readonly say: (line: string) => void;
  /** @default three tries */
  readonly noteRetries?: Partial<Policy>;
}

export const cloneUrl = (gitlabUrl: string, project: string): string =>
  `${gitlabUrl.replace(/\/+$/, '')}/${project}.git`;

/** Why a merge request needs no test run, or undefined when it does. A hook is a hint; this is the truth. */
export function whyNotTest(request: MergeRequest): string | undefined {
  if (request.state !== 'opened') return `merge request !${request.iid} is ${request.state}`;
  if (!request.sha) return `merge request !${request.iid} has no commits`;
  if (request.source_project_id !== request.target_project_id) {
    return `merge request !${request.iid} comes from a fork, whose code gets no credentials here`;
  }
  return undefined;
}

export interface SourceRequest {
  readonly module: string;
  readonly project: string;
  readonly mergeRequest: number;
  readonly build: string;
  readonly policy: Module['merge'];
  /** {@link declaredAs} of the module and its services. */
  readonly declared: string;
  /** Rebases what the project's merge method wants rebased. @default people are told */
  readonly rebase?: boolean;
  /** It is rebased when its turn comes in the merge queue, and not before its tests. @default false */
  readonly rebasesInTurn?: boolean;
  readonly folder: string;
  /** @default it does not queue */
  readonly turn?: QueueTurn;
}

/** What the merge queue says of one that is to be tested. */
export interface QueueTurn {
  /** Head that it was decided for: of another one nothing is known. */
  readonly head: string;
  /** Kept from test to test. */
  readonly gate: NonNullable<Certificate['gate']>;
  /** Commit of the folder's working copy that it is tested on. */
  readonly below: string;
  readonly ahead?: Certificate['ahead'];
}

/**
 * The certificate by which an earlier build found a merge request green, where it still covers all that a build would
 * test: head, target branch's head, policy and what the catalog declares. A merge request that waits for its approval is
 * then merged without being tested again.
 * @param registry `host[:port][/prefix]` of the module's images
 */
export async function testedBefore(
  { gitlab }: Context,
  request: Omit<SourceRequest, 'build' | 'folder'>,
  key: string,
  registry: string,
): Promise<Certificate | undefined> {
  const { module, project, mergeRequest } = request;
  const mine = await ownNote(gitlab, project, mergeRequest, marker);
  const reading = mine && readNote(mine.body, key);
  if (!reading || !('certificate' in reading)) return undefined;
  const { certificate } = reading;
  if (certificate.module !== module || certificate.project !== project) return undefined;
  if (certificate.declared !== request.declared || !certificate.image) return undefined;
  if (whyOtherImage(certificate.image.repository, registry, module)) return undefined;
  const found = await gitlab.mergeRequest(project, mergeRequest);
  const head = await gitlab.branchHead(project, certificate.targetBranch);
  const decision = decideMerge(certificate, found, { head }, request.policy, { by: 'whoever approves it' });
  return decision.do === 'merge' ? certificate : undefined;
}

/**
 * Posts the aggregate status as running (pending where an approval will be waited for) and checks out the merge result of the merge request's head, as it is
 * now, and its target branch's head.
 * @throws Failure 4 when there is nothing to test
 */
export async function takeSource(context: Context, request: SourceRequest): Promise<Certificate> {
  const found = await context.gitlab.mergeRequest(request.project, request.mergeRequest);
  const why = whyNotTest(found);
  if (why || !found.sha) throw new Failure(exitCode.nothing, `${why}.`);
  const headSha = found.sha;
  const post = (state: CommitState, description: string) =>
    context.gitlab.setStatus(request.project, headSha, {
      state,
      ref: found.source_branch,
      targetUrl: request.build,
      description,
    });
  // A newer commit has a place of its own, or none.
  const turn = request.turn?.head === headSha ? request.turn : undefined;
  const before = turn?.ahead?.requests.map(({ mergeRequest }) => `, !${mergeRequest}`).join('') ?? '';
  const testing = `testing the merge result with ${found.target_branch}${before}`;
  // What runs cannot become pending again (CommitStatus), so what has to wait for people does so from the beginning.
  const waits = !turn && request.policy === 'reviewed';
  await postBegun(context.gitlab, request.project, headSha, {
    state: waits ? 'pending' : 'running',
    ref: found.source_branch,
    targetUrl: request.build,
    description: waits ? `${testing}; then it waits for an approval` : testing,
  });
  try {
    return await checkOutSource(context, { ...request, turn }, found, headSha);
  } catch (error) {
    // Nobody else ends it: what is reported later is of the head as it is then.
    const [line = 'not tested'] = (error as Error).message.split('\n');
    const [state, said]: [CommitState, string] = turn
      ? // It keeps its place in the queue, and comes back.
        ['canceled', `${BROKE_OFF}${line}`]
      : [error instanceof Superseded ? 'canceled' : 'failed', line];
    await post(state, said).catch((unposted: Error) => context.say(unposted.message));
    throw error;
  }
}

/** Has the open status of a merge request lead to the build that goes on with what an earlier one tested. */
export async function goOn(
  { gitlab }: Context,
  { project, mergeRequest }: Pick<SourceRequest, 'project' | 'mergeRequest'>,
  build: string,
): Promise<void> {
  const { state, sha, source_branch: ref } = await gitlab.mergeRequest(project, mergeRequest);
  if (state === 'opened' && sha) await takeOver(gitlab, project, sha, { ref, targetUrl: build });
}

/** The commit to test is no longer the branch's. */
class Superseded extends Failure {}

async function checkOutSource(
  context: Context,
  request: SourceRequest,
  found: MergeRequest,
  headSha: string,
): Promise<Certificate> {
  const copy = new WorkingCopy(request.folder, {
    url: cloneUrl(context.gitlabUrl, request.project),
    token: context.token,
  });
  await copy.open();
  const { turn } = request;
  // Whoever decided on what it is tested has fetched all that it takes.
  if (!turn) {
    await copy.fetchUntil(
      [found.source_branch, found.target_branch],
      async () =>
        copy.haveCommonAncestor(await copy.head(found.source_branch), await copy.head(found.target_branch)),
      true,
    );
  }
  if (!(await copy.has(headSha))) {
    throw new Superseded(
      exitCode.nothing,
      `commit ${headSha} is no longer on ${found.source_branch}; the newer commit has its own build.`,
    );
  }
  const baseSha = turn?.below ?? (await copy.head(found.target_branch));
  // Where GitLab makes no merge commit it merges only what stands on the target's head (need_rebase): told before a build
  // is spent on what it would refuse.
  if (!request.rebasesInTurn && !(await copy.isAncestor(baseSha, headSha))) {
    const method = await context.gitlab.mergeMethod(request.project);
    if (method !== 'merge') await leaveToRebase(context, request, found, method);
  }
  const merged = await copy.checkOutMerge(baseSha, headSha);
  // GitLab would make a pipeline of it, and judge by that one.
  if ('tree' in merged && lstatSync(join(request.folder, NO_CI_CONFIG), { throwIfNoEntry: false })) {
    throw new Failure(
      exitCode.nothing,
      `!${found.iid} brings ${NO_CI_CONFIG}, where GitLab must find nothing.`,
      'Remove it: what tests a module is in its catalog file.',
    );
  }
  if ('tree' in merged) await refuseElsewhere(copy, found);
  return {
    version: 2,
    module: request.module,
    project: request.project,
    projectId: found.target_project_id,
    mergeRequest: request.mergeRequest,
    sourceBranch: found.source_branch,
    targetBranch: found.target_branch,
    baseSha,
    headSha,
    commitEpoch: await copy.epoch(headSha),
    build: request.build,
    policy: request.policy,
    declared: request.declared,
    ...('tree' in merged ? { treeSha: merged.tree } : { conflicts: merged.conflicts }),
    ...(turn?.ahead ? { ahead: turn.ahead } : {}),
    ...(turn ? { gate: turn.gate } : {}),
  };
}

/** How many paths a status has room for. */
const TOLD = 5;

/** A build without what submodules and Git LFS hold would be another one than its author sees. */
async function refuseElsewhere(copy: WorkingCopy, { iid }: MergeRequest): Promise<void> {
  const { submodules, lfs } = await copy.heldElsewhere();
  const told = (kind: string, paths: readonly string[]): string[] => {
    if (paths.length === 0) return [];
    const more = paths.length > TOLD ? ` and ${paths.length - TOLD} more` : '';
    return [`${kind} ${paths.slice(0, TOLD).join(', ')}${more}`];
  };
  const all = [...told('submodules', submodules), ...told('Git LFS', lfs)];
  if (all.length === 0) return;
  throw new Failure(
    exitCode.nothing,
    `!${iid} needs what its repository does not hold (${all.join('; ')}).`,
    'Commit it, or let the Dockerfile fetch it as a package or a base image.',
  );
}

/** Has the merge request rebased, or says that people have to. */
async function leaveToRebase(
  context: Context,
  { project, mergeRequest, rebase }: SourceRequest,
  { iid, target_branch }: MergeRequest,
  method: string,
): Promise<never> {
  const what = `!${iid} needs a rebase onto ${target_branch}: the project merges by "${method}"`;
  const remedy =
    'Rebase it (the button of the merge request, or a comment "/rebase"); the new commit has its own build.';
  if (!rebase) throw new Failure(exitCode.nothing, `${what}.`, remedy);
  try {
    await context.gitlab.rebase(project, mergeRequest);
  } catch (error) {
    // 409: one is under way already. 403: nobody but its owner pushes to that branch.
    if (!(error instanceof GitLabError) || ![403, 409].includes(error.status)) throw error;
    if (error.status === 403) throw new Failure(exitCode.nothing, `${what}, and the bot may not.`, remedy);
  }
  throw new Superseded(
    exitCode.nothing,
    `!${iid} is being rebased onto ${target_branch}; the new commit has its own build.`,
  );
}

/** Writes the bot's one note: edits its own when there is one. Notes of others are never touched. */
export const putNote = (
  context: Context,
  certificate: Certificate,
  progress: Progress,
  key: string,
): Promise<void> =>
  putOwnNote(
    context,
    certificate.project,
    certificate.mergeRequest,
    marker,
    renderNote(certificate, progress, key, context.gitlab.time),
  );

/** Tests of a merge request that queues which may end without a verdict, one after the other, before that counts as red. */
const MOST_UNENDED = 3;

/**
 * A certificate that has its place in the merge queue from now on, where it is green.
 * @param now GitLab's clock
 */
export const enterQueue = (certificate: Certificate, now: number): Certificate =>
  isGreen(certificate) && !certificate.gate ? { ...certificate, gate: { since: now } } : certificate;

/** The merge request as it is now, where another build of its head merged it meanwhile. */
async function mergedMeanwhile(
  { gitlab }: Context,
  { project, mergeRequest, headSha }: Certificate,
): Promise<MergeRequest | undefined> {
  const now = await gitlab.mergeRequest(project, mergeRequest);
  return now.state === 'merged' && now.sha === headSha ? now : undefined;
}

/** Whether a note has a green certificate of the same head by another build, as that of a head which the bot rebased. */
function isOfAnother(body: string, { headSha, build }: Certificate, key: string): boolean {
  const reading = readNote(body, key);
  if (!('certificate' in reading)) return false;
  const { certificate } = reading;
  return isGreen(certificate) && certificate.headSha === headSha && certificate.build !== build;
}

/**
 * How often in a row a test ended without a verdict, this time among them, and how often it may, where it is tried again. What
 * the infrastructure did takes nobody out of the queue.
 * @param again a reconciler starts builds again
 */
async function triedAgain(
  { gitlab }: Context,
  certificate: Certificate,
  again: boolean,
): Promise<{ readonly times: number; readonly most: number } | undefined> {
  const { project, headSha, sourceBranch, image, tests } = certificate;
  const outside = isInfrastructure(certificate);
  const removed = isRemoved(certificate);
  const queued = isQueued(certificate);
  const may = queued ? outside || (!tests && image !== undefined) : (outside || removed) && again;
  if (!may) return undefined;
  const row = brokenOff(await gitlab.statuses(project, headSha, sourceBranch, STATUS_NAME));
  const times = row.length + 1;
  if (!queued && times >= MOST_TRIED) return undefined;
  if (removed) {
    const words = `${BROKE_OFF}${verdictLine(certificate)}`;
    const lost = row.filter(({ description }) => description === words).length + 1;
    return lost < MOST_REMOVED ? { times: lost, most: MOST_REMOVED } : undefined;
  }
  if (outside) return { times, most: MOST_TRIED };
  return times < MOST_UNENDED ? { times, most: MOST_UNENDED } : undefined;
}

/**
 * Posts the note, and the final status unless it waits for an approval or in the merge queue.
 * @param again a reconciler starts what broke off again
 * @returns whether the certificate is green
 * @throws Failure 4 where another build has merged it meanwhile, 11 where the tests ended without a verdict and are tried again
 */
export async function report(
  context: Context,
  certificate: Certificate,
  key: string,
  again = false,
): Promise<boolean> {
  const green = isGreen(certificate);
  const post = (state: CommitState, description: string) =>
    context.gitlab.setStatus(certificate.project, certificate.headSha, {
      state,
      ref: certificate.sourceBranch,
      targetUrl: certificate.build,
      description,
    });
  const { gitlab } = context;
  const tried = await triedAgain(context, certificate, again);
  if (tried !== undefined) {
    // Nothing was found out: in the queue what its note says holds. Whoever waits for the first test is told why.
    if (!isQueued(certificate)) {
      const progress = { state: 'tried again' as const, ...tried };
      await putNote(context, certificate, progress, key).catch((error: Error) => context.say(error.message));
    }
    await post('canceled', `${BROKE_OFF}${verdictLine(certificate)}`);
    throw new Failure(exitCode.brokeOff, `broke off: ${verdictLine(certificate)}; it is tested again.`);
  }
  const queued = isQueued(certificate);
  const noted = await ownNote(gitlab, certificate.project, certificate.mergeRequest, marker);
  const before = queued || (noted && isOfAnother(noted.body, certificate, key)) ? noted : undefined;
  const leave = async (note: () => Promise<void> = async () => undefined): Promise<never> => {
    await eachStep([note, () => post('canceled', 'merged by another build')]);
    throw new Failure(exitCode.nothing, `!${certificate.mergeRequest} was merged by another build.`);
  };
  // Deploys go by what it was merged by.
  if ((queued || before) && (await mergedMeanwhile(context, certificate))) await leave();
  // The note first: whoever sees the status, `merge` and `deploy` among them, finds the certificate.
  try {
    const progress = queued
      ? { state: 'queued' as const, place: 'its tests have ended; its build decides now what comes of them' }
      : { state: 'tested' as const };
    await putNote(context, certificate, progress, key);
  } catch (error) {
    // The status ends all the same. Without a certificate nothing can be deployed, so it is not green.
    const why = 'the note with the certificate could not be written; build again';
    await post('failed', green ? `${verdictLine(certificate)}, but ${why}` : verdictLine(certificate));
    throw error;
  }
  const merged = before && (await mergedMeanwhile(context, certificate));
  if (merged) {
    const reading = readNote(before.body, key);
    const commit = merged.merge_commit_sha || merged.squash_commit_sha || certificate.headSha;
    await leave(async () => {
      if ('certificate' in reading && isGreen(reading.certificate))
        await putNote(context, reading.certificate, { state: 'merged', commit }, key);
    });
  }
  // Its status runs on until `merge` has decided.
  if (queued) return green;
  // Of a module whose merge requests are reviewed it turns green with the approval: GitLab's own button waits for it, too.
  if (!green || certificate.policy !== 'reviewed')
    await post(green ? 'success' : 'failed', verdictLine(certificate));
  return green;
}

/** Ends the status of a merge request whose merge result was not even made. */
export async function reportBroken(
  context: Context,
  project: string,
  iid: number,
  build: string,
): Promise<void> {
  const found = await context.gitlab.mergeRequest(project, iid);
  if (whyNotTest(found) || !found.sha) return;
  await context.gitlab.setStatus(project, found.sha, {
    state: 'failed',
    ref: found.source_branch,
    targetUrl: build,
    description: 'the build broke off before the merge result was made; see its log',
  });
}

export type MergeDecision =
  | { readonly do: 'merge' }
  | { readonly do: 'again' | 'leave' | 'refuse'; readonly why: string };

/** Why a certificate is not of this merge request of GitLab's, or undefined when it is. */
export function whyOther(certificate: Certificate, request: MergeRequest): string | undefined {
  return request.iid === certificate.mergeRequest && request.target_project_id === certificate.projectId
    ? undefined
    : `the certificate belongs to !${certificate.mergeRequest} of project ${certificate.projectId}, and this is !${request.iid} of project ${request.target_project_id}`;
}

/** A target branch as it is now. */
export interface TargetNow {
  readonly head: string;
  /** Tree that merging the tested head into it gives; absent while nobody has asked git, and where they conflict. */
  readonly merged?: string;
}

/**
 * Whether a tested merge request may be merged, given what GitLab says of it now. What was tested is a tree: it may be merged
 * into another commit than it was tested on if that gives the same tree, byte for byte.
 * @param consent what people say of its head; what is not known yet counts as none
 */
export function decideMerge(
  certificate: Certificate,
  request: MergeRequest,
  target: TargetNow,
  policy: Module['merge'],
  consent?: Review,
): MergeDecision {
  const name = `!${request.iid}`;
  const other = whyOther(certificate, request);
  if (other) return { do: 'refuse', why: other };
  if (!isGreen(certificate)) return { do: 'refuse', why: verdictLine(certificate) };
  if (request.state !== 'opened') return { do: 'leave', why: `${name} is ${request.state}` };
  if (request.sha !== certificate.headSha) {
    return { do: 'leave', why: `${name} has a newer commit, which has its own build` };
  }
  if (request.target_branch !== certificate.targetBranch) {
    return { do: 'again', why: `${name} now targets ${request.target_branch}` };
  }
  if (request.draft) return { do: 'leave', why: `${name} is a draft` };
  if (target.head !== certificate.baseSha && target.merged !== certificate.treeSha) {
    return { do: 'again', why: `${certificate.targetBranch} moved to ${target.head.slice(0, 12)}` };
  }
  if (policy !== certificate.policy)
    return {
      do: 'leave',
      why: `the catalog's merge policy is ${policy} now, and was ${certificate.policy} when it was tested`,
    };
  if (policy === 'manual' && !isQueued(certificate))
    return { do: 'leave', why: 'the catalog leaves the merge to people (merge: manual)' };
  if (policy !== 'automatic' && !(consent && 'by' in consent))
    return { do: 'leave', why: consent?.why ?? 'nobody has asked GitLab what people say of it' };
  return { do: 'merge' };
}

/**
 * `detailed_merge_status` while GitLab has not yet judged: a posted status changes the pipeline later
 * (PipelineProcessWorker), and reading a merge request starts a check of its own. With our own status posted as green,
 * `ci_must_pass` is of the pipeline before it.
 */
const WAITING = [
  'preparing',
  'unchecked',
  'checking',
  'ci_still_running',
  'ci_must_pass',
  'approvals_syncing',
];

/** Says it where GitLab judges by a pipeline of the project's own file: ours may be green for long. */
const otherPipeline = ({ detailed_merge_status, head_pipeline }: MergeRequest): string =>
  head_pipeline && head_pipeline.source !== 'external' && detailed_merge_status?.startsWith('ci_')
    ? ` of its pipeline ${head_pipeline.id} ("${head_pipeline.source}"), which a .gitlab-ci.yml made`
    : '';

/** Pauses before the next try, in milliseconds: about five minutes in all. */
const PATIENCE: readonly number[] = [500, 1000, 2000, 4000, 8000, ...Array<number>(19).fill(15_000)];

/** What an error of GitLab's merge endpoint means. */
export function explainMergeError(status: number, detail: string): Exclude<MergeDecision, { do: 'merge' }> {
  const said = detail ? `: ${detail}` : '';
  switch (status) {
    case 401:
    case 403:
      return {
        do: 'refuse',
        why: `the bot may not merge (${status}${said}); allow it to merge into the protected branch`,
      };
    case 404:
      return { do: 'leave', why: `the merge request is gone (404${said})` };
    case 405:
      return { do: 'leave', why: `GitLab does not let it be merged yet (405${said})` };
    case 406:
    case 409:
      return {
        do: 'leave',
        why: `the source branch moved (${status}${said}); the newer commit has its own build`,
      };
    case 422:
      return { do: 'refuse', why: `GitLab tried and failed to merge it (422${said})` };
    default:
      return { do: 'refuse', why: `GitLab answered ${status}${said}` };
  }
}

/** Ends the status of what is left to people: green, or waiting for their approval. */
async function leaveQueue(
  { gitlab }: Context,
  certificate: Certificate,
  post: (state: CommitState, description: string) => Promise<void>,
): Promise<void> {
  if (certificate.policy !== 'reviewed') {
    await post('success', verdictLine(certificate));
    return;
  }
  const { project, headSha, sourceBranch: ref, build } = certificate;
  const newest = (await gitlab.statuses(project, headSha, ref, STATUS_NAME)).at(-1);
  // That a build was started for it holds no longer; all else that waits says so already.
  if (newest?.status === 'pending' && !newest.description?.startsWith(STARTED)) return;
  if (!isQueued(certificate) && !isOpenState(newest?.status)) return;
  const description = 'waits for an approval';
  await postBegun(gitlab, project, headSha, { state: 'pending', ref, targetUrl: build, description });
}

/** Makes the merge of what was tested into the target branch as it is now, as GitLab would make it. */
async function mergedNow(
  { gitlab, gitlabUrl, token }: Context,
  certificate: Certificate,
  folder: string,
): Promise<TargetNow> {
  const { project, sourceBranch, targetBranch, headSha } = certificate;
  const copy = new WorkingCopy(folder, { url: cloneUrl(gitlabUrl, project), token });
  await copy.open();
  await copy.fetchUntil([sourceBranch, targetBranch], async () =>
    copy.haveCommonAncestor(await copy.head(sourceBranch), await copy.head(targetBranch)),
  );
  const head = await copy.head(targetBranch);
  // Without merge commits GitLab merges only what stands on that head, or what is rebased in its turn; and a head that was
  // taken away is nobody's to merge.
  const merges = isQueued(certificate) || (await gitlab.mergeMethod(project)) === 'merge';
  if (!merges || !(await copy.has(headSha))) return { head };
  const merged = await copy.checkOutMerge(head, headSha);
  return 'tree' in merged ? { head, merged: merged.tree } : { head };
}

/** Looks after GitLab said that a rebase failed before it is believed: the words may be of an earlier one. */
const LOOKS = 5;

/**
 * Whether nobody but the bot brought a merge request from one head to another. GitLab tells a push a little later than the head
 * that came of it.
 */
export async function isBotsRebase(
  { gitlab }: Context,
  { project, sourceBranch: branch, headSha: of }: Certificate,
  head: string,
  patience: readonly number[] = [],
): Promise<boolean> {
  const about = { branch, head, of, bot: await gitlab.ownId() };
  for (const pause of [...patience.slice(0, LOOKS), undefined]) {
    const pushes = await gitlab.pushes(project, (found) => isBotsFrom(found, about));
    if (isBotsFrom(pushes, about)) return true;
    if (pause !== undefined) await sleep(pause);
  }
  return false;
}

/**
 * Has the bot rebase a merge request whose turn it is, where GitLab merges only what stands on the target's head. The
 * certificate is of the new head then, whose own tree has to be the tested one. Where people let it through, they did so for
 * the head before: their word goes with it into the certificate, and so with what the bot made of that head, and nobody else.
 * @param given their word
 * @param keep writes a certificate down. With their word it stands there before the rebase, so that whoever finds the new head
 * after a crash has it.
 * @returns why it cannot be rebased, or the certificate
 * @throws Failure 4 where the new head is not what was tested: it has its own build
 */
async function rebasedInTurn(
  context: Context,
  tested: Certificate,
  {
    folder,
    patience,
    given,
    keep,
  }: {
    readonly folder: string;
    readonly patience: readonly number[];
    readonly given: Given | undefined;
    readonly keep: (certificate: Certificate) => Promise<void>;
  },
): Promise<Certificate | { readonly why: string }> {
  const { gitlab, gitlabUrl, token } = context;
  const { project, mergeRequest: iid, sourceBranch, targetBranch, headSha } = tested;
  if ((await gitlab.mergeMethod(project)) === 'merge') return tested;
  const copy = new WorkingCopy(folder, { url: cloneUrl(gitlabUrl, project), token });
  await copy.open();
  await copy.fetchHead(headSha, sourceBranch, targetBranch);
  if (await copy.isAncestor(await copy.head(targetBranch), headSha)) return tested;
  const certificate: Certificate =
    given && tested.gate ? { ...tested, gate: { ...tested.gate, given } } : tested;
  if (certificate !== tested) await keep(certificate);
  try {
    await gitlab.rebase(project, iid);
  } catch (error) {
    if (!(error instanceof GitLabError) || ![403, 409].includes(error.status)) throw error;
    // 409: one is under way already. 403: nobody but its owner pushes to that branch.
    if (error.status === 403) return { why: `the bot may not rebase ${sourceBranch}; rebase it by hand` };
  }
  let now = await gitlab.rebasing(project, iid);
  let failed = 0;
  for (const pause of patience) {
    if (now.sha !== headSha || now.state !== 'opened' || failed >= LOOKS) break;
    if (!now.rebase_in_progress && now.merge_error) failed += 1;
    await sleep(pause);
    now = await gitlab.rebasing(project, iid);
  }
  if (now.sha === headSha || !now.sha)
    return {
      why: `GitLab did not rebase it (${now.merge_error || 'it does not say why'}); rebase it by hand`,
    };
  await copy.fetchHead(now.sha, sourceBranch, targetBranch);
  const rebased = await certifiedAs(context, certificate, { head: now.sha, copy, patience });
  if ('why' in rebased) {
    const why = `rebased as ${now.sha.slice(0, 12)}, ${rebased.why}; that commit has its own build`;
    await gitlab.setStatus(project, headSha, {
      state: 'canceled',
      ref: sourceBranch,
      targetUrl: certificate.build,
      description: why,
    });
    throw new Failure(exitCode.nothing, `not merged: !${iid} is ${why}.`);
  }
  return rebased;
}

/**
 * The certificate of a head that the bot made of a tested one.
 * @param copy an open working copy that has both
 * @returns or why the head is another matter
 */
export async function certifiedAs(
  context: Context,
  certificate: Certificate,
  {
    head,
    copy,
    patience,
  }: { readonly head: string; readonly copy: WorkingCopy; readonly patience?: readonly number[] },
): Promise<Certificate | { readonly why: string }> {
  const { targetBranch, headSha, treeSha, gate } = certificate;
  const base = await copy.head(targetBranch);
  const isTested =
    (await copy.has(head)) && (await copy.isAncestor(base, head)) && (await copy.tree(head)) === treeSha;
  if (!isTested) return { why: 'which is not what was tested' };
  if (gate?.given && !(await isBotsRebase(context, certificate, head, patience)))
    return { why: 'and not by the bot alone' };
  const { ahead: _ahead, ...tested } = certificate;
  return { ...tested, headSha: head, baseSha: base, rebasedFrom: certificate.rebasedFrom ?? headSha };
}

/**
 * Merges exactly what was tested: with `sha`, and only where that gives the tested tree.
 * @param patience pauses before the next try while GitLab has not judged yet (405 and 422, by its own
 * `detailed_merge_status`)
 * With `merge: reviewed` or `manual` only once people let it through; the status turns green then.
 * @returns the commit on the target branch
 * @throws Failure 3 when the target moved, 4 when it is left to people, 1 when it is refused
 */
export async function merge(
  context: Context,
  tested: Certificate,
  policy: Module['merge'],
  key: string,
  folder: string,
  patience: readonly number[] = PATIENCE,
): Promise<string> {
  const { gitlab } = context;
  let certificate = tested;
  const { project, mergeRequest: iid } = certificate;
  // Locked: it is being merged at this moment, perhaps by a try of ours that was cut off.
  const unlocked = async (): Promise<MergeRequest> => {
    let request = await gitlab.mergeRequest(project, iid);
    for (const pause of patience) {
      if (request.state !== 'locked') break;
      await sleep(pause);
      request = await gitlab.mergeRequest(project, iid);
    }
    return request;
  };
  let given: Given | undefined;
  const decide = async () => {
    const request = await unlocked();
    // Not ours to write a note on.
    const other = whyOther(certificate, request);
    if (other) throw new Failure(exitCode.red, `not merged: ${other}.`);
    const head = await gitlab.branchHead(project, certificate.targetBranch);
    const allowed = (target: TargetNow) =>
      decideMerge(certificate, request, target, policy, { by: 'whoever approves it' });
    let target: TargetNow = { head };
    // Asked for only where all else is well: git first, people then.
    if (allowed(target).do === 'again' && request.target_branch === certificate.targetBranch)
      target = await mergedNow(context, certificate, folder);
    const otherwise = allowed(target);
    if (policy === 'automatic' || otherwise.do !== 'merge') return otherwise;
    const carried = certificate.gate?.given;
    const consent = await readConsent(gitlab, project, request, { policy, carried });
    given = consent && 'by' in consent ? consent.given : undefined;
    return decideMerge(certificate, request, target, policy, consent);
  };

  const post = (state: CommitState, description: string) =>
    gitlab.setStatus(project, certificate.headSha, {
      state,
      ref: certificate.sourceBranch,
      targetUrl: certificate.build,
      description,
    });
  let decision = await decide();
  if (decision.do === 'merge' && isQueued(certificate)) {
    const keep = (one: Certificate) =>
      putNote(context, one, { state: 'queued', place: 'rebased now, and merged then' }, key);
    const rebased = await rebasedInTurn(context, certificate, { folder, patience, given, keep });
    if ('why' in rebased) decision = { do: 'leave', why: rebased.why };
    else if (rebased !== certificate) {
      await post('canceled', `${GOES_ON}rebased as ${rebased.headSha.slice(0, 12)}`);
      certificate = rebased;
      // First, so that the new commit's own build finds it.
      await putNote(context, certificate, { state: 'queued', place: 'rebased, and merged now' }, key);
    }
  }
  const approved = policy === 'reviewed' && decision.do === 'merge';
  // What queues is not green before its turn, so that nobody's button merges it out of turn.
  const turned = isQueued(certificate) && decision.do === 'merge';
  const turnGreen = () => post('success', `${verdictLine(certificate)}${approved ? ', and approved' : ''}`);
  if (approved || turned) await turnGreen();
  let merged: MergeRequest | undefined;
  for (let attempt = 0; decision.do === 'merge' && !merged; attempt++) {
    try {
      merged = await gitlab.merge(project, iid, certificate.headSha);
    } catch (error) {
      if (!(error instanceof GitLabError)) throw error;
      const { status, detail } = error;
      const pause = patience[attempt];
      const now = await unlocked();
      const isOurs = now.sha === certificate.headSha;
      const { detailed_merge_status: judged = '' } = now;
      const waits = WAITING.includes(judged) || judged === 'mergeable' || now.state === 'locked';
      // It says so of a head that moved, and of anything that two do at once.
      const isConflict = (status === 406 || status === 409) && isOurs && now.state === 'opened';
      const isUnknown = status === 0 || status >= 500;
      const isRefusal = status === 405 || status === 422;
      if (now.state === 'merged' && isOurs) {
        // By this try or by the one before, whose answer was lost.
        merged = now;
      } else if (pause !== undefined && (isConflict || isUnknown || (isRefusal && waits))) {
        // A late word of another build of it may stand over ours.
        if (isRefusal && turned && attempt % 4 === 3) await turnGreen();
        await sleep(pause);
        // A second time `sha` holds it to the same commit.
        decision = await decide();
      } else if (isUnknown) {
        throw error;
      } else if (isRefusal && waits && judged !== 'mergeable') {
        decision = {
          do: 'leave',
          why: `GitLab still says "${judged}" (${status})${otherPipeline(now)}; merge it by hand once it may be`,
        };
      } else if (isRefusal && judged === 'need_rebase') {
        decision = {
          do: 'leave',
          why: `it needs a rebase onto ${certificate.targetBranch}; the new commit has its own build`,
        };
      } else if (isConflict) {
        decision = { do: 'leave', why: `GitLab still refuses it (${status}: ${detail}); merge it by hand` };
      } else decision = explainMergeError(status, detail);
    }
  }

  if (!merged) {
    const why = decision.do === 'merge' ? 'GitLab did not say why' : decision.why;
    if (decision.do === 'again') {
      await post('pending', `${AGAIN}${why}`);
      throw new Failure(exitCode.again, `not merged: ${why}. The merge result has to be tested again.`);
    }
    // Revoked in between.
    if (approved && decision.do === 'leave') await post('pending', 'waits for an approval');
    else if ((isQueued(certificate) || policy === 'reviewed') && !turned && isGreen(certificate))
      await leaveQueue(context, certificate, post);
    if (isGreen(certificate)) await putNote(context, certificate, { state: 'left', why }, key);
    throw new Failure(decision.do === 'refuse' ? exitCode.red : exitCode.nothing, `not merged: ${why}.`);
  }

  const commit = merged.merge_commit_sha || merged.squash_commit_sha || certificate.headSha;
  const copy = new WorkingCopy(folder, { url: cloneUrl(context.gitlabUrl, project), token: context.token });
  await copy.open();
  await copy.fetchUntil([certificate.targetBranch], () => copy.has(commit));
  const tree = await copy.tree(commit);
  if (tree !== certificate.treeSha) {
    const why = `merged as ${commit.slice(0, 12)}, but its tree ${tree.slice(0, 12)} is not the tested ${certificate.treeSha?.slice(0, 12)}; it will not be deployed`;
    await gitlab.setStatus(project, commit, {
      state: 'failed',
      ref: certificate.targetBranch,
      targetUrl: certificate.build,
      description: why,
    });
    throw new Failure(
      exitCode.red,
      `${why}.`,
      'Someone pushed at the same moment: open a merge request to test main.',
    );
  }
  await putNote(context, certificate, { state: 'merged', commit }, key);
  return commit;
}
