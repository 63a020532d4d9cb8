// Facts of GitLab: app/services/web_hook_service.rb, web_hooks/log_execution_service.rb,
// app/models/concerns/web_hooks/auto_disabling.rb, app/models/hooks/active_hook_filter.rb, lib/gitlab/web_hooks.rb,
// lib/api/project_hooks.rb, lib/api/hooks/trigger_test.rb, app/services/test_hooks/project_service.rb.

import {
  type Body,
  type Receiver,
  startReceiver,
  startTestGitLab,
  stopAll,
  type TestGitLab,
} from './support';

let gitlab: TestGitLab;
let receiver: Receiver;

beforeAll(async () => {
  gitlab = await startTestGitLab();
  receiver = await startReceiver();
});
afterAll(async () => {
  await stopAll();
  await receiver.close();
});
beforeEach(() => {
  receiver.received.length = 0;
  receiver.status = 200;
});

let serial = 0;

async function hooked(events: Record<string, unknown>): Promise<{ project: Body; hook: Body; at: string }> {
  serial += 1;
  const project = await gitlab.project(`hooked-${serial}`);
  const hook = await gitlab.ok('POST', `/projects/${project.id}/hooks`, {
    url: receiver.url,
    token: 's3cret-of-the-hook',
    ...events,
  });
  return { project, hook, at: `/projects/${project.id}/hooks/${hook.id}` };
}

const kinds = (): string[] =>
  receiver.received.map(({ body }) => `${body.object_kind}:${body.object_attributes?.action ?? body.ref}`);

describe('deliveries', () => {
  it("a push hook carries GitLab's headers and payload", async () => {
    const { project } = await hooked({ push_events: true });
    const before = (await gitlab.ok('GET', `/projects/${project.id}/repository/branches/main`)).commit.id;
    const sha = await gitlab.commitFile(project.id, 'main', 'a.txt', 'a');
    await gitlab.hooksSent();
    expect(receiver.received).toHaveLength(1);
    const [{ headers, body }] = receiver.received as [Receiver['received'][number]];
    expect(headers).toMatchObject({
      'content-type': 'application/json',
      'x-gitlab-event': 'Push Hook',
      'x-gitlab-token': 's3cret-of-the-hook',
      'x-gitlab-instance': gitlab.url,
      'user-agent': expect.stringMatching(/^GitLab\/\d+\.\d+/),
    });
    for (const name of ['x-gitlab-event-uuid', 'x-gitlab-webhook-uuid', 'idempotency-key'])
      expect(headers[name]).toMatch(/^[0-9a-f-]{36}$/);
    expect(body).toMatchObject({
      object_kind: 'push',
      before,
      after: sha,
      checkout_sha: sha,
      ref: 'refs/heads/main',
      ref_protected: true,
      user_username: 'root',
      project_id: project.id,
      project: {
        path_with_namespace: `switchyard/hooked-${serial}`,
        git_http_url: `${gitlab.url}/switchyard/hooked-${serial}.git`,
        default_branch: 'main',
      },
      commits: [{ id: sha, added: ['a.txt'], modified: [], removed: [] }],
      total_commits_count: 1,
    });
  });

  it('a merge request is told from opening to merging, with oldrev when its commits change', async () => {
    const { project } = await hooked({ push_events: false, merge_requests_events: true });
    const first = await gitlab.commitFile(project.id, 'feature', 'f.txt', '1');
    await gitlab.ok('POST', `/projects/${project.id}/merge_requests`, {
      title: 'F',
      source_branch: 'feature',
      target_branch: 'main',
    });
    const second = await gitlab.commitFile(project.id, 'feature', 'f.txt', '2');
    await gitlab.ok('PUT', `/projects/${project.id}/merge_requests/1`, { description: 'why' });
    await gitlab.ok('PUT', `/projects/${project.id}/merge_requests/1/merge`, { sha: second });
    await gitlab.hooksSent();
    const told = receiver.received.map(({ headers, body }) => {
      const { action, oldrev, state, last_commit: last } = body.object_attributes;
      return [headers['x-gitlab-event'], action, oldrev, state, last.id];
    });
    // Deliveries run side by side, so only what arrives is promised, not in which order.
    expect(told).toHaveLength(4);
    expect(told).toEqual(
      expect.arrayContaining([
        ['Merge Request Hook', 'open', undefined, 'opened', first],
        ['Merge Request Hook', 'update', first, 'opened', second],
        ['Merge Request Hook', 'update', undefined, 'opened', second],
        ['Merge Request Hook', 'merge', undefined, 'merged', second],
      ]),
    );
    expect(receiver.received[0]?.body).toMatchObject({
      object_kind: 'merge_request',
      user: { username: 'root' },
      object_attributes: {
        iid: 1,
        source_branch: 'feature',
        target_branch: 'main',
        draft: false,
        work_in_progress: false,
        merge_status: expect.any(String),
        source: { http_url: `${gitlab.url}/switchyard/hooked-${serial}.git` },
        target: { path_with_namespace: `switchyard/hooked-${serial}` },
      },
    });
  });

  it('only asked-for events and branches are sent', async () => {
    const { project } = await hooked({ push_events: true, push_events_branch_filter: 'release/*' });
    await gitlab.commitFile(project.id, 'feature', 'f.txt', '1');
    await gitlab.commitFile(project.id, 'release/1', 'f.txt', '1');
    await gitlab.ok('POST', `/projects/${project.id}/repository/tags`, { tag_name: 'v1', ref: 'main' });
    await gitlab.hooksSent();
    expect(kinds()).toEqual(['push:refs/heads/release/1']);
  });

  it('tags, notes and pipelines are sent when asked for', async () => {
    const { project } = await hooked({
      push_events: false,
      tag_push_events: true,
      note_events: true,
      pipeline_events: true,
    });
    const sha = await gitlab.commitFile(project.id, 'feature', 'f.txt', '1');
    await gitlab.ok('POST', `/projects/${project.id}/merge_requests`, {
      title: 'F',
      source_branch: 'feature',
      target_branch: 'main',
    });
    await gitlab.ok('POST', `/projects/${project.id}/repository/tags`, { tag_name: 'v1', ref: 'main' });
    await gitlab.ok('POST', `/projects/${project.id}/merge_requests/1/notes`, { body: 'hello' });
    await gitlab.ok('POST', `/projects/${project.id}/statuses/${sha}`, { state: 'success', ref: 'feature' });
    await gitlab.hooksSent();
    expect(receiver.received.map(({ headers }) => headers['x-gitlab-event']).sort()).toEqual([
      'Note Hook',
      'Pipeline Hook',
      'Tag Push Hook',
    ]);
  });
});

