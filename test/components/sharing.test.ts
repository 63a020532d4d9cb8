import { topologyBoxes } from '../../components/boxes';
import type { Model } from '../../components/model';
import type { Declaration } from '../../components/shared/declaration';
import { brokenRules } from '../../rules/assert';
import { exceptionFor } from '../../rules/exceptions';
import { parseStack } from '../../stacks/load';
import { namespacesOf } from '../../stacks/namespaces';
import { modelOf, stackWith } from '../support/model';

// Two environments on one cluster: what a cluster has once must differ by their prefix.

const KEYS = {
  clusters: 'ci: { context: one }, production: { context: one }',
  backup: 'repository: /backup, claim: { storage: 1Gi }',
};
const alone = modelOf(KEYS);
const guest = modelOf({ ...KEYS, prefix: 'guest' });

const all = (model: Model): Declaration[] =>
  topologyBoxes(model).flatMap(({ declarations }) => [...declarations]);
const textOf = (model: Model): string => JSON.stringify(topologyBoxes(model));

interface Metadata {
  readonly name: string;
  readonly namespace?: string;
}

test('with a prefix, every namespace and all that has none stand under a name of their own', () => {
  const objects = all(guest).filter(({ type }) => type.startsWith('kubernetes:'));
  for (const { name, args } of objects) {
    const { metadata } = args as { metadata: Metadata };
    const place = metadata.namespace ?? metadata.name;
    expect({ name, place }).toEqual({ name, place: expect.stringMatching(/^guest-/) });
  }
  expect(objects.length).toBeGreaterThan(50);
});

test('a prefix changes names of places and nothing else', () => {
  const plain = (declaration: Declaration) =>
    JSON.stringify(declaration)
      .replaceAll(", namespacePrefix: 'guest'", '')
      .replaceAll('guest-', '')
      // Of the module's environment, in which its service's address stands.
      .replace(/"switchyard.dev\/config-hash":"[0-9a-f]{16}"/, '');
  const expected = all(alone).map(plain);
  for (const [index, declaration] of all(guest).entries()) expect(plain(declaration)).toBe(expected[index]);
});

test('resources keep their names in the state, so that a prefix moves objects and doubles none', () => {
  expect(all(guest).map(({ name }) => name)).toEqual(all(alone).map(({ name }) => name));
});

test('the pipelines are told how their namespaces are called where that is not the usual', () => {
  expect(textOf(guest)).toContain("modulePipeline(module: 'shop', namespacePrefix: 'guest', parts: true)");
  expect(textOf(alone)).not.toContain('namespacePrefix');
});

test('the rules hold with a prefix, the exception for BuildKit included', () => {
  expect(brokenRules(alone)).toEqual([]);
  expect(brokenRules(guest)).toEqual([]);
  expect(exceptionFor('guest-ci-build', 'jenkins')).toMatchObject({ level: 'privileged' });
  // A module called "ci-build" gets no such namespace by its name.
  expect(exceptionFor(namespacesOf({}).test('ci-build'), 'testing')).toBeUndefined();
});

test('a prefix that would make names too long is refused where it stands', () => {
  const text = stackWith({ prefix: 'a-prefix-too-long' });
  expect(() => parseStack(text, 'stacks/Pulumi.test.yaml', 'test')).toThrow(
    'config.namespacePrefix: is longer than 12 characters',
  );
});
