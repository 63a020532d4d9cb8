import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { defaultFolders, loadModel } from '../../components/load';
import { catalogTexts, root, stackText, stackWith } from '../support/model';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'switchyard-load-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** What loading says of a stack file with further keys, and of a module's file. */
function faults(
  stack: string,
  module = catalogTexts.modules['shop.yaml'] ?? '',
  base = stackText,
  others: Readonly<Record<string, string>> = {},
): string[] {
  const catalog = join(folder, 'catalog');
  const stacks = join(folder, 'stacks');
  for (const each of [stacks, join(catalog, 'modules'), join(catalog, 'services')])
    mkdirSync(each, { recursive: true });
  writeFileSync(join(catalog, 'services', 'cache.yaml'), catalogTexts.services['cache.yaml'] ?? '');
  writeFileSync(join(catalog, 'modules', 'shop.yaml'), module);
  for (const [file, text] of Object.entries(others)) writeFileSync(join(catalog, 'modules', file), text);
  writeFileSync(join(stacks, 'Pulumi.test.yaml'), `# A comment before all else.\n${base}${stack}`);
  try {
    loadModel({ ...defaultFolders(root), catalog, stacks }, 'test');
    return [];
  } catch (error) {
    return (error as Error).message.split('\n');
  }
}

test('what is found beyond one file is told at the line of its key, which may have dots in it', () => {
  expect(faults('')).toEqual([]);
  expect(faults('  switchyard:images:\n    replace:\n      jenkins: a:1\n      cache:9.1: b:1\n')).toEqual([
    'stacks/Pulumi.test.yaml:12: config.images.replace.cache:9.1: is no version of a service in the catalog. Did you mean "cache:1.0"?',
  ]);
  expect(faults('  switchyard:modules:\n    - shop\n    - shap\n')).toEqual([
    'stacks/Pulumi.test.yaml:11: config.modules.1: there is no module "shap" in the catalog. Did you mean "shop"?',
  ]);
});

test('what a module needs of a stack is told at the line of the module', () => {
  const module = `description: sells
owners: [ada]
services:
  - kind: cache
    version: "1.0"
    existing:
      host: cache.test
      credentialsFrom: CACHE_PASSWORD
`;
  expect(faults('', module)).toEqual([
    'catalog/modules/shop.yaml:8: services.0.existing.credentialsFrom: "CACHE_PASSWORD" does not reach the deploys of test. Name it in switchyard:deployEnvironment of stacks/Pulumi.test.yaml.',
  ]);
});

test('what another stack file of the folder has as well is told at its line', () => {
  mkdirSync(join(folder, 'stacks'), { recursive: true });
  writeFileSync(
    join(folder, 'stacks', 'Pulumi.other.yaml'),
    stackText.replace('environment: test', 'environment: other'),
  );
  expect(faults('')).toEqual([
    'stacks/Pulumi.test.yaml:5: config.clusters.ci.context: is the cluster of environment "other" as well, and both have the namespace "ci". Give one of the two another namespacePrefix.',
    'stacks/Pulumi.test.yaml:6: config.gitlab.group: "switchyard" is the group of environment "other" on the same GitLab. Name another group in one of the two.',
  ]);
  // What cannot be read is told where it is looked at.
  writeFileSync(join(folder, 'stacks', 'Pulumi.other.yaml'), 'config: {}\n');
  expect(faults('')).toEqual([]);
});

describe('GitLab compares names without case', () => {
  const gitlab = (keys: string): string[] => faults('', undefined, stackWith({ gitlab: keys }));

  test('a role in the group above that of an owner', () => {
    expect(gitlab('ownersRole: developer, members: { Ada: maintainer }')).toEqual([
      'stacks/Pulumi.test.yaml:6: config.gitlab.members.Ada: is maintainer in the group, and as an owner of a module only developer in its project. Raise ownersRole, or lower the role in the group.',
    ]);
    expect(gitlab('ownersRole: maintainer, members: { Ada: maintainer }')).toEqual([]);
  });

  test.each([
    ['Switchyard/Release-Ledger', 'the release ledger'],
    ['switchyard/pipeline-library', 'the pipeline library'],
  ])('an existing project %s is the one of %s', (existing, whose) => {
    expect(gitlab(`projects: { shop: { existing: ${existing} } }`)).toEqual([
      `stacks/Pulumi.test.yaml:6: config.gitlab.projects.shop.existing: "${existing}" is the project of ${whose}, as GitLab compares paths without case. Give each a project of its own.`,
    ]);
    expect(gitlab('projects: { shop: { existing: switchyard/shop } }')).toEqual([]);
  });

  test('an existing project of two modules, or of one and of another in the group', () => {
    const module = catalogTexts.modules['shop.yaml'] ?? '';
    const two = (keys: string) => faults('', module, stackWith({ gitlab: keys }), { 'store.yaml': module });
    const shared = (name: string, other: string) => [
      expect.stringMatching(
        `:6: config.gitlab.projects.${name}.existing: .* is the project of module "${other}"`,
      ),
    ];
    expect(two('projects: { shop: { existing: a/Shop }, store: { existing: A/shop } }')).toEqual(
      shared('store', 'shop'),
    );
    expect(two('projects: { shop: { existing: Switchyard/Store } }')).toEqual(shared('shop', 'store'));
  });
});

test('a file beside those that are read is told, of every command', () => {
  expect(faults('', undefined, undefined, { 'shop2.yml': catalogTexts.modules['shop.yaml'] ?? '' })).toEqual([
    'catalog/modules/shop2.yml:1: is not read: its name does not end in ".yaml". Rename it, or move it elsewhere.',
  ]);
});
