import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseCatalog } from '../../catalog/load';
import { type BoxDeclaration, topologyBoxes } from '../../components/boxes';
import { parseStack } from '../../stacks/load';
import { catalogTexts, stackWith, testModel } from '../support/model';
import { IDENTITIES, identityTable, MADE, SYSTEMS } from './e2e/identities-data';
import { requestOf } from './e2e/kubernetes-request';
import { metricsAccountManifests } from './e2e/metrics-accounts';

const doc = readFileSync(join(__dirname, '..', '..', 'docs', 'security.md'), 'utf8');

/** Cells of the table's rows, without the spaces that a formatter puts around them. */
const rowsOf = (text: string): string[][] =>
  text
    .split('\n')
    .filter((line) => /^\| (\*\*|identity +\|)/.test(line))
    .map((line) => line.split('|').map((cell) => cell.trim()));

test('docs/security.md shows the table that the lab tries', () => {
  // Put this in the place of the old table where they differ.
  expect(rowsOf(doc)).toEqual(rowsOf(identityTable()));
});

test('every identity is there once; what is tried says who, and tries something that it may not', () => {
  const names = IDENTITIES.map(({ name }) => name);
  expect(names).toEqual([
    ...[
      'module author',
      'topology author',
      'test Pod',
      'build',
      'delivery',
      'deploy',
      'state',
      'preview program',
      'preview',
      'apply',
      'drift',
    ],
    ...['reaper', 'reconciler', 'release backup', 'backup', 'Prometheus', 'metrics adapter'],
    ...['deploy, in a cluster of its own', 'backup, in a cluster of its own', 'another environment'],
    ...['Jenkins controller', 'bot token', 'registry users', 'people'],
  ]);
  for (const identity of IDENTITIES)
    for (const system of SYSTEMS) {
      const { as, may = [], mayNot = [] } = identity[system];
      if (as === undefined) expect([...may, ...mayNot]).toEqual([]);
      // Who may everything is refused nothing.
      else if (!/^(everything|both buckets)/.test(identity[system].says)) expect(mayNot).not.toEqual([]);
      const form = {
        kubernetes: /^[a-z]+ [a-z./0-9]+( [a-z-]+){0,2}$/,
        stores: /^(LIST|GET|PUT|DELETE) (state|backups)$/,
        registry: /^(GET|POST|PUT|DELETE) \/\S*$/,
        gitlab: /^(GET|POST|PUT|DELETE) \/\S*$/,
        jenkins: /^(GET|POST|PUT|DELETE) \/\S*$/,
      }[system];
      for (const one of [...may, ...mayNot]) expect(one).toMatch(form);
      expect(may.filter((one) => mayNot.includes(one))).toEqual([]);
    }
});

/** The topology with everything that brings an account: as the lab has it, and a module that scales. */
function whole(
  clusters = 'ci: { context: one }, production: { context: one }',
  prefix?: string,
): readonly BoxDeclaration[] {
  const catalog = parseCatalog({
    ...catalogTexts,
    modules: {
      'orders.yaml': `${catalogTexts.modules['shop.yaml']}production: { scaling: { qps: 50, min: 2, max: 20 } }\n`,
    },
  });
  const stack = stackWith({
    clusters,
    ...(prefix === undefined ? {} : { prefix }),
    topologyProject: 'path: topology',
    backup: 'repository: "s3:https://s3.test/backup"',
  });
  return topologyBoxes(
    testModel({
      settings: parseStack(stack, 'stacks/Pulumi.test.yaml', 'test'),
      catalog,
      modules: catalog.modules,
      releases: {},
    }),
  );
}

