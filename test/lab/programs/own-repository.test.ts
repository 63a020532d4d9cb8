import { execFile } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join, relative } from 'node:path';
import { promisify } from 'node:util';
import { programOf } from '../../../catalog/program';
import { topologyBoxes } from '../../../components/boxes';
import { defaultFolders, loadModel } from '../../../components/load';
import { digestEvents } from '../../../delivery/preview/events';
import { keepNoLogs } from '../../../delivery/pulumi-home';
import { cacheHome } from '../../../lab/steps';
import { buildDeliveryImage } from '../../../operations/build/bundles';
import { rules } from '../../../rules';
import { previewBySides } from '../../delivery/preview/sides';
import { root, stackText } from '../../support/model';
import { acceptingProviders, SEED } from './accepting';
import { writeFirstInputs } from './preview-inputs';

// The product packed, a repository made by `init`, the package installed in it, and the commands run from there: the
// engine is the real one, its plug-ins accept everything. Packages of others come from npm's registry or its cache.
jest.setTimeout(1_800_000);

const run = promisify(execFile);
let work: string;
let own: string;
let tarball: string;
let registry: Server;
/** Where node is this one, and nothing of the checkout is at hand. */
const path = [join(process.execPath, '..'), process.env.PATH].join(delimiter);
/** How this machine reaches npm's registry: its proxy, and whom it trusts. */
const network = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => /proxy|cert|_ca_|cainfo/i.test(name)),
);
const plain = {
  ...network,
  PATH: path,
  HOME: process.env.HOME,
  npm_config_audit: 'false',
  npm_config_fund: 'false',
};

async function said(
  command: string,
  args: readonly string[],
  { cwd = own, env = {} }: { readonly cwd?: string; readonly env?: Readonly<Record<string, string>> } = {},
): Promise<string> {
  try {
    const options = { cwd, env: { ...plain, ...env }, maxBuffer: 64 << 20 };
    return (await run(command, [...args], options)).stdout;
  } catch (error) {
    const { stdout, stderr } = error as { stdout?: string; stderr?: string };
    throw new Error(`${command} ${args.join(' ')}: ${stdout ?? ''}${stderr ?? String(error)}`);
  }
}
const switchyard = (...args: string[]) => said('npx', ['--no-install', 'switchyard', ...args]);

beforeAll(async () => {
  work = mkdtempSync(join(tmpdir(), 'own-repository-'));
  own = join(work, 'own');
  registry = createServer((_request, response) => response.end()).listen(0, '127.0.0.1');
  await once(registry, 'listening');
  const packed = await said('npm', ['pack', '--json', '--pack-destination', work], { cwd: root });
  tarball = join(work, JSON.parse(packed.slice(packed.indexOf('[\n')))[0].filename);
  await said('npm', ['install', '--global', '--prefix', join(work, 'global'), tarball], { cwd: work });
  await said(join(work, 'global', 'bin', 'switchyard'), ['init', own], { cwd: work });
  await said('npm', ['install', tarball]);
});
afterAll(() => {
  registry.close();
  rmSync(work, { recursive: true, force: true });
});

test('the package has what is needed, and nothing of tests and lab', async () => {
  const files = (await said('tar', ['-tzf', tarball])).split('\n');
  for (const file of [
    'bin/switchyard.js',
    'dist/package/operations/library.js',
    'dist/package/operations/library.d.ts',
    'dist/package/catalog/services/mysql.yaml',
    'dist/package/delivery/library/vars/modulePipeline.groovy',
    'dist/package/sdks/gitlab/package.json',
    'schemas/module.schema.json',
  ])
    expect(files).toContain(`package/${file}`);
  expect(files.filter((file) => /^package\/(lab|test|bench|catalog|stacks)\/|\.test\./.test(file))).toEqual(
    [],
  );
});

