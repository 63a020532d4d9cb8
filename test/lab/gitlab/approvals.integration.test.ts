// Facts of GitLab: lib/api/merge_request_approvals.rb and what is named below, above each group of tests.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Gitlab } from '@gitbeaker/rest';
import { GitLab as DeliveryGitLab } from '../../../clients/gitlab';
import { git, ROOT_TOKEN, startReceiver, startTestGitLab, stopAll, type TestGitLab } from './support';

afterAll(stopAll);

const RULE = { name: 'Any approver', rule_type: 'any_approver', approvals_required: 1 };

async function mergeRequest(gitlab: TestGitLab, name: string) {
  const project = await gitlab.project(name);
  await gitlab.commitFile(project.id, 'change', 'a.txt', 'a');
  const base = `/projects/${project.id}`;
  const author = await gitlab.user(`author-of-${name}`, project.id, 30);
  const body = { source_branch: 'change', target_branch: 'main', title: 'A change' };
  const mr = await gitlab.ok('POST', `${base}/merge_requests`, body, author.token);
  return { project, base, author, mr, path: `${base}/merge_requests/${mr.iid}` };
}

test('without a licence rules and settings are forbidden, and nothing waits for approvals', async () => {
  const gitlab = await startTestGitLab();
  const { base, path, mr } = await mergeRequest(gitlab, 'free');
  expect((await gitlab.call('GET', `${base}/approvals`)).status).toBe(403);
  expect((await gitlab.call('POST', `${base}/approval_rules`, RULE)).status).toBe(403);
  expect(await gitlab.ok('GET', `${path}/approvals`)).toMatchObject({
    approved: true,
    approvals_required: 0,
  });
  expect((await gitlab.call('PUT', `${path}/merge`, { sha: mr.sha })).status).toBe(200);
});

describe('with Premium', () => {
  let gitlab: TestGitLab;
  beforeAll(async () => {
    gitlab = await startTestGitLab({ tier: 'premium' });
  });

  test('a merge is refused until enough others have approved', async () => {
    const { base, path, mr, author } = await mergeRequest(gitlab, 'gated');
    await gitlab.ok('POST', `${base}/approval_rules`, RULE);
    expect((await gitlab.call('PUT', `${path}/merge`, { sha: mr.sha })).status).toBe(405);
    expect(await gitlab.ok('GET', path)).toMatchObject({ detailed_merge_status: 'not_approved' });
    expect((await gitlab.call('POST', `${path}/approve`, {}, author.token)).status).toBe(401);
    expect((await gitlab.call('POST', `${path}/approve`, { sha: 'f'.repeat(40) })).status).toBe(409);
    await gitlab.ok('POST', `${path}/approve`, { sha: mr.sha });
    expect(await gitlab.ok('GET', `${path}/approvals`)).toMatchObject({
      approved: true,
      approvals_required: 1,
      approvals_left: 0,
      approved_by: [{ user: { username: 'root' } }],
    });
    expect((await gitlab.call('PUT', `${path}/merge`, { sha: mr.sha })).status).toBe(200);
  });

  test('a new commit takes approvals away, unless the project says that it does not', async () => {
    const { project, base, path } = await mergeRequest(gitlab, 'pushed');
    await gitlab.ok('POST', `${base}/approval_rules`, RULE);
    await gitlab.ok('POST', `${path}/approve`);
    await gitlab.commitFile(project.id, 'change', 'b.txt', 'b');
    expect(await gitlab.ok('GET', `${path}/approvals`)).toMatchObject({ approvals_left: 1 });
    await gitlab.ok('POST', `${base}/approvals`, { reset_approvals_on_push: false });
    await gitlab.ok('POST', `${path}/approve`);
    await gitlab.commitFile(project.id, 'change', 'c.txt', 'c');
    expect(await gitlab.ok('GET', `${path}/approvals`)).toMatchObject({ approvals_left: 0 });
    await gitlab.ok('POST', `${path}/unapprove`);
    expect(await gitlab.ok('GET', `${path}/approvals`)).toMatchObject({ approvals_left: 1 });
  });

  test('a rebase by GitLab leaves approvals standing, and is a push by whoever asked for it', async () => {
    const { project, base, path, mr } = await mergeRequest(gitlab, 'rebased');
    await gitlab.ok('POST', `${base}/approval_rules`, RULE);
    await gitlab.commitFile(project.id, 'main', 'main.txt', 'moved');
    const approver = await gitlab.user('approver-of-rebased', project.id, 30);
    await gitlab.ok('POST', `${path}/approve`, {}, approver.token);
    await gitlab.ok('PUT', `${path}/rebase`);
    let now = mr;
    while (now.sha === mr.sha) now = await gitlab.ok('GET', path);
    expect(await gitlab.ok('GET', `${path}/approvals`)).toMatchObject({
      approvals_left: 0,
      approved_by: [{ user: { username: 'approver-of-rebased' } }],
    });
    expect((await gitlab.ok('GET', `${base}/events?action=pushed`))[0]).toMatchObject({
      author_username: 'root',
      push_data: { action: 'pushed', ref: 'change', commit_from: mr.sha, commit_to: now.sha },
    });
  });

  test('rules can be read, changed and removed; what is not covered is refused by name', async () => {
    const { base } = await mergeRequest(gitlab, 'ruled');
    const rules = `${base}/approval_rules`;
    const { id } = await gitlab.ok('POST', rules, RULE);
    expect((await gitlab.call('POST', rules, RULE)).status).toBe(400);
    await gitlab.ok('PUT', `${rules}/${id}`, { approvals_required: 2 });
    expect(await gitlab.ok('GET', rules)).toMatchObject([{ id, name: RULE.name, approvals_required: 2 }]);
    expect(
      (await gitlab.call('PUT', `${rules}/${id}`, { approvals_required: 2, user_ids: [1] })).body.error,
    ).toBe('user_ids is not a parameter of this request');
    expect((await gitlab.call('DELETE', `${rules}/${id}`)).status).toBe(204);
    expect((await gitlab.call('GET', `${rules}/${id}`)).status).toBe(404);
  });
});

