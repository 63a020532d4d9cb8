import { ProblemsError } from '../../catalog/problems';
import { serverOf } from '../../clients/kubeconfig';
import { wantedBoxes } from '../../components/boxes';
import { type Ask, lookUp } from '../../components/lookups';
import type { Model } from '../../components/model';
import { modelOf } from '../support/model';

const good = {
  id: 7,
  archived: false,
  default_branch: 'main',
  merge_method: 'merge',
  only_allow_merge_if_pipeline_succeeds: true,
  path_with_namespace: 'old/shop',
  shared_with_groups: [{ group_full_path: 'team/ci', group_access_level: 40 }],
};

/** A GitLab that answers these paths, and what it was asked. */
function gitlab(answers: Record<string, unknown>): { ask: Ask; asked: string[] } {
  const asked: string[] = [];
  return {
    asked,
    ask: async (path) => {
      asked.push(path);
      return path === 'metadata' && !(path in answers) ? { enterprise: true } : answers[path];
    },
  };
}
const run = (model: Model, ask: Ask, only?: string[]) =>
  lookUp(model, wantedBoxes(model, only), 'token', ask);
const faults = (model: Model, answers: Record<string, unknown>): Promise<string[]> =>
  run(model, gitlab(answers).ask).then(
    () => [],
    (error: unknown) => {
      if (error instanceof ProblemsError) return error.message.split('\n');
      throw error;
    },
  );

test('a topology that adopts nothing asks GitLab which package it is, and whether its group is about to go', async () => {
  const { ask, asked } = gitlab({});
  expect(await run(modelOf({}), ask)).toEqual({ 'edition:gitlab': 'enterprise' });
  expect(asked).toEqual(['groups/switchyard?with_projects=false', 'metadata']);
  const community = gitlab({ metadata: { enterprise: false } });
  expect(await run(modelOf({}), community.ask)).toEqual({ 'edition:gitlab': 'community' });
});

test('a group that is about to be deleted and has not left its name is told; one that has is in nobody’s way', async () => {
  const path = 'groups/switchyard?with_projects=false';
  const group = { id: 7, full_path: 'switchyard', marked_for_deletion_on: '2026-11-27' };
  expect(await faults(modelOf({}), { [path]: group })).toEqual([
    expect.stringMatching(
      /^stacks\/Pulumi\.test\.yaml: config\.gitlab\.group: the group "switchyard" is scheduled for deletion since 2026-11-27/,
    ),
  ]);
  // GitLab follows a redirect from the old name to the renamed one.
  const renamed = { ...group, full_path: 'switchyard-deletion_scheduled-7' };
  for (const found of [renamed, { ...group, marked_for_deletion_on: null }])
    expect(await run(modelOf({}), gitlab({ [path]: found }).ask)).toEqual({ 'edition:gitlab': 'enterprise' });
});

test('a GitLab that hides its package, and a licence that its package cannot have, are told', async () => {
  expect(await faults(modelOf({}), { metadata: undefined })).toEqual([
    'stacks/Pulumi.test.yaml: config.gitlab.url: GitLab does not say whether it is a Community or an Enterprise package (GET metadata). Give a token with the api scope; GitLab must be 15.6 or newer.',
  ]);
  const premium = modelOf({ gitlab: 'tier: premium, botTokenExpires: "2030-01-01"' });
  expect(await faults(premium, { metadata: { enterprise: false } })).toEqual([
    'stacks/Pulumi.test.yaml: config.gitlab.tier: "premium" is not to be had: this GitLab is a Community package. Write "free", or install the Enterprise package.',
  ]);
});

test('groups, projects and people are found by path and name, each asked for once', async () => {
  const { ask, asked } = gitlab({
    'groups/team%2Fci?with_projects=false': { id: 3 },
    'projects/old%2Fshop': good,
    'users?username=ada': [{ id: 11 }],
  });
  const keys =
    'group: { existing: team/ci }, projects: { shop: { existing: old/shop } }, ownersRole: developer, members: { ada: guest }';
  expect(await run(modelOf({ gitlab: keys }), ask)).toEqual({
    'group:team/ci': '3',
    'project:old/shop': '7',
    'user:ada': '11',
    'edition:gitlab': 'enterprise',
  });
  expect(asked).toHaveLength(5);
});

