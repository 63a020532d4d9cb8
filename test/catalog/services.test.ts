import { join } from 'node:path';
import {
  asksForPassword,
  moduleEnvironment,
  type ServiceAccess,
  serviceContainer,
  servicePorts,
} from '../../catalog/containers';
import { loadCatalog, parseCatalog, type Service } from '../../catalog/load';
import { describeProblem, ProblemsError } from '../../catalog/problems';
import { moduleProductionDeclarations } from '../../components/production/resources';
import { moduleProductionSpec } from '../../components/specs';
import { testPod } from '../../delivery/test-pod';
import { parseStack } from '../../stacks/load';
import { green } from '../delivery/certificates';
import { catalogTexts, root, stackText, testModel } from '../support/model';

const catalog = loadCatalog(join(root, 'catalog'));
const kinds = Object.keys(catalog.services).sort();
const settings = parseStack(stackText, 'stacks/Pulumi.test.yaml', 'test');
const local: ServiceAccess = { host: '127.0.0.1', user: 'shop', password: 'secret-word', database: 'shop' };

const serviceOf = (kind: string): Service => {
  const found = catalog.services[kind];
  if (!found) throw new Error(`no ${kind}`);
  return found;
};
const versionOf = (kind: string): string => Object.keys(serviceOf(kind).versions)[0] ?? '';
const sidecar = (kind: string) =>
  serviceContainer(
    { name: kind, kind, version: versionOf(kind), storage: '1Gi' },
    serviceOf(kind),
    serviceOf(kind).versions[versionOf(kind)]?.image ?? '',
    local,
  );
const envOf = (kind: string): Record<string, unknown> =>
  Object.fromEntries(
    sidecar(kind).container.env.map((entry) => [
      entry.name,
      'value' in entry ? entry.value : entry.valueFrom,
    ]),
  );

/** A catalog with one module that uses one of the real services. */
const catalogWith = (kind: string, use = '') =>
  parseCatalog({
    services: { [`${kind}.yaml`]: JSON.stringify({ ...serviceOf(kind), kind: undefined }) },
    modules: {
      'shop.yaml': `description: sells\nowners: [ada]\nservices: [{ kind: ${kind}, version: "${versionOf(kind)}"${use} }]\n`,
    },
  });
const shopOf = (made: ReturnType<typeof catalogWith>) => {
  const [shop] = made.modules;
  if (!shop) throw new Error('no module');
  return shop;
};
const podOf = (made: ReturnType<typeof catalogWith>) =>
  testPod({
    catalog: made,
    module: shopOf(made),
    settings,
    certificate: { ...green, module: 'shop' },
    pullSecrets: [],
  });
const declared = (kind: string, type: string, name: string, use = '') => {
  const made = catalogWith(kind, use);
  const model = testModel({ catalog: made, modules: made.modules, releases: {} });
  const found = moduleProductionDeclarations(
    'production-shop',
    moduleProductionSpec(model, shopOf(made)),
  ).find((one) => one.name === name);
  expect(found?.type).toBe(type);
  return found?.args as unknown as Record<string, unknown>;
};
const statefulSet = (kind: string, use = '') =>
  declared(kind, 'kubernetes:apps/v1:StatefulSet', `production-shop-${kind}-workload`, use) as {
    spec: {
      template: {
        metadata: { annotations?: Record<string, string> };
        spec: { containers: Record<string, unknown>[]; volumes: unknown[]; securityContext: unknown };
      };
    };
  };

