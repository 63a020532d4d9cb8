// Facts of GitLab: app/models/merge_request.rb, app/services/merge_requests/mergeability/detailed_merge_status_service.rb
// and what is named below, above each group of tests.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Body, git, startTestGitLab, stopAll, type TestGitLab } from './support';

let gitlab: TestGitLab;
let scratch: string;

beforeAll(async () => {
  gitlab = await startTestGitLab();
  scratch = mkdtempSync(join(tmpdir(), 'gitlab-merge-'));
});
afterAll(async () => {
  await stopAll();
  rmSync(scratch, { recursive: true, force: true });
});

interface Opened {
  id: number;
  sha: string;
  merge(body: unknown, token?: string): Promise<[number, Body]>;
  view(): Promise<Body>;
  post(state: string, extra?: Record<string, unknown>, token?: string): Promise<[number, Body]>;
}

let serial = 0;

/** A project with an open merge request from `feature` (one changed file) to main. */
async function openMergeRequest(settings: Record<string, unknown> = {}): Promise<Opened> {
  serial += 1;
  const project = await gitlab.project(`module-${serial}`, settings);
  const sha = await gitlab.commitFile(project.id, 'feature', 'feature.txt', 'new\n');
  await gitlab.ok('POST', `/projects/${project.id}/merge_requests`, {
    title: 'Feature',
    source_branch: 'feature',
    target_branch: 'main',
  });
  const pair = async (
    method: string,
    path: string,
    body: unknown,
    token?: string,
  ): Promise<[number, Body]> => {
    const answer = await gitlab.call(method, `/projects/${project.id}/${path}`, body, token);
    return [answer.status, answer.body];
  };
  return {
    id: project.id,
    sha,
    merge: (body, token) => pair('PUT', 'merge_requests/1/merge', body, token),
    view: () => gitlab.ok('GET', `/projects/${project.id}/merge_requests/1`),
    post: (state, extra = {}, token) =>
      pair('POST', `statuses/${sha}`, { state, ref: 'feature', name: 'switchyard', ...extra }, token),
  };
}

describe('opening', () => {
  it('a second open merge request of the same branches is 409, a missing branch 400', async () => {
    const mr = await openMergeRequest();
    const again = await gitlab.call('POST', `/projects/${mr.id}/merge_requests`, {
      title: 'x',
      source_branch: 'feature',
      target_branch: 'main',
    });
    expect([again.status, again.body]).toEqual([
      409,
      { message: ['Another open merge request already exists for this source branch: !1'] },
    ]);
    expect(
      (
        await gitlab.call('POST', `/projects/${mr.id}/merge_requests`, {
          title: 'x',
          source_branch: 'nope',
          target_branch: 'main',
        })
      ).status,
    ).toBe(400);
  });

  it('shows head, refs of the diff and that it can be merged', async () => {
    const mr = await openMergeRequest();
    const main = (await gitlab.ok('GET', `/projects/${mr.id}/repository/branches/main`)).commit.id;
    expect(await mr.view()).toMatchObject({
      state: 'opened',
      sha: mr.sha,
      diff_refs: { base_sha: main, head_sha: mr.sha, start_sha: main },
      merge_status: 'can_be_merged',
      detailed_merge_status: 'mergeable',
      has_conflicts: false,
      head_pipeline: null,
      web_url: `${gitlab.url}/switchyard/module-${serial}/-/merge_requests/1`,
    });
  });
});

