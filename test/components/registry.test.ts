import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'yaml';
import { ProblemsError } from '../../catalog/problems';
import { topologyBoxes } from '../../components/boxes';
import type { Model } from '../../components/model';
import { collectScript } from '../../components/registry/collect';
import { argsOf, declarationOf, modelWith, namesOf, registryLine } from '../support/workloads';

const DEPLOYMENT = 'kubernetes:apps/v1:Deployment';

interface Container {
  readonly name: string;
  readonly env: { name: string }[];
  readonly args?: string[];
  readonly ports?: object[];
  readonly volumeMounts: { name: string }[];
}
const podOf = (model: Model) =>
  (
    argsOf(model, DEPLOYMENT, 'registry-deployment') as {
      spec: {
        template: {
          spec: { containers: Container[]; initContainers: Container[]; volumes: { name: string }[] };
        };
      };
    }
  ).spec.template.spec;
const filesOf = (model: Model) =>
  argsOf(model, 'kubernetes:core/v1:ConfigMap', 'registry-config').data as Record<string, string>;
const usersOf = (model: Model) =>
  argsOf(model, 'kubernetes:core/v1:Secret', 'registry-credentials').stringData as Record<string, string>;
const line = (user: string) => `«htpasswd:${user}:registry/${user}»\n`;

test('by default the proxy tells users apart: the topology, who pulls, builds, and one a module', () => {
  const model = modelWith();
  expect(podOf(model).containers.map(({ name }) => name)).toEqual(['registry', 'proxy']);
  expect(usersOf(model).htpasswd).toBe(['pull', 'push', 'build', 'push-shop'].map(line).join(''));
  // The registry itself is reached through the proxy only.
  expect(parse(filesOf(model)['config.yml'] ?? '')).toMatchObject({
    http: { addr: '127.0.0.1:5001', relativeurls: true },
  });
  expect(podOf(model).containers[0]?.ports).toBeUndefined();
});

test('with shared access there is no proxy, and the configuration is exactly this', () => {
  const model = modelWith({ stack: registryLine('access: shared') });
  expect(podOf(model).containers.map(({ name }) => name)).toEqual(['registry']);
  expect(Object.keys(filesOf(model))).toEqual(['config.yml']);
  expect(parse(filesOf(model)['config.yml'] ?? '')).toEqual({
    version: 0.1,
    log: { fields: { service: 'registry' } },
    auth: { htpasswd: { realm: 'switchyard', path: '/auth/htpasswd' } },
    storage: {
      cache: { blobdescriptor: 'inmemory' },
      delete: { enabled: true },
      filesystem: { rootdirectory: '/var/lib/registry' },
    },
    http: { addr: ':5000', headers: { 'X-Content-Type-Options': ['nosniff'] } },
    health: { storagedriver: { enabled: true, interval: '10s', threshold: 3 } },
  });
});

test('builds, whose code is foreign, have a login only where it does no more than read base images', () => {
  const holders = (access: string) =>
    topologyBoxes(modelWith({ stack: registryLine(`access: ${access}`) }))
      .flatMap(({ declarations }) => declarations)
      .filter((declaration) =>
        /registry-bases|SWITCHYARD_BASES_LOGIN|registry\/build/.test(JSON.stringify(declaration)),
      )
      .map(({ name }) => name);
  expect(holders('shared')).toEqual([]);
  expect(holders('separate')).toEqual(expect.arrayContaining(['agents-bases', 'jenkins-casc']));
});

