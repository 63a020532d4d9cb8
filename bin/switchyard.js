#!/usr/bin/env node
/*
 * The command line, from one bundle (`dist/switchyard.js`) that starts in a tenth of the time that its sources take. In a
 * checkout it is made anew when a source has changed since; elsewhere it comes with the package.
 */
const { spawnSync } = require('node:child_process');
const { existsSync, readFileSync, statSync } = require('node:fs');
const { enableCompileCache } = require('node:module');
const { join } = require('node:path');

const root = join(__dirname, '..');
const bundle = join(root, 'dist', 'switchyard.js');

/** Is the bundle made of exactly what the checkout has now? `operations/bundle.ts` noted of what. */
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

const sources = join(root, 'operations', 'bundle.ts');
if (existsSync(sources) && !stands()) {
  const made = spawnSync(process.execPath, ['--import', 'tsx', sources], { cwd: root, stdio: 'inherit' });
  if (made.status !== 0) process.exit(made.status ?? 1);
}
enableCompileCache?.(join(root, 'dist', 'compile-cache'));
require(bundle).main();
