import fc from 'fast-check';
import { parse } from 'yaml';
import { toYaml } from '../../../operations/render/yaml';
import { character } from '../../support/characters';
import { scaled } from '../../support/scale';

const scalar = fc.oneof(
  fc.string({ unit: 'grapheme' }),
  fc.string({ unit: character }),
  fc.stringMatching(/^[a-z:#\- \n"'|>]{0,20}$/),
  fc.constantFrom(
    'on',
    'NO',
    '012',
    '1_000',
    '1e3',
    '0x1F',
    '12:30:45',
    '2026-11-24',
    '.inf',
    '',
    ' a',
    'a:',
    '# a',
  ),
  fc.integer(),
  fc.boolean(),
  fc.constant(null),
);
const { tree } = fc.letrec((tie) => ({
  tree: fc.oneof(
    { depthSize: 'small' },
    scalar,
    fc.array(tie('tree'), { maxLength: 4 }),
    // `__proto__` is no key of any manifest, and readers differ on what it does.
    fc.dictionary(
      fc.string({ unit: 'grapheme' }).filter((key) => key !== '__proto__'),
      tie('tree'),
      { maxKeys: 4, noNullPrototype: true },
    ),
  ),
}));

test('whatever is written is read as the same, by YAML 1.1 and by YAML 1.2', () => {
  fc.assert(
    fc.property(tree, (value) => {
      const text = toYaml({ value });
      expect(parse(text, { version: '1.2' })).toEqual({ value });
      expect(parse(text, { version: '1.1', merge: false })).toEqual({ value });
    }),
    { numRuns: scaled({ usual: 300, all: 10_000 }) },
  );
});

test('keys are sorted, absent values are left out and long texts stand as blocks', () => {
  expect(
    toYaml({ b: [{ d: 1, c: 'x' }, []], a: { text: 'one\n  two\n', none: undefined }, e: {}, f: 'yes' }),
  ).toBe('a:\n  text: |\n    one\n      two\nb:\n  - c: x\n    d: 1\n  - []\ne: {}\nf: "yes"\n');
});
