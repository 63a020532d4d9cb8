import { randomBytes } from 'node:crypto';
import { appendFileSync, cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deliver } from '../../../lab/journey';
import { MIRROR, REGISTRY } from '../../../lab/machine/addresses';
import { openLog } from '../../../lab/steps';
import { labEnvironment, REPOSITORY } from '../../../lab/topology';
import { kubectl } from './running';
import { guestStack, SITE_JENKINS, type Site, startSite } from './site';

// A company's own repository: the product packed, a repository made by `init`, the package installed in it from npm's
// registry; from there an environment with a module, whose first push travels to production by images that are laid out from
// the package. Jenkins and registry are a site's, which were there before.
jest.setTimeout(900_000);

const COMPANY = 'company';
const MODULE = 'shop';
const log = openLog('e2e-own-repository');
let folder: string;
let own: string;
let site: Site;
let env: Record<string, string>;

const npm = (cwd: string, ...args: string[]) =>
  log.exec('npm', args, { cwd, env: { npm_config_audit: 'false', npm_config_fund: 'false' } });
/** @returns the last line */
const switchyard = async (...args: string[]): Promise<string> => {
  const { stdout } = await log.exec('npx', ['--no-install', 'switchyard', ...args], { cwd: own, env });
  return stdout.trim().split('\n').at(-1) ?? '';
};

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'switchyard-own-'));
  own = join(folder, 'topology');
  const { stdout } = await npm(REPOSITORY, 'pack', '--json', '--pack-destination', folder);
  const [packed] = JSON.parse(stdout.slice(stdout.indexOf('[\n'))) as { filename: string }[];
  const tarball = join(folder, String(packed?.filename));
  const command = join(folder, 'global', 'bin', 'switchyard');
  await npm(folder, 'install', '--global', '--prefix', join(folder, 'global'), tarball);
  await log.exec(command, ['init', own, '--environment', COMPANY], { cwd: folder });
  await npm(own, 'install', tarball);
  writeFileSync(join(own, 'stacks', `Pulumi.${COMPANY}.yaml`), guestStack(COMPANY));
  site = await startSite();
  env = {
    ...labEnvironment(),
    ...site.passwords,
    SWITCHYARD_SEED: randomBytes(32).toString('hex'),
  };
});

afterAll(async () => {
  if (
    env &&
    kubectl('get', 'namespaces', `--selector=switchyard.dev/environment=${COMPANY}`, '--output=name')
  )
    await switchyard('destroy', COMPANY, '--yes');
  for (const repository of (await site?.registry.repositories()) ?? []) {
    if (!repository.startsWith(`${COMPANY}/`)) continue;
    for (const { digest } of await site.registry.images(repository))
      await site.registry.remove(repository, digest);
  }
  site?.remove();
  rmSync(folder, { recursive: true, force: true });
});

test('a module is made there, and an up makes its environment', async () => {
  await switchyard(
    ...['module', 'new', MODULE, '--description', 'Sells', '--owner', 'root'],
    ...['--base', `${MIRROR}/python:3.11`, '--into', join(folder, MODULE)],
  );
  appendFileSync(
    join(own, 'catalog', 'modules', `${MODULE}.yaml`),
    'resources: { cpu: 25m, memory: 64Mi, memoryLimit: 128Mi }\nproduction: { replicas: 1 }\nmerge: automatic\n',
  );
  await npm(own, 'test');
  expect(await switchyard('up', COMPANY, '--yes')).toMatch(/^up of company: \d+ create$/);
});

test('a push travels from there to production, after which an up, a preview and a look for drift find nothing', async () => {
  await site.reload(async () => (await fetch(`${SITE_JENKINS}/job/${COMPANY}/job/${MODULE}/api/json`)).ok);
  await deliver(log, `${COMPANY}/${MODULE}`, 'first', 'The first version', (checkout) =>
    cpSync(join(folder, MODULE), checkout, { recursive: true }),
  );
  const path = '{.spec.template.spec.containers[0].image}';
  const place = `--namespace=${COMPANY}-prod-${MODULE}`;
  const image = kubectl('get', `deployment/${MODULE}`, place, `--output=jsonpath=${path}`);
  expect(image).toMatch(new RegExp(`^${REGISTRY}/${COMPANY}/modules/${MODULE}@sha256:[0-9a-f]{64}$`));
  const service = `/api/v1/namespaces/${COMPANY}-prod-${MODULE}/services/${MODULE}:http/proxy/readyz`;
  expect(kubectl('get', '--raw', service)).not.toBe('');
  expect(await switchyard('up', COMPANY, '--yes')).toBe('up of company: no change');
  expect(await switchyard('preview', COMPANY)).toBe('preview of company: no change');
  expect(await switchyard('drift', COMPANY)).toMatch(/no drift/);
});

test('a component of its own is made by the next up, and destroy leaves nothing of the environment', async () => {
  const program = join(own, 'index.ts');
  writeFileSync(
    program,
    readFileSync(program, 'utf8')
      .replace('import {', "import * as k8s from '@pulumi/kubernetes';\nimport {")
      .replace(
        '  return {',
        `  new k8s.core.v1.ConfigMap('mine', { metadata: { namespace: '${COMPANY}-prod-${MODULE}', name: 'mine' } });\n  return {`,
      ),
  );
  expect(await switchyard('up', COMPANY, '--yes')).toMatch(/^up of company: .*1 create/);
  kubectl('get', 'configmap', 'mine', `--namespace=${COMPANY}-prod-${MODULE}`);
  expect(await switchyard('destroy', COMPANY, '--yes')).toMatch(/^destroy of company: \d+ delete$/);
  const selector = `--selector=switchyard.dev/environment=${COMPANY}`;
  expect(kubectl('get', 'namespaces,clusterroles,priorityclasses', selector, '--output=name')).toBe('');
});
