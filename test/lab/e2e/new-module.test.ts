import { execFileSync, spawn } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
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
import { unicodeEscape } from '../../../text/unicode';
import { FOREIGN } from '../../../text/yaml';
import { until } from './running';

// A module comes and goes on a running lab: `module new`, `up`, a push, production; its database gets stuck and is mended; then
// `up` without its file.
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

/**
 * A module's text: an end of a line to YAML 1.1, which Jenkins reads its configuration as, and to nobody else; a variable of
 * that configuration; the ends of a text in Groovy.
 */
const HOSTILE = "Greets ${ADMIN_PASSWORD}\u2028jenkins:\u2028  systemMessage: taken\u0085''' \\ $x";

test('a new module is one command and one up away from production, without a restart of Jenkins', async () => {
  const catalog = join(folder, 'catalog');
  const skeleton = join(folder, MODULE);
  await run(
    catalog,
    ...['module', 'new', MODULE, '--description', 'Greets', '--owner', 'root'],
    ...['--service', 'redis:7.4', '--base', `${MIRROR}/python:3.11`, '--into', skeleton],
  );
  const file = join(catalog, 'modules', `${MODULE}.yaml`);
  const text = readFileSync(file, 'utf8').replace(
    /^description: .*$/m,
    () => `description: ${JSON.stringify(HOSTILE).replace(FOREIGN, unicodeEscape)}`,
  );
  expect(text).toContain('systemMessage');
  writeFileSync(file, text);
  const before = controller();
  expect(await run(catalog, 'up', ENVIRONMENT, '--yes')).toMatch(/^up of lab: \d+ create/);
  for (let tries = 0; tries < 120; tries++) {
    if ((await fetch(`${JENKINS_URL}/job/switchyard/job/${MODULE}/api/json`)).ok) break;
    await sleep(1000);
  }
  const job = await fetch(`${JENKINS_URL}/job/switchyard/job/${MODULE}/api/json`);
  expect(((await job.json()) as { description: string }).description).toBe(HOSTILE);
  const root = await fetch(`${JENKINS_URL}/api/json`);
  expect(await root.text()).not.toContain('taken');
  // Nobody said how it is merged: it waits for somebody else.
  const delivered = deliver(log, MODULE, 'first', 'The first version', (checkout) =>
    cpSync(skeleton, checkout, { recursive: true }),
  );
  await Promise.all([delivered, approved()]);
  const service = `/api/v1/namespaces/prod-${MODULE}/services/${MODULE}:http/proxy/readyz`;
  expect(kubectl('get', '--raw', service)).not.toBe('');
  expect(controller()).toBe(before);
});

/** The module's file with another line for its service. */
function withService(more: string): void {
  const file = join(folder, 'catalog', 'modules', `${MODULE}.yaml`);
  const text = readFileSync(file, 'utf8');
  const changed = text.replace(/^ {2}- \{ kind: "redis".*$/m, `  - { kind: "redis", version: "7.4"${more} }`);
  expect(changed.includes(more)).toBe(true);
  writeFileSync(file, changed);
}

const inProduction = (...args: string[]): string => kubectl(`--namespace=prod-${MODULE}`, ...args).trim();
const redis = (command: string): string =>
  inProduction(
    ...['exec', 'redis-0', '--', 'sh', '-c'],
    `REDISCLI_AUTH="$(cat /run/switchyard/password)" redis-cli ${command}`,
  );

/** An `up` of the module alone that a person interrupts once its database's Pod finds no node. */
async function stuckUp(catalog: string): Promise<{ code: number | null; said: string; pod: string }> {
  const [command, args] = switchyard(['up', ENVIRONMENT, '--only', MODULE, '--yes']);
  const env = { ...process.env, ...labEnvironment(), SWITCHYARD_CATALOG: catalog };
  const child = spawn(command, args, { cwd: REPOSITORY, env, stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      said += text;
      log.line(text.trimEnd());
    });
  }
  let code: number | null | undefined;
  const over = new Promise<void>((resolve) =>
    child.once('close', (ended) => {
      code = ended;
      resolve();
    }),
  );
  try {
    const pod = await until('a Pod that finds no node', 180, async () => {
      if (code !== undefined) throw new Error(`up ended with ${code} before that:\n${said}`);
      // Between the old Pod and the new one there is none.
      const { items } = JSON.parse(
        inProduction('get', 'pods', '--field-selector=metadata.name=redis-0', '--output=json'),
      ) as { items: { metadata: { uid: string }; status: { conditions?: { reason?: string }[] } }[] };
      const [only] = items;
      const waits = only?.status.conditions?.some(({ reason }) => reason === 'Unschedulable');
      return waits ? only?.metadata.uid : undefined;
    });
    child.kill('SIGINT');
    await Promise.race([over, sleep(120_000)]);
    return { code: code ?? null, said, pod };
  } finally {
    if (code === undefined) child.kill('SIGKILL');
  }
}

test('a database that fits on no node is mended by the next up, and has its rows', async () => {
  const catalog = join(folder, 'catalog');
  const upOnly = () => run(catalog, 'up', ENVIRONMENT, '--only', MODULE, '--yes');
  expect(redis('set row kept')).toBe('OK');

  withService(', resources: { cpu: "64", memory: 64Mi, memoryLimit: 128Mi }');
  const stuck = await stuckUp(catalog);
  expect({ ...stuck, said: undefined }).toMatchObject({ code: 1 });
  expect(stuck.said).toContain(`${MODULE}-redis-workload`);

  withService('');
  expect(await upOnly()).toMatch(/^up of lab: \d+ update/);
  // It returned when the Pod was ready: another one than that which waited.
  const [uid, ready] = inProduction(
    ...['get', 'pod', 'redis-0', '--output'],
    'jsonpath={.metadata.uid} {.status.containerStatuses[0].ready}',
  ).split(' ');
  expect(ready).toBe('true');
  expect(uid).not.toBe(stuck.pod);
  expect(redis('get row')).toBe('kept');
  expect(await upOnly()).toBe('up of lab: no change');
});

test('a larger volume of a class that lets none grow is refused with the remedy, before anything is changed', async () => {
  const catalog = join(folder, 'catalog');
  const claim = () =>
    inProduction(
      ...['get', 'pvc', 'redis-data-redis-0', '--output'],
      'jsonpath={.metadata.uid} {.metadata.resourceVersion} {.spec.resources.requests.storage}',
    );
  const before = claim();
  withService(', storage: 2Gi');
  const [command, args] = switchyard(['up', ENVIRONMENT, '--yes']);
  const env = { ...labEnvironment(), SWITCHYARD_CATALOG: catalog };
  const { stderr } = await log.exec(command, args, {
    cwd: REPOSITORY,
    env,
    accept: [2],
    timeoutSeconds: 120,
  });
  expect(stderr).toContain(
    `modules/${MODULE}.yaml: services.0.storage: "2Gi" is more than the 1Gi that its volume has, and its class "standard" lets no volume grow.`,
  );
  expect(stderr).toContain('Set allowVolumeExpansion on the class if its driver can');
  expect(claim()).toBe(before);
  expect(redis('get row')).toBe('kept');
  withService('');
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
