import { createHmac, randomBytes } from 'node:crypto';
import { compareSync } from 'bcryptjs';
import fc from 'fast-check';
import { Secrets } from '../../components/shared/secrets';
import { isOfOneModule, passphraseProblems, seedProblems } from '../../stacks/secrets';

const SEED = 'a seed for tests, long enough to be one';
const lab = (versions?: Record<string, number>) => new Secrets(SEED, 'lab', versions);

test('a secret comes again from the same seed, and differs by seed, environment, purpose and version', () => {
  const all = [
    lab().secret('service/orders/mysql'),
    lab().secret('service/orders/redis'),
    lab().secret('service/orders'),
    lab({ 'service/orders/mysql': 2 }).secret('service/orders/mysql'),
    new Secrets(SEED, 'other').secret('service/orders/mysql'),
    new Secrets(`${SEED}!`, 'lab').secret('service/orders/mysql'),
  ];
  expect(all).toEqual(all.map(() => expect.stringMatching(/^[0-9a-f]{64}$/)));
  expect(new Set(all).size).toBe(all.length);
  expect(lab({ 'service/orders/mysql': 1, x: 7 }).secret('service/orders/mysql')).toBe(all[0]);
});

test('what is derived stays what it is: another chain would be another password everywhere', () => {
  const step = (key: string, label: string) => createHmac('sha256', key).update(label).digest('hex');
  const environment = step(SEED, 'switchyard/environment/lab');
  const backup = step(step(environment, 'switchyard/key/backup'), 'switchyard/key/key');
  expect(lab({ 'backup/key': 3 }).secret('backup/key')).toBe(step(backup, 'switchyard/secret/3'));
});

const part = fc.stringMatching(/^[a-z0-9-]{1,8}$/);
const path = fc.array(part, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'));

test('a sub-key gives every secret below its path as the seed does, and none beside or above it', () => {
  fc.assert(
    fc.property(path, path, (held, purpose) => {
      const pod = new Secrets(lab().key(held), 'lab', { [purpose]: 2 });
      const below = `${held}/${purpose}`;
      expect(pod.secret(held)).toBe(lab(held === purpose ? { [held]: 2 } : {}).secret(held));
      expect(pod.secret(below)).toBe(lab().secret(below));
      expect(pod.key(below)).toBe(lab().key(below));
      if (purpose !== held && !purpose.startsWith(`${held}/`)) {
        expect(() => pod.secret(purpose)).toThrow(`no key at hand gives the secret "${purpose}" of lab`);
      }
      expect(() => pod.key('')).toThrow('no key at hand');
    }),
    { numRuns: 100 },
  );
});

test('several sub-keys give what each gives, the nearest one first', () => {
  const theirs = new Secrets('another seed for tests, long enough too', 'lab');
  const pod = new Secrets(`${lab().key('')} ${theirs.key('registry')}`, 'lab');
  expect(pod.secret('registry/push')).toBe(theirs.secret('registry/push'));
  expect(pod.secret('hook/shop')).toBe(lab().secret('hook/shop'));
  expect(new Secrets(pod.key(''), 'lab').secret('registry/push')).toBe(theirs.secret('registry/push'));
});

test('what a rollout is given is told from what gives all secrets of an environment', () => {
  const given = [lab().key('service/orders'), lab().key('registry/pull')].join(' ');
  const pod = new Secrets(given, 'lab');
  expect(pod.secret('service/orders/mysql')).toBe(lab().secret('service/orders/mysql'));
  for (const purpose of [
    'service/billing/mysql',
    'registry/push',
    'backup/key',
    'part/orders',
    'part/billing',
  ])
    expect(() => pod.secret(purpose)).toThrow('no key at hand');
  expect(seedProblems('lab', given)).toEqual([]);
  expect([given, `${given} ${lab().key('')}`, SEED, ''].map(isOfOneModule)).toEqual([
    true,
    false,
    false,
    false,
  ]);
});

test('the key of an environment stands in the place of the seed, in that environment only', () => {
  const key = lab().key('');
  expect(new Secrets(key, 'lab').key('')).toBe(key);
  expect(key).not.toContain(SEED);
  expect(() => new Secrets(key, 'other')).toThrow('is of "lab", not of "other"');
});

test('an htpasswd line is stable and lets exactly its secret in', () => {
  const line = lab().htpasswd('push', 'registry/push');
  expect(line).toBe(lab().htpasswd('push', 'registry/push'));
  const hash = line.slice('push:'.length);
  expect(compareSync(lab().secret('registry/push'), hash)).toBe(true);
  expect(compareSync(lab().secret('registry/pull'), hash)).toBe(false);
});

test('basic credentials are base64 of user and secret', () => {
  expect(Buffer.from(lab().basic('pull', 'p'), 'base64').toString()).toBe(`pull:${lab().secret('p')}`);
});

test.each([
  ['short', 'has 5 characters, of which there must be 32 random ones'],
  ['f'.repeat(31), 'has 31 characters'],
  ['f'.repeat(64), 'is not random'],
  ['ab'.repeat(40), 'is not random'],
  ['correct horse!'.repeat(3), 'is not random'],
  ['1111111122222222333333334444444455', 'is not random'],
  [`${lab().key('')}x`, 'is neither a seed nor a key'],
  [lab().key('').replace(':lab:', ':other:'), 'is a key of the environment "other"'],
])('a seed such as %s is refused, with its place and what to do', (seed, says) => {
  const [problem, ...more] = seedProblems('lab', seed);
  expect(more).toEqual([]);
  expect(problem).toMatchObject({
    file: 'stacks/Pulumi.lab.yaml',
    key: 'seed',
    what: expect.stringContaining(says),
    remedy: expect.stringContaining('openssl rand -hex 32'),
  });
  // The fault is printed: what is wrong of it tells nothing of a seed that may be in use elsewhere.
  if (seed !== 'short') expect(problem?.what).not.toContain(seed);
});

test('a passphrase that can be guessed is refused where the stack file holds what it can be tried by', () => {
  for (const weak of ['', 'hunter2', 'ab'.repeat(40)]) {
    expect(passphraseProblems('lab', weak, false)).toEqual([]);
    const [problem, ...more] = passphraseProblems('lab', weak, true);
    expect(more).toEqual([]);
    expect(problem).toMatchObject({ file: 'stacks/Pulumi.lab.yaml', key: 'encryptionsalt' });
    if (weak !== '') expect(problem?.what).not.toContain(weak);
  }
  expect(passphraseProblems('lab', randomBytes(32).toString('hex'), true)).toEqual([]);
});

test('a random seed is taken, whatever its characters', () => {
  const hexadecimal = fc
    .uint8Array({ minLength: 16, maxLength: 64 })
    .filter((bytes) => new Set(bytes).size > 12);
  fc.assert(
    fc.property(hexadecimal, fc.constantFrom('hex' as const, 'base64' as const), (bytes, form) => {
      const seed = Buffer.from(bytes).toString(form);
      if (seed.length >= 32) expect(seedProblems('lab', seed)).toEqual([]);
    }),
  );
  expect(seedProblems('lab', lab().key(''))).toEqual([]);
});
