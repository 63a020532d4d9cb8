import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { isClosedToModules } from '../../catalog/variables';
import { secretVariable } from '../../stacks/shapes';
import { root } from '../support/model';
import { PRODUCT_FOLDERS } from '../support/product';

// A module's file may name no variable that something else is told: what reads them is found in the sources, so that a
// further one is closed to modules before anybody can forget it.

const filesBelow = (folder: string): string[] =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => /\.[jt]s$/.test(file) && !file.includes('node_modules'))
    .map((file) => join(folder, file));

/** With an underscore any word of the sources may be a variable's name. */
const SPEAKING = /^[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+$/;
const VARIABLE = /^[A-Z][A-Z0-9_]*$/;

const ENVIRONMENTS: readonly string[] = ['base', 'env', 'environment', 'given', 'variables'];

/** Whether an expression has the variables of a process, as far as its name tells. */
const isEnvironment = (node: ts.Node | undefined): boolean =>
  node !== undefined &&
  ((ts.isIdentifier(node) && ENVIRONMENTS.includes(node.text)) ||
    (ts.isPropertyAccessExpression(node) && ENVIRONMENTS.includes(node.name.text)));

const wordOf = (node: ts.Node): string =>
  ts.isIdentifier(node) || ts.isStringLiteralLike(node) ? node.text : '';

/** Names of variables in a source: words that look like one, and whatever is read from an environment. */
function variablesIn(text: string): string[] {
  const found: string[] = [];
  const source = ts.createSourceFile('source.ts', text, ts.ScriptTarget.Latest, true);
  const take = (name: string, shape: RegExp): void => {
    if (shape.test(name)) found.push(name);
  };
  const visit = (node: ts.Node): void => {
    if (ts.isStringLiteralLike(node))
      take(
        node.text,
        ts.isElementAccessExpression(node.parent) && isEnvironment(node.parent.expression)
          ? VARIABLE
          : SPEAKING,
      );
    if (ts.isPropertyAccessExpression(node))
      take(node.name.text, isEnvironment(node.expression) ? VARIABLE : SPEAKING);
    if (ts.isPropertyAssignment(node) && ts.isIdentifier(node.name)) {
      const table = node.parent.parent;
      const named = ts.isAsExpression(table) ? table.parent : table;
      take(
        node.name.text,
        ts.isVariableDeclaration(named) && isEnvironment(named.name) ? VARIABLE : SPEAKING,
      );
    }
    if (ts.isBindingElement(node) && ts.isObjectBindingPattern(node.parent)) {
      const declaration = node.parent.parent;
      const from = ts.isVariableDeclaration(declaration) ? declaration.initializer : undefined;
      take(wordOf(node.propertyName ?? node.name), isEnvironment(from) ? VARIABLE : SPEAKING);
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

test('what reads a variable is found, however it does', () => {
  const text = `
    const A = process.env.CI; const { KUBECONFIG, HOME: home } = process.env; const b = env['PATH'] ?? given.TERM;
    const named = 'SOME_TOKEN'; process.env[named]; const { OTHER_TOKEN } = readSettings(['THIRD_TOKEN'], x);
    const variables = { REGISTRY: 1 } as const; const pod = { env: [{ name: 'FOURTH_TOKEN' }], FIFTH_TOKEN: '' };
    request.headers.GET; const method = 'POST'; const table = { PUT: 1 };`;
  expect(variablesIn(text).sort()).toEqual([
    'CI',
    'FIFTH_TOKEN',
    'FOURTH_TOKEN',
    'HOME',
    'KUBECONFIG',
    'OTHER_TOKEN',
    'PATH',
    'REGISTRY',
    'SOME_TOKEN',
    'TERM',
    'THIRD_TOKEN',
  ]);
});

/** Words of that look that are no variable of whoever runs `up`, by what they are instead. */
const NONE: Readonly<Record<string, readonly string[]>> = {
  'a file in the Secret of our own Jenkins': [
    'ADMIN_PASSWORD',
    'EMERGENCY_GROUP',
    'LOGIN_CLIENT_SECRET',
    'RECONCILER_PASSWORD',
  ],
  'what a test Pod tells its Robot': ['BASE_URL'],
  'an error of a registry': [
    ...['BLOB_UNKNOWN', 'BLOB_UPLOAD_UNKNOWN', 'DIGEST_INVALID', 'MANIFEST_BLOB_UNKNOWN', 'MANIFEST_INVALID'],
    ...['MANIFEST_UNKNOWN', 'SIZE_INVALID'],
  ],
  'a capability of Linux': ['AUDIT_WRITE', 'DAC_OVERRIDE', 'NET_BIND_SERVICE', 'SYS_CHROOT'],
  'an error of gRPC, of YAML or of Node': [
    ...[
      'FAILED_PRECONDITION',
      'MODULE_NOT_FOUND',
      'MULTIPLE_DOCS',
      'PERMISSION_DENIED',
      'RESOURCE_EXHAUSTED',
    ],
    'RESOURCE_EXHAUSTION',
  ],
  'a constant of Node, or of a library': [
    ...['MAX_SAFE_INTEGER', 'MIN_SAFE_INTEGER', 'NEGATIVE_INFINITY', 'POSITIVE_INFINITY'],
    ...['O_NOFOLLOW', 'O_NONBLOCK', 'O_RDONLY', 'QUOTE_DOUBLE', 'STRING_VALUE'],
  ],
};

test('every variable that the sources name is closed to modules', () => {
  const files = [...['bin', ...PRODUCT_FOLDERS].flatMap(filesBelow), 'index.ts', 'main.ts'];
  const named = new Map(
    files.flatMap((file) =>
      variablesIn(readFileSync(join(root, file), 'utf8')).map((name) => [name, file] as const),
    ),
  );
  const open = [...named].filter(([name]) => !isClosedToModules(name));
  // What is no variable any more is taken off the list.
  expect(open.map(([name, file]) => `${name} of ${file}`).sort()).toEqual(
    Object.values(NONE)
      .flat()
      .map((name) => `${name} of ${named.get(name)}`)
      .sort(),
  );
  expect(named.size).toBeGreaterThan(80);
});

/** Libraries that ask the environment for something, and of the plug-ins' SDKs the files that do. */
const LIBRARIES = [
  ...['@grpc/grpc-js/build/src', '@kubernetes/client-node/dist', '@pulumi/docker/config'],
  ...[
    '@pulumi/docker/provider.js',
    '@pulumi/gitlab',
    '@pulumi/kubernetes/provider.js',
    '@pulumi/pulumi/automation',
  ],
  ...['@pulumi/pulumi/runtime', '@pulumi/pulumi/cmd', 'commander/lib', 'picocolors'],
];

test('every variable that a library reads is closed to modules', () => {
  const files = LIBRARIES.flatMap((library) => {
    const path = join('node_modules', library);
    expect([library, existsSync(join(root, path))]).toEqual([library, true]);
    return path.endsWith('.js') ? [path] : filesBelow(path).filter((file) => file.endsWith('.js'));
  });
  const READ = /\benv(?:\.|\[["'])([A-Z][A-Z0-9_]*)\b|getEnv\w*\(((?:\s*"[A-Z0-9_]+",?)+)/g;
  const read = new Set(
    files.flatMap((file) =>
      [...readFileSync(join(root, file), 'utf8').matchAll(READ)].flatMap(([, one, several = '']) =>
        one === undefined ? (several.match(/[A-Z][A-Z0-9_]*/g) ?? []) : [one],
      ),
    ),
  );
  expect([...read]).toEqual(
    expect.arrayContaining(['DOCKER_HOST', 'GRPC_TRACE', 'KUBECONFIG', 'PULUMI_K8S_DELETE_UNREACHABLE']),
  );
  expect([...read].filter((name) => !isClosedToModules(name))).toEqual([]);
});

/** What programs read that are started here or by Pulumi, by where it is told. */
const PROGRAMS: Readonly<Record<string, readonly string[]>> = {
  'https://restic.readthedocs.io/en/stable/040_backup.html#environment-variables': [
    ...['RESTIC_REPOSITORY', 'RESTIC_PASSWORD', 'RESTIC_PASSWORD_FILE', 'RESTIC_PASSWORD_COMMAND'],
    ...['RESTIC_FROM_PASSWORD', 'RESTIC_REST_PASSWORD', 'RESTIC_KEY_HINT', 'RESTIC_TLS_CLIENT_CERT'],
    ...['B2_ACCOUNT_ID', 'B2_ACCOUNT_KEY', 'OS_PASSWORD', 'OS_AUTH_TOKEN', 'ST_KEY', 'RCLONE_BWLIMIT'],
    ...['AZURE_ACCOUNT_SAS', 'GOOGLE_ACCESS_TOKEN'],
  ],
  'https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-envvars.html': [
    ...['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN', 'AWS_WEB_IDENTITY_TOKEN_FILE'],
  ],
  'https://cloud.google.com/sdk/docs/properties': ['CLOUDSDK_AUTH_ACCESS_TOKEN', 'CLOUDSDK_CORE_PROJECT'],
  'https://cloud.google.com/docs/authentication/application-default-credentials': [
    ...['GOOGLE_APPLICATION_CREDENTIALS', 'GCE_METADATA_HOST'],
  ],
  'https://learn.microsoft.com/javascript/api/overview/azure/identity-readme': [
    ...['AZURE_CLIENT_SECRET', 'IDENTITY_HEADER', 'IDENTITY_ENDPOINT', 'IMDS_ENDPOINT', 'MSI_SECRET'],
  ],
  'https://www.pulumi.com/docs/iac/concepts/secrets/': ['VAULT_ADDR', 'VAULT_TOKEN', 'ARM_CLIENT_SECRET'],
  'https://www.pulumi.com/docs/iac/cli/environment-variables/': ['PULUMI_ACCESS_TOKEN', 'PULUMI_HOME'],
  'https://git-scm.com/book/en/v2/Git-Internals-Environment-Variables': [
    ...['GIT_ASKPASS', 'GIT_CONFIG_VALUE_0', 'GIT_SSH_COMMAND', 'SSH_ASKPASS', 'SSH_AUTH_SOCK'],
  ],
  'https://nodejs.org/api/cli.html#environment-variables': [
    'NODE_OPTIONS',
    'NODE_EXTRA_CA_CERTS',
    'SSL_CERT_FILE',
  ],
  'https://docs.docker.com/reference/cli/docker/#environment-variables': [
    ...['DOCKER_CONFIG', 'DOCKER_HOST', 'DOCKER_AUTH_CONFIG', 'HTTPS_PROXY', 'ALL_PROXY'],
  ],
  'https://docs.gitlab.com/ci/variables/predefined_variables/': ['GITLAB_TOKEN', 'GITLAB_USER_LOGIN'],
  'docs/components/backup.md, docs/adopting.md, docs/environments.md': [
    ...['BACKUP_ACCESS_KEY', 'BACKUP_SECRET_KEY', 'REGISTRY_PULL_PASSWORD', 'REGISTRY_PUSH_PASSWORD'],
    ...['JENKINS_CLIENT_SECRET', 'JENKINS_TOKEN', 'STATE_AWS_SECRET_ACCESS_KEY'],
  ],
};

test.each(Object.entries(PROGRAMS))('what %s tells of is closed to modules', (_source, names) => {
  expect(names.filter((name) => !isClosedToModules(name))).toEqual([]);
});

test.each(['ORDERS_MYSQL_PASSWORD', 'SHOP_CACHE_PASSWORD', 'DB', 'OSLO_PASSWORD', 'STOCK_KEY', 'HOMES_DB'])(
  '%s is open to modules',
  (name) => {
    expect(isClosedToModules(name)).toBe(false);
  },
);

test('a stack gives no secret of its own in what opens the backups, but keys of a bucket in any other variable', () => {
  for (const name of ['RESTIC_PASSWORD', 'RESTIC_PASSWORD_COMMAND', 'RESTIC_FROM_PASSWORD_FILE'])
    expect(secretVariable.safeParse(name).success).toBe(false);
  for (const name of [
    'BACKUP_ACCESS_KEY',
    'AWS_SECRET_ACCESS_KEY',
    'RESTIC_BUCKET_KEY',
    'JENKINS_CLIENT_SECRET',
  ])
    expect(secretVariable.safeParse(name).success).toBe(true);
});
