import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
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

test('all else is written as the library writes it for readers of both versions', () => {
  const text = fc.string().filter((written) => written !== '=' && written !== '<<');
  fc.assert(
    fc.property(fc.dictionary(text, fc.oneof(text, fc.integer(), fc.array(text))), (value) => {
      expect(yamlText(value, OPTIONS)).toBe(stringify(value, { ...OPTIONS, compat: 'yaml-1.1' }));
    }),
  );
});

// YAML 1.1, 5.4: a line ends at U+0085, U+2028 and U+2029 too. 1.2 reads them as text. The JVM tests have SnakeYAML read it.
test('what ends a line for one version of YAML and not for the other, or is refused by one, never stands there', () => {
  const foreign = fc.constantFrom(
    '\u007f',
    '\u0080',
    '\u0085',
    '\u009f',
    '\u2028',
    '\u2029',
    '\ufeff',
    '\ufffe',
    '\uffff',
  );
  const text = fc
    .array(fc.oneof(foreign, fc.constantFrom('a', ' ', '\n', ':', '"', '\\', '#', '💥')), { maxLength: 8 })
    .map((parts) => parts.join(''));
  fc.assert(
    fc.property(text, text, (key, value) => {
      const all = { [key]: value, list: [value, { deep: `one\n${value}\n` }] };
      const written = yamlText(all, OPTIONS);
      expect(written).not.toMatch(/[\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff]/);
      expect(parse(written)).toEqual(all);
    }),
    { numRuns: 1000 },
  );
});

test('what is a text is none of YAML 1.1’s other values, nor the other way round', () => {
  const words = [
    'yes',
    'off',
    'y',
    '1:30',
    '0x1f',
    '010',
    '1_000',
    '2001-01-01',
    '~',
    'null',
    '=',
    '<<',
    '.inf',
  ];
  for (const word of words) {
    const written = yamlText({ [word]: word }, OPTIONS);
    for (const version of ['1.1', '1.2'] as const)
      expect(parse(written, { version })).toEqual({ [word]: word });
  }
  expect(yamlText({ a: true, b: 1, c: null }, OPTIONS)).toBe('a: true\nb: 1\nc: null\n');
});

test('nothing else writes YAML: what one reader takes for text is a key to another', () => {
  const sources = execFileSync('git', ['ls-files', '*.ts'], { encoding: 'utf8' }).split('\n');
  const product = sources.filter((file) => file !== '' && !/^(test|lab|bench|sdks)\//.test(file));
  const writers = product.filter((file) => {
    const names = [...readFileSync(file, 'utf8').matchAll(/^import \{([^}]*)\} from 'yaml';/gm)].flatMap(
      ([, list = '']) => list.split(',').map((name) => name.trim()),
    );
    return names.includes('stringify');
  });
  expect(product.length).toBeGreaterThan(300);
  expect(writers).toEqual([]);
});
