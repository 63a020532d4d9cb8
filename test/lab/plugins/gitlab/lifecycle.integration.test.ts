// Facts of terraform-provider-gitlab, which the official plug-in wraps: docs/resources/group.md, project.md, project_hook.md,
// group_access_token.md, project_access_token.md, deploy_key.md, repository_file.md, project_label.md, project_membership.md,
// group_membership.md, branch_protection.md; names and types of the schema: sdks/gitlab.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type GitLab, startGitLab } from '../../../../lab/gitlab/server';
import { type Props, UNKNOWN } from '../../../../lab/plugins/shared/values';
import { type Resource, Stack } from './stack';

const TOKEN = 'glpat-root-0123456789abcdef';
let folder: string;
let gitlab: GitLab;
let stack: Stack;
let group: Resource;
let project: Resource;

async function call(method: string, route: string, body?: Props): Promise<{ status: number; body: Props }> {
  const response = await fetch(`${gitlab.url}/api/v4${route}`, {
    method,
    headers: { 'PRIVATE-TOKEN': TOKEN, 'content-type': 'application/json' },
    body: body && JSON.stringify(body),
  });
  const text = await response.text();
  return { status: response.status, body: text ? JSON.parse(text) : {} };
}

beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'gitlab-plugin-'));
  gitlab = await startGitLab({ dataDir: folder, rootToken: TOKEN, allowLocalHooks: true });
  stack = await Stack.at(gitlab.url, TOKEN);
  group = await stack.create('Group', 'group', {
    name: 'switchyard',
    path: 'switchyard',
    visibilityLevel: 'private',
  });
  project = await stack.create('Project', 'orders', {
    name: 'orders',
    // An output of another resource is a string, although the input is a number.
    namespaceId: group.id,
    visibilityLevel: 'private',
    defaultBranch: 'main',
    initializeWithReadme: true,
    mergeMethod: 'merge',
    onlyAllowMergeIfPipelineSucceeds: true,
    sharedRunnersEnabled: false,
    permanentlyDeleteOnDestroy: true,
  });
});

afterAll(async () => {
  await gitlab.close();
  rmSync(folder, { recursive: true });
});

/** The contract of every resource: nothing to do after it was made, nor after a refresh. */
async function expectSettled(resource: Resource): Promise<void> {
  expect(await stack.diff(resource)).toMatchObject({ changes: false, details: {} });
  const refreshed = await stack.refresh(resource);
  expect(refreshed).toEqual(resource);
}

test('a group and a project are settled after creation, with the documented outputs', async () => {
  await expectSettled(group);
  await expectSettled(project);
  expect(project.outputs).toMatchObject({
    pathWithNamespace: 'switchyard/orders',
    defaultBranch: 'main',
    namespaceId: Number(group.id),
    emptyRepo: false,
  });
  expect(project.outputs.httpUrlToRepo).toMatch(/\/switchyard\/orders\.git$/);
});

test('a changed setting is updated in place, and drift is seen by a refresh and put right by an update', async () => {
  const changed = { ...project.inputs, description: 'Orders of the shop', mergeMethod: 'ff' };
  expect((await stack.diff(project, changed)).details).toEqual({ description: 'add', mergeMethod: 'update' });
  project = await stack.update(project, changed);
  await expectSettled(project);
  await call('PUT', `/projects/${project.id}`, { only_allow_merge_if_pipeline_succeeds: false });
  const drifted = await stack.refresh(project);
  expect(drifted?.inputs.onlyAllowMergeIfPipelineSucceeds).toBe(false);
  if (!drifted) throw new Error('gone');
  expect((await stack.diff(drifted, project.inputs)).details).toEqual({
    onlyAllowMergeIfPipelineSucceeds: 'update',
  });
  project = await stack.update(drifted, project.inputs);
  expect((await call('GET', `/projects/${project.id}`)).body.only_allow_merge_if_pipeline_succeeds).toBe(
    true,
  );
});

