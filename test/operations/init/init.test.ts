import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ProblemsError } from '../../../catalog/problems';
import { topologyBoxes } from '../../../components/boxes';
import { defaultFolders, loadModel } from '../../../components/load';
import { checkAll } from '../../../operations/check';
import { init } from '../../../operations/init';
import { newModule } from '../../../operations/module/new';
import { rules } from '../../../rules';
import { root } from '../../support/model';

let work: string;
beforeEach(() => {
  work = mkdtempSync(join(tmpdir(), 'switchyard-init-'));
});
afterEach(() => rmSync(work, { recursive: true, force: true }));

const make = (folder: string, options: Partial<Parameters<typeof init>[1]> = {}) =>
  init(join(work, folder), { environment: 'production', ...options }, root);

const contentOf = (folder: string): Record<string, string> =>
  Object.fromEntries(
    readdirSync(join(work, folder), { withFileTypes: true, recursive: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .sort()
      .map((path) => [path.slice(join(work, folder).length + 1), readFileSync(path, 'utf8')]),
  );

const problemsOf = (act: () => unknown): string[] => {
  try {
    act();
  } catch (error) {
    if (error instanceof ProblemsError) return error.message.split('\n');
    throw error;
  }
  return [];
};

test('a new repository has all that it needs, and nothing else', () => {
  const { folder, files } = make('own');
  expect(folder).toBe(join(work, 'own'));
  expect(Object.keys(contentOf('own'))).toEqual([...files].sort());
  expect(files).toEqual(
    expect.arrayContaining(['.gitignore', 'Pulumi.yaml', 'index.ts', 'package.json', 'tsconfig.json']),
  );
  expect(readdirSync(work)).toEqual(['own']);
  const { name, dependencies, devDependencies } = JSON.parse(contentOf('own')['package.json'] ?? '');
  const own = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  expect(name).toBe('own');
  expect(dependencies).toEqual({
    '@pulumi/pulumi': own.dependencies['@pulumi/pulumi'],
    switchyard: `file:switchyard-${own.version}.tgz`,
  });
  expect(devDependencies.typescript).toBe(own.devDependencies.typescript);
});

test('the same input makes the same bytes, in a new folder and in an empty one', () => {
  make('one/own');
  mkdirSync(join(work, 'two', 'own', '.git'), { recursive: true });
  make('two/own');
  expect(contentOf('two/own')).toEqual(contentOf('one/own'));
});

test('its catalog and its stack file hold, with the services that come with Switchyard and the first module', async () => {
  make('own', { environment: 'live' });
  const folders = defaultFolders(root, join(work, 'own'));
  expect(checkAll(folders)).toEqual([{ name: 'live', modules: 0, rules: rules.length, unqueued: [] }]);
  const into = join(work, 'shop');
  await newModule(
    'shop',
    { description: 'Sells', owner: ['ada'], service: ['mysql:8.4'], into },
    { root, folders },
  );
  expect(contentOf('own')['catalog/modules/shop.yaml']).toContain(
    '# yaml-language-server: $schema=../../node_modules/switchyard/schemas/module.schema.json\n',
  );
  expect(checkAll(folders)).toEqual([{ name: 'live', modules: 1, rules: rules.length, unqueued: [] }]);
});

test('previews of its merge requests may be on, and its images are built from folders of its own', () => {
  make('own', { environment: 'live' });
  const stack = join(work, 'own', 'stacks', 'Pulumi.live.yaml');
  appendFileSync(stack, '  switchyard:topologyProject: { apply: manual }\n');
  const folders = defaultFolders(root, join(work, 'own'));
  checkAll(folders);
  const contexts = topologyBoxes(loadModel(folders, 'live')).flatMap(({ declarations }) =>
    declarations.flatMap(({ type, args }) =>
      type === 'docker:index/image:Image' ? [(args as { build: { context: string } }).build.context] : [],
    ),
  );
  expect(contexts).toEqual(['dist/jenkins-image', 'dist/image-previews']);
});

test('another address of Switchyard stands as it was said', () => {
  const { lines } = make('own', { package: 'npm:@example/switchyard@^1.0.0' });
  expect(JSON.parse(contentOf('own')['package.json'] ?? '').dependencies.switchyard).toBe(
    'npm:@example/switchyard@^1.0.0',
  );
  expect(lines).toContain('- npm install');
});

test.each([
  ['Our Topology', 'our-topology'],
  ['.ci', 'ci'],
  ['__', 'topology'],
])('a folder %j is the package %j', (folder, name) => {
  make(folder);
  expect(JSON.parse(contentOf(folder)['package.json'] ?? '').name).toBe(name);
});

test('a folder that is not empty is refused with what is in it, and stays as it is', () => {
  mkdirSync(join(work, 'own'));
  for (const name of ['b.txt', 'a.txt']) writeFileSync(join(work, 'own', name), name);
  expect(problemsOf(() => make('own'))).toEqual([
    `${join(work, 'own')}: is not empty: it has "a.txt" and 1 more. Choose another folder, or empty this one.`,
  ]);
  expect(Object.keys(contentOf('own'))).toEqual(['a.txt', 'b.txt']);
});

test('so is what it made itself, a file, and an environment that is no name', () => {
  make('own');
  const before = contentOf('own');
  expect(problemsOf(() => make('own', { environment: 'Two' }))).toEqual([
    expect.stringContaining('is not empty'),
    expect.stringMatching(/^init: --environment: "Two" /),
  ]);
  expect(contentOf('own')).toEqual(before);
  writeFileSync(join(work, 'file'), '');
  expect(problemsOf(() => make('file'))).toEqual([
    `${join(work, 'file')}: is not a folder. Choose another name.`,
  ]);
});

test('where it cannot write nothing is left half-made', () => {
  // A file where a folder must be, so that it fails for whoever may write everywhere, too.
  writeFileSync(join(work, 'file'), '');
  expect(() => make('file/below/own')).toThrow(/ENOTDIR|EEXIST/);
  expect(readdirSync(work)).toEqual(['file']);
  if (process.getuid?.() === 0) return;
  mkdirSync(join(work, 'closed'));
  chmodSync(join(work, 'closed'), 0o500);
  expect(() => make('closed/own')).toThrow('EACCES');
  expect(existsSync(join(work, 'closed', 'own'))).toBe(false);
});
