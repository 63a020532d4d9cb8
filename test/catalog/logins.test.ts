import fc from 'fast-check';
import { findLogin, holdsLogin } from '../../catalog/logins';

test.each([
  'https://glpat-x@git.test',
  'HTTPS://glpat-x@git.test',
  'git+https://token@git.test/x.git',
  'https://key@sentry.test/1',
  'postgres://ada:hunter2@db/x',
  'redis://:hunter2@cache',
  'amqp://a,amqp://u:hunter2@b',
  'jdbc:mysql://db/x?user=ada&password=hunter2',
  'https://store.test/c?sv=2026&sig=hunter2',
  'https://git.test/api?private_token=hunter2',
  `${'a'.repeat(80)}://u:hunter2@b`,
  'see <https://u:p@w@host>',
  'postgres://ada:$(A)hunter2@db',
  '//ada:hunter2@db',
  'see //ada:hunter2@db/x',
  'https:/ada:hunter2@db/',
  'https:\\\\/ada:hunter2@db',
  '"url":"https:\\/\\/ada:hunter2@db"',
  'https:/glpat-x@git.test',
  'https://store.test/;a=b?access_token=hunter2',
  '//npm.test/:_authToken=hunter2',
  'jdbc:sqlserver://db;user=sa;password=hunter2',
  'jdbc:oracle:thin:scott/tiger@//db:1521/x',
  'ada:hunter2@tcp(db:3306)/x',
  "['https://ada:hunter2@db']",
])('%s holds a credential', (text) => {
  expect(holdsLogin(text)).toBe(true);
});

test.each([
  'ssh://git@git.test/x.git',
  'git@git.test:x.git',
  'postgres://ada@db/x',
  'ada@example.test',
  'see https://a.test, or ask ada@example.test',
  'https://a.test,ada@example.test',
  'https://a.test/b@c:d',
  'https://a.test/?to=ada@example.test:25',
  'https://a.test/?tokens=7&page_token=',
  'https://$(USER):$(PASSWORD)@a.test',
  'https://$(TOKEN)@a.test',
  'redis://:{password}@{host}:{port}',
  'jdbc:mysql://db/x?password=$(PASSWORD)',
  'nothing at all: a@b?token=x',
  '// comment @author',
  '//comment @author',
  '//ada@example.test',
  'http://host:8080/@scope/pkg',
  'http://host:8080//@scope/pkg',
  'https://cdn.test/npm/a@1.2.3/b:c',
  'repository:1.2.3@sha256:abc',
  'see you at 12:30 @home, or 12:30@home',
  'robot --variable URL:http://app:8080 --variable TO:ada@example.test --exclude a@b tests',
  'pabot --argumentfile /tmp/a:b@c tests',
  'jdbc:postgresql://db:5432/x?user=ada&ssl=true',
  'jdbc:sqlserver://db;user=sa;encrypt=true',
  'jdbc:oracle:thin:@//db:1521/x',
  'ssh://git@git.test:22/x.git',
  'mongodb://a:27017,b:27017/x?authSource=admin',
  'http://a.test:8080,ada@example.test',
  '{"url":"https://a.test","mail":"ada@example.test"}',
  "{'url':'https://a.test','mail':'ada@example.test'}",
  '[a](https://a.test)@ada',
  'https://ada:***@a.test',
  'postgres://ada:<password>@db',
  'https://a.test/login;jsessionid=1',
  '/srv/a:b@c',
  'C:/a:b@c',
  '--opt=a //x; token=y',
])('%s holds none', (text) => {
  expect(holdsLogin(text)).toBe(false);
});

