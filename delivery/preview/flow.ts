import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { entryOf } from '../../catalog/entry';
import { exitCode, Failure } from '../../clients/failure';
import { WorkingCopy } from '../../clients/git';
import type { CommitState, MergeRequest } from '../../clients/gitlab';
import { stackFile } from '../../stacks/load';
import { parseJson } from '../../text/json';
import { openMerged } from '../deploy';
import { putOwnNote } from '../own-note';
import type { PodWords } from '../pod-words';
import { eachStep, into, isOpenState, postRunning } from '../status';
import { type Context, cloneUrl, whyNotTest } from '../verify';
import { affectedEnvironments, type Covered } from './affected';
import { capacityOf, type Node, readNodes, readUnasked } from './capacity';
import { digestEvents } from './events';
import {
  isGreenReport,
  previewLine,
  previewMarker,
  type Report,
  renderPreview,
  renderUnstarted,
  renderWhole,
  type Violation,
  violationSchema,
} from './note';
import { type Comparison, comparePlans, readPlan, type SeenPlan, stepsOf } from './plan';
import { previewPaths, readAbout, readUntrusted, type Session } from './session';

/** Name of an environment's status; that of the aggregate has no environment. */
export const statusName = (environment?: string): string =>
  environment === undefined ? 'switchyard/preview' : `switchyard/preview/${environment}`;

/** What the statuses of a preview say of it, whatever they say. */
type Posted = Pick<Session, 'project' | 'headSha' | 'sourceBranch' | 'targetBranch' | 'build'>;

const post = (
  { gitlab }: Pick<Context, 'gitlab'>,
  session: Posted,
  state: CommitState,
  description: string,
  environment?: string,
): Promise<void> =>
  gitlab.setStatus(session.project, session.headSha, {
    state,
    ref: session.sourceBranch,
    targetUrl: session.build,
    // By the aggregate's the reconciler sees whether it was of another target than the merge request's (delivery/reconcile).
    description: environment === undefined ? `${into(session.targetBranch)}${description}` : description,
    name: statusName(environment),
  });

export interface PreviewRequest {
  readonly project: string;
  readonly mergeRequest: number;
  readonly build: string;
  /** Folder for the checkout. */
  readonly folder: string;
  /** Environments that previews cover, in the order of applying. */
  readonly covered: readonly Covered[];
  /** See `affectedEnvironments`. */
  readonly isSource?: (path: string) => boolean;
}

const firstLine = (error: unknown): string => (error as Error).message.split('\n')[0] ?? '';

/** Ends all statuses of a preview. */
const endPreview = (
  context: Pick<Context, 'gitlab'>,
  session: Posted & Pick<Session, 'environments'>,
  state: CommitState,
  why: string,
): Promise<void> =>
  eachStep(
    [...session.environments, undefined].map(
      (environment) => () => post(context, session, state, why, environment),
    ),
  );

/**
 * Checks out the merge result and finds the environments that it affects. Every status that will be posted is posted
 * as pending before any work, so that none can be overlooked while another is green already.
 * @param handOver what else has to be done before the session counts
 * @throws Failure 4 when there is nothing to preview, 1 when the merge request conflicts or removes an environment; what was
 * posted has ended by then
 */
export async function startPreview(
  context: Context,
  request: PreviewRequest,
  handOver: (session: Session) => Promise<void> = async () => undefined,
): Promise<Session> {
  const found = await context.gitlab.mergeRequest(request.project, request.mergeRequest);
  const why = whyNotTest(found);
  if (why || !found.sha) throw new Failure(exitCode.nothing, `${why}.`);
  const about = {
    project: request.project,
    mergeRequest: request.mergeRequest,
    sourceBranch: found.source_branch,
    targetBranch: found.target_branch,
    headSha: found.sha,
    build: request.build,
  };
  let session: Session | undefined;
  try {
    await postRunning(context.gitlab, about.project, about.headSha, {
      ref: about.sourceBranch,
      targetUrl: about.build,
      description: `${into(found.target_branch)}previewing the merge result`,
      name: statusName(),
    });
    session = await checkOutResult(context, request, about);
    for (const environment of session.environments)
      await post(context, session, 'pending', 'waits for its preview', environment);
    await endUnaffected(context, session, request.covered);
    await handOver(session);
    return session;
  } catch (error) {
    // Nobody waits for a status that never comes.
    const superseded = error instanceof Failure && error.code === exitCode.nothing;
    const posted = session ?? { ...about, environments: [] };
    await endPreview(context, posted, superseded ? 'canceled' : 'failed', firstLine(error)).catch(
      (unposted: Error) => context.say(unposted.message),
    );
    throw error;
  }
}

