import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { marksOf } from '../../../operations/build/marks';

// `bin/switchyard.js`: when it makes its bundle anew. In place of the program, one that says its name and arguments.

const root = join(__dirname, '..', '..', '..');
let checkout: string;
const write = (file: string, text: string): void => {
  mkdirSync(dirname(join(checkout, file)), { recursive: true });
  writeFileSync(join(checkout, file), text);
};
const program = (name: string): string =>
  `exports.main = () => console.log('${name}', ...process.argv.slice(2));\n`;
const note = (): void =>
  write(
    'dist/switchyard.js.json',
    JSON.stringify(marksOf(checkout, ['operations/cli.ts', 'package-lock.json'])),
  );

beforeEach(() => {
  checkout = mkdtempSync(join(tmpdir(), 'switchyard-bin-'));
  mkdirSync(join(checkout, 'bin'));
  copyFileSync(join(root, 'bin', 'switchyard.js'), join(checkout, 'bin', 'switchyard.js'));
  symlinkSync(join(root, 'node_modules'), join(checkout, 'node_modules'));
  write('operations/cli.ts', '// one\n');
  write('package-lock.json', '{}');
  write(
    'operations/build/run.ts',
    `import { writeFileSync } from 'node:fs';\nwriteFileSync('dist/switchyard.js', ${JSON.stringify(program('new'))} as string);\n`,
  );
  write('dist/switchyard.js', program('old'));
  note();
});
afterEach(() => rmSync(checkout, { recursive: true, force: true }));

const runIn = (cwd: string, ...args: string[]) => {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [join(checkout, 'bin', 'switchyard.js'), ...args],
    { encoding: 'utf8', cwd },
  );
  return { status, stdout, stderr };
};
const run = (...args: string[]) => runIn(tmpdir(), ...args);

/** As if it were an installed package: no sources, and the bundle that came with it. */
function asPackage(): void {
  rmSync(join(checkout, 'operations'), { recursive: true });
  rmSync(join(checkout, 'dist'), { recursive: true });
  write('dist/package/switchyard.js', program('packed'));
}

test('a bundle of what the checkout has is run as it is, with its arguments', () => {
  expect(run('up', 'lab')).toEqual({ status: 0, stdout: 'old up lab\n', stderr: '' });
});

test.each([
  ['a source changed', () => write('operations/cli.ts', '// two\n')],
  ['a source is gone', () => rmSync(join(checkout, 'operations', 'cli.ts'))],
  ['the packages changed', () => write('package-lock.json', '{"a": 1}')],
  ['there is no bundle', () => rmSync(join(checkout, 'dist', 'switchyard.js.json'))],
])('%s: it is made anew first', (_what, change) => {
  change();
  expect(run('check')).toEqual({ status: 0, stdout: 'new check\n', stderr: '' });
});

test('a bundle that cannot be made is no program to run', () => {
  write('operations/cli.ts', '// two\n');
  write('operations/build/run.ts', `process.stderr.write('a fault\\n');\nprocess.exit(3);\n`);
  expect(run('check')).toEqual({ status: 3, stdout: '', stderr: 'a fault\n' });
});

test('where there are no sources the bundle that came with the package is run', () => {
  asPackage();
  expect(run('check')).toEqual({ status: 0, stdout: 'packed check\n', stderr: '' });
});

test('what the repository around the current folder has installed goes before it, and before no checkout', () => {
  write('own/Pulumi.yaml', '');
  write('own/catalog/modules/a.yaml', '');
  const installed = 'own/node_modules/switchyard';
  write(`${installed}/dist/package/switchyard.js`, program('own'));
  mkdirSync(join(checkout, installed, 'bin'));
  copyFileSync(join(root, 'bin', 'switchyard.js'), join(checkout, installed, 'bin', 'switchyard.js'));
  const inside = join(checkout, 'own', 'catalog', 'modules');
  expect(runIn(inside, 'check').stdout).toBe('old check\n');
  asPackage();
  expect(runIn(inside, 'check').stdout).toBe('own check\n');
  expect(run('check').stdout).toBe('packed check\n');
});

test('whoever reads may go away: no stack trace', () => {
  const { stderr } = spawnSync('sh', ['-c', `"${process.execPath}" bin/switchyard.js --help | true`], {
    cwd: root,
    encoding: 'utf8',
  });
  expect(stderr).toBe('');
});
