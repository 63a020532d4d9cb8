import fc from 'fast-check';
import { jcasc, jcascSource, jcascVariable } from '../../text/jcasc';

// Read in configuration-as-code 2038 (SecretSourceResolver.java) and commons-text 1.10 (StringSubstitutor.java): two
// passes over a scalar with "${" in it. The first replaces known variables, also inside the names of variables, and
// skips what stands behind "^"; the second, where every variable is empty, takes the "^" away from what a "}" follows.
// lab/jenkins holds the same texts against that very library (ConfigurationTest.java).

/** One pass over a scalar. */
function pass(text: string, lookup: (name: string) => string | undefined, keepEscapes: boolean): string {
  let out = text;
  for (let at = out.indexOf('${'); at >= 0; at = out.indexOf('${', at + 1)) {
    const escaped = out[at - 1] === '^';
    if (escaped && keepEscapes) continue;
    const end = out.indexOf('}', at);
    if (end < 0) return out;
    if (escaped) {
      out = out.slice(0, at - 1) + out.slice(at);
    } else {
      const value = lookup(out.slice(at + 2, end));
      if (value !== undefined) {
        out = out.slice(0, at) + value + out.slice(end + 1);
        at += value.length - 1;
      }
    }
  }
  return out;
}

const secrets: Readonly<Record<string, string>> = { ADMIN_PASSWORD: 'hunter2', TOKEN: 'abc' };
const resolved = (source: string): string =>
  source.includes('${')
    ? pass(
        pass(source, (name) => secrets[name], true),
        () => '',
        false,
      )
    : source;

const hostile = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        '$',
        '{',
        '}',
        '${',
        '^',
        '^${',
        '$${',
        '${ADMIN_PASSWORD}',
        '${readFile:/etc/passwd}',
        ':-',
        '${A:-${TOKEN}}',
      ),
      fc.string({ maxLength: 3 }),
    ),
    { maxLength: 8 },
  )
  .map((parts) => parts.join(''));

test('text reaches Jenkins as it is, whatever it says', () => {
  fc.assert(
    fc.property(hostile, (text) => {
      expect(resolved(jcascSource(text))).toBe(text);
    }),
    { numRuns: 2000 },
  );
});

test('a variable is read as one, and the text around it is not', () => {
  fc.assert(
    fc.property(hostile, hostile, (before, after) => {
      const source = jcascSource(jcasc`${before} "${jcascVariable('TOKEN')}" ${after} }`);
      expect(resolved(source)).toBe(`${before} "abc" ${after} }`);
    }),
    { numRuns: 2000 },
  );
});

test('what is no name, and what would make text of a variable, is a fault of the program', () => {
  expect(() => jcascVariable('readFile:/etc/passwd')).toThrow('is no name of a secret');
  expect(() => jcascSource(jcasc`^${jcascVariable('TOKEN')}`)).toThrow('before a variable');
  expect(() => jcascSource(jcasc`${'${'} ${jcascVariable('TOKEN')}`)).toThrow('before a variable');
});
