import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { arch, tmpdir } from 'node:os';
import { join } from 'node:path';
import type { StepLog } from '../../../lab/steps';
import { fetchGo, findGo, fitsVersion, GO, goVersion, moduleProxies } from '../../../lab/toolchain/go';

test.each([
  ['1.26.8', '1.26', true],
  ['1.27', '1.26', true],
  ['2.0', '1.26', true],
  ['1.25.9', '1.26', false],
  ['1.9', '1.21', false],
])('Go %s for %s: %s', (found, wanted, fits) => {
  expect(fitsVersion(found, wanted)).toBe(fits);
});

test('the version is read out of what go prints', () => {
  expect(goVersion('go version go1.26.8 linux/amd64')).toBe('1.26.8');
  expect(goVersion('go1.21')).toBe('1.21');
  expect(goVersion('gccgo')).toBeUndefined();
});

test('no part asks for a newer Go than the one that is fetched', () => {
  const toolchain = join(__dirname, '../../../lab/toolchain');
  const wanted = readdirSync(toolchain)
    .map((name) => join(toolchain, name, 'go.mod'))
    .filter((file) => existsSync(file))
    .map((file) => /^go (\S+)$/m.exec(readFileSync(file, 'utf8'))?.[1] ?? '');
  expect(wanted).not.toEqual([]);
  expect(wanted.filter((version) => !fitsVersion(GO.version, version))).toEqual([]);
});

test('proxies are the web addresses of GOPROXY, in its order', () => {
  expect(moduleProxies('https://a.example.com/go/,direct')).toEqual(['https://a.example.com/go']);
  expect(moduleProxies('http://one|https://two, off')).toEqual(['http://one', 'https://two']);
  expect(moduleProxies('off')).toEqual([]);
});

describe('a machine without Go', () => {
  const version = '9.9.9';
  const module = `golang.org/toolchain@v0.0.1-go${version}.linux-${arch() === 'arm64' ? 'arm64' : 'amd64'}`;
  let folder: string;
  let zip: Buffer;
  let server: Server;
  let asked: string[];
  const kept = { ...process.env };
  const log: StepLog = {
    path: 'log',
    line: () => {},
    exec: async (command, args) => ({
      stdout: execFileSync(command, args, { encoding: 'utf8' }),
      stderr: '',
      code: 0,
    }),
  };
  const pinned = (content: Buffer) => ({
    version: version as typeof GO.version,
    sha256: { [arch()]: createHash('sha256').update(content).digest('hex') },
  });

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'switchyard-go-'));
    const go = join(folder, module, 'bin', 'go');
    for (const part of ['bin', 'pkg/tool']) mkdirSync(join(folder, module, part), { recursive: true });
    writeFileSync(go, `#!/bin/sh\necho go${version}\n`);
    writeFileSync(join(folder, module, 'pkg/tool/compile'), '');
    execFileSync('python3', ['-m', 'zipfile', '-c', 'go.zip', 'golang.org'], { cwd: folder });
    zip = readFileSync(join(folder, 'go.zip'));
    server = createServer((request, response) => {
      asked.push(request.url ?? '');
      if (request.url?.startsWith('/empty/')) response.writeHead(404).end();
      else response.end(zip);
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
  });
  beforeEach(() => {
    asked = [];
    const proxy = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    process.env.GOPROXY = `${proxy}/empty,${proxy}/full,direct`;
    process.env.XDG_CACHE_HOME = mkdtempSync(join(folder, 'cache-'));
  });
  afterAll(() => {
    process.env = kept;
    server.close();
    rmSync(folder, { recursive: true, force: true });
  });

  test('gets the pinned one from the first proxy that has it, once', async () => {
    const go = await fetchGo(log, pinned(zip));
    expect(execFileSync(go, { encoding: 'utf8' })).toBe(`go${version}\n`);
    expect(asked).toEqual([
      expect.stringMatching(/^\/empty\/golang\.org\/toolchain\/@v\/v0\.0\.1-go9\.9\.9\.linux-\w+\.zip$/),
      expect.stringMatching(/^\/full\//),
    ]);
    await expect(fetchGo(log, pinned(zip))).resolves.toBe(go);
    expect(asked).toHaveLength(2);
  });

  test('takes nothing but what is pinned, and leaves nothing of it', async () => {
    await expect(fetchGo(log, pinned(Buffer.from('another')))).rejects.toThrow(
      /Go 9\.9\.9 could not be had: .*404; .*has SHA-256 .*, pinned is .*\. Install Go 9\.9\.9/,
    );
    const cache = join(process.env.XDG_CACHE_HOME ?? '', 'switchyard');
    expect(readdirSync(cache)).toEqual([]);
  });

  test('is looked for once by all parts together, and again after it could not be had', async () => {
    delete process.env.SWITCHYARD_GO;
    process.env.PATH = join(folder, 'no-programs');
    process.env.GOPROXY = 'off';
    await expect(Promise.all([findGo(log), findGo(log)])).rejects.toThrow(/GOPROXY names no proxy/);
    const bin = mkdtempSync(join(folder, 'bin-'));
    const looks = join(bin, 'looks');
    writeFileSync(join(bin, 'go'), `#!/bin/sh\necho look >>'${looks}'\necho go1.26.8\n`, { mode: 0o755 });
    process.env.PATH = `${bin}:/usr/bin:/bin`;
    expect(await Promise.all([findGo(log), findGo(log), findGo(log)])).toEqual(['go', 'go', 'go']);
    expect(readFileSync(looks, 'utf8')).toBe('look\n');
  });

  test('a Go that somebody named is taken, or refused: never another in its place', async () => {
    process.env.SWITCHYARD_GO = join(folder, 'nowhere');
    await expect(findGo(log)).rejects.toThrow(/Go is not at .*nowhere\. Name a Go from 1\.21 on/);
    expect(asked).toEqual([]);
    delete process.env.SWITCHYARD_GO;
  });
});
