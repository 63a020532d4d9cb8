import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'yaml';
import { topologyBoxes } from '../../components/boxes';
import { defaultFolders, loadModel } from '../../components/load';
import type { Model } from '../../components/model';
import { repositoryFiles } from '../../components/shared/files';
import { shown } from '../../components/shared/references';
import { heldFiles } from '../../stacks/files';
import { stackNames } from '../../stacks/load';
import { catalogTexts, modelOf, root, stackText, testModel } from '../support/model';

// Pods work from ConfigMaps of the topology, so that whatever changes the topology brings them its catalog.

const TOPOLOGY = {
  clusters: 'ci: { context: one }, production: { context: one }',
  backup: 'repository: "s3:https://s3.test/backup"',
  topologyProject: 'path: topology',
};

interface Volume {
  readonly name: string;
  readonly projected?: { readonly sources: readonly { readonly configMap: { readonly name: string } }[] };
}
interface Pod {
  readonly containers: readonly {
    readonly env?: readonly { readonly name: string; readonly value?: string }[];
    readonly volumeMounts?: readonly { readonly name: string; readonly mountPath: string }[];
  }[];
  readonly volumes?: readonly Volume[];
}

const declarations = (model: Model) => topologyBoxes(model).flatMap((box) => [...box.declarations]);

/** Data of the ConfigMaps of a namespace that hold repository files, by name. */
function maps(model: Model, namespace: string): Record<string, Record<string, string>> {
  const found: Record<string, Record<string, string>> = {};
  for (const { type, args } of declarations(model)) {
    if (type !== 'kubernetes:core/v1:ConfigMap') continue;
    const { metadata, data } = args as {
      metadata: { name: string; namespace: string };
      data: Record<string, string>;
    };
    if (metadata.namespace === namespace && /^(catalog|stacks)/.test(metadata.name))
      found[metadata.name] = data;
  }
  return found;
}

/** Agent Pods by template, as Jenkins is told. */
function agents(model: Model): Record<string, Pod> {
  const { args } = declarations(model).find(({ name }) => name === 'jenkins-casc') ?? {};
  const { data } = shown(args) as { data: Record<string, string> };
  const [{ kubernetes }] = parse(data['jenkins.yaml'] ?? '').jenkins.clouds;
  return Object.fromEntries(
    kubernetes.templates.map(({ name, yaml }: { name: string; yaml: string }) => [name, parse(yaml).spec]),
  );
}

/** Where a Pod finds what its variable says: the names of ConfigMaps, by mount path. */
function mounted(pod: Pod): Record<string, string[]> {
  const [container] = pod.containers;
  return Object.fromEntries(
    (pod.volumes ?? []).flatMap(({ name, projected }) => {
      const at = container?.volumeMounts?.find((mount) => mount.name === name)?.mountPath;
      // An account's token comes by one as well, with the authority of its API server.
      const files = projected?.sources.flatMap(({ configMap }) => configMap ?? []);
      if (!files || !at || files.length < (projected?.sources.length ?? 0)) return [];
      return [[at, files.map((file) => file.name)]];
    }),
  );
}

const variables = (pod: Pod) =>
  Object.fromEntries(pod.containers[0]?.env?.map(({ name, value }) => [name, value]) ?? []);

const everywhere = {
  '/etc/switchyard/catalog/modules': ['catalog-modules'],
  '/etc/switchyard/catalog/services': ['catalog-services'],
  '/etc/switchyard/stacks': ['stacks'],
};

test('namespaces of Pods that work from the files have them, byte for byte', () => {
  const model = modelOf(TOPOLOGY);
  for (const namespace of ['ci-agents', 'ci-deploy', 'ci-drift', 'backup']) {
    expect(maps(model, namespace)).toEqual({
      'catalog-modules': catalogTexts.modules,
      'catalog-services': catalogTexts.services,
      stacks: { 'Pulumi.test.yaml': stackText },
    });
  }
});