describe('the services of the catalog', () => {
  test('are these, each with an exact version and where it was proved', () => {
    expect(
      kinds.map((kind) => [
        kind,
        serviceOf(kind).proved,
        // The digests are test/ci/supply.test.ts's.
        Object.values(serviceOf(kind).versions).map(({ image }) => image.split('@')[0]),
      ]),
    ).toEqual([
      ['elasticsearch', 'lab', ['elasticsearch:8.19.5']],
      ['hdfs', 'lab', ['apache/hadoop:3.4.1']],
      ['kafka', 'lab', ['apache/kafka:4.1.0']],
      ['mongodb', 'lab', ['mongo:7.0.25']],
      ['mysql', 'lab', ['mysql:8.4.7', 'mysql:9.7.2']],
      ['postgresql', 'lab', ['postgres:17.6']],
      ['rabbitmq', 'lab', ['rabbitmq:4.1.4']],
      ['redis', 'lab', ['redis:7.4.6']],
    ]);
  });

  test.each(kinds)(
    '%s fits Pod Security restricted with a read-only root, in tests and in production',
    (kind) => {
      const restricted = {
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        runAsNonRoot: true,
        runAsUser: serviceOf(kind).runAsUser,
        capabilities: { drop: ['ALL'] },
        seccompProfile: { type: 'RuntimeDefault' },
      };
      expect(sidecar(kind).container.securityContext).toEqual(restricted);
      const { spec } = statefulSet(kind).spec.template;
      expect(spec.containers.map((container) => container.securityContext)).toEqual([restricted]);
      const user = serviceOf(kind).runAsUser;
      expect(spec.securityContext).toMatchObject({ runAsUser: user, fsGroup: user });
    },
  );

  test.each(kinds)(
    '%s is the same container in a test Pod and in production but for address and password',
    (kind) => {
      const [tested] = podOf(catalogWith(kind)).spec.initContainers;
      const [running] = statefulSet(kind).spec.template.spec.containers;
      // What a test's service said last stands in its Pod's status: who tells of it has no right to logs.
      const apart = ['env', 'args', 'readinessProbe', 'restartPolicy', 'terminationMessagePolicy'];
      const rest = (container: object | undefined) =>
        Object.fromEntries(Object.entries(container ?? {}).filter(([key]) => !apart.includes(key)));
      const password = { name: 'switchyard-password', mountPath: '/run/switchyard', readOnly: true };
      const asks = asksForPassword(serviceOf(kind));
      expect(rest(running)).toEqual({
        ...rest(tested),
        // It may change there while the service runs.
        volumeMounts: [...(tested?.volumeMounts ?? []), ...(asks ? [password] : [])],
      });
      expect(running).toHaveProperty('readinessProbe');
      expect(tested).not.toHaveProperty('readinessProbe');
    },
  );

  test.each(kinds)('%s carries its password in its environment or arguments only', (kind) => {
    const { container, annotations, readinessProbe, volumes } = sidecar(kind);
    const { env, args, ...rest } = container;
    expect(JSON.stringify([rest, annotations, readinessProbe, volumes])).not.toContain('secret-word');
    const { metadata } = statefulSet(kind).spec.template;
    // Kubernetes fills $(…) in for the environment and arguments of a container, and nowhere else.
    expect(JSON.stringify(metadata)).not.toContain('SWITCHYARD_SERVICE_PASSWORD');
  });

  test.each(kinds)('%s can have its password changed while it serves, if it has one', (kind) => {
    const { rotate } = serviceOf(kind);
    expect(rotate !== undefined).toBe(asksForPassword(serviceOf(kind)));
    // What cannot be left to two passwords of one user is left to two users, who are arguments after the name.
    const follows = ({ length }: readonly string[] = []) => length > 3;
    expect([follows(rotate?.admit), follows(rotate?.retire)]).toEqual(
      Array(2).fill(rotate?.alternates !== undefined),
    );
  });

  test.each(kinds)('%s leaves no placeholder unfilled', (kind) => {
    const text = JSON.stringify([sidecar(kind), moduleEnvironment(serviceOf(kind), local)]);
    expect(text.match(/(?<!\$)\{(host|port|user|password|database)\}/g)).toBeNull();
  });
});

