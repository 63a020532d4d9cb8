// Facts of GitLab: lib/api/api_guard.rb (401 and 403), metadata.rb, groups.rb, projects.rb, protected_branches.rb,
// helpers/protected_branches_helpers.rb, protected_tags.rb, ci/variables.rb, labels.rb, deploy_keys.rb, deploy_tokens.rb,
// members.rb, files.rb, commits.rb, branches.rb; db/structure.sql (auto_devops_enabled); of the provider:
// docs/resources/branch_protection.md of terraform-provider-gitlab. What is unknown is refused by name, which GitLab does not.

import { type Body, startTestGitLab, stopAll, type TestGitLab } from './support';

let gitlab: TestGitLab;
let project: Body;

beforeAll(async () => {
  gitlab = await startTestGitLab();
  project = await gitlab.project('orders');
});
afterAll(stopAll);

const call: TestGitLab['call'] = (...args) => gitlab.call(...args);
const status = async (answer: ReturnType<TestGitLab['call']>): Promise<[number, Body]> => {
  const { status, body } = await answer;
  return [status, body];
};

describe('who is asking', () => {
  it('401 without a token and with an unknown one', async () => {
    expect(await status(call('GET', '/user', undefined, null))).toEqual([
      401,
      { message: '401 Unauthorized' },
    ]);
    expect(await status(call('GET', '/user', undefined, 'glpat-wrong'))).toEqual([
      401,
      { message: '401 Unauthorized' },
    ]);
  });

  it('a private project is 404 to a stranger, 403 to a member who may not, and answers Bearer tokens too', async () => {
    const stranger = await gitlab.user('stranger');
    const reporter = await gitlab.user('reporter', project.id, 20);
    expect(await status(call('GET', `/projects/${project.id}`, undefined, stranger.token))).toEqual([
      404,
      { message: '404 Project Not Found' },
    ]);
    expect(await status(call('GET', `/projects/${project.id}`, undefined, null))).toEqual([
      404,
      { message: '404 Project Not Found' },
    ]);
    expect(await status(call('GET', `/projects/${project.id}/hooks`, undefined, reporter.token))).toEqual([
      403,
      { message: '403 Forbidden' },
    ]);
    const bearer = await fetch(`${gitlab.url}/api/v4/projects/${project.id}`, {
      headers: { Authorization: `Bearer ${reporter.token}` },
    });
    expect(bearer.status).toBe(200);
  });

  it('a token with read_api reads and does not write; a revoked one is told so', async () => {
    const token = await gitlab.ok('POST', `/projects/${project.id}/access_tokens`, {
      name: 'reader',
      scopes: ['read_api'],
      access_level: 40,
    });
    expect((await call('GET', `/projects/${project.id}`, undefined, token.token)).status).toBe(200);
    const refused = await call(
      'POST',
      `/projects/${project.id}/labels`,
      { name: 'x', color: '#fff' },
      token.token,
    );
    expect([refused.status, refused.body.error]).toEqual([403, 'insufficient_scope']);
    const rotated = await gitlab.ok('POST', `/projects/${project.id}/access_tokens/${token.id}/rotate`, {});
    expect(rotated.id).not.toBe(token.id);
    const old = await call('GET', '/user', undefined, token.token);
    expect([old.status, old.body.error]).toEqual([401, 'invalid_token']);
    expect((await call('GET', `/projects/${project.id}`, undefined, rotated.token)).status).toBe(200);
    await gitlab.ok('DELETE', `/projects/${project.id}/access_tokens/${rotated.id}`);
    expect((await call('GET', `/projects/${project.id}`, undefined, rotated.token)).status).toBe(401);
  });

  it('a token is shown once and is nowhere in what is stored or listed', async () => {
    const token = await gitlab.ok('POST', `/projects/${project.id}/access_tokens`, {
      name: 'bot',
      scopes: ['api'],
      access_level: 30,
    });
    const listed = await call('GET', `/projects/${project.id}/access_tokens`);
    expect(JSON.stringify(listed.body)).not.toContain(token.token);
    const me = await gitlab.ok('GET', '/user', undefined, token.token);
    expect(me).toMatchObject({
      bot: true,
      username: expect.stringMatching(new RegExp(`^project_${project.id}_bot_`)),
    });
  });
});

