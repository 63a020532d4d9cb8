import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseCatalog } from '../../catalog/load';
import { ProblemsError } from '../../catalog/problems';
import { defaultFolders, loadModel } from '../../components/load';
import { parseStack } from '../../stacks/load';
import { catalogTexts, root, stackWith } from '../support/model';

// A name in a file chooses an environment variable of whoever runs `up`: never one of the topology's own.

function problemsOf(make: () => unknown): string[] {
  try {
    make();
  } catch (error) {
    if (error instanceof ProblemsError) return error.message.split('\n');
    throw error;
  }
  return [];
}

const moduleFile = (variable: string, host = 'db.test'): string => `description: sells
owners: [ada]
services:
  - kind: cache
    version: "1.0"
    existing: { host: ${host}, credentialsFrom: ${variable} }
`;

test.each([
  'SWITCHYARD_SEED',
  'SWITCHYARD_ONLY',
  'PULUMI_CONFIG_PASSPHRASE',
  'PULUMI_ACCESS_TOKEN',
  'GITLAB_TOKEN',
  'KUBECONFIG',
  'AWS_SECRET_ACCESS_KEY',
  'AZURE_STORAGE_KEY',
  'GOOGLE_CREDENTIALS',
  'RESTIC_PASSWORD',
  'BACKUP_ACCESS_KEY',
  'HTTPS_PROXY',
])('a module that names %s as a password is refused at its line', (variable) => {
  expect(
    problemsOf(() => parseCatalog({ ...catalogTexts, modules: { 'shop.yaml': moduleFile(variable) } })),
  ).toEqual([
    'catalog/modules/shop.yaml:6: services.0.existing.credentialsFrom: is a variable of the topology itself or of a program that it runs, whose value no module may get. Give the service\'s password in a variable of its own, such as "ORDERS_MYSQL_PASSWORD".',
  ]);
});

const OWN = 'is a variable of the topology itself. Give this secret in a variable of its own.';
const OPENS =
  'opens the backups, which what rolls out must not reach. Leave it out: restic has its key by itself.';
const other = (keys: string) => ({
  topologyProject: `environments: [test, staging], credentials: { staging: { ${keys} } }`,
});

test.each([
  [
    'clusters.ci.kubeconfig',
    { clusters: 'ci: { context: a, kubeconfig: SWITCHYARD_SEED }, production: { context: b }' },
    OWN,
  ],
  [
    'backup.credentialsFrom.secretKey',
    {
      backup:
        'repository: "s3:https://s3.test/b/c", credentialsFrom: { accessKey: A, secretKey: PULUMI_CONFIG_PASSPHRASE }',
    },
    OWN,
  ],
  [
    'registry.s3.credentialsFrom.accessKey',
    {
      registry:
        's3: { bucket: abc, region: eu-central-1, credentialsFrom: { accessKey: SWITCHYARD_SEED, secretKey: S } }',
    },
    OWN,
  ],
  [
    'registry.s3.credentialsFrom.secretKey',
    {
      registry:
        's3: { bucket: abc, region: eu-central-1, credentialsFrom: { accessKey: A, secretKey: RESTIC_PASSWORD } }',
    },
    OWN,
  ],
  [
    'topologyProject.credentials.staging.variables.RESTIC_PASSWORD',
    other('variables: { RESTIC_PASSWORD: A }, previewKubeconfig: A'),
    OPENS,
  ],
  [
    'registry.existing.pull.passwordFrom',
    {
      registry:
        'existing: { pull: { user: a, passwordFrom: GITLAB_TOKEN }, push: { user: a, passwordFrom: B } }',
    },
    OWN,
  ],
  [
    'jenkins.reader.tokenFrom',
    { jenkins: 'existing: { namespace: theirs }, reader: { user: a, tokenFrom: SWITCHYARD_SEED }' },
    OWN,
  ],
  ['topologyProject.credentials.staging.previewKubeconfig', other('previewKubeconfig: SWITCHYARD_SEED'), OWN],
  [
    'topologyProject.credentials.staging.applyKubeconfig',
    other('previewKubeconfig: A, applyKubeconfig: GITLAB_TOKEN'),
    OWN,
  ],
  [
    'topologyProject.credentials.staging.variables.SWITCHYARD_SEED',
    other(
      'variables: { SWITCHYARD_SEED: SWITCHYARD_SEED, GITLAB_TOKEN: GITLAB_TOKEN }, previewKubeconfig: A',
    ),
    "is this environment's own. Give the other one a variable with its own value.",
  ],
])('a stack that names a variable of the topology itself as %s is refused', (key, keys, says) => {
  const problems = problemsOf(() => parseStack(stackWith(keys), 'stacks/Pulumi.test.yaml', 'test'));
  expect(problems).toEqual([expect.stringMatching(/^stacks\/Pulumi\.test\.yaml:\d+: /)]);
  expect(problems[0]).toContain(`config.${key}: ${says}`);
});

test('a stack gives what opens the backups to no deploy', () => {
  const text = `${stackWith({})}  switchyard:deployEnvironment: [DB, RESTIC_PASSWORD]\n`;
  expect(problemsOf(() => parseStack(text, 'stacks/Pulumi.test.yaml', 'test'))).toEqual([
    `stacks/Pulumi.test.yaml:8: config.deployEnvironment.1: ${OPENS}`,
  ]);
});

describe('beside a stack and other modules', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'switchyard-variables-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  function load(modules: Readonly<Record<string, string>>): string[] {
    const stacks = join(folder, 'stacks');
    const catalog = join(folder, 'catalog');
    for (const path of [stacks, join(catalog, 'modules'), join(catalog, 'services')])
      mkdirSync(path, { recursive: true });
    const stack = stackWith({
      registry:
        's3: { bucket: images, region: eu-central-1, credentialsFrom: { accessKey: COPY_ID, secretKey: COPY_SECRET } }',
    });
    writeFileSync(
      join(stacks, 'Pulumi.test.yaml'),
      `${stack}  switchyard:deployEnvironment: [SWITCHYARD_SEED, DB, COPY_SECRET]\n`,
    );
    writeFileSync(join(catalog, 'services', 'cache.yaml'), catalogTexts.services['cache.yaml'] ?? '');
    for (const [name, text] of Object.entries(modules))
      writeFileSync(join(catalog, 'modules', `${name}.yaml`), text);
    return problemsOf(() => loadModel({ ...defaultFolders(root), stacks, catalog }, 'test'));
  }

  test('what the stack names for something else is no password of a module', () => {
    expect(load({ shop: moduleFile('COPY_SECRET') })).toEqual([
      `catalog/modules/shop.yaml:6: services.0.existing.credentialsFrom: "COPY_SECRET" is what config.registry.s3.credentialsFrom.secretKey of test names. Give the service's password in a variable of its own.`,
    ]);
  });

  test('a password of another module is sent to no other host', () => {
    expect(load({ shop: moduleFile('DB'), till: moduleFile('DB', 'elsewhere.test') })).toEqual([
      `catalog/modules/till.yaml:6: services.0.existing.credentialsFrom: "DB" is the password of module "shop" for db.test. Give the service's password in a variable of its own.`,
    ]);
    expect(load({ shop: moduleFile('DB'), till: moduleFile('DB') })).toEqual([]);
  });
});
