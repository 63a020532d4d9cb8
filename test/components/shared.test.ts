import { compareSync } from 'bcryptjs';
import fc from 'fast-check';
import {
  basicRef,
  givenRef,
  htpasswdRef,
  outputRef,
  parseReferences,
  referencesIn,
  secretRef,
} from '../../components/shared/references';
import { basicCredentials, deriveSecret, htpasswdLine } from '../../components/shared/secrets';

test('each kind of reference is read back from where it stands in a text', () => {
  const text = `a ${secretRef('hook/x')}${outputRef('bot', 'token')} ${basicRef('push', 'registry/push')} ${htpasswdRef('u', 'p')} ${givenRef('SEED')} z`;
  expect(parseReferences(text).filter((piece) => typeof piece !== 'string')).toEqual([
    { kind: 'secret', purpose: 'hook/x' },
    { kind: 'output', resource: 'bot', property: 'token' },
    { kind: 'basic', user: 'push', purpose: 'registry/push' },
    { kind: 'htpasswd', user: 'u', purpose: 'p' },
    { kind: 'given', name: 'SEED' },
  ]);
});

test('text without references is one piece, unchanged', () => {
  fc.assert(
    fc.property(
      fc.string().filter((text) => !text.includes('«')),
      (text) => {
        expect(parseReferences(text)).toEqual([text]);
        expect(referencesIn({ deep: [text] })).toEqual([]);
      },
    ),
  );
});

test('secrets differ by purpose and by seed, and come again from the same seed', () => {
  expect(deriveSecret('seed', 'a')).toMatch(/^[0-9a-f]{64}$/);
  expect(deriveSecret('seed', 'a')).toBe(deriveSecret('seed', 'a'));
  expect(
    new Set([deriveSecret('seed', 'a'), deriveSecret('seed', 'b'), deriveSecret('other', 'a')]).size,
  ).toBe(3);
});

test('an htpasswd line is stable and lets exactly its secret in', () => {
  const line = htpasswdLine('seed', 'push', 'registry/push');
  expect(line).toBe(htpasswdLine('seed', 'push', 'registry/push'));
  const hash = line.slice('push:'.length);
  expect(compareSync(deriveSecret('seed', 'registry/push'), hash)).toBe(true);
  expect(compareSync(deriveSecret('seed', 'registry/pull'), hash)).toBe(false);
});

test('basic credentials are base64 of user and secret', () => {
  expect(Buffer.from(basicCredentials('seed', 'pull', 'p'), 'base64').toString()).toBe(
    `pull:${deriveSecret('seed', 'p')}`,
  );
});