test('a deploy of one module looks nothing up', async () => {
  const { ask, asked } = gitlab({});
  expect(await run(modelOf({ gitlab: 'group: { existing: team/ci }' }), ask, ['shop'])).toEqual({});
  expect(asked).toEqual([]);
});

test('all that is missing is told at once, each by the key that names it', async () => {
  const keys =
    'group: { existing: team/ci }, projects: { shop: { existing: old/shop } }, members: { bob: guest }, ownersRole: guest';
  expect(await faults(modelOf({ gitlab: keys }), {})).toEqual([
    'stacks/Pulumi.test.yaml: config.gitlab.group.existing: GitLab has no group "team/ci", or this token may not see it. Write its full path, and give a token of one of its owners.',
    'stacks/Pulumi.test.yaml: config.gitlab.members.bob: GitLab has no user "bob". Write the user name as in the profile, without "@".',
    'stacks/Pulumi.test.yaml: config.gitlab.projects.shop.existing: GitLab has no project "old/shop", or this token may not maintain it. Write its full path, and give a token of one of its maintainers.',
    'catalog/modules/shop.yaml: owners: GitLab has no user "ada". Write the user name as in the profile, without "@".',
  ]);
});

test('an existing project with pipelines of its own is taken, and that GitLab judges by those is said', async () => {
  const model = modelOf({ gitlab: 'projects: { shop: { existing: old/shop } }' });
  const said = async (project: object, files: Record<string, unknown>): Promise<string[]> => {
    const lines: string[] = [];
    const { ask } = gitlab({ 'projects/old%2Fshop': { ...good, ...project }, ...files });
    await lookUp(model, wantedBoxes(model), 'token', ask, async (line) => {
      lines.push(line);
    });
    return lines;
  };
  const file = { 'projects/old%2Fshop/repository/files/.gitlab-ci.yml?ref=main': { size: 1 } };
  expect(await said({}, {})).toEqual([]);
  expect(await said({}, file)).toEqual([
    expect.stringMatching(
      /^stacks\/Pulumi\.test\.yaml: config\.gitlab\.projects\.shop\.existing: "old\/shop" has pipelines of its own \(\.gitlab-ci\.yml\)\. .* Remove that file/,
    ),
  ]);
  expect(await said({ ci_config_path: '.switchyard/gitlab-ci.yml' }, file)).toEqual([]);
  expect(await said({ ci_config_path: 'ci.yml@platform/ci' }, {})).toHaveLength(1);
});

test('an existing project whose settings would break the pipeline is refused, with what to change', async () => {
  const model = modelOf({ gitlab: 'projects: { shop: { existing: old/shop } }, mergeMethod: ff' });
  const project = {
    ...good,
    default_branch: 'master',
    auto_devops_enabled: true,
    only_allow_merge_if_pipeline_succeeds: false,
  };
  const messages = await faults(model, { 'projects/old%2Fshop': project });
  expect(messages.map((message) => message.replace(/^.*existing: /, ''))).toEqual([
    'the default branch of "old/shop" is not main. Rename it, or make main the default branch.',
    '"old/shop" has Auto DevOps on, whose pipeline our status would join and never end. Turn it off in its CI/CD settings.',
    '"old/shop" can be merged without a green pipeline. Turn on "Pipelines must succeed" in its merge request settings.',
    '"old/shop" merges by "merge", the stack by "ff". Change either the project or gitlab.mergeMethod.',
  ]);
});

