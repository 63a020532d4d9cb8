import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import nights from '../lab/nights.json';
import { root } from '../support/model';

// Which command runs which suite: docs/testing.md.

const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
const COMMANDS = ['test', 'test:integration', 'test:lab', 'test:programs', 'test:browser'];

const suites = (readdirSync(join(root, 'test'), { recursive: true }) as string[])
  .filter((path) => path.endsWith('.test.ts'))
  .map((path) => `test/${path}`)
  .sort();
const isIntegration = (path: string): boolean => path.endsWith('.integration.test.ts');

/** What a command of package.json has jest run: by what it sets, and the folder that it names. */
function suitesOf(command: string): string[] {
  const words = scripts[command]?.split(' ') ?? [];
  const settings = words.flatMap((word) => /^(SWITCHYARD_\w+)=(\w+)$/.exec(word)?.slice(1, 3) ?? []);
  const own = words.find((word) => word.startsWith('test/') && !word.endsWith('.js'));
  const before = { ...process.env };
  for (const name of ['SWITCHYARD_TESTS', 'SWITCHYARD_TEST_ALL', 'SWITCHYARD_E2E', 'SWITCHYARD_BROWSER'])
    delete process.env[name];
  for (let at = 0; at < settings.length; at += 2) process.env[settings[at] ?? ''] = settings[at + 1];
  try {
    let ignored: RegExp[] = [];
    jest.isolateModules(() => {
      const { testPathIgnorePatterns } = require('../../jest.config.js') as {
        testPathIgnorePatterns: string[];
      };
      ignored = testPathIgnorePatterns.map((pattern) => new RegExp(pattern));
    });
    return suites.filter(
      (path) => (!own || path.startsWith(`${own}/`)) && !ignored.some((pattern) => pattern.test(`/${path}`)),
    );
  } finally {
    for (const name of Object.keys(process.env)) if (!(name in before)) delete process.env[name];
    Object.assign(process.env, before);
  }
}

const isOfNights = (path: string): boolean =>
  Object.keys(nights).some((name) => path === `test/lab/${name}.test.ts`);

test('each suite is run by one command, and by no other, but for those that are left to nights', () => {
  const runs = COMMANDS.map((command) => [command, suitesOf(command)] as const);
  const ways = suites.map((path): [string, number] => [
    path,
    runs.filter(([, all]) => all.includes(path)).length,
  ]);
  expect(ways.filter(([path, count]) => count !== (isOfNights(path) ? 0 : 1))).toEqual([]);
  expect(runs.filter(([, all]) => all.length === 0)).toEqual([]);
});

test('the commands run in .ci/run, and what needs no lab in test:all as well', () => {
  const ci = read('.ci/run');
  // test:lab runs those of programs beside its own.
  for (const command of COMMANDS.filter((one) => one !== 'test:programs'))
    expect(ci).toContain(`npm ${command === 'test' ? '' : 'run '}${command} --`);
  expect(ci).toContain('npm run test:lab -- test/lab/programs');
  for (const part of ['npm test', 'npm run test:integration', 'npm run test:lab -- test/lab/programs'])
    expect(scripts['test:all']).toContain(part);
});

/** What starts a server of somebody else's, the lab's GitLab or restic, or the programs of a Pod as they run there. */
const STARTERS = [
  'test/catalog/kafka.integration.test.ts',
  'test/delivery/preview/sides.ts',
  'lab/gitlab/server.ts',
  'test/support/gitlab-apart.ts',
  'test/support/haproxy.ts',
  'test/support/registry.ts',
  'test/delivery/backup/support.ts',
];
const STARTS = /spawn(?:Sync)?\(\s*'(nginx|haproxy|docker-registry|restic|git)'/;

/** Whether a file, or what it loads of the tests, starts one of them. */
function startsServer(path: string, seen = new Set<string>()): boolean {
  if (STARTERS.includes(path)) return true;
  if (seen.has(path) || !path.startsWith('test/')) return false;
  seen.add(path);
  const text = read(path);
  if (STARTS.test(text)) return true;
  const imported = text.matchAll(/^(?:import|export) (?!type )[^;]*? from '(\.[^']+)';/gm);
  return [...imported].some(([, name = '']) => {
    const file = relative(root, `${resolve(root, dirname(path), name)}.ts`);
    return existsSync(join(root, file)) && startsServer(file, seen);
  });
}

test('integration suites are those that start GitLab, a git server, restic, docker-registry, HAProxy, nginx or a Pod’s programs', () => {
  expect(STARTERS.filter((path) => !existsSync(join(root, path)))).toEqual([]);
  const withoutLab = suites.filter((path) => !/^test\/(browser|lab\/(e2e|programs))\//.test(path));
  expect(withoutLab.filter((path) => startsServer(path))).toEqual(withoutLab.filter(isIntegration));
});
