import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { XMLValidator } from 'fast-xml-parser';
import { parse, parseAllDocuments } from 'yaml';
import { topologyBoxes } from '../../components/boxes';
import { referencesIn } from '../../components/shared/references';
import { renderTopology, writeRendered } from '../../operations/render';
import { manifest } from '../../operations/render/manifests';
import { generatedCatalog, generatedModel } from '../support/catalog';
import { testModel } from '../support/model';

interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
}

const files = renderTopology(testModel());

/** Documents of the manifests, by file, read as kubectl reads them. */
const documentsOf = (text: string): Manifest[] =>
  parseAllDocuments(text, { version: '1.1' }).map((document) => document.toJS());
const manifests = new Map(
  [...files]
    .filter(([path]) => path.startsWith('kubernetes/'))
    .map(([path, text]) => [path, documentsOf(text)]),
);

const reversed = (texts: Record<string, string>): Record<string, string> =>
  Object.fromEntries(Object.entries(texts).reverse());

test('rendering twice gives the same bytes, whatever the order of the files in the catalog', () => {
  const texts = generatedCatalog(12);
  const once = [...renderTopology(generatedModel(texts))];
  expect([...renderTopology(generatedModel(texts))]).toEqual(once);
  const other = { modules: reversed(texts.modules), services: reversed(texts.services) };
  expect(Object.keys(other.modules)).not.toEqual(Object.keys(texts.modules));
  expect([...renderTopology(generatedModel(other))]).toEqual(once);
});

test('every Kubernetes declaration is one complete object in the folder of its cluster', () => {
  const declared = topologyBoxes(testModel()).flatMap(({ declarations }) =>
    declarations.filter(({ type }) => type.startsWith('kubernetes:')),
  );
  const all = [...manifests.values()].flat();
  expect(all).toHaveLength(declared.length);
  for (const object of all) {
    expect(object).toMatchObject({
      apiVersion: expect.stringMatching(/^([a-z0-9.]+\/)?v[0-9a-z]+$/),
      kind: expect.stringMatching(/^[A-Z]/),
      metadata: { name: expect.any(String) },
    });
  }
  for (const cluster of ['ci', 'production']) {
    const rendered = [...manifests].filter(([path]) => path.startsWith(`kubernetes/${cluster}/`));
    expect(rendered.flatMap(([, objects]) => objects)).toHaveLength(
      declared.filter(({ provider }) => provider === cluster).length,
    );
  }
});

test("a cluster's namespaces all stand in its first file, and every object's namespace is among them", () => {
  for (const cluster of ['ci', 'production']) {
    const paths = [...manifests.keys()].filter((path) => path.startsWith(`kubernetes/${cluster}/`)).sort();
    expect(paths[0]).toBe(`kubernetes/${cluster}/00-namespaces.yaml`);
    const [first = [], ...others] = paths.map((path) => manifests.get(path) ?? []);
    expect(new Set(first.map(({ kind }) => kind))).toEqual(new Set(['Namespace']));
    const namespaces = first.map(({ metadata }) => metadata.name);
    for (const object of others.flat()) {
      expect(object.kind).not.toBe('Namespace');
      if (object.metadata.namespace !== undefined) expect(namespaces).toContain(object.metadata.namespace);
    }
  }
});

/** Places in which an API server takes any text, and so a reference that stands for a value of run time. */
const FREE_TEXT = [
  /^Secret\.stringData\./,
  /^ConfigMap\.data\./,
  /^[A-Za-z]+\.(spec\.template\.)?metadata\.annotations\./,
  /\.containers\.\d+\.image$/,
  /\.initContainers\.\d+\.image$/,
  /\.env\.\d+\.value$/,
];

function placesOfReferences(value: unknown, path: string): string[] {
  if (typeof value === 'string') return referencesIn(value).length > 0 ? [path] : [];
  if (value === null || typeof value !== 'object') return [];
  return Object.entries(value).flatMap(([key, inner]) => placesOfReferences(inner, `${path}.${key}`));
}

test('references stand only where an API server takes any text, so that a dry run accepts the manifests', () => {
  const places = [...manifests.values()].flat().flatMap((object) => placesOfReferences(object, object.kind));
  expect(places.length).toBeGreaterThan(5);
  expect(places.filter((place) => !FREE_TEXT.some((pattern) => pattern.test(place)))).toEqual([]);
});

test("what a Secret's data gets at run time stands in its stringData, since a reference is no base64", () => {
  const about = { name: 's', provider: 'ci', type: 'kubernetes:core/v1:Secret' } as const;
  const metadata = { name: 's' };
  const encoded = 'eA==';
  expect(
    manifest({ ...about, args: { metadata, data: { a: '«output:other:data.token»', b: encoded } } }),
  ).toEqual({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata,
    data: { b: encoded },
    stringData: { a: '«output:other:data.token»' },
  });
  expect(manifest({ ...about, args: { metadata, data: { b: encoded } } })).toEqual({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata,
    data: { b: encoded },
  });
});

