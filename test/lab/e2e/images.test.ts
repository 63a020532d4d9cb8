import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { cacheHome, labHome } from '../../../lab/steps';

const NAMESPACE = 'e2e-images';
const MIRROR = '198.18.0.2:5000';

const kubectl = (args: string[], input?: string) => {
  const { status, stdout, stderr } = spawnSync(
    join(cacheHome(), 'bin', 'kubectl'),
    ['--kubeconfig', join(labHome(), 'kubeconfig'), ...args],
    { encoding: 'utf8', input, timeout: 300_000 },
  );
  if (status !== 0) throw new Error(`kubectl ${args.join(' ')}: ${stderr}`);
  return stdout;
};

/** A Pod as the restricted profile demands, with a read-only root besides. */
const pod = (name: string, image: string, user: number, more: object, paths: string[]) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace: NAMESPACE },
  spec: {
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    terminationGracePeriodSeconds: 5,
    securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
    containers: [
      {
        name,
        image: `${MIRROR}/${image}`,
        ...more,
        securityContext: {
          runAsUser: user,
          readOnlyRootFilesystem: true,
          allowPrivilegeEscalation: false,
          capabilities: { drop: ['ALL'] },
        },
        volumeMounts: paths.map((mountPath, index) => ({ name: `v${index}`, mountPath })),
      },
    ],
    volumes: paths.map((_, index) => ({ name: `v${index}`, emptyDir: {} })),
  },
});

const env = (values: Record<string, string>) =>
  Object.entries(values).map(([name, value]) => ({ name, value }));
const mysql = { MYSQL_DATABASE: 'd_b', MYSQL_USER: 'u', MYSQL_PASSWORD: "p'\\w", MYSQL_ROOT_PASSWORD: 'r' };
const postgresql = {
  POSTGRES_USER: 'u',
  POSTGRES_PASSWORD: "p'\\w",
  POSTGRES_DB: 'd-b',
  POSTGRES_INITDB_ARGS: '--auth-host=scram-sha-256',
  PGDATA: '/var/lib/postgresql/data/pgdata',
};
const rabbitmq = { RABBITMQ_DEFAULT_USER: 'u', RABBITMQ_DEFAULT_PASS: "p'\\w", RABBITMQ_DEFAULT_VHOST: 'v' };

const PODS = [
  pod(
    'mariadb',
    'mariadb:10.11',
    12345,
    { env: env(mysql), readinessProbe: { tcpSocket: { port: 3306 }, periodSeconds: 1 } },
    ['/var/lib/mysql', '/run/mysqld', '/tmp'],
  ),
  // As its own user: the server looks itself up in /etc/passwd, there as in the official image.
  pod(
    'postgresql',
    'postgresql:15',
    999,
    { env: env(postgresql), readinessProbe: { tcpSocket: { port: 5432 }, periodSeconds: 1 } },
    ['/var/lib/postgresql/data', '/run/postgresql', '/tmp'],
  ),
  pod(
    'rabbitmq',
    'rabbitmq:3.10',
    12345,
    { env: env(rabbitmq), readinessProbe: { tcpSocket: { port: 5672 }, periodSeconds: 1 } },
    ['/var/lib/rabbitmq', '/var/log/rabbitmq', '/tmp'],
  ),
  pod('redis', 'redis:7.0', 12345, { args: ['redis-server', '--requirepass', 'p', '--save', '60', '1'] }, [
    '/data',
  ]),
  pod(
    'registry',
    'registry:2.8',
    12345,
    { readinessProbe: { httpGet: { path: '/v2/', port: 5000 }, periodSeconds: 1 } },
    ['/var/lib/registry', '/tmp'],
  ),
  pod('robot', 'robot:7', 12345, { command: ['sleep', 'infinity'] }, ['/tmp']),
];

describe('images in Pods under the restricted profile, as a user their files do not belong to', () => {
  beforeAll(() => {
    const namespace = {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: NAMESPACE, labels: { 'pod-security.kubernetes.io/enforce': 'restricted' } },
    };
    kubectl(['apply', '-f', '-'], JSON.stringify(namespace));
    kubectl(['apply', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items: PODS }));
    kubectl([
      '-n',
      NAMESPACE,
      'wait',
      '--for=condition=Ready',
      '--timeout=120s',
      ...PODS.map((one) => `pod/${one.metadata.name}`),
    ]);
  }, 180_000);

  afterAll(() => {
    kubectl(['delete', 'namespace', NAMESPACE, '--ignore-not-found', '--wait=false']);
  });

  const inside = (name: string, ...command: string[]) =>
    kubectl(['-n', NAMESPACE, 'exec', name, '--', ...command]).trim();

  test('mariadb: the user reaches exactly the database it was promised', () => {
    const client = ['mariadb', '-h127.0.0.1', '-uu', `-p${mysql.MYSQL_PASSWORD}`, '-N', '-e'];
    expect(
      inside(
        'mariadb',
        ...client,
        'CREATE TABLE d_b.t (i INT); INSERT INTO d_b.t VALUES (7); SELECT i FROM d_b.t',
      ),
    ).toBe('7');
    expect(() => inside('mariadb', ...client, 'SELECT 1 FROM mysql.global_priv')).toThrow(/denied/);
    expect(() => inside('mariadb', ...client, 'CREATE DATABASE dxb')).toThrow(/denied/);
  });

  test('postgresql: the account has its database, by its password only', () => {
    const client = (password: string, sql: string) =>
      inside(
        'postgresql',
        ...['env', `PGPASSWORD=${password}`, 'psql', '-h127.0.0.1', '-Uu', '-dd-b', '-Atqc', sql],
      );
    expect(client(postgresql.POSTGRES_PASSWORD, 'CREATE TABLE t AS SELECT 7 AS i; SELECT i FROM t')).toBe(
      '7',
    );
    expect(() => client('wrong', 'SELECT 1')).toThrow(/password authentication failed/);
  });

  test('rabbitmq: the account it was given is there, and the default one is not', () => {
    const ctl = (...args: string[]) => inside('rabbitmq', 'rabbitmqctl', '--quiet', ...args);
    expect(ctl('list_users', '--no-table-headers')).toMatch(/^u\t/);
    expect(ctl('list_vhosts', '--no-table-headers')).toBe('v');
    ctl('authenticate_user', 'u', rabbitmq.RABBITMQ_DEFAULT_PASS);
    expect(() => ctl('authenticate_user', 'u', 'wrong')).toThrow();
  });

  test('redis: takes its password and can save', () => {
    expect(inside('redis', 'redis-cli', 'ping')).toMatch(/NOAUTH/);
    expect(inside('redis', 'redis-cli', '--no-auth-warning', '-a', 'p', 'save')).toBe('OK');
  });

  test('robot: has Robot Framework and the clients of all services', () => {
    expect(
      inside(
        'robot',
        'python3',
        '-c',
        'import robot, RequestsLibrary, pymysql, redis, pymongo, psycopg2, pika; print(robot.__version__)',
      ),
    ).toBe('7.5');
  });
});
