import { startTestGitLab, stopAll, type TestGitLab } from './support';

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
