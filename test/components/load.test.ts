import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { defaultFolders, loadModel } from '../../components/load';
import { catalogTexts, root, stackText } from '../support/model';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'switchyard-load-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** What loading says of a stack file with further keys, and of a module's file. */
function faults(stack: string, module = catalogTexts.modules['shop.yaml'] ?? ''): string[] {
  const catalog = join(folder, 'catalog');
  const stacks = join(folder, 'stacks');
  for (const each of [stacks, join(catalog, 'modules'), join(catalog, 'services')])
    mkdirSync(each, { recursive: true });
  writeFileSync(join(catalog, 'services', 'cache.yaml'), catalogTexts.services['cache.yaml'] ?? '');
  writeFileSync(join(catalog, 'modules', 'shop.yaml'), module);
  writeFileSync(join(stacks, 'Pulumi.test.yaml'), `# A comment before all else.\n${stackText}${stack}`);
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