describe('merging', () => {
  it('needs the sha (400), the right one (409), and makes a merge commit of what was shown', async () => {
    const mr = await openMergeRequest();
    expect(await mr.merge({})).toEqual([
      400,
      { message: '400 Bad request - SHA must be provided when merging' },
    ]);
    expect(await mr.merge({ sha: '1'.repeat(40) })).toEqual([
      409,
      { message: `SHA does not match HEAD of source branch: ${mr.sha}` },
    ]);
    const before = (await gitlab.ok('GET', `/projects/${mr.id}/repository/branches/main`)).commit.id;
    const [status, merged] = await mr.merge({ sha: mr.sha, should_remove_source_branch: true });
    expect([status, merged.state]).toEqual([200, 'merged']);
    const commit = await gitlab.ok('GET', `/projects/${mr.id}/repository/commits/main`);
    expect(commit).toMatchObject({ id: merged.merge_commit_sha, parent_ids: [before, mr.sha] });
    expect((await gitlab.call('GET', `/projects/${mr.id}/repository/branches/feature`)).status).toBe(404);
    expect(
      await gitlab.ok('GET', `/projects/${mr.id}/repository/commits/${commit.id}/merge_requests`),
    ).toMatchObject([{ iid: 1 }]);
    expect(await mr.merge({ sha: mr.sha })).toEqual([405, { message: '405 Method Not Allowed' }]);
  });

  it('401 for who may not merge into the target branch, 404 for no such merge request', async () => {
    const mr = await openMergeRequest();
    const dev = await gitlab.user(`dev-${serial}`, mr.id, 30);
    expect(await mr.merge({ sha: mr.sha }, dev.token)).toEqual([401, { message: '401 Unauthorized' }]);
    expect(
      (await gitlab.call('PUT', `/projects/${mr.id}/merge_requests/9/merge`, { sha: mr.sha })).status,
    ).toBe(404);
  });

  it('405 for a draft', async () => {
    const mr = await openMergeRequest();
    await gitlab.ok('PUT', `/projects/${mr.id}/merge_requests/1`, { title: 'Draft: Feature' });
    expect((await mr.view()).detailed_merge_status).toBe('draft_status');
    expect((await mr.merge({ sha: mr.sha }))[0]).toBe(405);
  });

  it('422 for a conflict, which also shows in the merge request', async () => {
    const mr = await openMergeRequest();
    await gitlab.commitFile(mr.id, 'main', 'feature.txt', 'other\n');
    expect(await mr.view()).toMatchObject({
      has_conflicts: true,
      merge_status: 'cannot_be_merged',
      detailed_merge_status: 'conflict',
    });
    expect(await mr.merge({ sha: mr.sha })).toEqual([422, { message: 'Branch cannot be merged' }]);
    expect((await gitlab.call('GET', `/projects/${mr.id}/merge_requests/1/merge_ref`)).status).toBe(400);
  });

  it('a linear history asks for a rebase once main has moved; fast-forward makes no merge commit', async () => {
    const mr = await openMergeRequest({ merge_method: 'ff' });
    await gitlab.commitFile(mr.id, 'main', 'else.txt', 'x\n');
    expect((await mr.view()).detailed_merge_status).toBe('need_rebase');
    expect((await mr.merge({ sha: mr.sha }))[0]).toBe(422);
    const fresh = await openMergeRequest({ merge_method: 'ff' });
    expect((await fresh.merge({ sha: fresh.sha }))[1]).toMatchObject({
      state: 'merged',
      merge_commit_sha: null,
    });
    expect((await gitlab.ok('GET', `/projects/${fresh.id}/repository/branches/main`)).commit.id).toBe(
      fresh.sha,
    );
  });

  it('squashes into one commit', async () => {
    const mr = await openMergeRequest({ squash_option: 'always' });
    await gitlab.commitFile(mr.id, 'feature', 'second.txt', '2\n');
    const { sha } = await mr.view();
    const [status, merged] = await mr.merge({ sha, squash_commit_message: 'All in one' });
    expect([status, merged.squash_commit_sha]).toEqual([200, expect.any(String)]);
    const commit = await gitlab.ok('GET', `/projects/${mr.id}/repository/commits/main`);
    expect(commit.parent_ids[1]).toBe(merged.squash_commit_sha);
    expect(
      (await gitlab.ok('GET', `/projects/${mr.id}/repository/commits/${merged.squash_commit_sha}`)).title,
    ).toBe('All in one');
  });
});

describe('pipelines must succeed', () => {
  it('blocks without any pipeline, while running and after a failure, and lets through on success', async () => {
    const mr = await openMergeRequest({ only_allow_merge_if_pipeline_succeeds: true });
    expect((await mr.view()).detailed_merge_status).toBe('ci_must_pass');
    expect((await mr.merge({ sha: mr.sha }))[0]).toBe(405);
    await mr.post('running');
    expect((await mr.view()).detailed_merge_status).toBe('ci_still_running');
    expect((await mr.merge({ sha: mr.sha, merge_when_pipeline_succeeds: true }))[0]).toBe(405);
    await mr.post('failed');
    expect((await mr.view()).detailed_merge_status).toBe('ci_must_pass');
    await mr.post('success');
    expect(await mr.view()).toMatchObject({
      detailed_merge_status: 'mergeable',
      head_pipeline: { status: 'success', source: 'external', sha: mr.sha, ref: 'feature' },
    });
    expect((await mr.merge({ sha: mr.sha }))[0]).toBe(200);
  });

  it('a new commit needs a new pipeline', async () => {
    const mr = await openMergeRequest({ only_allow_merge_if_pipeline_succeeds: true });
    await mr.post('success');
    const next = await gitlab.commitFile(mr.id, 'feature', 'more.txt', 'x\n');
    expect(await mr.view()).toMatchObject({
      sha: next,
      head_pipeline: null,
      detailed_merge_status: 'ci_must_pass',
    });
  });
});

