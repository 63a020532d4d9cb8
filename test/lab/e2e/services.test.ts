import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { KubeConfig } from '@kubernetes/client-node';
import { loadCatalog } from '../../../catalog/load';
import { Secrets } from '../../../components/shared/secrets';
import { PodExec } from '../../../delivery/backup/exec';
import { databasePlace, restoreDatabase } from '../../../delivery/backup/kinds/databases';
import { Restic } from '../../../delivery/backup/restic';
import { snapshotsAt } from '../../../delivery/backup/snapshots';
import { kubeconfigPath } from '../../../lab/cluster';
import { suiteImageSteps } from '../../../lab/images';
import { deliver } from '../../../lab/journey';
import { BACKUP_BUCKET, BACKUP_ENDPOINT, NODE_IP } from '../../../lab/machine/addresses';
import { sleep } from '../../../lab/machine/process';
import { openLog } from '../../../lab/steps';
import { ENVIRONMENT, JENKINS_URL, labEnvironment, REPOSITORY, switchyard } from '../../../lab/topology';
import { parseStack } from '../../../stacks/load';
import { scaled } from '../../support/scale';
import { kubectl } from './running';

// MySQL and Kafka themselves, in images that this suite brings: a module of both from a push to production, with other
// passwords while it serves, and its rows back from the backups.
jest.setTimeout(900_000);

const MODULE = 'parcels';
const PORT = 30089;
const SERVED = `http://${NODE_IP}:${PORT}`;
const FILE = `Pulumi.${ENVIRONMENT}.yaml`;
const PURPOSES = [`service/${MODULE}/kafka`, `service/${MODULE}/mysql`];
const log = openLog('e2e-services');
let folder: string;

const environment = (): Record<string, string> => ({
  ...labEnvironment(),
  SWITCHYARD_CATALOG: join(folder, 'catalog'),
  SWITCHYARD_STACKS: join(folder, 'stacks'),
});

async function run(env: Record<string, string>, ...args: string[]): Promise<string> {
  const [command, all] = switchyard(args);
  const { stdout, stderr } = await log.exec(command, all, { cwd: REPOSITORY, env, timeoutSeconds: 600 });
  return `${stdout}${stderr}`;
}

