import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { layOut, layOutJenkins } from '../../../operations/build/lay-out';

// When the context of the delivery image is made anew; what is in it is held by build.test.ts.

let checkout: string;
const write = (file: string, text: string): void => {
  mkdirSync(dirname(join(checkout, file)), { recursive: true });
  writeFileSync(join(checkout, file), text);
};

beforeEach(() => {
  checkout = mkdtempSync(join(tmpdir(), 'switchyard-lay-out-'));
  for (const folder of ['components', 'delivery', 'operations', 'rules', 'catalog', 'stacks'])
    write(`${folder}/part.ts`, `// ${folder}\n`);
  write('index.ts', '');
  write('package-lock.json', '{}');
  write('node_modules/a/index.js', 'one');
});
afterEach(() => rmSync(checkout, { recursive: true, force: true }));

/** Makes a context that says what it was made of. */
const build = async (_checkout: string, { out }: { readonly out: string }): Promise<string[]> => {
  mkdirSync(out, { recursive: true });
  writeFileSync(join(out, 'a.js'), readFileSync(join(checkout, 'node_modules', 'a', 'index.js')));
  return ['node_modules/a/index.js'];
};
/** As if time had passed: a file that changed in the very moment of the bundling is read again. */
const later = () => new Promise((resolve) => setTimeout(resolve, 20));
const laidOut = async (previews = false): Promise<boolean> => {
  await later();
  return layOut(checkout, previews, build);
};
const content = () => readFileSync(join(checkout, 'dist', 'image', 'a.js'), 'utf8');

test('what stands there already is not made again', async () => {
  expect(await laidOut()).toBe(true);
  expect(await laidOut()).toBe(false);
  expect(content()).toBe('one');
  expect(readdirSync(join(checkout, 'dist')).sort()).toEqual(['image', 'image.json']);
});

test.each([
  ['a source of the program', () => write('operations/part.ts', '// another\n')],
  ['a new source of the program', () => write('operations/more.ts', '// more\n')],
  ['a file of a package', () => write('node_modules/a/index.js', 'two')],
  ['a file of a package, without a change of its size', () => write('node_modules/a/index.js', 'eno')],
  ['the list of packages', () => write('package-lock.json', '{ }')],
  ['the context itself', () => rmSync(join(checkout, 'dist', 'image'), { recursive: true })],
])('%s changes: it is made again', async (_what, change) => {
  await laidOut();
  await later();
  change();
  expect(await laidOut()).toBe(true);
  expect(content()).toBe(readFileSync(join(checkout, 'node_modules', 'a', 'index.js'), 'utf8'));
  expect(await laidOut()).toBe(false);
});

test('with what compiles merge requests it is another one, and both stand side by side', async () => {
  await laidOut();
  expect(await laidOut(true)).toBe(true);
  expect(await laidOut(true)).toBe(false);
  expect(await laidOut()).toBe(false);
  expect(readdirSync(join(checkout, 'dist')).sort()).toEqual([
    'image',
    'image-previews',
    'image-previews.json',
    'image.json',
  ]);
});

test('catalog and stack files are not in it', async () => {
  await laidOut();
  write('catalog/modules/shop.yaml', 'description: A shop\n');
  write('stacks/Pulumi.test.yaml', 'config: {}\n');
  expect(await laidOut()).toBe(false);
});

test('a file that is written to while it is bundled is bundled again the next time', async () => {
  await later();
  await layOut(checkout, false, async (...given) => {
    const files = await build(...given);
    write('node_modules/a/index.js', 'two');
    return files;
  });
  expect(content()).toBe('one');
  expect(await laidOut()).toBe(true);
  expect(content()).toBe('two');
});

test('a bundling that fails leaves what was there, and nothing of its own', async () => {
  await laidOut();
  write('operations/part.ts', '// another\n');
  const failing = async () => {
    throw new Error('does not compile');
  };
  await expect(layOut(checkout, false, failing)).rejects.toThrow('does not compile');
  expect(content()).toBe('one');
  expect(existsSync(join(checkout, 'dist', 'image.json'))).toBe(true);
  expect(readdirSync(join(checkout, 'dist')).sort()).toEqual(['image', 'image.json']);
  expect(await laidOut()).toBe(true);
});

test('two runs at once both find it whole', async () => {
  await later();
  expect(await Promise.all([laidOut(), laidOut()])).toContain(true);
  expect(content()).toBe('one');
});

test('the context of Jenkins’ image is copied into a repository that installs Switchyard, and again when it changed', async () => {
  const project = join(checkout, 'own');
  const copied = () => layOutJenkins(checkout, project);
  const context = join(project, 'dist', 'jenkins-image');
  write('components/jenkins/image/Dockerfile', 'FROM one\n');
  write('components/jenkins/image/scripts/start.sh', 'start\n');
  expect(copied()).toBe(true);
  expect(copied()).toBe(false);
  write('components/jenkins/image/Dockerfile', 'FROM two\n');
  rmSync(join(checkout, 'components/jenkins/image/scripts'), { recursive: true });
  expect(copied()).toBe(true);
  expect(readdirSync(context)).toEqual(['Dockerfile']);
  expect(readFileSync(join(context, 'Dockerfile'), 'utf8')).toBe('FROM two\n');
  expect(readdirSync(join(project, 'dist'))).toEqual(['jenkins-image']);
  write('own/dist/jenkins-image/more', 'of somebody else\n');
  expect(copied()).toBe(true);
});
