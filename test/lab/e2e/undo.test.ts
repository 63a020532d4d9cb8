import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  EXAMPLES,
  finalStatus,
  mergeRequest,
  openMergeRequest,
  productionVersion,
  travel,
} from '../../../lab/journey';
import { NODE_IP } from '../../../lab/machine/addresses';
import { sleep } from '../../../lab/machine/process';
import { openLog } from '../../../lab/steps';
import { ENVIRONMENT, JENKINS_URL, labEnvironment, REPOSITORY, switchyard } from '../../../lab/topology';
import { kubectl, servedImage, shownNotes } from './running';

// A running lab, in which a release that never gets ready is undone, as is one whose migration fails, and people go back to an
// earlier one, while requests come in all the time. Its module's file says a short deadline (`readySeconds`).
jest.setTimeout(400_000);

const log = openLog('e2e-undo');
const MODULE = 'mailer';

/** Folder of the catalog that people work with. @default the repository's */
let catalog: string | undefined;

/** Runs `switchyard …`, which has to end with one of these codes. */
async function run(args: string[], ...accept: number[]): Promise<{ stdout: string; stderr: string }> {
  const [command, all] = switchyard(args);
  return log.exec(command, all, {
    cwd: REPOSITORY,
    env: { ...labEnvironment(), ...(catalog === undefined ? {} : { SWITCHYARD_CATALOG: catalog }) },
    accept: accept.length > 0 ? accept : [0],
  });
}
const up = async (): Promise<string> =>
  (await run(['up', ENVIRONMENT, '--yes'])).stdout.trim().split('\n').at(-1) ?? '';
/** What it says as JSON; `status` ends with 6 where it cannot read something else. */
const json = async <T>(...args: string[]): Promise<T> =>
  JSON.parse((await run([...args, '--json'], 0, 6)).stdout) as T;

interface Row {
  readonly commit: string;
  readonly image: string;
  readonly state: string;
  readonly why?: string;
}
const rows = async (): Promise<readonly Row[]> =>
  (await json<{ releases: Row[] }>('releases', ENVIRONMENT, MODULE)).releases;

/** Ten requests a second, each by a connection of its own. */
function load(): () => Promise<{ answered: number; failed: string[] }> {
  let stopped = false;
  let answered = 0;
  const failed: string[] = [];
  const ask = (): Promise<void> =>
    new Promise((resolve) => {
      const wrong = (what: string): void => {
        failed.push(`${new Date().toISOString()} ${what}`);
        resolve();
      };
      const asked = get(`http://${NODE_IP}:${EXAMPLES[MODULE]}/version`, { agent: false, timeout: 5000 });
      asked.once('timeout', () => asked.destroy(new Error('no answer')));
      asked.once('error', (error) => wrong(error.message));
      asked.once('response', (response) => {
        response.resume();
        response.once('error', (error) => wrong(error.message));
        response.once('end', () => {
          if (response.statusCode !== 200) wrong(`status ${response.statusCode}`);
          else answered += 1;
          resolve();
        });
      });
    });
  const running = (async () => {
    for (; !stopped; await sleep(100)) await ask();
  })();
  return async () => {
    stopped = true;
    await running;
    return { answered, failed };
  };
}

async function nextVersion(by: number): Promise<string> {
  const [major, minor, patch] = String(await productionVersion(MODULE))
    .split('.')
    .map(Number);
  return `${major}.${minor}.${Number(patch) + by}`;
}
const versioned = (version: string) => (checkout: string) => {
  cpSync(join(REPOSITORY, 'lab', 'example', MODULE, 'mailer.py'), join(checkout, 'mailer.py'));
  writeFileSync(join(checkout, 'VERSION'), `${version}\n`);
};

/** Passes its tests, whose broker is at 127.0.0.1, and cannot start anywhere else; it says more than it should. */
const BROKEN = `
if os.environ.get("RABBITMQ_HOST") != "127.0.0.1":
    print("cannot reach amqp://mailer:" + os.environ.get("RABBITMQ_PASSWORD", "") + "@broker", flush=True)
    sys.exit(7)
`;
const broken = (version: string) => (checkout: string) => {
  versioned(version)(checkout);
  const file = join(checkout, 'mailer.py');
  const before = 'from mail import';
  writeFileSync(
    file,
    readFileSync(file, 'utf8').replace(before, () => `${BROKEN}\n${before}`),
  );
};

