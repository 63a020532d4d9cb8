import {
  gitlabBody,
  gitlabControlBody,
  gitlabUndo,
  kubernetesOutcome,
  type Outcome,
  outcome,
} from './e2e/answers';
import { IDENTITIES } from './e2e/identities-data';
import { startTestGitLab, stopAll, type TestGitLab } from './gitlab/support';

// What the answers mean by which the lab's suite `identities` judges each cell, and GitLab's cells tried on the stand-in alone:
// with the roles that the topology gives, and what is refused once more as an administrator.

// It starts git for each of four projects, which takes a minute where much else runs.
jest.setTimeout(240_000);

test.each([
  ['registry', 'GET /v2/', 200, 'may'],
  ['registry', 'POST /v2/modules/orders/blobs/uploads/', 202, 'may'],
  ['registry', 'GET /v2/', 401, 'may not'],
  ['registry', 'GET /v2/_catalog', 403, 'may not'],
  // What Distribution says of a manifest that is not there, or of a digest that is none, to who may delete.
  ['registry', 'DELETE /v2/modules/orders/manifests/identities', 404, 404],
  ['registry', 'DELETE /v2/modules/orders/manifests/identities', 400, 400],
  ['jenkins', 'GET /me/api/json', 404, 404],
  ['jenkins', 'POST /job/a/build', 400, 400],
  ['jenkins', 'POST /job/a/build', 403, 'may not'],
  ['jenkins', 'POST /job/a/build', 302, 302],
] as const)('%s: "%s" that is answered %i means %s', (system, what, status, meaning) => {
  expect(outcome(system, what, { status })).toBe(meaning);
});

test.each([
  ['GET /projects/switchyard%2Forders', 404, '{"message":"404 Project Not Found"}', 'may not'],
  ['GET /projects/switchyard%2Forders', 404, '{"message":"404 Not Found"}', 404],
  ['GET /projects/switchyard%2Forders/hooks', 404, '{"message":"404 Project Not Found"}', 404],
  ['GET /projects/switchyard%2Fother', 404, '{"message":"404 Project Not Found"}', 404],
  ['GET /groups/switchyard/access_tokens', 404, '{"error":"404 Not Found"}', 404],
  [
    'POST /projects/switchyard%2Forders/repository/commits',
    400,
    '{"message":"You are not allowed to push into this branch"}',
    'may not',
  ],
  ['POST /projects/switchyard%2Forders/repository/commits', 400, '{"error":"branch is missing"}', 400],
  [
    'POST /projects/switchyard%2Forders/issues',
    400,
    '{"message":"You are not allowed to push into this branch"}',
    400,
  ],
  ['POST /users', 403, '', 'may not'],
  ['PUT /projects/switchyard%2Forders/merge_requests/1/merge', 401, '', 'may not'],
  ['PUT /projects/switchyard%2Forders/merge_requests/1/merge', 405, '', 'may'],
  ['PUT /projects/switchyard%2Forders/merge_requests/1/merge', 404, '', 404],
  ['PUT /groups/switchyard', 405, '', 405],
  ['GET /application/settings', 401, '', 'may not'],
] as const)('GitLab: "%s" that is answered %i %s means %s', (what, status, text, meaning) => {
  expect(outcome('gitlab', what, { status, text })).toBe(meaning);
});

test('Kubernetes: 403 alone refuses; an answer that nobody expects is neither', () => {
  expect([403, 200, 201, 404, 422, 500].map(kubernetesOutcome)).toEqual(['may not', ...Array(5).fill('may')]);
  expect([401, 409, 429, 503].map(kubernetesOutcome)).toEqual([401, 409, 429, 503]);
});