test('the declared protection takes the place of the automatic one of the default branch', async () => {
  const inputs = {
    project: project.id,
    branch: 'main',
    allowedToPushes: [{ accessLevel: 'no one' }],
    allowedToMerges: [{ accessLevel: 'maintainer' }],
    allowForcePush: false,
  };
  const protection = await stack.create('BranchProtection', 'main', inputs);
  expect(protection.id).toBe(`${project.id}:main`);
  await expectSettled(protection);
  const { body } = await call('GET', `/projects/${project.id}/protected_branches/main`);
  expect(body).toMatchObject({
    push_access_levels: [{ access_level: 0 }],
    merge_access_levels: [{ access_level: 40 }],
  });
  const opened = await stack.update(protection, {
    ...inputs,
    allowedToPushes: [{ accessLevel: 'maintainer' }],
  });
  await expectSettled(opened);
  expect((await call('GET', `/projects/${project.id}/protected_branches/main`)).body).toMatchObject({
    push_access_levels: [{ access_level: 40 }],
  });
  const forced = await stack.update(opened, { ...inputs, allowForcePush: true });
  expect(forced.outputs.allowForcePush).toBe(true);
  await stack.delete(forced);
  expect(await stack.refresh(forced)).toBeUndefined();
});

test('a hook keeps its token secret, and its URL changes in place', async () => {
  const inputs = {
    project: project.id,
    url: 'http://127.0.0.1:1/project/switchyard/orders',
    token: 'hook-token-of-orders',
    pushEvents: true,
    pushEventsBranchFilter: 'main',
    mergeRequestsEvents: true,
    enableSslVerification: false,
  };
  let hook = await stack.create('ProjectHook', 'hook', inputs);
  expect(hook.id).toMatch(new RegExp(`^${project.id}:\\d+$`));
  await expectSettled(hook);
  const { pushEventsBranchFilter: _filter, ...everyBranch } = {
    ...inputs,
    url: 'http://127.0.0.1:1/project/other',
  };
  expect((await stack.diff(hook, everyBranch)).details).toEqual({
    url: 'update',
    pushEventsBranchFilter: 'delete',
  });
  hook = await stack.update(hook, everyBranch);
  await expectSettled(hook);
  const live = await call('GET', `/projects/${project.id}/hooks/${hook.id.split(':')[1]}`);
  expect(live.body).toMatchObject({
    url: 'http://127.0.0.1:1/project/other',
    push_events: true,
    merge_requests_events: true,
  });
  expect(live.body.push_events_branch_filter ?? '').toBe('');
  await stack.delete(hook);
  expect(await stack.refresh(hook)).toBeUndefined();
});

test('files are committed side by side on one branch, and only a change of content makes a commit', async () => {
  const file = (name: string, content: string) => ({
    project: project.id,
    branch: 'main',
    filePath: `vars/${name}`,
    content: Buffer.from(content).toString('base64'),
    encoding: 'base64',
    commitMessage: `Update ${name}`,
    authorName: 'Switchyard',
    authorEmail: 'switchyard@localhost',
  });
  const names = ['a.groovy', 'b.groovy', 'c.groovy', 'd.groovy'];
  const made = await Promise.all(
    names.map((name) => stack.create('RepositoryFile', name, file(name, `// ${name}\n`))),
  );
  for (const resource of made) await expectSettled(resource);
  const [first] = made;
  if (!first) throw new Error('not made');
  const head = async () =>
    (await call('GET', `/projects/${project.id}/repository/branches/main`)).body.commit;
  const before = await head();
  const retold = await stack.update(first, { ...first.inputs, commitMessage: 'Other words' });
  expect(await head()).toEqual(before);
  const changed = await stack.update(retold, { ...retold.inputs, ...file('a.groovy', '// new\n') });
  expect(await head()).not.toEqual(before);
  await expectSettled(changed);
  const imported = await stack.import('RepositoryFile', changed.id);
  expect(imported?.inputs).toMatchObject({
    filePath: 'vars/a.groovy',
    content: changed.inputs.content,
    encoding: 'base64',
  });
  await stack.delete(changed);
  expect(await stack.refresh(changed)).toBeUndefined();
  expect(await stack.refresh(made[1] ?? changed)).toBeDefined();
});

