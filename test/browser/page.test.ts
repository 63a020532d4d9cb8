import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Browser, chromium, type Page } from 'playwright-core';
import { parseCatalog } from '../../catalog/load';
import type { Model } from '../../components/model';
import type { QueueFacts } from '../../operations/queue/tell';
import { renderQueues, renderTopology, writeRendered } from '../../operations/render';
import type { OtherEnvironment } from '../../operations/render/facts';
import { generatedCatalog, generatedModel } from '../support/catalog';
import { catalogTexts, testModel } from '../support/model';
import { queuesOf, waiting } from '../support/queues';

jest.setTimeout(300_000);

/** Debian's, or another that is named. */
const BROWSER = process.env.SWITCHYARD_CHROMIUM ?? '/usr/bin/chromium';

const folder = mkdtempSync(join(tmpdir(), 'switchyard-browser-'));
let browser: Browser;
let page: Page;
/** What went wrong in a page, and what it asked for beside itself. */
const complaints: string[] = [];
const requests: string[] = [];

const staging = (modules: readonly string[]): OtherEnvironment => ({
  name: 'staging',
  modules,
  clusters: { ci: 'one', production: 'one' },
  group: 'switchyard',
  gitlab: 'https://gitlab.test',
  jenkins: 'https://jenkins.test',
});

function written(name: string, model: Model, others: readonly OtherEnvironment[] = []): string {
  const out = join(folder, name);
  writeRendered(renderTopology(model, undefined, others), out);
  return pathToFileURL(join(out, 'index.html')).href;
}

const large = generatedModel(generatedCatalog(200));
const pages = {
  small: written('small', testModel()),
  large: written('large', large, [staging(['module-000', 'module-007'])]),
};

/** The rows that are there to see, by name. */
const shown = async (): Promise<string[]> => page.locator('details.module:visible h3').allTextContents();
const openOnes = async (): Promise<string[]> =>
  page.locator('details.module[open] > summary h3').allTextContents();
// Roles and names are looked for below the form: in the whole page of 200 modules that takes a second each time.
const form = () => page.locator('#Filters');
const search = () => form().getByRole('searchbox', { name: 'Search' });
const choice = (name: string) => form().getByRole('combobox', { name });
const focusedRow = () => page.evaluate<string>("document.activeElement?.closest('details')?.id ?? ''");

async function go(address: string): Promise<void> {
  await page.goto('about:blank');
  await page.goto(address);
}

