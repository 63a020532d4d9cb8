// Makes the bundle that `bin/switchyard.js` starts, and notes beside it what it was made of: file → mark.
import { mkdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { bundleProgram } from './build';
import { changedSince, DECIDING, marksOf } from './marks';
import { root } from './place';

async function bundle(): Promise<void> {
  const made = join(root, 'dist', 'switchyard.js');
  const note = `${made}.json`;
  // Another run of this checkout may make the same: neither finds half of it.
  const own = `${made}.${process.pid}`;
  mkdirSync(dirname(made), { recursive: true });
  try {
    writeFileSync(`${own}.json`, '');
    const begun = statSync(`${own}.json`).mtimeMs;
    const packed = await bundleProgram(root, 'switchyard', own);
    // Packages change with the lock file only.
    const files = [...DECIDING, ...packed.filter((file) => !file.startsWith('node_modules/'))].sort();
    writeFileSync(`${own}.json`, JSON.stringify(marksOf(root, files)));
    rmSync(note, { force: true });
    renameSync(own, made);
    // What was written to meanwhile is read again next time.
    if (!files.some((file) => changedSince(begun, join(root, file)))) renameSync(`${own}.json`, note);
  } finally {
    for (const left of [own, `${own}.json`]) rmSync(left, { force: true });
  }
}

bundle().catch((error: unknown) => {
  // esbuild has shown where it failed.
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