test('the content of a file that is already there is taken over only when asked', async () => {
  const inputs = {
    project: project.id,
    branch: 'main',
    filePath: 'README.md',
    content: '# ours\n',
    encoding: 'text',
    commitMessage: 'Ours',
  };
  await expect(stack.create('RepositoryFile', 'readme', inputs)).rejects.toThrow(
    /POST .*README\.md: 400 .*already exists/,
  );
  const adopted = await stack.create('RepositoryFile', 'readme', { ...inputs, overwriteOnCreate: true });
  await expectSettled(adopted);
});

test('the bot token works, stays in the state, and is revoked by deletion', async () => {
  const inputs = {
    group: group.id,
    name: 'switchyard-bot',
    accessLevel: 'maintainer',
    scopes: ['write_repository', 'api'],
    expiresAt: new Date(Date.now() + 30 * 86_400_000).toISOString().slice(0, 10),
  };
  const token = await stack.create('GroupAccessToken', 'bot', inputs);
  await expectSettled(token);
  const asBot = await fetch(`${gitlab.url}/api/v4/projects/${project.id}`, {
    headers: { 'PRIVATE-TOKEN': String(token.outputs.token) },
  });
  expect(asBot.status).toBe(200);
  expect((await stack.diff(token, { ...inputs, scopes: ['api'] })).replaces).toEqual(['scopes']);
  await stack.delete(token);
  expect(await stack.refresh(token)).toBeUndefined();
});

test('a token with a rotation rule is rotated in place when it is due', async () => {
  const rule = (expirationDays: number, rotateBeforeDays: number) => ({ expirationDays, rotateBeforeDays });
  const inputs = { project: project.id, name: 'rotated', scopes: ['read_api'], accessLevel: 'reporter' };
  const token = await stack.create('ProjectAccessToken', 'rotated', {
    ...inputs,
    rotationConfiguration: rule(20, 5),
  });
  await expectSettled(token);
  const due = { ...inputs, rotationConfiguration: rule(40, 30) };
  const rotated = await stack.update(token, due);
  expect(rotated.outputs.token).not.toBe(token.outputs.token);
  expect(rotated.outputs.expiresAt).not.toBe(token.outputs.expiresAt);
  await expectSettled(rotated);
  await stack.delete(rotated);
  expect(await stack.refresh(rotated)).toBeUndefined();
});

test("the bot's token of a group is rotated when it is due, although no input changed", async () => {
  const inputs = {
    group: group.id,
    name: 'switchyard-bot',
    scopes: ['api', 'read_repository', 'write_repository'],
    accessLevel: 'maintainer',
    rotationConfiguration: { expirationDays: 180, rotateBeforeDays: 30 },
  };
  const token = await stack.create('GroupAccessToken', 'gitlab-bot', inputs);
  await expectSettled(token);
  const soon = new Date(Date.now() + 29 * 86_400_000).toISOString().slice(0, 10);
  const old = { ...token, outputs: { ...token.outputs, expiresAt: soon } };
  expect(await stack.diff(old)).toMatchObject({
    changes: true,
    details: { expiresAt: 'update' },
    replaces: [],
  });
  const rotated = await stack.update(old, inputs);
  expect(rotated.id).toBe(token.id);
  expect(rotated.outputs.token).not.toBe(token.outputs.token);
  await expectSettled(rotated);
  await stack.delete(rotated);
});

test('a group and a project that were there before are read by their numbers, and nothing is written', async () => {
  const before = await call('GET', `/projects/${project.id}`);
  for (const [type, { id }] of [
    ['Group', group],
    ['Project', project],
  ] as const) {
    const read = await stack.refresh({ type, name: 'adopted', id, inputs: {}, outputs: {} });
    expect(read).toMatchObject({ id });
  }
  expect((await call('GET', `/projects/${project.id}`)).body).toEqual(before.body);
});