/** What an earlier preview of this commit, with another target, said of what is not affected now blocks nobody. */
async function endUnaffected(
  context: Pick<Context, 'gitlab'>,
  session: Session,
  covered: readonly Covered[],
): Promise<void> {
  const { project, headSha, sourceBranch, targetBranch, environments } = session;
  for (const { name } of covered) {
    if (environments.includes(name)) continue;
    const [newest] = (await context.gitlab.statuses(project, headSha, sourceBranch, statusName(name))).slice(
      -1,
    );
    if (newest && newest.status !== 'success')
      await post(context, session, 'success', `not affected by the merge result with ${targetBranch}`, name);
  }
}

async function checkOutResult(
  context: Context,
  request: PreviewRequest,
  about: Omit<Session, 'baseSha' | 'treeSha' | 'environments'>,
): Promise<Session> {
  const copy = new WorkingCopy(request.folder, {
    url: cloneUrl(context.gitlabUrl, request.project),
    token: context.token,
  });
  await copy.open();
  await copy.fetchUntil([about.sourceBranch, about.targetBranch], async () =>
    copy.haveCommonAncestor(await copy.head(about.sourceBranch), await copy.head(about.targetBranch)),
  );
  if (!(await copy.has(about.headSha))) {
    throw new Failure(
      exitCode.nothing,
      `commit ${about.headSha} is no longer on ${about.sourceBranch}; the newer commit has its own build.`,
    );
  }
  const refuse = (what: string, remedy: string): never => {
    throw new Failure(exitCode.red, `${what}.`, remedy);
  };
  const baseSha = await copy.head(about.targetBranch);
  const merged = await copy.checkOutMerge(baseSha, about.headSha);
  if ('conflicts' in merged) {
    const paths = merged.conflicts.slice(0, 3).join(', ');
    return refuse(
      `conflicts with ${about.targetBranch} in ${paths}`,
      'Merge the target branch and resolve them.',
    );
  }
  const { environments, removed } = affectedEnvironments(
    await copy.changedPaths(baseSha, 'HEAD'),
    request.covered,
    (name) => existsSync(join(request.folder, 'stacks', stackFile(name))),
    request.isSource,
  );
  if (removed.length > 0) {
    return refuse(
      `removes the stack file of ${removed.join(', ')}, which is still previewed and applied`,
      'Destroy the environment and take it out of topologyProject.environments first.',
    );
  }
  return { ...about, baseSha, treeSha: merged.tree, environments };
}

/** Why a preview is of no use any more, or undefined while it is. */
export function whySuperseded(session: Session, request: MergeRequest): string | undefined {
  if (request.state !== 'opened') return `!${request.iid} is ${request.state}`;
  if (request.sha !== session.headSha) return `!${request.iid} has a newer commit, which has its own preview`;
  if (request.target_branch !== session.targetBranch)
    return `!${request.iid} now targets ${request.target_branch}`;
  return undefined;
}

/** @throws Failure 4 when a newer commit, or the end of the merge request, made this preview useless */
export async function checkCurrent(context: Context, session: Session): Promise<void> {
  const why = whySuperseded(
    session,
    await context.gitlab.mergeRequest(session.project, session.mergeRequest),
  );
  if (why) throw new Failure(exitCode.nothing, `the preview is cancelled: ${why}.`);
}

/** Closes the statuses of a preview that nobody waits for any more. */
export const cancelPreview = (context: Context, session: Session, why: string): Promise<void> =>
  endPreview(context, session, 'canceled', why);

/** Writes the bot's one note of an environment: edits its own when there is one, and leaves an equal one alone. */
export const putPreviewNote = (
  context: Pick<Context, 'gitlab' | 'noteRetries'>,
  session: Pick<Session, 'project' | 'mergeRequest'>,
  environment: string,
  body: string,
): Promise<void> =>
  putOwnNote(context, session.project, session.mergeRequest, previewMarker(environment), body);

