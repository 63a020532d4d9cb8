import { parseCatalog } from '../../catalog/load';
import { ProblemsError } from '../../catalog/problems';
import { defaultFolders, loadModel } from '../../components/load';
import type { Model } from '../../components/model';
import { check } from '../../rules';
import { assertRules, brokenRules, modelFacts } from '../../rules/assert';
import { factsOf } from '../../rules/facts';
import type { Item } from '../../rules/facts/item';
import { describeViolation } from '../../rules/facts/violation';
import { modelItems } from '../../rules/model';
import { stackNames } from '../../stacks/load';
import { catalogTexts, root, stackText, testModel } from '../support/model';
import { scaled } from '../support/scale';
import { modelWith, registryLine } from '../support/workloads';
import { twoModules } from './support';

const folders = defaultFolders(root);

test.each(stackNames(folders.stacks))(
  'every rule holds in the stack %s of this repository',
  (environment) => {
    const facts = modelFacts(loadModel(folders, environment));
    expect(facts.jenkins.jobs.length).toBeGreaterThan(0);
    expect(check(facts).map((broken) => `${broken.rule}: ${describeViolation(broken)}`)).toEqual([]);
  },
);

const messageOf = (run: () => void): string | undefined => {
  try {
    run();
    return undefined;
  } catch (error) {
    if (error instanceof ProblemsError) return error.message;
    throw error;
  }
};

/** Two modules, of which one has a password in its catalog file. */
function faulty(): Model {
  const shop = catalogTexts.modules['shop.yaml'] ?? '';
  const modules = { 'shop.yaml': `${shop}environment: { DB_PASSWORD: hunter2 }\n`, 'till.yaml': shop };
  const catalog = parseCatalog({ ...catalogTexts, modules });
  const files = { ...catalogTexts, modules, stacks: { 'Pulumi.test.yaml': stackText } };
  return twoModules({ catalog, modules: catalog.modules, files });
}

test('a violation is one line that names the file, the line, the key, the rule, the place, the fault and the remedy', () => {
  expect(messageOf(() => assertRules(faulty()))).toBe(
    'catalog/modules/shop.yaml:4: environment.DB_PASSWORD: rule no-plain-secret-variables: production-shop-workload (Deployment prod-shop/shop), container "module": DB_PASSWORD is a plain value. Put it into a Secret and use valueFrom.secretKeyRef.',
  );
});

test("one module's fault stops its own deploy and no other one's", () => {
  expect(messageOf(() => assertRules(faulty(), ['shop']))).toContain('DB_PASSWORD');
  expect(messageOf(() => assertRules(faulty(), ['till']))).toBeUndefined();
});

test("a release that is not of the module's own repository is told at its key of the ledger", () => {
  const digest = `@sha256:${'a'.repeat(64)}`;
  const refused = (image: string) =>
    messageOf(() => assertRules(testModel({ releases: { shop: { image, commit: 'b'.repeat(40) } } })));
  expect(refused(`registry.test:5000/modules/shop${digest}`)).toBeUndefined();
  for (const other of [
    'registry.test:5000/modules/till',
    'registry.test:5000/modules/shop/x',
    'registry.test:5000/shop',
    'registry.test:5001/modules/shop',
    'elsewhere.test/registry.test:5000/modules/shop',
    'modules/shop',
  ]) {
    expect(refused(`${other}${digest}`)).toBe(
      `release-ledger/test.yaml: modules.shop.image: rule releases-own: production-shop-workload (Deployment prod-shop/shop), container "module": runs "${other}${digest}", which is not of registry.test:5000/modules/shop. Release the module anew, or go back to a release of its own: \`switchyard rollback\`. Where the registry moved, name where it was: switchyard:registry.movedFrom.`,
    );
  }
});

test.each(['https://old.test', 'old.test/', '/team', 'old.test:99999', 'Old.test', 'a b'])(
  'a registry was not at %s',
  (root) => {
    const text = messageOf(() => modelWith({ stack: registryLine(`movedFrom: [${JSON.stringify(root)}]`) }));
    expect(text).toMatch(
      /^stacks\/Pulumi\.test\.yaml:\d+: config\.registry\.movedFrom\.0: is not where a registry was/,
    );
  },
);

test('where the registry moved, releases of before may still be named, and those of nobody else', () => {
  const moved = modelWith({ stack: registryLine('movedFrom: [old.test, "older.test:5000/team"]') });
  const broken = (image: string) =>
    brokenRules({
      ...moved,
      releases: { shop: { image: `${image}@sha256:${'a'.repeat(64)}`, commit: 'b'.repeat(40) } },
    }).filter(({ rule }) => rule === 'releases-own').length;
  for (const own of [
    'registry.test:5000/modules/shop',
    'old.test/modules/shop',
    'older.test:5000/team/modules/shop',
  ])
    expect({ own, broken: broken(own) }).toEqual({ own, broken: 0 });
  for (const other of ['old.test/modules/till', 'older.test:5000/modules/shop', 'new.test/modules/shop'])
    expect({ other, broken: broken(other) }).toEqual({ other, broken: 1 });
});

test('a module that was never released is checked as if it were', () => {
  const workloads = modelFacts(testModel({ releases: {} })).pods.map(({ item }) => item.name);
  expect(workloads).toContain('production-shop-workload');
});

/** A catalog of many modules, each with a service. */
function many(count: number): Model {
  const text = catalogTexts.modules['shop.yaml'] ?? '';
  const modules = Object.fromEntries(Array.from({ length: count }, (_, i) => [`module-${i}.yaml`, text]));
  const catalog = parseCatalog({ ...catalogTexts, modules });
  return testModel({ catalog, modules: catalog.modules, releases: {} });
}

/** How often the rules look into a resource's arguments. */
function looks(items: readonly Item[]): number {
  let count = 0;
  const counted = items.map(({ args, ...rest }) => ({
    ...rest,
    get args() {
      count += 1;
      return args;
    },
  }));
  expect(check(factsOf(counted))).toEqual([]);
  return count;
}

// How long it takes is measured in bench/; that it cannot grow faster than the catalog is counted here.
const MANY = scaled({ usual: 40, all: 200 });
test(`${MANY} modules are checked, and each further module costs as much as the one before it`, () => {
  const [base, once, twice] = [2, 3, 4].map((quarters) =>
    looks(modelItems(many((MANY * quarters) / 4)).items),
  );
  expect((twice ?? 0) - (once ?? 0)).toBe((once ?? 0) - (base ?? 0));
  // And the one by which people roll back.
  expect(modelFacts(many(MANY)).jenkins.jobs).toHaveLength(MANY + 1);
});
