import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { isNginxWords } from '../../text/nginx';

// Against Debian's real nginx: `charset_types` takes any words, and whatever stood behind an end of it would be a directive
// of its own, which nginx does not know.

const folder = mkdtempSync(join(tmpdir(), 'nginx-words-'));
afterAll(() => rmSync(folder, { recursive: true }));

function faultOf(texts: readonly string[]): string {
  const places = texts.map((text, index) => `location /${index} { charset_types ${text} end; }`);
  const file = join(folder, 'nginx.conf');
  writeFileSync(
    file,
    `pid ${folder}/pid;\nevents {}\nhttp { server { listen unix:${folder}/socket;\n${places.join('\n')}\n} }\n`,
  );
  const { stderr, status } = spawnSync('nginx', ['-t', '-e', join(folder, 'errors'), '-c', file], {
    encoding: 'utf8',
  });
  return status === 0 ? '' : stderr;
}

const hostile = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        ...' ;{}"\'#\\$',
        '${',
        '${a}',
        ' }',
        '\u00a0',
        '\u2028',
        '\ufeff',
        '\t',
        'a',
        'b;',
        '"a b" ',
      ),
      fc.string({ unit: 'grapheme', maxLength: 3 }),
    ),
    { minLength: 1, maxLength: 7 },
  )
  .map((parts) => parts.join('').replaceAll('\0', ''));

test('nginx reads what is taken for words as words of its directive', () => {
  const texts = fc
    .sample(hostile, { numRuns: 3000, seed: 20261201 })
    // Its table of types has room for words of some forty bytes.
    .filter((text) => Buffer.byteLength(text) <= 32 && isNginxWords(text));
  expect(texts.length).toBeGreaterThan(500);
  expect(faultOf(texts)).toBe('');
});

test.each(['a;', '; a', 'a } b', 'a {', '{', '"a', "b 'a", '"a"b', 'a #', '#', 'a\u00a0"b;c"', '$a{'])(
  'what nginx reads otherwise is refused: %j',
  (text) => {
    expect(isNginxWords(text)).toBe(false);
    expect(faultOf([text])).toContain('[emerg]');
  },
);

test('a backslash at the end is refused: it takes what stands behind it', () => {
  expect(isNginxWords('a\\')).toBe(false);
});

test.each(['', ' ', 'a b', '"a;b" c', '\'{\' "}"', 'a}', 'a"b', 'a\\;', '${a}', 'a$b', 'a#b', '"\\""'])(
  'what nginx reads as words is taken: %j',
  (text) => {
    expect(isNginxWords(text)).toBe(true);
    expect(faultOf([text])).toBe('');
  },
);
