import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadCatalog } from '../../../catalog/load';
import { loadModel } from '../../../components/load';
import { EXAMPLES } from '../../../lab/journey';
import { root } from '../../support/model';

const catalog = loadCatalog(join(root, 'catalog'));
const folders = {
  catalog: join(root, 'catalog'),
  stacks: join(root, 'stacks'),
  root,
  library: join(root, 'delivery', 'library'),
};

/** Module, its services, and the Robot keywords that look at each behind the API. */
const examples = [
  ['billing', ['postgresql', 'redis'], ['Row Of Invoice', 'Remembered Request']],
  ['mailer', ['rabbitmq'], ['Rendered Mail', 'Dead Request', 'Enqueue']],
] as const;

describe.each(examples)('the example module %s', (name, services, keywords) => {
  const folder = join(root, 'lab', 'example', name);
  const read = (file: string): string => readFileSync(join(folder, file), 'utf8');
  const module = catalog.modules.find((one) => one.name === name);

  test('has what a module repository needs, and no Jenkinsfile, which nothing would read', () => {
    for (const file of ['Dockerfile', 'VERSION', 'README.md', `tests/${name}.robot`]) {
      expect([file, existsSync(join(folder, file))]).toEqual([file, true]);
    }
    expect(read('VERSION')).toMatch(/^\d+\.\d+\.\d+\n$/);
    expect(existsSync(join(folder, 'Jenkinsfile'))).toBe(false);
  });

  test('its image starts from a base that a stack can replace, runs as uid 10001 and fetches nothing', () => {
    const dockerfile = read('Dockerfile');
    expect(dockerfile).toMatch(/^ARG BASE=\S+\nFROM \$\{BASE\}$/m);
    expect(dockerfile).toMatch(/^USER 10001:10001$/m);
    expect(dockerfile).not.toMatch(/\b(apt-get|pip|curl|wget)\b/);
    for (const file of dockerfile.match(/^COPY (.*) \S+$/m)?.[1]?.split(' ') ?? ['nothing copied']) {
      expect([file, existsSync(join(folder, file))]).toEqual([file, true]);
    }
  });

  test('its Robot tests look behind the API, into each of its services', () => {
    expect(module?.services.map(({ kind }) => kind)).toEqual(services);
    for (const keyword of keywords) expect(read(`tests/${name}.robot`)).toContain(keyword);
  });

  test('it asks for little: no container of it wants more than 25m', () => {
    const wanted = [
      module?.resources.cpu,
      ...(module?.services ?? []).map(({ resources }) => resources?.cpu),
    ];
    expect(wanted).toEqual(wanted.map(() => '25m'));
    expect(module?.production.replicas).toBe(1);
  });

  test('its unit tests pass, without any of its services or their client libraries', () => {
    const { status, stderr } = spawnSync('python3', ['-B', '-m', 'unittest'], {
      cwd: folder,
      encoding: 'utf8',
    });
    expect(stderr).toMatch(/Ran [1-9]\d* tests/);
    expect(status).toBe(0);
  });
});

test('the lab looks for every example at the port that the catalog gives it', () => {
  expect(EXAMPLES).toEqual(
    Object.fromEntries(catalog.modules.map((module) => [module.name, module.production.nodePort])),
  );
});

test('the lab runs every example, production the one that it names', () => {
  const modulesOf = (environment: string) => loadModel(folders, environment).modules.map(({ name }) => name);
  expect(modulesOf('lab')).toEqual(['billing', 'mailer', 'orders']);
  expect(modulesOf('production')).toEqual(['orders']);
});
