import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { root } from '../support/model';

// npm takes ten seconds to ask by itself, a minute where much else runs.
jest.setTimeout(240_000);

// `.ci/audit.js` against registries that answer npm's question (POST /-/npm/v1/security/advisories/bulk) in each way.

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ci-audit-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

interface Counts {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
}

/** Runs it with variables of npm, and the summary of `.ci/run` upon its report. */
async function audit(env: Readonly<Record<string, string>>) {
  const run = async (...args: string[]) => {
    const child = spawn(process.execPath, args, {
      cwd: folder,
      env: {
        ...process.env,
        npm_config_fetch_retries: '0',
        npm_config_cache: join(folder, 'cache'),
        ...env,
      },
    });
    let stdout = '';
    child.stdout.on('data', (chunk) => {
      stdout += chunk;
    });
    const status = await new Promise((resolve) => child.once('close', resolve));
    return { status, stdout };
  };
  const reports = mkdtempSync(join(folder, 'reports-'));
  const { status, stdout } = await run(join(root, '.ci/audit.js'), join(reports, 'audit.json'));
  const { numPassedTests, numFailedTests, numPendingTests } = JSON.parse(
    readFileSync(join(reports, 'audit.json'), 'utf8'),
  ) as Counts;
  const summary = await run(join(root, '.ci/report.js'), 'summary', reports, join(folder, 'no-stages'));
  const counts = [numPassedTests, numFailedTests, numPendingTests];
  return { status, said: stdout.trimEnd(), counts, lines: summary.stdout.trimEnd().split('\n') };
}

const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
  packages: Record<string, { version: string }>;
};

/** A package as npm looks it up when an advisory names it. */
function packument(name: string) {
  const version = packages[`node_modules/${name}`]?.version ?? 'none';
  return { name, 'dist-tags': { latest: version }, versions: { [version]: { name, version } } };
}

/** With npm itself, and a registry that answers its question with this. */
async function answering(status: number, answer: unknown) {
  const asked: string[] = [];
  const server = http.createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`);
    const [code, said] =
      request.method === 'POST' ? [status, answer] : [200, packument(request.url?.slice(1) ?? '')];
    request.resume().once('end', () => {
      response.writeHead(code, { 'content-type': 'application/json' }).end(JSON.stringify(said));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    const registry = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    return { ...(await audit({ npm_config_registry: registry })), asked };
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

/** With an npm that prints this. */
function told(stdout: string) {
  const bin = join(folder, 'bin');
  mkdirSync(bin);
  writeFileSync(join(bin, 'npm'), `#!/bin/sh\ncat <<'EOF'\n${stdout}\nEOF\n`, { mode: 0o755 });
  return audit({ PATH: `${bin}${delimiter}${process.env.PATH}` });
}

/** An advisory as the registry sends it, of every version. */
const flaw = (name: string, severity: string) => ({
  [name]: [
    {
      id: 1,
      url: 'https://github.com/advisories/GHSA-0000-0000-0000',
      title: 'A flaw that a test made up',
      severity,
      vulnerable_versions: '*',
      cwe: [],
      cvss: { score: 0, vectorString: null },
    },
  ],
});

test('a registry that knows of no flaw: one test passed', async () => {
  const { asked, status, said, counts } = await answering(200, {});
  expect(asked[0]).toBe('POST /-/npm/v1/security/advisories/bulk');
  expect([status, counts]).toEqual([0, [1, 0, 0]]);
  expect(said).toBe('npm audit passed: no package that people install has a high or critical flaw');
});

test.each([
  ['the product', 'commander'],
  ['the lab alone', 'fastify'],
])('a package of %s with a high flaw fails it, and the end names it: %s', async (_, name) => {
  const { status, said, counts, lines } = await answering(200, flaw(name, 'high'));
  expect([status, counts]).toEqual([1, [0, 1, 0]]);
  expect(said).toBe(`npm audit failed: ${name} (high): see npm audit`);
  expect(lines.slice(-4)).toEqual([
    '== what failed',
    '.ci/audit.js › npm audit knows of no high or critical flaw',
    `    ${name} (high): see npm audit`,
    '0 passed, 1 failed',
  ]);
});

test.each([
  ['critical', 1],
  ['high', 1],
  ['moderate', 0],
  ['low', 0],
])('a %s flaw ends it with %i', async (severity, code) => {
  const { status, counts } = await told(
    JSON.stringify({ vulnerabilities: { a: { name: 'a', severity }, b: { name: 'b', severity: 'info' } } }),
  );
  expect([status, counts]).toEqual([code, [1 - code, code, 0]]);
});

test('a registry that has no audits skips it, and the end says why', async () => {
  const { status, said, counts, lines } = await answering(405, {});
  expect([status, counts]).toEqual([0, [0, 0, 1]]);
  expect(said).toMatch(/^npm audit skipped: this registry has no audits \(405 /);
  expect(lines.slice(-4)).toEqual([
    '== what was skipped',
    '.ci/audit.js › npm audit knows of no high or critical flaw',
    expect.stringMatching(/^ {4}this registry has no audits \(405 /),
    '0 passed, 0 failed, 1 skipped',
  ]);
});

test.each([401, 403, 429, 500, 503])('an answer %i is no answer: it fails', async (code) => {
  const { status, said, counts } = await told(JSON.stringify({ statusCode: code, message: `${code} so` }));
  expect([status, counts]).toEqual([1, [0, 1, 0]]);
  expect(said).toBe(`npm audit failed: the registry did not answer: ${code} so`);
});

test.each(['', 'no JSON', '{}', '[]', 'null'])('so does an npm that says "%s"', async (stdout) => {
  const { status, counts } = await told(stdout);
  expect([status, counts]).toEqual([1, [0, 1, 0]]);
});

test('so does a registry that is not there', async () => {
  const server = http.createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  const { status, counts } = await audit({ npm_config_registry: `http://127.0.0.1:${port}/` });
  expect([status, counts]).toEqual([1, [0, 1, 0]]);
});
