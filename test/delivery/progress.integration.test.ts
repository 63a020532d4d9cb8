import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { exitCode } from '../../clients/failure';
import { run } from '../../delivery/commands';
import { writeDeployment } from '../../delivery/deploy';
import { readNote } from '../../delivery/note';
import { ROLLING_FILE } from '../../delivery/rolling';
import { writeCertificate } from '../../delivery/state';
import { freePort } from '../support/port';
import { KEY } from './certificates';
import { buildEnvironment, greenCertificate, makeWorld, PROJECT, type World } from './world';

// `delivery progress` as the pipeline runs it, over the note of a merge request that was merged.
jest.setTimeout(120_000);

const REGISTRY = 'registry.example:5000';
const BUILD = 'http://jenkins.example/job/switchyard/job/orders/1/';
const before = { ...process.env };
let world: World;
let workspace: string;
let iid: number;
let commit: string;

const delivery = (...args: string[]): Promise<number> => run(['--workspace', workspace, ...args]);
const left = (text: string): void => {
  mkdirSync(join(workspace, ROLLING_FILE, '..'), { recursive: true });
  writeFileSync(join(workspace, ROLLING_FILE), text);
};
const tell = (text: string): Promise<number> => {
  left(text);
  return delivery('progress', '--module', 'orders');
};
const note = async (): Promise<string> => (await world.notes(iid))[0]?.body ?? '';

beforeAll(async () => {
  world = await makeWorld();
  workspace = join(world.folder, 'build');
  mkdirSync(workspace);
  jest.spyOn(process.stdout, 'write').mockReturnValue(true);
  jest.spyOn(process.stderr, 'write').mockReturnValue(true);
  await world.push('change', { 'change.txt': 'x\n' }, 'origin/main');
  iid = await world.open('change');
  const certificate = await greenCertificate(world, { iid, build: BUILD, workspace, registry: REGISTRY });
  Object.assign(
    process.env,
    buildEnvironment(world, { iid, build: BUILD, workspace, registry: REGISTRY, key: KEY }),
  );
  writeCertificate(workspace, certificate);
  expect(await delivery('report', '--module', 'orders')).toBe(exitCode.done);
  expect(await delivery('merge')).toBe(exitCode.done);
  commit = await world.context.gitlab.branchHead(PROJECT, 'main');
  Object.assign(process.env, {
    gitlabAfter: commit,
    gitlabBranch: 'main',
    SWITCHYARD_ENVIRONMENT: 'production',
    SWITCHYARD_MODULE: 'orders',
  });
});
afterAll(async () => {
  jest.restoreAllMocks();
  process.env = { ...before };
  await world?.close();
});

it('tells that a deploy waits, and that it is on its way no more', async () => {
  expect(await tell('{"step":"turn"}')).toBe(exitCode.done);
  expect(await note()).toContain(
    `merged as ${commit.slice(0, 12)}; on its way to production: it waits for its turn`,
  );
  expect(await delivery('unstarted', '--module', 'orders')).toBe(exitCode.done);
  expect(await note()).toContain(`| Then | merged as ${commit.slice(0, 12)} |`);
});

it('takes back that it is on its way where nothing is released', async () => {
  expect(await tell('{"step":"agent"}')).toBe(exitCode.done);
  // There is no registry, so that nothing is.
  process.env.REGISTRY = `127.0.0.1:${await freePort()}`;
  expect(await delivery('deploy', '--module', 'orders')).not.toBe(exitCode.done);
  process.env.REGISTRY = REGISTRY;
  expect(await note()).toContain(`| Then | merged as ${commit.slice(0, 12)} |`);
});

it('tells of a rollout only what this build has in the ledger, and by the form that it has', async () => {
  const rolling = '{"step":"pods","ready":1,"wanted":2,"begun":1000,"at":31000}';
  expect(await tell(rolling)).toBe(exitCode.input);
  writeDeployment(workspace, {
    module: 'orders',
    project: PROJECT,
    environment: 'production',
    commit,
    branch: 'main',
    mergeRequest: iid,
    image: `${REGISTRY}/modules/orders@sha256:${'0'.repeat(64)}`,
    by: 'merge',
  });
  expect(await tell('{"step":"pods","ready":"**all**","wanted":2,"begun":0,"at":0}')).toBe(exitCode.red);
  expect(await note()).not.toContain('on its way');
  expect(await tell(rolling)).toBe(exitCode.done);
  expect(await note()).toContain('on its way to production: 1 of 2 Pods are ready (after 30 s)');
  expect(readNote(await note(), KEY)).toHaveProperty('certificate');
});

it('ends soon where GitLab does not answer, and what comes of the rollout stands over it', async () => {
  const url = process.env.GITLAB_URL;
  process.env.GITLAB_URL = `http://127.0.0.1:${await freePort()}`;
  const begun = Date.now();
  expect(await tell('{"step":"begun","begun":0,"at":0}')).toBe(exitCode.red);
  expect(Date.now() - begun).toBeLessThan(10_000);
  process.env.GITLAB_URL = url;
  expect(await delivery('rollout', '--exit-code', '0')).toBe(exitCode.done);
  expect(await note()).toContain(
    `| Then | deployed to production: ${commit.slice(0, 12)} ([build](${BUILD})) |`,
  );
});
