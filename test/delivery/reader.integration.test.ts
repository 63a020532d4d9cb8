import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { programOf } from '../../catalog/program';
import { gitEnvironment } from '../../clients/git';
import { GitLab } from '../../clients/gitlab';
import { fetchLedger } from '../../components/ask-gitlab';
import { topologyBoxes } from '../../components/boxes';
import { lookUp } from '../../components/lookups';
import { checkOutProgram } from '../../delivery/applied';
import { repositoryItems } from '../../delivery/backup/kinds/repositories';
import { checkCurrent } from '../../delivery/preview/flow';
import { readLedgers } from '../../delivery/registry-gc';
import { cloneUrl } from '../../delivery/verify';
import { modelOf } from '../support/model';
import { LEDGER, makeWorld, PROJECT, type World } from './world';

// What `trusted` binds gitlab-reader-token around, as far as it asks GitLab: with a token as components/gitlab/access.ts declares it.

let world: World;
let token: string;
let gitlab: GitLab;
const ledger = 'modules: {}\n';
beforeAll(async () => {
  world = await makeWorld();
  ({ token } = await world.api('POST', '/groups/switchyard/access_tokens', {
    name: 'switchyard-reader',
    scopes: ['read_api', 'read_repository'],
    access_level: 20,
    expires_at: new Date(Date.now() + 30 * 86_400_000).toISOString().slice(0, 10),
  }));
  gitlab = new GitLab({ url: world.url, token, policy: { baseMs: 2, capMs: 2 } });
  await world.api('POST', `/projects/${encodeURIComponent(LEDGER)}/repository/commits`, {
    branch: 'main',
    commit_message: 'Begin',
    actions: [{ action: 'create', file_path: 'test.yaml', content: ledger }],
  });
});
afterAll(() => world?.close());

test('it is enough for `up --only`, `judge`, `withhold` and `scrub`: the ledger, and what is looked up', async () => {
  await expect(fetchLedger(world.url, 'switchyard', token, 'test')).resolves.toBe(ledger);
  await world.api('POST', '/users', {
    username: 'ada',
    name: 'Ada',
    email: 'ada@example.com',
    force_random_password: true,
  });
  const model = modelOf({
    gitlab: 'members: { ada: developer }',
    clusters: 'ci: { context: one }, production: { context: one }',
    topologyProject: 'path: topology',
  });
  const asked = {
    ...model,
    settings: { ...model.settings, gitlab: { ...model.settings.gitlab, url: world.url } },
  };
  await expect(lookUp(asked, topologyBoxes(asked), token)).resolves.toEqual({
    'edition:gitlab': 'enterprise',
    'user:ada': expect.stringMatching(/^\d+$/),
  });
});

test('it is enough for the program that was applied, which `switchyard` runs in an older image', async () => {
  const sources = [
    'index.ts',
    'components/a.ts',
    'delivery/a.ts',
    'operations/cli.ts',
    'rules/a.ts',
    'catalog/load.ts',
    'stacks/load.ts',
  ];
  const commit = await world.push('main', Object.fromEntries(sources.map((path) => [path, 'export {};\n'])));
  const context = { gitlabUrl: world.url, token };
  const at = (folder: string, program: string) =>
    checkOutProgram(context, { project: PROJECT, program, folder: join(world.folder, folder) });
  await world.git('fetch', '--quiet', 'origin', 'main');
  await world.git('checkout', '--quiet', commit);
  await expect(at('applied', programOf(join(world.folder, 'clone')))).resolves.toBe(commit);
});

test('it is enough for `preview-watch`, and for the backup after a release', async () => {
  await world.push('watched', { 'a.txt': 'watched\n' }, 'main');
  const iid = await world.open('watched');
  const { sha, target_branch: targetBranch } = await gitlab.mergeRequest(PROJECT, iid);
  const session = {
    build: 'https://jenkins.test/1/',
    project: PROJECT,
    mergeRequest: iid,
    sourceBranch: 'watched',
    targetBranch,
    headSha: sha ?? '',
    baseSha: 'b'.repeat(40),
    treeSha: 'c'.repeat(40),
    environments: [],
  };
  await expect(checkCurrent({ ...world.context, gitlab, token }, session)).resolves.toBeUndefined();
  const remote = (path: string) => ({ url: cloneUrl(world.url, path), token });
  for (const item of repositoryItems([
    { item: 'orders', remote: remote(PROJECT) },
    { item: 'release-ledger', remote: remote(LEDGER) },
  ]))
    expect(await item.content?.()).toBeDefined();
  await expect(readLedgers(remote(LEDGER), join(world.folder, 'ledgers'), 0)).resolves.toMatchObject({});
});

test('it writes nothing, and sees nothing that is for maintainers', async () => {
  const head = await world.push('written', { 'a.txt': 'written\n' }, 'main');
  const iid = await world.open('written');
  const change = { branch: 'main', path: 'x.yaml', text: 'x\n', message: 'x' };
  for (const work of [
    () => gitlab.setStatus(PROJECT, head, { state: 'success', ref: 'written', description: 'x' }),
    () => gitlab.createNote(PROJECT, iid, 'x'),
    () => gitlab.commitFile(LEDGER, change),
    () => gitlab.merge(PROJECT, iid, head),
    () => gitlab.openIssue(PROJECT, { title: 'x', description: 'x', labels: 'x' }),
    () => gitlab.hooks(PROJECT),
  ])
    await expect(work()).rejects.toMatchObject({ status: 403 });
  await world.git('fetch', '--quiet', 'origin', 'main');
  const url = cloneUrl(world.url, PROJECT);
  const pushed = promisify(execFile)('git', ['push', '--quiet', url, 'FETCH_HEAD:refs/heads/pushed'], {
    cwd: join(world.folder, 'clone'),
    env: gitEnvironment({ url, token }),
  });
  await expect(pushed).rejects.toMatchObject({ stderr: expect.stringMatching(/403|not allowed/) });
});