// Read in gitlabhq/gitlabhq: `lib/api/merge_request_approvals.rb`, `lib/api/entities/{merge_request_approvals,approvals}.rb`,
// `app/services/merge_requests/{approval,remove_approval,execute_approval_hooks}_service.rb`, `lib/api/merge_request_diffs.rb`.
describe('approvals on Free', () => {
  let gitlab: TestGitLab;
  beforeAll(async () => {
    gitlab = await startTestGitLab({ edition: 'community' });
  });

  test('have a person and a time, outlive a push, and each push is a version', async () => {
    const { project, base, path, mr, author } = await mergeRequest(gitlab, 'timed');
    const api = new Gitlab({ host: gitlab.url, token: ROOT_TOKEN });
    const from = Date.now();
    // Authors may, on Free.
    await gitlab.ok('POST', `${path}/approve`, {}, author.token);
    expect((await gitlab.call('POST', `${path}/approve`, {}, author.token)).status).toBe(401);
    const body = await gitlab.ok('GET', `${path}/approvals`);
    expect(Object.keys(body).sort()).toEqual([
      'approved',
      'approved_by',
      'user_can_approve',
      'user_has_approved',
    ]);
    expect(body).toMatchObject({ approved: true, user_has_approved: false, user_can_approve: true });
    const next = await gitlab.commitFile(project.id, 'change', 'b.txt', 'b');
    const [approval, ...others] = (await gitlab.ok('GET', `${path}/approvals`)).approved_by;
    expect(others).toEqual([]);
    expect(approval.user).toMatchObject({ id: author.id });
    expect(Date.parse(approval.approved_at)).toBeGreaterThanOrEqual(from);
    const versions = await api.MergeRequests.allDiffVersions(project.id, mr.iid);
    expect(versions).toMatchObject([
      { head_commit_sha: next, merge_request_id: mr.id, state: 'collected' },
      { head_commit_sha: mr.sha },
    ]);
    expect(Date.parse(String(versions[0]?.created_at))).toBeGreaterThan(Date.parse(approval.approved_at) - 1);
    expect((await gitlab.call('GET', `${base}/merge_requests/99/versions`)).status).toBe(404);
  });

  test('are told to hooks, given and taken back', async () => {
    const receiver = await startReceiver();
    const { base, path } = await mergeRequest(gitlab, 'hooked');
    await gitlab.ok('POST', `${base}/hooks`, {
      url: receiver.url,
      merge_requests_events: true,
      push_events: false,
    });
    await gitlab.ok('POST', `${path}/approve`);
    await gitlab.ok('POST', `${path}/unapprove`);
    await gitlab.hooksSent();
    expect(receiver.received.map(({ body }) => body.object_attributes.action)).toEqual([
      'approved',
      'unapproved',
    ]);
    await receiver.close();
  });
});