test('a certificate of its own is served by the proxy, which reads a renewed one at the next handshake', () => {
  for (const access of ['shared', 'separate']) {
    const model = modelWith({ stack: registryLine(`access: ${access}, tlsSecret: registry-tls`) });
    const proxy = filesOf(model)['nginx.conf'] ?? '';
    expect(proxy).toContain('listen 5000 ssl;');
    expect(proxy).toContain('map $ssl_server_name $certificates { default /tls; }');
    expect(proxy).toContain('ssl_certificate $certificates/tls.crt;');
    expect(proxy).toContain('ssl_certificate_key $certificates/tls.key;');
    expect(proxy.includes('$refused')).toBe(access === 'separate');
    expect(parse(filesOf(model)['config.yml'] ?? '').http).toMatchObject({ addr: '127.0.0.1:5001' });
    expect(parse(filesOf(model)['config.yml'] ?? '').http.tls).toBeUndefined();
    const mounts = podOf(model).containers.map(({ volumeMounts }) =>
      volumeMounts.some(({ name }) => name === 'tls'),
    );
    expect(mounts).toEqual([false, true]);
  }
});

test('a bucket takes the place of the volume, and its keys never stand in the configuration', () => {
  const model = modelWith({
    stack: registryLine(
      's3: { bucket: images, region: eu-central-1, endpoint: "https://s3.test", credentialsFrom: { accessKey: S3_ID, secretKey: S3_KEY } }',
    ),
  });
  expect(namesOf(model)).not.toContain('registry-storage');
  expect(podOf(model).volumes.map(({ name }) => name)).not.toContain('storage');
  expect(parse(filesOf(model)['config.yml'] ?? '').storage).toEqual({
    cache: { blobdescriptor: 'inmemory' },
    delete: { enabled: true },
    s3: { bucket: 'images', region: 'eu-central-1', regionendpoint: 'https://s3.test', secure: true },
    redirect: { disable: true },
  });
  expect(usersOf(model)).toMatchObject({ accessKey: '«given:S3_ID»', secretKey: '«given:S3_KEY»' });
  // Collecting garbage needs the bucket as well.
  for (const container of [...podOf(model).containers.slice(0, 1), ...podOf(model).initContainers]) {
    expect(container.env.map(({ name }) => name)).toEqual([
      'REGISTRY_HTTP_SECRET',
      'REGISTRY_STORAGE_S3_ACCESSKEY',
      'REGISTRY_STORAGE_S3_SECRETKEY',
    ]);
  }
});

test('images are kept unless the stack says delete, and an S3 registry has nothing here to keep', () => {
  const kept = { protect: true, retainOnDelete: true };
  expect(declarationOf(modelWith(), 'registry-storage')).toMatchObject(kept);
  expect(declarationOf(modelWith(), 'registry-namespace')).toMatchObject(kept);
  const gone = modelWith({ stack: registryLine('onDelete: delete') });
  expect(declarationOf(gone, 'registry-storage').protect).toBeUndefined();
  expect(declarationOf(gone, 'registry-namespace').protect).toBeUndefined();
  const s3 = modelWith({ stack: registryLine('s3: { bucket: images, region: eu-central-1 }') });
  expect(declarationOf(s3, 'registry-namespace').protect).toBeUndefined();
});

test('an ingress leads the host of the address to the registry; without the setting there is none', () => {
  expect(namesOf(modelWith())).not.toContain('registry-ingress');
  const model = modelWith({ stack: registryLine('ingress: { className: nginx, tlsSecret: registry-tls }') });
  expect(argsOf(model, 'kubernetes:networking.k8s.io/v1:Ingress', 'registry-ingress').spec).toEqual({
    ingressClassName: 'nginx',
    tls: [{ hosts: ['registry.test'], secretName: 'registry-tls' }],
    rules: [
      {
        host: 'registry.test',
        http: {
          paths: [
            {
              path: '/',
              pathType: 'Prefix',
              backend: { service: { name: 'registry', port: { name: 'registry' } } },
            },
          ],
        },
      },
    ],
  });
});

