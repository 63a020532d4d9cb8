import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { topologyBoxes } from '../../components/boxes';
import { cascYaml } from '../../components/jenkins/casc';
import { watchedProjects } from '../../components/jenkins/reconciler';
import { defaultFolders, loadModel } from '../../components/load';
import type { Model } from '../../components/model';
import { missingOrigin, promotionFaults } from '../../components/promotion';
import { jenkinsSpec } from '../../components/specs';
import { check } from '../../rules';
import { modelFacts } from '../../rules/assert';
import { parseStack } from '../../stacks/load';
import { whyNoQueue } from '../../stacks/merge-queue';
import { catalogTexts, root, stackText, stackWith, testModel } from '../support/model';

// An environment whose releases are promoted from another one: what it has, and what it must not share with that one.

const PROMOTION = '  switchyard:promotion: { from: staging }\n';
const settingsOf = (text: string, name = 'test') => parseStack(text, `stacks/Pulumi.${name}.yaml`, name);
const promoted: Model = testModel({ settings: settingsOf(`${stackText}${PROMOTION}`) });

test('it has its ledger, its registry, its modules in production and the job to go back, and no pipeline of a module', () => {
  const boxes = topologyBoxes(promoted);
  expect(boxes.filter(({ module }) => module).map(({ name }) => name)).toEqual(['production-shop']);
  expect(boxes.filter(({ module }) => !module).map(({ name }) => name)).toEqual(
    topologyBoxes(testModel())
      .filter(({ module }) => !module)
      .map(({ name }) => name),
  );
  const declarations = boxes.flatMap((box) => box.declarations);
  const of = (type: string) =>
    declarations.filter((one) => one.type.startsWith(type)).map(({ name }) => name);
  expect(of('gitlab:index/project:')).toEqual(['gitlab-ledger', 'gitlab-library']);
  expect(of('gitlab:index/projectHook')).toEqual([]);
  expect(declarations.map(({ name }) => name).filter((name) => /^reconciler|^reaper-job/.test(name))).toEqual(
    [],
  );
  const text = cascYaml(jenkinsSpec(promoted));
  expect([...text.matchAll(/pipelineJob\('([^']+)'\)/g)].map(([, name]) => name)).toEqual([
    'switchyard/module_rollback',
  ]);
  expect(text).not.toContain('test-shop');
  expect(watchedProjects(jenkinsSpec(promoted))).toEqual([]);
  // What rolls out is there: its account, its keys, its login at the registry.
  const names = declarations.map(({ name }) => name);
  for (const name of ['deploy-account-shop', 'jenkins-keys-shop', 'production-shop-workload'])
    expect(names).toContain(name);
});

test('every rule holds for it', () => {
  expect(check(modelFacts(promoted))).toEqual([]);
});

test('nobody looks for its merge queue', () => {
  const [shop] = promoted.modules;
  expect(shop && whyNoQueue(promoted.settings, shop)).toBe(
    'what is merged is tested in staging, whose releases are promoted',
  );
});

