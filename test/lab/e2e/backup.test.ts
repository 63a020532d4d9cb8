import { execFileSync } from 'node:child_process';
import { deriveSecret } from '../../../components/shared/secrets';
import { Restic } from '../../../delivery/backup/restic';
import type { Holdings, Kind } from '../../../delivery/backup/snapshots';
import { secret } from '../../../lab/cluster/daemons';
import { BACKUP_BUCKET, S3_ENDPOINT } from '../../../lab/machine/addresses';
import { ENVIRONMENT, labEnvironment, REPOSITORY, switchyard } from '../../../lab/topology';
import { kubectl, servedImage } from './running';

// The topology's own backup jobs on a running lab, run now instead of on their schedule, and read from outside.
jest.setTimeout(900_000);

/** Starts a job from a CronJob and waits for its good end; what it said. */
function runNow(cronJob: string): string {
  const job = `${cronJob}-now`;
  kubectl('-n', 'backup', 'delete', 'job', job, '--ignore-not-found');
  kubectl('-n', 'backup', 'create', 'job', job, `--from=cronjob/${cronJob}`);
  try {
    kubectl('-n', 'backup', 'wait', `job/${job}`, '--for=condition=Complete', '--timeout=500s');
    return kubectl('-n', 'backup', 'logs', `job/${job}`);
  } catch (error) {
    throw new Error(`${cronJob}: ${kubectl('-n', 'backup', 'logs', `job/${job}`)}`, { cause: error });
  } finally {
    kubectl('-n', 'backup', 'delete', 'job', job, '--ignore-not-found');
  }
}

/** The repository as a person reaches it who has the seed and the bucket's keys, and nothing of the cluster. */
const holdings = (): Promise<Holdings> =>
  new Restic({
    repository: `s3:${S3_ENDPOINT}/${BACKUP_BUCKET}/switchyard/${ENVIRONMENT}`,
    environment: ENVIRONMENT,
    env: {
      PATH: process.env.PATH,
      HOME: process.env.HOME,
      RESTIC_PASSWORD: deriveSecret(secret('seed', 32), 'backup/key'),
      AWS_ACCESS_KEY_ID: secret('s3-access-key', 10),
      AWS_SECRET_ACCESS_KEY: secret('s3-secret-key'),
    },
  }).holdings();

const itemsOf = ({ snapshots }: Holdings, kind: Kind): string[] => [
  ...new Set(snapshots.filter((snapshot) => snapshot.kind === kind).map(({ item }) => item)),
];

/** Digest that production runs of a module. */
const served = (module: string): string => servedImage(module).split('@')[1] ?? '';

test('one run leaves a snapshot of every item, and each kind counts as backed up', async () => {
  const before = Math.floor(Date.now() / 1000);
  expect(runNow('backup')).toMatch(/^backup: \d+ stored, \d+ unchanged, 0 failed$/m);
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

test('a second run reads nothing of what has not changed', () => {
  const said = runNow('backup');
  expect(said).toMatch(/^repositories orders: unchanged$/m);
  expect(said).toMatch(/^registry modules\/orders@sha256:[0-9a-f]{64}: unchanged$/m);
});

test('all that is kept is read back', () => {
  expect(runNow('verify')).toMatch(/^backup-verify: read back whole; \d+ snapshots, \d+ dropped$/m);
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

test('the last release was backed up by its own deploy, and its build is whole', async () => {
  const build = await fetch(
    'http://198.18.0.2:30080/job/switchyard/job/orders/lastSuccessfulBuild/consoleText',
  );
  const log = await build.text();
  expect(log).toMatch(/ repositories release-ledger: (stored|unchanged)/);
  expect(log).toMatch(new RegExp(` registry modules/orders@${served('orders')}: (stored|unchanged)`));
  expect(log).not.toContain('was released, but not backed up');
});