// For nights: the images take minutes to make, and the suite five to run.
scaled({ usual: describe.skip, all: describe })('MySQL and Kafka themselves, by night', () => {
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'switchyard-services-'));
    for (const part of ['catalog', 'stacks'])
      cpSync(join(REPOSITORY, part), join(folder, part), { recursive: true });
    writeFileSync(
      join(folder, 'catalog', 'modules', `${MODULE}.yaml`),
      `description: Keeps the places of parcels, on MySQL and Kafka
owners: [root]
merge: automatic
services:
  - { kind: mysql, version: "9.7", resources: { cpu: 25m, memory: 256Mi, memoryLimit: 512Mi } }
  - { kind: kafka, version: "4.1", resources: { cpu: 25m, memory: 512Mi, memoryLimit: 1Gi } }
resources: { cpu: 25m, memory: 64Mi, memoryLimit: 128Mi }
production: { replicas: 1, nodePort: ${PORT} }
`,
    );
    for (const step of suiteImageSteps()) await step.run(log);
  });

  afterAll(async () => {
    await run(labEnvironment(), 'up', ENVIRONMENT, '--yes');
    rmSync(folder, { recursive: true, force: true });
  });

  const fresh = { connection: 'close' };
  const move = (id: string, place: string): Promise<Response> =>
    fetch(`${SERVED}/parcels`, { method: 'POST', headers: fresh, body: JSON.stringify({ id, place }) });
  const read = async <T>(path: string): Promise<T> => {
    const answer = await fetch(`${SERVED}${path}`, { headers: fresh });
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
    return (await answer.json()) as T;
  };

  const credential = (service: string, key: 'password' | 'user'): string =>
    Buffer.from(
      kubectl(
        ...['-n', `prod-${MODULE}`, 'get', 'secret', `${service}-credentials`],
        ...['-o', `jsonpath={.data.${key}}`],
      ),
      'base64',
    ).toString();

  /** Whether a login of the module's first user opens, tried by the module's own clients. */
  function opens(service: 'mysql' | 'kafka', password: string): boolean {
    const asked = {
      mysql: `pymysql.connect(host=e["MYSQL_HOST"], user="${MODULE}", password=sys.argv[1])`,
      kafka: `confluent_kafka.Producer({"bootstrap.servers": e["KAFKA_BOOTSTRAP_SERVERS"],
  "security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "SCRAM-SHA-512",
  "sasl.username": "${MODULE}", "sasl.password": sys.argv[1]}).list_topics(timeout=5)`,
    }[service];
    const python = `import os, sys, confluent_kafka, pymysql
e = os.environ
try:
  ${asked}
  print("yes")
except (pymysql.OperationalError, confluent_kafka.KafkaException):
  print("no")`;
    const said = kubectl(
      ...['-n', `prod-${MODULE}`, 'exec', `deployment/${MODULE}`, '-c', 'module', '--'],
      ...['python3', '-c', python, password],
    );
    return said.trim() === 'yes';
  }

  test('a module of MySQL 9.7 and Kafka goes from a push to production', async () => {
    expect(await run(environment(), 'up', ENVIRONMENT, '--yes')).toMatch(/^up of lab: \d+ create/m);
    for (let tries = 0; tries < 120; tries++) {
      if ((await fetch(`${JENKINS_URL}/job/switchyard/job/${MODULE}/api/json`)).ok) break;
      await sleep(1000);
    }
    await deliver(log, MODULE, 'first', 'Parcels', (checkout) =>
      cpSync(join(REPOSITORY, 'test', 'lab', 'services', MODULE), checkout, { recursive: true }),
    );
    expect(await read('/readyz')).toEqual({ mysql: expect.stringMatching(/^9\.7\./) });
    expect((await move('p-1', 'Zürich')).status).toBe(201);
    expect(await read('/moves')).toEqual([{ id: 'p-1', place: 'Zürich' }]);
  });

  test('both take other passwords, and no request fails meanwhile', async () => {
    const before = { mysql: credential('mysql', 'password'), kafka: credential('kafka', 'password') };
    let going = true;
    const failed: string[] = [];
    let asked = 0;
    const load = (async () => {
      while (going) {
        asked += 1;
        const said = await move('p-2', String(asked)).then(
          ({ status }) => String(status),
          (error: unknown) => String(error),
        );
        if (said !== '201') failed.push(said);
        await sleep(100);
      }
    })();
    try {
      const told = await run(environment(), 'rotate', ENVIRONMENT, '--yes', '--purpose', `service/${MODULE}`);
      for (const purpose of PURPOSES) expect(told).toContain(`${purpose} has version 2`);
    } finally {
      going = false;
      await load;
    }
    expect(failed).toEqual([]);
    expect(asked).toBeGreaterThan(20);
    // Each move of a parcel was told once, in its order.
    const told = (await read<{ id: string; place: string }[]>('/moves')).filter(({ id }) => id === 'p-2');
    expect(told.map(({ place }) => Number(place))).toEqual(
      Array.from({ length: asked }, (_, index) => index + 1),
    );
    expect(credential('kafka', 'user')).toBe(`${MODULE}_2`);
    for (const service of ['mysql', 'kafka'] as const) {
      expect(opens(service, credential(service, 'password'))).toBe(true);
      expect(opens(service, before[service])).toBe(false);
    }
  });

  test('what the backups hold of MySQL brings its rows back', async () => {
    kubectl('-n', 'backup', 'delete', 'job', 'services', '--ignore-not-found');
    kubectl('-n', 'backup', 'create', 'job', 'services', '--from=cronjob/backup');
    kubectl('-n', 'backup', 'wait', 'job/services', '--for=condition=Complete', '--timeout=300s');
    kubectl('-n', 'backup', 'delete', 'job', 'services');
    expect((await move('p-1', 'lost')).status).toBe(201);

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
    const snapshot = snapshotsAt((await restic.holdings()).snapshots).find(
      ({ kind, item }) => kind === 'databases' && item === `${MODULE}/mysql`,
    );
    const { backup } = loadCatalog(join(folder, 'catalog')).services.mysql ?? {};
    if (!snapshot || !backup || !('dump' in backup)) throw new Error('no dump of MySQL');
    const config = new KubeConfig();
    config.loadFromFile(kubeconfigPath());
    const settings = parseStack(
      readFileSync(join(folder, 'stacks', FILE), 'utf8'),
      `stacks/${FILE}`,
      ENVIRONMENT,
    );
    await restoreDatabase(restic, snapshot, new PodExec(config), {
      module: MODULE,
      service: 'mysql',
      place: databasePlace(settings, MODULE, 'mysql'),
      backup,
    });
    expect(await read('/parcels/p-1')).toEqual({ id: 'p-1', place: 'Zürich' });
  });
});
