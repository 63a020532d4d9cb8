import { quantity } from '../../catalog/quantity';

test.each([
  ['100m', 0.1],
  ['2', 2],
  ['0.5', 0.5],
  [3, 3],
  ['1Ki', 1024],
  ['1.5Gi', 1.5 * 2 ** 30],
  ['1G', 1e9],
  ['12e3', 12_000],
  ['5u', 5e-6],
  ['[secret]', undefined],
  ['', undefined],
  ['-1', undefined],
  [null, undefined],
])('the quantity %p is %p', (text, value) => {
  const read = quantity(text);
  if (value === undefined) expect(read).toBeUndefined();
  else expect(read).toBeCloseTo(value, 9);
});
