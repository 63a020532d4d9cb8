import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { pack } from 'tar-stream';
import type { Work } from '../../../lab/estimate';
import type { StepLog } from '../../../lab/steps';
import { fetchPart, toolPath } from '../../../lab/toolchain';
import {
  addressOf,
  checksumOf,
  DOWNLOADS_VARIABLE,
  download,
  fetchFile,
  ORIGINS,
  wayTo,
} from '../../../lab/toolchain/download';
import { PARTS, type Part } from '../../../lab/toolchain/parts';

const sha256 = (content: Buffer): string => createHash('sha256').update(content).digest('hex');

function part(name: string): Part {
  const found = PARTS.find((candidate) => candidate.name === name);
  if (!found) throw new Error(`${name} is a part`);
  return found;
}

async function archive(files: Readonly<Record<string, string>>): Promise<Buffer> {
  const tar = pack();
  for (const [name, content] of Object.entries(files)) tar.entry({ name, mode: 0o755 }, content);
  tar.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of tar) chunks.push(chunk as Buffer);
  return gzipSync(Buffer.concat(chunks));
}

/** What each release consists of, with the names, layouts and forms of checksums that its project publishes. */
async function release(name: string): Promise<Record<string, Buffer>> {
  const lines = (...files: [string, Buffer][]): Buffer =>
    Buffer.from(files.map(([file, content]) => `${sha256(content)}  ${file}\n`).join(''));
  const other = Buffer.from('another file of the release');
  if (name === 'kubernetes') {
    const files: Record<string, Buffer> = {};
    for (const program of part(name).programs[0]?.links ?? []) {
      const content = Buffer.from(`official ${program}`);
      files[`dl.k8s.io/release/v1.37.2/bin/linux/amd64/${program}`] = content;
      // The hash and nothing else, without an end of line.
      files[`dl.k8s.io/release/v1.37.2/bin/linux/amd64/${program}.sha256`] = Buffer.from(sha256(content));
    }
    return files;
  }
  if (name === 'pulumi') {
    const folder = 'github.com/pulumi/pulumi/releases/download/v3.259.0';
    const content = await archive({
      'pulumi/pulumi': 'official pulumi',
      'pulumi/pulumi-language-nodejs': 'official nodejs',
      'pulumi/pulumi-language-go': 'official go',
      'pulumi/pulumi-resource-pulumi-nodejs': '#!/bin/sh',
    });
    return {
      [`${folder}/pulumi-v3.259.0-linux-x64.tar.gz`]: content,
      [`${folder}/pulumi-3.259.0-checksums.txt`]: lines(
        ['pulumi-v3.259.0-linux-arm64.tar.gz', other],
        ['pulumi-v3.259.0-linux-x64.tar.gz', content],
        ['pulumi-v3.259.0-windows-x64.zip', other],
      ),
    };
  }
  if (name === 'coredns') {
    const folder = 'github.com/coredns/coredns/releases/download/v1.12.4';
    const content = await archive({ coredns: 'official coredns' });
    return {
      [`${folder}/coredns_1.12.4_linux_amd64.tgz`]: content,
      [`${folder}/coredns_1.12.4_linux_amd64.tgz.sha256`]: lines(['coredns_1.12.4_linux_amd64.tgz', content]),
    };
  }
  if (name === 'buildkit') {
    const folder = 'github.com/moby/buildkit/releases/download/v0.34.2';
    const content = await archive({
      'bin/buildctl': 'official buildctl',
      'bin/buildkit-runc': 'official runc',
      'bin/buildkitd': 'official buildkitd',
    });
    const statement = {
      _type: 'https://in-toto.io/Statement/v0.1',
      predicateType: 'https://slsa.dev/provenance/v1',
      subject: [{ name: 'buildkit-v0.34.2.linux-amd64.tar.gz', digest: { sha256: sha256(content) } }],
      predicate: { buildDefinition: {} },
    };
    return {
      [`${folder}/buildkit-v0.34.2.linux-amd64.tar.gz`]: content,
      [`${folder}/buildkit-v0.34.2.linux-amd64.provenance.json`]: Buffer.from(JSON.stringify(statement)),
    };
  }
  const folder = 'github.com/versity/versitygw/releases/download/v1.8.0';
  const inside = 'versitygw_v1.8.0_Linux_x86_64';
  const content = await archive({
    [`${inside}/LICENSE`]: 'licence',
    [`${inside}/NOTICE`]: 'notice',
    [`${inside}/README.md`]: 'read me',
    [`${inside}/versitygw`]: 'official versitygw',
  });
  return {
    [`${folder}/${inside}.tar.gz`]: content,
    [`${folder}/checksums.txt`]: lines(
      ['versitygw_v1.8.0_Darwin_arm64.tar.gz', other],
      [`${inside}.tar.gz`, content],
    ),
  };
}

