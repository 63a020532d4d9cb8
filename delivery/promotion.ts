import { isDeepStrictEqual } from 'node:util';
import { type ModuleState, type Release, stateOf, type TakenBack } from '../catalog/ledger';
import { exitCode, Failure } from '../clients/failure';
import type { GitLab } from '../clients/gitlab';
import {
  isWithin,
  openMerged,
  type RecordRequest,
  type Relation,
  ranBefore,
  recordRelease,
  relationTo,
  released,
  settled,
  whyNotCovered,
} from './deploy';
import { repositoryOf } from './image';
import { currentLedger, type LedgerPlace, proposeChanges, short } from './ledger';
import { marker, type NoteReading, readNote } from './note';
import { COMMIT } from './releases';
import { whyOtherImage } from './state';
import type { Context } from './verify';

// A release of one environment into the ledger of another: a deploy whose commit that ledger names, and no hook.
// docs/decisions/0024 says why.

/** Main branch of modules. */
const BRANCH = 'main';

/** The environment that tested a release, and that it runs in. */
export interface Origin extends LedgerPlace {
  /** `host[:port][/prefix]` of its registry. */
  readonly registry: string;
  /** What it signs certificates with. */
  readonly key: string;
}

export interface PromotionRequest extends LedgerPlace {
  readonly module: string;
  /** Path of the module's project, which is the same for both. */
  readonly project: string;
  readonly from: Origin;
  /** `host[:port][/prefix]` of the registry that the image comes into. */
  readonly registry: string;
  /** Commit that must serve where it comes from, or its beginning. @default whatever serves there */
  readonly commit?: string;
  /** Also where the environment has a newer one, took this one back, or holds another. */
  readonly force: boolean;
  /** Whether the module's data is migrated for a release. */
  readonly migrates: boolean;
}

/** What is proved of a release, and how it relates to others of its module. */
export interface Proof {
  /** Tag of the tested image: retention knows its merge request by it. */
  readonly tag: string;
  readonly relationTo: (current: Release | undefined) => Promise<Relation>;
  /** Whether it is what was taken back, or in its history. */
  readonly isWithin: (undone: TakenBack) => Promise<boolean>;
}

/** What promotion asks of the world besides the ledgers. */
export interface Promoting {
  /** @throws Failure for a release that no certificate covers */
  readonly prove: (wanted: Release) => Promise<Proof>;
  /** Brings the image into the other registry, where it stays until {@link Promoting.keep} says by what it may go. */
  readonly copy: (digest: string, tag: string) => Promise<unknown>;
  /** Gives the image there the tag by which retention knows when it may go: a ledger names it now. */
  readonly keep: (digest: string, tag: string) => Promise<unknown>;
  /** Asked before anything is changed, with what would run, and what does. What it throws ends it. */
  readonly before?: (release: Release, current: Release | undefined) => Promise<void>;
}

export interface Promoted {
  readonly release: Release;
  /** What ran before; absent where nothing did. */
  readonly from?: Release;
  /** Whether the ledger was changed; it may have been so already. */
  readonly written: boolean;
  /** The merge request on the ledger that proposes it, where one was asked for and there is something to propose. */
  readonly proposed?: number;
  /** What undid it before, where that was done: what is left is to roll out what the ledger says. */
  readonly undone?: TakenBack;
}

const input = (what: string, remedy: string): Failure => new Failure(exitCode.input, what, remedy);

/**
 * The release that serves in an environment, as far as it may go further.
 * @throws Failure 2 where there is none or it is held, and for another commit than the wanted one
 */
async function servingIn(
  gitlab: Pick<GitLab, 'file'>,
  { module, from, commit }: PromotionRequest,
): Promise<Release> {
  const { environment } = from;
  const list = `See \`switchyard releases ${environment} ${module}\`.`;
  const { release, undone } = stateOf((await currentLedger(gitlab, from)).ledger, module);
  if (commit !== undefined && !COMMIT.test(commit))
    throw input(`--commit: "${commit}" is no commit.`, `Give 7 to 40 of its hex digits. ${list}`);
  if (!release) throw input(`${module} has no release in ${environment}.`, list);
  const serves = short(release.commit);
  if (commit !== undefined && !release.commit.startsWith(commit))
    throw input(
      `--commit: ${commit} ${undone?.commit.startsWith(commit) ? `was ${undone.how} in ${environment}` : `does not serve in ${environment}`}: ${serves} does.`,
      list,
    );
  if (release.hold)
    throw input(
      `${module} ${serves} is held in ${environment}.`,
      `\`switchyard rollback ${environment} ${module} --to ${serves}\` lets it go.`,
    );
  const other = whyOtherImage(release.image.split('@')[0] ?? '', from.registry, module);
  if (other)
    throw input(`${module} ${serves} cannot be promoted: ${other}.`, `Release it anew in ${environment}.`);
  return release;
}