test('an existing project must let the bot of an existing group in', async () => {
  const model = modelOf({
    gitlab: 'group: { existing: team/ci }, projects: { shop: { existing: old/shop } }',
  });
  const messages = (project: object) =>
    faults(model, {
      'groups/team%2Fci?with_projects=false': { id: 3 },
      'projects/old%2Fshop': { ...good, ...project },
    });
  expect(await messages({})).toEqual([]);
  expect(await messages({ shared_with_groups: [], path_with_namespace: 'team/ci/shop' })).toEqual([]);
  for (const shared_with_groups of [[], [{ group_full_path: 'team/ci', group_access_level: 30 }]])
    expect(await messages({ shared_with_groups })).toEqual([
      'stacks/Pulumi.test.yaml: config.gitlab.projects.shop.existing: "old/shop" is neither in the group "team/ci" nor shared with it, so its bot cannot work there. Share the project with the group, as maintainer.',
    ]);
});

describe('hooks to a private address', () => {
  const settings = (allowed: boolean, list: string[] = []) => ({
    'application/settings': {
      allow_local_requests_from_web_hooks_and_services: allowed,
      outbound_local_requests_whitelist: list,
    },
  });
  const at = (jenkinsUrl: string) => modelOf({ jenkinsUrl });

  test.each([
    'http://10.1.2.3:8080',
    'http://192.168.0.9',
    'http://localhost:8080',
    'http://[fd00::1]',
    'http://100.64.0.1',
  ])('are told before anything is made, when GitLab forbids them: %s', async (url) => {
    const [message, ...rest] = await faults(at(url), settings(false));
    expect(message).toMatch(
      /^stacks\/Pulumi\.test\.yaml: config\.jenkins\.url: .* is a private address, and this GitLab forbids hooks to those\. Have an administrator allow it/,
    );
    expect(rest).toEqual([]);
  });

  test('pass when GitLab allows them, lists some, or does not say', async () => {
    expect(await faults(at('http://10.1.2.3'), settings(true))).toEqual([]);
    expect(await faults(at('http://10.1.2.3'), settings(false, ['10.1.2.3']))).toEqual([]);
    expect(await faults(at('http://10.1.2.3'), {})).toEqual([]);
    const named = (outbound_local_requests_allowlist_raw?: string) => ({
      'application/settings': {
        allow_local_requests_from_web_hooks_and_services: false,
        outbound_local_requests_allowlist_raw,
      },
    });
    expect(await faults(at('http://10.1.2.3'), named('10.0.0.0/8'))).toEqual([]);
    expect(await faults(at('http://10.1.2.3'), named())).toEqual([]);
    expect(await faults(at('http://10.1.2.3'), named(''))).toHaveLength(1);
  });

  test.each(['https://jenkins.test', 'http://198.18.0.2:30080', 'http://8.8.8.8'])(
    '%s is none',
    async (url) => {
      expect(await faults(at(url), settings(false))).toEqual([]);
    },
  );
});

describe('the API server of production', () => {
  const kubeconfig = (server: string) =>
    JSON.stringify({
      contexts: [{ name: 'two', context: { cluster: 'k' } }],
      clusters: [{ name: 'k', cluster: { server } }],
    });
  const clusters = 'ci: { context: one }, production: { context: two, kubeconfig: TEST_KUBECONFIG }';
  afterEach(() => {
    delete process.env.TEST_KUBECONFIG;
  });

  test('is the one that the context names', async () => {
    process.env.TEST_KUBECONFIG = kubeconfig('https://two.test:6443');
    expect(await run(modelOf({ clusters }), gitlab({}).ask)).toEqual({
      'server:production': 'https://two.test:6443',
      'edition:gitlab': 'enterprise',
    });
    expect(serverOf('three', [kubeconfig('https://x')])).toBeUndefined();
  });

  test('is asked for where the kubeconfig has an address that only this machine reaches', async () => {
    process.env.TEST_KUBECONFIG = kubeconfig('https://127.0.0.1:6443');
    expect(await faults(modelOf({ clusters }), {})).toEqual([
      'stacks/Pulumi.test.yaml: config.clusters.production.server: the kubeconfig\'s server of "two" is https://127.0.0.1:6443, which Pods of the ci cluster cannot reach. Add the address of its API server, e.g. "https://10.0.0.1:6443".',
    ]);
  });
});
