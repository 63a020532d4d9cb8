import { spawn } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { KEY_PURPOSE } from '../../../components/backup/environment';
import { Secrets } from '../../../components/shared/secrets';
import { Restic } from '../../../delivery/backup/restic';
import { deliver, EXAMPLES } from '../../../lab/journey';
import { BACKUP_BUCKET, BACKUP_ENDPOINT, NODE_IP, REGISTRY } from '../../../lab/machine/addresses';
import { sleep } from '../../../lab/machine/process';
import { openLog } from '../../../lab/steps';
import {
  ENVIRONMENT,
  JENKINS_URL,
  labEnvironment,
  REPOSITORY,
  switchyard,
  upLab,
} from '../../../lab/topology';
import { parseStack } from '../../../stacks/load';
import { withSecrets } from '../../../stacks/rotation';
import { nightly } from '../../support/scale';
import { kubectl, PUSH_OF_NO_BRANCH, runJob, until } from './running';

// Passwords of live databases and the key of the backups, changed while the modules serve, and back at the end.
jest.setTimeout(600_000);

const log = openLog('e2e-rotate');
const FILE = `Pulumi.${ENVIRONMENT}.yaml`;
const ORDERS = `http://${NODE_IP}:${EXAMPLES.orders}`;
const BILLING = `http://${NODE_IP}:${EXAMPLES.billing}`;
const MAILER = `http://${NODE_IP}:${EXAMPLES.mailer}`;
const ROTATED = [
  'service/billing/postgresql',
  'service/billing/redis',
  'service/mailer/rabbitmq',
  'service/orders/mysql',
  'service/orders/redis',
];

let folder: string;
const environment = (): Record<string, string> => ({
  ...labEnvironment(),
  SWITCHYARD_STACKS: join(folder, 'stacks'),
});
const secretsNow = () =>
  parseStack(readFileSync(join(folder, 'stacks', FILE), 'utf8'), `stacks/${FILE}`, ENVIRONMENT).secrets;

/** The lab's repository as whoever has this password opens it. */
const repositoryOf = (password: string): Restic =>
  new Restic({
    repository: `s3:${BACKUP_ENDPOINT}/${BACKUP_BUCKET}/switchyard/${ENVIRONMENT}`,
    environment: ENVIRONMENT,
    env: {
      PATH: process.env.PATH,
      HOME: process.env.HOME,
      RESTIC_PASSWORD: password,
      AWS_ACCESS_KEY_ID: labEnvironment().BACKUP_ACCESS_KEY,
      AWS_SECRET_ACCESS_KEY: labEnvironment().BACKUP_SECRET_KEY,
    },
  });
const keyOf = (version: number): string =>
  new Secrets(labEnvironment().SWITCHYARD_SEED ?? '', ENVIRONMENT, { [KEY_PURPOSE]: version }).secret(
    KEY_PURPOSE,
  );

const MODULES = { mysql: 'orders', redis: 'orders', postgresql: 'billing', rabbitmq: 'mailer' } as const;
type Service = keyof typeof MODULES;
const SERVICES = Object.keys(MODULES) as Service[];

const credentialOf = (service: Service, key: 'password' | 'user'): string =>
  Buffer.from(
    kubectl(
      '-n',
      `prod-${MODULES[service]}`,
      'get',
      'secret',
      `${service}-credentials`,
      '-o',
      `jsonpath={.data.${key}}`,
    ),
    'base64',
  ).toString();
const passwordOf = (service: Service): string => credentialOf(service, 'password');
const passwordsNow = (): Record<Service, string> =>
  Object.fromEntries(SERVICES.map((service) => [service, passwordOf(service)])) as Record<Service, string>;

/** Whether a service lets this password in, with either user of its module, asked by its own client. */
function letsIn(service: Service, password: string): boolean {
  const ask = {
    postgresql:
      'for user in "$MODULE_USER" "${MODULE_USER}_2"; do PGPASSWORD="$0" psql --host=127.0.0.1 --username="$user" --dbname="$POSTGRES_DB" --command="SELECT 1" >/dev/null 2>&1 && echo yes && exit; done; echo no',
    rabbitmq:
      'for user in "$MODULE_USER" "${MODULE_USER}_2"; do rabbitmqctl --quiet authenticate_user "$user" "$0" >/dev/null 2>&1 && echo yes && exit; done; echo no',
    mysql:
      'MYSQL_PWD="$0" mysql --user="$MYSQL_USER" --execute="SELECT 1" >/dev/null 2>&1 && echo yes || echo no',
    redis: 'REDISCLI_AUTH="$0" redis-cli ping 2>/dev/null | grep -q PONG && echo yes || echo no',
  }[service];
  const said = kubectl(
    '-n',
    `prod-${MODULES[service]}`,
    'exec',
    `${service}-0`,
    '-c',
    service,
    '--',
    'sh',
    '-c',
    ask,
    password,
  );
  return said.trim() === 'yes';
}

const post = (): Promise<Response> =>
  fetch(`${ORDERS}/orders`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', connection: 'close' },
    body: JSON.stringify({ customer: 'Ada', item: 'lamp', quantity: 1 }),
  });