const nodesOf = (lists: Readonly<Record<string, unknown>>): Record<string, readonly Node[]> =>
  Object.fromEntries(
    Object.entries(lists).flatMap(([context, list]) => {
      const nodes = readNodes(list);
      return nodes ? [[context, nodes]] : [];
    }),
  );

const unaskedOf = (lists: Readonly<Record<string, unknown>>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(lists).flatMap(([context, list]) => {
      const why = readUnasked(list);
      return why === undefined ? [] : [[context, why]];
    }),
  );

/** Broken rules as the preview Pod reports them. A report that cannot be read is itself a broken rule. */
function readViolations(text: string | undefined): Violation[] {
  if (text === undefined) return [];
  const parsed = z.array(violationSchema).safeParse(parseJson(text));
  if (parsed.success) return parsed.data;
  return [
    {
      id: 'unreadable',
      where: 'rules.json',
      what: 'The list of broken rules cannot be read.',
      remedy: 'Look at what judges the rules in this merge request.',
    },
  ];
}

/** What `switchyard` exits with where it refuses the catalog or a stack. */
const WRONG_INPUT = '2';
/** Lines of the log that stand in a note where the program ended before the engine began. */
const LAST_WORDS = 10;

/** What the program said last: faults of catalog and stacks, each with its place and remedy, are told that way. */
const lastWords = (log: string | undefined): string[] =>
  (log ?? '')
    .split('\n')
    .map((line) => line.trimEnd())
    .filter((line) => line !== '' && !/^(Created stack|warning using) /.test(line))
    .slice(-LAST_WORDS);

/** Makes the report of one environment from what its preview Pod left. */
export function reportOfRecord(workspace: string, session: Session, environment: string): Report {
  const paths = previewPaths(workspace, environment);
  const about = readAbout(paths.about);
  const digested = digestEvents(readUntrusted(paths.events) ?? '');
  const violations = readViolations(readUntrusted(paths.rules));
  const outcome = readUntrusted(paths.outcome)?.trim();
  const unsaid = outcome === WRONG_INPUT && digested.faults.length === 0;
  const plan = unsaid ? { ...digested, faults: lastWords(readUntrusted(paths.log)) } : digested;
  const broken = existsSync(paths.leak)
    ? 'secret values were found in what it wrote; they were taken out, and must be rotated'
    : outcome === undefined
      ? 'the Pod ended without an outcome; see the log'
      : outcome !== '0' && plan.faults.length === 0
        ? `the program ended with exit code ${outcome.slice(0, 20)}; see the log`
        : undefined;
  const capacity = capacityOf(
    plan.before,
    plan.after,
    about.clusters,
    nodesOf(about.nodes),
    unaskedOf(about.nodes),
  );
  const judged = { plan, violations, ...(broken === undefined ? {} : { broken }) };
  const seen: SeenPlan = {
    version: 1,
    environment,
    project: session.project,
    mergeRequest: session.mergeRequest,
    headSha: session.headSha,
    baseSha: session.baseSha,
    treeSha: session.treeSha,
    state: about.state,
    green: isGreenReport(judged),
    ...stepsOf(plan.changes),
  };
  return {
    environment,
    ...judged,
    // Half a plan tells nothing of capacity.
    capacity: plan.finished && plan.faults.length === 0 ? capacity : [],
    build: session.build,
    artifact: `preview-${environment}.md`,
    targetBranch: session.targetBranch,
    seen,
  };
}

/**
 * Posts an environment's note and status, and writes the whole beside them.
 * @returns whether it is green
 */
export async function reportPreview(
  context: Context,
  workspace: string,
  session: Session,
  environment: string,
  key: string,
): Promise<boolean> {
  await checkCurrent(context, session);
  const report = reportOfRecord(workspace, session, environment);
  writeFileSync(previewPaths(workspace, environment).whole, renderWhole(report, key));
  // The note first: whoever sees the status finds the reasons.
  try {
    await putPreviewNote(context, session, environment, renderPreview(report, key));
  } catch (error) {
    // The status ends all the same. Without the plan nothing can be applied, so it is not green.
    context.say(firstLine(error));
    const why = 'the note with the plan could not be written; preview again';
    await post(context, session, 'failed', `${previewLine(report).slice(0, 180)}, but ${why}`, environment);
    return false;
  }
  const green = isGreenReport(report);
  await post(context, session, green ? 'success' : 'failed', previewLine(report), environment);
  return green;
}

