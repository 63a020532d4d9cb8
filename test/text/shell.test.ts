import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { shellWord } from '../../text/shell';

const hostile = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        "'",
        '"',
        '\\',
        '$(id)',
        '`id`',
        '$HOME',
        '\n',
        '\r',
        ' ',
        '\t',
        '*',
        '~',
        '!',
        '-n',
        ';',
        '&',
        '|',
        '\u0001',
      ),
      fc.string({ unit: 'grapheme', maxLength: 3 }),
    ),
    { maxLength: 6 },
  )
  .map((parts) => parts.join('').replaceAll('\0', ''));

test.each(['bash', 'sh'])('%s reads each word as its text', (shell) => {
  const texts = fc.sample(hostile, { numRuns: 300, seed: 20261128 });
  const script = `printf '%s\\0' ${texts.map(shellWord).join(' ')}`;
  expect(execFileSync(shell, ['-c', script], { encoding: 'utf8' }).split('\0').slice(0, -1)).toEqual(texts);
});

test('a text that no shell can hold is refused', () => {
  expect(() => shellWord('a\0b')).toThrow('NUL');
});