const json = { 'content-type': 'application/json', connection: 'close' };
const invoice = (): Promise<Response> =>
  fetch(`${BILLING}/invoices`, {
    method: 'POST',
    headers: json,
    body: JSON.stringify({ customer: 'Ada', cents: 100 }),
  });

/** Asks the modules for what needs each of their services, again and again, until it is told to stop. */
function load(): { readonly stop: () => Promise<{ asked: number; failed: string[] }> } {
  let going = true;
  const failed: string[] = [];
  let asked = 0;
  const one = async (): Promise<void> => {
    while (going) {
      asked += 1;
      try {
        const made = await post();
        const { order } = (await made.json()) as { order?: { id: string } };
        if (made.status !== 201) failed.push(`POST ${made.status}`);
        else {
          const read = await fetch(`${ORDERS}/orders/${order?.id}`, { headers: { connection: 'close' } });
          if (read.status !== 200) failed.push(`GET ${read.status}`);
          await read.text();
        }
      } catch (error) {
        failed.push(String(error));
      }
      await sleep(50);
    }
  };
  /** Both make a connection for each request, so that each logs in. */
  const others = async (): Promise<void> => {
    while (going) {
      asked += 2;
      try {
        const made = await invoice();
        await made.text();
        if (made.status !== 201) failed.push(`POST /invoices ${made.status}`);
        const depths = await fetch(`${MAILER}/queues`, { headers: { connection: 'close' } });
        await depths.text();
        if (depths.status !== 200) failed.push(`GET /queues ${depths.status}`);
      } catch (error) {
        failed.push(`billing or mailer: ${error}`);
      }
      await sleep(100);
    }
  };
  const all = Promise.all([one(), one(), others()]);
  return {
    stop: async () => {
      going = false;
      await all;
      return { asked, failed };
    },
  };
}

/** @param accept exit codes: 1 where some of what was asked for cannot be rotated, and is left */
async function rotate(accept: number, ...options: string[]): Promise<string> {
  const [command, args] = switchyard(['rotate', ENVIRONMENT, '--yes', ...options]);
  const where = { cwd: REPOSITORY, env: environment(), timeoutSeconds: 400, accept: [accept] };
  const { stdout, stderr } = await log.exec(command, args, where);
  return `${stdout}${stderr}`;
}

/** A rotation that is ended with kill -9 when it says this. */
async function killedAt(sign: RegExp, ...options: string[]): Promise<void> {
  const [command, args] = switchyard(['rotate', ENVIRONMENT, '--yes', ...options]);
  const child = spawn(command, args, {
    cwd: REPOSITORY,
    env: { ...process.env, ...environment() },
    stdio: ['ignore', 'ignore', 'pipe'],
    detached: true,
  });
  const over = new Promise((resolve) => child.once('close', resolve));
  let said = '';
  let seen = false;
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    said += chunk;
    if (seen || !sign.test(said)) return;
    seen = true;
    process.kill(-(child.pid as number), 'SIGKILL');
  });
  await over;
  if (!seen) throw new Error(`never said ${sign}:\n${said}`);
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'switchyard-rotate-'));
  cpSync(join(REPOSITORY, 'stacks'), join(folder, 'stacks'), { recursive: true });
});

// As a rotation that has begun with the first versions, whatever a test left.
afterAll(async () => {
  const file = join(folder, 'stacks', FILE);
  const rotating = [...ROTATED, KEY_PURPOSE];
  writeFileSync(file, withSecrets(readFileSync(file, 'utf8'), { versions: {}, rotating }));
  await rotate(0, '--purpose', KEY_PURPOSE);
  expect(readFileSync(file, 'utf8')).toBe(readFileSync(join(REPOSITORY, 'stacks', FILE), 'utf8'));
  expect(await repositoryOf(keyOf(1)).opens()).toBe(true);
  await upLab(log);
  rmSync(folder, { recursive: true, force: true });
});

test('the databases take other passwords, over a kill in the middle, and no request fails meanwhile', async () => {
  const before = passwordsNow();
  expect((await post()).status).toBe(201);
  expect((await invoice()).status).toBe(201);
  const under = load();
  await killedAt(/service\/orders\/mysql: takes the new secret beside/, '--purpose', 'service');
  expect(secretsNow().rotating).toEqual(expect.arrayContaining(ROTATED));
  expect(letsIn('mysql', before.mysql)).toBe(true);

  const [command, args] = switchyard(['status', ENVIRONMENT]);
  const { stdout } = await log.exec(command, args, { cwd: REPOSITORY, env: environment(), accept: [0, 6] });
  expect(stdout).toMatch(/service\/orders\/mysql +2 +rotating/);
  expect(stdout).toContain('a rotation has not ended: say switchyard rotate lab');

  const told = await rotate(1, '--purpose', 'service');
  for (const purpose of ROTATED) expect(told.split('\n')).toContain(`${purpose} has version 2`);
  // The lab's image in its place has no shell of MongoDB.
  expect(told).toMatch(/^service\/orders\/mongodb is left: .* its image has no mongosh/m);
  const { asked, failed } = await under.stop();
  expect(failed).toEqual([]);
  expect(asked).toBeGreaterThan(100);

  expect(secretsNow().rotating).toEqual([]);
  for (const service of SERVICES) {
    expect(passwordOf(service)).not.toBe(before[service]);
    expect(letsIn(service, passwordOf(service))).toBe(true);
    expect(letsIn(service, before[service])).toBe(false);
  }
  // A server that knows one password for each user has the other one log in.
  expect(credentialOf('postgresql', 'user')).toBe('billing_2');
  expect(credentialOf('rabbitmq', 'user')).toBe('mailer_2');
});