describe('the hook itself', () => {
  it('never shows its token, and forgets it when the URL changes', async () => {
    const { hook, at, project } = await hooked({});
    expect(
      JSON.stringify([
        hook,
        await gitlab.ok('GET', at),
        await gitlab.ok('GET', `/projects/${project.id}/hooks`),
      ]),
    ).not.toContain('s3cret');
    expect(await gitlab.ok('PUT', at, { url: `${receiver.url}/moved` })).toMatchObject({
      token_present: false,
      push_events: true,
    });
    expect((await gitlab.call('DELETE', at)).status).toBe(204);
    expect((await gitlab.call('GET', at)).status).toBe(404);
  });

  it('cannot ask for events that are never sent', async () => {
    const project = await gitlab.project('issues');
    const answer = await gitlab.call('POST', `/projects/${project.id}/hooks`, {
      url: receiver.url,
      issues_events: true,
    });
    expect([answer.status, answer.body.error]).toEqual([400, expect.stringContaining('issues_events')]);
  });

  it('to a local address needs the application setting', async () => {
    const project = await gitlab.project('local');
    const create = (url: string) => gitlab.call('POST', `/projects/${project.id}/hooks`, { url });
    await gitlab.ok('PUT', '/application/settings', {
      allow_local_requests_from_web_hooks_and_services: false,
    });
    for (const url of [
      'http://127.0.0.1/x',
      'http://10.1.2.3/',
      'http://[::1]/',
      'ftp://example.com/',
      'nonsense',
    ]) {
      const answer = await create(url);
      expect([url, answer.status, answer.body]).toEqual([url, 422, { error: 'Invalid url given' }]);
    }
    expect((await create('http://198.18.0.2:30080/project/x')).status).toBe(201);
    await gitlab.ok('PUT', '/application/settings', {
      outbound_local_requests_allowlist_raw: '10.1.0.0/16\nlocalhost:8080, 127.0.0.1 10.9.0.0/odd',
    });
    expect((await create('http://10.1.2.3/')).status).toBe(201);
    expect((await create('http://127.0.0.1/x')).status).toBe(201);
    for (const url of ['http://10.2.0.1/', 'http://[::1]/', 'http://10.9.0.1/'])
      expect([url, (await create(url)).status]).toEqual([url, 422]);
    await gitlab.ok('PUT', '/application/settings', { outbound_local_requests_allowlist_raw: '' });
    await gitlab.ok('PUT', '/application/settings', {
      allow_local_requests_from_web_hooks_and_services: true,
    });
    expect((await create('http://127.0.0.1/x')).status).toBe(201);
  });
});

