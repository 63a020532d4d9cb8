// The real restic: each of its calls derives a key for half a second, which is too slow for the unit tests.

import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Restic } from '../../../delivery/backup/restic';
import { run } from '../../../delivery/commands';
import { Folders, flipped, KEY, parts } from '../../delivery/backup/support';
import { makeWorld, ROOT_TOKEN, type World } from '../../delivery/world';

jest.setTimeout(300_000);

const checkout = join(__dirname, '..', '..', '..');
const folders = new Folders();
const root = folders.new('commands');
const repository = join(root, 'repository');
const saved = { ...process.env };
const S3_KEY = 'secret-of-the-bucket';
let world: World;
let said = '';

beforeAll(async () => {
  world = await makeWorld();
  const bin = join(root, 'bin');
  mkdirSync(bin);
  // Stands in for pulumi: says what it was given, and exports what it finds there.
  writeFileSync(
    join(bin, 'pulumi'),
    `#!/bin/sh\necho "$@" > ${root}/pulumi-args; env > ${root}/pulumi-env\ncat Pulumi.yaml > /dev/null || exit 9\n` +
      `echo '{"version":3,"deployment":{"resources":[]}}'\n`,
  );
  chmodSync(join(bin, 'pulumi'), 0o755);
  Object.assign(process.env, {
    PATH: `${bin}:${process.env.PATH}`,
    XDG_CACHE_HOME: join(root, 'cache'),
    RESTIC_REPOSITORY: repository,
    RESTIC_PASSWORD: KEY,
    AWS_SECRET_ACCESS_KEY: S3_KEY,
    STATE_AWS_SECRET_ACCESS_KEY: 'secret-of-the-state',
    GITLAB_URL: world.url,
    GITLAB_TOKEN: ROOT_TOKEN,
    SWITCHYARD_GITLAB_GROUP: 'switchyard',
    SWITCHYARD_ENVIRONMENT: 'production',
    SWITCHYARD_CATALOG: join(checkout, 'catalog'),
    SWITCHYARD_STACKS: join(checkout, 'stacks'),
    REGISTRY: '127.0.0.1:9',
    REGISTRY_PLAIN_HTTP: 'true',
    PULUMI_BACKEND_URL: 's3://states',
  });
  jest.spyOn(process.stdout, 'write').mockImplementation((text) => {
    said += text;
    return true;
  });
  jest.spyOn(process.stderr, 'write').mockImplementation((text) => {
    said += text;
    return true;
  });
});

beforeEach(() => {
  said = '';
});

afterEach(() => {
  for (const secret of [KEY, S3_KEY, ROOT_TOKEN, 'secret-of-the-state']) expect(said).not.toContain(secret);
});

afterAll(async () => {
  jest.restoreAllMocks();
  process.env = saved;
  await world.close();
  folders.remove();
});

const held = async (): Promise<string[]> =>
  (await new Restic({ repository, environment: 'production' }).holdings()).snapshots.map(
    ({ kind, item }) => `${kind} ${item}`,
  );

test('after a release: one module’s project and the ledger, its images and nothing else; exit 0', async () => {
  await world.push('main', { 'app.txt': 'one' });
  await world.api('POST', `/projects/${encodeURIComponent('switchyard/release-ledger')}/repository/commits`, {
    branch: 'main',
    commit_message: 'Initial commit',
    actions: [{ action: 'create', file_path: 'README.md', content: 'ledger' }],
  });
  expect(await run(['backup', '--kind', 'registry', 'repositories', '--module', 'orders'])).toBe(0);
  expect(said).toContain('backup: 2 stored, 0 unchanged, 0 failed');
  expect(await held()).toEqual(['repositories release-ledger', 'repositories orders']);
});

test('what fails is named, the rest is stored, and the exit code says so', async () => {
  expect(await run(['backup', '--kind', 'state', '--kind', 'repositories'])).toBe(1);
  expect(said).toContain('repositories orders: unchanged');
  expect(said).toContain('repositories pipeline-library: failed: git ls-remote of ');
  expect(said).toMatch(/delivery: not backed up: repositories pipeline-library\./);
  expect(await held()).toContain('state stack');
  expect(readFileSync(join(root, 'pulumi-args'), 'utf8')).toBe(
    'stack export --stack production --non-interactive\n',
  );
  const env = readFileSync(join(root, 'pulumi-env'), 'utf8');
  expect(env).toContain('\nAWS_SECRET_ACCESS_KEY=secret-of-the-state\n');
  for (const other of [KEY, S3_KEY, ROOT_TOKEN]) expect(env).not.toContain(other);
});

test('verifying reads back, drops what is too old, and counts', async () => {
  expect(await run(['backup', '--kind', 'state'])).toBe(0);
  expect(await run(['backup-verify', '--keep-daily', '1', '--keep-weekly', '0', '--keep-monthly', '0'])).toBe(
    0,
  );
  expect(said).toContain('backup-verify: read back whole; 3 snapshots, 1 dropped');
});

test('a damaged backup is said in one line; nothing is dropped from it', async () => {
  const copy = flipped(repository, join(root, 'flipped'), parts(repository, 'data')[0] ?? '');
  process.env.RESTIC_REPOSITORY = copy;
  try {
    expect(await run(['backup-verify'])).toBe(1);
    expect(said).toMatch(
      /^delivery: backup: the repository .*flipped is damaged \(.*\)\. Restore nothing from it.*\n$/,
    );
    expect(parts(copy, 'snapshots')).toHaveLength(parts(repository, 'snapshots').length);
  } finally {
    process.env.RESTIC_REPOSITORY = repository;
  }
});

test('wrong input is exit 2: no key, the wrong key, an unknown kind or module', async () => {
  expect(await run(['backup', '--kind', 'everything'])).toBe(2);
  expect(await run(['backup', '--module', 'nobody'])).toBe(2);
  process.env.RESTIC_PASSWORD = 'another-key-altogether';
  expect(await run(['backup', '--kind', 'state'])).toBe(2);
  expect(said).toContain('does not open with this key');
  delete process.env.RESTIC_PASSWORD;
  expect(await run(['backup', '--kind', 'state'])).toBe(2);
  expect(said).toContain('neither RESTIC_PASSWORD nor RESTIC_PASSWORD_FILE is set');
  process.env.RESTIC_PASSWORD = KEY;
});
