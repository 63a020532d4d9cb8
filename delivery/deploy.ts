import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { migrationSchema, type Release, type TakenBack } from '../catalog/ledger';
import { STATUS_NAME } from '../catalog/status';
import { exitCode, Failure } from '../clients/failure';
import { WorkingCopy } from '../clients/git';
import type { CommitState, GitLab, MergeRequest } from '../clients/gitlab';
import type { Registry } from '../clients/registry';
import { type Certificate, isGreen } from './certificate';
import { CACHE_TAG } from './gate';
import {
  changeLedger,
  type LedgerChange,
  type LedgerMessage,
  type LedgerPlace,
  ledgerMessage,
  short,
} from './ledger';
import { marker, type NoteReading, type Progress, readNote } from './note';
import { ownNote } from './own-note';
import type { PodWords } from './pod-words';
import { readSettings } from './settings';
import { readSealed, stateFolder, whyOtherImage, writeSealed } from './state';
import { postRunning } from './status';
import { tellUndone } from './undo-note';
import { type Context, cloneUrl, putNote } from './verify';

export interface DeployRequest {
  readonly module: string;
  readonly project: string;
  readonly ledgerProject: string;
  readonly environment: string;
  readonly commit: string;
  readonly branch: string;
  readonly build: string;
  readonly rollback: boolean;
  /** Whether the module's data is migrated for a release. */
  readonly migrates: boolean;
  /** Folder for the module's repository. */
  readonly folder: string;
  readonly key: string;
}

/** The merge request that a commit on the target branch came from: the merged one that names it, else the only one. */
export function pickMergeRequest(
  requests: readonly MergeRequest[],
  commit: string,
  branch: string,
): MergeRequest | undefined {
  const merged = requests.filter((request) => request.state === 'merged' && request.target_branch === branch);
  return (
    merged.find((request) => request.merge_commit_sha === commit || request.squash_commit_sha === commit) ??
    merged.find((request) => request.sha === commit)
  );
}

/**
 * A working copy that has a commit of the target branch, and the merge request that brought it.
 * @param patience pauses while a merge request of the branch is locked, in milliseconds
 * @param refuse ends the command, for a commit that came another way or is not on the branch
 */
export async function openMerged(
  context: Context,
  { project, folder, commit, branch }: Pick<DeployRequest, 'project' | 'folder' | 'commit' | 'branch'>,
  refuse: (why: string) => never,
  patience: readonly number[] = [1000, 2000, 4000, ...Array<number>(8).fill(15_000)],
): Promise<{ readonly copy: WorkingCopy; readonly found: MergeRequest }> {
  const copy = new WorkingCopy(folder, { url: cloneUrl(context.gitlabUrl, project), token: context.token });
  await copy.open();
  await copy.fetchUntil([branch], () => copy.has(commit));
  if (!(await copy.has(commit))) refuse(`${short(commit)} is not on ${branch}`);
  let requests = await context.gitlab.mergeRequestsOf(project, commit);
  // The hook of a merge's own push can come while GitLab still has the merge request locked.
  for (const pause of patience) {
    if (pickMergeRequest(requests, commit, branch)) break;
    if (!requests.some(({ state, target_branch }) => state === 'locked' && target_branch === branch)) break;
    await sleep(pause);
    requests = await context.gitlab.mergeRequestsOf(project, commit);
  }
  const found = pickMergeRequest(requests, commit, branch);
  return { copy, found: found ?? refuse('no merged merge request brought this commit') };
}

/** Why a certificate does not cover what was pushed, or undefined when it does. */
export function whyNotCovered(
  reading: NoteReading,
  pushed: {
    module: string;
    project: string;
    /** As GitLab has it now. */
    request: MergeRequest;
    branch: string;
    tree: string;
    /** `host[:port][/prefix]`. */
    registry: string;
  },
): string | undefined {
  if ('fault' in reading) {
    return {
      'no certificate': 'its merge request has no certificate',
      unreadable: "its merge request's certificate cannot be read",
      tampered: "its merge request's certificate was changed: the signature does not hold",
    }[reading.fault];
  }
  const { certificate } = reading;
  if (
    certificate.module !== pushed.module ||
    certificate.project !== pushed.project ||
    certificate.mergeRequest !== pushed.request.iid ||
    certificate.projectId !== pushed.request.target_project_id ||
    certificate.targetBranch !== pushed.branch
  ) {
    return `the certificate belongs to ${certificate.project}!${certificate.mergeRequest}`;
  }
  // Of an older build: GitLab keeps the head that was merged.
  if (certificate.headSha !== pushed.request.sha) {
    return `the certificate is of ${short(certificate.headSha)}, and ${pushed.request.sha?.slice(0, 12)} was merged`;
  }
  if (!isGreen(certificate)) return 'its tests did not pass';
  const other = whyOtherImage(certificate.image?.repository ?? '', pushed.registry, pushed.module);
  if (other) return other;
  if (certificate.treeSha !== pushed.tree) {
    return `its tree ${short(pushed.tree)} is not the tested ${certificate.treeSha?.slice(0, 12)}`;
  }
  return undefined;
}

