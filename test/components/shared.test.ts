import fc from 'fast-check';
import { parse } from 'yaml';
import {
  basicRef,
  foundRef,
  givenRef,
  htpasswdRef,
  outputRef,
  type Ref,
  readBack,
  referencesIn,
  secretRef,
  shown,
  text,
  written,
} from '../../components/shared/references';
import { yamlText } from '../../text/yaml';
import { character } from '../support/characters';

test('a text holds each kind of reference beside what is plain', () => {
  const whole = text`a ${secretRef('hook/x')}${outputRef('bot', 'token')} ${basicRef('push', 'p')} ${htpasswdRef('u', 'p')}${givenRef('SEED')} ${'z'}`;
  expect(whole.pieces).toEqual([
    'a ',
    { kind: 'secret', purpose: 'hook/x' },
    { kind: 'output', resource: 'bot', property: 'token' },
    ' ',
    { kind: 'basic', user: 'push', purpose: 'p' },
    ' ',
    { kind: 'htpasswd', user: 'u', purpose: 'p' },
    { kind: 'given', name: 'SEED' },
    ' z',
  ]);
  expect(whole.shown).toBe('a «secret:hook/x»«output:bot:token» «basic:push:p» «htpasswd:u:p»«given:SEED» z');
});

test('plain text never holds a reference, whatever it says', () => {
  for (const plain of ['«secret:x»', '«output:jenkins-keys-shop:data.SWITCHYARD_SEED»', '«given:SEED»']) {
    expect(referencesIn([plain, { [plain]: plain }, text`${plain}`])).toEqual([]);
  }
  fc.assert(
    fc.property(fc.anything(), (value) => {
      expect(referencesIn(value)).toEqual([]);
    }),
  );
});

test('a reference that is put into plain text is a fault, not a text that nobody resolves', () => {
  expect(() => `${secretRef('x')}`).toThrow('«secret:x» is known only at run time');
  expect(() => ['a', secretRef('x')].join()).toThrow('«secret:x» is known only at run time');
});

/** Texts that want to be taken for references, or for what stands for them meanwhile. */
const hostile = fc.oneof(
  fc.string({ unit: character }),
  fc
    .array(
      fc.constantFrom('«', '»', '«r', '«r0»', '«rr0»', 'r0»', '«secret:x»', '\\u00ab', '\n', ' ', '"', '#'),
      {
        maxLength: 8,
      },
    )
    .map((parts) => parts.join('')),
);
const reference: fc.Arbitrary<Ref> = fc.constantFrom(
  secretRef('x'),
  outputRef('a', 'b'),
  foundRef('user', 'ada'),
);
const data = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    hostile,
    reference,
    fc.tuple(hostile, reference, hostile).map(([before, ref, after]) => text`${before}${ref}${after}`),
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(hostile, tie('value'), { maxKeys: 3 }),
  ),
})).value;

test.each([
  ['JSON', (plain: unknown) => JSON.stringify(plain), (plain: string): unknown => JSON.parse(plain)],
  ['YAML', (plain: unknown) => yamlText(plain, { lineWidth: 0, aliasDuplicateObjects: false }), parse],
] as const)('data with references comes back whole from %s that holds it', (_syntax, write, read) => {
  fc.assert(
    // A file of either is a map. The YAML library writes some texts that are a whole document so that it cannot read them.
    fc.property(fc.record({ of: data }), (value) => {
      const back = readBack(written(value, write), (plain) => read(plain));
      expect(shown(back)).toEqual(shown(value));
      expect(referencesIn(back)).toEqual(referencesIn(value));
    }),
  );
});

test('a writer that leaves a reference out is found out', () => {
  expect(() => written({ a: secretRef('x') }, () => '{}')).toThrow('«secret:x» was lost');
});