describe('PostgreSQL', () => {
  const script = `#!/bin/sh
set -eu
psql -v ON_ERROR_STOP=1 --no-password --no-psqlrc --quiet --username postgres --dbname "$POSTGRES_DB" <<'SQL'
\\getenv password POSTGRES_PASSWORD
CREATE ROLE "shop" LOGIN PASSWORD :'password';
CREATE ROLE "shop_2" LOGIN PASSWORD :'password' IN ROLE "shop";
ALTER ROLE "shop_2" SET role = "shop";
ALTER DATABASE "shop" OWNER TO "shop";
ALTER ROLE postgres PASSWORD NULL;
SQL
`;
  const probe = { exec: { command: ['pg_isready', '--quiet', '--host=127.0.0.1', '--dbname=postgres'] } };
  const files = {
    name: 'postgresql-files',
    downwardAPI: {
      defaultMode: 0o555,
      items: [
        {
          path: 'file-0',
          fieldRef: { fieldPath: "metadata.annotations['switchyard.dev/postgresql-file-0']" },
        },
      ],
    },
  };
  const mounts = [
    { name: 'postgresql-data', mountPath: '/var/lib/postgresql/data' },
    { name: 'postgresql-scratch-0', mountPath: '/tmp' },
    { name: 'postgresql-scratch-1', mountPath: '/run/postgresql' },
    {
      name: 'postgresql-files',
      mountPath: '/docker-entrypoint-initdb.d/10-module.sh',
      subPath: 'file-0',
      readOnly: true,
    },
  ];

  test('as a sidecar of a test Pod', () => {
    expect(sidecar('postgresql')).toEqual({
      container: {
        name: 'postgresql',
        image: serviceOf('postgresql').versions['17']?.image,
        env: [
          { name: 'MODULE_USER', value: 'shop' },
          { name: 'PGDATA', value: '/var/lib/postgresql/data/pgdata' },
          { name: 'POSTGRES_DB', value: 'shop' },
          {
            name: 'POSTGRES_INITDB_ARGS',
            value: '--auth-host=scram-sha-256 --encoding=UTF8 --locale=C.UTF-8',
          },
          { name: 'POSTGRES_PASSWORD', value: 'secret-word' },
        ],
        ports: [{ name: 'service', containerPort: 5432 }],
        startupProbe: { ...probe, periodSeconds: 1, failureThreshold: 120, timeoutSeconds: 5 },
        resources: {
          requests: { cpu: '50m', memory: '128Mi', 'ephemeral-storage': '64Mi' },
          limits: { memory: '512Mi', 'ephemeral-storage': '2Gi' },
        },
        securityContext: {
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          runAsNonRoot: true,
          runAsUser: 999,
          capabilities: { drop: ['ALL'] },
          seccompProfile: { type: 'RuntimeDefault' },
        },
        volumeMounts: mounts,
      },
      readinessProbe: { ...probe, periodSeconds: 5, timeoutSeconds: 5 },
      annotations: { 'switchyard.dev/postgresql-file-0': script },
      dataVolume: 'postgresql-data',
      disk: '2Gi',
      volumes: [
        { name: 'postgresql-scratch-0', emptyDir: { sizeLimit: '2Gi' } },
        { name: 'postgresql-scratch-1', emptyDir: { sizeLimit: '2Gi' } },
        files,
      ],
    });
  });

  test('its files come with the test Pod itself', () => {
    const pod = podOf(catalogWith('postgresql'));
    expect(pod.metadata.annotations).toMatchObject({ 'switchyard.dev/postgresql-file-0': script });
    expect(pod.spec.volumes).toContainEqual(files);
  });

  test('as a StatefulSet in production: the password by reference, the data on a claim', () => {
    const { template, ...spec } = statefulSet('postgresql', ', storage: 5Gi').spec;
    expect(spec).toMatchObject({
      replicas: 1,
      serviceName: 'postgresql',
      volumeClaimTemplates: [
        {
          metadata: { name: 'postgresql-data' },
          spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '5Gi' } } },
        },
      ],
    });
    expect(template.metadata.annotations).toMatchObject({
      'switchyard.dev/postgresql-file-0': script.replaceAll('DATABASE "shop"', 'DATABASE "module"'),
    });
    const [container] = template.spec.containers;
    expect(container?.env).toEqual([
      {
        name: 'SWITCHYARD_SERVICE_PASSWORD',
        valueFrom: { secretKeyRef: { name: 'postgresql-credentials', key: 'password' } },
      },
      { name: 'MODULE_USER', value: 'shop' },
      { name: 'PGDATA', value: '/var/lib/postgresql/data/pgdata' },
      { name: 'POSTGRES_DB', value: 'module' },
      { name: 'POSTGRES_INITDB_ARGS', value: '--auth-host=scram-sha-256 --encoding=UTF8 --locale=C.UTF-8' },
      { name: 'POSTGRES_PASSWORD', value: '$(SWITCHYARD_SERVICE_PASSWORD)' },
    ]);
    expect(container?.volumeMounts).toEqual([
      ...mounts,
      { name: 'switchyard-password', mountPath: '/run/switchyard', readOnly: true },
    ]);
    expect(container?.readinessProbe).toEqual({ ...probe, periodSeconds: 5, timeoutSeconds: 5 });
    // The claim is the data volume: a volume of the same name in the Pod would take its place.
    expect(template.spec.volumes).toEqual([
      { name: 'postgresql-scratch-0', emptyDir: { sizeLimit: '2Gi' } },
      { name: 'postgresql-scratch-1', emptyDir: { sizeLimit: '2Gi' } },
      files,
      {
        name: 'switchyard-password',
        // Whole: a rotation puts the user's name beside the password.
        secret: { secretName: 'postgresql-credentials' },
      },
    ]);
  });

  test('a module may give its instance other resources, in tests and in production alike', () => {
    const use = ', resources: { cpu: 25m, memory: 96Mi, disk: 3Gi }';
    const expected = {
      requests: { cpu: '25m', memory: '96Mi', 'ephemeral-storage': '64Mi' },
      limits: { memory: '96Mi', 'ephemeral-storage': '3Gi' },
    };
    expect(podOf(catalogWith('postgresql', use)).spec.initContainers[0]?.resources).toEqual(expected);
    expect(statefulSet('postgresql', use).spec.template.spec.containers[0]?.resources).toEqual(expected);
  });
});