describe('GitLab’s cells on the stand-in', () => {
  let gitlab: TestGitLab;
  const tokens: Record<string, string> = {};
  const GROUP = '/groups/switchyard';

  beforeAll(async () => {
    gitlab = await startTestGitLab();
    for (const name of ['orders', 'release-ledger', 'pipeline-library', 'topology']) {
      const { id } = await gitlab.project(name, { visibility: 'private' });
      const main = `/projects/${id}/protected_branches`;
      await gitlab.call('DELETE', `${main}/main`);
      // components/gitlab: nobody pushes to a module's main, a Maintainer to the others.
      await gitlab.ok('POST', main, { name: 'main', push_access_level: name === 'orders' ? 0 : 40 });
    }
    const { id: orders } = await gitlab.ok('GET', '/projects/switchyard%2Forders');
    const { id: topology } = await gitlab.ok('GET', '/projects/switchyard%2Ftopology');
    const request = `/projects/${orders}`;
    await gitlab.ok('POST', `${request}/repository/commits`, {
      branch: 'closed',
      start_branch: 'main',
      commit_message: 'closed',
      actions: [{ action: 'create', file_path: 'closed', content: 'x' }],
    });
    const asks = { source_branch: 'closed', target_branch: 'main', title: 'closed' };
    const { iid } = await gitlab.ok('POST', `${request}/merge_requests`, asks);
    expect(iid).toBe(1);
    await gitlab.ok('PUT', `${request}/merge_requests/${iid}`, { state_event: 'close' });
    tokens.author = (await gitlab.user('author', orders, 30)).token;
    tokens['topology-author'] = (await gitlab.user('topology-author', topology, 30)).token;
    const group = async (name: string, level: number, scopes: string[]): Promise<string> =>
      (await gitlab.ok('POST', `${GROUP}/access_tokens`, { name, access_level: level, scopes })).token;
    tokens.bot = await group('bot', 40, ['api', 'read_repository', 'write_repository']);
    tokens['ci/gitlab-bot'] = tokens.bot;
    tokens['ci-reconciler/reconciler'] = tokens.bot;
    tokens.reader = await group('reader', 20, ['read_api', 'read_repository']);
    tokens.watcher = await group('watcher', 40, ['read_api', 'read_repository']);
    tokens.retention = await group('retention', 20, ['read_api', 'read_repository']);
    tokens['backup/backup'] = await group('backup', 20, ['read_api', 'read_repository']);
  });
  afterAll(stopAll);

  const cells = IDENTITIES.flatMap(({ gitlab: { as, may = [], mayNot = [] } }) =>
    as === undefined ? [] : [{ as, may, mayNot }],
  );
  const asked = async (
    what: string,
    body: object | undefined,
    token?: string,
  ): Promise<{ said: Outcome; body: { id?: number; iid?: number } }> => {
    const [method = '', path = ''] = what.split(' ');
    const answer = await gitlab.call(method, path, body, token);
    return {
      said: outcome('gitlab', what, { status: answer.status, text: JSON.stringify(answer.body) }),
      body: answer.body,
    };
  };

  test('each may what the table says, and nothing that it refuses', async () => {
    for (const { as, may, mayNot } of cells) {
      // `apply` has an administrator's.
      const token = as === 'ci-apply/apply-environment' ? undefined : (tokens[as] ?? `no token of ${as}`);
      for (const what of may)
        expect([as, what, (await asked(what, gitlabBody(what), token)).said]).toEqual([as, what, 'may']);
      for (const what of mayNot)
        expect([as, what, (await asked(what, gitlabBody(what), token)).said]).toEqual([as, what, 'may not']);
    }
  });

  test('an administrator is refused none of it, and nothing of what that makes is left', async () => {
    const refused = [...new Set(cells.flatMap(({ mayNot }) => mayNot))];
    for (const what of refused) {
      const { said, body } = await asked(what, gitlabControlBody(what));
      expect([what, said]).toEqual([what, /\/repository\/commits$/.test(what) ? 400 : 'may']);
      const undo = gitlabUndo(what, body);
      if (undo) await gitlab.ok(...(undo.split(' ') as [string, string]));
    }
    const { username } = gitlabBody('POST /users') as { username: string };
    expect(await gitlab.ok('GET', `/users?username=${username}`)).toEqual([]);
    expect(await gitlab.ok('GET', '/projects/switchyard%2Forders/issues')).toEqual([]);
  });

  test('nobody is asked for something without a body that says so', () => {
    expect(() => gitlabBody('POST /projects/1/hooks')).toThrow(
      'nothing says what is sent with "POST /projects/1/hooks"',
    );
  });
});
