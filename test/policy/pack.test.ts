import type { PolicyResource } from '@pulumi/policy';
import { policies } from '../../policy/pack';
import { itemsOfResources } from '../../policy/resources';
import { rules } from '../../rules';
import { factsOf } from '../../rules/facts';
import type { Item } from '../../rules/facts/item';
import { changed, itemsOfTwo, without } from '../rules/support';
import { engineResources, unknowable } from './support';

const whole = itemsOfTwo();

interface Report {
  readonly policy: string;
  readonly message: string;
  readonly urn?: string;
}

async function reportsOn(resources: PolicyResource[]): Promise<Report[]> {
  const reports: Report[] = [];
  for (const { name, validateStack } of policies) {
    await validateStack(
      {
        resources,
        stackTags: new Map(),
        getConfig: () => {
          throw new Error('no policy is configured');
        },
        notApplicable: () => {
          throw new Error('every policy applies');
        },
      },
      (message, urn) => reports.push({ policy: name, message, urn }),
    );
  }
  return reports;
}

test('the pack has every rule but those that need the model, and each of them is mandatory', () => {
  expect(policies.map(({ name }) => name)).toEqual(
    rules
      .map(({ id }) => id)
      .filter(
        (id) =>
          ![
            'test-pod-possible',
            'secrets-by-reference',
            'gitlab-takes',
            'tokens-live',
            'releases-own',
          ].includes(id),
      ),
  );
  expect(new Set(policies.map(({ enforcementLevel }) => enforcementLevel))).toEqual(new Set(['mandatory']));
});

test('a sound topology breaks no policy', async () => {
  expect(await reportsOn(engineResources(whole))).toEqual([]);
});

test('the engine shows the same hook, jobs, namespaces, workloads and services as the model', () => {
  const kinds = (items: readonly Item[]) =>
    [...factsOf(items.filter((item) => !item.planned)).graph.nodes.values()]
      .map(({ kind, label }) => `${kind} ${label}`)
      .sort();
  expect(kinds(itemsOfResources(engineResources(whole)))).toEqual(kinds(whole));
});

test("a violation is reported under its rule's id, at the resource, in the rule's own words", async () => {
  expect(await reportsOn(engineResources(without(whole, 'testing-shop-quota')))).toEqual([
    {
      policy: 'namespace-quota',
      message:
        'testing-shop-namespace (Namespace test-shop): has no ResourceQuota. Make it with fencedNamespace.',
      urn: 'urn:pulumi:test::switchyard::kubernetes:core/v1:Namespace::testing-shop-namespace',
    },
  ]);
});

test('a resource of the default provider is found, one of another package is left alone', async () => {
  const stray = whole.map((item) =>
    item.name === 'registry-storage' ? { ...item, provider: undefined } : item,
  );
  const [like] = engineResources(whole);
  if (!like) throw new Error('no resource');
  const foreign: PolicyResource = { ...like, type: 'random:index/randomPet:RandomPet', name: 'pet' };
  expect((await reportsOn([...engineResources(stray), foreign])).map(({ policy }) => policy)).toEqual([
    'explicit-provider',
  ]);
});

test('two modules that claim a node port are found across boxes, by cluster', async () => {
  const both = ['production-shop-service', 'production-till-service'].reduce(
    (items, name) => changed(items, name, ['spec', 'ports', 0, 'nodePort'], 30081),
    whole,
  );
  expect((await reportsOn(engineResources(both))).map(({ policy }) => policy)).toEqual(['node-ports-unique']);
});

describe('in a preview', () => {
  /** The resources with some fields of one of them unknown. */
  const unknown = (items: readonly Item[], name: string, field: string, ...keys: readonly string[]) =>
    engineResources(items).map((each) =>
      each.name === name
        ? { ...each, props: { ...each.props, [field]: unknowable({ ...each.props[field] }, ...keys) } }
        : each,
    );

  test('jobs are not missed while their configuration waits for a digest', async () => {
    expect(await reportsOn(unknown(whole, 'jenkins-casc', 'data', 'jenkins.yaml'))).toEqual([]);
  });

  test('an unknown token is not taken for a wrong one', async () => {
    expect(await reportsOn(unknown(whole, 'jenkins-casc-secrets', 'stringData', 'HOOK_TOKEN_SHOP'))).toEqual(
      [],
    );
  });

  test('a Secret of which nothing is known yet is not taken for an empty one', async () => {
    const resources = engineResources(whole).map((each) =>
      each.name === 'jenkins-casc-secrets'
        ? { ...each, props: unknowable({ ...each.props }, 'stringData') }
        : each,
    );
    expect(await reportsOn(resources)).toEqual([]);
  });

  test('one unknown value silences no rule about anything else', async () => {
    const items = without(whole, 'production-till-deny');
    expect(
      (await reportsOn(unknown(items, 'jenkins-casc', 'data', 'jenkins.yaml'))).map(({ policy }) => policy),
    ).toEqual(['namespace-default-deny']);
  });
});