test('the command that is installed for the whole machine says where it needs a repository', async () => {
  const command = join(work, 'global', 'bin', 'switchyard');
  await expect(said(command, ['check'], { cwd: work })).rejects.toThrow(/npx switchyard init <folder>/);
  await expect(said(command, ['init', own], { cwd: work })).rejects.toThrow('is not empty');
  expect(await said(command, ['check'])).toBe(`production: 0 modules, all ${rules.length} rules hold\n`);
});

test('a module is made, checked, rendered and tested from there', async () => {
  const into = join(work, 'shop');
  await switchyard(
    'module',
    'new',
    'shop',
    '--description',
    'Sells',
    '--owner',
    'ada',
    '--service',
    'mysql:8.4',
    '--into',
    into,
  );
  expect(existsSync(join(into, 'Dockerfile'))).toBe(true);
  const file = readFileSync(join(own, 'catalog', 'modules', 'shop.yaml'), 'utf8');
  const schema = /\$schema=(\S+)/.exec(file)?.[1] ?? '';
  expect(existsSync(join(own, 'catalog', 'modules', schema))).toBe(true);
  expect(await switchyard('check')).toBe(`production: 1 modules, all ${rules.length} rules hold\n`);
  await switchyard('render', 'production', '--out', 'rendered');
  expect(existsSync(join(own, 'rendered', 'index.html'))).toBe(true);
  await said('npm', ['test']);
  await said('npx', ['--no-install', 'tsc', '--noEmit']);
  appendFileSync(join(own, 'catalog', 'modules', 'shop.yaml'), 'prot: 1\n');
  await expect(switchyard('check')).rejects.toThrow(
    /catalog\/modules\/shop\.yaml:\d+: prot: is not a known key/,
  );
  await expect(said('npm', ['test'])).rejects.toThrow('prot: is not a known key');
  writeFileSync(join(own, 'catalog', 'modules', 'shop.yaml'), file);
});

const NOTE = 'example.com/cost-centre';

/** The manifests that `render` wrote, in one text. */
const manifests = (folder: string): string =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.yaml'))
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'utf8'))
    .join('\n');

test('its transform.ts changes what is rendered and checked, and no rule is passed by it', async () => {
  const file = join(own, 'transform.ts');
  const write = (body: string) =>
    writeFileSync(
      file,
      `import { type Transform, withArgs } from 'switchyard/transform';\nconst transform: Transform = ${body};\nexport default transform;\n`,
    );
  write('({ type }) => (type === "kubernetes:networking.k8s.io/v1:NetworkPolicy" ? [] : undefined)');
  await expect(switchyard('check')).rejects.toThrow('rule namespace-default-deny');
  await expect(said('npm', ['test'])).rejects.toThrow('rule namespace-default-deny');
  write('() => { throw new Error("not today"); }');
  await expect(switchyard('render', 'production', '--out', 'rendered')).rejects.toThrow(
    /transform\.ts: gitlab-group: the transform throws: not today/,
  );
  cpSync(join(root, 'test', 'components', 'examples', 'transform.ts'), file);
  await said('npx', ['--no-install', 'tsc', '--noEmit']);
  expect(manifests(join(own, 'rendered'))).not.toContain(NOTE);
  await switchyard('render', 'production', '--out', 'rendered');
  expect(manifests(join(own, 'rendered'))).toContain(NOTE);
  await said('npm', ['test']);
});

/** A program with a component of the company's own. */
const EXTENDED = `import * as pulumi from '@pulumi/pulumi';
import { topology } from 'switchyard';
import { KIND } from './components/mine';

export = async () => {
  const addresses = await topology(__dirname);
  new pulumi.ComponentResource(KIND, 'mine');
  return { ...addresses, own: 'yes' };
};
`;

let engine: Readonly<Record<string, string>>;
/** What the engine says it would do, or did, to what: operation and type of each resource that is not as it was. */
const typesOf = (document: Record<string, unknown>) =>
  (document.resources as readonly { readonly urn: string }[]).map(({ urn }) => urn.split('::')[2]);

