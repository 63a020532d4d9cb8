import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compileProgram } from '../../../delivery/preview/compile';
import { bundlePackages } from '../../../operations/build';
import { root } from '../../support/model';

// Bundles every package that the programs import.
jest.setTimeout(120_000);

test('a preview compiles the program of a merge request with what its image has, and with nothing else', async () => {
  const image = mkdtempSync(join(tmpdir(), 'switchyard-image-'));
  try {
    await bundlePackages(root, image);
    const packages = join(image, 'lib', 'packages.js');
    const program = join(image, 'lib', 'merged.js');
    await compileProgram(root, program, packages);
    const said = execFileSync(process.execPath, [program, 'check', 'lab'], {
      cwd: root,
      encoding: 'utf8',
      env: { PATH: process.env.PATH },
    });
    expect(said).toMatch(/^lab: \d+ modules, all \d+ rules hold\n$/);
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