beforeAll(async () => {
  if (!existsSync(BROWSER)) {
    throw new Error(
      `${BROWSER} is missing: apt-get install --no-install-recommends chromium, or name another in SWITCHYARD_CHROMIUM.`,
    );
  }
  browser = await chromium.launch({
    executablePath: BROWSER,
    headless: true,
    timeout: 120_000,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
  page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
  // Long enough for a machine that does much else.
  page.setDefaultTimeout(120_000);
  page.on('console', (message) => complaints.push(`${message.type()}: ${message.text()}`));
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('request', (request) => requests.push(request.url()));
});

afterAll(async () => {
  await browser?.close();
  rmSync(folder, { recursive: true, force: true });
});

afterEach(() => {
  expect(complaints).toEqual([]);
  // A page, once for each visit, and nothing else.
  expect(requests.filter((url) => !/^file:.*\/index\.html/.test(url))).toEqual([]);
});

test('200 modules: all are listed, and the page is not wider than its window, wide or narrow, light or dark', async () => {
  for (const [width, colorScheme] of [
    [1280, 'light'],
    [400, 'dark'],
  ] as const) {
    await page.setViewportSize({ width, height: 900 });
    await page.emulateMedia({ colorScheme });
    await go(pages.large);
    expect(await shown()).toHaveLength(200);
    expect(await page.locator('#Count').textContent()).toBe('200 modules');
    expect(await page.evaluate<number>('document.documentElement.scrollWidth')).toBe(width);
  }
  await page.setViewportSize({ width: 1280, height: 900 });
  await page.emulateMedia({ colorScheme: null });
});

test('search finds by every word, in names, services, owners, images and addresses', async () => {
  await go(pages.large);
  await search().fill('MODULE-01 kafka');
  const found = large.modules.filter(
    ({ name, services }) => name.startsWith('module-01') && services.some(({ kind }) => kind === 'kafka'),
  );
  expect(found.length).toBeGreaterThan(1);
  expect(await shown()).toEqual(found.map(({ name }) => name));
  expect(await page.locator('#Count').textContent()).toBe(`${found.length} of 200 modules`);
  await search().fill('prod-module-123');
  expect(await shown()).toEqual(['module-123']);
  await search().fill('owner-3');
  expect(await shown()).toEqual(
    large.modules.filter(({ owners }) => owners.includes('owner-3')).map(({ name }) => name),
  );
  await search().fill('no such thing');
  expect(await shown()).toEqual([]);
  expect(await page.locator('#None').isVisible()).toBe(true);
  await page.locator('#None').getByRole('link', { name: 'Show all.' }).click();
  expect(await shown()).toHaveLength(200);
});

test('filters by owner, service and environment narrow together, stand in the address, and come back with it', async () => {
  await go(pages.large);
  const having = (kind: string, owner: string) =>
    large.modules
      .filter(({ services, owners }) => owners.includes(owner) && services.some((use) => use.kind === kind))
      .map(({ name }) => name);
  await choice('Service').selectOption('redis');
  await choice('Owner').selectOption('owner-2');
  const expected = having('redis', 'owner-2');
  expect(expected.length).toBeGreaterThan(1);
  expect(await shown()).toEqual(expected);
  const address = page.url();
  expect(address).toMatch(/#\?owner=owner-2&service=redis$/);
  await go(address);
  expect(await shown()).toEqual(expected);
  await form().getByRole('button', { name: 'Clear' }).click();
  await page.locator('#Count', { hasText: /^200 modules$/ }).waitFor();
  expect(await shown()).toHaveLength(200);
  expect(page.url()).not.toContain('#');
  await choice('Environment').selectOption('staging');
  expect(await shown()).toEqual(['module-000', 'module-007']);
});

test("a module's name after # opens it, also when a filter hides it, and a click writes it there", async () => {
  await go(`${pages.large}#module-150`);
  expect(await openOnes()).toEqual(['module-150']);
  await page.locator('#module-150 > summary:focus').waitFor();
  expect(await page.locator('#module-150').evaluate((row) => row.getBoundingClientRect().top)).toBeLessThan(
    200,
  );

  await go(`${pages.large}#?q=module-003`);
  expect(await shown()).toEqual(['module-003']);
  await page.evaluate("location.hash = 'module-150'");
  await page.locator('#module-150[open]').waitFor();
  expect(await shown()).toHaveLength(200);

  await go(pages.small);
  await page.locator('#shop > summary').click();
  expect(page.url()).toMatch(/#shop$/);
  await page.locator('#shop > summary').click();
  expect(page.url()).not.toContain('#');
});

test('a link in a module filters the list by what it says', async () => {
  await go(`${pages.large}#module-000`);
  await page.locator('#module-000').getByRole('link', { name: 'owner-0' }).click();
  const own = large.modules.filter(({ owners }) => owners.includes('owner-0')).map(({ name }) => name);
  await page.locator('#Count', { hasText: `${own.length} of 200 modules` }).waitFor();
  expect(await shown()).toEqual(own);
});

test('all of it can be done by keys', async () => {
  await go(pages.large);
  await page.keyboard.press('/');
  await page.keyboard.type('module-00');
  expect(await shown()).toHaveLength(10);
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('ArrowDown');
  expect(await focusedRow()).toBe('module-001');
  await page.keyboard.press('Enter');
  expect(await openOnes()).toEqual(['module-001']);
  await page.keyboard.press('Escape');
  expect(await openOnes()).toEqual([]);
  expect(await focusedRow()).toBe('module-001');
  await page.keyboard.press('ArrowUp');
  await page.keyboard.press('ArrowUp');
  expect(await search().evaluate((input) => input === input.ownerDocument.activeElement)).toBe(true);
  await page.keyboard.press('Escape');
  expect(await shown()).toHaveLength(200);
  // The first thing that Tab reaches leads past the bar.
  await go(pages.large);
  await page.keyboard.press('Tab');
  expect(await page.evaluate<string>('document.activeElement.textContent')).toBe('To the modules');
});

test('all can be opened and closed at once, and only what is shown', async () => {
  await go(pages.large);
  await search().fill('module-00');
  await form().getByRole('button', { name: 'Open all, close all' }).click();
  expect(await openOnes()).toHaveLength(10);
  await form().getByRole('button', { name: 'Open all, close all' }).click();
  expect(await openOnes()).toEqual([]);
});

test('an open module tells where it runs, its versions, quota, addresses, isolation and Secrets by name', async () => {
  await go(`${pages.small}#shop`);
  const shop = await page.locator('#shop').textContent();
  for (const text of [
    'test-shop on cluster one',
    'prod-shop on cluster two',
    'cache:1.0',
    'shop.prod-shop.svc:80',
    'cache.prod-shop.svc:6379',
    'at most 7 Pods, 16 CPU, 32Gi memory, 1 volume',
    'In: TCP 6379 of its services',
    'cache-credentials: password; derived from the seed',
    'switchyard up test --only shop',
  ]) {
    expect(shop).toContain(text);
  }
});

test('hostile text is shown as text, and runs nothing', async () => {
  const hostile =
    '</style></title><script>document.title="owned"</script><img src=x onerror="document.title=1"> &lt;b&gt; &amp; {{x}}';
  const text = `description: ${JSON.stringify(hostile)}\nowners: [ada]\nservices: [{ kind: cache, version: "1.0" }]\nenvironment: { A: ${JSON.stringify(hostile)} }\ntest: { command: ${JSON.stringify(hostile)} }\n`;
  const { modules, services } = parseCatalog({ ...catalogTexts, modules: { 'shop.yaml': text } });
  // The catalog takes only names of users as owners; the page must not lean on that.
  const catalog = { services, modules: modules.map((module) => ({ ...module, owners: [hostile] })) };
  await go(`${written('hostile', testModel({ catalog, modules: catalog.modules }))}#shop`);
  expect(await page.title()).toBe('Topology of test');
  expect(await page.locator('#shop summary h3 + p').textContent()).toBe(hostile);
  expect(await page.locator('#shop .steps').textContent()).toContain(hostile);
  expect(await page.locator('script').count()).toBe(1);
  expect(await page.locator('img').count()).toBe(0);
  // What it links to is a filter for exactly that text.
  await page.locator('#shop').getByRole('link', { name: hostile }).click();
  expect(await shown()).toEqual(['shop']);
  expect(await page.title()).toBe('Topology of test');
});

/** The small page with who waits to be merged. */
function writtenWithQueue(name: string, facts: QueueFacts): string {
  const out = join(folder, name);
  const model = testModel();
  writeRendered(new Map([...renderTopology(model), ...renderQueues(model, [])(facts)]), out);
  return pathToFileURL(join(out, 'index.html')).href;
}

test.each([
  [1280, 'light'],
  [400, 'dark'],
] as const)('the merge queue is a picture and a table, %i wide, %s', async (width, colorScheme) => {
  await page.setViewportSize({ width, height: 900 });
  await page.emulateMedia({ colorScheme });
  const hostile =
    '</title></svg><script>document.title="owned"</script><img src=x onerror="document.title=1">';
  const facts = queuesOf([
    waiting(1, { state: 'passed', title: hostile, says: hostile }),
    waiting(2, { state: 'testing' }),
    waiting(3, { state: 'failed' }),
  ]);
  await go(`${writtenWithQueue(`queue-${width}`, facts)}#Queue`);
  expect(await page.title()).toBe('Topology of test');
  expect(await page.evaluate<number>('document.documentElement.scrollWidth')).toBe(width);
  expect(await page.locator('script').count()).toBe(1);
  expect(await page.locator('img').count()).toBe(0);
  const picture = page.locator('#Queue figure svg');
  expect(await picture.locator('circle').count()).toBe(3);
  expect(await picture.locator('.mark').allTextContents()).toEqual(['✓', '…', '✗']);
  expect(await picture.locator('.within').allTextContents()).toEqual(
    [
      ['main', '!1'],
      ['main', '!1', '!2'],
      ['main', '!1', '!2', '!3'],
    ].flat(),
  );
  // No line of words runs into the blocks beside it, and none leaves the picture.
  const overlaps = await page.evaluate<number>(`(() => {
    const svg = document.querySelector('#Queue figure svg');
    const right = (one) => one.getBoundingClientRect().right;
    const blocks = Math.min(...[...svg.querySelectorAll('.chip')].map((one) => one.getBoundingClientRect().left));
    const words = [...svg.querySelectorAll('g .name, g .soft')].filter((one) => right(one) > blocks);
    return words.length + [...svg.querySelectorAll('rect')].filter((one) => right(one) > right(svg)).length;
  })()`);
  expect(overlaps).toBe(0);
  expect(await page.locator('#Queue tbody th').allTextContents()).toEqual(['1', '2', '3']);
  expect(await page.locator('#Queue tbody tr').first().textContent()).toContain(hostile);
  expect(await page.locator('#Queue tbody a').first().getAttribute('href')).toBe(
    'https://gitlab.test/switchyard/shop/-/merge_requests/1',
  );
  await page.setViewportSize({ width: 1280, height: 900 });
  await page.emulateMedia({ colorScheme: null });
});

test('headings go down step by step, every field has a name, and ids are there once', async () => {
  await go(`${pages.small}#shop`);
  const levels = await page
    .locator('h1, h2, h3, h4')
    .evaluateAll((all) => all.map((heading) => Number(heading.tagName.slice(1))));
  expect(levels[0]).toBe(1);
  expect(levels.filter((level) => level === 1)).toHaveLength(1);
  levels.forEach((level, index) => {
    expect(level - (levels[index - 1] ?? 0)).toBeLessThanOrEqual(1);
  });
  const ids = await page.locator('[id]').evaluateAll((all) => all.map(({ id }) => id));
  expect(new Set(ids).size).toBe(ids.length);
  const unnamed = await page
    .locator('input, select, button')
    .evaluateAll(
      (all) => all.filter((field) => !(field.closest('label') ?? field).textContent?.trim()).length,
    );
  expect(unnamed).toBe(0);
  expect(await page.locator('html').getAttribute('lang')).toBe('en');
});

test.each(['light', 'dark'] as const)(
  'text stands out from its ground by 7 to 1 or more, %s',
  async (colorScheme) => {
    await page.emulateMedia({ colorScheme });
    await go(`${pages.small}#shop`);
    // Relative luminance and contrast as WCAG 2.2 defines them.
    const worst = await page.evaluate<number>(`(() => {
    const light = (text) => {
      const [r, g, b] = text.match(/[\\d.]+/g).map(Number).map((part) => part / 255)
        .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const ground = (element) => {
      for (let here = element; here; here = here.parentElement) {
        const colour = getComputedStyle(here).backgroundColor;
        if (!/^rgba\\(.*, 0\\)$/.test(colour)) return colour;
      }
      return getComputedStyle(document.body).backgroundColor;
    };
    return Math.min(...[...document.querySelectorAll('main :not(svg *)')]
      .filter((element) => [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim()))
      .map((element) => {
        const [a, b] = [light(getComputedStyle(element).color), light(ground(element))];
        return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
      }));
  })()`);
    expect(worst).toBeGreaterThanOrEqual(7);
    await page.emulateMedia({ colorScheme: null });
  },
);

test('on paper there is no form and no bar, and what is open is printed', async () => {
  await go(`${pages.small}#shop`);
  await page.emulateMedia({ media: 'print' });
  expect(await page.locator('#Filters').isVisible()).toBe(false);
  expect(await page.locator('.bar').isVisible()).toBe(false);
  expect(await page.locator('#shop .inside').isVisible()).toBe(true);
  await page.emulateMedia({ media: null });
});

test('without its script the page is whole', async () => {
  const bare = await browser.newContext({ javaScriptEnabled: false });
  try {
    const plain = await bare.newPage();
    await plain.goto(pages.small);
    await plain.locator('#shop > summary').click();
    expect(await plain.locator('#shop .inside').isVisible()).toBe(true);
    // What only the script can do is not offered.
    expect(await plain.locator('#Filters').isVisible()).toBe(false);
  } finally {
    await bare.close();
  }
});