const RBAC = 'kubernetes:rbac.authorization.k8s.io/v1:';
interface Args {
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly rules?: readonly { resources?: string[]; verbs: string[] }[];
  readonly roleRef?: { readonly kind: string; readonly name: string };
  readonly subjects?: readonly { readonly kind: string; readonly name: string; readonly namespace: string }[];
}
const objects = whole().flatMap(({ declarations }) =>
  declarations.flatMap(({ type, args }) =>
    type.startsWith('kubernetes:') ? [{ type: type as string, args: args as unknown as Args }] : [],
  ),
);
/** The identity that tries an account, or one that is made for it. */
const known = (account: string) =>
  IDENTITIES.find(({ kubernetes: { as } }) => as === account || as === `${MADE}-${account}`);

test('every account of the topology, whichever box brings it, is one of the identities', () => {
  const accounts = objects.flatMap(({ type, args: { metadata } }) =>
    type === 'kubernetes:core/v1:ServiceAccount' ? [`${metadata.namespace}/${metadata.name}`] : [],
  );
  // One of each box that brings any.
  expect(accounts).toEqual(
    expect.arrayContaining([
      ...['ci/jenkins', 'registry/registry-retention', 'test-orders/tests', 'ci-reaper/reaper'],
      ...['backup/backup', 'autoscaling/prometheus', 'ci-apply/applier', 'ci-drift/watcher'],
    ]),
  );
  expect(accounts.filter((account) => !known(account))).toEqual([]);
});

test('every account of a production cluster of its own has a row, which says in which suite it is tried', () => {
  const accounts = whole(
    'ci: { context: one }, production: { context: two, server: "https://two.test" }',
  ).flatMap(({ declarations }) =>
    declarations.flatMap(({ type, provider, args }) => {
      if (type !== 'kubernetes:core/v1:ServiceAccount' || provider !== 'production') return [];
      const { name, namespace } = (args as unknown as Args).metadata;
      return [`${namespace}/${name}`];
    }),
  );
  // Those that measure are the same in either cluster, and made in the lab.
  const elsewhere = accounts.filter((account) => !known(account)?.kubernetes.as?.startsWith(MADE));
  const rows = IDENTITIES.flatMap(({ kubernetes: { as, in: suite } }) => (suite ? [as] : []));
  expect(elsewhere.sort()).toEqual(rows.sort());
  const suites = IDENTITIES.flatMap((one) => SYSTEMS.flatMap((system) => one[system].in ?? []));
  for (const suite of suites)
    expect(readFileSync(join(__dirname, 'programs', `${suite}.test.ts`), 'utf8')).toContain(
      `kubernetes.in === '${suite}'`,
    );
});

test('an environment with a prefix binds none but its own accounts, in none but its own namespaces', () => {
  const prefix = 'second';
  const bindings = whole(undefined, prefix).flatMap(({ declarations }) =>
    declarations.flatMap(({ type, args }) =>
      /:(Cluster)?RoleBinding$/.test(type) ? [{ type, ...(args as unknown as Args) }] : [],
    ),
  );
  expect(bindings.length).toBeGreaterThan(10);
  const foreign = bindings.flatMap(({ metadata, subjects = [] }) =>
    [metadata.namespace, ...subjects.map(({ namespace }) => namespace)].filter(
      // An aggregated API server asks there who it is that asks, wherever it runs.
      (namespace) =>
        namespace !== undefined && namespace !== 'kube-system' && !namespace.startsWith(`${prefix}-`),
    ),
  );
  expect(foreign).toEqual([]);
  // What holds in the whole cluster is for who looks and who applies, and for who measures to ask who it is.
  const everywhere = bindings.filter(({ type }) => type.endsWith(':ClusterRoleBinding'));
  expect(
    [...new Set(everywhere.flatMap(({ subjects = [] }) => subjects.map(({ name }) => name)))].sort(),
  ).toEqual([...['applier', 'metrics-adapter', 'previewer', 'state', 'watcher']]);
});

test('the topology binds roles to accounts by their names, to no group or user', () => {
  const kinds = objects.flatMap(({ args: { subjects = [] } }) => subjects.map(({ kind }) => kind));
  expect([...new Set(kinds)]).toEqual(['ServiceAccount']);
});

