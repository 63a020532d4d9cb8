import { STATUS_NAME } from '../../catalog/status';
import { exitCode } from '../../clients/failure';
import type { MergeRequest } from '../../clients/gitlab';
import type { Certificate } from '../certificate';
import { GOES_ON, isOpenState } from '../status';
import type { Context } from '../verify';
import type { Decided } from './decide';
import { decideByNames, Parents } from './names';
import { placeText } from './place';
import { readWorld } from './read';
import { type Gate, lookFor, placeOf, waitsForPeople, whereOf } from './turn';

// Whether what a build tests is still wanted. A build that tests what nobody waits for holds two agents and a test Pod.

/** Written by the pipeline when image and tests have ended, however they did. */
export const ENDED_FILE = '.switchyard/queue/ended';
/** Folder of the watch's own working copy: the build's is read meanwhile. */
export const COPY = '.switchyard/queue/copy';

/** Why a test is not wanted any more. */
export interface Useless {
  /** `again`: what is to be tested instead, its build finds out. `nothing`: its build has nothing more to do. */
  readonly code: typeof exitCode.again | typeof exitCode.nothing;
  readonly why: string;
}

/** Milliseconds between two looks at what GitLab lists. */
const PAUSE_MS = 5_000;
/** Milliseconds between two looks at the whole queue while that list is as it was: an approval, or another project, is not in it. */
const WHOLE_MS = 60_000;
/** Milliseconds between looks at a GitLab that does not answer. */
const AWAY_MS = 30_000;
/** Milliseconds after which the watch knows that the test has ended. */
const STEP_MS = 500;

function whyOver({ headSha }: Certificate, found: MergeRequest): Useless | undefined {
  const over = (why: string): Useless => ({ code: exitCode.nothing, why });
  if (found.state === 'merged') return over('merged by another build');
  if (found.state === 'closed') return over('the merge request is closed');
  return found.sha === headSha ? undefined : over('a newer commit has its own build');
}

/** Looks whether the tree of a certificate is still the one to be tested. */
export class QueueWatch {
  private readonly parents: Parents;
  private listed = '';
  private wholeAt = Number.NEGATIVE_INFINITY;

  /** @param gate where it is tested by the queue's word; absent for the first test of a head, which is of main as it was then */
  constructor(
    private readonly context: Context,
    private readonly certificate: Certificate,
    private readonly gate: Gate | undefined,
  ) {
    this.parents = new Parents(context.gitlab);
  }

  async look(): Promise<Useless | undefined> {
    const { gitlab } = this.context;
    const { project, mergeRequest: iid, targetBranch, ahead } = this.certificate;
    if (!this.gate) {
      const found = await gitlab.mergeRequest(project, iid);
      // A person may have merged it before its verdict: deploys go by the certificate that comes of this test.
      return found.state === 'merged' ? undefined : whyOver(this.certificate, found);
    }
    const open = await gitlab.openMergeRequests(project, targetBranch);
    const own = open.find((one) => one.iid === iid) ?? (await gitlab.mergeRequest(project, iid));
    const over = whyOver(this.certificate, own);
    if (over) return over;
    if (own.target_branch !== targetBranch)
      return { code: exitCode.again, why: `its target branch is ${own.target_branch} now` };
    const before = new Set(ahead?.requests.map(({ mergeRequest }) => mergeRequest));
    const listed = JSON.stringify([
      await gitlab.branchHead(project, targetBranch),
      // A note changes when a merge request did: of those before it, that one is red by now, or has a new place.
      ...open
        .map((one) => [
          one.iid,
          one.sha,
          one.draft,
          one.labels,
          before.has(one.iid) ? (one.updated_at ?? '') : '',
        ])
        .sort(([a], [b]) => Number(a) - Number(b)),
    ]);
    if (listed === this.listed && gitlab.time - this.wholeAt < WHOLE_MS) return undefined;
    const useless = await this.whole(this.gate, own);
    this.listed = listed;
    this.wholeAt = gitlab.time;
    return useless;
  }

  /** By names first: only what is not wanted by these is asked of git, which fetches. */
  private async whole(gate: Gate, found: MergeRequest): Promise<Useless | undefined> {
    const { context, certificate } = this;
    const seen = await readWorld(context.gitlab, whereOf(context, gate, found));
    const steps = await this.parents.of(gate.project, seen);
    if (!this.stops(decideByNames(seen, steps, context.gitlab.time, certificate))) return undefined;
    const look = await lookFor(context, gate, found, { testing: certificate });
    if (!this.stops(look)) return undefined;
    const place = placeOf(look, gate.mergeRequest);
    // Its author waits for the answer all the same.
    if (place?.state === 'held' && (await waitsForPeople(context, gate, found, certificate)))
      return undefined;
    return { code: exitCode.again, why: place ? placeText(place, look) : 'it does not queue any more' };
  }

  private stops({ actions }: Pick<Decided, 'actions'>): boolean {
    const { mergeRequest, build } = this.certificate;
    return actions.some(
      (action) => action.do === 'stop' && action.request.iid === mergeRequest && action.test === build,
    );
  }
}

/** Ends the status that a build announced, where nobody has posted another one since. */
export async function endStatus(
  { gitlab }: Context,
  { project, headSha, sourceBranch, build }: Certificate,
  { code, why }: Useless,
): Promise<void> {
  const newest = (await gitlab.statuses(project, headSha, sourceBranch, STATUS_NAME)).at(-1);
  if (!newest || !isOpenState(newest.status)) return;
  if (newest.target_url !== null && newest.target_url !== build) return;
  await gitlab.setStatus(project, headSha, {
    state: 'canceled',
    ref: sourceBranch,
    targetUrl: build,
    description: code === exitCode.again ? `${GOES_ON}${why}` : why,
  });
}

export interface Watching {
  readonly look: () => Promise<Useless | undefined>;
  /** Ends the status of what is not wanted. */
  readonly end: (useless: Useless) => Promise<void>;
  /** Whether image and tests have ended. */
  readonly ended: () => boolean;
  readonly say: (line: string) => void;
  readonly sleep: (milliseconds: number) => Promise<void>;
}

/**
 * Looks until the test has ended or is not wanted any more. What is wanted is not stopped by a GitLab that does not answer.
 * @returns why it is not wanted, after its status has ended
 */
export async function watchQueue({ look, end, ended, say, sleep }: Watching): Promise<Useless | undefined> {
  let told = '';
  /** Undefined also where the test ended first: whatever was asked for is left alone then. */
  const unlessEnded = async <T>(work: Promise<T>): Promise<T | undefined> => {
    const done = work.then((value) => ({ value }));
    for (;;) {
      const first = await Promise.race([done, sleep(STEP_MS)]);
      if (first) return first.value;
      if (!ended()) continue;
      done.catch(() => undefined);
      return undefined;
    }
  };
  while (!ended()) {
    let pause = PAUSE_MS;
    try {
      const useless = await unlessEnded(look());
      if (useless && !ended()) {
        await end(useless);
        return useless;
      }
    } catch (error) {
      const [line = ''] = (error as Error).message.split('\n');
      if (line !== told) say(`whether the test is still wanted cannot be told: ${line}`);
      told = line;
      pause = AWAY_MS;
    }
    for (let slept = 0; slept < pause && !ended(); slept += STEP_MS) await sleep(STEP_MS);
  }
  return undefined;
}