/** @throws Failure 2 for a release that is not known to run: what ran is never undone by a deploy */
async function assertRan(
  gitlab: Pick<GitLab, 'statuses'>,
  { module, project, from: { environment } }: PromotionRequest,
  { commit }: Release,
): Promise<void> {
  if (await ranBefore({ gitlab }, { module, project, commit, branch: BRANCH, environment })) return;
  throw input(
    `${module} ${short(commit)} is not known to run in ${environment}: its rollout goes on, or failed.`,
    "Wait for it, or look at the commit's status.",
  );
}

/** A certificate in a merge request's notes, whoever holds the token: it is signed by the environment that tested it. */
async function certificateIn(
  gitlab: Pick<GitLab, 'notes'>,
  project: string,
  { mergeRequest, image }: Release,
  key: string,
): Promise<NoteReading> {
  const marked = await gitlab.notes(
    project,
    mergeRequest,
    ({ system, body }) => !system && body.startsWith(marker),
  );
  const readings = marked.map(({ body }) => readNote(body, key));
  return (
    readings.find(
      (reading) => 'certificate' in reading && image.endsWith(`@${reading.certificate.image?.digest}`),
    ) ??
    readings.find((reading) => 'certificate' in reading) ??
    readings.find((reading) => 'fault' in reading && reading.fault !== 'no certificate') ?? {
      fault: 'no certificate',
    }
  );
}

/**
 * Proves a release as a deploy proves a merge: its commit is on main, and the certificate of the merge request that brought it
 * covers its tree and names its image.
 * @param folder for the module's repository
 * @throws Failure 2 for what is not so
 */
export async function prove(
  context: Context,
  { module, project, from }: Pick<PromotionRequest, 'module' | 'project' | 'from'>,
  wanted: Release,
  folder: string,
): Promise<Proof> {
  const { commit } = wanted;
  const refuse = (why: string): never => {
    throw input(
      `${module} ${short(commit)} is not promoted: ${why}.`,
      'Only what was tested is: bring the change in through a merge request.',
    );
  };
  const { copy, found } = await openMerged(context, { project, folder, commit, branch: BRANCH }, refuse);
  if (found.iid !== wanted.mergeRequest)
    return refuse(
      `the ledger of ${from.environment} names !${wanted.mergeRequest}, and !${found.iid} brought it`,
    );
  const reading = await certificateIn(context.gitlab, project, wanted, from.key);
  const why = whyNotCovered(reading, {
    module,
    project,
    request: found,
    branch: BRANCH,
    tree: await copy.tree(commit),
    registry: from.registry,
  });
  if (why || !('certificate' in reading) || !reading.certificate.image)
    return refuse(why ?? 'it has no image');
  const { digest, tag } = reading.certificate.image;
  if (!wanted.image.endsWith(`@${digest}`))
    return refuse(`the ledger of ${from.environment} names another image than its certificate`);
  return {
    tag,
    relationTo: (current) => relationTo(copy, BRANCH, commit, current),
    isWithin: (undone) => isWithin(copy, commit, undone),
  };
}

/**
 * Why an environment does not take a release; undefined where it does.
 * @param undone what was taken back there, where the release is within it
 */
export function whyNotTaken(
  { module, environment }: Pick<PromotionRequest, 'module' | 'environment'>,
  { commit }: Pick<Release, 'commit'>,
  relation: Relation,
  current: Release | undefined,
  undone: TakenBack | undefined,
): { readonly what: string; readonly remedy: string } | undefined {
  const anyway = 'To have it all the same, say --force.';
  const live = current ? short(current.commit) : 'nothing';
  const its = `${module} ${short(commit)}`;
  if (relation === 'same') return undefined;
  if (undone)
    return {
      what:
        undone.commit === commit
          ? `${its} was ${undone.how} in ${environment}.`
          : `${its} is older than ${short(undone.commit)}, which was ${undone.how} in ${environment}.`,
      remedy: `\`switchyard releases ${environment} ${module}\` says why. ${anyway}`,
    };
  if (current?.hold) return { what: `${module} ${live} is held in ${environment}.`, remedy: anyway };
  if (relation === 'older')
    return { what: `${its} is older than ${live}, which is in ${environment}.`, remedy: anyway };
  if (relation === 'unrelated')
    return {
      what: `${module} ${live}, which is in ${environment}, is not part of this branch's history.`,
      remedy: anyway,
    };
  return undefined;
}

/** A release but for whether it is still to be migrated for, which another writer may have taken from it. */
function bare(release: Release | undefined): Omit<Release, 'migrate'> | undefined {
  if (!release) return undefined;
  const { migrate: _settled, ...rest } = release;
  return rest;
}

/** Whether a commit that is asked for is in the ledger already, and another serves where it came from. */
async function isLeft(
  gitlab: Pick<GitLab, 'file'>,
  { module, from, commit }: PromotionRequest,
  there: Release,
): Promise<boolean> {
  if (commit === undefined || !COMMIT.test(commit) || !there.commit.startsWith(commit)) return false;
  const serves = stateOf((await currentLedger(gitlab, from)).ledger, module).release;
  return serves?.commit !== there.commit;
}