test('in what a shell reads, its own variables are none', () => {
  for (const text of [
    'http://a:$PASSWORD@b',
    'http://a:${PASSWORD}@b',
    'http://$USER:$(PASSWORD)@b',
    'https://oauth2:${TOKEN_2}@b',
    'https://oauth2:${TOKEN:?missing}@b',
    'https://a:"$PASSWORD"@b',
    'https://a:$1@b',
    'http://a:%{PASSWORD}@b',
    'http://b?token=$(cat file)',
  ]) {
    expect(holdsLogin(text, 'shell')).toBe(false);
  }
  expect(holdsLogin('http://a:$PASSWORD@b')).toBe(true);
  for (const text of ['http://a:hunter2@b', 'http://a:${PASSWORD:-hunter2}@b', 'http://a:$(A)hunter2@b'])
    expect(holdsLogin(text, 'shell')).toBe(true);
});

test('the index is that of the address', () => {
  expect(findLogin('a https://b.test, c https://d:hunter2@e')).toBe('a https://b.test, c '.length);
  expect(findLogin('ask @ada by //d:hunter2@e')).toBe('ask @ada by '.length);
});

const words = fc.stringMatching(/^[A-Za-z0-9.,;:!?()'"-]{1,12}$/);
/** What people write beside each other: words, mail, addresses without a login, options, times, names. */
const pieces = fc.oneof(
  words,
  fc.tuple(fc.domain(), fc.webPath()).map(([host, path]) => `https://${host}:8443${path}`),
  fc.tuple(fc.stringMatching(/^[a-z]{1,8}$/), fc.domain()).map(([user, host]) => `${user}@${host}`),
  fc
    .tuple(fc.stringMatching(/^[a-z]{1,8}$/), fc.domain())
    .map(([user, host]) => `ssh://${user}@${host}/x.git`),
  fc.stringMatching(/^--[a-z]{2,8} [A-Z]{1,5}:[a-z]{1,5}$/),
  fc.stringMatching(/^[0-2][0-9]:[0-5][0-9] @[a-z]{1,6}$/),
  fc.stringMatching(/^@[a-z]{1,8}\/[a-z]{1,8}$/),
  fc.stringMatching(/^[a-z]{1,8}:[0-9]\.[0-9]@sha256:[0-9a-f]{64}$/),
  fc.constantFrom('//', '/', '#', '$(A)', '${B}', '*', 'git@git.test:a/b.git', '<b>', '// @author'),
);

test('an ordinary text holds none, and one with a login among the rest holds it', () => {
  const texts = fc.array(pieces, { maxLength: 12 });
  fc.assert(
    fc.property(texts, (parts) => {
      expect(holdsLogin(parts.join(' '), 'shell')).toBe(false);
      expect(holdsLogin(parts.join(' '))).toBe(false);
    }),
    { numRuns: 500 },
  );
  const schemes = fc.constantFrom('https://', 'postgres://', 'jdbc:mysql://', '//', 'http:/', 'amqps://');
  fc.assert(
    fc.property(texts, texts, schemes, fc.domain(), (before, after, scheme, host) => {
      const text = [...before, `${scheme}ada:hunter2@${host}`, ...after].join(' ');
      expect(holdsLogin(text, 'shell')).toBe(true);
    }),
    { numRuns: 500 },
  );
});

test.each<[string, string]>([
  ['slashes', '/'],
  ['schemes', 'http:'],
  ['addresses', 'a://'],
  ['addresses without an end', 'https://a@b,'],
  ['letters', 'a'],
  ['ats', '@'],
  ['parameters', '//?a='],
  ['signs of parameters', '//a&'],
  ['drivers', 'jdbc:oracle:thin:'],
  ['colons', ':a@tcp('],
  ['quotes', "//a',"],
  ['ports', '//a:1,'],
  ['braces', '//a:${a'],
])('eight times as many %s take about eight times as long', (_what, piece) => {
  const least = (size: number): number => {
    const text = `${piece.repeat(size / piece.length)}@=`;
    const times = [0, 1, 2].map(() => {
      const began = process.cpuUsage();
      holdsLogin(text, 'shell');
      const { user, system } = process.cpuUsage(began);
      return user + system;
    });
    return Math.min(...times);
  };
  least(65_536);
  // The square would be 64 times; below a millisecond nothing is measured.
  expect(least(524_288)).toBeLessThan(24 * Math.max(least(65_536), 1000));
});