// `lib/api/entities/{event,push_event_payload}.rb`, `app/services/git/{base_hooks,process_ref_changes}_service.rb`,
// `app/services/push_event_payload_service.rb`, `lib/api/helpers/events_helpers.rb`.
describe('who did what', () => {
  let gitlab: TestGitLab;
  beforeAll(async () => {
    gitlab = await startTestGitLab();
  });

  test('pushes are events with their author, newest first', async () => {
    const { project, base } = await mergeRequest(gitlab, 'pushes');
    const author = await gitlab.user('pusher', project.id, 30);
    const before = (await gitlab.ok('GET', `${base}/repository/branches/change`)).commit.id;
    const commit = {
      branch: 'change',
      commit_message: 'B',
      actions: [{ action: 'create', file_path: 'b', content: 'b' }],
    };
    const { id } = await gitlab.ok('POST', `${base}/repository/commits`, commit, author.token);
    const api = new Gitlab({ host: gitlab.url, token: ROOT_TOKEN });
    const events = await api.Events.all({ projectId: project.id, action: 'pushed', sort: 'desc' });
    expect(events[0]).toMatchObject({
      author_id: author.id,
      action_name: 'pushed to',
      push_data: {
        action: 'pushed',
        ref_type: 'branch',
        ref: 'change',
        commit_from: before,
        commit_to: id,
        commit_count: 1,
        commit_title: 'B',
      },
    });
    expect(events[1]).toMatchObject({
      push_data: { action: 'created', commit_from: null, commit_to: before },
    });
    expect((await gitlab.call('GET', `${base}/events`)).status).toBe(400);
  });

  test('more than three branches at once are one event that names none', async () => {
    const { project, base } = await mergeRequest(gitlab, 'bulk');
    const folder = mkdtempSync(join(tmpdir(), 'bulk-'));
    const remote = gitlab.remote(project.path_with_namespace, ROOT_TOKEN);
    await git(folder, 'clone', '--quiet', remote, '.');
    const pushed = await git(
      folder,
      'push',
      'origin',
      ...['a', 'b', 'c', 'd'].map((name) => `HEAD:refs/heads/${name}`),
    );
    expect(pushed.code).toBe(0);
    rmSync(folder, { recursive: true, force: true });
    const [event] = await gitlab.ok('GET', `${base}/events?action=pushed&sort=desc`);
    expect(event.push_data).toMatchObject({ action: 'created', ref: null, commit_to: null, ref_count: 4 });
  });

  // `app/graphql/types/{merge_request_type,repositories/commit_type}.rb`: `committers`, `commits`, `author`.
  test('GraphQL names the people behind commits by their e-mail, and no other document is answered', async () => {
    const { project, mr, author } = await mergeRequest(gitlab, 'graph');
    const people = new DeliveryGitLab({ url: gitlab.url, token: ROOT_TOKEN });
    const ben = await gitlab.user('graph-ben', project.id, 30);
    const commit = {
      branch: 'change',
      commit_message: 'B',
      author_name: 'Ben',
      author_email: 'graph-ben@example.com',
      actions: [{ action: 'create', file_path: 'b', content: 'b' }],
    };
    await gitlab.ok('POST', `/projects/${project.id}/repository/commits`, commit);
    // Root wrote the first commit, and committed both.
    expect(await people.people(project.path_with_namespace, mr.iid)).toEqual(new Set([author.id, ben.id, 1]));
    const ask = (body: object) =>
      fetch(`${gitlab.url}/api/graphql`, {
        method: 'POST',
        headers: { 'private-token': ROOT_TOKEN, 'content-type': 'application/json' },
        body: JSON.stringify(body),
      }).then(async (response) => [response.status, await response.json()]);
    expect(await ask({ query: '{ currentUser { id } }', variables: { project: 'a', iid: '1' } })).toEqual([
      200,
      { errors: [{ message: 'this document is not covered by the stand-in' }] },
    ]);
  });

  // `MergeRequest#reload_diff_if_branch_changed`, and `MergeRequests::ReopenService`, which `UpdateService` lets a closed one be
  // retargeted before: whoever approved saw another difference.
  test('a merge request that gets another target, or is opened again, has a newer version of the same head', async () => {
    const { project, base, path, mr } = await mergeRequest(gitlab, 'retargeted');
    await gitlab.commitFile(project.id, 'stable', 'c.txt', 'c');
    const versions = async () =>
      (await gitlab.ok('GET', `${path}/versions`)) as { head_commit_sha: string }[];
    expect(await versions()).toHaveLength(1);
    await gitlab.ok('PUT', path, { title: 'Another title' });
    await gitlab.ok('PUT', path, { target_branch: 'main' });
    expect(await versions()).toHaveLength(1);
    await gitlab.ok('PUT', path, { target_branch: 'stable' });
    expect(await versions()).toHaveLength(2);
    await gitlab.ok('PUT', path, { state_event: 'close' });
    await gitlab.ok('PUT', path, { target_branch: 'main' });
    expect(await versions()).toHaveLength(2);
    await gitlab.ok('PUT', path, { state_event: 'reopen' });
    expect(new Set((await versions()).map((one) => one.head_commit_sha))).toEqual(new Set([mr.sha]));
    expect(await versions()).toHaveLength(3);
    expect(await gitlab.ok('GET', `${base}/merge_requests/${mr.iid}`)).toMatchObject({ state: 'opened' });
  });

  // `app/graphql/types/label_type.rb`, `Types::TimeType`; a label is known by its number (`resource_label_events.label_id`).
  test('GraphQL says when a label was changed last, and its events go by its name of now', async () => {
    const { project, mr, base } = await mergeRequest(gitlab, 'relabelled');
    const asks = new DeliveryGitLab({ url: gitlab.url, token: ROOT_TOKEN });
    const { id } = await gitlab.ok('POST', `${base}/labels`, { name: 'before', color: '#d9534f' });
    const path = `${base}/merge_requests/${mr.iid}`;
    await gitlab.ok('PUT', path, { add_labels: 'before' });
    const changed = async () => (await asks.labelChanges(project.path_with_namespace, mr.iid)).get(id) ?? 0;
    const made = await changed();
    expect(made % 1000).toBe(0);
    expect(Math.abs(Date.now() - made)).toBeLessThan(60_000);
    await new Promise((resolve) => setTimeout(resolve, 1001));
    const reporter = await gitlab.user('relabels', project.id, 20);
    await gitlab.ok('PUT', `${base}/labels/${id}`, { new_name: 'after' }, reporter.token);
    expect(await changed()).toBeGreaterThan(made);
    expect((await gitlab.ok('GET', path)).labels).toEqual(['after']);
    expect(await gitlab.ok('GET', `${path}/resource_label_events`)).toMatchObject([
      { action: 'add', label: { id, name: 'after' }, user: { username: 'root' } },
    ]);
  });

  // lib/api/protected_branches.rb, `MergeRequest#can_be_merged_by?`: by roles.
  test('who may merge into a branch goes by its protection, and without one by the role of a Maintainer', async () => {
    const { project, base, author } = await mergeRequest(gitlab, 'merges');
    const { id: maintainer } = await gitlab.user('maintainer-of-merges', project.id, 40);
    const asks = new DeliveryGitLab({ url: gitlab.url, token: ROOT_TOKEN });
    const path = project.path_with_namespace;
    const may = async (branch: string) => [
      await asks.mayMerge(path, branch, author.id),
      await asks.mayMerge(path, branch, maintainer),
    ];
    expect(await may('main')).toEqual([false, true]);
    expect(await may('nobody-protects-it')).toEqual([false, true]);
    for (const [level, expected] of [
      [30, [true, true]],
      [0, [false, false]],
    ] as const) {
      await gitlab.call('DELETE', `${base}/protected_branches/main`);
      await gitlab.ok('POST', `${base}/protected_branches`, { name: 'main', merge_access_level: level });
      expect(await may('main')).toEqual(expected);
    }
    const reader = await gitlab.user('no-member-of-merges', project.id, 20);
    expect(await asks.mayMerge(path, 'main', reader.id)).toBe(false);
  });

  test('everyone sees whether a user is a bot', async () => {
    const { author } = await mergeRequest(gitlab, 'bots');
    expect(await gitlab.ok('GET', `/users/${author.id}`, undefined, author.token)).toMatchObject({
      bot: false,
    });
  });
});