describe('commit statuses', () => {
  it('join the newest pipeline of commit and branch; another branch gets its own', async () => {
    const mr = await openMergeRequest();
    const [, first] = await mr.post('pending');
    const [, second] = await mr.post('running', { name: 'lint' });
    const [, other] = await mr.post('success', { ref: 'main' });
    expect(second.pipeline_id).toBe(first.pipeline_id);
    expect(other.pipeline_id).not.toBe(first.pipeline_id);
    expect(await gitlab.ok('GET', `/projects/${mr.id}/pipelines?ref=feature`)).toMatchObject([
      { id: first.pipeline_id, status: 'running' },
    ]);
  });

  // Source: app/models/generic_commit_status.rb, validates :target_url, addressable_url: true, length: { maximum: 255 }.
  it('lead to an address of http or https with at most 255 characters', async () => {
    const mr = await openMergeRequest();
    const start = 'http://ci.example/';
    const address = start + 'x'.repeat(255 - start.length);
    expect(await mr.post('running', { target_url: `${address}x` })).toEqual([
      400,
      { message: { target_url: ['is too long (maximum is 255 characters)'] } },
    ]);
    expect((await mr.post('running', { target_url: address }))[1]).toMatchObject({ target_url: address });
    expect((await mr.post('success', { target_url: 'ftp://ci.example/1' }))[0]).toBe(400);
  });

  it('go on from their last state and refuse what their state machine refuses', async () => {
    const mr = await openMergeRequest();
    const [, pending] = await mr.post('pending');
    expect((await mr.post('pending'))[0]).toBe(400);
    expect((await mr.post('running', { target_url: 'http://ci.example/1' }))[1]).toMatchObject({
      id: pending.id,
      status: 'running',
      target_url: 'http://ci.example/1',
    });
    expect(await mr.post('running')).toEqual([
      400,
      {
        message:
          'Cannot transition status via :run from :running (Reason(s): Status cannot transition via "run")',
      },
    ]);
    expect((await mr.post('success'))[1]).toMatchObject({
      id: pending.id,
      status: 'success',
      finished_at: expect.any(String),
    });
  });

  it('after the end, or from another user, the same name is a retry and only the newest counts', async () => {
    const mr = await openMergeRequest();
    const [, first] = await mr.post('failed');
    const [, second] = await mr.post('success');
    expect(second.id).not.toBe(first.id);
    const other = await gitlab.user(`bot-${serial}`, mr.id, 40);
    const [, third] = await mr.post('running', {}, other.token);
    const list = (query: string): Promise<Body> =>
      gitlab.ok('GET', `/projects/${mr.id}/repository/commits/${mr.sha}/statuses${query}`);
    expect((await list('')).map((row: Body) => row.id)).toEqual([third.id]);
    expect((await list('?all=true')).map((row: Body) => row.id)).toEqual([first.id, second.id, third.id]);
    expect((await mr.view()).head_pipeline.status).toBe('running');
  });

  it('need a known commit, a state, and the right to update a protected branch', async () => {
    const mr = await openMergeRequest();
    const dev = await gitlab.user(`dev-${serial}`, mr.id, 30);
    const at = (sha: string): string => `/projects/${mr.id}/statuses/${sha}`;
    expect((await gitlab.call('POST', at('0'.repeat(40)), { state: 'success', ref: 'main' })).body).toEqual({
      message: '404 Commit Not Found',
    });
    expect((await gitlab.call('POST', at(mr.sha), { ref: 'feature' })).body).toEqual({
      error: 'state is missing',
    });
    expect((await gitlab.call('POST', at(mr.sha), { state: 'error' })).body).toEqual({
      error: 'state does not have a valid value',
    });
    expect((await mr.post('success', { ref: 'main' }, dev.token))[0]).toBe(403);
    expect((await mr.post('success', {}, dev.token))[0]).toBe(201);
  });

  it('many at once all arrive, in one pipeline', async () => {
    const mr = await openMergeRequest();
    const answers = await Promise.all(
      ['a', 'b', 'c', 'd', 'e', 'f'].map((name) => mr.post('success', { name })),
    );
    expect(answers.map(([status]) => status)).toEqual([201, 201, 201, 201, 201, 201]);
    expect(new Set(answers.map(([, body]) => body.pipeline_id)).size).toBe(1);
  });
});