test.each([
  [
    'ProjectVariable',
    () => ({ project: project.id, key: 'MODE', value: 'lab', environmentScope: '*' }),
    { value: 'test' },
  ],
  [
    'ProjectLabel',
    () => ({ project: project.id, name: 'urgent', color: '#ff0000' }),
    { description: 'At once' },
  ],
  ['TagProtection', () => ({ project: project.id, tag: 'v*', createAccessLevel: 'maintainer' }), undefined],
  [
    'DeployKey',
    () => ({
      project: project.id,
      title: 'reader',
      key: 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBa3Vy5nS5j0pOqU1VnZ1n2x3f0Z4V8s2XW1Lb6mQk0H reader@lab',
      canPush: false,
    }),
    undefined,
  ],
  [
    'ProjectDeployToken',
    () => ({ project: project.id, name: 'puller', username: 'puller', scopes: ['read_repository'] }),
    undefined,
  ],
] as const)(
  '%s: settled after creation, updated where GitLab can, gone after deletion',
  async (type, make, change) => {
    let resource = await stack.create(type, 'thing', make());
    await expectSettled(resource);
    if (change) {
      resource = await stack.update(resource, { ...resource.inputs, ...change });
      await expectSettled(resource);
      expect(resource.outputs).toMatchObject(change);
    }
    await stack.delete(resource);
    expect(await stack.refresh(resource)).toBeUndefined();
  },
);

test('a user, and memberships in project and group', async () => {
  const user = await stack.create('User', 'dev', {
    username: 'dev',
    email: 'dev@example.com',
    name: 'Dev',
    password: 'Horse-battery-7-staple',
  });
  await expectSettled(user);
  for (const [type, owner] of [
    ['ProjectMembership', { project: project.id }],
    ['GroupMembership', { groupId: group.id }],
  ] as const) {
    const inputs = { ...owner, userId: user.id, accessLevel: 'developer' };
    let member = await stack.create(type, 'member', inputs);
    await expectSettled(member);
    member = await stack.update(member, { ...inputs, accessLevel: 'maintainer' });
    await expectSettled(member);
    await stack.delete(member);
    expect(await stack.refresh(member)).toBeUndefined();
  }
  const token = await stack.create('PersonalAccessToken', 'token', {
    userId: user.id,
    name: 'cli',
    scopes: ['api'],
    expiresAt: new Date(Date.now() + 30 * 86_400_000).toISOString().slice(0, 10),
  });
  await expectSettled(token);
  await stack.delete(token);
  await stack.delete(user);
});

test('an import takes over the identity, so that the program has nothing to change', async () => {
  const imported = await stack.import('Project', project.id);
  expect(imported?.inputs).toMatchObject({ name: 'orders', path: 'orders', namespaceId: Number(group.id) });
  expect(await stack.import('Project', '999999')).toBeUndefined();
});

test('a hook to a private address names the remedy', async () => {
  await call('PUT', '/application/settings', { allow_local_requests_from_web_hooks_and_services: false });
  const inputs = { project: project.id, url: 'http://127.0.0.1:1/x' };
  await expect(stack.create('ProjectHook', 'blocked', inputs)).rejects.toThrow(
    /^GitLab: POST \/projects\/\d+\/hooks: 422 .*allow_local_requests/,
  );
  await call('PUT', '/application/settings', { allow_local_requests_from_web_hooks_and_services: true });
});

test('a preview makes nothing and leaves unknown what only GitLab knows', async () => {
  const inputs = { name: 'preview', namespaceId: UNKNOWN };
  const type = 'gitlab:index/project:Project';
  const common = {
    type,
    name: 'p',
    urn: `urn:pulumi:t::t::${type}::p`,
    signal: new AbortController().signal,
  };
  const checked = await stack.provider.check({
    ...common,
    inputs,
    oldInputs: {},
    randomSeed: new Uint8Array(),
  });
  expect(checked.failures).toEqual([]);
  const { outputs } = await stack.provider.create({
    ...common,
    inputs: checked.inputs,
    preview: true,
    timeoutSeconds: 0,
  });
  expect(outputs).toMatchObject({ name: 'preview', namespaceId: UNKNOWN, httpUrlToRepo: UNKNOWN });
  expect((await call('GET', '/projects/switchyard%2Fpreview')).status).toBe(404);
});

test('deletion leaves no project behind, not even marked; a group at the top level waits under another name', async () => {
  await stack.delete(project);
  expect((await call('GET', `/projects/${project.id}`)).status).toBe(404);
  await stack.delete(project);
  await stack.delete(group);
  expect((await call('GET', `/groups/${group.id}`)).body).toMatchObject({
    full_path: `switchyard-deletion_scheduled-${group.id}`,
    marked_for_deletion_on: expect.any(String),
  });
});
