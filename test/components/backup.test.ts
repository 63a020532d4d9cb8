import { parseCatalog } from '../../catalog/load';
import { topologyBoxes } from '../../components/boxes';
import { referencesIn } from '../../components/shared/references';
import { backupKinds } from '../../components/specs/backup';
import { parseStack } from '../../stacks/load';
import { stackVariables } from '../../stacks/secrets';
import { catalogTexts, modelOf, stackWith, testModel } from '../support/model';
import { argsOf, declarationOf, declarationsOf, namesOf } from '../support/workloads';

const BUCKET = 'repository: "s3:https://s3.test/bucket/copies"';
const KEYS = 'credentialsFrom: { accessKey: COPY_ID, secretKey: COPY_SECRET }';
const ONE = 'ci: { context: one }, production: { context: one }';

const one = (more = KEYS, keys: Parameters<typeof modelOf>[0] = {}) =>
  modelOf({ clusters: ONE, backup: `${BUCKET}, ${more}`, ...keys });
const two = modelOf({ backup: `${BUCKET}, ${KEYS}` });

interface Job {
  readonly spec: {
    readonly schedule: string;
    readonly concurrencyPolicy: string;
    readonly jobTemplate: {
      readonly spec: {
        readonly activeDeadlineSeconds: number;
        readonly template: {
          readonly spec: {
            readonly serviceAccountName: string;
            readonly containers: readonly {
              readonly command: readonly string[];
              readonly env: readonly {
                readonly name: string;
                readonly value?: string;
                readonly valueFrom?: {
                  readonly secretKeyRef: { readonly name: string; readonly key: string };
                };
              }[];
              readonly resources: object;
              readonly volumeMounts: readonly object[];
            }[];
            readonly volumes: readonly object[];
          };
        };
      };
    };
  };
}

const jobOf = (model: ReturnType<typeof modelOf>, name: string) => {
  const { spec } = argsOf(model, 'kubernetes:batch/v1:CronJob', name) as unknown as Job;
  const pod = spec.jobTemplate.spec.template.spec;
  const [container] = pod.containers;
  if (!container) throw new Error('no container');
  const env = Object.fromEntries(
    container.env.map(({ name: key, value, valueFrom }) => [key, value ?? valueFrom?.secretKeyRef]),
  );
  return { spec, pod, container, env };
};

const problems = (backup: string, clusters = ONE): string[] => {
  try {
    parseStack(stackWith({ clusters, backup }), 'stacks/Pulumi.test.yaml', 'test');
    return [];
  } catch (error) {
    return (error as Error).message
      .split('\n')
      .map((line) => line.replace(/^stacks\/Pulumi.test.yaml:\d+: /, ''));
  }
};

test('without a repository nothing is made', () => {
  const model = modelOf({});
  expect(topologyBoxes(model).map(({ box }) => box)).not.toContain('backup');
  expect(namesOf(model).filter((name) => name.includes('backup'))).toEqual([]);
});

test('one cluster backs up everything in one job, in the order in which a rebuild can use it', () => {
  const { container, spec } = jobOf(one(), 'backup-job');
  expect(container.command).toEqual([
    ...['delivery', 'backup', '--kind', 'repositories', '--kind', 'registry', '--kind', 'databases'],
    ...['--kind', 'jenkins', '--kind', 'state', '--release-days', '365'],
  ]);
  expect(spec).toMatchObject({ schedule: '17 * * * *', concurrencyPolicy: 'Forbid' });
  expect(namesOf(one()).filter((name) => name.startsWith('backup-production'))).toEqual([]);
});

test('a production cluster of its own dumps its databases, and holds nothing else that opens anything', () => {
  expect(backupKinds(two)).toEqual({
    ci: ['repositories', 'registry', 'jenkins', 'state'],
    production: ['databases'],
  });
  expect(declarationOf(two, 'backup-production-job').provider).toBe('production');
  expect(jobOf(two, 'backup-production-job').container.command).toEqual([
    'delivery',
    'backup',
    '--kind',
    'databases',
  ]);
  expect(argsOf(two, 'kubernetes:core/v1:Secret', 'backup-production-access').stringData).toEqual({
    RESTIC_PASSWORD: '«secret:backup/key»',
    BACKUP_ACCESS_KEY: '«given:COPY_ID»',
    BACKUP_SECRET_KEY: '«given:COPY_SECRET»',
  });
  expect(jobOf(two, 'backup-production-job').env).not.toHaveProperty('GITLAB_TOKEN');
});

