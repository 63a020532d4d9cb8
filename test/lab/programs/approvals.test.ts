import { type GitLabStack, startGitLabStack } from './gitlab-stack';

// Approvals, which need Premium: the GitLab boxes by the real engine and the lab's plug-in, against a licensed GitLab of
// the test's own.
jest.setTimeout(300_000);

const approvals = (text: string): string => `tier: premium, approvals: { ${text} }`;

let lab: GitLabStack;
let keys = approvals('required: 1');

beforeAll(async () => {
  lab = await startGitLabStack('approvals', () => keys, { tier: 'premium' });
});
afterAll(() => lab.close());

const SETTINGS = '/projects/switchyard%2Fshop/approvals';
const RULES = '/projects/switchyard%2Fshop/approval_rules';

test('a stack with approvals makes the rule and the settings, and a second up and a refresh change nothing', async () => {
  await lab.stack.up();
  expect(await lab.json(RULES)).toMatchObject([
    { name: 'Any approver', rule_type: 'any_approver', approvals_required: 1 },
  ]);
  expect(await lab.json(SETTINGS)).toMatchObject({
    reset_approvals_on_push: true,
    merge_requests_author_approval: false,
    merge_requests_disable_committers_approval: true,
    disable_overriding_approvers_per_merge_request: true,
  });
  expect((await lab.stack.up()).summary.resourceChanges).toEqual({ same: expect.any(Number) });
  expect((await lab.stack.refresh()).summary.resourceChanges?.update).toBeUndefined();
});

test('other numbers and choices change them in place', async () => {
  const [before] = await lab.json(RULES);
  keys = approvals('required: 2, resetOnPush: false, authorMayApprove: true');
  const { summary } = await lab.stack.up();
  expect(summary.resourceChanges).toMatchObject({ update: 2 });
  expect(summary.resourceChanges?.replace).toBeUndefined();
  expect(await lab.json(RULES)).toMatchObject([{ id: before.id, approvals_required: 2 }]);
  expect(await lab.json(SETTINGS)).toMatchObject({
    reset_approvals_on_push: false,
    merge_requests_author_approval: true,
  });
});

test('what someone changed by hand is seen by refresh and put back by up', async () => {
  const [{ id }] = await lab.json(RULES);
  await lab.api(`${RULES}/${id}`, { method: 'PUT', body: JSON.stringify({ approvals_required: 0 }) });
  expect((await lab.stack.refresh()).summary.resourceChanges?.update).toBe(1);
  await lab.stack.up();
  expect(await lab.json(RULES)).toMatchObject([{ id, approvals_required: 2 }]);
});

test('without approvals in the stack the rule goes, and the settings are what a new project has', async () => {
  keys = 'tier: premium';
  await lab.stack.up();
  expect(await lab.json(RULES)).toEqual([]);
  expect(await lab.json(SETTINGS)).toMatchObject({
    reset_approvals_on_push: true,
    merge_requests_author_approval: false,
    merge_requests_disable_committers_approval: false,
    disable_overriding_approvers_per_merge_request: false,
  });
  await lab.stack.destroy();
});