test('up makes the topology and components of its own, and a second one changes nothing', async () => {
  writeFileSync(join(own, 'index.ts'), EXTENDED);
  mkdirSync(join(own, 'components'));
  writeFileSync(join(own, 'components', 'mine.ts'), "export const KIND = 'own:index:Mine';\n");
  await said('npx', ['--no-install', 'tsc', '--noEmit']);
  const address = `127.0.0.1:${(registry.address() as AddressInfo).port}`;
  writeFileSync(
    join(own, 'stacks', 'Pulumi.test.yaml'),
    stackText.replace('"registry.test:5000"', `"${address}", scheme: http`),
  );
  mkdirSync(join(work, 'state'));
  writeFileSync(join(work, 'ledger.yaml'), 'modules: {}\n');
  writeFileSync(join(work, 'found.json'), '{}\n');
  keepNoLogs(join(work, 'home'));
  engine = {
    // Pulumi's hosts of languages stand beside the toolchain's command line.
    PATH: [await acceptingProviders(join(work, 'engine')), path, join(cacheHome(), 'bin')].join(delimiter),
    PULUMI_BACKEND_URL: `file://${join(work, 'state')}`,
    PULUMI_CONFIG_PASSPHRASE: 'only for this test',
    PULUMI_HOME: join(work, 'home'),
    PULUMI_SKIP_UPDATE_CHECK: 'true',
    KUBECONFIG: join(work, 'none'),
    SWITCHYARD_SEED: SEED,
    GITLAB_TOKEN: 'root-token',
    SWITCHYARD_LEDGER_FILE: join(work, 'ledger.yaml'),
    SWITCHYARD_FOUND_FILE: join(work, 'found.json'),
  };
  const up = async () => {
    const args = ['--no-install', 'switchyard', 'up', 'test', '--yes', '--json'];
    const text = await said('npx', args, { env: engine });
    return JSON.parse(text.slice(text.indexOf('{'))) as Record<string, unknown>;
  };
  const made = typesOf(await up());
  expect(made).toContain('own:index:Mine');
  expect(made).toContain('switchyard:index:Topology$switchyard:gitlab:Gitlab$gitlab:index/group:Group');
  expect(made.length).toBeGreaterThan(50);
  const state = readFileSync(join(work, 'state', '.pulumi', 'stacks', 'switchyard', 'test.json'), 'utf8');
  expect(state).toContain(NOTE);
  // It names a token that the accepting provider never issues, so it is one change in every run.
  expect(typesOf(await up()).length).toBeLessThanOrEqual(1);
});

test('plain pulumi finds nothing to do there, with images that it lays out itself', async () => {
  // Pulumi writes the state's salt into the stack file.
  const config = join(work, 'Pulumi.test.yaml');
  cpSync(join(own, 'stacks', 'Pulumi.test.yaml'), config);
  rmSync(join(own, 'dist'), { recursive: true });
  const args = ['--stack', 'test', '--config-file', config, '--non-interactive'];
  const text = await said('pulumi', ['preview', ...args, '--json'], { env: engine });
  const { changeSummary } = JSON.parse(text) as { changeSummary: Readonly<Record<string, number>> };
  const { same = 0, ...changes } = changeSummary;
  expect(same).toBeGreaterThan(100);
  // See above.
  expect(Object.values(changes).reduce((sum, count) => sum + count, 0)).toBeLessThanOrEqual(1);
  for (const context of ['image', 'jenkins-image'])
    expect(existsSync(join(own, 'dist', context, 'Dockerfile'))).toBe(true);
  await said('pulumi', ['up', ...args, '--yes', '--skip-preview'], { env: engine });
  const file = join(own, 'catalog', 'modules', 'shop.yaml');
  const before = readFileSync(file, 'utf8');
  writeFileSync(file, `${before}prot: 1\n`);
  const env = { ...engine, PULUMI_NODEJS_TRANSPILE_ONLY: 'true' };
  const fault = await said('pulumi', ['preview', ...args], { env }).catch((error: Error) => error.message);
  expect(fault).toMatch(/catalog\/modules\/shop\.yaml:\d+: prot: is not a known key/);
  expect(fault).not.toMatch(/^\s+at .*\.[jt]s:\d+/m);
  writeFileSync(file, before);
});