/**
 * Puts the release that serves in one environment into the ledger of another, or proposes it there. Said again it goes on where
 * it was killed.
 * @param propose by a merge request on the ledger, instead of at once
 * @throws Failure 2 for what is not to be promoted; 1 where either ledger changed meanwhile
 */
export async function promote(
  gitlab: Pick<GitLab, 'file' | 'commitFile' | 'statuses' | 'openMergeRequests' | 'openMergeRequest'>,
  request: PromotionRequest,
  promoting: Promoting,
  propose = false,
  pause?: (attempt: number) => number,
): Promise<Promoted> {
  const { module, environment, from, force, migrates } = request;
  const there = stateOf((await currentLedger(gitlab, request)).ledger, module).release;
  // Whatever serves elsewhere by now: what is left of this one is its rollout.
  if (there && (await isLeft(gitlab, request, there))) {
    await promoting.before?.(there, there);
    return { release: there, from: there, written: false };
  }
  const wanted = await servingIn(gitlab, request);
  const proof = await promoting.prove(wanted);
  await assertRan(gitlab, request, wanted);
  const state = stateOf((await currentLedger(gitlab, request)).ledger, module);
  const { release: current } = state;
  const relation = await proof.relationTo(current);
  const undone = state.undone && (await proof.isWithin(state.undone)) ? state.undone : undefined;
  const again = !force && undone?.how === 'undone' && undone.commit === wanted.commit;
  const why = force || again ? undefined : whyNotTaken(request, wanted, relation, current, undone);
  if (why) throw input(why.what, why.remedy);

  const digest = wanted.image.slice(wanted.image.indexOf('@') + 1);
  // What runs is left as it is; for what is older the data is too new already.
  const ran = relation === 'older' || (undone?.commit === wanted.commit && undone.migration === 'ran');
  const migrate = relation === 'same' ? current?.migrate === true : migrates && !ran;
  const { commit, mergeRequest, build } = wanted;
  const release: Release = {
    image: `${repositoryOf(request.registry, module)}@${digest}`,
    ...{ commit, mergeRequest, build },
    ...(relation === 'same' && current?.hold ? { hold: true } : {}),
    ...(migrate ? { migrate: true } : {}),
  };
  const outcome = { release, ...(current ? { from: current } : {}) };
  if (again && undone) {
    if (current) await promoting.before?.(current, current);
    return { ...outcome, written: false, undone };
  }
  await promoting.before?.(release, current);
  await promoting.copy(digest, `release-${short(commit)}`);

  const record: RecordRequest = {
    module,
    environment,
    ledgerProject: request.ledgerProject,
    promotedFrom: from.environment,
  };
  const decide = async (now: ModuleState): Promise<'keep' | 'write'> => {
    const serves = stateOf((await currentLedger(gitlab, from)).ledger, module).release;
    if (!isDeepStrictEqual(bare(serves), bare(wanted)))
      throw new Failure(
        exitCode.red,
        `${module} changed in ${from.environment} meanwhile: ${serves ? short(serves.commit) : 'nothing'} is in the ledger now.`,
        'Nothing was changed; say it again.',
      );
    if (now.release?.image === release.image && now.release.commit === commit) return 'keep';
    if (!isDeepStrictEqual([bare(now.release), now.undone], [bare(state.release), state.undone]))
      throw new Failure(
        exitCode.red,
        `${module} changed in ${environment} meanwhile: ${now.release ? short(now.release.commit) : 'nothing'} is in the ledger now.`,
        'Nothing was changed; say it again.',
      );
    return 'write';
  };
  if (propose) {
    const proposed = await proposeChanges(
      gitlab,
      record,
      {
        module,
        branch: `promote-${module}-${short(commit)}`,
        description: descriptionOf(request, release, current),
      },
      async (now) => {
        if ((await decide(now)) === 'keep') return [];
        const settles = now.release?.migrate && now.release.commit !== commit;
        return [
          ...(settles && now.release ? [settled(record, now.release, now.undone)] : []),
          released(record, release),
        ];
      },
      pause,
    );
    if (proposed !== undefined) return { ...outcome, written: false, proposed };
  }
  const written = await recordRelease(
    { gitlab },
    record,
    release,
    async (now, taken) => ({
      do: await decide({ ...(now ? { release: now } : {}), ...(taken ? { undone: taken } : {}) }),
    }),
    pause,
  );
  await promoting.keep(digest, proof.tag);
  return { ...outcome, written: written === true };
}

/** What people read before they merge it. */
function descriptionOf(
  { module, project, environment, from }: PromotionRequest,
  { commit, image, mergeRequest }: Release,
  current: Release | undefined,
): string {
  return [
    `Promotes \`${module}\` from \`${from.environment}\`, where it runs, to \`${environment}\`.`,
    '',
    `- Commit: ${project}@${commit}`,
    `- Merge request: ${project}!${mergeRequest}`,
    `- Image: \`${image}\``,
    `- Before: ${current ? `${project}@${current.commit}` : 'nothing'}`,
    '',
    `Once it is merged, \`switchyard promote ${environment} ${module} --commit ${short(commit)}\` rolls it out.`,
    '',
  ].join('\n');
}
