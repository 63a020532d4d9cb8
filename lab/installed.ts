import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { dependencies } from './package.json';

/** What is wrong where packages of the lab's own are missing, in one line; undefined when all are there. */
export function packagesFault(
  names: readonly string[],
  isInstalled: (name: string) => boolean,
): string | undefined {
  const missing = names.filter((name) => !isInstalled(name));
  return missing.length === 0
    ? undefined
    : `The lab's own packages are not installed (${missing.join(', ')}). Run: npm ci`;
}

// Imported before what needs them: `npm ci --workspaces=false` leaves them out (docs/lab.md).
const fault = packagesFault(Object.keys(dependencies), (name) =>
  [__dirname, join(__dirname, '..')].some((folder) => existsSync(join(folder, 'node_modules', name))),
);
if (fault) {
  process.stderr.write(`${fault}\n`);
  process.exit(1);
}