// lib/gitlab/regex.rb (`oci_repository_path_regex`) and lib/gitlab/path_regex.rb.
test.each(['a--b', 'a-', '-a', '_a', 'a..b', 'a._b', 'a.git', 'a.atom'])(
  'no project and no group is made whose path is "%s"',
  async (path) => {
    const fault = {
      message: expect.objectContaining({ path: [expect.stringMatching(/^can only include/)] }),
    };
    expect(await status(call('POST', '/projects', { name: `Odd ${path}`, path }))).toEqual([400, fault]);
    const group = await call('POST', '/groups', { name: `Odd ${path}`, path });
    expect([group.status, JSON.stringify(group.body)]).toEqual([
      400,
      expect.stringContaining('can only include'),
    ]);
  },
);

describe('strictness', () => {
  it("an unknown route is 404 with GitLab's body and is logged by name", async () => {
    expect(await status(call('GET', `/projects/${project.id}/wikis`))).toEqual([
      404,
      { error: '404 Not Found' },
    ]);
    expect(gitlab.warnings.some((line) => line.includes(`GET /api/v4/projects/${project.id}/wikis`))).toBe(
      true,
    );
  });

  it('names unknown, missing and invalid parameters', async () => {
    expect(await status(call('POST', '/groups', { name: 'g', path: 'g', colour: 'red' }))).toEqual([
      400,
      { error: 'colour is not a parameter of this request' },
    ]);
    expect(await status(call('POST', '/groups', { name: 'g' }))).toEqual([400, { error: 'path is missing' }]);
    expect(await status(call('POST', '/groups', { name: 'g', path: 'g', visibility: 'secret' }))).toEqual([
      400,
      { error: 'visibility does not have a valid value' },
    ]);
    expect(await status(call('GET', '/projects?colour=red'))).toEqual([
      400,
      { error: 'colour is not a parameter of this request' },
    ]);
    expect(await status(call('PUT', `/projects/${project.id}`, { merge_method: 'octopus' }))).toEqual([
      400,
      { error: 'merge_method does not have a valid value' },
    ]);
  });

  it('refuses settings it would not enforce', async () => {
    expect(await status(call('PUT', `/projects/${project.id}`, { merge_trains_enabled: true }))).toEqual([
      400,
      { message: { merge_trains_enabled: ['is not covered by this stand-in'] } },
    ]);
  });
});

