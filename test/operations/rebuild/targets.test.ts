import {
  lookAround,
  permitted,
  projectsOf,
  type TargetName,
  targetsNamed,
} from '../../../operations/rebuild/targets';
import { parseStack } from '../../../stacks/load';
import { stackWith, testModel } from '../../support/model';

const model = testModel();
const empty = {
  gitlab: { get: async () => undefined },
  namespaces: async () => [],
};

test('an empty GitLab and empty clusters are told as such', async () => {
  expect(await lookAround(model, empty)).toEqual(new Map());
});

test('what lives is found by project and by namespace, in each cluster', async () => {
  const asked: string[] = [];
  const alive = await lookAround(model, {
    gitlab: {
      get: async (path) => {
        asked.push(path);
        return path.endsWith('release-ledger') ? { id: 1 } : undefined;
      },
    },
    namespaces: async (role) => (role === 'ci' ? [] : ['prod-shop']),
  });
  expect(alive).toEqual(
    new Map<TargetName, string[]>([
      ['gitlab', ['switchyard/release-ledger']],
      ['production', ['prod-shop']],
    ]),
  );
  expect(asked).toEqual([
    'projects/switchyard%2Frelease-ledger',
    'projects/switchyard%2Fpipeline-library',
    'projects/switchyard%2Fshop',
  ]);
});

test('one cluster in both roles is asked once', async () => {
  const settings = parseStack(
    stackWith({ clusters: 'ci: { context: one }, production: { context: one }' }),
    'stacks/Pulumi.test.yaml',
    'test',
  );
  const asked: string[] = [];
  const alive = await lookAround(
    { ...model, settings },
    {
      ...empty,
      namespaces: async (role) => {
        asked.push(role);
        return ['ci'];
      },
    },
  );
  expect(asked).toEqual(['ci']);
  expect([...alive.keys()]).toEqual(['ci', 'production']);
});

test('a project that was there before Switchyard does not count as alive: it is not the rebuild that makes it', async () => {
  const settings = parseStack(
    stackWith({ gitlab: 'botTokenExpires: "2030-01-01", projects: { shop: { existing: team/shop } }' }),
    'stacks/Pulumi.test.yaml',
    'test',
  );
  const adopted = { ...model, settings };
  expect(projectsOf(adopted)).toContainEqual({ item: 'team/shop', path: 'team/shop' });
  const asked: string[] = [];
  await lookAround(adopted, {
    ...empty,
    gitlab: {
      get: async (path) => {
        asked.push(path);
        return undefined;
      },
    },
  });
  expect(asked).not.toContain('projects/team%2Fshop');
});

const alive = new Map<TargetName, string[]>([
  ['gitlab', ['switchyard/a', 'switchyard/b', 'switchyard/c', 'switchyard/d']],
  ['ci', ['ci']],
]);

test('over something alive nothing is done unless it is named, and the words to name it are said', () => {
  expect(() => permitted(alive, [], [])).toThrow(
    /lives in gitlab \(switchyard\/a, switchyard\/b, switchyard\/c and 1 more\) and in ci \(ci\)\. Nothing was done\. Say --keep gitlab ci .* or --over gitlab ci/,
  );
  expect(() => permitted(alive, ['gitlab'], [])).toThrow(/lives in ci \(ci\)/);
  expect(permitted(alive, ['gitlab'], ['ci', 'production'])).toEqual({ over: ['gitlab'], keep: ['ci'] });
  expect(permitted(new Map(), [], [])).toEqual({ over: [], keep: [] });
});

test('nothing is both written over and left alone', () => {
  expect(() => permitted(alive, ['gitlab'], ['gitlab', 'ci'])).toThrow(/--over and --keep both name gitlab/);
});

test('targets are named by words, both clusters by one', () => {
  expect(targetsNamed('--over', ['cluster', 'gitlab'])).toEqual(['ci', 'production', 'gitlab']);
  expect(targetsNamed('--over')).toEqual([]);
  expect(() => targetsNamed('--over', ['jenkins'])).toThrow('--over: "jenkins" is none of');
});