/** Opens a merge request and waits for its merge, and for what came of its deploy. */
async function merged(branch: string, change: (checkout: string) => void) {
  const iid = (await openMergeRequest(log, branch, branch, change, MODULE)) as number;
  const verdict = await finalStatus(String((await mergeRequest(iid, MODULE)).sha), MODULE);
  expect(verdict).toMatchObject({ state: 'success' });
  let now = await mergeRequest(iid, MODULE);
  for (const end = Date.now() + 120_000; now.state !== 'merged' && Date.now() < end; await sleep(500))
    now = await mergeRequest(iid, MODULE);
  expect(now.state).toBe('merged');
  const commit = String(now.merge_commit_sha ?? now.sha);
  const ended = finalStatus(commit, MODULE);
  const over = ended.then(
    () => true,
    () => true,
  );
  /** What its note said of the deploy while that went on. */
  const told = new Set<string>();
  while (!(await Promise.race([over, sleep(1000)])))
    for (const { body } of await shownNotes(iid, MODULE))
      for (const [, says = ''] of body.matchAll(/on its way to lab(?: and undone)?: (.*?) \(\[build\]/g))
        told.add(says);
  return { iid, commit, deployed: await ended, told: [...told] };
}

/** What the module's Pods print, and nobody may read. */
function password(): string {
  const secret = ['secret', 'rabbitmq-credentials', '-o', 'jsonpath={.data.password}'];
  const text = Buffer.from(kubectl(`--namespace=prod-${MODULE}`, 'get', ...secret), 'base64').toString();
  expect(text.length).toBeGreaterThan(8);
  return text;
}

let stop: ReturnType<typeof load>;
beforeAll(async () => {
  // In CI the suites before this one have released more than one; alone, on a new lab, there is one to begin with.
  if ((await rows()).filter(({ state }) => state === 'current' || state === 'earlier').length < 2) {
    const version = await nextVersion(1);
    await travel(log, 'before-undo', `${MODULE} ${version}`, versioned(version), version, MODULE);
  }
  stop = load();
});
afterAll(async () => {
  await stop?.();
});

test('a release that never gets ready is undone, and its author told', async () => {
  const image = servedImage(MODULE);
  const { iid, commit, deployed, told } = await merged('never-ready', broken(await nextVersion(1)));
  expect(told).toContainEqual(expect.stringMatching(/^0 of \d+ Pods are ready \(after \d+ s\)/));
  expect(deployed).toMatchObject({
    state: 'failed',
    description: expect.stringMatching(/is undone in lab: it did not get ready by its deadline/),
  });
  expect(servedImage(MODULE)).toBe(image);
  const [row] = await rows();
  expect(row).toMatchObject({ commit, state: 'undone', why: expect.stringContaining('exit code 7') });

  const note = (await shownNotes(iid, MODULE)).find(({ body }) => body.includes('Switchyard: undone'))?.body;
  expect(note).toContain('@root: ');
  expect(note).toContain('cannot reach amqp://mailer:[hidden]@broker');
  expect(note).toContain('BackOff');
  expect(note).not.toContain(password());

  const { modules } = await json<{ modules: { name: string; state: string; undone?: { commit: string } }[] }>(
    'status',
    ENVIRONMENT,
  );
  expect(modules.find(({ name }) => name === MODULE)).toMatchObject({
    state: 'as released',
    undone: { how: 'undone', commit },
  });
});

describe('a module whose data is migrated', () => {
  /** Leaves a message in a queue each time that it runs, and says more than it should. */
  const migration = (end: string): string => `import os
import sys

import pika

version = open("VERSION").read().strip()
env = os.environ
where = pika.ConnectionParameters(
    env["RABBITMQ_HOST"],
    int(env["RABBITMQ_PORT"]),
    env["RABBITMQ_VHOST"],
    pika.PlainCredentials(env["RABBITMQ_USER"], env["RABBITMQ_PASSWORD"]),
)
with pika.BlockingConnection(where) as connection:
    channel = connection.channel()
    channel.queue_declare("migrations", durable=True)
    channel.basic_publish("", "migrations", version.encode(), pika.BasicProperties(delivery_mode=2))
print("migrated by", env["RABBITMQ_PASSWORD"], "to", version, flush=True)
${end}
`;
  const FAILS = 'print("cannot alter the table", flush=True)\nsys.exit(3)';
  const migrating =
    (version: string, end: string, change = versioned) =>
    (checkout: string): void => {
      change(version)(checkout);
      writeFileSync(join(checkout, 'migrate.py'), migration(end));
      const file = join(checkout, 'Dockerfile');
      const text = readFileSync(file, 'utf8');
      if (!text.includes('migrate.py'))
        writeFileSync(file, text.replace('COPY VERSION ', 'COPY VERSION migrate.py '));
    };

  const inProduction = (...args: string[]): string => kubectl(`--namespace=prod-${MODULE}`, ...args);
  /** How often a migration ran before: on this lab the suite may have run already. */
  let before = 0;
  /** How often one ran since. */
  const ran = (): number => {
    const list = ['rabbitmqctl', '--quiet', 'list_queues', '--vhost', 'module', 'name', 'messages'];
    const said = inProduction('exec', 'rabbitmq-0', '--container=rabbitmq', '--', ...list);
    return Number(/^migrations\s+(\d+)$/m.exec(said)?.[1] ?? 0) - before;
  };
  const jobs = (): string => inProduction('get', 'jobs', '--output=name').trim();
  /** Another one as soon as any of what its Pods are made of is another. */
  const generation = (): string =>
    inProduction('get', `deployment/${MODULE}`, '--output=jsonpath={.metadata.generation}');
  const noteOf = async (iid: number): Promise<string> =>
    (await shownNotes(iid, MODULE)).find(({ body }) => body.includes('Switchyard: undone'))?.body ?? '';

  beforeAll(async () => {
    const folder = mkdtempSync(join(tmpdir(), 'switchyard-migrations-'));
    catalog = join(folder, 'catalog');
    cpSync(join(REPOSITORY, 'catalog'), catalog, { recursive: true });
    const file = join(catalog, 'modules', `${MODULE}.yaml`);
    const text = readFileSync(file, 'utf8');
    const key = '  readySeconds: 40\n';
    expect(text).toContain(key);
    writeFileSync(
      file,
      text.replace(key, `${key}  migrate: [python3, -B, migrate.py]\n  migrateSeconds: 60\n`),
    );
    before = ran();
    // What is released already is not migrated.
    await up();
    expect([jobs(), ran()]).toEqual(['', 0]);
  });
  afterAll(async () => {
    if (catalog) rmSync(join(catalog, '..'), { recursive: true, force: true });
    catalog = undefined;
    await up();
  });

  test('is not released where its migration fails: no Pod is replaced, and its author has the end of the log', async () => {
    const before = [servedImage(MODULE), generation()];
    const { iid, deployed } = await merged('migration-fails', migrating(await nextVersion(1), FAILS));
    expect(deployed).toMatchObject({
      state: 'failed',
      description: expect.stringMatching(/is undone in lab: its migration failed \(Error, exit code 3\);/),
    });
    expect([servedImage(MODULE), generation()]).toEqual(before);
    const note = await noteOf(iid);
    expect(note).toContain('migrated by [hidden] to');
    expect(note).toContain('cannot alter the table');
    expect(note).toContain(
      '**Its migration failed: what it had changed in the data by then is not changed back.**',
    );
    expect(note).not.toContain(password());
    const build = await (await fetch(`${deployed.build}consoleText`)).text();
    expect(build).toContain('cannot alter the table');
    expect(build).not.toContain(password());
    expect([ran(), await up(), ran(), jobs()]).toEqual([1, 'up of lab: no change', 1, '']);
  });

  test('is told that its data stays as it is where its rollout is undone behind its migration', async () => {
    const image = servedImage(MODULE);
    const { iid, deployed } = await merged('after-migration', migrating(await nextVersion(2), '', broken));
    expect(deployed).toMatchObject({
      state: 'failed',
      description: expect.stringMatching(
        /it did not get ready by its deadline .*; data was changed by its migration, and is not changed back/,
      ),
    });
    expect(servedImage(MODULE)).toBe(image);
    expect(await noteOf(iid)).toContain(
      '**Its migration ran before it: data was changed, and is not changed back.**',
    );
    expect((await rows())[0]).toMatchObject({
      state: 'undone',
      why: expect.stringContaining('data was changed'),
    });
    expect([ran(), await up(), ran()]).toEqual([2, 'up of lab: no change', 2]);
  });

  test('is migrated once for a release, and not for what is put back', async () => {
    const version = await nextVersion(3);
    const { commit, deployed } = await merged('migrated', migrating(version, ''));
    expect(deployed).toMatchObject({ state: 'success' });
    expect(await productionVersion(MODULE)).toBe(version);
    expect([ran(), jobs()]).toEqual([3, `job.batch/${MODULE}-migrate-${commit.slice(0, 12)}`]);
    expect([await up(), ran()]).toEqual(['up of lab: no change', 3]);
    const { stderr } = await run(['rollback', ENVIRONMENT, MODULE, '--yes']);
    expect(stderr).toContain(`the data stays as the migration of ${commit.slice(0, 12)} left it`);
    expect([ran(), jobs(), await up(), ran()]).toEqual([3, '', 'up of lab: no change', 3]);
  });
});

test('a person goes back by a command, up finds it so, and the next merge goes forward; no request failed', async () => {
  const earlier = (await rows()).find(({ state }) => state === 'earlier');
  const version = await nextVersion(2);
  const [, said] = await Promise.all([
    run(['rollback', ENVIRONMENT, MODULE, '--to', 'abcdef0', '--yes'], 2),
    run(['rollback', ENVIRONMENT, MODULE, '--to', String(earlier?.commit), '--yes']),
  ]);
  expect(said.stdout).toContain('the next merge goes forward again');
  expect(servedImage(MODULE)).toBe(earlier?.image);
  // Built and tested, which takes longer, while `up` reads the ledger.
  const forward = merged('forward', versioned(version));
  expect(await up()).toBe('up of lab: no change');
  const job = await fetch(`${JENKINS_URL}/job/switchyard/job/module_rollback/api/json`);
  expect(await job.json()).toMatchObject({
    property: [{ parameterDefinitions: ['MODULE', 'TO', 'HOLD'].map((name) => ({ name })) }],
  });

  const { commit, deployed } = await forward;
  expect(deployed).toMatchObject({ state: 'success' });
  expect(await productionVersion(MODULE)).toBe(version);
  expect((await rows()).find(({ state }) => state === 'current')?.commit).toBe(commit);
  const { answered, failed } = await stop();
  expect(failed).toEqual([]);
  expect(answered).toBeGreaterThan(300);
});