test('certificates that cannot be meant are refused with their key', () => {
  const problems = (more: string) => {
    try {
      modelWith({ stack: registryLine(more) });
    } catch (error) {
      if (error instanceof ProblemsError) return error.problems.map(({ key, what }) => `${key}: ${what}`);
      throw error;
    }
    return [];
  };
  expect(problems('scheme: http, tlsSecret: a')).toEqual([
    'config.registry.tlsSecret: is a certificate, but scheme is http.',
  ]);
  expect(problems('tlsSecret: a, ingress: {}')).toEqual([
    'config.registry.tlsSecret: and ingress would both end TLS.',
  ]);
  expect(problems('retention: { schedule: daily }')).toEqual([
    'config.registry.retention.schedule: is not a schedule.',
  ]);
});

test('retention reads GitLab with a token that may change nothing, and touches only the registry in the cluster', () => {
  const model = modelWith({ stack: registryLine('retention: { days: 7, releaseDays: 90 }') });
  expect(
    argsOf(model, 'gitlab:index/groupAccessToken:GroupAccessToken', 'registry-ledger-reader'),
  ).toMatchObject({ accessLevel: 'reporter', scopes: ['read_api', 'read_repository'] });
  expect(
    argsOf(model, 'kubernetes:rbac.authorization.k8s.io/v1:Role', 'registry-retention-role'),
  ).toMatchObject({
    metadata: { namespace: 'registry' },
    rules: [
      { apiGroups: [''], resources: ['configmaps'], verbs: ['create', 'delete', 'list'] },
      { apiGroups: [''], resources: ['pods'], verbs: ['delete', 'list'] },
    ],
  });
  const job = argsOf(model, 'kubernetes:batch/v1:CronJob', 'registry-retention-job') as {
    spec: {
      schedule: string;
      jobTemplate: {
        spec: { template: { spec: { containers: { command: string[]; env: { name: string }[] }[] } } };
      };
    };
  };
  const [container] = job.spec.jobTemplate.spec.template.spec.containers;
  expect(job.spec.schedule).toBe('17 3 * * *');
  expect(container?.command).toEqual([
    'delivery',
    'registry-gc',
    '--namespace',
    'registry',
    '--days',
    '7',
    '--release-days',
    '90',
  ]);
  expect(container?.env).toContainEqual({
    name: 'GITLAB_TOKEN',
    valueFrom: { secretKeyRef: { name: 'registry-retention', key: 'gitlabToken' } },
  });
  expect(JSON.stringify(job)).not.toMatch(/«(secret|basic|output:registry)/);
});

/** Runs the script with a registry of its own: a program that says how it was called and ends as told. */
function collect(requested: boolean, code: number) {
  const folder = mkdtempSync(join(tmpdir(), 'switchyard-collect-'));
  try {
    writeFileSync(join(folder, 'registry'), `#!/bin/sh\necho "called: $*"\nexit ${code}\n`, { mode: 0o755 });
    if (requested) writeFileSync(join(folder, 'requested'), 'yes');
    const script = collectScript('/config/config.yml')
      .replace('/collect/requested', join(folder, 'requested'))
      .replaceAll('/tmp/collected', join(folder, 'collected'));
    const { status, stdout } = spawnSync('sh', ['-c', script], {
      env: { PATH: `${folder}:/usr/bin:/bin` },
      encoding: 'utf8',
    });
    return { status, stdout };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

test('garbage is collected only when asked for, and a registry that cannot collect serves all the same', () => {
  expect(collect(false, 0)).toEqual({ status: 0, stdout: '' });
  expect(collect(true, 0)).toEqual({ status: 0, stdout: 'called: garbage-collect /config/config.yml\n' });
  expect(collect(true, 3)).toEqual({
    status: 0,
    stdout: 'garbage-collect failed; serving all the same\ncalled: garbage-collect /config/config.yml\n',
  });
});

test('of a registry that is there already nothing is made and nothing is removed', () => {
  const login = (user: string) => `{ user: ${user}, passwordFrom: REGISTRY_PASSWORD }`;
  const model = modelWith({
    stack: registryLine(`existing: { pull: ${login('reader')}, push: ${login('writer')} }`),
  });
  expect(namesOf(model).filter((name) => name.startsWith('registry'))).toEqual([]);
});
