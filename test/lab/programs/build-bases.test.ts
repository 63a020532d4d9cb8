import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { BASES_AWAY, buildScript } from '../../../delivery/image';
import { cacheHome } from '../../../lab/steps';

// The script of a build, by BuildKit itself, and what it says of a registry that does not give what an image starts from.
jest.setTimeout(120_000);

let server: Server;
let registry: string;
let folder: string;

/** Knows one image, of one layer, and no layer. */
const CONFIG = '{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":["sha256:LAYER"]}}';
const LAYER = 'a'.repeat(64);
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
const config = CONFIG.replace('LAYER', LAYER);
const manifest = JSON.stringify({
  schemaVersion: 2,
  mediaType: 'application/vnd.oci.image.manifest.v1+json',
  config: {
    mediaType: 'application/vnd.oci.image.config.v1+json',
    digest: `sha256:${sha256(config)}`,
    size: config.length,
  },
  layers: [{ mediaType: 'application/vnd.oci.image.layer.v1.tar', digest: `sha256:${LAYER}`, size: 100 }],
});

beforeAll(async () => {
  server = createServer(({ url = '', method }, response) => {
    const status = Number(/\/answers-(\d+)\//.exec(url)?.[1] ?? 404);
    const text =
      url === '/v2/'
        ? '{}'
        : url.endsWith('/layer-503/manifests/latest') || url.includes(sha256(manifest))
          ? manifest
          : url.includes(sha256(config))
            ? config
            : undefined;
    response.statusCode = text ? 200 : url.includes(LAYER) ? 503 : status;
    if (text) {
      response.setHeader(
        'Content-Type',
        text === manifest ? JSON.parse(manifest).mediaType : 'application/json',
      );
      response.setHeader('Content-Length', text.length);
      response.setHeader('Docker-Content-Digest', `sha256:${sha256(text)}`);
    }
    response.end(method === 'HEAD' ? undefined : text);
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  registry = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  folder = mkdtempSync(join(tmpdir(), 'switchyard-bases-'));
  // As root, without a user namespace, and so with the sandbox that the script does without.
  mkdirSync(join(folder, 'bin'));
  writeFileSync(
    join(folder, 'bin', 'rootlesskit'),
    `#!/bin/sh\nexec buildkitd "$2" "$3" "$4" "$5" --root ${folder}/root --oci-worker-snapshotter=native --containerd-worker=false\n`,
    { mode: 0o755 },
  );
});
afterAll(async () => {
  await new Promise((done) => server.close(done));
  rmSync(folder, { recursive: true, force: true });
});

/** The exit code of a build of this Dockerfile, and all that it printed. */
async function build(dockerfile: string): Promise<{ code: number | null; said: string }> {
  const workspace = mkdtempSync(join(folder, 'workspace-'));
  const given = join(workspace, '.switchyard', 'build');
  const source = join(workspace, 'source');
  mkdirSync(given, { recursive: true });
  mkdirSync(source);
  writeFileSync(join(source, 'Dockerfile'), dockerfile);
  execFileSync('tar', ['-C', workspace, '-cf', join(given, 'source.tar'), 'source']);
  rmSync(source, { recursive: true });
  const toml = join(workspace, 'buildkitd.toml');
  writeFileSync(
    toml,
    ['127.0.0.1:1', registry].map((host) => `[registry."${host}"]\n  http = true\n`).join(''),
  );
  const script = buildScript(
    '127.0.0.1:2',
    [
      'build',
      '--progress=plain',
      '--frontend=dockerfile.v0',
      '--local=context=source',
      '--local=dockerfile=source',
    ],
    ['127.0.0.1:1', registry],
  );
  const child = spawn('sh', ['-c', script.replace('/config/buildkitd.toml', toml)], {
    cwd: workspace,
    env: {
      PATH: [join(folder, 'bin'), join(cacheHome(), 'bin'), process.env.PATH].join(delimiter),
      BUILDKIT_HOST: `unix://${workspace}/buildkitd.sock`,
    },
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (said += chunk));
  const code = await new Promise<number | null>((done) => child.on('close', done));
  return { code, said };
}

test.each([
  ['answers with 503', () => `FROM ${registry}/answers-503/a\n`, '503 Service Unavailable'],
  ['answers with 429', () => `FROM ${registry}/answers-429/a\n`, '429 Too Many Requests'],
  [
    'has the manifest and not the layer',
    () => `FROM ${registry}/layer-503\nRUN true\n`,
    '503 Service Unavailable',
  ],
  ['does not answer', () => 'FROM 127.0.0.1:1/a\n', 'connection refused'],
])('a registry that %s is away', async (_what, dockerfile, said) => {
  const ended = await build(dockerfile());
  expect(ended.said).toContain(said);
  expect(ended.code).toBe(BASES_AWAY);
});

test.each([
  ['has no such image', () => `FROM ${registry}/answers-404/a\n`, 'not found'],
  ['lets nobody read it', () => `FROM ${registry}/answers-403/a\n`, '403 Forbidden'],
  ['is not one of the topology’s', () => 'FROM 127.0.0.1:3/a\n', 'connection refused'],
])('a registry that %s makes the build red', async (_what, dockerfile, said) => {
  const ended = await build(dockerfile());
  expect(ended.said).toContain(said);
  expect(ended.code).toBe(1);
});

test('nor is a registry away for what a Dockerfile does not do right', async () => {
  expect(await build('FROM scratch\nCOPY none /\n')).toMatchObject({ code: 1 });
  expect(await build('FROM scratch\nCOPY Dockerfile /\n')).toMatchObject({ code: 0 });
});