describe('groups and projects', () => {
  it('refuses a taken path in the words of each', async () => {
    expect(await status(call('POST', '/groups', { name: 'again', path: 'switchyard' }))).toEqual([
      400,
      { message: 'Failed to save group {:path=>["has already been taken"]}' },
    ]);
    const answer = await call('POST', '/projects', { name: 'orders', namespace_id: project.namespace.id });
    expect([answer.status, answer.body.message.path]).toEqual([400, ['has already been taken']]);
  });

  it('finds a project by id and by its encoded path, and lists pages with headers', async () => {
    expect((await call('GET', '/projects/switchyard%2Forders')).body.id).toBe(project.id);
    for (const name of ['p1', 'p2', 'p3']) await gitlab.project(name);
    const page = await call('GET', '/groups/switchyard/projects?per_page=3&page=2');
    expect(page.headers.get('x-total')).toBe('4');
    expect(page.headers.get('x-total-pages')).toBe('2');
    expect(page.headers.get('x-next-page')).toBe('');
    expect(page.headers.get('link')).toContain('rel="prev"');
    expect(page.body).toHaveLength(1);
  });

  it('stores documented settings and changes only those that are sent', async () => {
    const made = await gitlab.project('settings', {
      only_allow_merge_if_pipeline_succeeds: true,
      topics: ['a', 'b'],
      squash_option: 'never',
      builds_access_level: 'private',
    });
    expect(made).toMatchObject({
      only_allow_merge_if_pipeline_succeeds: true,
      topics: ['a', 'b'],
      squash_option: 'never',
      builds_access_level: 'private',
      // The instance's, which is on by default.
      auto_devops_enabled: true,
      merge_method: 'merge',
      default_branch: 'main',
      empty_repo: false,
    });
    const changes = { merge_method: 'ff', auto_devops_enabled: false };
    expect(await gitlab.ok('PUT', `/projects/${made.id}`, changes)).toMatchObject({
      ...changes,
      squash_option: 'never',
      topics: ['a', 'b'],
    });
  });

  it('deletes with delay, frees the name at once, and ends it when told so with the full path', async () => {
    const gone = await gitlab.project('gone');
    expect(
      await status(call('DELETE', `/projects/${gone.id}?permanently_remove=true&full_path=switchyard/gone`)),
    ).toEqual([400, { message: '400 Bad request - Project must be marked for deletion first.' }]);
    expect(await status(call('DELETE', `/projects/${gone.id}`))).toEqual([202, { message: '202 Accepted' }]);
    const marked = (await call('GET', `/projects/${gone.id}`)).body;
    expect(marked).toMatchObject({
      marked_for_deletion_on: expect.any(String),
      path: `gone-deletion_scheduled-${gone.id}`,
    });
    expect((await gitlab.project('gone')).id).not.toBe(gone.id);
    expect(
      (await call('DELETE', `/projects/${gone.id}?permanently_remove=true&full_path=switchyard/gone`)).status,
    ).toBe(400);
    expect(
      (
        await call(
          'DELETE',
          `/projects/${gone.id}?permanently_remove=true&full_path=${encodeURIComponent(marked.path_with_namespace)}`,
        )
      ).status,
    ).toBe(202);
    expect((await call('GET', `/projects/${gone.id}`)).status).toBe(404);
  });

  // lib/api/groups.rb: immediately_delete_subgroup_error.
  it('only schedules a group at the top level, under a name that leaves its own free', async () => {
    const group = await gitlab.ok('POST', '/groups', { name: 'top', path: 'top' });
    await gitlab.ok('DELETE', `/groups/${group.id}`);
    const marked = await gitlab.ok('GET', `/groups/${group.id}`);
    expect(marked).toMatchObject({
      full_path: `top-deletion_scheduled-${group.id}`,
      marked_for_deletion_on: expect.any(String),
    });
    expect(
      await status(
        call('DELETE', `/groups/${group.id}?permanently_remove=true&full_path=${marked.full_path}`),
      ),
    ).toEqual([
      400,
      { message: '400 Bad request - `permanently_remove` option is only available for subgroups.' },
    ]);
    expect((await gitlab.ok('POST', '/groups', { name: 'top', path: 'top' })).id).not.toBe(group.id);
  });

  it('deletes a subgroup with everything in it', async () => {
    const above = await gitlab.ok('POST', '/groups', { name: 'above', path: 'above' });
    const group = await gitlab.ok('POST', '/groups', { name: 'doomed', path: 'doomed', parent_id: above.id });
    const inner = await gitlab.ok('POST', '/projects', { name: 'inner', namespace_id: group.id });
    await gitlab.ok('DELETE', `/groups/${group.id}`);
    const marked = await gitlab.ok('GET', `/groups/${group.id}`);
    await gitlab.ok(
      'DELETE',
      `/groups/${group.id}?permanently_remove=true&full_path=${encodeURIComponent(marked.full_path)}`,
    );
    expect((await call('GET', `/projects/${inner.id}`)).status).toBe(404);
    expect(await status(call('GET', `/groups/${group.id}`))).toEqual([
      404,
      { message: '404 Group Not Found' },
    ]);
  });
});

