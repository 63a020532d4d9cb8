import { execFileSync } from 'node:child_process';
import { createHash, createHmac } from 'node:crypto';
import { Secrets } from '../../../components/shared/secrets';
import { Restic } from '../../../delivery/backup/restic';
import type { Holdings, Kind } from '../../../delivery/backup/snapshots';
import { secret } from '../../../lab/cluster/daemons';
import { BACKUP_BUCKET, BACKUP_ENDPOINT, S3_REGION } from '../../../lab/machine/addresses';
import { ENVIRONMENT, labEnvironment, REPOSITORY, switchyard } from '../../../lab/topology';
import { kubectl, runJob, servedImage } from './running';

// The topology's own backup jobs on a running lab, run now instead of on their schedule, and read from outside.
jest.setTimeout(900_000);

/** A backup job, now instead of on its schedule. */
const runNow = (cronJob: string): Promise<string> => runJob('backup', cronJob, 500);

/** The repository as a person reaches it who has the seed and the bucket's keys, and nothing of the cluster. */
const holdings = (): Promise<Holdings> =>
  new Restic({
    repository: `s3:${BACKUP_ENDPOINT}/${BACKUP_BUCKET}/switchyard/${ENVIRONMENT}`,
    environment: ENVIRONMENT,
    env: {
      PATH: process.env.PATH,
      HOME: process.env.HOME,
      RESTIC_PASSWORD: new Secrets(secret('seed', 32), ENVIRONMENT).secret('backup/key'),
      AWS_ACCESS_KEY_ID: secret('backup-store-access-key', 10),
      AWS_SECRET_ACCESS_KEY: secret('backup-store-secret-key'),
    },
  }).holdings();

/**
 * What the store of the backups answers to a request of whoever has these keys
 * (https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html).
 */
async function asked(method: string, access: string, key: string): Promise<number> {
  const path = `/${BACKUP_BUCKET}/switchyard/${ENVIRONMENT}/config`;
  const { host } = new URL(BACKUP_ENDPOINT);
  const time = new Date().toISOString().replace(/[-:]|\.\d+/g, '');
  const scope = `${time.slice(0, 8)}/${S3_REGION}/s3/aws4_request`;
  const hash = (text: string) => createHash('sha256').update(text).digest('hex');
  const sent = { 'x-amz-content-sha256': hash(''), 'x-amz-date': time };
  const headers = { host, ...sent };
  const signed = Object.keys(headers).join(';');
  const lines = Object.entries(headers).map(([name, value]) => `${name}:${value}\n`);
  const request = [method, path, '', lines.join(''), signed, hash('')].join('\n');
  const secretOf = scope
    .split('/')
    .reduce<Buffer>((by, part) => createHmac('sha256', by).update(part).digest(), Buffer.from(`AWS4${key}`));
  const signature = createHmac('sha256', secretOf)
    .update(['AWS4-HMAC-SHA256', time, scope, hash(request)].join('\n'))
    .digest('hex');
  const authorization = `AWS4-HMAC-SHA256 Credential=${access}/${scope}, SignedHeaders=${signed}, Signature=${signature}`;
  return (await fetch(`${BACKUP_ENDPOINT}${path}`, { method, headers: { ...sent, authorization } })).status;
}

const itemsOf = ({ snapshots }: Holdings, kind: Kind): string[] => [
  ...new Set(snapshots.filter((snapshot) => snapshot.kind === kind).map(({ item }) => item)),
];

/** Digest that production runs of a module. */
const served = (module: string): string => servedImage(module).split('@')[1] ?? '';

