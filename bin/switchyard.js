#!/usr/bin/env node
/*
 * The command line, from one bundle that starts in a tenth of the time that its sources take. In a checkout it is made anew
 * when a source has changed since; elsewhere it comes with the package, and the package of the repository around the
 * current folder goes before one that is installed for the whole machine.
 */
const { spawnSync } = require('node:child_process');
const { existsSync, readFileSync, realpathSync, statSync } = require('node:fs');
const { enableCompileCache } = require('node:module');
const { dirname, join } = require('node:path');

const root = join(__dirname, '..');
const sources = join(root, 'operations', 'build', 'run.ts');
const isCheckout = existsSync(sources);
const bundle = isCheckout
  ? join(root, 'dist', 'switchyard.js')
  : join(root, 'dist', 'package', 'switchyard.js');

/** This file as the repository around a folder has it installed; undefined where there is none, or none installed. */
function installedAround(folder) {
  const own = join(folder, 'node_modules', 'switchyard', 'bin', 'switchyard.js');
  if (existsSync(join(folder, 'Pulumi.yaml')) && existsSync(own)) return realpathSync(own);
  return dirname(folder) === folder ? undefined : installedAround(dirname(folder));
}

/** Is the bundle made of exactly what the checkout has now? `operations/build/run.ts` noted of what. */
function stands() {
  try {
    const files = JSON.parse(readFileSync(`${bundle}.json`, 'utf8'));
    return Object.entries(files).every(([file, mark]) => {
      const found = statSync(join(root, file), { throwIfNoEntry: false });
      return found !== undefined && `${found.size} ${found.mtimeMs}` === mark;
    });
  } catch {
    return false;
  }
}

if (isCheckout && !stands()) {
  const made = spawnSync(process.execPath, ['--import', 'tsx', sources], { cwd: root, stdio: 'inherit' });
  if (made.status !== 0) process.exit(made.status ?? 1);
}
const installed = isCheckout ? undefined : installedAround(process.cwd());
if (installed !== undefined && installed !== realpathSync(__filename)) require(installed);
else {
  enableCompileCache?.(join(root, 'dist', 'compile-cache'));
  require(bundle).main();
}