test('their Pods mount them where their programs look', () => {
  const pods = agents(modelOf(TOPOLOGY));
  for (const name of ['delivery', 'deploy', 'drift']) {
    const pod = pods[name] as Pod;
    expect(mounted(pod)).toEqual(everywhere);
    expect(variables(pod)).toMatchObject({
      SWITCHYARD_CATALOG: '/etc/switchyard/catalog',
      SWITCHYARD_STACKS: '/etc/switchyard/stacks',
    });
  }
});

test('the backup job has them too; the one that verifies backups needs none', () => {
  const job = (name: string): Pod => {
    const { args } = declarations(modelOf(TOPOLOGY)).find((declaration) => declaration.name === name) ?? {};
    return (args as { spec: { jobTemplate: { spec: { template: { spec: Pod } } } } }).spec.jobTemplate.spec
      .template.spec;
  };
  expect(mounted(job('backup-job'))).toEqual(everywhere);
  expect(variables(job('backup-job'))).toMatchObject({ SWITCHYARD_STACKS: '/etc/switchyard/stacks' });
  expect(mounted(job('backup-verify-job'))).toEqual({});
});

test('what runs a merge request’s program, or a merged one, works from that checkout and is given no other', () => {
  const pods = agents(modelOf(TOPOLOGY));
  for (const name of ['preview', 'apply']) {
    expect(mounted(pods[name] as Pod)).toEqual({});
    expect(variables(pods[name] as Pod)).not.toHaveProperty('SWITCHYARD_CATALOG');
  }
});

test('Pods that change or judge what was applied know by which program it was', () => {
  const model = modelOf(TOPOLOGY);
  const pods = agents(model);
  const knows = (pod?: Pod) => JSON.stringify(pod?.volumes).includes('{"name":"program"}');
  expect(
    Object.keys(pods)
      .filter((name) => knows(pods[name]))
      .sort(),
  ).toEqual(['deploy', 'drift', 'state']);
  // Of what a module's pipeline has them do.
  for (const name of ['deploy', 'state'])
    expect(variables(pods[name] as Pod)).toMatchObject({ SWITCHYARD_ENVIRONMENT: 'test' });
  for (const name of ['deploy', 'drift', 'state'])
    expect(variables(pods[name] as Pod)).toMatchObject({
      GITLAB_URL: 'https://gitlab.test',
      SWITCHYARD_GITLAB_GROUP: 'switchyard',
      SWITCHYARD_TOPOLOGY_PROJECT: 'topology',
    });
  for (const name of ['deploy', 'drift']) {
    expect(
      declarations(model).find((declaration) => declaration.name === `${name}-program`)?.args,
    ).toMatchObject({
      metadata: { namespace: `ci-${name}`, name: 'program' },
      data: { id: `${model.program}\n` },
    });
  }
});

test('a job of Jenkins comes after the files that it works from', () => {
  const names = declarations(modelOf(TOPOLOGY)).map(({ name }) => name);
  for (const file of ['agents-catalog-modules', 'deploy-stacks'])
    expect(names.indexOf(file)).toBeLessThan(names.indexOf('jenkins-casc'));
});

describe('a large catalog', () => {
  const modules = Object.fromEntries(
    Array.from({ length: 500 }, (_, index) => [`module-${index}.yaml`, `description: ${'x'.repeat(1000)}\n`]),
  );
  const filesOf = (texts: Record<string, string>) =>
    repositoryFiles(
      { modules: texts, services: {}, stacks: {} },
      { prefix: 'agents', namespace: 'ci-agents', provider: 'ci', labels: {} },
    ).flatMap(({ name, args }) =>
      name.startsWith('agents-catalog-modules')
        ? [{ name, data: (args as { data: Record<string, string> }).data }]
        : [],
    );

  test('is spread over ConfigMaps that kubectl apply takes too, and every file is in one of them', () => {
    const shares = filesOf(modules);
    expect(shares.map(({ name }) => name)).toEqual([
      'agents-catalog-modules',
      ...[2, 3, 4, 5, 6].map((index) => `agents-catalog-modules-${index}`),
    ]);
    for (const { data } of shares) expect(JSON.stringify(data).length).toBeLessThan(200_000);
    expect(Object.assign({}, ...shares.map(({ data }) => data))).toEqual(modules);
    expect(shares.reduce((count, { data }) => count + Object.keys(data).length, 0)).toBe(500);
  });

  test('keeps its files where they are when one comes', () => {
    const more = filesOf({ ...modules, 'another.yaml': 'description: new\n' });
    const changed = filesOf(modules).filter(
      ({ data }, index) => JSON.stringify(data) !== JSON.stringify(more[index]?.data),
    );
    expect(changed.length).toBe(1);
  });
});

