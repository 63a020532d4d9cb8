import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const ORDERS = join(__dirname, '../../../lab/example/orders');
const read = (file: string): string => readFileSync(join(ORDERS, file), 'utf8');

describe('the example module', () => {
  test('has what a module repository needs: Dockerfile, version, tests, and no Jenkinsfile, which nothing would read', () => {
    for (const file of ['Dockerfile', 'VERSION', 'README.md', 'tests/orders.robot']) {
      expect([file, existsSync(join(ORDERS, file))]).toEqual([file, true]);
    }
    expect(read('VERSION')).toMatch(/^\d+\.\d+\.\d+\n$/);
    expect(existsSync(join(ORDERS, 'Jenkinsfile'))).toBe(false);
  });

  test('its image starts from a base that a stack can replace, runs as uid 10001 and fetches nothing', () => {
    const dockerfile = read('Dockerfile');
    expect(dockerfile).toMatch(/^ARG BASE=\S+\nFROM \$\{BASE\}$/m);
    expect(dockerfile).toMatch(/^USER 10001:10001$/m);
    expect(dockerfile).not.toMatch(/\b(apt-get|pip|curl|wget)\b/);
  });

  test('its Robot tests look into all three services, not only at the API', () => {
    const robot = read('tests/orders.robot');
    for (const keyword of ['Row Of Order', 'Cached Order', 'Event Documents Of Order']) {
      expect(robot).toContain(keyword);
    }
  });

  test('its unit tests pass, without any of its services or their client libraries', () => {
    const { status, stderr } = spawnSync(
      'python3',
      ['-B', '-m', 'unittest', 'discover', '-s', 'unit', '-t', '.'],
      { cwd: ORDERS, encoding: 'utf8' },
    );
    expect(stderr).toMatch(/Ran [1-9]\d* tests/);
    expect(status).toBe(0);
  });
});
