import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
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

// Approvals, which need Premium: the GitLab boxes by the real engine and the lab's plug-in, against a licensed GitLab of
// the test's own.
jest.setTimeout(300_000);

const TOKEN = 'glpat-root-0123456789abcdef';
const approvals = (text: string): string => `tier: premium, approvals: { ${text} }`;

let folder: string;
let server: GitLab;
let stack: Stack;
let keys = approvals('required: 1');

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
  folder = mkdtempSync(path.join(tmpdir(), 'approvals-e2e-'));
  const inFolder = (name: string) => path.join(folder, name);
  for (const name of ['bin', 'home', 'work', 'state', 'gitlab']) mkdirSync(inFolder(name));
  server = await startGitLab({
    dataDir: inFolder('gitlab'),
    rootToken: TOKEN,
    allowLocalHooks: true,
    tier: 'premium',
  });
  for (const username of ['ada', 'bob']) {
    const body = { username, name: username, email: `${username}@test`, force_random_password: true };
    expect((await api('/users', { method: 'POST', body: JSON.stringify(body) })).status).toBe(201);
  }
  await buildPlugins({ binDir: inFolder('bin'), outDir: inFolder('dist'), only: ['gitlab'] });
  // The engine takes plug-ins from beside its CLI first, and there stand those of the lab that is up.
  symlinkSync(path.join(cacheHome(), 'bin', 'pulumi'), inFolder('bin/pulumi'));
  stack = await LocalWorkspace.createOrSelectStack(
    { stackName: 'test', projectName: 'approvals-e2e', program },
    {
      workDir: inFolder('work'),
      pulumiHome: inFolder('home'),
      pulumiCommand: await PulumiCommand.get({ root: folder, skipVersionCheck: true }),
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

const SETTINGS = '/projects/switchyard%2Fshop/approvals';
const RULES = '/projects/switchyard%2Fshop/approval_rules';

test('a stack with approvals makes the rule and the settings, and a second up and a refresh change nothing', async () => {
  await stack.up();
  expect(await json(RULES)).toMatchObject([
    { name: 'Any approver', rule_type: 'any_approver', approvals_required: 1 },
  ]);
  expect(await json(SETTINGS)).toMatchObject({
    reset_approvals_on_push: true,
    merge_requests_author_approval: false,
    merge_requests_disable_committers_approval: true,
    disable_overriding_approvers_per_merge_request: true,
  });
  expect((await stack.up()).summary.resourceChanges).toEqual({ same: expect.any(Number) });
  expect((await stack.refresh()).summary.resourceChanges?.update).toBeUndefined();
});

test('other numbers and choices change them in place', async () => {
  const [before] = await json(RULES);
  keys = approvals('required: 2, resetOnPush: false, authorMayApprove: true');
  const { summary } = await stack.up();
  expect(summary.resourceChanges).toMatchObject({ update: 2 });
  expect(summary.resourceChanges?.replace).toBeUndefined();
  expect(await json(RULES)).toMatchObject([{ id: before.id, approvals_required: 2 }]);
  expect(await json(SETTINGS)).toMatchObject({
    reset_approvals_on_push: false,
    merge_requests_author_approval: true,
  });
});

test('what someone changed by hand is seen by refresh and put back by up', async () => {
  const [{ id }] = await json(RULES);
  await api(`${RULES}/${id}`, { method: 'PUT', body: JSON.stringify({ approvals_required: 0 }) });
  expect((await stack.refresh()).summary.resourceChanges?.update).toBe(1);
  await stack.up();
  expect(await json(RULES)).toMatchObject([{ id, approvals_required: 2 }]);
});

test('without approvals in the stack the rule goes, and the settings are what a new project has', async () => {
  keys = 'tier: premium';
  await stack.up();
  expect(await json(RULES)).toEqual([]);
  expect(await json(SETTINGS)).toMatchObject({
    reset_approvals_on_push: true,
    merge_requests_author_approval: false,
    merge_requests_disable_committers_approval: false,
    disable_overriding_approvers_per_merge_request: false,
  });
  await stack.destroy();
});