let folder: string;
let server: Server;
let files: Record<string, Buffer>;
let asked: string[];
let notes: string[];
let lines: string[];
let work: Work[];
/** Answers in place of the file of that name. */
let faults: Record<string, (response: ServerResponse, content: Buffer) => void>;
const kept = { ...process.env };
// Elsewhere nothing is downloaded, so each of these has to fail.
const onX64 = process.arch === 'x64' ? test : test.failing;

const log: StepLog = {
  path: 'log',
  line: (text) => lines.push(text),
  note: (text) => notes.push(text),
  progress: (now) => work.push(now),
  exec: () => Promise.reject(new Error('no command is needed')),
};

const listen = async (handler: Parameters<typeof createServer>[1]): Promise<Server> => {
  const made = createServer(handler ?? (() => undefined)).listen(0, '127.0.0.1');
  await new Promise((resolve) => made.once('listening', resolve));
  return made;
};
const addressOfServer = (of: Server): string => `http://127.0.0.1:${(of.address() as AddressInfo).port}`;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'switchyard-download-'));
  [files, asked, notes, lines, work, faults] = [{}, [], [], [], [], {}];
  server = await listen((request, response) => {
    const path = (request.url ?? '').replace(/^\/mirror\//, '');
    if (request.method !== 'HEAD') asked.push(path);
    const content = files[path];
    const fault = faults[basename(path)];
    if (fault && content) fault(response, content);
    else if (content) response.writeHead(200, { 'content-length': content.length }).end(content);
    else response.writeHead(404).end('not found');
  });
  process.env[DOWNLOADS_VARIABLE] = `${addressOfServer(server)}/mirror/`;
  process.env.XDG_CACHE_HOME = folder;
  process.env.PATH = '/usr/bin:/bin';
});
afterEach(() => {
  process.env = { ...kept };
  server.closeAllConnections();
  server.close();
  rmSync(folder, { recursive: true, force: true });
});

const builds = (): string[] => readdirSync(join(folder, 'switchyard', 'builds'));

describe('an official release', () => {
  onX64.each([
    [
      'kubernetes',
      ['kube-apiserver', 'kube-controller-manager', 'kube-scheduler', 'kubelet', 'kube-proxy', 'kubectl'],
    ],
    ['pulumi', ['pulumi']],
    ['coredns', ['coredns']],
    ['buildkit', ['buildkitd', 'buildctl']],
    ['s3', ['versitygw']],
  ])('of %s is taken as it is published', async (name, programs) => {
    files = await release(name);
    expect(await fetchPart(part(name), log)).toBe(true);
    for (const program of programs)
      expect(readFileSync(toolPath(program), 'utf8')).toBe(`official ${program}`);
    expect(notes).toEqual([]);
    // Nothing of the archive stays, and a second look asks for nothing.
    expect(builds()).toHaveLength(1);
    expect(
      readdirSync(join(folder, 'switchyard', 'builds', builds()[0] ?? '')).filter((file) =>
        file.startsWith('.'),
      ),
    ).toEqual([]);
    const before = asked.length;
    expect(await fetchPart(part(name), log)).toBe(true);
    expect(asked).toHaveLength(before);
  });

  onX64('brings the programs of a part that comes with it', async () => {
    files = await release('pulumi');
    await fetchPart(part('pulumi'), log);
    const before = asked.length;
    expect(await fetchPart(part('pulumi-language-nodejs'), log)).toBe(true);
    expect(readFileSync(toolPath('pulumi-language-nodejs'), 'utf8')).toBe('official nodejs');
    expect(readlinkSync(toolPath('pulumi-language-nodejs'))).toMatch(
      /builds\/pulumi-[0-9a-f]{16}\/pulumi-language-nodejs$/,
    );
    expect(asked).toHaveLength(before);
  });

  onX64('shows how far it is, in megabytes of all its files', async () => {
    files = await release('kubernetes');
    await fetchPart(part('kubernetes'), log);
    const bytes = Object.entries(files)
      .filter(([path]) => !path.endsWith('.sha256'))
      .reduce((sum, [, content]) => sum + content.length, 0);
    expect(work.at(-1)).toEqual({ done: bytes / 1e6, total: bytes / 1e6, unit: 'MB' });
  });

  test('of every part lies on a host that is asked whether there is a way to it', () => {
    const all = PARTS.flatMap(({ official = [] }) =>
      official.flatMap(({ url, checksums }) => [url, checksums]),
    );
    expect(all.length).toBeGreaterThan(10);
    for (const url of all) expect(ORIGINS).toContain(new URL(url).origin);
  });
});