it('who put a label on or took it off is told, oldest first, as long as the label is there', async () => {
  const mr = await openMergeRequest();
  const person = await gitlab.user(`labels-${serial}`, mr.id, 30);
  const label = await gitlab.ok('POST', `/projects/${mr.id}/labels`, { name: 'a::first', color: '#d9534f' });
  const path = `/projects/${mr.id}/merge_requests/1`;
  const events = `${path}/resource_label_events`;
  expect(await gitlab.ok('GET', events)).toEqual([]);
  await gitlab.ok('PUT', path, { add_labels: 'a::first' }, person.token);
  // Put on once more it is no event.
  await gitlab.ok('PUT', path, { add_labels: 'a::first' });
  await gitlab.ok('PUT', path, { remove_labels: 'a::first' });
  expect(await gitlab.ok('GET', events)).toMatchObject([
    {
      action: 'add',
      user: { id: person.id, username: `labels-${serial}` },
      label: { id: label.id, name: 'a::first' },
      resource_type: 'MergeRequest',
    },
    { action: 'remove', user: { username: 'root' } },
  ]);
  await gitlab.ok('DELETE', `/projects/${mr.id}/labels/${label.id}`);
  expect(await gitlab.ok('GET', events)).toMatchObject([
    { action: 'add', label: null },
    { action: 'remove', label: null },
  ]);
});

describe('notes', () => {
  it('a note that is written or edited is a change of its merge request', async () => {
    const mr = await openMergeRequest();
    const notes = `/projects/${mr.id}/merge_requests/1/notes`;
    const opened = (await mr.view()).updated_at;
    const { id } = await gitlab.ok('POST', notes, { body: 'first' });
    const written = (await mr.view()).updated_at;
    expect(Date.parse(written)).toBeGreaterThan(Date.parse(opened));
    await gitlab.ok('PUT', `${notes}/${id}`, { body: 'second' });
    expect(Date.parse((await mr.view()).updated_at)).toBeGreaterThan(Date.parse(written));
  });

  it('are made, edited in place by their author, refused to others, and limited in length', async () => {
    const mr = await openMergeRequest();
    const author = await gitlab.user(`author-${serial}`, mr.id, 30);
    const other = await gitlab.user(`other-${serial}`, mr.id, 30);
    const notes = `/projects/${mr.id}/merge_requests/1/notes`;
    const note = await gitlab.ok('POST', notes, { body: 'first' }, author.token);
    expect((await gitlab.call('PUT', `${notes}/${note.id}`, { body: 'mine now' }, other.token)).status).toBe(
      403,
    );
    expect(await gitlab.ok('PUT', `${notes}/${note.id}`, { body: 'second' }, author.token)).toMatchObject({
      id: note.id,
      body: 'second',
    });
    expect(await gitlab.ok('GET', notes)).toMatchObject([
      { id: note.id, body: 'second', system: false, author: { id: author.id } },
    ]);
    expect((await gitlab.call('POST', notes, { body: 'x'.repeat(1_000_001) })).status).toBe(400);
    expect((await gitlab.call('POST', notes, { body: ' ' })).body).toEqual({ error: 'body is empty' });
    expect((await gitlab.call('DELETE', `${notes}/${note.id}`, undefined, author.token)).status).toBe(204);
  });
});

