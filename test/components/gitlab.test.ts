import { topologyBoxes } from '../../components/boxes';
import type { Model } from '../../components/model';
import type { Declaration } from '../../components/shared/declaration';
import { secretRef, shown } from '../../components/shared/references';
import { whyNoQueue } from '../../stacks/merge-queue';
import { modelOf, testModel } from '../support/model';

const gitlabOf = (keys = ''): Declaration[] =>
  topologyBoxes(modelOf({ gitlab: keys }))
    .filter(({ box }) => box === 'gitlab')
    .flatMap(({ declarations }) => [...declarations]);
const argsOf = (name: string, keys = ''): unknown =>
  shown(gitlabOf(keys).find((declaration) => declaration.name === name)?.args);
const namesOf = (keys = ''): string[] =>
  gitlabOf(keys)
    .map(({ name }) => name)
    .sort();

const KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJjyd5AEq/fcQpVO46dXWPKitUBaUFedCmKGwzViz8bI mirror';

test('on free, with nothing chosen, GitLab has the group, its bot and reader, three projects, their main branches and a hook and a label', () => {
  expect(namesOf()).toEqual([
    'gitlab-bot',
    'gitlab-group',
    'gitlab-ledger',
    'gitlab-ledger-main',
    'gitlab-library',
    'gitlab-library-main',
    'gitlab-library-vars-modulePipeline-groovy',
    'gitlab-reader',
    'gitlab-shop',
    'gitlab-shop-hook',
    'gitlab-shop-label-first',
    'gitlab-shop-main',
  ]);
});

test("a module's project merges by choice, only what is green, and nothing of it is left after a destroy", () => {
  expect(argsOf('gitlab-shop', 'mergeMethod: ff, squash: always, resolveDiscussions: true')).toEqual({
    name: 'shop',
    path: 'shop',
    namespaceId: '«output:gitlab-group:id»',
    description: 'sells',
    visibilityLevel: 'private',
    defaultBranch: 'main',
    initializeWithReadme: true,
    permanentlyDeleteOnDestroy: true,
    autoDevopsEnabled: false,
    lfsEnabled: false,
    ciConfigPath: '.switchyard/gitlab-ci.yml',
    mergeMethod: 'ff',
    squashOption: 'always',
    onlyAllowMergeIfPipelineSucceeds: true,
    onlyAllowMergeIfAllDiscussionsAreResolved: true,
    removeSourceBranchAfterMerge: true,
    sharedRunnersEnabled: false,
  });
});

test('no project of ours has Auto DevOps', () => {
  const topology = modelOf({ topologyProject: 'path: topology' });
  const projects = topologyBoxes(topology)
    .flatMap(({ declarations }) => declarations)
    .filter(({ type }) => type === 'gitlab:index/project:Project');
  expect(projects.map(({ name }) => name).sort()).toEqual([
    'gitlab-ledger',
    'gitlab-library',
    'gitlab-shop',
    'gitlab-topology',
  ]);
  for (const { args } of projects) expect(args).toMatchObject({ autoDevopsEnabled: false });
});

test('every project is removed for good, unless GitLab allows it to none; a group at the top level never is', () => {
  for (const [keys, permanentlyDeleteOnDestroy] of [
    ['', true],
    ['deletion: scheduled', false],
  ] as const)
    for (const { type, args } of gitlabOf(keys)) {
      if (type === 'gitlab:index/project:Project') expect(args).toMatchObject({ permanentlyDeleteOnDestroy });
      if (type === 'gitlab:index/group:Group') expect(args).not.toHaveProperty('permanentlyRemoveOnDelete');
    }
});

test('nobody pushes to main, the chosen role merges, and nobody forces', () => {
  expect(argsOf('gitlab-shop-main', 'mergeRole: developer')).toEqual({
    project: '«output:gitlab-shop:id»',
    branch: 'main',
    pushAccessLevel: 'no one',
    mergeAccessLevel: 'developer',
    allowForcePush: false,
  });
});

test('the bot rotates by rule, or ends on a day: never both', () => {
  const common = {
    group: '«output:gitlab-group:id»',
    name: 'switchyard-bot',
    accessLevel: 'maintainer',
    scopes: ['api', 'read_repository', 'write_repository'],
  };
  expect(argsOf('gitlab-bot', 'botTokenRotation: { days: 90, before: 14 }')).toEqual({
    ...common,
    rotationConfiguration: { expirationDays: 90, rotateBeforeDays: 14 },
  });
  expect(argsOf('gitlab-bot', 'botTokenExpires: "2030-01-01"')).toEqual({
    ...common,
    expiresAt: '2030-01-01',
  });
});

test('what only reads has a token of its own, which a reporter could have, and which ends as the bot’s does', () => {
  const common = {
    group: '«output:gitlab-group:id»',
    name: 'switchyard-reader',
    accessLevel: 'reporter',
    scopes: ['read_api', 'read_repository'],
  };
  expect(argsOf('gitlab-reader', 'botTokenRotation: { days: 90, before: 14 }')).toEqual({
    ...common,
    rotationConfiguration: { expirationDays: 90, rotateBeforeDays: 14 },
  });
  expect(argsOf('gitlab-reader', 'botTokenExpires: "2030-01-01"')).toEqual({
    ...common,
    expiresAt: '2030-01-01',
  });
});

test('with Premium each merge request needs approvals that its author cannot give', () => {
  const keys = 'tier: premium, approvals: { required: 2, codeOwners: true }';
  expect(argsOf('gitlab-shop-approvals', keys)).toEqual({
    project: '«output:gitlab-shop:id»',
    resetApprovalsOnPush: true,
    mergeRequestsAuthorApproval: false,
    mergeRequestsDisableCommittersApproval: true,
    disableOverridingApproversPerMergeRequest: true,
  });
  expect(argsOf('gitlab-shop-approval-rule', keys)).toEqual({
    project: '«output:gitlab-shop:id»',
    name: 'Any approver',
    ruleType: 'any_approver',
    approvalsRequired: 2,
  });
  expect(argsOf('gitlab-shop-main', keys)).toMatchObject({ codeOwnerApprovalRequired: true });
});