describe('a download that is not what it should be is never used, and the watcher is told', () => {
  const ARCHIVE = 'coredns_1.12.4_linux_amd64.tgz';
  const refused = async (told: RegExp) => {
    expect(await fetchPart(part('coredns'), log)).toBe(false);
    expect(notes).toEqual([expect.stringMatching(told)]);
    expect(notes[0]).toMatch(/^no official download: .*\. It is built instead$/);
    expect(builds()).toEqual([]);
    expect(existsSync(toolPath('coredns'))).toBe(false);
  };
  beforeEach(async () => {
    files = await release('coredns');
  });

  onX64('another content than the checksum says', async () => {
    faults[ARCHIVE] = (response) => response.end('something else');
    await refused(
      /coredns_1\.12\.4_linux_amd64\.tgz is refused: its SHA-256 is [0-9a-f]{64}, .*tgz\.sha256 says [0-9a-f]{64}/,
    );
  });
  onX64('a checksum of another file', async () => {
    faults[`${ARCHIVE}.sha256`] = (response) =>
      response.end(`${'a'.repeat(64)}  coredns_1.12.4_linux_arm64.tgz\n`);
    await refused(/names no SHA-256 of coredns_1\.12\.4_linux_amd64\.tgz/);
  });
  onX64('no archive, or no checksum', async () => {
    for (const [missing] of Object.entries(files)) {
      notes = [];
      const all = files;
      files = Object.fromEntries(Object.entries(all).filter(([path]) => path !== missing));
      await refused(/\/mirror\/github\.com\/coredns\/.*: answered 404/);
      files = all;
    }
  });
  onX64('a body that is cut off', async () => {
    faults[ARCHIVE] = (response, content) => {
      response.writeHead(200, { 'content-length': content.length });
      response.write(content.subarray(0, content.length / 2), () => response.destroy());
    };
    await refused(/coredns_1\.12\.4_linux_amd64\.tgz: /);
  });
  onX64('a body that is cut off without a length that would tell', async () => {
    faults[ARCHIVE] = (response, content) =>
      response.writeHead(200).end(content.subarray(0, content.length / 2));
    await refused(/is refused: its SHA-256 is/);
  });
  onX64('an archive without the program', async () => {
    const [archivePath = '', checksumPath = ''] = Object.keys(files);
    const content = await archive({ 'README.md': 'no program here' });
    files = { [archivePath]: content, [checksumPath]: Buffer.from(`${sha256(content)}  ${ARCHIVE}\n`) };
    await refused(/coredns_1\.12\.4_linux_amd64\.tgz: holds no coredns/);
  });
  onX64('a file that is no archive', async () => {
    const [archivePath = '', checksumPath = ''] = Object.keys(files);
    const content = Buffer.from('<html>please log in</html>');
    files = { [archivePath]: content, [checksumPath]: Buffer.from(`${sha256(content)}  ${ARCHIVE}\n`) };
    await refused(/coredns_1\.12\.4_linux_amd64\.tgz: incorrect header check/);
  });
  onX64('one of several files', async () => {
    files = await release('kubernetes');
    faults['kube-scheduler'] = (response) => response.end('something else');
    expect(await fetchPart(part('kubernetes'), log)).toBe(false);
    expect(notes).toEqual([expect.stringContaining('kube-scheduler is refused')]);
    expect(builds()).toEqual([]);
  });
});

