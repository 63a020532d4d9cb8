import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type Blob, PROGRAM_FILE, programId, programOf, rootOf } from '../../catalog/program';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'switchyard-program-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const sources = {
  'index.ts': 'export = 1;\n',
  'clients/retry.ts': 'export const tries = 6;\n',
  'components/a/b.ts': 'export const b = "ä";\n',
  'delivery/library/vars/x.groovy': 'def call() {}\n',
  'operations/cli.ts': '',
  'rules/index.ts': 'export {};\n',
  'text/shell.ts': 'export const word = 1;\n',
  'catalog/load.ts': 'export const load = 1;\n',
  'stacks/load.ts': 'export const load = 2;\n',
};
const others = {
  'catalog/modules/orders.yaml': 'description: sells\n',
  'stacks/Pulumi.lab.yaml': 'config: {}\n',
  'test/x.test.ts': 'test\n',
  'docs/lab.md': 'text\n',
  'package-lock.json': '{}\n',
};

function write(files: Readonly<Record<string, string>>): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
}

/** As git itself has the files. */
function committed(): Blob[] {
  const git = (...args: string[]) => execFileSync('git', args, { cwd: folder, encoding: 'utf8' });
  git('init', '--quiet');
  git('add', '--all');
  return git('ls-files', '--stage')
    .split('\n')
    .filter(Boolean)
    .map((line) => {
      const [about = '', path = ''] = line.split('\t');
      return [path, about.split(' ')[1] ?? ''];
    });
}

test('a checkout and its commit are the same program', () => {
  write({ ...sources, ...others });
  expect(programOf(folder)).toBe(programId(committed()));
  expect(programOf(folder)).toMatch(/^[0-9a-f]{64}$/);
});

test.each(Object.keys(sources))('a change of %s is another program', (path) => {
  write({ ...sources, ...others });
  const before = programOf(folder);
  write({ [path]: 'changed\n' });
  expect(programOf(folder)).not.toBe(before);
});

test('so is a source that comes, and one that is called otherwise', () => {
  const blobs = Object.keys(sources).map((path): Blob => [path, 'a'.repeat(40)]);
  const id = programId(blobs);
  expect(programId([...blobs, ['rules/new.ts', 'b'.repeat(40)]])).not.toBe(id);
  expect(programId(blobs.map(([path, blob]) => [path.replace('cli', 'command'), blob]))).not.toBe(id);
  // Git lists in an order of its own.
  expect(programId([...blobs].reverse())).toBe(id);
});

test.each(Object.keys(others))('%s is not part of the program', (path) => {
  write({ ...sources, ...others });
  const before = programOf(folder);
  write({ [path]: 'changed\n' });
  expect(programOf(folder)).toBe(before);
});

test('where the delivery image was laid out, it is what stands there', () => {
  writeFileSync(join(folder, PROGRAM_FILE), `${'d'.repeat(64)}\n`);
  expect(programOf(folder)).toBe('d'.repeat(64));
});

test('a program finds its root: the checkout from any of its folders and from a bundle in it, the image from its own', () => {
  write({ ...sources, ...others, 'dist/switchyard.js': '' });
  for (const place of ['', 'operations', 'dist']) expect(rootOf(join(folder, place))).toBe(folder);
  const image = mkdtempSync(join(tmpdir(), 'switchyard-image-'));
  try {
    mkdirSync(join(image, 'lib'));
    expect(rootOf(join(image, 'lib'))).toBe(process.cwd());
    writeFileSync(join(image, PROGRAM_FILE), 'x\n');
    expect(rootOf(join(image, 'lib'))).toBe(image);
  } finally {
    rmSync(image, { recursive: true, force: true });
  }
});