/** How the commit to deploy relates to the one in the ledger. */
export type Relation = 'first' | 'same' | 'newer' | 'older' | 'unrelated';

/** {@link Relation} of a commit of a branch that a working copy has. */
export async function relationTo(
  copy: WorkingCopy,
  branch: string,
  commit: string,
  current: Release | undefined,
): Promise<Relation> {
  if (!current) return 'first';
  if (current.commit === commit) return 'same';
  await copy.fetchUntil(
    [branch],
    async () => (await copy.has(current.commit)) && (await copy.haveCommonAncestor(current.commit, commit)),
  );
  if (!(await copy.has(current.commit))) return 'unrelated';
  if (await copy.isAncestor(current.commit, commit)) return 'newer';
  return (await copy.isAncestor(commit, current.commit)) ? 'older' : 'unrelated';
}

/** Whether a commit is what was taken back, or in its history. */
export const isWithin = async (copy: WorkingCopy, commit: string, undone: TakenBack): Promise<boolean> =>
  undone.commit === commit ||
  ((await copy.has(undone.commit)) && (await copy.isAncestor(commit, undone.commit)));

export type LedgerDecision =
  | { readonly do: 'write' | 'keep' }
  | { readonly do: 'skip' | 'refuse'; readonly why: string }
  /** An earlier build undid it, and may have ended before production was put back. */
  | { readonly do: 'undone'; readonly undone: TakenBack };

/** What was known of a commit before. */
export interface Before {
  /** A person wants exactly this, whatever was before. */
  readonly rollback: boolean;
  /** What was taken back of the module, where it is this commit or has it in its history. */
  readonly undone?: TakenBack;
  /** This commit ran in the environment once. */
  readonly ran: boolean;
}

/** The ledger never goes back by itself: that would undo a newer release. Nor forward to what was taken back. */
export function decideLedger(
  current: Release | undefined,
  next: Release,
  relation: Relation,
  { rollback, undone, ran }: Before,
): LedgerDecision {
  if (relation === 'same' && current?.image === next.image) return { do: 'keep' };
  if (rollback) return { do: 'write' };
  const live = current && short(current.commit);
  if (undone?.commit === next.commit && undone.how === 'undone') return { do: 'undone', undone };
  if (undone)
    return { do: 'skip', why: `${short(undone.commit)} was ${undone.how}; the next merge goes out` };
  if (!current || relation === 'first') return { do: 'write' };
  if (current.hold && relation !== 'same')
    return { do: 'skip', why: `${live} is held; \`switchyard rollback\` without --hold lets it go` };
  if (relation === 'newer' && ran)
    return {
      do: 'skip',
      why: `it ran already, and the ledger was reverted to ${live}; \`switchyard rollback --to\` puts it back`,
    };
  if (relation === 'newer' || relation === 'same') return { do: 'write' };
  return relation === 'older'
    ? { do: 'skip', why: `${live}, which is newer, is in the ledger already` }
    : {
        do: 'refuse',
        why: `${live} in the ledger is not part of this branch's history. Was this project made anew? Take the module out of the ledger's file, and build again`,
      };
}

const decided = (decision: LedgerDecision): 'write' | undefined => {
  if (decision.do === 'skip') throw new Failure(exitCode.nothing, `not deployed: ${decision.why}.`);
  if (decision.do === 'refuse') throw new Failure(exitCode.red, `not deployed: ${decision.why}.`);
  return decision.do === 'write' ? 'write' : undefined;
};

/**
 * Takes from the release that runs, before another takes its place, that it is to be migrated: by a commit of its own, so that
 * nobody who puts back what was before the other, by hand in GitLab either, has its migration run again.
 */
export function settled(
  { module, environment }: Pick<DeployRequest, 'module' | 'environment'>,
  { migrate: _done, ...release }: Release,
  undone: TakenBack | undefined,
): LedgerChange {
  return {
    state: { release, ...(undone ? { undone } : {}) },
    // No release of its own: `eventOf` reads none from it.
    message: `${environment}: ${module} ${short(release.commit)} needs no migration any more\n`,
  };
}