describe('what belongs to a project', () => {
  const at = (path: string): string => `/projects/${project.id}/${path}`;

  it('protects the default branch from its first commit on, and refuses to protect twice', async () => {
    expect(await gitlab.ok('GET', at('protected_branches/main'))).toMatchObject({
      push_access_levels: [{ access_level: 40 }],
      merge_access_levels: [{ access_level: 40 }],
      allow_force_push: false,
    });
    expect(await status(call('POST', at('protected_branches'), { name: 'main' }))).toEqual([
      409,
      { message: "Protected branch 'main' already exists" },
    ]);
    await gitlab.ok('DELETE', at('protected_branches/main'));
    expect(
      await gitlab.ok('POST', at('protected_branches'), {
        name: 'main',
        push_access_level: 0,
        merge_access_level: 30,
      }),
    ).toMatchObject({ push_access_levels: [{ access_level: 0, access_level_description: 'No one' }] });
    const changed = await gitlab.ok('PATCH', at('protected_branches/main'), {
      allow_force_push: true,
      allowed_to_push: [{ access_level: 40 }],
    });
    expect(changed).toMatchObject({
      allow_force_push: true,
      push_access_levels: [{ access_level: 0 }, { access_level: 40 }],
    });
    const removed = await gitlab.ok('PATCH', at('protected_branches/main'), {
      allow_force_push: false,
      allowed_to_push: [{ id: changed.push_access_levels[0].id, _destroy: true }],
    });
    expect(removed.push_access_levels).toHaveLength(1);
  });

  it('takes what the official provider sends for a protected branch', async () => {
    // resource_gitlab_branch_protection.go sends unprotect levels too; a run of the official plug-in 6.1.1 did.
    const made = await gitlab.ok('POST', at('protected_branches'), {
      name: 'release/*',
      push_access_level: 40,
      merge_access_level: 40,
      unprotect_access_level: 40,
      allowed_to_push: [],
      allowed_to_merge: [],
      allowed_to_unprotect: [],
      allow_force_push: false,
      code_owner_approval_required: false,
    });
    expect(made.unprotect_access_levels).toMatchObject([{ access_level: 40 }]);
    await gitlab.ok('DELETE', at('protected_branches/release%2F*'));
    const { warnings, ...community } = await startTestGitLab({ edition: 'community' });
    expect(await community.ok('GET', '/metadata')).toMatchObject({ enterprise: false });
    expect(await gitlab.ok('GET', '/metadata')).toMatchObject({ enterprise: true });
    // Grape drops what the route of a Community package does not declare: the default, maintainers, holds.
    const other = await community.project('plain');
    const body = { name: 'x', allowed_to_push: [{ access_level: 0 }] };
    const ignored = await community.ok('POST', `/projects/${other.id}/protected_branches`, body);
    expect(ignored.push_access_levels).toMatchObject([{ access_level: 40 }]);
    expect(ignored.unprotect_access_levels).toEqual([]);
    expect(warnings).toEqual([expect.stringContaining('Community package')]);
  });

  it('keeps variables apart by environment scope and never shows a hidden value', async () => {
    await gitlab.ok('POST', at('variables'), { key: 'A', value: 'one' });
    await gitlab.ok('POST', at('variables'), { key: 'A', value: 'two', environment_scope: 'production' });
    expect((await call('GET', at('variables/A'))).status).toBe(409);
    expect((await gitlab.ok('GET', at('variables/A?filter[environment_scope]=production'))).value).toBe(
      'two',
    );
    expect(
      (await gitlab.ok('POST', at('variables'), { key: 'H', value: 'hidden-value', masked_and_hidden: true }))
        .value,
    ).toBeNull();
    expect(await status(call('POST', at('variables'), { key: 'M', value: 'short', masked: true }))).toEqual([
      400,
      { message: { value: ['is invalid'] } },
    ]);
    expect(await status(call('POST', at('variables'), { key: 'A', value: 'three' }))).toEqual([
      400,
      { message: { key: ['(A) has already been taken'] } },
    ]);
  });

  it('labels, tags protection, deploy keys and deploy tokens: made, listed, refused twice, removed', async () => {
    await gitlab.ok('POST', at('labels'), { name: 'bug', color: '#ff0000' });
    expect((await call('POST', at('labels'), { name: 'bug', color: '#ff0000' })).status).toBe(409);
    expect(await gitlab.ok('PUT', at('labels/bug'), { new_name: 'fault' })).toMatchObject({
      name: 'fault',
      color: '#ff0000',
    });
    expect((await call('DELETE', at('labels/fault'))).status).toBe(204);
    await gitlab.ok('POST', at('protected_tags'), { name: 'v*', create_access_level: 40 });
    expect(await status(call('POST', at('protected_tags'), { name: 'v*' }))).toEqual([
      422,
      { message: ['Name has already been taken'] },
    ]);
    const key = `ssh-ed25519 ${Buffer.alloc(51, 1).toString('base64')}`;
    const made = await gitlab.ok('POST', at('deploy_keys'), { title: 'k', key });
    expect(await gitlab.ok('POST', at('deploy_keys'), { title: 'k2', key })).toEqual(made);
    expect((await call('POST', at('deploy_keys'), { title: 'k2', key: 'nonsense' })).status).toBe(400);
    expect((await call('DELETE', at(`deploy_keys/${made.id}`))).status).toBe(204);
    const token = await gitlab.ok('POST', at('deploy_tokens'), { name: 'pull', scopes: ['read_repository'] });
    expect(token).toMatchObject({
      username: `gitlab+deploy-token-${token.id}`,
      token: expect.stringMatching(/^gldt-/),
      revoked: false,
    });
    expect(await gitlab.ok('GET', at(`deploy_tokens/${token.id}`))).not.toHaveProperty('token');
  });

  it("members: direct, inherited, changed, and not above one's own level", async () => {
    const dev = await gitlab.user('dev', project.id, 30);
    const maintainer = await gitlab.user('keeper', project.id, 40);
    expect(await gitlab.ok('GET', at(`members/${dev.id}`))).toMatchObject({
      access_level: 30,
      username: 'dev',
    });
    expect((await call('POST', at('members'), { user_id: dev.id, access_level: 30 })).status).toBe(409);
    expect((await call('PUT', at(`members/${dev.id}`), { access_level: 50 }, maintainer.token)).status).toBe(
      403,
    );
    expect((await gitlab.ok('GET', at('members/all'))).map((row: Body) => row.username)).toEqual(
      expect.arrayContaining(['root', 'dev', 'keeper']),
    );
    expect((await gitlab.ok('GET', at('members'))).map((row: Body) => row.username)).not.toContain('root');
    expect((await call('DELETE', at(`members/${dev.id}`))).status).toBe(204);
    expect((await call('GET', `/projects/${project.id}`, undefined, dev.token)).status).toBe(404);
  });
});