test('RabbitMQ keeps its data under a name that does not follow the Pod, and is asked by its port', () => {
  const { container } = sidecar('rabbitmq');
  expect(envOf('rabbitmq')).toEqual({
    MODULE_USER: 'shop',
    RABBITMQ_DEFAULT_USER: 'shop',
    RABBITMQ_DEFAULT_PASS: 'secret-word',
    RABBITMQ_DEFAULT_VHOST: 'shop',
    RABBITMQ_NODENAME: 'rabbit@localhost',
  });
  expect(container.startupProbe).toEqual({
    tcpSocket: { port: 5672 },
    periodSeconds: 1,
    failureThreshold: 120,
    timeoutSeconds: 5,
  });
  expect(container.volumeMounts.map(({ mountPath }) => mountPath)).toEqual([
    '/var/lib/rabbitmq',
    '/tmp',
    '/var/log/rabbitmq',
    '/etc/rabbitmq/conf.d/20-switchyard.conf',
  ]);
  const visible = Object.entries(moduleEnvironment(serviceOf('rabbitmq'), local));
  expect(Object.fromEntries(visible.map(([name, { plain }]) => [name, plain]))).toEqual({
    RABBITMQ_HOST: '127.0.0.1',
    RABBITMQ_PORT: '5672',
    RABBITMQ_USER: 'shop',
    RABBITMQ_PASSWORD: 'secret-word',
    RABBITMQ_VHOST: 'shop',
  });
});

test('MySQL dumps no identifiers of transactions, which a server takes once only; MariaDB passes the option over', () => {
  const { backup } = serviceOf('mysql');
  if (!backup || !('dump' in backup)) throw new Error('no dump');
  for (const argv of [backup.dump, backup.fingerprint])
    expect(argv?.join(' ')).toMatch(/ mysqldump .* --loose-set-gtid-purged=OFF --databases /);
});