type Decide = (current: Release | undefined, undone: TakenBack | undefined) => Promise<LedgerDecision>;

/** What is put into a ledger, and what its commit says of that. */
export type RecordRequest = Pick<DeployRequest, 'module' | keyof LedgerPlace> &
  Pick<LedgerMessage, 'by' | 'promotedFrom'>;

/** A release in the place of whatever was in the ledger, taken back things among it. */
export const released = (
  { module, environment, by, promotedFrom }: RecordRequest,
  next: Release,
): LedgerChange => ({
  state: { release: next },
  message: ledgerMessage(environment, { module, to: short(next.commit), by, promotedFrom }, [
    `Merge request !${next.mergeRequest}`,
    next.build,
  ]),
});

/**
 * Puts one release into the ledger.
 * @returns whether anything was written, or by what it was undone before
 */
export async function recordRelease(
  { gitlab }: { readonly gitlab: Pick<GitLab, 'file' | 'commitFile'> },
  request: RecordRequest,
  next: Release,
  decide: Decide,
  pause?: (attempt: number) => number,
  tries?: number,
): Promise<boolean | { readonly undone: TakenBack; readonly current: Release | undefined }> {
  const { module } = request;
  let before: { undone: TakenBack; current: Release | undefined } | undefined;
  let settling = false;
  const write = () =>
    changeLedger(
      gitlab,
      request,
      module,
      async ({ release, undone }) => {
        const decision = await decide(release, undone);
        before = decision.do === 'undone' ? { undone: decision.undone, current: release } : undefined;
        settling = false;
        if (!decided(decision)) return undefined;
        if (release?.migrate && release.commit !== next.commit) {
          settling = true;
          return settled(request, release, undone);
        }
        return released(request, next);
      },
      pause,
      tries,
    );
  const first = await write();
  const written = settling ? await write() : first;
  return before ?? written;
}

const deploymentSchema = z.strictObject({
  module: z.string(),
  project: z.string(),
  environment: z.string(),
  commit: z.string(),
  branch: z.string(),
  mergeRequest: z.number(),
  image: z.string(),
  /** What put it into the ledger: a merge, a person who went back to it, or one who promoted it from another environment. */
  by: z.enum(['merge', 'rollback', 'promotion']),
  /** Set once it is undone in the ledger. */
  undone: z
    .strictObject({
      why: z.string(),
      /** Commit that the ledger names in its place; absent where it had none before. */
      serves: z.string().optional(),
      /** What became of its migration, where it had one. */
      migration: migrationSchema.optional(),
    })
    .optional(),
});
export type Deployment = z.infer<typeof deploymentSchema>;

const deploymentFile = (workspace: string): string => join(stateFolder(workspace), 'deployment.json');
/** A deployment is of one build of one module's job. */
const deploymentBinding = () => {
  const { BUILD_URL, SWITCHYARD_ENVIRONMENT, SWITCHYARD_MODULE } = readSettings([
    'BUILD_URL',
    'SWITCHYARD_ENVIRONMENT',
    'SWITCHYARD_MODULE',
  ]);
  return { build: BUILD_URL, environment: SWITCHYARD_ENVIRONMENT, module: SWITCHYARD_MODULE };
};

export function writeDeployment(workspace: string, deployment: Deployment): void {
  writeSealed(deploymentFile(workspace), 'deployment', deploymentBinding(), deployment);
}

/** @throws Failure 2 when `deploy` left none, 1 when it is not what this build wrote */
export const readDeployment = (workspace: string): Deployment =>
  readSealed(
    deploymentFile(workspace),
    'deployment',
    deploymentBinding(),
    deploymentSchema,
    'Run `delivery deploy` first, in the same folder.',
  );

/**
 * Commit that an earlier round of this build left in the ledger; undefined in the first round.
 * @throws Failure 1 when it is not what this build wrote
 */
export function earlierInLedger(workspace: string): string | undefined {
  if (!existsSync(deploymentFile(workspace))) return undefined;
  const { commit, undone } = readDeployment(workspace);
  return undone ? undone.serves : commit;
}

/** The certificate in the bot's own note; notes of others count for nothing. */
async function findCertificate(
  context: Context,
  project: string,
  iid: number,
  key: string,
): Promise<NoteReading> {
  const mine = await ownNote(context.gitlab, project, iid, marker);
  return mine ? readNote(mine.body, key) : { fault: 'no certificate' };
}