test('a Secret that holds JSON holds valid JSON although its credentials are references', () => {
  const secrets = [...manifests.values()].flat().filter(({ kind }) => kind === 'Secret') as (Manifest & {
    readonly stringData?: Readonly<Record<string, string>>;
  })[];
  const configs = secrets.flatMap(({ stringData }) => stringData?.['.dockerconfigjson'] ?? []);
  expect(configs.length).toBeGreaterThan(0);
  for (const text of configs) expect(JSON.parse(text)).toHaveProperty('auths');
});

test('the table of GitLab has a row for each of its resources and shows secrets as references', () => {
  const table = files.get('gitlab.md') ?? '';
  const declared = topologyBoxes(testModel()).flatMap(({ declarations }) =>
    declarations.filter(({ type }) => type.startsWith('gitlab:')),
  );
  expect(table.split('\n').filter((line) => line.startsWith('| '))).toHaveLength(declared.length + 1);
  expect(table).toContain('| ProjectHook | gitlab-shop-hook |');
  expect(table).toContain('token: «secret:hook/shop»');
});

test("Jenkins' configuration is rendered as Jenkins gets it", () => {
  expect(parse(files.get('jenkins/casc.yaml') ?? '')).toHaveProperty('jenkins.numExecutors', 0);
});

test('one module renders its own boxes and namespaces only', () => {
  const rendered = renderTopology(testModel(), 'shop');
  expect([...rendered.keys()].sort()).toEqual([
    'gitlab.md',
    'gitlab/gitlab-module-shop.yaml',
    'index.html',
    'kubernetes/ci/00-namespaces.yaml',
    'kubernetes/ci/testing-shop.yaml',
    'kubernetes/production/00-namespaces.yaml',
    'kubernetes/production/production-shop.yaml',
    'resources.md',
    'topology.svg',
  ]);
  expect(documentsOf(rendered.get('kubernetes/ci/00-namespaces.yaml') ?? '')).toMatchObject([
    { metadata: { name: 'test-shop' } },
  ]);
  expect(rendered.get('index.html')).not.toContain('jenkins-controller');
});

test('the picture shows the way of each module from its project to production', () => {
  const svg = files.get('topology.svg') ?? '';
  expect(XMLValidator.validate(svg)).toBe(true);
  for (const title of ['switchyard/shop', 'job shop', 'image shop', 'test-shop', 'prod-shop']) {
    expect(svg).toContain(`>${title}</text>`);
  }
  for (const flow of ['hook', 'build', 'digest', 'merge, ledger']) expect(svg).toContain(`>${flow}</text>`);
});

test('each box of the page opens to every one of its resources, without script and without network', () => {
  const page = files.get('index.html') ?? '';
  const boxes = topologyBoxes(testModel());
  const cells = new Set(boxes.map(({ box, module }) => `${box} ${module}`));
  expect(page.match(/<details name="box"><summary>/g)).toHaveLength(cells.size);
  for (const { declarations } of boxes) {
    for (const { name } of declarations) expect(page).toContain(`>${name}</a></td>`);
  }
  for (const [, href = ''] of page.matchAll(/href="([^"]+)"/g)) expect(files.has(decodeURI(href))).toBe(true);
  expect(page).not.toMatch(/<script|<link|<img|url\(|@import/);
});

test('what a person wrote is text in the picture and the page, never markup', () => {
  // The schema takes no such owner; the page does not count on that.
  const model = generatedModel(generatedCatalog(1));
  const modules = model.modules.map((module) => ({ ...module, owners: ['<script>alert(1)</script>&'] }));
  const rendered = renderTopology({ ...model, modules });
  expect(rendered.get('index.html')).toContain('owners: &lt;script&gt;alert(1)&lt;/script&gt;&amp;');
  for (const path of ['index.html', 'topology.svg']) expect(rendered.get(path)).not.toContain('<script>');
  expect(XMLValidator.validate(rendered.get('topology.svg') ?? '')).toBe(true);
});

test('a second render removes the files of the first and leaves what others put into the folder', () => {
  const out = mkdtempSync(join(tmpdir(), 'switchyard-render-'));
  try {
    writeRendered(files, out);
    writeFileSync(join(out, 'kubernetes', 'mine.txt'), 'kept');
    writeRendered(renderTopology(testModel(), 'shop'), out);
    expect(readFileSync(join(out, 'kubernetes', 'mine.txt'), 'utf8')).toBe('kept');
    expect(readdirSync(join(out, 'kubernetes', 'ci')).sort()).toEqual([
      '00-namespaces.yaml',
      'testing-shop.yaml',
    ]);
    expect(readdirSync(join(out, 'jenkins'))).toEqual([]);
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
});

test('200 modules render in 3 seconds of processor time', () => {
  const model = generatedModel(generatedCatalog(200));
  const before = process.cpuUsage();
  const rendered = renderTopology(model);
  const { user, system } = process.cpuUsage(before);
  expect(rendered.size).toBeGreaterThan(600);
  expect((user + system) / 1e6).toBeLessThan(3);
});
