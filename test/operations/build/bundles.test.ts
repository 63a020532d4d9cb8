import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildDeliveryImage } from '../../../operations/build/bundles';
import { rules } from '../../../rules';

const root = join(__dirname, '..', '..', '..');

const checked = expect.stringMatching(new RegExp(`^lab: \\d+ modules, all ${rules.length} rules hold\n$`));

let image: string;
beforeEach(() => {
  image = mkdtempSync(join(tmpdir(), 'switchyard-image-'));
});
afterEach(() => rmSync(image, { recursive: true, force: true }));

const run = (program: string, ...args: string[]) =>
  execFileSync(process.execPath, [join(image, 'lib', `${program}.js`), ...args], {
    cwd: image,
    encoding: 'utf8',
    env: {
      PATH: process.env.PATH,
      SWITCHYARD_CATALOG: join(root, 'catalog'),
      SWITCHYARD_STACKS: join(root, 'stacks'),
      SWITCHYARD_LIBRARY: join(image, 'library'),
    },
  });

test('the programs of the delivery image run where there is no node_modules', async () => {
  await buildDeliveryImage(root, { out: image });
  expect(run('switchyard', 'check', 'lab')).toEqual(checked);
  expect(run('delivery', '--help')).toContain('Usage: delivery');
  // What compiles merge requests is large, and only of use where a stack previews them.
  expect(existsSync(join(image, 'lib', 'packages.js'))).toBe(false);
});
