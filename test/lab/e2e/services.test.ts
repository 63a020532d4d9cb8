import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { KubeConfig } from '@kubernetes/client-node';
import { LEDGER_PROJECT } from '../../../catalog/ledger';
import { loadCatalog } from '../../../catalog/load';
import { GitLab } from '../../../clients/gitlab';
import { PodExec } from '../../../clients/pod-exec';
import { Secrets } from '../../../components/shared/secrets';
import { databasePlace, restoreDatabase } from '../../../delivery/backup/kinds/databases';
import { Restic } from '../../../delivery/backup/restic';
import { snapshotsAt } from '../../../delivery/backup/snapshots';
import { changeLedger } from '../../../delivery/ledger';
import { kubeconfigPath } from '../../../lab/cluster';
import { GITLAB_URL } from '../../../lab/gitlab';
import { suiteImageSteps } from '../../../lab/images';
import { deliver } from '../../../lab/journey';
import { BACKUP_BUCKET, BACKUP_ENDPOINT, NODE_IP } from '../../../lab/machine/addresses';
import { sleep } from '../../../lab/machine/process';
import { openLog } from '../../../lab/steps';
import {
  ENVIRONMENT,
  JENKINS_URL,
  labEnvironment,
  REPOSITORY,
  rootToken,
  switchyard,
} from '../../../lab/topology';
import { parseStack } from '../../../stacks/load';
import { kubectl, runJob } from './running';

// MySQL, Kafka, HDFS and Elasticsearch themselves, in images that this suite brings: a module of the first two and one of the
// others from a push to production, other passwords while it serves, and what the backups hold back from them.
jest.setTimeout(900_000);
const IMAGES_MS = 2_400_000;

const MODULE = 'parcels';
const LETTERS = 'letters';
const PORTS = { parcels: 30089, letters: 30091 } as const;
const SERVED = `http://${NODE_IP}:${PORTS.parcels}`;
const LETTERS_SERVED = `http://${NODE_IP}:${PORTS.letters}`;
const FILE = `Pulumi.${ENVIRONMENT}.yaml`;
/** Services that take other passwords, and whose they are. */
const ROTATED = { mysql: MODULE, kafka: MODULE, elasticsearch: LETTERS } as const;
type Rotated = keyof typeof ROTATED;
const SERVICES = Object.keys(ROTATED) as Rotated[];
/** Their users before anything was rotated. */
const USERS: Readonly<Record<Rotated, string>> = { mysql: MODULE, kafka: MODULE, elasticsearch: 'elastic' };
const log = openLog('e2e-services');
let folder: string;
/** When all of them had been backed up, in Unix seconds, and the passwords of that time. */
let backedUp: number;
let former: Readonly<Record<Rotated, string>>;

const environment = (): Record<string, string> => ({
  ...labEnvironment(),
  SWITCHYARD_CATALOG: join(folder, 'catalog'),
  SWITCHYARD_STACKS: join(folder, 'stacks'),
});

/** What the catalog of the lab gets besides. */
const MODULES: Readonly<Record<string, string>> = {
  [MODULE]: `description: Keeps the places of parcels, on MySQL and Kafka
owners: [root]
merge: automatic
services:
  - { kind: mysql, version: "9.7", resources: { cpu: 25m, memory: 256Mi, memoryLimit: 512Mi } }
  - { kind: kafka, version: "4.1", resources: { cpu: 25m, memory: 512Mi, memoryLimit: 1Gi } }
resources: { cpu: 25m, memory: 64Mi, memoryLimit: 128Mi }
production: { replicas: 1, nodePort: ${PORTS.parcels} }
`,
  [LETTERS]: `description: Keeps letters and finds them by their words, on HDFS and Elasticsearch
owners: [root]
merge: automatic
services:
  - { kind: hdfs, version: "3.4", resources: { cpu: 25m, memory: 512Mi, memoryLimit: 1536Mi } }
  - { kind: elasticsearch, version: "8.19", resources: { cpu: 25m, memory: 896Mi, memoryLimit: 1536Mi } }
resources: { cpu: 25m, memory: 64Mi, memoryLimit: 128Mi }
production: { replicas: 1, nodePort: ${PORTS.letters} }
`,
};

async function run(env: Record<string, string>, ...args: string[]): Promise<string> {
  const [command, all] = switchyard(args);
  const { stdout, stderr } = await log.exec(command, all, { cwd: REPOSITORY, env, timeoutSeconds: 600 });
  return `${stdout}${stderr}`;
}