describe('a receiver that fails', () => {
  it('is logged, stops the hook after four failures, drops what comes then, and a test that works starts it again', async () => {
    const { project, at } = await hooked({ push_events: true });
    receiver.status = 500;
    for (const content of ['1', '2', '3', '4']) {
      await gitlab.commitFile(project.id, 'main', 'x', content);
      await gitlab.hooksSent();
    }
    expect(await gitlab.ok('GET', at)).toMatchObject({
      alert_status: 'temporarily_disabled',
      disabled_until: expect.any(String),
    });
    receiver.status = 200;
    receiver.received.length = 0;
    await gitlab.commitFile(project.id, 'main', 'x', '5');
    await gitlab.hooksSent();
    expect(receiver.received).toHaveLength(0);
    const events = await gitlab.ok('GET', `${at}/events?status=server_failure`);
    expect(events).toHaveLength(4);
    expect(events[0]).toMatchObject({
      trigger: 'push_hooks',
      response_status: '500',
      response_body: 'taken',
      request_headers: { 'X-Gitlab-Token': '[REDACTED]', 'X-Gitlab-Event': 'Push Hook' },
      request_data: { object_kind: 'push' },
    });
    const test = await gitlab.call('POST', `${at}/test/push_events`);
    expect([test.status, test.body]).toEqual([201, { message: '201 Created' }]);
    expect(await gitlab.ok('GET', at)).toMatchObject({ alert_status: 'executable', disabled_until: null });
  });

  it('an event can be sent again with the same key', async () => {
    const { project, at } = await hooked({ push_events: true });
    await gitlab.commitFile(project.id, 'main', 'x', '1');
    await gitlab.hooksSent();
    const [event] = await gitlab.ok('GET', `${at}/events`);
    const resent = await gitlab.call('POST', `${at}/events/${event.id}/resend`);
    expect([resent.status, resent.body]).toEqual([201, { response_status: 200 }]);
    const keys = receiver.received.map(({ headers }) => headers['idempotency-key']);
    expect(keys).toHaveLength(2);
    expect(new Set(keys).size).toBe(1);
    expect(new Set(receiver.received.map(({ headers }) => headers['x-gitlab-webhook-uuid'])).size).toBe(2);
  });

  it('a test without data of its kind, and one nobody answers, are 422', async () => {
    const { project, at } = await hooked({});
    expect((await gitlab.call('POST', `${at}/test/merge_requests_events`)).body).toEqual({
      message: 'Ensure the project has merge requests.',
    });
    const dead = await gitlab.ok('POST', `/projects/${project.id}/hooks`, { url: 'http://127.0.0.1:1/' });
    const answer = await gitlab.call('POST', `/projects/${project.id}/hooks/${dead.id}/test/push_events`);
    expect([answer.status, answer.body.message]).toEqual([
      422,
      expect.stringContaining('Failed to open TCP connection'),
    ]);
  });

  // WebHookService runs a test's log inline, and LogExecutionService counts it as any delivery: `backoff!` for one that
  // fails while the hook is executable, `enable!` for one that succeeds. Nothing else enables a hook again: an update does not.
  it('a test that fails counts as a failure, and only a delivery that succeeds enables a hook again', async () => {
    const { project, at } = await hooked({ push_events: true });
    await gitlab.commitFile(project.id, 'main', 'x', '1');
    await gitlab.hooksSent();
    const { id: hook } = await gitlab.ok('GET', at);
    receiver.status = 500;
    for (let tries = 0; tries < 6; tries++) {
      expect((await gitlab.call('POST', `${at}/test/push_events`)).status).toBe(422);
    }
    const disabled = await gitlab.ok('GET', at);
    expect(disabled).toMatchObject({ id: hook, alert_status: 'temporarily_disabled' });
    await gitlab.ok('PUT', at, { enable_ssl_verification: true });
    expect(await gitlab.ok('GET', at)).toMatchObject({
      alert_status: 'temporarily_disabled',
      disabled_until: disabled.disabled_until,
    });
    receiver.status = 200;
    // A pipeline's event is sent only where there is a pipeline, which an external status makes.
    const pipeline = `${at}/test/pipeline_events`;
    expect((await gitlab.call('POST', pipeline)).body).toEqual({
      message: 'Ensure the project has CI pipelines.',
    });
    const { commit } = await gitlab.ok('GET', `/projects/${project.id}/repository/branches/main`);
    await gitlab.ok('POST', `/projects/${project.id}/statuses/${commit.id}`, {
      state: 'running',
      ref: 'main',
    });
    // A redirect counts as a success of the hook, and as none of the test.
    receiver.status = 302;
    expect((await gitlab.call('POST', pipeline)).status).toBe(422);
    expect(await gitlab.ok('GET', at)).toMatchObject({ alert_status: 'executable', disabled_until: null });
    receiver.status = 200;
    expect((await gitlab.call('POST', pipeline)).status).toBe(201);
    expect(await gitlab.ok('GET', at)).toMatchObject({ alert_status: 'executable', disabled_until: null });
  });
});