/**
 * Deploys a commit of the main branch as far as the ledger: finds the certificate, checks that it covers the
 * pushed tree, promotes the tested image and records it. Every end but success is posted on the commit.
 */
export async function deploy(
  context: Context,
  registry: Registry,
  registryAddress: string,
  request: DeployRequest,
): Promise<Deployment> {
  const post = (state: CommitState, description: string) =>
    context.gitlab.setStatus(request.project, request.commit, {
      state,
      ref: request.branch,
      targetUrl: request.build,
      description,
    });
  await postRunning(context.gitlab, request.project, request.commit, {
    ref: request.branch,
    targetUrl: request.build,
    description: `deploying to ${request.environment}`,
  });
  try {
    return await toLedger(context, registry, registryAddress, request);
  } catch (error) {
    const [line = 'not deployed'] = (error as Error).message.split('\n');
    const skipped = error instanceof Failure && error.code === exitCode.nothing;
    await post(skipped ? 'canceled' : 'failed', line);
    throw error;
  }
}

/**
 * Lets the next builds of the module read the cache of the build that was tested: by its digest, since its tag may name what
 * another build of the same head left, which nobody merged. Without one they are slower, and no more.
 */
async function promoteCache(
  registry: Registry,
  path: string,
  { image }: Certificate,
  say: Context['say'],
): Promise<void> {
  try {
    const cache = image?.cache && (await registry.manifest(path, image.cache));
    if (cache) await registry.putManifest(path, CACHE_TAG, cache);
  } catch (error) {
    // The release stands in the ledger already.
    say(`the build cache stays as it was: ${(error as Error).message.split('\n')[0]}`);
  }
}

async function toLedger(
  context: Context,
  registry: Registry,
  registryAddress: string,
  request: DeployRequest,
): Promise<Deployment> {
  const refuse = (why: string): never => {
    throw new Failure(
      exitCode.red,
      `not deployed: ${why}.`,
      'Only what was tested is deployed: bring the change in through a merge request.',
    );
  };
  const { copy, found } = await openMerged(context, request, refuse);
  const reading = await findCertificate(context, request.project, found.iid, request.key);
  const why = whyNotCovered(reading, {
    module: request.module,
    project: request.project,
    request: found,
    branch: request.branch,
    tree: await copy.tree(request.commit),
    registry: registryAddress,
  });
  if (why || !('certificate' in reading) || !reading.certificate.image)
    return refuse(why ?? 'it has no image');

  const { repository, digest } = reading.certificate.image;
  const next: Release = {
    image: `${repository}@${digest}`,
    commit: request.commit,
    mergeRequest: found.iid,
    build: request.build,
    // What is older was migrated for, and more.
    ...(request.migrates && !request.rollback ? { migrate: true } : {}),
  };
  await registry.tag(
    repository.slice(registryAddress.length + 1),
    digest,
    `release-${short(request.commit)}`,
  );
  const recorded = await recordRelease(
    context,
    { ...request, by: found.author?.username },
    next,
    async (current, undone) => {
      const relation = await relationTo(copy, request.branch, request.commit, current);
      return decideLedger(current, next, relation, {
        rollback: request.rollback,
        ...(undone && (await isWithin(copy, request.commit, undone)) ? { undone } : {}),
        ran: relation === 'newer' && (await ranBefore(context, request)),
      });
    },
  );
  const deployment: Deployment = {
    module: request.module,
    project: request.project,
    environment: request.environment,
    commit: request.commit,
    branch: request.branch,
    mergeRequest: found.iid,
    image: next.image,
    by: 'merge',
  };
  if (typeof recorded === 'object') {
    const { undone, current } = recorded;
    context.say(
      `ledger: ${request.environment} ${request.module} ${short(request.commit)} is undone already`,
    );
    return {
      ...deployment,
      undone: {
        why: undone.why,
        ...(current ? { serves: current.commit } : {}),
        ...(undone.migration ? { migration: undone.migration } : {}),
      },
    };
  }
  const written = recorded;
  // What was merged and released may be what the next builds start from; what was not never is.
  if (written) {
    const path = repository.slice(registryAddress.length + 1);
    await promoteCache(registry, path, reading.certificate, context.say);
  }
  context.say(
    written
      ? `ledger: ${request.environment} ${request.module} is now ${short(request.commit)}, ${next.image}`
      : `ledger: ${request.environment} ${request.module} is ${short(request.commit)} already`,
  );
  return deployment;
}

/**
 * Name of the status that tells of a deploy. What is promoted has one of its own environment: another bot tests there, and of one
 * name GitLab takes what another user posts for a retry.
 */
