import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bundlePlugin } from '../../../lab/plugins/shared/bundle';
import { cacheHome } from '../../../lab/steps';
import { root } from '../../support/model';

/**
 * Puts Pulumi's command line and providers that accept everything into `bin` of a folder: the engine looks beside itself
 * first, and beside the toolchain's command line stand the lab's own plug-ins.
 * @returns that `bin`, for the front of PATH
 */
export async function acceptingProviders(
  work: string,
  names: readonly ('kubernetes' | 'gitlab' | 'docker')[] = ['kubernetes', 'gitlab', 'docker'],
): Promise<string> {
  const binDir = join(work, 'bin');
  mkdirSync(binDir, { recursive: true });
  for (const name of names) {
    const entry = join(__dirname, 'accepting-plugin.ts');
    const outDir = join(work, 'js');
    const { bundle } = await bundlePlugin({ name, entry, outDir, binDir, node: process.execPath });
    const manifest = readFileSync(join(root, 'node_modules', '@pulumi', name, 'package.json'), 'utf8');
    const { version, pulumi } = JSON.parse(manifest) as { version: string; pulumi?: { version?: string } };
    writeFileSync(`${bundle}.version`, (pulumi?.version ?? version).replace(/^v/, ''));
  }
  symlinkSync(join(cacheHome(), 'bin', 'pulumi'), join(binDir, 'pulumi'));
  return binDir;
}