// For nights: the images take minutes to make, and the suite ten to run.
describe('MySQL, Kafka, HDFS and Elasticsearch themselves', () => {
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'switchyard-services-'));
    for (const part of ['catalog', 'stacks'])
      cpSync(join(REPOSITORY, part), join(folder, part), { recursive: true });
    for (const [module, text] of Object.entries(MODULES))
      writeFileSync(join(folder, 'catalog', 'modules', `${module}.yaml`), text);
    for (const step of suiteImageSteps('services')) await step.run(log);
  }, IMAGES_MS);

  afterAll(async () => {
    await run(labEnvironment(), 'up', ENVIRONMENT, '--yes');
    // Their projects are gone: what comes in their place has another history.
    const gitlab = new GitLab({ url: GITLAB_URL, token: rootToken() });
    const ledger = { ledgerProject: `switchyard/${LEDGER_PROJECT}`, environment: ENVIRONMENT };
    for (const module of Object.keys(MODULES))
      await changeLedger(gitlab, ledger, module, async () => ({
        state: {},
        message: `${ENVIRONMENT}: ${module} is gone`,
      }));
    rmSync(folder, { recursive: true, force: true });
  });

  const fresh = { connection: 'close' };
  const move = (id: string, place: string): Promise<Response> =>
    fetch(`${SERVED}/parcels`, { method: 'POST', headers: fresh, body: JSON.stringify({ id, place }) });
  const write = (id: string, words: string): Promise<Response> =>
    fetch(`${LETTERS_SERVED}/letters`, {
      method: 'POST',
      headers: fresh,
      body: JSON.stringify({ id, text: words }),
    });
  const read = async <T>(path: string, served: string = SERVED): Promise<T> => {
    const answer = await fetch(`${served}${path}`, { headers: fresh });
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
    return (await answer.json()) as T;
  };

  const credential = (service: Rotated, key: 'password' | 'user'): string =>
    Buffer.from(
      kubectl(
        ...['-n', `prod-${ROTATED[service]}`, 'get', 'secret', `${service}-credentials`],
        ...['-o', `jsonpath={.data.${key}}`],
      ),
      'base64',
    ).toString();

  /** Whether a login opens, tried by the module's own clients. @param user default: the module's first */
  function opens(service: Rotated, password: string, user: string = USERS[service]): boolean {
    const [asks, imports, refused] = {
      mysql: [
        'pymysql.connect(host=e["MYSQL_HOST"], user=user, password=password)',
        ...['pymysql', 'pymysql.OperationalError'],
      ],
      kafka: [
        `confluent_kafka.Producer({"bootstrap.servers": e["KAFKA_BOOTSTRAP_SERVERS"],
  "security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "SCRAM-SHA-512",
  "sasl.username": user, "sasl.password": password}).list_topics(timeout=5)`,
        ...['confluent_kafka', 'confluent_kafka.KafkaException'],
      ],
      // 401 alone is a refusal of the login.
      elasticsearch: [
        `request = urllib.request.Request(e["ELASTICSEARCH_URL"] + "/_security/_authenticate", headers={
  "Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()})
  try:
    urllib.request.urlopen(request, timeout=20)
  except urllib.error.HTTPError as error:
    if error.code != 401: raise
    raise PermissionError`,
        ...['base64, urllib.error, urllib.request', 'PermissionError'],
      ],
    }[service];
    const python = `import os, sys, ${imports}
e = os.environ
user, password = sys.argv[1:]
try:
  ${asks}
  print("yes")
except ${refused}:
  print("no")`;
    const module = ROTATED[service];
    const said = kubectl(
      ...['-n', `prod-${module}`, 'exec', `deployment/${module}`, '-c', 'module', '--'],
      ...['python3', '-c', python, user, password],
    );
    return said.trim() === 'yes';
  }

  /** Rotates what a module has while it is asked for something again and again. @returns what failed, and what was told */
  async function rotatedUnderLoad(
    module: string,
    ask: (turn: number) => Promise<Response>,
  ): Promise<{ readonly failed: readonly string[]; readonly told: string }> {
    let going = true;
    const failed: string[] = [];
    let asked = 0;
    const load = (async () => {
      while (going) {
        asked += 1;
        const said = await ask(asked).then(
          async (answer) => (answer.ok ? '' : `${answer.status} ${await answer.text()}`),
          (error: unknown) => String(error),
        );
        if (said !== '') failed.push(`${asked}: ${said}`);
        await sleep(100);
      }
    })();
    const purpose = `service/${module}`;
    try {
      const told = await run(environment(), 'rotate', ENVIRONMENT, '--yes', '--purpose', purpose);
      return { failed, told };
    } finally {
      going = false;
      await load;
    }
  }

  /** A first version of a module from `test/lab/services`, from a push to production. */
  async function release(module: string, title: string): Promise<void> {
    for (let tries = 0; tries < 120; tries++) {
      if ((await fetch(`${JENKINS_URL}/job/switchyard/job/${module}/api/json`)).ok) break;
      await sleep(1000);
    }
    await deliver(log, module, 'first', title, (checkout) =>
      cpSync(join(REPOSITORY, 'test', 'lab', 'services', module), checkout, { recursive: true }),
    );
  }

  test('a module of MySQL 9.7 and Kafka goes from a push to production', async () => {
    expect(await run(environment(), 'up', ENVIRONMENT, '--yes')).toMatch(/^up of lab: \d+ create/m);
    await release(MODULE, 'Parcels');
    expect(await read('/readyz')).toEqual({ mysql: expect.stringMatching(/^9\.7\./) });
    expect((await move('p-1', 'Zürich')).status).toBe(201);
    expect(await read('/moves')).toEqual([{ id: 'p-1', place: 'Zürich' }]);
  });

  test('a module of HDFS and Elasticsearch goes from a push to production', async () => {
    await release(LETTERS, 'Letters');
    expect(await read('/readyz', LETTERS_SERVED)).toEqual({
      hdfs: expect.stringMatching(/^3\.4\./),
      elasticsearch: expect.stringMatching(/^8\.19\./),
    });
    expect((await write('l-1', 'Greetings from Zürich')).status).toBe(201);
    expect(await read('/letters?word=greetings', LETTERS_SERVED)).toEqual(['l-1']);
    // A second test Pod, and a rollout beside services that run.
    await deliver(log, LETTERS, 'second', 'Letters again', (checkout) =>
      writeFileSync(join(checkout, 'VERSION'), '1.0.1\n'),
    );
    expect(await read('/version', LETTERS_SERVED)).toEqual({ service: LETTERS, version: '1.0.1' });
    expect(await read('/letters/l-1', LETTERS_SERVED)).toEqual({
      id: 'l-1',
      text: 'Greetings from Zürich',
    });
  });

  test('Elasticsearch answers nobody without its password', () => {
    const python = `import os, urllib.error, urllib.request
try:
  print(urllib.request.urlopen(os.environ["ELASTICSEARCH_URL"] + "/letters/_search").status)
except urllib.error.HTTPError as error:
  print(error.code)`;
    const said = kubectl(
      ...['-n', `prod-${LETTERS}`, 'exec', `deployment/${LETTERS}`, '-c', 'module', '--'],
      ...['python3', '-c', python],
    );
    expect(said.trim()).toBe('401');
  });

  test('a backup takes what all four of them hold', async () => {
    await runJob('backup', 'backup', 300);
    backedUp = Math.floor(Date.now() / 1000);
  });

  test('MySQL and Kafka take other passwords, and no request fails meanwhile', async () => {
    former = Object.fromEntries(
      SERVICES.map((service) => [service, credential(service, 'password')]),
    ) as typeof former;
    let last = 0;
    const { failed, told } = await rotatedUnderLoad(MODULE, (turn) => {
      last = turn;
      return move('p-2', String(turn));
    });
    for (const service of ['kafka', 'mysql'])
      expect(told).toContain(`service/${MODULE}/${service} has version 2`);
    expect(failed).toEqual([]);
    expect(last).toBeGreaterThan(20);
    // Each move of a parcel was told once, in its order.
    const moves = (await read<{ id: string; place: string }[]>('/moves')).filter(({ id }) => id === 'p-2');
    expect(moves.map(({ place }) => Number(place))).toEqual(
      Array.from({ length: last }, (_, index) => index + 1),
    );
    expect(credential('kafka', 'user')).toBe(`${MODULE}_2`);
    for (const service of ['mysql', 'kafka'] as const) {
      expect(opens(service, credential(service, 'password'))).toBe(true);
      expect(opens(service, former[service])).toBe(false);
    }
  });

  test('Elasticsearch takes another password, by a second user, and no request fails meanwhile', async () => {
    let last = 0;
    // Written, and found at once: both as the user of that moment.
    const { failed, told } = await rotatedUnderLoad(LETTERS, async (turn) => {
      last = turn;
      const written = await write('l-2', `turn${turn}`);
      if (!written.ok) return written;
      await written.text();
      const found = await fetch(`${LETTERS_SERVED}/letters?word=turn${turn}`, { headers: fresh });
      const text = await found.text();
      return new Response(text, { status: text === '["l-2"]' ? found.status : 500 });
    });
    expect(told).toContain(`service/${LETTERS}/elasticsearch has version 2`);
    expect(failed).toEqual([]);
    expect(last).toBeGreaterThan(20);
    expect(credential('elasticsearch', 'user')).toBe('elastic_2');
    const password = credential('elasticsearch', 'password');
    expect(password).not.toBe(former.elasticsearch);
    for (const user of ['elastic', 'elastic_2']) {
      expect([user, opens('elasticsearch', password, user)]).toEqual([user, true]);
      expect([user, opens('elasticsearch', former.elasticsearch, user)]).toEqual([user, false]);
    }
  });

  test('what the backups hold brings back rows, topics, files and indices, under the passwords of today', async () => {
    expect((await move('p-1', 'lost')).status).toBe(201);
    expect((await write('l-1', 'lost')).status).toBe(201);

    const { SWITCHYARD_SEED = '', BACKUP_ACCESS_KEY, BACKUP_SECRET_KEY } = labEnvironment();
    const restic = new Restic({
      repository: `s3:${BACKUP_ENDPOINT}/${BACKUP_BUCKET}/switchyard/${ENVIRONMENT}`,
      environment: ENVIRONMENT,
      env: {
        PATH: process.env.PATH,
        HOME: process.env.HOME,
        RESTIC_PASSWORD: new Secrets(SWITCHYARD_SEED, ENVIRONMENT).secret('backup/key'),
        AWS_ACCESS_KEY_ID: BACKUP_ACCESS_KEY,
        AWS_SECRET_ACCESS_KEY: BACKUP_SECRET_KEY,
      },
    });
    const snapshots = snapshotsAt((await restic.holdings()).snapshots, backedUp);
    const { services } = loadCatalog(join(folder, 'catalog'));
    const config = new KubeConfig();
    config.loadFromFile(kubeconfigPath());
    const exec = new PodExec(config);
    const settings = parseStack(
      readFileSync(join(folder, 'stacks', FILE), 'utf8'),
      `stacks/${FILE}`,
      ENVIRONMENT,
    );
    for (const [module, service] of [
      [MODULE, 'mysql'],
      [MODULE, 'kafka'],
      [LETTERS, 'hdfs'],
      [LETTERS, 'elasticsearch'],
    ] as const) {
      const snapshot = snapshots.find(
        ({ kind, item }) => kind === 'databases' && item === `${module}/${service}`,
      );
      const { backup } = services[service] ?? {};
      if (!snapshot || !backup || !('dump' in backup)) throw new Error(`no dump of ${service}`);
      const place = databasePlace(settings, module, service);
      await restoreDatabase(restic, snapshot, exec, { module, service, place, backup });
    }
    expect(await read('/parcels/p-1')).toEqual({ id: 'p-1', place: 'Zürich' });
    // What came after the backup is gone: moves, and the former password of either name, which stood in it.
    expect(await read('/moves')).toEqual([{ id: 'p-1', place: 'Zürich' }]);
    for (const service of SERVICES) {
      expect([service, opens(service, credential(service, 'password'))]).toEqual([service, true]);
      expect([service, opens(service, former[service])]).toEqual([service, false]);
    }
    expect((await move('p-3', 'Bern')).status).toBe(201);
    expect(await read('/moves')).toEqual([
      { id: 'p-1', place: 'Zürich' },
      { id: 'p-3', place: 'Bern' },
    ]);
    expect(await read('/letters/l-1', LETTERS_SERVED)).toEqual({
      id: 'l-1',
      text: 'Greetings from Zürich',
    });
    expect(await read('/letters?word=greetings', LETTERS_SERVED)).toEqual(['l-1']);
    expect(await read('/letters?word=lost', LETTERS_SERVED)).toEqual([]);
  });

  test('a fingerprint is the same until something is written', async () => {
    const { services } = loadCatalog(join(folder, 'catalog'));
    const config = new KubeConfig();
    config.loadFromFile(kubeconfigPath());
    const exec = new PodExec(config);
    for (const [module, service, another] of [
      [MODULE, 'kafka', () => move('p-4', 'another')],
      [LETTERS, 'hdfs', () => write('l-hdfs', 'another')],
      [LETTERS, 'elasticsearch', () => write('l-elasticsearch', 'another')],
    ] as const) {
      const { backup } = services[service] ?? {};
      if (!backup || !('dump' in backup) || !backup.fingerprint)
        throw new Error(`${service}: no fingerprint`);
      const place = { namespace: `prod-${module}`, pod: `${service}-0`, container: service };
      const before = await exec.run(place, backup.fingerprint);
      expect(before).not.toBe('');
      expect(await exec.run(place, backup.fingerprint)).toBe(before);
      expect((await another()).status).toBe(201);
      expect(await exec.run(place, backup.fingerprint)).not.toBe(before);
    }
  });
});