const statusOf = ({
  by,
  environment,
}: Partial<Pick<Deployment, 'by'>> & Pick<Deployment, 'environment'>): string =>
  by === 'promotion' ? `${STATUS_NAME}/${environment}` : STATUS_NAME;

const runsIn = ({ module, commit, environment }: Pick<Deployment, 'module' | 'commit' | 'environment'>) =>
  `${module} ${short(commit)} runs in ${environment}`;

/** Whether a deploy of a commit ended well once: its statuses tell, whatever the ledger says since. */
export async function ranBefore(
  { gitlab }: { readonly gitlab: Pick<GitLab, 'statuses'> },
  of: Pick<Deployment, 'project' | 'module' | 'commit' | 'branch' | 'environment'> &
    Partial<Pick<Deployment, 'by'>>,
): Promise<boolean> {
  const statuses = await gitlab.statuses(of.project, of.commit, of.branch, statusOf(of));
  return statuses.some(({ status, description }) => status === 'success' && description === runsIn(of));
}

/** How a rollout ended, in a line. */
function outcomeOf(deployment: Deployment, succeeded: boolean, start: PodWords | undefined): string {
  const { module, commit, environment, undone } = deployment;
  if (!undone)
    return succeeded
      ? runsIn(deployment)
      : `the rollout of ${module} ${short(commit)} to ${environment} failed${start ? `: ${start.why}` : ''}`;
  const serves = undone.serves ? `${short(undone.serves)} runs` : 'nothing ran before';
  const now = succeeded ? serves : 'but what was before could not be rolled out: see the build';
  return `${short(commit)} is undone in ${environment}: ${undone.why}; ${now}`;
}

/**
 * Posts on the commit, and in the merge request's note, why nothing was deployed: no Pod for its rollout started. The ledger
 * does not name the commit then.
 */
export async function reportUnstarted(
  context: Context,
  request: Pick<DeployRequest, 'project' | 'environment' | 'commit' | 'branch' | 'build' | 'key'>,
  start: PodWords,
): Promise<void> {
  const { project, environment, commit, branch, build, key } = request;
  await context.gitlab.setStatus(project, commit, {
    state: 'failed',
    ref: branch,
    targetUrl: build,
    description: `not deployed to ${environment}: ${start.why}`,
  });
  const requests = await context.gitlab.mergeRequestsOf(project, commit);
  const found = pickMergeRequest(requests, commit, branch);
  if (!found) return;
  const reading = await findCertificate(context, project, found.iid, key);
  if ('certificate' in reading)
    await putNote(
      context,
      reading.certificate,
      { state: 'rollout failed', commit, environment, build, start },
      key,
    );
}

/** Posts on the commit what came of the rollout of what was promoted. */
export const reportPromotion = (
  { gitlab }: { readonly gitlab: Pick<GitLab, 'setStatus'> },
  deployment: Deployment,
): Promise<void> =>
  gitlab.setStatus(deployment.project, deployment.commit, {
    state: deployment.undone ? 'failed' : 'success',
    ref: deployment.branch,
    description: outcomeOf(deployment, true, undefined),
    name: statusOf(deployment),
  });

/**
 * Posts what came of the rollout on the commit, and in the merge request's note.
 * @param start what was said of its Pod, where that one did not start
 */
export async function reportRollout(
  context: Context,
  deployment: Deployment,
  succeeded: boolean,
  build: string,
  key: string,
  start?: PodWords,
): Promise<void> {
  const { project, commit, environment, undone } = deployment;
  await context.gitlab.setStatus(project, commit, {
    state: succeeded && !undone ? 'success' : 'failed',
    ref: deployment.branch,
    targetUrl: build,
    description: outcomeOf(deployment, succeeded, start),
  });
  // Where the build that undid it was killed before it told: without the Pod's words, which went with it.
  if (undone) await tellUndone(context, { ...deployment, undone }, build);
  const reading = await findCertificate(context, project, deployment.mergeRequest, key);
  if (!('certificate' in reading)) {
    context.say(`note of !${deployment.mergeRequest} left as it is: ${reading.fault}`);
    return;
  }
  const certificate: Certificate = reading.certificate;
  const rollout = { commit, environment, build };
  const progress: Progress = undone
    ? { state: 'undone', ...rollout, why: undone.why }
    : succeeded
      ? { state: 'deployed', ...rollout }
      : { state: 'rollout failed', ...rollout, ...(start ? { start } : {}) };
  await putNote(context, certificate, progress, key);
}