describe('the accounts that the lab lacks', () => {
  const made = metricsAccountManifests();
  const rows = IDENTITIES.flatMap(({ kubernetes }) =>
    kubernetes.as?.startsWith(`${MADE}-`) ? [kubernetes] : [],
  );

  test('are made as the topology declares them, with what binds them and nothing else', () => {
    expect(
      made.map(({ kind, metadata: { namespace, name } }) => `${kind} ${namespace ?? ''}/${name}`).sort(),
    ).toEqual([
      'ClusterRoleBinding /identities-autoscaling-delegator',
      'Namespace /identities-autoscaling',
      'Namespace /identities-prod-shop',
      'Role identities-prod-shop/metrics-reader',
      'RoleBinding identities-prod-shop/metrics-reader',
      'RoleBinding kube-system/identities-autoscaling-authentication',
      'ServiceAccount identities-autoscaling/metrics-adapter',
      'ServiceAccount identities-autoscaling/prometheus',
    ]);
    const name = ({ metadata }: { metadata: { namespace?: string; name: string } }) =>
      `${metadata.namespace ?? ''}/${metadata.name}`;
    const declared = new Map(
      objects.map(({ type, args }) => [`${type.split(':').at(-1)} ${name(args)}`, args]),
    );
    // What differs is named after the prefix, the environment or the module.
    const plain = (one: object) =>
      JSON.parse(JSON.stringify(one).replaceAll(`${MADE}-`, '').replaceAll('prod-shop', 'prod-orders'));
    const granted = made.filter(({ kind }) => kind !== 'Namespace');
    for (const { apiVersion: _, kind, metadata, ...rest } of granted) {
      const { metadata: __, ...given } = declared.get(`${kind} ${name(plain({ metadata }))}`) ?? {};
      expect([kind, plain(rest)]).toEqual([kind, given]);
    }
  });

  test('have a row each, which tries what every binding gives', () => {
    const accounts = made.flatMap(({ kind, metadata: { namespace, name } }) =>
      kind === 'ServiceAccount' ? [`${namespace}/${name}`] : [],
    );
    expect(rows.map(({ as }) => as).sort()).toEqual([...accounts].sort());
    const given = (account: string) =>
      made.flatMap(({ roleRef, subjects = [] }) =>
        subjects.some(({ namespace, name }) => `${namespace}/${name}` === account)
          ? (roleRef?.name ?? [])
          : [],
      );
    const tries: Readonly<Record<string, RegExp>> = {
      'metrics-reader': /^list pods identities-prod-shop$/,
      'system:auth-delegator': /^create (tokenreviews|subjectaccessreviews)\./,
      'extension-apiserver-authentication-reader':
        /^get configmaps kube-system extension-apiserver-authentication$/,
    };
    for (const { as = '', may = [] } of rows)
      for (const [role, pattern] of Object.entries(tries))
        expect([as, role, may.some((what) => pattern.test(what))]).toEqual([
          ...[as, role, given(as).includes(role)],
        ]);
    expect(rows.flatMap(({ as = '' }) => given(as)).filter((role) => !(role in tries))).toEqual([]);
  });

  test('are asked in no namespace of the prefix that is not made, and removed by the label of all', () => {
    const namespaces = made.flatMap(({ kind, metadata: { name } }) => (kind === 'Namespace' ? [name] : []));
    const asked = IDENTITIES.flatMap(({ kubernetes: { may = [], mayNot = [] } }) => [...may, ...mayNot])
      .flatMap((what) => what.split(' ')[2] ?? [])
      .filter((namespace) => namespace.startsWith(MADE));
    expect([...new Set(asked)].sort()).toEqual([...namespaces].sort());
    for (const { metadata } of made) expect(metadata.labels?.['switchyard.dev/environment']).toBe(MADE);
  });
});

