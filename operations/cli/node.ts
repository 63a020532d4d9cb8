/** Oldest Node.js whose built-ins these programs use; `npm ci` brings one. */
const OLDEST = 22;

/** What is wrong with a version of Node.js, in one line; undefined when it will do. */
export function nodeFault(version: string): string | undefined {
  const major = Number(version.split('.')[0]);
  return major >= OLDEST
    ? undefined
    : `Node ${version} is too old: ${OLDEST} or newer is needed. Run it through npm (npm run lab, npx switchyard), which uses the one that npm ci installs.`;
}

// Imported before anything else, since modules that follow load built-ins that an older Node does not have.
const fault = nodeFault(process.versions.node);
if (fault) {
  process.stderr.write(`${fault}\n`);
  process.exit(1);
}
