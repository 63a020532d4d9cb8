import fc from 'fast-check';
import { differences, differingPaths } from '../../../operations/engine/differences';

test('items that carry names are compared by name, wherever they stand', () => {
  const before = {
    ports: [
      { name: 'http', port: 80 },
      { name: 'metrics', port: 9090 },
    ],
  };
  const after = {
    ports: [
      { name: 'metrics', port: 9090 },
      { name: 'http', port: 81 },
    ],
  };
  expect(differences(before, after)).toEqual([{ path: ['ports', 1, 'port'], before: 80, after: 81 }]);
});

test('a list without names that grew differs as a whole, one of the same length item by item', () => {
  expect(differingPaths({ args: ['a', 'b'] }, { args: ['a'] })).toEqual(['args']);
  expect(differingPaths({ args: ['a', 'b'] }, { args: ['a', 'c'] })).toEqual(['args[1]']);
});

test('keys that are no words stand in brackets, and what providers keep for themselves is left out', () => {
  expect(
    differingPaths(
      { metadata: { labels: { 'a/b': '1' } }, __fieldManager: 'x' },
      { metadata: { labels: { 'a/b': '2' } }, __fieldManager: 'y' },
    ),
  ).toEqual(['metadata.labels["a/b"]']);
});

test('a value does not differ from itself, and differs as often one way as the other', () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.jsonValue(), (a, b) => {
      expect(differences(a, a)).toEqual([]);
      const paths = (list: ReturnType<typeof differences>) => list.length;
      expect(paths(differences(a, b))).toBe(paths(differences(b, a)));
    }),
  );
});