test.each(['tier: free', 'tier: premium', 'tier: ultimate'])(
  'with %s and no approvals asked for, nothing of a higher tier is made',
  (tier) => {
    const declarations = gitlabOf(tier);
    expect(declarations.filter(({ type }) => /Approval/.test(type))).toEqual([]);
    expect(JSON.stringify(declarations)).not.toContain('codeOwner');
    expect(JSON.stringify(declarations)).not.toContain('allowedTo');
  },
);

test('people get their role by user name: in the group, and owners of a module in its project', () => {
  const keys = 'ownersRole: maintainer, members: { grace: reporter, bob: developer }';
  expect(argsOf('gitlab-shop-owner-ada', keys)).toEqual({
    project: '«output:gitlab-shop:id»',
    userId: '«found:user:ada»',
    accessLevel: 'maintainer',
  });
  expect(argsOf('gitlab-member-bob', keys)).toEqual({
    groupId: '«output:gitlab-group:id»',
    userId: '«found:user:bob»',
    accessLevel: 'developer',
  });
  expect(namesOf(keys)).toContain('gitlab-member-grace');
  expect(namesOf('members: { bob: guest }').filter((name) => name.includes('owner'))).toEqual([]);
});

test('a deploy key reads only unless it is told to push, and goes to the modules that it names', () => {
  const key = (rest: string) => `deployKeys: [{ title: Mirror 1, key: "${KEY}"${rest} }]`;
  expect(argsOf('gitlab-shop-key-mirror-1', key(''))).toEqual({
    project: '«output:gitlab-shop:id»',
    title: 'Mirror 1',
    key: KEY,
    canPush: false,
  });
  expect(argsOf('gitlab-shop-key-mirror-1', key(', canPush: true'))).toMatchObject({ canPush: true });
  expect(namesOf(key(', modules: [other]')).filter((name) => name.includes('-key-'))).toEqual([]);
});

test('labels are those of the stack', () => {
  expect(
    argsOf('gitlab-shop-label-needs-review', 'labels: [{ name: "needs::review", color: "#1f75cb" }]'),
  ).toEqual({ project: '«output:gitlab-shop:id»', name: 'needs::review', color: '#1f75cb' });
});

const queueLabelsOf = (model: Model) =>
  topologyBoxes(model)
    .flatMap(({ declarations }) => declarations.map(({ name }) => name))
    .filter((name) => name.endsWith('-label-first'));

test.each([
  ['', 'automatic', ''],
  ['', 'reviewed', ''],
  ['', 'manual', ''],
  ['mergeMethod: ff, rebase: bot', 'automatic', ''],
  ['mergeMethod: rebase_merge, rebase: bot', 'reviewed', ''],
  ['mergeMethod: ff, rebase: bot', 'manual', ''],
  ['mergeMethod: ff, projects: { shop: { existing: old/shop } }', 'reviewed', ''],
  [
    'mergeMethod: ff',
    'automatic',
    "gitlab.mergeMethod: ff merges only what stands on main's head, and gitlab.rebase: people leaves that to people",
  ],
] as const)('why no merge queue is kept is said: {%s} with merge: %s', (gitlab, merge, why) => {
  const model = modelOf({ gitlab });
  const [module] = model.modules;
  if (!module) throw new Error('no module');
  const asked = { ...module, merge };
  expect(whyNoQueue(model.settings, asked) ?? '').toBe(why);
});

test('a label puts one first in the queue of each module that keeps one, and only there', () => {
  const label = 'gitlab-shop-label-first';
  expect(argsOf(label)).toEqual({
    project: '«output:gitlab-shop:id»',
    name: 'switchyard::first',
    color: '#d9534f',
    description: 'Goes first in the merge queue, with all that it depends on',
  });
  expect(namesOf('mergeMethod: ff')).not.toContain(label);
  const rebased = modelOf({ gitlab: 'mergeMethod: ff, rebase: bot' });
  expect(queueLabelsOf(rebased)).toEqual([label]);
  // What a project that was there before merges by is its own.
  expect(namesOf('mergeMethod: ff, projects: { shop: { existing: old/shop } }')).toContain(label);
  const names = (model: Model) =>
    topologyBoxes(model).flatMap(({ declarations }) => declarations.map(({ name }) => name));
  expect(names(modelOf({ jenkins: 'existing: { namespace: theirs }' }))).not.toContain(label);
  // What people merge comes into the queue by a label of theirs.
  const letIn = 'gitlab-shop-label-merge';
  const byHand = testModel().modules.map((module) => ({ ...module, merge: 'manual' as const }));
  expect(names(testModel())).not.toContain(letIn);
  expect(names(testModel({ modules: byHand }))).toEqual(expect.arrayContaining([label, letIn]));
});

test("the hook's token is a secret's reference, and certificates are checked wherever there are some", () => {
  const hook = (url: string) =>
    topologyBoxes(modelOf({ jenkinsUrl: url }))
      .flatMap(({ declarations }) => declarations)
      .find(({ name }) => name === 'gitlab-shop-hook')?.args;
  expect(hook('https://jenkins.test')).toMatchObject({
    token: secretRef('hook/shop'),
    pushEventsBranchFilter: 'main',
    enableSslVerification: true,
  });
  expect(hook('http://jenkins.test')).toMatchObject({ enableSslVerification: false });
});
