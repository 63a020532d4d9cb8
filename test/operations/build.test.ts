import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildDeliveryImage } from '../../operations/build';
import { rules } from '../../rules';

// Bundling takes its time on a busy machine.
jest.setTimeout(60_000);

const root = join(__dirname, '..', '..');

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
    expect(run('switchyard', 'check', 'lab')).toEqual(
      expect.stringMatching(new RegExp(`^lab: \\d+ modules, all ${rules.length} rules hold\n$`)),
    );
    expect(run('delivery', '--help')).toContain('Usage: delivery');
  } finally {
    rmSync(image, { recursive: true, force: true });
  }
}, 60_000);