describe('patience', () => {
  test('a download that stalls ends after that silence', async () => {
    files = await release('coredns');
    faults['coredns_1.12.4_linux_amd64.tgz'] = (response, content) => {
      response.writeHead(200, { 'content-length': content.length });
      response.write(content.subarray(0, 10));
    };
    expect(await download(part('coredns').official ?? [], folder, log, { silence: 200 })).toBe(false);
    expect(notes).toEqual([expect.stringContaining('stalled: nothing came for 0.2 s')]);
  });

  test('one that is slow, but goes on, may take many times as long', async () => {
    const slow = await listen((_, response) => {
      let sent = 0;
      response.writeHead(200, { 'content-length': 12 });
      const timer = setInterval(() => {
        response.write('x');
        if (++sent === 12) {
          clearInterval(timer);
          response.end();
        }
      }, 100);
    });
    try {
      const file = join(folder, 'slow');
      const hash = await fetchFile(addressOfServer(slow), file, { silence: 800 });
      expect(hash).toBe(sha256(Buffer.from('x'.repeat(12))));
    } finally {
      slow.close();
    }
  });

  test('ends with its step', async () => {
    files = await release('coredns');
    const abort = new AbortController();
    faults['coredns_1.12.4_linux_amd64.tgz'] = () => abort.abort(new Error('another step failed'));
    const ending = download(part('coredns').official ?? [], folder, { ...log, signal: abort.signal });
    await expect(ending).rejects.toThrow('another step failed');
    expect(notes).toEqual([]);
  });
});

describe('without a way', () => {
  onX64('a host that does not answer is waited for once, by all together', async () => {
    let connections = 0;
    const silent = await listen(() => undefined);
    silent.on('connection', () => connections++);
    try {
      process.env[DOWNLOADS_VARIABLE] = addressOfServer(silent);
      const begun = Date.now();
      const all = ['kubernetes', 'pulumi', 'coredns', 'buildkit', 's3'];
      expect(await Promise.all(all.map((name) => fetchPart(part(name), log)))).toEqual(all.map(() => false));
      for (const name of all) expect(await fetchPart(part(name), log)).toBe(false);
      expect(connections).toBe(1);
      expect(Date.now() - begun).toBeLessThan(8000);
      expect(notes).toEqual([]);
      expect(lines).toContain(`no way to ${addressOfServer(silent)}`);
    } finally {
      silent.closeAllConnections();
      silent.close();
    }
  });

  test('a host that refuses costs nothing', async () => {
    const gone = await listen(() => undefined);
    const address = addressOfServer(gone);
    await new Promise((resolve) => gone.close(resolve));
    expect(await wayTo(`${address}/file`)).toBe(false);
  });

  onX64('off asks nobody', async () => {
    process.env[DOWNLOADS_VARIABLE] = 'off';
    expect(await fetchPart(part('coredns'), log)).toBe(false);
    expect(asked).toEqual([]);
    expect(notes).toEqual([]);
  });
});

test('the address is the official one, or the same below a base', () => {
  const url = 'https://dl.k8s.io/release/v1.37.2/bin/linux/amd64/kubelet';
  expect(addressOf(url, '')).toBe(url);
  expect(addressOf(url, 'off')).toBeUndefined();
  expect(addressOf(url, 'https://files.example.com/official/')).toBe(
    'https://files.example.com/official/dl.k8s.io/release/v1.37.2/bin/linux/amd64/kubelet',
  );
  expect(() => addressOf(url, 'never')).toThrow(
    /^SWITCHYARD_DOWNLOADS is "never", which is neither "off" nor an http address\. /,
  );
});

test('a checksum is taken only for the very file, in any of the forms', () => {
  const [one, two] = ['a'.repeat(64), 'b'.repeat(64)];
  const list = `${two}  other.tar.gz\n${one} *file.tar.gz\nnonsense  bad.tar.gz\n`;
  expect(checksumOf(list, 'file.tar.gz')).toBe(one);
  expect(checksumOf(list, 'bad.tar.gz')).toBeUndefined();
  expect(checksumOf(list, 'file.tar')).toBeUndefined();
  expect(checksumOf(`${two}  release/file.tar.gz\n`, 'file.tar.gz')).toBe(two);
  expect(checksumOf(one, 'any')).toBe(one);
  expect(checksumOf(`${one}\n`, 'any')).toBe(one);
  const statement = (name: string, sha: string) =>
    JSON.stringify({ subject: [{ name, digest: { sha256: sha } }] });
  expect(checksumOf(statement('file.tar.gz', one), 'file.tar.gz')).toBe(one);
  expect(checksumOf(statement('other.tar.gz', one), 'file.tar.gz')).toBeUndefined();
  expect(checksumOf(statement('file.tar.gz', 'short'), 'file.tar.gz')).toBeUndefined();
  expect(checksumOf('{"subject": ', 'file.tar.gz')).toBeUndefined();
  expect(checksumOf('<html>not found</html>', 'file.tar.gz')).toBeUndefined();
});
