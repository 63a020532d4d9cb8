/*
 * `npm test`: first the lint, which answers in seconds; then the types beside the tests, since one of them keeps one
 * core busy. Arguments go to jest; which suites are its own, jest.config.js says (SWITCHYARD_TESTS). At the end stands
 * what each took; the exit code is 1 when any of them is red.
 */
const { spawn } = require('node:child_process');
const { join } = require('node:path');

const OLDEST = 22;
const root = join(__dirname, '..');
const node = (script, ...args) => [process.execPath, join(root, 'node_modules', script), ...args];

/** Ends with the exit code; what a quiet program says is printed in one piece at its end, and only when it is red. */
function run(name, [program, ...args], { quiet = false } = {}) {
  const begun = Date.now();
  return new Promise((resolve) => {
    const child = spawn(program, args, { cwd: root, stdio: quiet ? 'pipe' : 'inherit' });
    const said = [];
    for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk) => said.push(chunk));
    child.on('error', (error) => said.push(Buffer.from(`${error.message}\n`)));
    child.on('close', (code) => {
      const ended = { name, code: code ?? 1, seconds: Math.round((Date.now() - begun) / 1000) };
      if (ended.code !== 0 && said.length > 0)
        process.stderr.write(`\n== ${name} is red:\n${Buffer.concat(said).toString()}`);
      resolve(ended);
    });
  });
}

async function main() {
  if (Number(process.versions.node.split('.')[0]) < OLDEST) {
    process.stderr.write(
      `Node ${process.versions.node} is too old: ${OLDEST} or newer is needed. Run "npm ci", which brings one, then "npm test", which uses it.\n`,
    );
    return 1;
  }
  const ends = [await run('lint', node('@biomejs/biome/bin/biome', 'ci', '.'), { quiet: true })];
  if (ends[0].code === 0) {
    ends.push(
      ...(await Promise.all([
        run('types', node('typescript-native/bin/tsc', '--noEmit'), { quiet: true }),
        // The page's script knows a browser's types, which the rest must not.
        run('script', node('typescript-native/bin/tsc', '--noEmit', '-p', 'operations/render/page/browser'), {
          quiet: true,
        }),
        run('tests', node('jest/bin/jest.js', ...process.argv.slice(2))),
      ])),
    );
  }
  const lines = ends.map(
    ({ name, code, seconds }) => `${name.padEnd(6)} ${code === 0 ? 'passed' : 'FAILED'} ${seconds} s`,
  );
  process.stderr.write(`\n${lines.join('\n')}\n`);
  return ends.every(({ code }) => code === 0) ? 0 : 1;
}

main().then((code) => {
  process.exitCode = code;
});
