import { execFileSync, spawnSync } from 'node:child_process';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { findModule, loadCatalog, type Module } from '../../catalog/load';
import { packSource } from '../../delivery/source';
import { carryScript, runScript, testScript } from '../../delivery/test-pod';
import { readFolders } from '../../delivery/verdict';

// What goes into a test Pod and what comes out of it, with the real `tar`, `sh` and `gzip`.

const orders = findModule(loadCatalog(join(__dirname, '..', '..', 'catalog')), 'orders');
const passed = '<robot><suite name="S"><test name="t"><status status="PASS"/></test></suite></robot>';
let root: string;
let workspace: string;
/** The agent's workspace in the test Pod. */
let pod: string;
/** What its agent reads, and its container `carrier` alone writes. */
let carried: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'results-'));
  workspace = join(root, 'delivery');
  pod = join(root, 'pod');
  carried = join(root, 'carried');
  mkdirSync(carried);
  mkdirSync(join(workspace, 'source'), { recursive: true });
  mkdirSync(join(pod, '.switchyard', 'given'), { recursive: true });
});
afterEach(() => rmSync(root, { recursive: true }));

const put = (path: string, text: string): void => {
  const file = join(workspace, 'source', path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
};
const link = (path: string, target: string): void => symlinkSync(target, join(workspace, 'source', path));

/** Carries the checkout into the Pod, runs a test command there, carries what it left, and reads that. */
async function run(command: string, results = 'results') {
  const module: Module = { ...orders, test: { ...orders.test, command, results } };
  const given = join(pod, '.switchyard', 'given');
  await packSource(workspace, 'source', join(given, 'source.tar'));
  writeFileSync(join(given, 'test.sh'), testScript(module));
  writeFileSync(join(given, 'run.sh'), runScript());
  const ended = spawnSync('sh', ['.switchyard/given/run.sh'], {
    cwd: pod,
    encoding: 'utf8',
    maxBuffer: 64 << 20,
  });
  writeFileSync(join(carried, 'from'), pod);
  const carrier = spawnSync('sh', ['-c', carryScript(module, carried)], { cwd: '/', encoding: 'utf8' });
  expect({ code: carrier.status, done: existsSync(join(carried, 'done')) }).toEqual({ code: 0, done: true });
  return {
    code: ended.status,
    said: ended.stderr,
    log: ended.stdout,
    ...(await readFolders([carried], () => results)),
  };
}
const leaves = (text: string, file = 'results/output.xml'): string => `cat >${file} <<'EOF'\n${text}\nEOF`;

describe('a checkout in a test Pod', () => {
  it('is the whole of it: modes, links, hidden files, odd names, and what git describe needs', async () => {
    const source = join(workspace, 'source');
    const git = (...args: string[]) =>
      execFileSync('git', ['-c', 'user.name=A', '-c', 'user.email=a@b', ...args], {
        cwd: source,
        encoding: 'utf8',
      });
    git('init', '--quiet');
    put('.gitignore', 'results\n');
    put('a b/ü\nnew line', 'x');
    put('run', '#!/bin/sh\n');
    execFileSync('chmod', ['755', join(source, 'run')]);
    link('to-file', 'run');
    link('to-folder', 'a b');
    link('broken', 'nowhere');
    git('add', '--all');
    git('commit', '--quiet', '--message=x');
    git('tag', '--annotate', 'v1.2.3', '--message=x');
    const { code, said } = await run(
      'git describe >results/described; git status --porcelain >results/status',
    );
    expect({ code, said }).toEqual({ code: 0, said: '' });
    const brought = join(pod, 'source');
    expect(readFileSync(join(brought, 'results', 'described'), 'utf8')).toBe('v1.2.3\n');
    expect(readFileSync(join(brought, 'results', 'status'), 'utf8')).toBe('');
    expect(readlinkSync(join(brought, 'to-folder'))).toBe('a b');
    expect(readlinkSync(join(brought, 'broken'))).toBe('nowhere');
    expect(readFileSync(join(brought, 'a b', 'ü\nnew line'), 'utf8')).toBe('x');
    expect(lstatSync(join(brought, 'run')).mode & 0o111).toBe(0o111);
  });

  it('brings nothing along that its links point to', async () => {
    mkdirSync(join(workspace, '.switchyard', 'state'), { recursive: true });
    writeFileSync(join(workspace, '.switchyard', 'state', 'certificate.json'), 'ours');
    link('state', '../.switchyard/state');
    link('everything', '/');
    link('file', join(workspace, '.switchyard', 'state', 'certificate.json'));
    const archive = join(root, 'source.tar');
    await packSource(workspace, 'source', archive);
    const listed = execFileSync('tar', ['-tf', archive], { encoding: 'utf8' }).trim().split('\n');
    expect(listed).toEqual(['source/', 'source/everything', 'source/file', 'source/state']);
    expect(readFileSync(archive, 'utf8')).not.toContain('ours');
  });

  it('can leave a folder out, exactly that one', async () => {
    put('.git/config', 'x');
    put('lib/.git/config', 'x');
    put('.gitignore', 'x');
    const archive = join(root, 'source.tar');
    await packSource(workspace, 'source', archive, ['source/.git']);
    const listed = execFileSync('tar', ['-tf', archive], { encoding: 'utf8' });
    expect(listed).not.toMatch(/^source\/\.git\//m);
    expect(listed).toMatch(/^source\/lib\/\.git\/config$/m);
    expect(listed).toMatch(/^source\/\.gitignore$/m);
  });
});

describe('results', () => {
  it('come out packed, also where the tests exit early and with another code', async () => {
    expect(await run(`${leaves(passed)}\nexit 7`)).toMatchObject({
      code: 7,
      tests: { passed: 1 },
      faults: [],
    });
  });

  it('that are committed count for nothing', async () => {
    put('results/output.xml', passed);
    put('results/xunit.xml', '<testsuite><testcase name="t"/></testsuite>');
    expect(await run('true')).toMatchObject({
      tests: { total: 0 },
      faults: ['results: holds neither output.xml nor xunit.xml; the tests did not run to their end.'],
    });
  });

  it('of a folder that is a committed link to a folder of results count for nothing', async () => {
    put('old/output.xml', passed);
    link('results', 'old');
    expect(await run('true')).toMatchObject({ tests: { total: 0 }, faults: [expect.any(String)] });
  });

  it('go nowhere else by a committed link, neither in the Pod nor here', async () => {
    // The case of the issue: results -> ../.switchyard, and a suite that writes a certificate.
    link('results', '../.switchyard');
    const { tests } = await run(`echo '{}' >results/certificate.json\n${leaves(passed)}`);
    expect(tests).toMatchObject({ total: 1, passed: 1 });
    expect(existsSync(join(pod, '.switchyard', 'certificate.json'))).toBe(false);
    expect(existsSync(join(workspace, '.switchyard', 'certificate.json'))).toBe(false);
  });

  it.each([
    ['a link to a file', `echo '${passed}' >other; ln -s ../other results/output.xml`],
    ['a pipe', 'mkfifo results/output.xml'],
    ['a link to what never ends', 'ln -s /dev/zero results/output.xml'],
    ['a folder', 'mkdir results/output.xml'],
    ['in a folder that is gone', 'rm -r results'],
  ])('that are %s are none', async (_what, command) => {
    expect(await run(command)).toMatchObject({ tests: { total: 0 }, faults: [expect.any(String)] });
  });

  it('and what people look at are copied by name, and all of it as one archive', async () => {
    const { tests, faults } = await run(
      `rm -f ../.switchyard/given/run.sh; mkdir results/browser; for name in log.html report.html shot.png browser/b.png; do echo $name >results/$name; done\n${leaves(passed)}`,
    );
    expect({ passed: tests.passed, faults }).toEqual({ passed: 1, faults: [] });
    const report = join(carried, 'report');
    expect(readdirSync(report).sort()).toEqual(['log.html', 'output.xml', 'report.html', 'results.tar.gz']);
    expect(readFileSync(join(report, 'log.html'), 'utf8')).toBe('log.html\n');
    const listed = execFileSync('tar', ['-tzf', join(report, 'results.tar.gz')], { encoding: 'utf8' });
    expect(listed.trim().split('\n')).toEqual(expect.arrayContaining(['./shot.png', './browser/b.png']));
  });

  it('that are too large are left out of it, which is said: holes, what does not pack, links and pipes', async () => {
    const { tests } = await run(
      [
        'head -c 20000000 /dev/urandom >results/shot.png',
        'truncate -s 1T results/log.html',
        'mkfifo results/report.html',
        'ln -s /dev/zero results/xunit.xml',
        leaves(passed),
      ].join('\n'),
    );
    expect(tests.passed).toBe(1);
    const report = join(carried, 'report');
    expect(readdirSync(report).sort()).toEqual(['left-out.txt', 'output.xml']);
    expect(readFileSync(join(report, 'left-out.txt'), 'utf8')).toBe(
      'log.html: is larger than 64 MiB\nall results: a file of theirs is larger than 64 MiB\n',
    );
    await run(`head -c 20000000 /dev/urandom >results/shot.png\n${leaves(passed)}`);
    expect(readFileSync(join(report, 'left-out.txt'), 'utf8')).toBe(
      'all results: are larger than 16 MiB as packed\n',
    );
  }, 60_000);

  it('are told in a log that ends somewhere, while the tests go on', async () => {
    const { log, code, tests } = await run(
      `echo first; yes | head -c 20000000; echo last; ${leaves(passed)}\nexit 3`,
    );
    expect({ code, passed: tests.passed }).toEqual({ code: 3, passed: 1 });
    expect(log.startsWith('first\n')).toBe(true);
    expect(log.length).toBeLessThan((8 << 20) + 200);
    expect(log.trimEnd().split('\n').at(-1)).toMatch(/^run\.sh: the tests said \d+ bytes more, left out/);
  });

  it('wait for no process that the tests left behind with their output', async () => {
    const began = Date.now();
    const { log } = await run(`(sleep 30; echo late) & echo now; ${leaves(passed)}`);
    expect(log).toBe('now\n');
    expect(Date.now() - began).toBeLessThan(20_000);
  });

  it('are looked for where the catalog says, whatever characters that has', async () => {
    const { tests } = await run(`${leaves(passed, "'it is/$HOME'/output.xml")}`, 'it is/$HOME');
    expect(tests.passed).toBe(1);
  });
});
