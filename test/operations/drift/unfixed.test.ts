import { withUnfixed } from '../../../operations/drift/unfixed';

const resource = (urn: string, replicas: number, more = {}) => ({ urn, inputs: { replicas }, ...more });

test('what a failed fix did not put right stands in the state as it was applied last', () => {
  const before = { manifest: 1, resources: [resource('a', 2), resource('b', 2), resource('c', 2)] };
  const after = { manifest: 2, resources: [resource('a', 9), resource('b', 2), resource('c', 2)] };
  expect(withUnfixed(before, after, new Set(['a']))).toEqual({
    manifest: 2,
    resources: [resource('a', 2), resource('b', 2), resource('c', 2)],
  });
});

test('what was put right, changed or removed beside it stays as it is by now', () => {
  const before = { resources: [resource('a', 2), resource('b', 2), resource('gone', 2)] };
  const after = { resources: [resource('a', 9), resource('b', 3)] };
  expect(withUnfixed(before, after, new Set(['a']))).toEqual({
    resources: [resource('a', 2), resource('b', 3)],
  });
});

test('what is gone and could not be made anew is looked for again, before what needs it', () => {
  const before = { resources: [resource('a', 2), resource('b', 2)] };
  const after = { resources: [resource('b', 2), resource('new', 1)] };
  expect(withUnfixed(before, after, new Set(['a']))).toEqual({
    resources: [resource('a', 2), resource('b', 2), resource('new', 1)],
  });
});

test('an old copy that is still to be deleted is another entry than the new one', () => {
  const leaving = resource('a', 1, { delete: true });
  const before = { resources: [resource('a', 2)] };
  const after = { resources: [resource('a', 3), leaving] };
  expect(withUnfixed(before, after, new Set())).toEqual({ resources: [resource('a', 3), leaving] });
});

test('a state that holds nothing stays so', () => {
  expect(withUnfixed({}, { version: 3 }, new Set(['a']))).toEqual({ version: 3, resources: [] });
});
