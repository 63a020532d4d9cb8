import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { XMLValidator } from 'fast-xml-parser';
import { parse, parseAllDocuments } from 'yaml';
import { parseCatalog } from '../../../catalog/load';
import { topologyBoxes } from '../../../components/boxes';
import { outputRef, referencesIn } from '../../../components/shared/references';
import { renderTopology, writeRendered } from '../../../operations/render';
import { manifest } from '../../../operations/render/manifests';
import { otherEnvironments } from '../../../operations/render/others';
import {
  generatedPicture,
  generatedScript,
  PICTURE_FILE,
  SCRIPT_FILE,
} from '../../../operations/render/page/generate';
import { parseStack } from '../../../stacks/load';
import { generatedCatalog, generatedModel } from '../../support/catalog';
import { textsOf } from '../../support/markdown';
import { catalogTexts, modelOf, root, stackText, testModel } from '../../support/model';
import { marked } from '../../support/references';

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
  if (typeof value === 'string') return referencesIn(marked(value)).length > 0 ? [path] : [];
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
    manifest({ ...about, args: { metadata, data: { a: outputRef('other', 'data.token'), b: encoded } } }),
  ).toEqual({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata,
    data: { b: encoded },
    stringData: { a: outputRef('other', 'data.token') },
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
  expect(textsOf(table).join('')).toContain('token: «secret:hook/shop»');
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

test('the picture shows the way of a commit, and of each module what it runs with, where, and how it is reached', () => {
  const svg = files.get('topology.svg') ?? '';
  expect(XMLValidator.validate(svg)).toBe(true);
  for (const title of ['GitLab', 'Jenkins', 'Registry', 'Test Pods', 'Production']) {
    expect(svg).toContain(`>${title}</text>`);
  }
  for (const flow of ['hook', 'build', 'digest', 'ledger']) expect(svg).toContain(`>${flow}</text>`);
  for (const cluster of ['cluster one', 'cluster two']) expect(svg).toContain(`>${cluster}</text>`);
  for (const text of ['shop', 'ada: sells', 'cache 1.0', 'prod-shop', '2 Pods', 'inside the cluster']) {
    expect(svg).toContain(`>${text}</text>`);
  }
});

test('where releases are promoted, page and picture tell of no pipeline that is not there', () => {
  const text = `${stackText}  switchyard:promotion: { from: staging }\n`;
  const settings = parseStack(text, 'stacks/Pulumi.test.yaml', 'test');
  const rendered = renderTopology(testModel({ settings }));
  const page = rendered.get('index.html') ?? '';
  const picture = rendered.get('topology.svg') ?? '';
  for (const told of [
    'test-shop',
    'test-‹module›',
    '/project/switchyard/shop',
    'Robot Framework',
    'BuildKit',
  ])
    expect([told, page.includes(told), picture.includes(told)]).toEqual([told, false, false]);
  for (const said of ['switchyard promote test ‹module›', 'switchyard promote test shop', 'in staging'])
    expect([said, page.includes(said)]).toEqual([said, true]);
  expect(picture).toContain('what staging tested, and people promoted');
  expect(XMLValidator.validate(picture)).toBe(true);
});

test('one cluster for everything is one frame', () => {
  const svg = renderTopology(modelOf({ clusters: 'ci: { context: one }, production: { context: one }' })).get(
    'topology.svg',
  );
  expect(svg?.match(/class="frame"/g)).toHaveLength(1);
  expect(files.get('topology.svg')?.match(/class="frame"/g)).toHaveLength(2);
});

test('of services that do not fit into a row the picture says how many there are', () => {
  const uses = Array.from(
    { length: 9 },
    (_, index) => `{ kind: cache, version: "1.0", name: cache-${index} }`,
  );
  const text = `description: d\nowners: [ada]\nservices: [${uses.join(', ')}]\n`;
  const catalog = parseCatalog({ ...catalogTexts, modules: { 'shop.yaml': text } });
  const svg = renderTopology(testModel({ catalog, modules: catalog.modules })).get('topology.svg') ?? '';
  const shown = svg.match(/class="chip"/g) ?? [];
  expect(shown.length).toBeGreaterThan(0);
  expect(svg).toContain(`>+${9 - shown.length}</text>`);
});

test('the page names every resource below a link to the file in which it stands, and loads nothing', () => {
  const page = files.get('index.html') ?? '';
  for (const { declarations } of topologyBoxes(testModel())) {
    for (const { name } of declarations) expect(page).toContain(`<code>${name}</code></li>`);
  }
  const links = [...page.matchAll(/href="([^"#]+)"/g)].map(([, href = '']) => href);
  const local = links.filter((href) => !/^https?:/.test(href));
  expect(local.length).toBeGreaterThan(5);
  for (const href of local) expect(files.has(decodeURI(href))).toBe(true);
  expect(page).not.toMatch(/<link|<img|<iframe|url\(#?h|@import|<script src/);
});

test('the page may run its own script and load nothing: its policy names the hash of what stands in it', () => {
  const page = files.get('index.html') ?? '';
  const [, script = ''] = /<script>([\s\S]*?)<\/script>/.exec(page) ?? [];
  const hash = createHash('sha256').update(script).digest('base64');
  const [, policy = ''] = /Content-Security-Policy" content="([^"]*)"/.exec(page) ?? [];
  expect(policy.replaceAll('&#39;', "'").split('; ')).toEqual([
    "default-src 'none'",
    "style-src 'unsafe-inline'",
    `script-src 'sha256-${hash}'`,
    "base-uri 'none'",
    "form-action 'none'",
  ]);
});

test('the page shows Secrets by name, by key and by where their values come from', () => {
  const page = files.get('index.html') ?? '';
  expect(page).toContain(
    '<code>prod-shop/</code><code>cache-credentials</code>: <code>password</code>; derived from the seed',
  );
  expect(page).not.toMatch(/[«»]/);
});

test('the page tells in words what network policies let through', () => {
  const page = files.get('index.html') ?? '';
  for (const line of [
    'In: TCP 8080 of the module&#39;s Pods, from anyone.',
    'In: TCP 6379 of its services&#39; Pods, from the module&#39;s Pods.',
    'In: nothing else.',
    'Out: TCP 8080 of namespace ci.',
  ]) {
    expect(page).toContain(`<li>${line}</li>`);
  }
});

test('the page tells which other environments have a module, and leaves out one whose stack file has faults', () => {
  const stacks = mkdtempSync(join(tmpdir(), 'switchyard-stacks-'));
  try {
    const stack = (name: string, more = '') =>
      writeFileSync(
        join(stacks, `Pulumi.${name}.yaml`),
        `${stackText.replace('environment: test', `environment: ${name}`)}${more}`,
      );
    stack('test');
    stack('staging');
    stack('empty', '  switchyard:modules: []\n');
    stack('broken', '  switchyard:no-such-key: 1\n');
    const model = testModel();
    const others = otherEnvironments(stacks, model.catalog, 'test');
    expect(others.map(({ name, modules }) => [name, modules])).toEqual([
      ['empty', []],
      ['staging', ['shop']],
    ]);
    const page = renderTopology(model, undefined, others).get('index.html') ?? '';
    expect(page).toContain('data-environment="test\nstaging"');
  } finally {
    rmSync(stacks, { recursive: true, force: true });
  }
});

test('what a person wrote is text in the picture and the page, never markup', () => {
  // No file may say so; the page does not count on that.
  const hostile = '</style></svg><script>alert(1)</script>&"\'\u0001\ud800';
  const model = generatedModel(generatedCatalog(1));
  const modules = model.modules.map((module) => ({ ...module, description: hostile, owners: [hostile] }));
  const rendered = renderTopology({ ...model, modules, catalog: { ...model.catalog, modules } });
  const escaped =
    '&lt;/style&gt;&lt;/svg&gt;&lt;script&gt;alert(1)&lt;/script&gt;&amp;&quot;&#39;\ufffd\ufffd';
  const page = rendered.get('index.html') ?? '';
  const svg = rendered.get('topology.svg') ?? '';
  expect(page).toContain(`<p>${escaped}</p>`);
  expect(page.match(/<script/g)).toHaveLength(1);
  expect(page.match(/<\/style>/g)).toHaveLength(1);
  expect(svg).toContain(escaped);
  expect(svg).not.toContain('<script');
  expect(XMLValidator.validate(svg)).toBe(true);
});

test('without a screen `render --open` says where the page is, and that is no failure', () => {
  const out = mkdtempSync(join(tmpdir(), 'switchyard-shown-'));
  try {
    const tsx = join(root, 'node_modules', 'tsx', 'dist', 'cli.mjs');
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [tsx, 'operations/cli.ts', 'render', 'lab', '--out', out, '--open'],
      { cwd: root, encoding: 'utf8', env: { ...process.env, CI: '1' } },
    );
    const page = join(out, 'index.html');
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout.trim().split('\n')).toEqual([
      expect.stringMatching(/^\d+ files in /),
      `The page: ${page}`,
      `Not opened, since this runs in CI. Open ${pathToFileURL(page).href}`,
    ]);
    expect(readFileSync(page, 'utf8')).toContain('<title>Topology of lab</title>');
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
});

test("the README's picture is what `npm run show` draws; if not, run `npm run generate:page`", () => {
  const picture = readFileSync(join(root, PICTURE_FILE), 'utf8');
  expect(picture).toBe(generatedPicture(root));
  const readme = readFileSync(join(root, 'README.md'), 'utf8');
  expect(readme.split('\n').slice(0, 12).join('\n')).toContain(`(${PICTURE_FILE})`);
});

test("the page's script is compiled from its source; if not, run `npm run generate:page`", () => {
  expect(readFileSync(join(root, SCRIPT_FILE), 'utf8')).toBe(generatedScript(root));
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

test('the page of 200 modules is as large as a browser reads at once', () => {
  const rendered = renderTopology(generatedModel(generatedCatalog(200)));
  expect(rendered.size).toBeGreaterThan(600);
  expect(Buffer.byteLength(rendered.get('index.html') ?? '')).toBeLessThan(2.5 * 2 ** 20);
});