describe('between two environments', () => {
  const staging = (keys: Parameters<typeof stackWith>[0] = {}, more = ''): string =>
    `${stackWith({
      clusters: 'ci: { context: s }, production: { context: s }',
      gitlab: 'group: staging',
      registry:
        'existing: { pull: { user: a, passwordFrom: A }, push: { user: b, passwordFrom: B }, path: staging }',
      ...keys,
    }).replace('environment: test', 'environment: staging')}${more}`;
  const own = (keys: Parameters<typeof stackWith>[0] = {}, more = PROMOTION): string =>
    `${stackWith({ gitlab: 'projects: { shop: { existing: staging/shop } }', ...keys })}${more}`;
  const faults = (mine: string, theirs = staging(), modules = ['shop']): string[] =>
    promotionFaults(settingsOf(mine), promoted.modules, settingsOf(theirs, 'staging'), modules).map(
      ({ file, key, what, remedy }) => `${file}: ${key}: ${what} ${remedy}`,
    );

  test('of one GitLab, on one project, and with a registry each, nothing is wrong', () => {
    expect(faults(own())).toEqual([]);
    expect(faults(own({ gitlab: 'projects: { shop: { existing: Staging/Shop } }' }))).toEqual([]);
    expect(faults(stackText)).toEqual([]);
    // Its faults are told where it is checked.
    expect(promotionFaults(settingsOf(own()), promoted.modules, undefined, [])).toEqual([]);
  });

  test.each<[string, string, string, string, string[]]>([
    [
      'itself',
      'config.promotion.from: is this environment itself. Name the one that tests what is merged.',
      own({}, PROMOTION.replace('staging', 'test')),
      staging(),
      ['shop'],
    ],
    [
      'one that has its releases from a third',
      'config.promotion.from: is "staging", whose own releases are promoted from "home". Name the one that tests what is merged: "home".',
      own(),
      staging({}, PROMOTION.replace('staging', 'home')),
      ['shop'],
    ],
    [
      'another GitLab',
      'config.gitlab.url: is not the GitLab of "staging", whose merge requests and certificates a promotion reads. Have one GitLab for both.',
      own(),
      staging().replace('https://gitlab.test', 'https://other.test'),
      ['shop'],
    ],
    [
      'another project',
      'config.gitlab.projects.shop.existing: is switchyard/shop, and the project of shop in "staging" is staging/shop. Write "existing: staging/shop".',
      own({ gitlab: '' }),
      staging(),
      ['shop'],
    ],
    [
      'one without the module',
      'config.promotion.from: is "staging", which has no module "shop". Add it there, or leave it out of switchyard:modules.',
      own(),
      staging(),
      [],
    ],
    [
      'the same repositories',
      'config.registry.address: leads to registry.test:5000, where "staging" has its images: each would remove what the other one runs. Have a registry of its own, or in one that is there already a path of its own.',
      own(),
      staging({ registry: '' }),
      ['shop'],
    ],
  ])('%s is one fault', (_what, fault, mine, theirs, modules) => {
    expect(faults(mine, theirs, modules)).toEqual([`stacks/Pulumi.test.yaml: ${fault}`]);
  });

  test('what both are is told at its line, and one that there is no file of is', () => {
    const folder = mkdtempSync(join(tmpdir(), 'switchyard-promotion-'));
    try {
      const folders = {
        ...defaultFolders(root),
        catalog: join(folder, 'catalog'),
        stacks: join(folder, 'stacks'),
      };
      for (const each of [
        folders.stacks,
        ...['modules', 'services'].map((kind) => join(folders.catalog, kind)),
      ])
        mkdirSync(each, { recursive: true });
      for (const kind of ['modules', 'services'] as const)
        for (const [file, text] of Object.entries(catalogTexts[kind]))
          writeFileSync(join(folders.catalog, kind, file), text);
      writeFileSync(join(folders.stacks, 'Pulumi.test.yaml'), own({ gitlab: '' }));
      expect(missingOrigin(folders.stacks, settingsOf(own()))).toMatchObject([
        { key: 'config.promotion.from', what: 'there is no environment "staging".' },
      ]);
      expect(loadModel(folders, 'test').settings.promotion).toEqual({ from: 'staging' });
      writeFileSync(join(folders.stacks, 'Pulumi.staging.yaml'), staging());
      expect(missingOrigin(folders.stacks, settingsOf(own()))).toEqual([]);
      expect(() => loadModel(folders, 'test')).toThrow(
        'stacks/Pulumi.test.yaml:5: config.gitlab.projects.shop.existing: is switchyard/shop',
      );
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  test('the other one’s seed reaches no deploy', () => {
    const more = `  switchyard:promotion: { from: staging, seedFrom: STAGING_SEED }\n`;
    expect(settingsOf(own({}, more)).promotion).toEqual({ from: 'staging', seedFrom: 'STAGING_SEED' });
    const given = `${more}  switchyard:deployEnvironment: [STAGING_SEED]\n`;
    expect(() => settingsOf(own({}, given))).toThrow(
      'config.promotion.seedFrom: is STAGING_SEED, which deployEnvironment gives to deploy Pods.',
    );
    expect(() => settingsOf(own({}, more.replace('STAGING_SEED', 'SWITCHYARD_SEED')))).toThrow(
      'config.promotion.seedFrom: is a variable of the topology itself.',
    );
  });
});