/**
 * Ends the aggregate status, and every environment's that got no verdict.
 * @param start what was said of a Pod that did not start
 * @returns whether all are green
 */
export async function finishPreview(
  context: Context,
  session: Session,
  green: Readonly<Record<string, boolean>>,
  start?: PodWords,
): Promise<boolean> {
  const missing = session.environments.filter((environment) => entryOf(green, environment) === undefined);
  const why = start ? `the preview broke off: ${start.why}` : 'the preview broke off; see the log';
  const red = session.environments.filter((environment) => !entryOf(green, environment));
  const line =
    session.environments.length === 0
      ? 'no environment is affected'
      : red.length > 0
        ? `red: ${red.join(', ')}`
        : `previewed: ${session.environments.join(', ')}`;
  await eachStep([
    ...missing.flatMap((environment) => [
      // The note first: whoever sees the status finds the reasons.
      async () =>
        start &&
        putPreviewNote(context, session, environment, renderUnstarted(environment, start, session.build)),
      () => post(context, session, 'failed', why, environment),
    ]),
    () => post(context, session, red.length === 0 ? 'success' : 'failed', line),
  ]);
  return red.length === 0;
}

export interface ApplyRequest {
  readonly project: string;
  /** Commit on the target branch. */
  readonly commit: string;
  /** What the branch had before; zeros where it had nothing. */
  readonly before: string;
  readonly branch: string;
  readonly build: string;
  /** Folder for the checkout. */
  readonly folder: string;
  readonly covered: readonly Covered[];
  /** See `affectedEnvironments`. */
  readonly isSource?: (path: string) => boolean;
  readonly key: string;
}

/** What a push to the target branch applies. */
export interface Applying {
  readonly mergeRequest: number;
  /** In the order of applying, each with the plan that its reviewers saw. */
  readonly plans: readonly SeenPlan[];
}

/**
 * Finds what reviewers saw of a commit that was merged: one signed plan per affected environment, of exactly this tree.
 * @throws Failure 1 when a plan is missing, red, of another tree, or was changed; 4 for the project's first commit,
 * which a maintainer brings from the checkout that made the topology
 */
export async function findPlans(context: Context, request: ApplyRequest): Promise<Applying> {
  const refuse = (why: string): never => {
    throw new Failure(
      exitCode.red,
      `not applied: ${why}.`,
      'Apply only what was previewed: open a merge request, or run `switchyard up` by hand.',
    );
  };
  const { gitlab } = context;
  if (/^0+$/.test(request.before)) {
    throw new Failure(exitCode.nothing, `nothing to apply: ${request.branch} begins with this push.`);
  }
  const { copy, found } = await openMerged(context, request, refuse);
  const tree = await copy.tree(request.commit);
  await copy.checkOut(request.commit);

  const own = await gitlab.ownId();
  const notes = await gitlab.notes(
    request.project,
    found.iid,
    (note) => note.author.id === own && !note.system,
  );
  const planOf = (environment: string): SeenPlan | undefined => {
    const note = notes.find(({ body }) => body.startsWith(previewMarker(environment)));
    const plan = note && readPlan(note.body, request.key);
    return plan?.environment === environment &&
      plan.project === request.project &&
      plan.mergeRequest === found.iid
      ? plan
      : undefined;
  };
  const bases = request.covered.map(({ name }) => planOf(name)?.baseSha).filter((base) => base !== undefined);
  const from = bases[0] ?? `${request.commit}^1`;
  await copy.fetchUntil([request.branch], () => copy.has(from));
  const { environments } = affectedEnvironments(
    await copy.changedPaths(from, request.commit),
    request.covered,
    () => true,
    request.isSource,
  );
  const plans = environments.map((environment) => {
    const plan = planOf(environment);
    if (!plan) return refuse(`!${found.iid} has no valid preview of ${environment}`);
    if (!plan.green) return refuse(`the preview of ${environment} is red`);
    if (plan.treeSha !== tree) {
      return refuse(
        `the tree ${tree.slice(0, 12)} is not the previewed ${plan.treeSha.slice(0, 12)}: ${request.branch} moved between preview and merge`,
      );
    }
    return plan;
  });
  return { mergeRequest: found.iid, plans };
}

const applyName = (environment?: string): string =>
  environment === undefined ? 'switchyard/apply' : `switchyard/apply/${environment}`;

