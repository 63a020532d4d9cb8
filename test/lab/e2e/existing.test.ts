import { randomBytes } from 'node:crypto';
import { appendFileSync, cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GITLAB_URL } from '../../../lab/gitlab';
import { deliver } from '../../../lab/journey';
import { MIRROR, REGISTRY } from '../../../lab/machine/addresses';
import { openLog } from '../../../lab/steps';
import { labEnvironment, REPOSITORY, rootToken, switchyard } from '../../../lab/topology';
import { kubectl } from './running';
import { guestStack, READER, SITE_JENKINS, type Site, startSite } from './site';

// A second environment on the lab's cluster that makes neither Jenkins nor registry: it adopts those of a site, which
// must have them back as they were.
jest.setTimeout(900_000);

const GUEST = 'guest';
const MODULE = 'visitor';
const log = openLog('e2e-existing');
let folder: string;
let site: Site;
let before: Record<string, string>;
let env: Record<string, string>;

const run = async (...args: string[]): Promise<string> => {
  const [command, all] = switchyard(args);
  return (await log.exec(command, all, { cwd: REPOSITORY, env })).stdout.trim().split('\n').at(-1) ?? '';
};

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'switchyard-existing-'));
  const [catalog, stacks] = [join(folder, 'catalog'), join(folder, 'stacks')];
  for (const path of [join(catalog, 'modules'), stacks]) mkdirSync(path, { recursive: true });
  cpSync(join(REPOSITORY, 'catalog', 'services'), join(catalog, 'services'), { recursive: true });
  writeFileSync(join(stacks, `Pulumi.${GUEST}.yaml`), guestStack(GUEST));
  site = await startSite();
  env = {
    ...labEnvironment(),
    ...site.passwords,
    SWITCHYARD_SEED: randomBytes(32).toString('hex'),
    SWITCHYARD_CATALOG: catalog,
    SWITCHYARD_STACKS: stacks,
  };
  await run(
    ...['module', 'new', MODULE, '--description', 'Looks around', '--owner', 'root'],
    ...['--base', `${MIRROR}/python:3.11`, '--into', join(folder, MODULE)],
  );
  appendFileSync(
    join(catalog, 'modules', `${MODULE}.yaml`),
    'resources: { cpu: 25m, memory: 64Mi, memoryLimit: 128Mi }\nproduction: { replicas: 1 }\nmerge: automatic\n',
  );
  before = await site.inventory();
});

afterAll(async () => {
  // Of a run that went well nothing is left but what the owner now throws away.
  if (env && kubectl('get', 'namespaces', '--selector=switchyard.dev/environment=guest', '--output=name'))
    await run('destroy', GUEST, '--yes');
  for (const repository of (await site?.registry.repositories()) ?? []) {
    if (!repository.startsWith(`${GUEST}/`)) continue;
    for (const { digest } of await site.registry.images(repository))
      await site.registry.remove(repository, digest);
  }
  site?.remove();
  rmSync(folder, { recursive: true, force: true });
});

const guests = (name: string): boolean => name.includes(` ${GUEST}/`);
/** What the site had before, as it is now. */
const owned = async (): Promise<Record<string, string>> =>
  Object.fromEntries(Object.entries(await site.inventory()).filter(([name]) => name in before));
const jobAnswers = async (): Promise<boolean> =>
  (await fetch(`${SITE_JENKINS}/job/${GUEST}/job/${MODULE}/api/json`)).ok;

test('up makes an environment around them beside another one on the same cluster', async () => {
  expect(await run('up', GUEST, '--yes')).toMatch(/^up of guest: \d+ create$/);
  const namespaces = kubectl('get', 'namespaces', '--output=name').split('\n');
  expect(namespaces).toEqual(expect.arrayContaining(['namespace/guest-ci-agents', 'namespace/ci-agents']));
  expect(namespaces).not.toContain('namespace/guest-ci');
  expect(namespaces).not.toContain('namespace/guest-registry');
  expect(await owned()).toEqual(before);
});

