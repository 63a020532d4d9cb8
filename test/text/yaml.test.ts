import fc from 'fast-check';
import { parse, stringify } from 'yaml';
import { yamlText } from '../../text/yaml';

const OPTIONS = { lineWidth: 0, aliasDuplicateObjects: false };

test('blanks and line breaks alone are read as they were written, which the library alone does not do', () => {
  const texts = fc
    .array(fc.constantFrom(' ', '\n', '\t', 'a', '#', ':', '-', '"'), { maxLength: 8 })
    .map((parts) => parts.join(''));
  fc.assert(
    fc.property(texts, (text) => {
      for (const value of [{ of: text }, { of: [text] }, { of: { deep: [text, 1] } }])
        expect(parse(yamlText(value, OPTIONS))).toEqual(value);
    }),
    { numRuns: 2000, examples: [[' \n'], ['  \n\n'], [' \t\n \n'], ['\n \n']] },
  );
  expect(parse(stringify({ of: ' \n' }, OPTIONS))).toEqual({ of: '\n' });
});

test('all else is written as the library writes it', () => {
  fc.assert(
    fc.property(
      fc.dictionary(fc.string(), fc.oneof(fc.string(), fc.integer(), fc.array(fc.string()))),
      (value) => {
        expect(yamlText(value, OPTIONS)).toBe(stringify(value, OPTIONS));
      },
    ),
  );
});
