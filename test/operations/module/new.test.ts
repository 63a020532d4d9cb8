import { spawn } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadCatalog } from '../../../catalog/load';
import { ProblemsError } from '../../../catalog/problems';
import { type ModuleOptions, newModule } from '../../../operations/module/new';
import { catalogTexts, root, stackText } from '../../support/model';

const folder = mkdtempSync(join(tmpdir(), 'switchyard-module-'));
const folders = {
  catalog: join(folder, 'catalog'),
  stacks: join(folder, 'stacks'),
  root: folder,
  library: join(folder, 'library'),
};
const into = join(folder, 'stock');
/** Two services of one version each, made from the small one of the other tests. */
const cache = catalogTexts.services['cache.yaml'] ?? '';
const services = {
  mysql: cache
    .replaceAll('CACHE', 'MYSQL')
    .replace(/^versions: .*$/m, 'versions: { "8.4": { image: "mysql:8.4" } }'),
  redis: cache
    .replaceAll('CACHE', 'REDIS')
    .replace(/^versions: .*$/m, 'versions: { "7.4": { image: "redis:7.4" } }'),
};

const stockFile = join(folders.catalog, 'modules', 'stock.yaml');

beforeEach(() => {
  rmSync(folder, { recursive: true, force: true });
  for (const path of [join(folders.catalog, 'services'), join(folders.catalog, 'modules'), folders.stacks]) {
    mkdirSync(path, { recursive: true });
  }
  for (const [name, text] of Object.entries(services)) {
    writeFileSync(join(folders.catalog, 'services', `${name}.yaml`), text);
  }
  writeFileSync(join(folders.stacks, 'Pulumi.test.yaml'), stackText);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const said = {
  description: 'Knows what is in stock',
  owner: ['ada'],
  service: ['mysql:8.4', 'redis'],
  port: '9000',
};
const make = (
  name = 'stock',
  options: Partial<ModuleOptions> = said,
  ask?: (question: string) => Promise<string>,
) => newModule(name, { into, ...options }, { root, folders, ask });

const problemsOf = async (run: Promise<unknown>): Promise<string[]> => {
  const error = await run.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof ProblemsError)) throw error ?? new Error('nothing was refused');
  return error.message.split('\n');
};

const nothingWritten = () => {
  expect(existsSync(stockFile)).toBe(false);
  expect(existsSync(into)).toBe(false);
};

test('a module from flags stands in the catalog with its schema line and nothing that is the default anyway', async () => {
  await make();
  expect(readFileSync(stockFile, 'utf8')).toBe(
    '# yaml-language-server: $schema=../../schemas/module.schema.json\n' +
      'description: Knows what is in stock\n' +
      'owners:\n  - ada\n' +
      'services:\n  - { kind: "mysql", version: "8.4" }\n' +
      '  - { kind: "redis", version: "7.4" }\n' +
      'port: 9000\n',
  );
  expect(loadCatalog(folders.catalog).modules).toMatchObject([
    { name: 'stock', port: 9000, merge: 'reviewed' },
  ]);
});

test('the skeleton is whole: image, program, tests, and no placeholder left in it; the pipeline is not the module’s', async () => {
  await make('stock', { ...said, base: 'mirror.test/python:3.11' });
  const paths = readdirSync(into, { recursive: true, encoding: 'utf8' }).sort();
  expect(paths).toEqual([
    '.dockerignore',
    '.gitignore',
    'Dockerfile',
    'README.md',
    'app.py',
    'tests',
    'tests/module.robot',
  ]);
  const text = (path: string) => readFileSync(join(into, path), 'utf8');
  for (const path of paths.filter((one) => one !== 'tests')) expect(text(path)).not.toMatch(/__[A-Z]+__/);
  expect(text('Dockerfile')).toContain('ARG BASE=mirror.test/python:3.11\n');
  expect(text('app.py')).toContain('"mysql": ("MYSQL_HOST", "MYSQL_PORT"),');
  expect(readFileSync(stockFile, 'utf8')).toContain('BASE: mirror.test/python:3.11');
});

test('the person is told what comes next, with the address of the project in each environment', async () => {
  writeFileSync(
    join(folders.stacks, 'Pulumi.small.yaml'),
    `${stackText.replace('environment: test', 'environment: small')}  switchyard:modules: []\n`,
  );
  const told = await make();
  expect(told).toContain('test https://gitlab.test/switchyard/stock.git');
  expect(told).toContain('npx switchyard up <environment>');
  expect(told).toContain('Add stock to switchyard:modules in stacks/Pulumi.small.yaml');
  expect(told).not.toContain('Pulumi.test.yaml');
});

