import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { CommitDetails, MergeRequest, ProjectDetails } from '../../../clients/gitlab';
import { mergeRequestHook, pushHook } from '../../../delivery/reconcile/hook';
import { Jenkins } from '../../../delivery/reconcile/jenkins';

interface Received {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

let server: Server;
let received: Received[] = [];
interface Answer {
  readonly status?: number;
  readonly headers?: Record<string, string>;
  readonly body: unknown;
  /** The connection ends in the middle of it. */
  readonly cut?: boolean;
}
let answers: Record<string, Answer> = {};
/** What a path is answered with first. */
let first: Record<string, Answer[]> = {};
let jenkins: Jenkins;
/** Others have jobs there as well. */
let shared: Jenkins;
let address: string;

beforeAll(async () => {
  server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (chunk: string) => {
      body += chunk;
    });
    request.on('end', () => {
      const path = (request.url ?? '').split('?')[0] ?? '';
      received.push({ method: request.method ?? '', path, headers: request.headers, body });
      const found = first[path]?.shift() ?? answers[path];
      const text = JSON.stringify(found?.body ?? null);
      response.writeHead(found ? (found.status ?? 200) : 404, {
        ...found?.headers,
        'content-length': Buffer.byteLength(text),
      });
      if (found?.cut) response.write(text.slice(0, -1), () => request.socket.destroy());
      else response.end(text);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  address = url;
  const login = { user: 'reconciler', password: 'a-secret' };
  const options = { url, login, folder: 'switchyard', policy: { baseMs: 1, capMs: 1 } };
  jenkins = new Jenkins(options);
  shared = new Jenkins({ ...options, shared: true });
});
afterAll(() => new Promise((resolve) => server.close(resolve)));
beforeEach(() => {
  received = [];
  answers = { '/computer/api/json': { body: { computer: [] } } };
  first = {};
});

const cause = (data: object) => ({
  _class: 'hudson.model.CauseAction',
  causes: [{ shortDescription: 'x', data }],
});

test('builds are those that wait, run, or ended, as core and gitlab-plugin export them', async () => {
  const merge = { actionType: 'MERGE', mergeRequestIid: 7, lastCommit: 'a', sourceBranch: 'feature' };
  const push = { actionType: 'PUSH', mergeRequestIid: null, lastCommit: 'b', sourceBranch: 'main' };
  answers['/queue/api/json'] = {
    body: {
      items: [
        { task: { url: 'https://jenkins.test/job/switchyard/job/orders/' }, actions: [{}, cause(merge)] },
        { task: { url: 'https://jenkins.test/job/other/job/orders/' }, actions: [cause(merge)] },
        { task: {}, actions: [] },
      ],
    },
  };
  // workflow-durable-task-step: `PlaceholderExecutable.getAbsoluteUrl` is exported as `url`.
  const agent = (url: string) => ({
    executors: [{ currentExecutable: { url } }, { currentExecutable: null }],
  });
  answers['/computer/api/json'] = {
    body: {
      computer: [
        { executors: [], oneOffExecutors: [] },
        agent('https://jenkins.test/job/switchyard/job/orders/9/'),
        // Its second one.
        agent('https://jenkins.test/job/switchyard/job/orders/9/'),
        agent('https://jenkins.test/job/other/job/orders/9/'),
        { executors: [{ currentExecutable: {} }, {}] },
      ],
    },
  };
  answers['/job/switchyard/api/json'] = {
    body: {
      jobs: [
        {
          name: 'orders',
          builds: [
            { number: 9, building: true, timestamp: 5, duration: 0, actions: [null, {}, cause(push)] },
            { number: 8, building: false, timestamp: 5, duration: 20, actions: [cause(merge)] },
            // Started by the clock or a person: no hook's.
            {
              number: 7,
              building: true,
              timestamp: 5,
              duration: 0,
              actions: [{ causes: [{ shortDescription: 'y' }] }],
            },
          ],
        },
        { name: 'a-folder' },
      ],
    },
  };
  expect(await jenkins.builds()).toEqual({
    hooked: [
      { job: 'orders', action: 'MERGE', mergeRequest: 7, commit: 'a', sourceBranch: 'feature' },
      { job: 'orders', number: 9, hasAgent: true, action: 'PUSH', commit: 'b', sourceBranch: 'main' },
      {
        job: 'orders',
        number: 8,
        action: 'MERGE',
        mergeRequest: 7,
        commit: 'a',
        sourceBranch: 'feature',
        endedAt: 25,
      },
    ],
    others: [{ job: 'orders', number: 7 }],
    inUse: 2,
  });
  expect(received.map(({ path }) => path)).toEqual([
    '/queue/api/json',
    '/computer/api/json',
    '/job/switchyard/api/json',
  ]);
  const login = `Basic ${Buffer.from('reconciler:a-secret').toString('base64')}`;
  expect(received.map(({ headers }) => headers.authorization)).toEqual([login, login, login]);
  await new Jenkins({ url: address, folder: 'switchyard' }).builds();
  expect(received.at(-1)?.headers).not.toHaveProperty('authorization');
  // Others' agents are of a cloud of their own, and take no room from ours.
  expect((await shared.builds()).inUse).toBe(1);
});

// Core: Computer.getOneOffExecutors and Executor.getCurrentExecutableForApi are exported; a pipeline is a FlyweightTask
// (workflow-job, WorkflowJob) and has such an executor for as long as it runs, also after a restart (AfterRestartTask).
test('a build that runs behind a hundred newer ones of its job is live; one that ended meanwhile is not', async () => {
  const merge = (iid: number) => ({
    actionType: 'MERGE',
    mergeRequestIid: iid,
    lastCommit: `c${iid}`,
    sourceBranch: `b${iid}`,
  });
  const run = (number: number, folder = 'switchyard') => ({
    currentExecutable: {
      _class: 'org.jenkinsci.plugins.workflow.job.WorkflowRun',
      number,
      url: `https://jenkins.test/job/${folder}/job/orders/${number}/`,
      actions: [{}, cause(merge(number))],
    },
  });
  // Started by a person: it holds an agent all the same.
  const byPerson = {
    currentExecutable: {
      url: 'https://jenkins.test/job/switchyard/job/orders/2/',
      actions: [{ causes: [{ shortDescription: 'y' }] }],
    },
  };
  answers['/queue/api/json'] = { body: { items: [] } };
  answers['/computer/api/json'] = {
    body: {
      computer: [
        {
          _class: 'hudson.model.Hudson$MasterComputer',
          oneOffExecutors: [run(1), run(200), byPerson, run(3, 'other')],
        },
        // Whoever may not read a build sees none.
        { _class: 'org.csanchez.jenkins.plugins.kubernetes.KubernetesComputer', oneOffExecutors: [{}] },
      ],
    },
  };
  answers['/job/switchyard/api/json'] = {
    body: {
      jobs: [
        {
          name: 'orders',
          builds: [
            { number: 200, building: false, timestamp: 5, duration: 1, actions: [cause(merge(200))] },
            { number: 199, building: true, timestamp: 5, duration: 0, actions: [cause(merge(199))] },
          ],
        },
      ],
    },
  };
  const { hooked: builds, others } = await jenkins.builds();
  expect(others).toEqual([{ job: 'orders', number: 2 }]);
  expect(builds.map(({ number, endedAt }) => [number, endedAt === undefined])).toEqual([
    [200, false],
    [199, true],
    [1, true],
  ]);
  expect(builds.at(-1)).toEqual({
    job: 'orders',
    number: 1,
    action: 'MERGE',
    mergeRequest: 1,
    commit: 'c1',
    sourceBranch: 'b1',
  });
});

test('what passes is asked again: a Jenkins that starts, an answer that is cut; a hook is not given twice', async () => {
  const nothing = { body: { items: [] } };
  answers['/job/switchyard/api/json'] = { body: { jobs: [] } };
  answers['/queue/api/json'] = nothing;
  first['/queue/api/json'] = [
    { status: 503, body: {} },
    { status: 503, headers: { 'retry-after': '1' }, body: {} },
    { ...nothing, cut: true },
  ];
  const begun = Date.now();
  expect(await jenkins.builds()).toEqual({ hooked: [], others: [], inUse: 0 });
  expect(Date.now() - begun).toBeGreaterThanOrEqual(1_000);
  expect(received.filter(({ path }) => path === '/queue/api/json')).toHaveLength(4);

  received = [];
  first['/project/switchyard/orders'] = [{ body: {}, cut: true }];
  await expect(jenkins.hook('orders', 'Push Hook', 'the-token', {})).rejects.toThrow(
    /^Jenkins: http.* cannot be reached \(/,
  );
  expect(received).toHaveLength(1);
});

test('a refusal, and an answer that is none, are one line without the password', async () => {
  answers['/queue/api/json'] = { status: 403, body: {} };
  await expect(jenkins.builds()).rejects.toThrow(
    'Jenkins: queue/api/json answered 403: "reconciler" may not read it, or has another token by now.',
  );
  answers['/queue/api/json'] = { body: { nothing: true } };
  await expect(jenkins.builds()).rejects.toThrow(
    /^Jenkins: the answer of queue\/api\/json is not understood/,
  );
  await expect(jenkins.builds()).rejects.not.toThrow(/a-secret/);
});

test('a hook is given with its event and token, and without a login', async () => {
  answers['/project/switchyard/orders'] = { body: {} };
  await jenkins.hook('orders', 'Push Hook', 'the-token', { ref: 'refs/heads/main' });
  expect(received).toEqual([
    {
      method: 'POST',
      path: '/project/switchyard/orders',
      headers: expect.objectContaining({ 'x-gitlab-event': 'Push Hook', 'x-gitlab-token': 'the-token' }),
      body: '{"ref":"refs/heads/main"}',
    },
  ]);
  expect(received[0]?.headers).not.toHaveProperty('authorization');
  answers = {};
  await expect(jenkins.hook('orders', 'Push Hook', 'the-token', {})).rejects.toThrow('answered 404');
});

describe('a hook made again', () => {
  const project: ProjectDetails = {
    id: 3,
    name: 'orders',
    path_with_namespace: 'switchyard/orders',
    default_branch: 'main',
    web_url: 'https://gitlab.test/switchyard/orders',
    ssh_url_to_repo: 'git@gitlab.test:switchyard/orders.git',
    http_url_to_repo: 'https://gitlab.test/switchyard/orders.git',
    namespace: { name: 'Switchyard' },
  };
  const commit: CommitDetails = {
    id: 'c'.repeat(40),
    title: 'Change',
    message: 'Change\n\nmore',
    author_name: 'Ann',
    author_email: 'ann@gitlab.test',
    parent_ids: ['b'.repeat(40), 'd'.repeat(40)],
  };
  const request: MergeRequest = {
    id: 70,
    iid: 7,
    state: 'opened',
    draft: false,
    sha: commit.id,
    title: 'T',
    source_branch: 'feature',
    target_branch: 'main',
    source_project_id: 3,
    target_project_id: 3,
  };
  const at = (value: unknown, path: string): unknown =>
    path
      .split('/')
      .reduce<unknown>((inner, key) => (inner as Record<string, unknown> | undefined)?.[key], value);

  // gitlab-plugin 1.9.182144, CauseData: `requireNonNull` for each; the lab's Jenkins refuses what lacks one (HookTest).
  it('has whatever the plugin takes no null for', () => {
    const merge = mergeRequestHook(project, request, commit);
    for (const path of [
      ...['source_project_id', 'target_project_id', 'source_branch', 'target_branch', 'title'],
      ...['last_commit/author/name', 'last_commit/id'],
      ...['source', 'target'].flatMap((side) =>
        ['name', 'namespace', 'ssh_url', 'http_url'].map((key) => `${side}/${key}`),
      ),
    ]) {
      expect([path, typeof at(merge.object_attributes, path)]).toEqual([
        path,
        expect.stringMatching(/string|number/),
      ]);
    }
    const push = pushHook(project, 'main', commit);
    for (const path of [
      ...['object_kind', 'project_id', 'user_name', 'repository/name', 'project/namespace'],
      ...['repository/git_ssh_url', 'repository/git_http_url'],
    ]) {
      expect([path, typeof at(push, path)]).toEqual([path, expect.stringMatching(/string|number/)]);
    }
  });

  it('is an opening of the head as it is, or a push onto the first parent', () => {
    expect(mergeRequestHook(project, request, commit).object_attributes).toMatchObject({
      iid: 7,
      action: 'open',
      state: 'opened',
      last_commit: { id: commit.id, author: { name: 'Ann' } },
      source: { namespace: 'Switchyard' },
    });
    expect(pushHook(project, 'main', commit)).toMatchObject({
      ref: 'refs/heads/main',
      before: 'b'.repeat(40),
      after: commit.id,
    });
    expect(pushHook(project, 'main', { ...commit, parent_ids: [] }).before).toBe('0'.repeat(40));
  });
});
