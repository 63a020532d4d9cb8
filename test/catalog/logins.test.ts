import { holdsLogin } from '../../catalog/logins';

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
])('%s holds none', (text) => {
  expect(holdsLogin(text)).toBe(false);
});

test('in what a shell reads, its own variables are none', () => {
  for (const text of ['http://a:$PASSWORD@b', 'http://a:${PASSWORD}@b', 'http://$USER:$(PASSWORD)@b']) {
    expect(holdsLogin(text, 'shell')).toBe(false);
  }
  expect(holdsLogin('http://a:$PASSWORD@b')).toBe(true);
  expect(holdsLogin('http://a:hunter2@b', 'shell')).toBe(true);
});
