import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compileProgram } from '../../delivery/preview/compile';
import { buildDeliveryImage } from '../../operations/build';

const root = join(__dirname, '..', '..');

// Bundles several programs on a machine that may be busy.
jest.setTimeout(120_000);

test('the programs of the delivery image run where there is no node_modules', async () => {
  const image = mkdtempSync(join(tmpdir(), 'switchyard-image-'));
  try {
    await buildDeliveryImage(root, image);
    const run = (program: string, ...args: string[]) =>
      execFileSync(process.execPath, [join(image, 'lib', `${program}.js`), ...args], {
        cwd: image,
        encoding: 'utf8',
        env: {
          PATH: process.env.PATH,
          SWITCHYARD_CATALOG: join(image, 'catalog'),
          SWITCHYARD_STACKS: join(image, 'stacks'),
          SWITCHYARD_LIBRARY: join(image, 'library'),
        },
      });
    expect(run('switchyard', 'check', 'lab')).toBe('lab: 1 modules, no fault\n');
    expect(run('delivery', '--help')).toContain('Usage: delivery');

    // A preview compiles a merge request's program with what the image has, and with nothing else.
    const packages = join(image, 'lib', 'packages.js');
    await compileProgram(root, join(image, 'lib', 'merged.js'), packages);
    expect(run('merged', 'check', 'lab')).toBe('lab: 1 modules, no fault\n');
    const source = join(image, 'source');
    mkdirSync(join(source, 'operations'), { recursive: true });
    writeFileSync(join(source, 'operations', 'cli.ts'), "import 'left-pad';\n");
    await expect(compileProgram(source, join(image, 'lib', 'x.js'), packages)).rejects.toThrow(
      /operations\/cli\.ts:1: the package "left-pad" is not in the delivery image/,
    );
  } finally {
    rmSync(image, { recursive: true, force: true });
  }
});
