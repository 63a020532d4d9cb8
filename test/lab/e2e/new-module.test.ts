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
const log = openLog('e2e-new-module');
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'switchyard-new-module-'));
  cpSync(join(REPOSITORY, 'catalog'), join(folder, 'catalog'), { recursive: true });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

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
  await deliver(log, MODULE, 'first', 'The first version', (checkout) =>
    cpSync(skeleton, checkout, { recursive: true }),
  );
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
