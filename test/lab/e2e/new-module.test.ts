import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { kubeconfigPath } from '../../../lab/cluster';
import { GITLAB_URL } from '../../../lab/gitlab';
import { deliver } from '../../../lab/journey';
import { MIRROR } from '../../../lab/machine/addresses';
import { sleep } from '../../../lab/machine/process';
import { cacheHome, openLog } from '../../../lab/steps';
import {
  ENVIRONMENT,
  JENKINS_URL,
  labEnvironment,
  REPOSITORY,
  rootToken,
  switchyard,
} from '../../../lab/topology';

// A module comes and goes on a running lab: `module new`, `up`, a push, production; then `up` without its file.
jest.setTimeout(900_000);

const MODULE = 'greeter';
const REVIEWER = 'greeters-reviewer';
const log = openLog('e2e-new-module');
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'switchyard-new-module-'));
  cpSync(join(REPOSITORY, 'catalog'), join(folder, 'catalog'), { recursive: true });
});
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true });
  for (const { id } of await gitlab<{ id: number }[]>('GET', `/users?username=${REVIEWER}`))
    await gitlab('DELETE', `/users/${id}?hard_delete=true`);
});

async function run(catalog: string, ...args: string[]): Promise<string> {
  const [command, all] = switchyard(args);
  const env = { ...labEnvironment(), SWITCHYARD_CATALOG: catalog };
  return (await log.exec(command, all, { cwd: REPOSITORY, env })).stdout.trim().split('\n').at(-1) ?? '';
}

const kubectl = (...args: string[]): string =>
  execFileSync(join(cacheHome(), 'bin', 'kubectl'), args, {
    env: { ...process.env, KUBECONFIG: kubeconfigPath() },
    encoding: 'utf8',
  });

const controller = (): string =>
  kubectl('get', 'pod', 'jenkins-0', '--namespace=ci', '--output=jsonpath={.metadata.uid}');

const gitlab = async <T>(method: string, path: string, body?: object, token = rootToken()): Promise<T> => {
  const answer = await fetch(`${GITLAB_URL}/api/v4${path}`, {
    method,
    headers: { 'private-token': token, 'content-type': 'application/json' },
    ...(body ? { body: JSON.stringify(body) } : {}),
  });
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
  return (answer.status === 204 ? undefined : await answer.json()) as T;
};

/** Waits until the bot's note asks for an approval, sees that nothing is merged before it, and gives it as another person. */
async function approved(): Promise<void> {
  const project = `/projects/${encodeURIComponent(`switchyard/${MODULE}`)}`;
  const request = `${project}/merge_requests/1`;
  const asked = async (): Promise<boolean> => {
    const notes = await gitlab<{ body: string }[]>('GET', `${request}/notes`).catch(() => []);
    return notes.some(({ body }) => body.includes('it waits for an approval'));
  };
  for (const end = Date.now() + 600_000; !(await asked()); await sleep(500))
    if (Date.now() > end) throw new Error('no note asked for an approval');
  // Root pushed and opened it: its own approval starts a build, and merges nothing.
  await gitlab('POST', `${request}/approve`, {});
  const { id } = await gitlab<{ id: number }>('POST', '/users', {
    username: REVIEWER,
    name: REVIEWER,
    email: `${REVIEWER}@example.com`,
    force_random_password: true,
  });
  await gitlab('POST', `${project}/members`, { user_id: id, access_level: 30 });
  const { token } = await gitlab<{ token: string }>('POST', `/users/${id}/personal_access_tokens`, {
    name: 'review',
    scopes: ['api'],
  });
  const said = async (): Promise<boolean> => {
    const notes = await gitlab<{ body: string }[]>('GET', `${request}/notes`);
    return notes.some(({ body }) => body.includes('root pushed it'));
  };
  for (const end = Date.now() + 120_000; !(await said()); await sleep(500))
    if (Date.now() > end) throw new Error("the note does not say what root's own approval is worth");
  expect((await gitlab<{ state: string }>('GET', request)).state).toBe('opened');
  await gitlab('POST', `${request}/approve`, {}, token);
}

test('a new module is one command and one up away from production, without a restart of Jenkins', async () => {
  const catalog = join(folder, 'catalog');
  const skeleton = join(folder, MODULE);
  await run(
    catalog,
    ...['module', 'new', MODULE, '--description', 'Greets', '--owner', 'root'],
    ...['--service', 'redis:7.4', '--base', `${MIRROR}/python:3.11`, '--into', skeleton],
  );
  const before = controller();
  expect(await run(catalog, 'up', ENVIRONMENT, '--yes')).toMatch(/^up of lab: \d+ create/);
  for (let tries = 0; tries < 120; tries++) {
    if ((await fetch(`${JENKINS_URL}/job/switchyard/job/${MODULE}/api/json`)).ok) break;
    await sleep(1000);
  }
  // Nobody said how it is merged: it waits for somebody else.
  const delivered = deliver(log, MODULE, 'first', 'The first version', (checkout) =>
    cpSync(skeleton, checkout, { recursive: true }),
  );
  await Promise.all([delivered, approved()]);
  const service = `/api/v1/namespaces/prod-${MODULE}/services/${MODULE}:http/proxy/readyz`;
  expect(kubectl('get', '--raw', service)).not.toBe('');
  expect(controller()).toBe(before);
});

test('without its file the next up removes all of it, and leaves the others alone', async () => {
  const catalog = join(REPOSITORY, 'catalog');
  expect(await run(catalog, 'up', ENVIRONMENT, '--yes')).toMatch(/\d+ delete/);
  const namespaces = kubectl('get', 'namespaces', '--output=name').trim().split('\n');
  expect(namespaces.filter((name) => name.endsWith(`-${MODULE}`))).toEqual([]);
  expect(namespaces).toEqual(expect.arrayContaining(['namespace/prod-orders', 'namespace/prod-mailer']));
  const answer = await fetch(`${GITLAB_URL}/api/v4/projects/${encodeURIComponent(`switchyard/${MODULE}`)}`, {
    headers: { 'PRIVATE-TOKEN': rootToken() },
  });
  expect(answer.status).toBe(404);
  expect(await run(catalog, 'up', ENVIRONMENT, '--yes')).toBe('up of lab: no change');
});
