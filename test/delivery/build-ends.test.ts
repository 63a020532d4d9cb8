import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { exitCode } from '../../clients/failure';
import { RegistryAway } from '../../clients/registry';
import { BASES_AWAY, buildScript, waitForBuild } from '../../delivery/image';

describe('what ends a build', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'switchyard-script-'));
    mkdirSync(join(folder, 'bin'));
    writeFileSync(join(folder, 'buildkitd.toml'), '');
    writeFileSync(join(folder, 'bin', 'rootlesskit'), '#!/bin/sh\nexec sleep 60\n', { mode: 0o755 });
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  /** The script by a buildctl that prints these lines and ends with this code. */
  const ended = (code: number, lines: readonly string[]) => {
    const given = join(folder, '.switchyard', 'build');
    rmSync(given, { recursive: true, force: true });
    mkdirSync(given, { recursive: true });
    execFileSync('tar', ['-cf', join(given, 'source.tar'), '-T', '/dev/null']);
    const said = join(folder, 'said');
    writeFileSync(said, lines.map((line) => `${line}\n`).join(''));
    writeFileSync(
      join(folder, 'bin', 'buildctl'),
      `#!/bin/sh\n[ "$1" = debug ] || { cat ${said} >&2; exit ${code}; }\n`,
      { mode: 0o755 },
    );
    const script = buildScript('10.1.2.3:8099', ['build'], ['mirror.test:5000', 'registry.test']).replaceAll(
      '/config/buildkitd.toml',
      join(folder, 'buildkitd.toml'),
    );
    const { status, stdout } = spawnSync('sh', ['-c', script], {
      cwd: folder,
      env: { PATH: `${join(folder, 'bin')}:${process.env.PATH}`, BUILDKIT_HOST: 'unix:///none' },
      encoding: 'utf8',
    });
    expect(stdout).toBe(readFileSync(said, 'utf8'));
    return status;
  };
  const pull = 'python:3.11: failed to resolve source metadata for mirror.test:5000/python:3.11';

  it('is the code of buildctl, whatever it printed', () => {
    expect(ended(0, ['#1 [internal] load build definition', '\\ \t"x"  '])).toBe(0);
    expect(ended(1, ['error: failed to solve: process "/bin/sh -c exit 3" did not complete'])).toBe(1);
    expect(ended(137, [])).toBe(137);
  });

  it.each([
    `${pull}: unexpected status from HEAD request to https://mirror.test:5000/v2/python/manifests/3.11: 503 Service Unavailable`,
    `${pull}: failed to authorize: failed to fetch anonymous token: unexpected status from GET request to https://auth.test/token?scope=x: 500 Internal Server Error`,
    'failed to compute cache key: failed to copy: httpReadSeeker: failed open: unexpected status from GET request to https://elsewhere.test/v2/a/blobs/sha256:1: 429 Too Many Requests',
    `${pull}: failed to do request: Head "http://mirror.test:5000/v2/python/manifests/3.11": dial tcp 10.0.0.9:5000: connect: connection refused`,
    'registry.test/base/a: failed to resolve source metadata for registry.test/base/a:latest: failed to do request: Head "https://registry.test/v2/base/a/manifests/latest": EOF',
  ])('is the infrastructure’s: %s', (error) => {
    expect(ended(1, ['#2 ERROR: as below', `error: failed to solve: ${error}`])).toBe(BASES_AWAY);
  });

  it.each([
    `${pull}: mirror.test:5000/python:3.11: not found`,
    `${pull}: unexpected status from HEAD request to https://mirror.test:5000/v2/python/manifests/3.11: 403 Forbidden`,
    // Out of a build's reach for good, as likely as away for now.
    'a: failed to resolve source metadata for elsewhere.test/a:latest: failed to do request: Head "https://elsewhere.test/v2/a/manifests/latest": dial tcp 192.0.2.1:443: i/o timeout',
    'a: failed to resolve source metadata for mirrorxtest:5000/a:latest: failed to do request: Head "http://mirrorxtest:5000/v2/a": EOF',
    `${pull}: failed to do request: Head "https://mirror.test:5000/v2/": tls: failed to verify certificate: x509: certificate signed by unknown authority`,
    // What a step ran is in quotes.
    `process "/bin/sh -c echo ${pull}: unexpected status from HEAD request to x: 503 Service Unavailable" did not complete successfully: exit code: 1`,
  ])('is the Dockerfile’s: %s', (error) => {
    expect(ended(1, [`error: failed to solve: ${error}`])).toBe(1);
  });

  it('is not what a step printed', () => {
    const line = `error: failed to solve: ${pull}: unexpected status from HEAD request to x: 503 Service Unavailable`;
    expect(ended(1, [`#7 0.113 ${line}`, 'error: failed to solve: process "/bin/sh -c x" failed'])).toBe(1);
    expect(ended(0, [line])).toBe(0);
  });

  it('is told as what may be tried again, or as red', async () => {
    mkdirSync(join(folder, '.switchyard', 'build'), { recursive: true });
    writeFileSync(join(folder, '.switchyard', 'build', 'ended'), String(BASES_AWAY));
    const away = await waitForBuild(folder, 1).catch((error) => error);
    expect(away).toBeInstanceOf(RegistryAway);
    expect(away).toMatchObject({ code: exitCode.red, why: 'a registry that the image starts from is away' });
  });
});
