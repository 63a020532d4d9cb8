import { columns, columnsWithin, cut } from '../../../operations/cli/table';

const rows = [
  ['module', 'state', 'who'],
  ['a-module-of-a-long-name', 'rolling out', 'somebody else'],
];

test('a table that fits is laid out as ever', () => {
  expect(columnsWithin(60, rows, [0, 2])).toEqual(columns(rows));
});

test('one that does not is cut where it may be, the widest column first', () => {
  expect(columnsWithin(40, rows, [0, 2])).toEqual([
    'module        state        who',
    'a-module-of…  rolling out  somebody else',
  ]);
  expect(columnsWithin(36, rows, [0, 2])[1]).toBe('a-module-…  rolling out  somebody e…');
});

test('where those have given all, the others give, and each keeps four characters', () => {
  expect(columnsWithin(16, rows, [2])).toEqual(['mod…  sta…  who', 'a-m…  rol…  som…']);
  expect(columnsWithin(5, rows, [2])).toEqual(columnsWithin(16, rows, [2]));
});

test.each([
  ['four', 4, 'four'],
  ['fives', 4, 'fiv…'],
  ['fives', 0, '…'],
])('%j in %i characters is %j', (text, width, shown) => {
  expect(cut(text, width)).toBe(shown);
});