describe('which files', () => {
  const settings = (keys: object) => ({ ...testModel().settings, ...keys });
  const gitlab = (keys: object) => ({ ...testModel().settings.gitlab, ...keys });

  test('are those of all modules, unless the stack names its own', () => {
    expect(heldFiles(settings({}), () => undefined)).toEqual({ stacks: ['test'], modules: undefined });
    expect(heldFiles(settings({ modules: ['shop'] }), () => undefined).modules).toEqual(['shop']);
  });

  test('are also those of modules that other keys name: the stack is checked against them', () => {
    const own = settings({ modules: ['shop'], gitlab: gitlab({ deployKeys: [{ modules: ['desk'] }] }) });
    expect(heldFiles(own, () => undefined).modules).toEqual(['desk', 'shop']);
  });

  test('are also those of the environments that this one previews', () => {
    const own = settings({ modules: ['shop'], topologyProject: { environments: ['staging', 'test'] } });
    const staging = settings({ environment: 'staging', modules: ['desk'] });
    expect(heldFiles(own, () => staging)).toEqual({ stacks: ['test', 'staging'], modules: ['desk', 'shop'] });
    // Better all than too few, where what the other one has cannot be read.
    expect(heldFiles(own, () => undefined)).toEqual({ stacks: ['test', 'staging'], modules: undefined });
  });
});

describe('read from disk', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'switchyard-files-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));
  const load = (wholeStacks?: string, only?: string[]) =>
    loadModel({ ...defaultFolders(root), wholeStacks }, 'lab', only).files;

  test('they are the files of the repository', () => {
    const { modules, stacks } = load();
    expect(Object.keys(modules)).toEqual(readdirSync(join(root, 'catalog', 'modules')).sort());
    expect(Object.keys(stacks)).toEqual(['Pulumi.lab.yaml']);
  });

  test('encrypted values of a stack file stay in what is kept of it, also where settings are read without them', () => {
    writeFileSync(join(folder, 'Pulumi.lab.yaml'), 'config:\n  switchyard:seed: { secure: v1:abc }\n');
    expect(load(folder).stacks['Pulumi.lab.yaml']).toContain('secure: v1:abc');
    expect(load().stacks['Pulumi.lab.yaml']).not.toContain('v1:abc');
  });

  test.each(stackNames(join(root, 'stacks')))(
    'what Pods of %s have makes the same topology',
    (environment) => {
      const model = loadModel(defaultFolders(root), environment);
      for (const kind of ['modules', 'services', 'stacks'] as const) {
        const to = join(folder, kind === 'stacks' ? '' : 'catalog', kind);
        mkdirSync(to, { recursive: true });
        for (const [file, text] of Object.entries(model.files[kind])) writeFileSync(join(to, file), text);
      }
      const [catalog, stacks] = [join(folder, 'catalog'), join(folder, 'stacks')];
      const inPod = loadModel({ ...defaultFolders(root), catalog, stacks }, environment);
      expect(topologyBoxes(inPod)).toEqual(topologyBoxes(model));
    },
  );

  test('a deploy of one module reads no file of another', () => {
    expect(load(undefined, ['orders'])).toEqual({ modules: {}, services: {}, stacks: {} });
  });
});