test('a merge request on it is previewed by its delivery image', async () => {
  const product = realpathSync(join(own, 'node_modules', 'switchyard', 'dist', 'package'));
  const image = join(work, 'image-previews');
  await buildDeliveryImage(product, { out: image, previews: true, project: own });
  const workspace = join(work, 'workspace');
  const source = join(workspace, 'source');
  cpSync(own, source, {
    recursive: true,
    filter: (path) => !/^(?:node_modules|dist|rendered)$/.test(relative(own, path)),
  });
  writeFileSync(join(source, 'components', 'mine.ts'), "export const KIND = 'switchyard:own:Changed';\n");
  writeFirstInputs(workspace, topologyBoxes(loadModel(defaultFolders(product, own), 'test')));
  const before = process.env.PATH;
  process.env.PATH = engine.PATH;
  const preview = async () => {
    const { code, record } = await previewBySides({
      workspace,
      environment: 'test',
      delivery: join(image, 'lib', 'delivery.js'),
      timeoutMs: 600_000,
      path: process.env.PATH ?? '',
    });
    return { code, record, plan: digestEvents(record['events.jsonl'] ?? '') };
  };
  try {
    const { code, record, plan } = await preview();
    expect(plan.faults).toEqual([]);
    expect({ code, log: record.log }).toMatchObject({ code: 0 });
    expect(JSON.parse(record['rules.json'] ?? '')).toEqual([]);
    const types = new Set(plan.changes.map(({ type }) => type));
    expect(types).toContain('kubernetes:apps/v1:Deployment');
    // A plan names no components; the engine does.
    expect(record['events.jsonl']).toContain('::switchyard:own:Changed::');
    const lock = join(source, 'package-lock.json');
    const locked = JSON.parse(readFileSync(lock, 'utf8'));
    locked.packages['node_modules/switchyard'].version = '9.9.9';
    writeFileSync(lock, JSON.stringify(locked));
    const upgraded = await preview();
    expect(upgraded.code).toBe(1);
    expect(upgraded.plan.faults.join()).toMatch(/installs Switchyard 9\.9\.9, and the delivery image has /);
  } finally {
    process.env.PATH = before;
  }
});

test('the delivery image has that program, and runs where there are no packages', async () => {
  const image = join(work, 'image');
  cpSync(join(own, 'dist', 'image'), image, { recursive: true });
  const product = join(own, 'node_modules', 'switchyard', 'dist', 'package');
  expect(readFileSync(join(image, 'program-id'), 'utf8').trim()).toBe(programOf(product, own));
  expect(readFileSync(join(image, 'lib', 'switchyard.js'), 'utf8')).toContain('own:index:Mine');
  const catalog = join(work, 'applied');
  cpSync(join(product, 'catalog', 'services'), join(catalog, 'services'), { recursive: true });
  cpSync(join(own, 'catalog', 'modules'), join(catalog, 'modules'), { recursive: true });
  const env = {
    SWITCHYARD_CATALOG: catalog,
    SWITCHYARD_STACKS: join(own, 'stacks'),
    SWITCHYARD_LIBRARY: join(image, 'library'),
  };
  const started = (name: string, ...args: string[]) =>
    said(process.execPath, [join(image, 'lib', `${name}.js`), ...args], { cwd: image, env });
  expect(await started('switchyard', 'check', 'test')).toBe(
    `test: 1 modules, all ${rules.length} rules hold\n`,
  );
  await started('switchyard', 'render', 'test', '--out', join(work, 'rendered-there'));
  expect(manifests(join(work, 'rendered-there'))).toContain(NOTE);
  expect(await started('delivery', '--help')).toContain('Usage: delivery');
  const previewed = await said(
    process.execPath,
    [join(image, 'lib', 'switchyard.js'), 'preview', 'test', '--without-images', '--json'],
    { cwd: image, env: { ...engine, ...env } },
  );
  expect(typesOf(JSON.parse(previewed.slice(previewed.indexOf('{')))).length).toBeLessThanOrEqual(1);
});
