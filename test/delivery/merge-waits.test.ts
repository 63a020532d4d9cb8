import { exitCode, Failure } from '../../clients/failure';
import type { GitLab } from '../../clients/gitlab';
import { GitLabError } from '../../clients/gitlab-api';
import type { Certificate } from '../../delivery/certificate';
import { type Context, merge } from '../../delivery/verify';
import { green, KEY } from './certificates';

// How long a merge waits for GitLab, and for which of its words: `detailed_merge_status` of a merge request that it
// refuses to merge. The pauses pass at once here, and are counted.

const paused: number[] = [];
jest.mock('node:timers/promises', () => ({
  ...jest.requireActual('node:timers/promises'),
  setTimeout: async (ms: number) => {
    paused.push(ms);
  },
}));

interface Said {
  readonly status: string;
  readonly code?: number;
  readonly pipeline?: { readonly id: number; readonly source: string };
  readonly state?: string;
}

/** A GitLab that refuses to merge `times` times with these words; the merge request is closed by then. */
function gitlab(said: Said, times: number) {
  let tries = 0;
  const notes: string[] = [];
  const request = () => ({
    id: 70,
    iid: green.mergeRequest,
    state: tries >= times ? 'closed' : 'opened',
    draft: false,
    sha: green.headSha,
    title: 'x',
    detailed_merge_status: said.status,
    head_pipeline: said.pipeline ?? null,
    source_branch: green.sourceBranch,
    target_branch: green.targetBranch,
    source_project_id: green.projectId,
    target_project_id: green.projectId,
  });
  const client = {
    mergeRequest: async () => request(),
    branchHead: async () => green.baseSha,
    merge: async () => {
      tries += 1;
      throw new GitLabError(said.code ?? 405, 'Method Not Allowed', 'GitLab: PUT merge answered 405.');
    },
    ownId: async () => 5,
    notes: async () => [],
    createNote: async (_project: string, _iid: number, body: string) => {
      notes.push(body.replaceAll('&#95;', '_'));
    },
    setStatus: async () => undefined,
  };
  const context: Context = {
    gitlab: client as unknown as GitLab,
    gitlabUrl: 'https://gitlab.example',
    token: 'token',
    say: () => undefined,
  };
  return { context, notes, tries: () => tries };
}

async function refused(context: Context, certificate: Certificate = green): Promise<Failure> {
  paused.length = 0;
  try {
    await merge(context, certificate, 'automatic', KEY, '/nowhere');
  } catch (error) {
    if (error instanceof Failure) return error;
    throw error;
  }
  throw new Error('merged');
}

/** By GitLab's own documentation of `detailed_merge_status` and `DetailedMergeStatusService#execute`. */
const PASSES = [
  'preparing',
  'unchecked',
  'checking',
  'ci_still_running',
  'ci_must_pass',
  'approvals_syncing',
  // It changed its mind between the refusal and our look.
  'mergeable',
];
const STAYS = [
  'blocked_status',
  'commits_status',
  'conflict',
  'discussions_not_resolved',
  'draft_status',
  'external_status_checks',
  'jira_association_missing',
  'locked_lfs_files',
  'locked_paths',
  'merge_request_blocked',
  'merge_time',
  'need_rebase',
  'not_approved',
  'not_open',
  'policies_denied',
  'requested_changes',
  'security_policy_violations',
  'status_checks_must_pass',
  'title_not_matching',
];

describe.each([405, 422])('a merge that GitLab refuses with %i', (code) => {
  test.each(PASSES)('is tried again while it says "%s"', async (status) => {
    const { context, tries } = gitlab({ status, code }, 4);
    // In the end somebody closes it: what it waited for is over.
    expect((await refused(context)).message).toContain('is closed');
    expect(tries()).toBe(4);
    expect(paused.slice(0, 4)).toEqual([500, 1000, 2000, 4000]);
  });

  test.each(STAYS)('is left at once where it says "%s": no waiting mends that', async (status) => {
    const { context, tries, notes } = gitlab({ status, code }, 9);
    await refused(context);
    expect([tries(), paused]).toEqual([1, []]);
    expect(notes).toHaveLength(1);
  });

  test.each(PASSES.filter((status) => status !== 'mergeable'))(
    'is left to people after five minutes of "%s", which the note tells',
    async (status) => {
      const { context, notes } = gitlab({ status, code }, Number.POSITIVE_INFINITY);
      const failure = await refused(context);
      expect(failure.code).toBe(exitCode.nothing);
      const minutes = paused.reduce((sum, ms) => sum + ms, 0) / 60_000;
      expect(minutes).toBeGreaterThan(4.9);
      expect(minutes).toBeLessThan(5.2);
      expect(notes).toEqual([
        expect.stringContaining(`GitLab still says "${status}" (${code}); merge it by hand once it may be`),
      ]);
    },
  );
});

test('a pipeline that GitLab judges by instead of ours is named in the note, and only there where it does', async () => {
  const pipeline = { id: 31, source: 'merge_request_event' };
  const note = async (said: Said) => {
    const { context, notes } = gitlab(said, Number.POSITIVE_INFINITY);
    await refused(context);
    return notes[0];
  };
  const named = 'of its pipeline 31 ("merge_request_event"), which a .gitlab-ci.yml made';
  for (const status of ['ci_must_pass', 'ci_still_running'])
    expect(await note({ status, pipeline })).toContain(named);
  expect(await note({ status: 'checking', pipeline })).not.toContain('pipeline 31');
  const ours = { id: 31, source: 'external' };
  expect(await note({ status: 'ci_must_pass', pipeline: ours })).not.toContain('pipeline 31');
});
