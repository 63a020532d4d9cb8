import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseCatalog } from '../../catalog/load';
import { type BoxDeclaration, topologyBoxes } from '../../components/boxes';
import { parseStack } from '../../stacks/load';
import { catalogTexts, stackWith, testModel } from '../support/model';
import { IDENTITIES, identityTable, SYSTEMS } from './e2e/identities-data';

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
    ...['reaper', 'reconciler', 'release backup', 'backup', 'autoscaling', 'Jenkins controller'],
    ...['bot token', 'registry users', 'people'],
  ]);
  for (const identity of IDENTITIES)
    for (const system of SYSTEMS) {
      const { as, may = [], mayNot = [] } = identity[system];
      if (as === undefined) expect([...may, ...mayNot]).toEqual([]);
      // Who may everything is refused nothing.
      else if (!/^(everything|both buckets)/.test(identity[system].says)) expect(mayNot).not.toEqual([]);
      const form = {
        kubernetes: /^[a-z]+ [a-z./0-9]+( [a-z-]+)?$/,
        stores: /^GET (state|backups)$/,
        registry: /^(GET|POST|PUT|DELETE) \/\S*$/,
        gitlab: /^(GET|POST|PUT|DELETE) \/\S*$/,
        jenkins: /^(GET|POST|PUT|DELETE) \/\S*$/,
      }[system];
      for (const one of [...may, ...mayNot]) expect(one).toMatch(form);
      expect(may.filter((one) => mayNot.includes(one))).toEqual([]);
    }
});

/** The topology with everything that brings an account: as the lab has it, and a module that scales. */
function whole(): BoxDeclaration[] {
  const catalog = parseCatalog({
    ...catalogTexts,
    modules: {
      'orders.yaml': `${catalogTexts.modules['shop.yaml']}production: { scaling: { qps: 50, min: 2, max: 20 } }\n`,
    },
  });
  const stack = stackWith({
    clusters: 'ci: { context: one }, production: { context: one }',
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
  readonly subjects?: readonly { readonly name: string; readonly namespace: string }[];
}
const objects = whole().flatMap(({ declarations }) =>
  declarations.flatMap(({ type, args }) =>
    type.startsWith('kubernetes:') ? [{ type: type as string, args: args as unknown as Args }] : [],
  ),
);
const known = (account: string) =>
  IDENTITIES.find(
    ({ kubernetes: { as, untried = [] } }) => as === account || (untried as string[]).includes(account),
  );

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