test('what is not said is asked, and an empty answer takes the default', async () => {
  const asked: string[] = [];
  const answers = ['Knows stock', 'ada, bob', 'redis', ''];
  await make('stock', {}, (question) => {
    asked.push(question);
    return Promise.resolve(answers[asked.length - 1] ?? '');
  });
  expect(asked).toHaveLength(4);
  expect(asked[2]).toContain('mysql:8.4');
  expect(loadCatalog(folders.catalog).modules).toMatchObject([
    { description: 'Knows stock', owners: ['ada', 'bob'], services: [{ kind: 'redis' }], port: 8080 },
  ]);
});

test('where nobody can be asked, everything that is missing is told at once and nothing is written', async () => {
  expect(await problemsOf(make('stock', { service: ['mysq', 'redis:9'], port: 'x' }))).toEqual([
    'module new: --description: is missing. Say it, or run the command on a terminal to be asked.',
    'module new: --owner: is missing. Say it, or run the command on a terminal to be asked.',
    'module new: --service: "mysq" is not a service of the catalog. Did you mean "mysql"?',
    'module new: --service: "9" is not a version of redis. Known: 7.4.',
    'module new: --port: "x" is not a port. Use 1 to 65535.',
  ]);
  nothingWritten();
});

test('a value that the catalog does not take is refused by the catalog, and nothing is written', async () => {
  expect(await problemsOf(make('stock', { ...said, port: '70000' }))).toEqual([
    'catalog/modules/stock.yaml:8: port: is not a port. Use 1 to 65535.',
  ]);
  nothingWritten();
});

test('a name that no namespace can have is refused, also one that leads out of the catalog', async () => {
  for (const name of ['Stock', '../stock']) {
    expect(await problemsOf(make(name))).toEqual([
      `module new: "${name}" is not a DNS label. Use lower-case letters, digits and "-", starting with a letter.`,
    ]);
  }
  nothingWritten();
});

test.each([
  ['a--b', 'has two "-" in a row, which GitLab takes in no path of a group or project. Write one.'],
  ['tree', 'is what GitLab keeps for addresses of its own. Choose another name.'],
])('a name that GitLab makes no project of is refused: %s', async (name, says) => {
  expect(await problemsOf(make(name))).toEqual([`module new: "${name}" ${says}`]);
  nothingWritten();
});

test('neither a file of the catalog nor a folder with something in it is overwritten', async () => {
  writeFileSync(stockFile, 'mine');
  mkdirSync(into);
  writeFileSync(join(into, 'mine'), '');
  expect(await problemsOf(make())).toEqual([
    'catalog/modules/stock.yaml: is there already. Edit it, or choose another name.',
    `${into}: is not empty. Choose another folder with --into.`,
  ]);
  expect(readFileSync(stockFile, 'utf8')).toBe('mine');
  expect(readdirSync(into)).toEqual(['mine']);
});

const listening = (port = 0) =>
  new Promise<{ port: number; close: () => void }>((resolve) => {
    const server = createServer((socket) => socket.destroy());
    server.listen(port, '127.0.0.1', () => {
      const address = server.address();
      resolve({ port: typeof address === 'object' ? (address?.port ?? 0) : 0, close: () => server.close() });
    });
  });

test('the program of the skeleton answers, is ready only with its services, and leaves when told to', async () => {
  await make('stock', { ...said, service: ['redis'] });
  const [service, free] = await Promise.all([listening(), listening()]);
  free.close();
  const program = spawn('python3', [join(into, 'app.py')], {
    env: {
      PATH: process.env.PATH,
      PORT: String(free.port),
      REDIS_HOST: '127.0.0.1',
      REDIS_PORT: String(service.port),
    },
    stdio: 'ignore',
  });
  const left = new Promise<number | null>((resolve) => program.once('exit', resolve));
  try {
    const get = (path: string) => fetch(`http://127.0.0.1:${free.port}${path}`);
    for (let attempt = 0; attempt < 200; attempt++) {
      if (await get('/healthz').catch(() => undefined)) break;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    expect((await get('/readyz')).status).toBe(200);
    expect(await (await get('/')).json()).toEqual({ module: 'stock' });
    expect((await get('/nothing')).status).toBe(404);
    service.close();
    expect((await get('/readyz')).status).toBe(503);
  } finally {
    program.kill('SIGTERM');
  }
  expect(await left).toBe(0);
}, 30_000);