test('the job is given what it reads with, and neither the seed nor what decrypts the state', () => {
  const model = one();
  const { env } = jobOf(model, 'backup-job');
  expect(env).toMatchObject({
    RESTIC_REPOSITORY: 's3:https://s3.test/bucket/copies/test',
    SWITCHYARD_ENVIRONMENT: 'test',
    GITLAB_URL: 'https://gitlab.test',
    GITLAB_TOKEN: { name: 'backup', key: 'GITLAB_TOKEN' },
    RESTIC_PASSWORD: { name: 'backup', key: 'RESTIC_PASSWORD' },
    PULUMI_BACKEND_URL: 'file:///state',
    TMPDIR: '/scratch',
  });
  expect(env).not.toHaveProperty('METRICS_PUSHGATEWAY');
  const secret = argsOf(model, 'kubernetes:core/v1:Secret', 'backup-access').stringData;
  expect(Object.keys(secret as object).sort()).toEqual([
    '.dockerconfigjson',
    'BACKUP_ACCESS_KEY',
    'BACKUP_SECRET_KEY',
    'GITLAB_TOKEN',
    'RESTIC_PASSWORD',
  ]);
  const held = JSON.stringify(declarationsOf(model).filter(({ name }) => name.startsWith('backup')));
  expect(held).not.toContain('SWITCHYARD_SEED');
  expect(held).not.toContain('PASSPHRASE');
  expect(held).not.toContain('registry/push');
});

test('no secret stands outside of Secrets', () => {
  const shown = declarationsOf(two)
    .filter(({ name, type }) => name.includes('backup') && type !== 'kubernetes:core/v1:Secret')
    .flatMap(({ args }) => referencesIn(args))
    .filter(({ kind }) => kind === 'secret' || kind === 'given' || kind === 'basic');
  expect(shown).toEqual([]);
});

test('GitLab is read by a token that may change nothing', () => {
  expect(argsOf(one(), 'gitlab:index/groupAccessToken:GroupAccessToken', 'backup-reader')).toMatchObject({
    accessLevel: 'reporter',
    scopes: ['read_api', 'read_repository'],
  });
});

test('commands run in the Pods that are dumped and in Jenkins, by no other account, and in no other Pod', () => {
  const model = one();
  const roles = declarationsOf(model).filter(
    ({ type, args }) =>
      type === 'kubernetes:rbac.authorization.k8s.io/v1:Role' && JSON.stringify(args).includes('"backup"'),
  );
  expect(roles.map(({ name }) => name).sort()).toEqual([
    'jenkins-backup-role',
    'production-shop-backup-role',
  ]);
  expect(
    argsOf(model, 'kubernetes:rbac.authorization.k8s.io/v1:Role', 'production-shop-backup-role'),
  ).toMatchObject({
    metadata: { namespace: 'prod-shop', name: 'backup' },
    rules: [
      { apiGroups: [''], resources: ['pods'], verbs: ['get', 'list'] },
      { apiGroups: [''], resources: ['pods/exec'], resourceNames: ['cache-0'], verbs: ['create', 'get'] },
    ],
  });
  expect(
    argsOf(model, 'kubernetes:rbac.authorization.k8s.io/v1:RoleBinding', 'production-shop-backup-binding')
      .subjects,
  ).toEqual([{ kind: 'ServiceAccount', name: 'backup', namespace: 'backup' }]);
  expect(
    declarationsOf(model).filter(
      ({ type, args }) => type.includes('ClusterRole') && JSON.stringify(args).includes('backup'),
    ),
  ).toEqual([]);
});

test('a service that is not dumped, and one that stands elsewhere, get no right to be entered', () => {
  const none = {
    ...catalogTexts.services,
    'cache.yaml': (catalogTexts.services['cache.yaml'] ?? '').replace(
      /^backup: .*$/m,
      'backup: { none: it is filled anew }',
    ),
  };
  const catalog = parseCatalog({ ...catalogTexts, services: none });
  const model = testModel({ settings: one().settings, catalog, modules: catalog.modules });
  expect(namesOf(model)).not.toContain('production-shop-backup-role');
  expect(backupKinds(model).ci).not.toContain('databases');

  const elsewhere = parseCatalog({
    ...catalogTexts,
    modules: {
      'shop.yaml':
        'description: sells\nowners: [ada]\nservices: [{ kind: cache, version: "1.0", existing: { host: db.test, credentialsFrom: DB_PASSWORD } }]\n',
    },
  });
  const other = testModel({ settings: one().settings, catalog: elsewhere, modules: elsewhere.modules });
  expect(namesOf(other)).not.toContain('production-shop-backup-role');
});

test('the namespace lets nothing in, and out only to the ports that the stack names', () => {
  expect(argsOf(one(), 'kubernetes:networking.k8s.io/v1:NetworkPolicy', 'backup-egress').spec).toMatchObject({
    egress: [
      {
        to: [{ namespaceSelector: {} }],
        ports: [
          { protocol: 'UDP', port: 53 },
          { protocol: 'TCP', port: 53 },
        ],
      },
      {
        ports: [
          { protocol: 'TCP', port: 443 },
          { protocol: 'TCP', port: 5000 },
          { protocol: 'TCP', port: 6443 },
        ],
      },
      { ports: [{ protocol: 'TCP', port: 5000 }] },
    ],
  });
  expect(namesOf(one()).filter((name) => name.startsWith('backup-allow'))).toEqual([]);
  expect(
    argsOf(two, 'kubernetes:networking.k8s.io/v1:NetworkPolicy', 'backup-production-egress').spec,
  ).toMatchObject({
    egress: [
      {},
      {
        ports: [
          { protocol: 'TCP', port: 443 },
          { protocol: 'TCP', port: 6443 },
        ],
      },
    ],
  });
});