// Sources: app/models/merge_request.rb (merge_status, in_locked_state), app/models/commit_status.rb,
// mergeability/detailed_merge_status_service.rb, mergeability_check_service.rb, lib/api/merge_requests.rb.
describe('what GitLab does in the background', () => {
  const NEVER = 3_600_000;
  const jobs = { prepare: 0, check: 0, rebase: 0, pipeline: 0, merge: 0 };
  let busy: TestGitLab;
  beforeAll(async () => {
    busy = await startTestGitLab({ background: jobs });
  });
  afterEach(() => Object.assign(jobs, { prepare: 0, check: 0, rebase: 0, pipeline: 0, merge: 0 }));

  const open = async (settings: Record<string, unknown> = {}) => {
    serial += 1;
    const { id } = await busy.project(`busy-${serial}`, settings);
    const sha = await busy.commitFile(id, 'feature', 'feature.txt', 'new\n');
    const path = `/projects/${id}/merge_requests`;
    const branches = { source_branch: 'feature', target_branch: 'main' };
    const opened = await busy.ok('POST', path, { title: 'Feature', ...branches });
    return {
      id,
      sha,
      path,
      opened,
      status: async (): Promise<string> => (await busy.ok('GET', `${path}/1`)).detailed_merge_status,
      merge: () => busy.call('PUT', `${path}/1/merge`, { sha }),
    };
  };
  const until = async (holds: () => Promise<boolean>): Promise<void> => {
    while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 10));
  };

  it('a new merge request is prepared first; showing it starts the check, a list does not', async () => {
    jobs.prepare = NEVER;
    jobs.check = NEVER;
    const mr = await open();
    expect(mr.opened).toMatchObject({ detailed_merge_status: 'preparing', prepared_at: null });
    expect((await mr.merge()).status).toBe(422);
    jobs.prepare = 0;
    expect((await busy.ok('GET', mr.path))[0]).toMatchObject({
      detailed_merge_status: 'unchecked',
      merge_status: 'unchecked',
    });
    expect(await busy.ok('GET', `${mr.path}/1`)).toMatchObject({
      detailed_merge_status: 'checking',
      merge_status: 'checking',
    });
    jobs.check = 0;
    expect(await mr.status()).toBe('mergeable');
  });

  it('a merge meets a check that runs: 422; one that nobody started it makes itself', async () => {
    const mr = await open();
    jobs.check = NEVER;
    await busy.commitFile(mr.id, 'main', 'else.txt', 'x\n');
    expect(await mr.status()).toBe('checking');
    expect(await mr.merge()).toMatchObject({ status: 422, body: { message: 'Branch cannot be merged' } });
    jobs.check = 0;
    expect((await mr.merge()).status).toBe(200);
    const other = await open();
    jobs.check = NEVER;
    await busy.commitFile(other.id, 'main', 'else.txt', 'x\n');
    expect((await other.merge()).status).toBe(200);
  });

  it('a posted status is the pipeline’s a while later', async () => {
    const mr = await open({ only_allow_merge_if_pipeline_succeeds: true });
    jobs.pipeline = NEVER;
    const post = { state: 'success', ref: 'feature', name: 'switchyard' };
    await busy.ok('POST', `/projects/${mr.id}/statuses/${mr.sha}`, post);
    expect(await mr.status()).toBe('ci_still_running');
    expect((await mr.merge()).status).toBe(405);
    jobs.pipeline = 0;
    await until(async () => (await mr.status()) === 'mergeable');
    expect((await mr.merge()).status).toBe(200);
  });

  it('a rebase puts the commits on the target, with their authors, or leaves them and says why', async () => {
    const mr = await open({ merge_method: 'ff' });
    const rebase = (token?: string) => busy.call('PUT', `${mr.path}/1/rebase`, undefined, token);
    const base = await busy.commitFile(mr.id, 'main', 'else.txt', 'x\n');
    expect(await mr.status()).toBe('need_rebase');
    jobs.rebase = NEVER;
    expect(await rebase()).toMatchObject({ status: 202, body: { rebase_in_progress: true } });
    expect((await rebase()).status).toBe(409);
    jobs.rebase = 0;
    await until(async () => (await mr.status()) === 'mergeable');
    const { sha } = await busy.ok('GET', `${mr.path}/1`);
    const commit = await busy.ok('GET', `/projects/${mr.id}/repository/commits/${sha}`);
    expect(commit).toMatchObject({ parent_ids: [base], title: 'Change feature.txt' });
    await busy.commitFile(mr.id, 'main', 'feature.txt', 'other\n');
    expect(await rebase()).toMatchObject({ status: 202 });
    const query = 'include_rebase_in_progress=true';
    expect(await busy.ok('GET', `${mr.path}/1?${query}`)).toMatchObject({
      sha,
      rebase_in_progress: false,
      merge_error: expect.stringContaining('Rebase failed'),
    });
    const reporter = await busy.user(`reporter-${serial}`, mr.id, 20);
    expect((await rebase(reporter.token)).status).toBe(403);
  });

  it('while it is merged it is locked, and git has the merge already', async () => {
    const mr = await open();
    jobs.merge = NEVER;
    const merged = mr.merge();
    const head = async (): Promise<Body> =>
      (await busy.ok('GET', `/projects/${mr.id}/repository/branches/main`)).commit;
    await until(async () => (await head()).parent_ids.length === 2);
    const { id } = await head();
    expect(await busy.ok('GET', `/projects/${mr.id}/repository/commits/${id}/merge_requests`)).toMatchObject([
      { iid: 1, state: 'locked', merge_commit_sha: id },
    ]);
    jobs.merge = 0;
    expect(await merged).toMatchObject({ status: 200, body: { state: 'merged' } });
  });
});

