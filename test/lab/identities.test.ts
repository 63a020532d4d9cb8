import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { jenkinsResources } from '../../components/jenkins/resources';
import { registryResources } from '../../components/registry/resources';
import { testModel } from '../support/model';
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
      'preview',
      'apply',
      'drift',
    ],
    ...['reaper', 'reconciler', 'release backup', 'backup', 'Jenkins controller'],
    ...['bot token', 'registry users', 'people'],
  ]);
  for (const identity of IDENTITIES)
    for (const system of SYSTEMS) {
      const { as, may = [], mayNot = [] } = identity[system];
      if (as === undefined) expect([...may, ...mayNot]).toEqual([]);
      // Cluster-admin may everything.
      else if (as !== 'ci-apply/applier') expect(mayNot).not.toEqual([]);
      const form =
        system === 'kubernetes' ? /^[a-z]+ [a-z./0-9]+( [a-z-]+)?$/ : /^(GET|POST|PUT|DELETE) \/\S*$/;
      for (const one of [...may, ...mayNot]) expect(one).toMatch(form);
      expect(may.filter((one) => mayNot.includes(one))).toEqual([]);
    }
});

test('every account of Jenkins’ and of the registry’s is one of the identities', () => {
  const { settings } = testModel();
  // As the lab has it: a production cluster of its own has an account of its own.
  const { ci } = settings.clusters;
  const model = testModel({ settings: { ...settings, clusters: { ci, production: ci } } });
  const accounts = [...jenkinsResources(model), ...registryResources(model)].flatMap(({ type, args }) => {
    const { metadata } = args as { metadata?: { name: string; namespace: string } };
    return type === 'kubernetes:core/v1:ServiceAccount' && metadata
      ? // The one module of the model stands for the lab's.
        [`${metadata.namespace}/${metadata.name.replace(/-shop$/, '-orders')}`]
      : [];
  });
  const tried = IDENTITIES.flatMap(({ kubernetes: { as } }) => as ?? []);
  expect(accounts.filter((account) => !tried.includes(account))).toEqual([]);
});
