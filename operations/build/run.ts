// Makes the bundle that `bin/switchyard.js` starts, and notes beside it what it was made of: file → mark.
import { renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { product as root } from '../place';
import { bundleProgram } from './bundles';
import { makeNoted } from './marks';

async function bundle(): Promise<void> {
  const made = join(root, 'dist', 'switchyard.js');
  const own = `${made}.${process.pid}`;
  try {
    await makeNoted(
      root,
      `${made}.json`,
      // Packages change with the lock file only.
      async () =>
        (await bundleProgram(root, 'switchyard', own)).filter((file) => !file.startsWith('node_modules/')),
      () => renameSync(own, made),
    );
  } finally {
    rmSync(own, { force: true });
  }
}

bundle().catch((error: unknown) => {
  // esbuild has shown where it failed.
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