// Sources: PipelinesForMergeRequestFinder#sort, Ci::CreateCommitStatusService#first_matching_pipeline; of Auto DevOps:
// lib/gitlab/ci/project_config/auto_devops.rb, lib/gitlab/ci/templates/Auto-DevOps.gitlab-ci.yml.
describe('a project with a file for pipelines of its own', () => {
  const withFile = async (text: string, settings: Record<string, unknown> = {}, path = '.gitlab-ci.yml') => {
    serial += 1;
    const { id } = await gitlab.project(`ci-${serial}`, {
      only_allow_merge_if_pipeline_succeeds: true,
      ...settings,
    });
    const sha = await gitlab.commitFile(id, 'feature', path, text);
    const branches = { source_branch: 'feature', target_branch: 'main' };
    await gitlab.ok('POST', `/projects/${id}/merge_requests`, { title: 'Feature', ...branches });
    await gitlab.ok('POST', `/projects/${id}/statuses/${sha}`, {
      state: 'success',
      ref: 'feature',
      name: 'switchyard',
    });
    return gitlab.ok('GET', `/projects/${id}/merge_requests/1`);
  };

  it('has our status join the pipeline of the push, which waits for its own jobs', async () => {
    expect(await withFile('job: { script: make }\n')).toMatchObject({
      detailed_merge_status: 'ci_still_running',
      head_pipeline: { source: 'push', status: 'running' },
    });
  });

  it('is judged by the pipeline of the merge request, where there is one, and not by the one with our status', async () => {
    const rules = 'workflow: { rules: [{ if: $CI_PIPELINE_SOURCE == "merge_request_event" }] }\n';
    expect(await withFile(rules)).toMatchObject({
      detailed_merge_status: 'ci_still_running',
      head_pipeline: { source: 'merge_request_event', status: 'pending' },
    });
  });

  it('has one of Auto DevOps without that file, which is on by default and goes by a Dockerfile', async () => {
    const docker = 'FROM scratch\n';
    expect(await withFile(docker, {}, 'Dockerfile')).toMatchObject({
      detailed_merge_status: 'ci_still_running',
      head_pipeline: { source: 'push', status: 'running' },
    });
    expect(
      await withFile(docker, { ci_config_path: '.switchyard/gitlab-ci.yml' }, 'Dockerfile'),
    ).toMatchObject({
      head_pipeline: { source: 'push' },
    });
    for (const [settings, path] of [
      [{ auto_devops_enabled: false }, 'Dockerfile'],
      [{}, 'image/Dockerfile'],
    ] as const)
      expect(await withFile(docker, settings, path)).toMatchObject({
        detailed_merge_status: 'mergeable',
        head_pipeline: { source: 'external' },
      });
  });

  it('has none where the project looks for that file elsewhere', async () => {
    expect(await withFile('job: {}\n', { ci_config_path: '.switchyard/gitlab-ci.yml' })).toMatchObject({
      detailed_merge_status: 'mergeable',
      head_pipeline: { source: 'external' },
    });
  });
});

describe('closing', () => {
  it('closes, reopens, and a push that contains the head marks it merged', async () => {
    const mr = await openMergeRequest();
    const at = `/projects/${mr.id}/merge_requests/1`;
    expect(await gitlab.ok('PUT', at, { state_event: 'close' })).toMatchObject({
      state: 'closed',
      detailed_merge_status: 'not_open',
    });
    expect((await mr.merge({ sha: mr.sha }))[0]).toBe(405);
    expect(await gitlab.ok('PUT', at, { state_event: 'reopen' })).toMatchObject({ state: 'opened' });
    const clone = join(scratch, `clone-${serial}`);
    const remote = gitlab.remote(`switchyard/module-${serial}`, 'glpat-root-0123456789abcdefgh');
    await git(scratch, 'clone', '-q', remote, clone);
    // The heads that a pipeline fetches are there too.
    expect(
      (await git(clone, 'fetch', '-q', 'origin', 'refs/merge-requests/1/head', 'refs/merge-requests/1/merge'))
        .code,
    ).toBe(0);
    expect((await git(clone, 'push', '-q', 'origin', 'origin/feature:main')).code).toBe(0);
    expect((await mr.view()).state).toBe('merged');
  });
});