test('Kafka is one KRaft node that modules reach by account and nobody reaches without', () => {
  const env = envOf('kafka');
  expect(env).toMatchObject({
    KAFKA_PROCESS_ROLES: 'broker,controller',
    KAFKA_LISTENERS: 'CLIENT://0.0.0.0:9092,BROKER://127.0.0.1:19092,CONTROLLER://127.0.0.1:19093',
    KAFKA_ADVERTISED_LISTENERS: 'CLIENT://127.0.0.1:9092,BROKER://127.0.0.1:19092',
    KAFKA_LISTENER_SECURITY_PROTOCOL_MAP: 'CLIENT:SASL_PLAINTEXT,BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT',
    // apache/kafka, core/src/main/scala/kafka/docker/KafkaDockerWrapper.scala: "_" is ".", "___" is "-".
    KAFKA_LISTENER_NAME_CLIENT_SASL_ENABLED_MECHANISMS: 'SCRAM-SHA-512',
    KAFKA_LISTENER_NAME_CLIENT_SCRAM___SHA___512_SASL_JAAS_CONFIG:
      'org.apache.kafka.common.security.scram.ScramLoginModule required;',
    MODULE_USER: 'shop',
    MODULE_PASSWORD: 'secret-word',
  });
  // A cluster id is 16 bytes in base64 for URLs; the node refuses to format its storage with another.
  expect(Buffer.from(String(env.CLUSTER_ID), 'base64url')).toHaveLength(16);
  expect(Object.keys(env).filter((name) => name.includes('ZOOKEEPER'))).toEqual([]);
  // Whatever is called KAFKA_ becomes a setting of the server.
  expect(Object.entries(env).filter(([, value]) => value === 'secret-word')).toEqual([
    ['MODULE_PASSWORD', 'secret-word'],
  ]);
  expect(moduleEnvironment(serviceOf('kafka'), local)).toMatchObject({
    KAFKA_SASL_MECHANISM: { plain: 'SCRAM-SHA-512' },
    KAFKA_USER: { plain: 'shop' },
  });
  const inProduction = statefulSet('kafka').spec.template.spec.containers[0]?.env;
  expect(inProduction).toContainEqual({
    name: 'KAFKA_ADVERTISED_LISTENERS',
    value: 'CLIENT://kafka.prod-shop.svc:9092,BROKER://127.0.0.1:19092',
  });
});

test('Kafka is ready when its account is there and its port answers', () => {
  const command = ['bash', '-c', 'test -e "$KAFKA_LOG_DIRS/.account" && : < /dev/tcp/127.0.0.1/9092'];
  expect(sidecar('kafka').readinessProbe).toMatchObject({ exec: { command } });
  expect(sidecar('kafka').container.startupProbe).toMatchObject({ exec: { command }, failureThreshold: 300 });
});

test('Elasticsearch asks for an account', () => {
  expect(envOf('elasticsearch')).toMatchObject({
    ES_SETTING_DISCOVERY_TYPE: 'single-node',
    ES_SETTING_XPACK_SECURITY_ENABLED: 'true',
    ELASTIC_PASSWORD: 'secret-word',
  });
  expect(sidecar('elasticsearch').readinessProbe).toEqual({
    exec: {
      command: ['bash', '/opt/switchyard/ask.sh', '_cluster/health?wait_for_status=yellow&timeout=1s'],
    },
    periodSeconds: 15,
    timeoutSeconds: 10,
  });
  expect(sidecar('elasticsearch').container.startupProbe.failureThreshold).toBe(300);
});

test('HDFS opens the ports of both its nodes, and its data node is known by the name that modules use', () => {
  const ports = [
    ['service', 8020],
    ['datanode', 9866],
    ['datanode-http', 9864],
    ['namenode-http', 9870],
  ];
  expect(servicePorts(serviceOf('hdfs')).map(({ name, port }) => [name, port])).toEqual(ports);
  expect(sidecar('hdfs').container.ports.map(({ name, containerPort }) => [name, containerPort])).toEqual(
    ports,
  );
  const service = declared('hdfs', 'kubernetes:core/v1:Service', 'production-shop-hdfs-service') as {
    spec: { ports: unknown[] };
  };
  expect(service.spec.ports).toEqual(
    ports.map(([name, port]) => ({ name, port, targetPort: port, protocol: 'TCP' })),
  );
  for (const [, port] of ports) {
    declared('hdfs', 'kubernetes:networking.k8s.io/v1:NetworkPolicy', `production-shop-allow-${port}`);
  }
  const site = Object.values(statefulSet('hdfs').spec.template.metadata.annotations ?? {});
  expect(site.some((text) => text.includes('<value>hdfs.prod-shop.svc</value>'))).toBe(true);
});

test('a module may not listen on a further port of its service either', () => {
  const made = catalogWith('hdfs');
  const module = { ...shopOf(made), port: 9870 };
  expect(() => testPod({ catalog: made, module, settings, certificate: green, pullSecrets: [] })).toThrow(
    /hdfs and shop both listen on 9870/,
  );
});

