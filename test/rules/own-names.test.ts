import { parseCatalog } from '../../catalog/load';
import { ProblemsError } from '../../catalog/problems';
import { dnsLabel } from '../../catalog/schema';
import { namesUnique } from '../../rules/claims';
import { factsOf } from '../../rules/facts';
import { type Item, isKubernetes, nameOf, namespaceOf } from '../../rules/item';
import { modelItems } from '../../rules/model';
import { text } from '../../rules/read';
import { parseStack } from '../../stacks/load';
import { catalogTexts, stackWith, testModel } from '../support/model';

// Whatever the topology itself is made of, a module may be called so, or is told at its own file that it may not.

const settings = parseStack(
  stackWith({
    topologyProject: 'path: topology, drift: "0 3 * * *"',
    backup: 'repository: "s3:https://s3.test/b/c", credentialsFrom: { accessKey: A, secretKey: B }',
  }),
  'stacks/Pulumi.test.yaml',
  'test',
);

const modelOf = (names: readonly string[]) => {
  const modules = Object.fromEntries(
    names.map((name) => [`${name}.yaml`, catalogTexts.modules['shop.yaml'] ?? '']),
  );
  const catalog = parseCatalog({ ...catalogTexts, modules });
  return testModel({ settings, catalog, modules: catalog.modules, releases: {} });
};

/** Modules that are refused by their names alone, each at its file. */
function refusedOf(names: readonly string[]): string[] {
  try {
    modelOf(names);
    return [];
  } catch (error) {
    if (!(error instanceof ProblemsError)) throw error;
    return error.problems
      .map(({ file, line }) => {
        expect(line).toBeGreaterThan(0);
        return /^catalog\/modules\/(.+)\.yaml$/.exec(file)?.[1] ?? file;
      })
      .sort();
  }
}

/** Every name that an item goes by: of its own, in its cluster, in GitLab; whole, and without what stands before. */
function namesOf(item: Item): string[] {
  const physical = isKubernetes(item)
    ? [nameOf(item), namespaceOf(item)]
    : [text(item.args, 'path'), text(item.args, 'name')];
  return [item.name, ...physical].flatMap((name) => {
    const words = (name ?? '').split('-');
    return words.map((_, index) => words.slice(index).join('-'));
  });
}

test('a module that is called like something of ours shares no name with it, or is told so at its file', () => {
  const own = modelItems(modelOf(['shop'])).items.flatMap(namesOf);
  const all = [...new Set(own)].filter((name) => dnsLabel.safeParse(name).success).sort();
  const refused = refusedOf(all);
  // The name of its own service, and an address of GitLab's.
  expect(refused).toEqual(['cache', 'preview']);
  const names = all.filter((name) => !refused.includes(name));
  expect(names).toEqual(
    expect.arrayContaining(['release-ledger', 'pipeline-library', 'jenkins', 'registry', 'backup']),
  );

  const { items } = modelItems(modelOf([...names, 'shop']));
  const broken = namesUnique.check(factsOf(items));
  const told = new Set(
    broken.map(({ file }) => /^catalog\/modules\/(.+)\.yaml$/.exec(file ?? '')?.[1] ?? file),
  );
  expect([...told].filter((name) => !names.includes(name ?? ''))).toEqual([]);
  expect([...told]).toEqual(
    expect.arrayContaining(['bot', 'group', 'ledger', 'library', 'pipeline-library', 'release-ledger']),
  );
  // Most may be called as they like.
  expect(told.size).toBeLessThan(names.length / 2);
});