test('a push travels by that Jenkins and that registry to production, after which an up changes nothing', async () => {
  await site.reload(jobAnswers);
  await deliver(log, `${GUEST}/${MODULE}`, 'first', 'The first version', (checkout) =>
    cpSync(join(folder, MODULE), checkout, { recursive: true }),
  );
  const text = await (await fetch(`${SITE_JENKINS}/job/${GUEST}/job/${MODULE}/1/consoleText`)).text();
  expect(text).toMatch(new RegExp(`Created Pod: \\S+ guest-test-${MODULE}/`));
  const path = '{.spec.template.spec.containers[0].image}';
  const place = `--namespace=guest-prod-${MODULE}`;
  const image = kubectl('get', `deployment/${MODULE}`, place, `--output=jsonpath=${path}`);
  const [repository, digest] = image.split('@');
  expect(repository).toBe(`${REGISTRY}/${GUEST}/modules/${MODULE}`);
  const ledger = `projects/${encodeURIComponent(`${GUEST}/release-ledger`)}/repository/files/${GUEST}.yaml/raw?ref=main`;
  const answer = await fetch(`${GITLAB_URL}/api/v4/${ledger}`, {
    headers: { 'PRIVATE-TOKEN': rootToken() },
  });
  expect(await answer.text()).toContain(String(digest));
  const service = `/api/v1/namespaces/guest-prod-${MODULE}/services/${MODULE}:http/proxy/readyz`;
  expect(kubectl('get', '--raw', service)).not.toBe('');
  expect(await run('up', GUEST, '--yes')).toBe('up of guest: no change');
});

const PROJECT = `projects/${encodeURIComponent(`${GUEST}/${MODULE}`)}`;
async function gitlab<T>(method: string, path: string, body?: object): Promise<T> {
  const answer = await fetch(`${GITLAB_URL}/api/v4/${PROJECT}/${path}`, {
    method,
    headers: { 'PRIVATE-TOKEN': rootToken(), 'content-type': 'application/json', connection: 'close' },
    ...(body ? { body: JSON.stringify(body) } : {}),
  });
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
  return (await answer.json()) as T;
}

test('with every hook dropped a change travels there all the same, by the reconciler, which looks as the owner’s reader', async () => {
  const hooks = await gitlab<{ id: number }[]>('GET', 'hooks');
  expect(hooks.length).toBeGreaterThan(0);
  const send = (events: boolean) =>
    Promise.all(
      hooks.map(({ id }) =>
        gitlab('PUT', `hooks/${id}`, { push_events: events, merge_requests_events: events }),
      ),
    );
  await send(false);
  try {
    await deliver(log, `${GUEST}/${MODULE}`, 'second', 'Nobody is told of it', (checkout) =>
      writeFileSync(join(checkout, 'UNTOLD.md'), 'No hook says that this is here.\n'),
    );
  } finally {
    await send(true);
  }
  const said = kubectl(`--namespace=${GUEST}-ci-reconciler`, 'logs', 'deployment/reconciler');
  expect(said).toMatch(new RegExp(`${GUEST}/${MODULE}!2\\b`));
  const pod = '{.spec.template.spec.containers[0].env[?(@.name=="JENKINS_USER")].value}';
  const asked = ['get', 'deployment/reconciler', `--output=jsonpath=${pod}`];
  expect(kubectl(`--namespace=${GUEST}-ci-reconciler`, ...asked)).toBe(READER);
});

test('destroy leaves the Jenkins with its job and builds, and the registry with every image', async () => {
  expect(await run('destroy', GUEST, '--yes')).toMatch(/^destroy of guest: \d+ delete$/);
  const now = await site.inventory();
  expect(Object.fromEntries(Object.entries(now).filter(([name]) => !guests(name)))).toEqual(before);
  // Images that were pushed are the registry's, whose owner says how long they stay.
  expect(Object.keys(now).filter(guests)).toEqual(
    expect.arrayContaining([expect.stringMatching(`^image ${GUEST}/modules/${MODULE}:release-`)]),
  );
  await site.reload(async () => (await site.report()).result === 'SUCCESS');
  expect(await site.report()).toMatchObject({ number: 1, result: 'SUCCESS' });
  const selector = '--selector=switchyard.dev/environment=guest';
  expect(kubectl('get', 'namespaces,clusterroles,priorityclasses', selector, '--output=name')).toBe('');
});
