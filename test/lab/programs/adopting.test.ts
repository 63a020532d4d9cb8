import { FIRST_LABEL } from '../../../catalog/status';
import { type GitLabStack, startGitLabStack } from './gitlab-stack';

// The GitLab boxes of the topology by the real engine and the lab's plug-in, against a GitLab of the test's own.
jest.setTimeout(300_000);

const KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJjyd5AEq/fcQpVO46dXWPKitUBaUFedCmKGwzViz8bI mirror';
const CHOICES = [
  'squash: default_on',
  'ownersRole: maintainer',
  'members: { bob: developer }',
  'labels: [{ name: urgent, color: "#ff0000" }]',
  `deployKeys: [{ title: mirror, key: "${KEY}" }]`,
].join(', ');
const ADOPTED = `${CHOICES}, group: { existing: switchyard }, projects: { shop: { existing: switchyard/shop } }`;

let lab: GitLabStack;
let keys = CHOICES;

beforeAll(async () => {
  lab = await startGitLabStack('adopting', () => keys);
});
afterAll(() => lab.close());

test('all that may be chosen is made, and a second up and a refresh change nothing', async () => {
  await lab.stack.up();
  expect((await lab.stack.up()).summary.resourceChanges).toEqual({ same: expect.any(Number) });
  expect((await lab.stack.refresh()).summary.resourceChanges?.update).toBeUndefined();
  const shop = '/projects/switchyard%2Fshop';
  expect(await lab.json(shop)).toMatchObject({ squash_option: 'default_on' });
  const labels = (await lab.json(`${shop}/labels`)) as unknown as readonly { name: string }[];
  expect(labels.map(({ name }) => name).sort()).toEqual([FIRST_LABEL, 'urgent']);
  expect(await lab.json(`${shop}/deploy_keys`)).toMatchObject([{ title: 'mirror', can_push: false }]);
  expect(await lab.json(`${shop}/members`)).toMatchObject([{ username: 'ada', access_level: 40 }]);
  expect(await lab.json('/groups/switchyard/members')).toEqual(
    expect.arrayContaining([expect.objectContaining({ username: 'bob', access_level: 30 })]),
  );
});

test('what was made and is then declared as existing is let go: nothing is deleted or changed', async () => {
  const before = [await lab.json('/groups/switchyard'), await lab.json('/projects/switchyard%2Fshop')];
  keys = ADOPTED;
  const { summary } = await lab.stack.up();
  expect(summary.resourceChanges?.delete).toBeUndefined();
  expect(summary.resourceChanges?.update).toBeUndefined();
  expect(summary.resourceChanges?.create).toBeUndefined();
  const [group, project] = [
    await lab.json('/groups/switchyard'),
    await lab.json('/projects/switchyard%2Fshop'),
  ];
  expect([group, project]).toMatchObject([
    { id: before[0].id },
    { id: before[1].id, squash_option: 'default_on' },
  ]);
  const again = (await lab.stack.up()).summary.resourceChanges ?? {};
  for (const kind of ['create', 'update', 'delete', 'replace'] as const) expect(again[kind]).toBeUndefined();
});

test('destroy leaves what was there before, and nothing of what hung on it', async () => {
  await lab.stack.destroy();
  expect((await lab.api('/groups/switchyard')).status).toBe(200);
  const shop = '/projects/switchyard%2Fshop';
  expect((await lab.api(shop)).status).toBe(200);
  for (const part of ['hooks', 'labels', 'deploy_keys', 'members'])
    expect(await lab.json(`${shop}/${part}`)).toEqual([]);
  expect(await lab.json('/groups/switchyard/access_tokens?state=active')).toEqual([]);
  const projects: { path: string }[] = await lab.json('/groups/switchyard/projects');
  expect(projects.map((project) => project.path)).toEqual(['shop']);
});