test('a cell that is not tried says what has no credential to try, or where it is tried', () => {
  const untried = IDENTITIES.filter(({ name }) => name !== 'another environment').flatMap((one) =>
    SYSTEMS.flatMap((system) => (one[system].as === undefined ? [one[system].says] : [])),
  );
  const reasons = [
    /^nothing(; nodes pull its images)?$/,
    // Another row has it.
    /^as \*\*[a-z]+\*\*$/,
    // `hostile-build`.
    /^its own agent’s connection\b/,
    // The row of `backup` in the cluster, and the suite of that name.
    /^its home, by a command in its Pod$/,
    // What it is, and what it may start.
    /^(everything: it is Jenkins|the state’s bucket through the agents that it may start)$/,
  ];
  expect(untried.filter((says) => !reasons.some((reason) => reason.test(says)))).toEqual([]);
});

test.each([
  ['list secrets', 'GET', '/api/v1/secrets', {}],
  ['get nodes/proxy', 'GET', '/api/v1/nodes/identities-absent/proxy', {}],
  ['create pods ci', 'POST', '/api/v1/namespaces/ci/pods?dryRun=All', {}],
  ['create pods/exec ci', 'POST', '/api/v1/namespaces/ci/pods/identities-absent/exec?command=true', {}],
  [
    'update roles.rbac.authorization.k8s.io ci own',
    'PUT',
    '/apis/rbac.authorization.k8s.io/v1/namespaces/ci/roles/own?dryRun=All',
    {},
  ],
  ['impersonate users', 'GET', '/version', { 'impersonate-user': 'identities-absent' }],
  [
    'impersonate serviceaccounts ci',
    'GET',
    '/version',
    { 'impersonate-user': 'system:serviceaccount:ci:identities-absent' },
  ],
])('"%s" is asked by %s %s', (what, method, path, headers) => {
  expect(requestOf(what)).toEqual({ method, path, headers });
});

test('every request of the table can be asked, and none changes anything', () => {
  for (const { kubernetes } of IDENTITIES)
    for (const what of [...(kubernetes.may ?? []), ...(kubernetes.mayNot ?? [])]) {
      const { method, path } = requestOf(what);
      expect(`${method} ${path}`).toMatch(/^GET |\?dryRun=All$|\/exec\?command=true$/);
    }
  expect(() => requestOf('escalate roles ci')).toThrow('nothing says how to ask for "escalate roles ci"');
});

test('an account that may read Secrets where a login of the registry lies has a row that says what that login reaches', () => {
  const rulesOf = ({ kind, name }: { kind: string; name: string }, namespace?: string) =>
    name === 'cluster-admin'
      ? [{ resources: ['*'], verbs: ['*'] }]
      : objects
          .filter(
            ({ type, args: { metadata } }) =>
              type === `${RBAC}${kind}` &&
              metadata.name === name &&
              (kind === 'ClusterRole' || metadata.namespace === namespace),
          )
          .flatMap(({ args: { rules = [] } }) => rules);
  const readers = objects.flatMap(({ type, args: { metadata, roleRef, subjects = [] } }) => {
    if (!/:(Cluster)?RoleBinding$/.test(type) || !roleRef) return [];
    const reads = rulesOf(roleRef, metadata.namespace).some(
      ({ resources = [], verbs }) =>
        resources.some((one) => one === '*' || one === 'secrets') &&
        verbs.some((one) => ['*', 'get', 'list', 'watch'].includes(one)),
    );
    return reads ? subjects.map(({ name, namespace }) => `${namespace}/${name}`) : [];
  });
  // Every namespace that pulls has such a login.
  expect([...new Set(readers)].sort()).toEqual([
    'ci-apply/applier',
    'ci-deploy/deployer-orders',
    'ci/jenkins',
  ]);
  for (const reader of readers) {
    const { says, as } = known(reader)?.registry ?? { says: 'nothing' };
    expect([reader, says, as]).toEqual([
      reader,
      expect.stringMatching(/^everything\b/),
      expect.stringMatching(/./),
    ]);
  }
});