/** Posts how far applying one environment came on the merged commit; without an environment, how far all did. */
export const postApply = (
  { gitlab }: Pick<Context, 'gitlab'>,
  request: Pick<ApplyRequest, 'project' | 'commit' | 'branch' | 'build'>,
  environment: string | undefined,
  state: CommitState,
  description: string,
): Promise<void> =>
  gitlab.setStatus(request.project, request.commit, {
    state,
    ref: request.branch,
    targetUrl: request.build,
    description,
    name: applyName(environment),
  });

/**
 * Finds what is to be applied, says so on the commit, and hands it over.
 * @throws Failure as {@link findPlans}; what was posted has ended by then
 */
export async function startApply(
  context: Context,
  request: ApplyRequest,
  handOver: (applying: Applying) => Promise<void>,
): Promise<Applying> {
  let environments = request.covered.map(({ name }) => name);
  try {
    const applying = await findPlans(context, request);
    environments = applying.plans.map(({ environment }) => environment);
    // By this one alone it is seen whether applying began at all (delivery/reconcile).
    await postRunning(context.gitlab, request.project, request.commit, {
      ref: request.branch,
      targetUrl: request.build,
      description: 'applies what was previewed',
      name: applyName(),
    });
    for (const environment of environments)
      await postApply(context, request, environment, 'pending', 'waits to be applied');
    await handOver(applying);
    return applying;
  } catch (error) {
    if (error instanceof Failure && error.code === exitCode.nothing) throw error;
    const line = firstLine(error);
    const why = line.startsWith('not applied') ? line : `not applied: ${line}`;
    await eachStep(
      [...environments, undefined].map(
        (environment) => () => postApply(context, request, environment, 'failed', why),
      ),
    ).catch((unposted: Error) => context.say(unposted.message));
    throw error;
  }
}

/** How far applying one environment came; absent where it broke off, or never began. */
export type Outcome = 'applied' | 'stopped';

/**
 * Ends what is open of the statuses: the environment at which applying broke off, those after the one that was not applied,
 * and any whose own end could not be posted.
 * @param outcomes of the environments that came so far
 * @returns the first environment that was not applied
 */
export async function finishApply(
  context: Pick<Context, 'gitlab'>,
  request: Pick<ApplyRequest, 'project' | 'commit' | 'branch' | 'build'>,
  environments: readonly string[],
  outcomes: Readonly<Record<string, Outcome | undefined>>,
): Promise<string | undefined> {
  const first = environments.find((environment) => entryOf(outcomes, environment) !== 'applied');
  const end = (environment: string | undefined, state: CommitState, description: string) => () =>
    postApply(context, request, environment, state, description);
  const endOpen = (environment: string, state: CommitState, description: string) => async () => {
    const { project, commit, branch } = request;
    const posted = await context.gitlab.statuses(project, commit, branch, applyName(environment));
    if (isOpenState(posted.at(-1)?.status)) await end(environment, state, description)();
  };
  const until = first === undefined ? environments.length : environments.indexOf(first);
  await eachStep([
    ...environments
      .slice(0, until)
      .map((environment) => endOpen(environment, 'success', 'applied as previewed')),
    ...(first === undefined
      ? [
          end(
            undefined,
            'success',
            environments.length > 0 ? `applied: ${environments.join(', ')}` : 'nothing to apply',
          ),
        ]
      : [
          entryOf(outcomes, first) === undefined
            ? end(first, 'failed', 'applying broke off; see the log')
            : endOpen(first, 'failed', 'not applied; see the log'),
          ...environments
            .slice(until + 1)
            .map((environment) =>
              end(environment, 'canceled', `not applied: ${first}, which comes before it, was not`),
            ),
          end(undefined, 'failed', `not applied: ${first}`),
        ]),
  ]);
  return first;
}

/** Compares a fresh preview by the merged program, on the state as it is now, with what reviewers saw. */
export function compareRecord(workspace: string, seen: SeenPlan): Comparison {
  const paths = previewPaths(workspace, seen.environment);
  const about = readAbout(paths.about);
  const plan = digestEvents(readUntrusted(paths.events) ?? '');
  if (plan.faults.length > 0)
    return { same: false, why: `the preview before applying failed: ${plan.faults[0]}` };
  if (!plan.finished) return { same: false, why: 'the preview before applying did not come to its end' };
  return comparePlans(seen, plan.changes, about.state);
}