describe('files and commits', () => {
  const file = (path: string): string =>
    `/projects/${project.id}/repository/files/${encodeURIComponent(path)}`;

  it("creates, reads, changes and deletes a file with GitLab's refusals", async () => {
    const path = 'deep/er/file name.txt';
    const made = await call('POST', file(path), {
      branch: 'files',
      start_branch: 'main',
      content: 'one',
      commit_message: 'Add',
    });
    expect([made.status, made.body]).toEqual([201, { file_path: path, branch: 'files' }]);
    expect(
      await status(call('POST', file(path), { branch: 'files', content: 'x', commit_message: 'm' })),
    ).toEqual([400, { message: 'A file with this name already exists' }]);
    const first = await gitlab.ok('GET', `${file(path)}?ref=files`);
    expect(Buffer.from(first.content, 'base64').toString()).toBe('one');
    await gitlab.ok('PUT', file(path), {
      branch: 'files',
      content: Buffer.from('two').toString('base64'),
      encoding: 'base64',
      commit_message: 'm',
      last_commit_id: first.last_commit_id,
    });
    expect(
      await status(
        call('PUT', file(path), {
          branch: 'files',
          content: 'three',
          commit_message: 'm',
          last_commit_id: first.last_commit_id,
        }),
      ),
    ).toEqual([
      400,
      { message: 'You are attempting to update a file that has changed since you started editing it.' },
    ]);
    expect((await call('GET', `${file(path)}/raw?ref=files`)).body).toBe('two');
    const head = await call('HEAD', `${file(path)}?ref=files`);
    expect([
      head.status,
      head.headers.get('x-gitlab-size'),
      head.headers.get('x-gitlab-last-commit-id'),
    ]).toEqual([200, '3', expect.stringMatching(/^[0-9a-f]{40}$/)]);
    expect((await call('DELETE', file(path), { branch: 'files', commit_message: 'm' })).status).toBe(204);
    expect(await status(call('GET', `${file(path)}?ref=files`))).toEqual([
      404,
      { message: '404 File Not Found' },
    ]);
    expect(await status(call('GET', `${file(path)}?ref=nowhere`))).toEqual([
      404,
      { message: '404 Commit Not Found' },
    ]);
    expect(
      await status(call('PUT', file('nope'), { branch: 'files', content: 'x', commit_message: 'm' })),
    ).toEqual([400, { message: "A file with this name doesn't exist" }]);
    expect(
      await status(call('POST', file('nope'), { branch: 'nobranch', content: 'x', commit_message: 'm' })),
    ).toEqual([400, { message: 'You can only create or edit files when you are on a branch' }]);
    expect(
      (await call('POST', file('../etc'), { branch: 'files', content: 'x', commit_message: 'm' })).status,
    ).toBe(400);
  });

  it('a commit of several actions is one commit, and compare, diff and refs show it', async () => {
    const commit = await gitlab.ok('POST', `/projects/${project.id}/repository/commits`, {
      branch: 'multi',
      start_branch: 'main',
      commit_message: 'Many\n\nbody',
      author_name: 'A',
      author_email: 'a@example.com',
      actions: [
        { action: 'create', file_path: 'a.sh', content: 'echo', execute_filemode: true },
        { action: 'move', file_path: 'READ.md', previous_path: 'README.md' },
        { action: 'create', file_path: 'd/b', content: 'b' },
      ],
    });
    expect(commit).toMatchObject({ title: 'Many', author_name: 'A', parent_ids: [expect.any(String)] });
    const diff = await gitlab.ok('GET', `/projects/${project.id}/repository/commits/${commit.id}/diff`);
    expect(diff.map((row: Body) => [row.new_path, row.new_file, row.renamed_file, row.b_mode])).toEqual([
      ['READ.md', false, true, '100644'],
      ['a.sh', true, false, '100755'],
      ['d/b', true, false, '100644'],
    ]);
    const compare = await gitlab.ok('GET', `/projects/${project.id}/repository/compare?from=main&to=multi`);
    expect(compare.commits.map((row: Body) => row.id)).toEqual([commit.id]);
    expect(await gitlab.ok('GET', `/projects/${project.id}/repository/commits/${commit.id}/refs`)).toEqual([
      { type: 'branch', name: 'multi' },
    ]);
    const tree = await gitlab.ok('GET', `/projects/${project.id}/repository/tree?ref=multi&recursive=true`);
    expect(tree.map((row: Body) => row.path)).toEqual(['d', 'READ.md', 'a.sh', 'd/b']);
  });

  it('a developer may not commit to a protected branch', async () => {
    const dev = await gitlab.user('dev2', project.id, 30);
    expect(
      await status(call('POST', file('x'), { branch: 'main', content: 'x', commit_message: 'm' }, dev.token)),
    ).toEqual([400, { message: 'You are not allowed to push into this branch' }]);
  });

  it('branches and tags: made, refused twice, removed', async () => {
    const branches = `/projects/${project.id}/repository/branches`;
    await gitlab.ok('POST', branches, { branch: 'b/1', ref: 'main' });
    expect(await status(call('POST', branches, { branch: 'b/1', ref: 'main' }))).toEqual([
      400,
      { message: 'Branch already exists' },
    ]);
    expect((await call('POST', branches, { branch: 'b 2', ref: 'main' })).status).toBe(400);
    expect((await call('DELETE', `${branches}/b%2F1`)).status).toBe(204);
    expect(await status(call('GET', `${branches}/b%2F1`))).toEqual([
      404,
      { message: '404 Branch Not Found' },
    ]);
    expect((await call('DELETE', `${branches}/main`)).status).toBe(400);
    const tags = `/projects/${project.id}/repository/tags`;
    expect(await gitlab.ok('POST', tags, { tag_name: '1.0', ref: 'main', message: 'One' })).toMatchObject({
      name: '1.0',
      message: 'One',
      commit: { id: expect.any(String) },
    });
    expect((await call('POST', tags, { tag_name: '1.0', ref: 'main' })).status).toBe(400);
    expect((await call('DELETE', `${tags}/1.0`)).status).toBe(204);
  });

  it('an archived project takes no change', async () => {
    const old = await gitlab.project('old');
    await gitlab.ok('POST', `/projects/${old.id}/archive`);
    expect(
      (await call('POST', `/projects/${old.id}/repository/branches`, { branch: 'x', ref: 'main' })).status,
    ).toBe(403);
    await gitlab.ok('POST', `/projects/${old.id}/unarchive`);
    expect(
      (await call('POST', `/projects/${old.id}/repository/branches`, { branch: 'x', ref: 'main' })).status,
    ).toBe(201);
  });
});
