import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import * as gitlab from '@pulumi/gitlab';
import * as pulumi from '@pulumi/pulumi';
import { LocalWorkspace, PulumiCommand, type Stack } from '@pulumi/pulumi/automation';
import { topologyBoxes } from '../../../components/boxes';
import { lookUp } from '../../../components/lookups';
import { Box, typeToken } from '../../../components/shared/box';
import { Registrar } from '../../../components/shared/registrar';
import { type GitLab, startGitLab } from '../../../lab/gitlab/server';
import { buildPlugins } from '../../../lab/plugins/build';
import { cacheHome } from '../../../lab/steps';
import { modelOf } from '../../support/model';
import type { Body } from '../gitlab/support';

// The GitLab boxes of the topology by the real engine and the lab's plug-in, against a GitLab of the test's own.
jest.setTimeout(300_000);

const TOKEN = 'glpat-root-0123456789abcdef';
const KEY = `ssh-ed25519 ${Buffer.alloc(51, 9).toString('base64')} mirror`;
const CHOICES = [
  'squash: default_on',
  'ownersRole: maintainer',
  'members: { bob: developer }',
  'labels: [{ name: urgent, color: "#ff0000" }]',
  `deployKeys: [{ title: mirror, key: "${KEY}" }]`,
].join(', ');
const ADOPTED = `${CHOICES}, group: { existing: switchyard }, projects: { shop: { existing: switchyard/shop } }`;

let folder: string;
let server: GitLab;
let stack: Stack;
let keys = CHOICES;

async function program(): Promise<void> {
  const model = modelOf({ gitlab: keys });
  const settings = { ...model.settings, gitlab: { ...model.settings.gitlab, url: server.url } };
  const boxes = topologyBoxes({ ...model, settings }).filter(({ box }) => box === 'gitlab');
  const found = await lookUp({ ...model, settings }, boxes, TOKEN);
  const provider = new gitlab.Provider('gitlab', { baseUrl: `${server.url}/api/v4/`, token: TOKEN });
  const registrar = new Registrar({
    seed: pulumi.secret('a seed for tests, long enough to be one'),
    given: {},
    found,
    provider: () => provider,
  });
  for (const { box, name, declarations } of boxes) new Box(typeToken(box), name, declarations, registrar);
}

const api = (route: string, init: RequestInit = {}) =>
  fetch(`${server.url}/api/v4${route}`, {
    ...init,
    headers: { 'PRIVATE-TOKEN': TOKEN, 'Content-Type': 'application/json' },
  });
const json = async (route: string): Promise<Body> => (await api(route)).json();

beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'adopting-e2e-'));
  const inFolder = (name: string) => path.join(folder, name);
  for (const name of ['bin', 'home', 'work', 'state', 'gitlab']) mkdirSync(inFolder(name));
  server = await startGitLab({ dataDir: inFolder('gitlab'), rootToken: TOKEN, allowLocalHooks: true });
  for (const username of ['ada', 'bob']) {
    const body = { username, name: username, email: `${username}@test`, force_random_password: true };
    expect((await api('/users', { method: 'POST', body: JSON.stringify(body) })).status).toBe(201);
  }
  await buildPlugins({ binDir: inFolder('bin'), outDir: inFolder('dist'), only: ['gitlab'] });
  stack = await LocalWorkspace.createOrSelectStack(
    { stackName: 'test', projectName: 'adopting-e2e', program },
    {
      workDir: inFolder('work'),
      pulumiHome: inFolder('home'),
      pulumiCommand: await PulumiCommand.get({ root: cacheHome(), skipVersionCheck: true }),
      envVars: {
        PATH: `${inFolder('bin')}${path.delimiter}${process.env.PATH ?? ''}`,
        PULUMI_CONFIG_PASSPHRASE: 'test',
        PULUMI_BACKEND_URL: `file://${inFolder('state')}`,
        PULUMI_SKIP_UPDATE_CHECK: 'true',
      },
    },
  );
});

afterAll(async () => {
  await server.close();
  rmSync(folder, { recursive: true, force: true });
});

test('all that may be chosen is made, and a second up and a refresh change nothing', async () => {
  await stack.up();
  expect((await stack.up()).summary.resourceChanges).toEqual({ same: expect.any(Number) });
  expect((await stack.refresh()).summary.resourceChanges?.update).toBeUndefined();
  const shop = '/projects/switchyard%2Fshop';
  expect(await json(shop)).toMatchObject({ squash_option: 'default_on' });
  expect(await json(`${shop}/labels`)).toMatchObject([{ name: 'urgent' }]);
  expect(await json(`${shop}/deploy_keys`)).toMatchObject([{ title: 'mirror', can_push: false }]);
  expect(await json(`${shop}/members`)).toMatchObject([{ username: 'ada', access_level: 40 }]);
  expect(await json('/groups/switchyard/members')).toEqual(
    expect.arrayContaining([expect.objectContaining({ username: 'bob', access_level: 30 })]),
  );
});

test('what was made and is then declared as existing is let go: nothing is deleted or changed', async () => {
  const before = [await json('/groups/switchyard'), await json('/projects/switchyard%2Fshop')];
  keys = ADOPTED;
  const { summary } = await stack.up();
  expect(summary.resourceChanges?.delete).toBeUndefined();
  expect(summary.resourceChanges?.update).toBeUndefined();
  expect(summary.resourceChanges?.create).toBeUndefined();
  const [group, project] = [await json('/groups/switchyard'), await json('/projects/switchyard%2Fshop')];
  expect([group, project]).toMatchObject([
    { id: before[0].id },
    { id: before[1].id, squash_option: 'default_on' },
  ]);
  const again = (await stack.up()).summary.resourceChanges ?? {};
  for (const kind of ['create', 'update', 'delete', 'replace'] as const) expect(again[kind]).toBeUndefined();
});

test('destroy leaves what was there before, and nothing of what hung on it', async () => {
  await stack.destroy();
  expect((await api('/groups/switchyard')).status).toBe(200);
  const shop = '/projects/switchyard%2Fshop';
  expect((await api(shop)).status).toBe(200);
  for (const part of ['hooks', 'labels', 'deploy_keys', 'members'])
    expect(await json(`${shop}/${part}`)).toEqual([]);
  expect(await json('/groups/switchyard/access_tokens?state=active')).toEqual([]);
  const projects: { path: string }[] = await json('/groups/switchyard/projects');
  expect(projects.map((project) => project.path)).toEqual(['shop']);
});
