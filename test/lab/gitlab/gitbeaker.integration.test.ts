// Facts of GitLab: as @gitbeaker/rest takes them, the client that Node.js programs use.

import { Gitlab } from '@gitbeaker/rest';
import { ROOT_TOKEN, startTestGitLab, stopAll, type TestGitLab } from './support';

let gitlab: TestGitLab;
let api: InstanceType<typeof Gitlab<false>>;

beforeAll(async () => {
  gitlab = await startTestGitLab();
  api = new Gitlab({ host: gitlab.url, token: ROOT_TOKEN });
});
afterAll(stopAll);

describe('@gitbeaker/rest', () => {
  it('takes a merge request from a new group to main', async () => {
    const group = await api.Groups.create('Team', 'team');
    const project = await api.Projects.create({
      name: 'orders',
      namespaceId: group.id,
      initializeWithReadme: true,
      onlyAllowMergeIfPipelineSucceeds: true,
    });
    expect(await api.Projects.show('team/orders')).toMatchObject({
      id: project.id,
      path_with_namespace: 'team/orders',
    });

    await api.ProtectedBranches.unprotect(project.id, 'main');
    const rule = await api.ProtectedBranches.protect(project.id, 'main', {
      pushAccessLevel: 0,
      mergeAccessLevel: 40,
    });
    expect(rule.push_access_levels?.[0]?.access_level).toBe(0);

    const hook = await api.ProjectHooks.add(project.id, 'http://ci.example.com/hook', {
      mergeRequestsEvents: true,
      token: 'secret',
    });
    expect(await api.ProjectHooks.show(project.id, hook.id)).toMatchObject({
      merge_requests_events: true,
      push_events: true,
    });

    const commit = await api.Commits.create(
      project.id,
      'topic',
      'Change',
      [{ action: 'create', filePath: 'a.txt', content: 'a' }],
      { startBranch: 'main' },
    );
    const mr = await api.MergeRequests.create(project.id, 'topic', 'main', 'Topic');
    expect(mr).toMatchObject({ iid: 1, sha: commit.id });
    await expect(api.MergeRequests.create(project.id, 'topic', 'main', 'Again')).rejects.toMatchObject({
      cause: { response: { status: 409 } },
    });
    await expect(api.MergeRequests.merge(project.id, mr.iid, { sha: commit.id })).rejects.toMatchObject({
      cause: { response: { status: 405 } },
    });

    await api.Commits.editStatus(project.id, commit.id, 'success', {
      ref: 'topic',
      name: 'switchyard',
      targetUrl: 'http://ci.example.com/1',
    });
    expect(await api.Commits.allStatuses(project.id, commit.id)).toMatchObject([
      { status: 'success', name: 'switchyard' },
    ]);

    const note = await api.MergeRequestNotes.create(project.id, mr.iid, 'Tested');
    await api.MergeRequestNotes.edit(project.id, mr.iid, note.id, { body: 'Tested twice' });
    expect(await api.MergeRequestNotes.all(project.id, mr.iid)).toMatchObject([{ body: 'Tested twice' }]);

    expect(await api.MergeRequests.merge(project.id, mr.iid, { sha: commit.id })).toMatchObject({
      state: 'merged',
    });
    expect((await api.RepositoryFiles.show(project.id, 'a.txt', 'main')).last_commit_id).toBe(commit.id);
    expect(await api.MergeRequests.all({ projectId: project.id, state: 'opened' })).toEqual([]);
  });

  it('opens, finds, edits, closes and reopens an issue', async () => {
    const project = await api.Projects.create({ name: 'issues', initializeWithReadme: true });
    const issue = await api.Issues.create(project.id, 'Drift in lab', {
      description: 'one differs',
      labels: 'drift',
    });
    expect(issue).toMatchObject({ iid: 1, state: 'opened', labels: ['drift'] });
    await api.Issues.create(project.id, 'Another');
    const found = (state: 'opened' | 'closed') =>
      api.Issues.all({ projectId: project.id, labels: 'drift', state, search: 'Drift in', in: 'title' });
    expect(await found('opened')).toMatchObject([{ iid: 1 }]);
    await api.Issues.edit(project.id, issue.iid, { description: 'two differ' });
    await api.IssueNotes.create(project.id, issue.iid, 'gone');
    await api.Issues.edit(project.id, issue.iid, { stateEvent: 'close' });
    expect(await found('opened')).toEqual([]);
    expect(await found('closed')).toMatchObject([{ description: 'two differ', user_notes_count: 1 }]);
    await api.Issues.edit(project.id, issue.iid, { stateEvent: 'reopen' });
    expect(await api.Issues.show(issue.iid, { projectId: project.id })).toMatchObject({
      state: 'opened',
      closed_at: null,
    });
    expect(await api.IssueNotes.all(project.id, issue.iid)).toMatchObject([{ body: 'gone' }]);
    expect((await api.ProjectLabels.all(project.id)).map(({ name }) => name)).toEqual(['drift']);
  });

  it('pages through a list to its end', async () => {
    const project = await api.Projects.create({ name: 'paged', initializeWithReadme: true });
    for (let index = 0; index < 7; index += 1)
      await api.ProjectVariables.create(project.id, `KEY_${index}`, 'v');
    const all = await api.ProjectVariables.all(project.id, { perPage: 3 });
    expect(all.map(({ key }) => key)).toEqual(Array.from({ length: 7 }, (_, index) => `KEY_${index}`));
  });

  it('makes, rotates and revokes the token of a bot', async () => {
    const project = await api.Projects.create({ name: 'bots', initializeWithReadme: true });
    const token = await api.ProjectAccessTokens.create(project.id, 'bot', ['api'], '2027-01-01', {
      accessLevel: 40,
    });
    const bot = new Gitlab({ host: gitlab.url, token: String(token.token) });
    expect(await bot.Users.showCurrentUser()).toMatchObject({ id: token.user_id, bot: true });
    await bot.RepositoryFiles.create(project.id, 'production.yaml', 'main', 'modules: {}\n', 'Ledger');
    const next = await api.ProjectAccessTokens.rotate(project.id, token.id, { expiresAt: '2027-02-01' });
    await expect(bot.Users.showCurrentUser()).rejects.toMatchObject({ cause: { response: { status: 401 } } });
    await api.ProjectAccessTokens.revoke(project.id, next.id);
    const left = await api.ProjectAccessTokens.all(project.id);
    expect(left.filter(({ active }) => active)).toEqual([]);
  });

  it('joins a deploy key of one project to another under the same number', async () => {
    const key = `ssh-ed25519 ${Buffer.alloc(51, 7).toString('base64')}`;
    const first = await api.Projects.create({ name: 'keys-one', initializeWithReadme: true });
    const second = await api.Projects.create({ name: 'keys-two', initializeWithReadme: true });
    const made = await api.DeployKeys.create(first.id, 'mirror', key, { canPush: false });
    const joined = await api.DeployKeys.create(second.id, 'another title', key, { canPush: true });
    expect(joined).toMatchObject({ id: made.id, title: 'mirror', can_push: true });
    expect(await api.DeployKeys.show(first.id, made.id)).toMatchObject({ can_push: false });
    await api.DeployKeys.remove(second.id, made.id);
    await expect(api.DeployKeys.show(second.id, made.id)).rejects.toMatchObject({
      cause: { response: { status: 404 } },
    });
    expect(await api.DeployKeys.show(first.id, made.id)).toMatchObject({ title: 'mirror' });
  });

  it('rotates the token of a group, finds people by name, and makes them members by role', async () => {
    const group = await api.Groups.create('Crew', 'crew');
    const token = await api.GroupAccessTokens.create(group.id, 'bot', ['api'], '2027-01-01', {
      accessLevel: 40,
    });
    const next = await api.GroupAccessTokens.rotate(group.id, token.id, { expiresAt: '2027-02-01' });
    expect(next).toMatchObject({ expires_at: '2027-02-01', revoked: false });
    expect(next.token).not.toBe(token.token);
    expect(await api.GroupAccessTokens.show(group.id, token.id)).toMatchObject({ revoked: true });

    const { id } = await gitlab.user('ada');
    expect(await api.Users.all({ username: 'Ada' })).toMatchObject([{ id, username: 'ada' }]);
    expect(await api.Users.all({ username: 'nobody' })).toEqual([]);
    expect(await api.GroupMembers.add(group.id, 30, { userId: id })).toMatchObject({ access_level: 30 });
    const project = await api.Projects.create({
      name: 'ship',
      namespaceId: group.id,
      squashOption: 'always',
      initializeWithReadme: true,
    });
    expect(project.squash_option).toBe('always');
    expect(await api.ProjectMembers.add(project.id, 40, { userId: id })).toMatchObject({ access_level: 40 });
  });

  it('refuses a protected branch with what needs Premium', async () => {
    const project = await api.Projects.create({ name: 'free', initializeWithReadme: true });
    const protection = await gitlab.call('POST', `/projects/${project.id}/protected_branches`, {
      name: 'release',
      code_owner_approval_required: true,
    });
    expect(protection.status).toBe(400);
  });
});
