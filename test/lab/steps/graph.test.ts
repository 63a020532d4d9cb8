import { allNeeds, checkGraph, only } from '../../../lab/graph';

const step = (name: string, ...needs: string[]) => ({ name, needs });

describe('checkGraph', () => {
  test('takes a graph, whatever the order of its list', () => {
    expect(() => checkGraph([step('c', 'b'), step('a'), step('b', 'a')])).not.toThrow();
    expect(() => checkGraph([])).not.toThrow();
  });

  test('names every need that is no step, and every name that is there twice', () => {
    expect(() => checkGraph([step('a', 'x'), step('b', 'y', 'a'), step('b')])).toThrow(
      'there are two steps b\na needs x, which is no step\nb needs y, which is no step',
    );
  });

  test('shows a circle as it goes round, without the way to it', () => {
    expect(() => checkGraph([step('a', 'b'), step('b', 'c'), step('c', 'd'), step('d', 'b')])).toThrow(
      /^steps need one another: b needs c needs d needs b$/,
    );
    expect(() => checkGraph([step('a', 'a')])).toThrow('steps need one another: a needs a');
  });

  test('is quick with a graph whose ways are many', () => {
    const layers = Array.from({ length: 60 }, (_, layer) =>
      [0, 1].map((side) => step(`${layer}-${side}`, ...(layer ? [`${layer - 1}-0`, `${layer - 1}-1`] : []))),
    ).flat();
    expect(() => checkGraph(layers.reverse())).not.toThrow();
    expect(allNeeds(layers, '59-0').size).toBe(118);
  });
});

test('allNeeds follows needs through others and leaves out the step itself', () => {
  const steps = [step('a'), step('b', 'a'), step('c', 'b'), step('d')];
  expect([...allNeeds(steps, 'c')].sort()).toEqual(['a', 'b']);
  expect([...allNeeds(steps, 'a')]).toEqual([]);
});

describe('only', () => {
  const steps = [step('a'), step('b', 'a'), step('c', 'b'), step('d', 'c', 'a')];

  test('keeps the order that left-out steps brought', () => {
    expect(only(steps, ['d', 'a'])).toEqual([step('a'), step('d', 'a')]);
  });

  test('needs nothing that is left out', () => {
    expect(only(steps, ['d', 'b'])).toEqual([step('b'), step('d', 'b')]);
  });

  test('refuses a name that is no step', () => {
    expect(() => only(steps, ['e'])).toThrow('e is no step');
  });
});