test('one run leaves a snapshot of every item, and each kind counts as backed up', async () => {
  const before = Math.floor(Date.now() / 1000);
  expect(await runNow('backup')).toMatch(/^backup: \d+ stored, \d+ unchanged, 0 failed$/m);
  const held = await holdings();
  expect(itemsOf(held, 'repositories')).toEqual(
    expect.arrayContaining(['release-ledger', 'pipeline-library', 'orders', 'billing', 'mailer']),
  );
  expect(itemsOf(held, 'databases').sort()).toEqual(
    expect.arrayContaining([
      'billing/postgresql',
      'mailer/rabbitmq',
      'orders/mongodb',
      'orders/mysql',
      'orders/redis',
    ]),
  );
  expect(itemsOf(held, 'jenkins')).toEqual(['home']);
  expect(itemsOf(held, 'state')).toEqual(['stack']);
  expect(itemsOf(held, 'registry')).toContain(`modules/orders@${served('orders')}`);
  const recent = held.successes.filter(({ time }) => time >= before).map(({ kind }) => kind);
  expect(recent.sort()).toEqual(['databases', 'jenkins', 'registry', 'repositories', 'state']);
});

test('a second run reads nothing of what has not changed', async () => {
  const said = await runNow('backup');
  expect(said).toMatch(/^repositories orders: unchanged$/m);
  expect(said).toMatch(/^registry modules\/orders@sha256:[0-9a-f]{64}: unchanged$/m);
});

test('all that is kept is read back', async () => {
  expect(await runNow('verify')).toMatch(/^backup-verify: read back whole; \d+ snapshots, \d+ dropped$/m);
});

test('status tells that every kind is fresh', () => {
  const [program, args] = switchyard(['status', ENVIRONMENT, '--json']);
  const printed = execFileSync(program, args, {
    cwd: REPOSITORY,
    encoding: 'utf8',
    env: { ...process.env, ...labEnvironment() },
  });
  const { backups } = JSON.parse(printed) as { backups: { kind: string; state: string }[] };
  expect(backups.map(({ kind, state }) => `${kind} ${state}`)).toEqual([
    'repositories fresh',
    'registry fresh',
    'databases fresh',
    'jenkins fresh',
    'state fresh',
  ]);
});

test('with all that a deploy Pod has nobody reads, overwrites or deletes a backup', async () => {
  const given = JSON.parse(kubectl('-n', 'ci-deploy', 'get', 'secrets', '-o', 'json')) as {
    items: { data?: Record<string, string> }[];
  };
  const found = Object.assign({}, ...given.items.map(({ data }) => data)) as Record<string, string>;
  expect(Object.keys(found)).toContain('AWS_SECRET_ACCESS_KEY');
  expect(Object.keys(found)).not.toContain('BACKUP_SECRET_KEY');
  const plain = (name: string): string => Buffer.from(found[name] ?? '', 'base64').toString('utf8');
  for (const method of ['GET', 'PUT', 'DELETE']) {
    expect(
      await asked(method, plain('AWS_ACCESS_KEY_ID'), plain('AWS_SECRET_ACCESS_KEY')),
    ).toBeGreaterThanOrEqual(400);
  }
  // So that it is the keys, and not the way of asking, that is refused.
  expect(await asked('GET', secret('backup-store-access-key', 10), secret('backup-store-secret-key'))).toBe(
    200,
  );
});

test('production databases ask for a login', () => {
  const ask = (login: string) =>
    kubectl(
      ...['-n', 'prod-orders', 'exec', 'deployment/orders', '-c', 'module', '--', 'python3', '-c'],
      `import os, pymongo
client = pymongo.MongoClient(os.environ["MONGODB_HOST"], int(os.environ["MONGODB_PORT"])${login})
try:
    client["module"]["events"].find_one()
    print("open")
except pymongo.errors.OperationFailure:
    print("refused")`,
    ).trim();
  const account = ', username=os.environ["MONGODB_USER"], authSource="admin"';
  expect(ask('')).toBe('refused');
  expect(ask(`${account}, password="wrong"`)).toBe('refused');
  expect(ask(`${account}, password=os.environ["MONGODB_PASSWORD"]`)).toBe('open');
});

test('the last release was backed up by its own build, and that is whole', async () => {
  const build = await fetch(
    'http://198.18.0.2:30080/job/switchyard/job/orders/lastSuccessfulBuild/consoleText',
  );
  const log = await build.text();
  expect(log).toMatch(/ repositories release-ledger: (stored|unchanged)/);
  expect(log).toMatch(new RegExp(` registry modules/orders@${served('orders')}: (stored|unchanged)`));
  expect(log).not.toContain('was released, but not backed up');
});