test('of all agents only the Pod that backs up a release opens the repository: the one that rolls out does not', () => {
  const model = one();
  expect(argsOf(model, 'kubernetes:core/v1:Secret', 'release-backup-access')).toMatchObject({
    metadata: { namespace: 'ci-backup', name: 'backup-access' },
    stringData: { RESTIC_PASSWORD: '«secret:backup/key»' },
  });
  const casc = argsOf(model, 'kubernetes:core/v1:ConfigMap', 'jenkins-casc').data as Record<string, string>;
  const text = casc['jenkins.yaml'] ?? '';
  expect(text.split('backup-access')).toHaveLength(2);
  expect(text.split('RESTIC_REPOSITORY')).toHaveLength(2);
  expect(text).toContain("modulePipeline(module: 'shop', parts: true, backup: true)");
  expect(text).toContain('namespace: ci-backup');
  const holders = declarationsOf(model).filter(
    ({ type, args }) =>
      type === 'kubernetes:core/v1:Secret' && JSON.stringify(args).includes('«secret:backup/key»'),
  );
  expect(holders.map(({ name }) => name).sort()).toEqual(['backup-access', 'release-backup-access']);
});

test('reading back keeps what the stack says', () => {
  const { container, env } = jobOf(one('keep: { daily: 3, weekly: 2, monthly: 1 }'), 'backup-verify-job');
  expect(container.command).toEqual([
    ...['delivery', 'backup-verify', '--keep-daily', '3', '--keep-weekly', '2', '--keep-monthly', '1'],
  ]);
  expect(env).not.toHaveProperty('GITLAB_TOKEN');
  expect(env).not.toHaveProperty('BACKUP_ACCESS_KEY');
});

test('a volume is kept when everything else goes, and only the backup jobs mount it', () => {
  const model = modelOf({ clusters: ONE, backup: 'repository: /backup/copies, claim: { storage: 5Gi }' });
  expect(declarationOf(model, 'backup-storage')).toMatchObject({ protect: true, retainOnDelete: true });
  expect(declarationOf(model, 'backup-namespace')).toMatchObject({ protect: true, retainOnDelete: true });
  const { pod, container, env } = jobOf(model, 'backup-job');
  expect(env.RESTIC_REPOSITORY).toBe('/backup/copies/test');
  expect(container.volumeMounts).toContainEqual({ name: 'claim', mountPath: '/backup' });
  expect(pod.volumes).toContainEqual({ name: 'claim', persistentVolumeClaim: { claimName: 'backup' } });
  expect(namesOf(model)).not.toContain('release-backup-access');
  expect(JSON.stringify(argsOf(model, 'kubernetes:core/v1:ConfigMap', 'jenkins-casc'))).not.toContain(
    'RESTIC',
  );
  expect(declarationOf(one(), 'backup-namespace').protect).toBeUndefined();
});

test('keys that deploy Pods have are no keys of the backups', () => {
  expect(() =>
    parseStack(
      `${stackWith({ clusters: ONE, backup: `${BUCKET}, credentialsFrom: { accessKey: AWS_ACCESS_KEY_ID, secretKey: BACKUP_SECRET }` })}  switchyard:deployEnvironment: [AWS_ACCESS_KEY_ID, SWITCHYARD_SEED]\n`,
      'stacks/Pulumi.test.yaml',
      'test',
    ),
  ).toThrow(
    'config.backup.credentialsFrom.accessKey: is AWS_ACCESS_KEY_ID, which deployEnvironment gives to deploy Pods: they could delete the backups. Keep backups with credentials of their own.',
  );
});

test('settings that would fail at night are refused by day', () => {
  expect(problems('repository: "s3:https://key:secret@s3.test/bucket"')[0]).toContain(
    'config.backup.repository: holds a credential in an address.',
  );
  expect(problems('repository: "s3:s3.test/bucket"')[0]).toContain(
    'config.backup.repository: is neither a bucket nor a folder below /backup.',
  );
  expect(problems('repository: /backup')).toEqual([
    'config.backup.repository: is a folder without a volume. Add claim: { storage: 100Gi }, or name a bucket.',
  ]);
  expect(problems(`${BUCKET}, claim: { storage: 5Gi }`)).toEqual([
    'config.backup.claim: is unused: repository is a bucket. Leave it out.',
  ]);
  expect(
    problems(
      'repository: /backup, claim: { storage: 5Gi }',
      'ci: { context: one }, production: { context: two }',
    ),
  ).toEqual([
    'config.backup.claim: is a volume of one cluster, but databases run in another. Name a bucket as repository instead.',
  ]);
});

test('the keys of the bucket are asked for by `up`', () => {
  expect(stackVariables(one().settings).filter(({ place }) => place.startsWith('config.backup'))).toEqual([
    { variable: 'COPY_ID', place: 'config.backup.credentialsFrom.accessKey' },
    { variable: 'COPY_SECRET', place: 'config.backup.credentialsFrom.secretKey' },
  ]);
});
