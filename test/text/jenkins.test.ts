import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { groovyBlock, groovyString } from '../../text/groovy';
import { jcasc, jcascSource, jcascVariable } from '../../text/jcasc';
import { yamlText } from '../../text/yaml';
import { root } from '../support/model';

// What is written here for Groovy and for Jenkins' configuration as code is read by the real Groovy 2.4 and the real
// StringSubstitutor in the JVM tests of lab/jenkins (TextTest.java), from one file of generated texts.

const FIXTURE = join(root, 'lab', 'jenkins', 'src', 'test', 'resources', 'texts.json');
/** As components/jenkins/casc.ts writes it. */
const CASC = { sortMapEntries: true, aliasDuplicateObjects: false, lineWidth: 0 };
const SEED = 20261128;

const parts = fc.oneof(
  fc.constantFrom(
    "'",
    "'''",
    '"',
    '\\',
    '\\\\',
    '\\u0027',
    '\\uuu000a',
    '\n',
    '\r',
    '\r\n',
    '\t',
    '\0',
    '\u0001',
    '\u0002',
    '\u001b',
    '\u007f',
    '\u0085',
    '\u2028',
    '\u2029',
    '\ufeff',
    '\ufffe',
    '\u2028jenkins:\u2028  mode: NORMAL\u2028',
    '7',
    '$',
    '${',
    '}',
    '^',
    '^${',
    '${ADMIN_PASSWORD}',
    '$ADMIN_PASSWORD',
    '${readFile:/etc/passwd}',
    '${A:-${TOKEN}}',
    ') }',
    '/*',
    '//',
    '💥',
    'ä',
  ),
  fc.string({ maxLength: 2 }),
);
const texts = (): string[] =>
  fc.sample(
    fc.array(parts, { minLength: 1, maxLength: 8 }).map((some) => some.join('')),
    { numRuns: 400, seed: SEED },
  );

/** As the configuration as code holds it: a value, a key, and within a script of several lines. */
const inYaml = (text: string) => ({
  of: text,
  at: { [text]: [{ script: `job {\n  description(${groovyString(text)})\n}\n` }] },
});

const fixture = (): string =>
  `${JSON.stringify(
    {
      'made by': 'WRITE_FIXTURES=1 npx jest test/text/jenkins.test.ts',
      texts: texts().map((text) => ({
        text,
        groovy: groovyString(text),
        block: groovyBlock(text),
        jcasc: jcascSource(text),
        yaml: yamlText(inYaml(text), CASC),
        beside: jcascSource(jcasc`${text} "${jcascVariable('TOKEN')}" ${text} }`),
      })),
    },
    null,
    1,
  )}\n`;

test('the JVM tests read what is written today', () => {
  if (process.env.WRITE_FIXTURES) writeFileSync(FIXTURE, fixture());
  expect(readFileSync(FIXTURE, 'utf8')).toBe(fixture());
});

test('a literal stands on one line', () => {
  for (const text of texts()) expect(groovyString(text)).not.toMatch(/[\r\n]/);
});

test('harmless text is read as it is written', () => {
  expect(groovyString('sells "things", 100 %')).toBe(`'sells "things", 100 %'`);
  expect(groovyBlock("@Library('switchyard') _\n\nrun(module: 'shop')\n")).toBe(
    "'''@Library('switchyard') _\n\nrun(module: 'shop')\n'''",
  );
  expect(jcascSource('sells $5 and {more}')).toBe('sells $5 and {more}');
});