test('the backups’ repository opens with its new key only, and a dump is made with what the databases have now', async () => {
  expect(await rotate(0, '--purpose', KEY_PURPOSE)).toMatch(/^backup\/key has version 2$/m);
  expect(await repositoryOf(keyOf(1)).opens()).toBe(false);
  const before = Math.floor(Date.now() / 1000);
  await runJob('backup', 'backup', 300);
  const { snapshots } = await repositoryOf(keyOf(2)).holdings();
  const dumped = snapshots.filter(({ kind, time }) => kind === 'databases' && time >= before);
  expect(dumped.map(({ item }) => item)).toEqual(
    expect.arrayContaining([
      'orders/mysql',
      'orders/redis',
      'orders/mongodb',
      'billing/postgresql',
      'mailer/rabbitmq',
    ]),
  );
});

test('an up of a checkout that knows nothing of the rotation leaves the passwords as they are', async () => {
  const now = passwordsNow();
  await upLab(log);
  expect(passwordsNow()).toEqual(now);
  expect(credentialOf('postgresql', 'user')).toBe('billing_2');
  expect((await post()).status).toBe(201);
  expect((await invoice()).status).toBe(201);
  expect((await fetch(`${MAILER}/queues`)).status).toBe(200);
});

/** What else is derived, and both ends of which `up` changes together. */
const OTHERS = [
  'certificate/lab',
  'hook/orders',
  'jenkins/admin',
  'part/orders',
  'registry/pull',
  'registry/push',
  'registry/push-orders',
];

const derived = (purpose: string, version: number): string =>
  new Secrets(labEnvironment().SWITCHYARD_SEED ?? '', ENVIRONMENT, { [purpose]: version }).secret(purpose);
const basic = (user: string, password: string) => ({
  authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`,
});

/** Whether a login or a token opens what it is for. */
const opens: Readonly<Record<string, (secret: string) => Promise<boolean>>> = {
  'registry/push': async (secret) =>
    (await fetch(`http://${REGISTRY}/v2/_catalog`, { headers: basic('push', secret) })).status === 200,
  'registry/push-orders': async (secret) =>
    (
      await fetch(`http://${REGISTRY}/v2/modules/orders/tags/list`, {
        headers: basic('push-orders', secret),
      })
    ).status === 200,
  'registry/pull': async (secret) =>
    (await fetch(`http://${REGISTRY}/v2/`, { headers: basic('pull', secret) })).status === 200,
  'jenkins/admin': async (secret) =>
    (await fetch(`${JENKINS_URL}/me/api/json`, { headers: basic('admin', secret) })).status === 200,
  'hook/orders': async (secret) =>
    (
      await fetch(`${JENKINS_URL}/project/switchyard/orders`, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          'x-gitlab-event': 'Push Hook',
          'x-gitlab-token': secret,
        },
        body: JSON.stringify(PUSH_OF_NO_BRANCH),
      })
    ).status === 200,
};

nightly(
  'everything at once, while the modules serve, and then a merge request travels with what is new',
  async () => {
    for (const [purpose, tried] of Object.entries(opens)) {
      expect([purpose, await tried(derived(purpose, 1))]).toEqual([purpose, true]);
    }
    const under = load();
    // MongoDB's image in the lab has no shell, so that one is left.
    const told = await rotate(1);
    const { asked, failed } = await under.stop();
    for (const purpose of OTHERS) expect(told.split('\n')).toContain(`${purpose} has version 2`);
    for (const purpose of ROTATED) expect(told).toMatch(new RegExp(`^${purpose} has version \\d$`, 'm'));
    expect(failed).toEqual([]);
    expect(asked).toBeGreaterThan(100);
    expect(secretsNow().rotating).toEqual([]);
    for (const [purpose, tried] of Object.entries(opens)) {
      // Jenkins and the registry start anew with what is theirs.
      await until(`${purpose} opening with its new secret`, 120, async () =>
        (await tried(derived(purpose, 2)).catch(() => false)) ? true : undefined,
      );
      expect([purpose, await tried(derived(purpose, 1))]).toEqual([purpose, false]);
    }
    await deliver(log, 'billing', `rotated-${Date.now()}`, 'After everything was rotated', (checkout) =>
      writeFileSync(join(checkout, 'ROTATED.md'), `Rotated at ${new Date().toISOString()}.\n`),
    );
    expect((await invoice()).status).toBe(201);
  },
  900_000,
);