describe('a service file', () => {
  const problemsOf = (change: string): string[] => {
    try {
      parseCatalog({
        modules: {},
        services: { 'cache.yaml': `${catalogTexts.services['cache.yaml']}${change}\n` },
      });
      return [];
    } catch (error) {
      if (!(error instanceof ProblemsError)) throw error;
      return error.problems.map(describeProblem);
    }
  };

  test('may not carry a password where Kubernetes shows it', () => {
    expect(problemsOf('files: { /etc/cache.conf: "pass {password}" }')).toEqual([
      'catalog/services/cache.yaml:11: files./etc/cache.conf: would carry the password in the clear. Read it from a variable of "environment" there.',
    ]);
    expect(problemsOf('probe: { exec: [ask, "{password}"] }')).toEqual([
      'catalog/services/cache.yaml:11: probe.exec.1: would carry the password in the clear. Read it from a variable of "environment" there.',
    ]);
  });

  test('names the variable of the user that takes turns, and no other', () => {
    const rotate = (name: string) => `rotate: { alternates: ${name}, admit: [a], retire: [b] }`;
    for (const name of ['CACHE_USER', 'CACHE_PASSWORD', 'constructor']) {
      expect(problemsOf(rotate(name))).toEqual([
        `catalog/services/cache.yaml:11: rotate.alternates: is no variable of "moduleEnvironment" with a user's name. Name one of CACHE_HOST, CACHE_PORT, CACHE_PASSWORD.`,
      ]);
    }
    expect(problemsOf(rotate('CACHE_HOST'))).toEqual([]);
  });

  test('names only what is filled in; a shell variable is its own', () => {
    expect(problemsOf('environment: { A: "{pasword}" }')).toEqual([
      'catalog/services/cache.yaml:11: environment.A: names {pasword}, which nothing fills in. Did you mean "password"?',
    ]);
    expect(problemsOf('files: { /start.sh: "echo ${user}" }')).toEqual([]);
    const service = parseCatalog({
      modules: {},
      services: {
        'cache.yaml': `${catalogTexts.services['cache.yaml']}files: { /start.sh: "echo \${user} {user}" }\n`,
      },
    }).services.cache;
    if (!service) throw new Error('no service');
    const use = { name: 'cache', kind: 'cache', version: '1.0', storage: '1Gi' };
    expect(serviceContainer(use, service, 'cache:1.0', local).annotations).toEqual({
      'switchyard.dev/cache-file-0': 'echo ${user} shop',
    });
  });

  test('names each port once, and a probe only a port that is there', () => {
    expect(problemsOf('ports: { admin: 6379 }')).toEqual([
      'catalog/services/cache.yaml:11: ports.admin: is the same as port. Name each port once.',
    ]);
    expect(problemsOf('probe: { http: /health, port: admin }')).toEqual([
      'catalog/services/cache.yaml:11: probe.port: "admin" is not a port of this service. Add it to "ports".',
    ]);
  });

  test('an HTTP probe asks the port that it names, and takes the time that it is given', () => {
    const { services } = parseCatalog({
      modules: {},
      services: {
        'cache.yaml': `${catalogTexts.services['cache.yaml']}ports: { admin: 8081 }\nprobe: { http: /health, port: admin, startupSeconds: 30, periodSeconds: 7, timeoutSeconds: 2 }\n`,
      },
    });
    if (!services.cache) throw new Error('no service');
    const use = { name: 'cache', kind: 'cache', version: '1.0', storage: '1Gi' };
    const { container, readinessProbe } = serviceContainer(use, services.cache, 'cache:1.0', local);
    const action = { httpGet: { path: '/health', port: 8081 } };
    expect(container.startupProbe).toEqual({
      ...action,
      periodSeconds: 1,
      failureThreshold: 30,
      timeoutSeconds: 2,
    });
    expect(readinessProbe).toEqual({ ...action, periodSeconds: 7, timeoutSeconds: 2 });
  });

  test('names images by an exact version', () => {
    const text = (catalogTexts.services['cache.yaml'] ?? '').replace('cache:2.0', 'cache:latest');
    expect(() => parseCatalog({ modules: {}, services: { 'cache.yaml': text } })).toThrow(
      /versions\.2\.0\.image: names no exact version\. Write "repository:1\.2\.3"/,
    );
  });
});
