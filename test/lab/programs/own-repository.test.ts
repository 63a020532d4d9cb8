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
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { programOf } from '../../../catalog/program';
import { keepNoLogs } from '../../../delivery/pulumi-home';
import { rules } from '../../../rules';
import { root, stackText } from '../../support/model';
import { acceptingProviders, SEED } from './accepting';

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
  const env = {
    PATH: [await acceptingProviders(join(work, 'engine')), path].join(delimiter),
    PULUMI_BACKEND_URL: `file://${join(work, 'state')}`,
    PULUMI_CONFIG_PASSPHRASE: 'only for this test',
    PULUMI_HOME: join(work, 'home'),
    KUBECONFIG: join(work, 'none'),
    SWITCHYARD_SEED: SEED,
    GITLAB_TOKEN: 'root-token',
    SWITCHYARD_LEDGER_FILE: join(work, 'ledger.yaml'),
    SWITCHYARD_FOUND_FILE: join(work, 'found.json'),
  };
  const up = async () => {
    const text = await said('npx', ['--no-install', 'switchyard', 'up', 'test', '--yes', '--json'], { env });
    return JSON.parse(text.slice(text.indexOf('{'))) as Record<string, unknown>;
  };
  const types = (document: Record<string, unknown>) =>
    (document.resources as readonly { readonly urn: string }[]).map(({ urn }) => urn.split('::')[2]);
  const made = types(await up());
  expect(made).toContain('own:index:Mine');
  expect(made).toContain('switchyard:index:Topology$switchyard:gitlab:Gitlab$gitlab:index/group:Group');
  expect(made.length).toBeGreaterThan(50);
  const state = readFileSync(join(work, 'state', '.pulumi', 'stacks', 'switchyard', 'test.json'), 'utf8');
  expect(state).toContain(NOTE);
  // It names a token that the accepting provider never issues, so it is one change in every run.
  expect(types(await up()).length).toBeLessThanOrEqual(1);
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
});
