import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { XMLValidator } from 'fast-xml-parser';
import { pageWriter } from '../../../operations/queue';
import type { QueuedRequest } from '../../../operations/queue/read';
import type { QueueFacts } from '../../../operations/queue/tell';
import { renderQueues, renderTopology } from '../../../operations/render';
import { root, testModel } from '../../support/model';
import { queuesOf, waiting } from '../../support/queues';

// The merge queue on the topology's page, and as a picture of its own.

const render = renderQueues(testModel(), []);
const drawn = (facts: QueueFacts): { readonly page: string; readonly svg: string } => {
  const files = render(facts);
  return { page: files.get('index.html') ?? '', svg: files.get('queue.svg') ?? '' };
};
/** Texts of one class, in their order. */
const texts = (svg: string, kind: string): string[] =>
  [...svg.matchAll(new RegExp(`<text class="${kind}"[^>]*>([^<]*)</text>`, 'g'))].map(
    ([, text = '']) => text,
  );
const section = (page: string): string => /<section id="Queue"[\s\S]*?<\/section>/.exec(page)?.[0] ?? '';

test('one after the other, each with its state in a character, and what its test holds', () => {
  const states = ['merging', 'testing', 'failed', 'passed', 'waits'] as const;
  const requests = states.map((state, index) =>
    waiting(index + 1, { state, with: index === 3 ? [1, 2] : index > 0 ? [1] : [] }),
  );
  const { svg, page } = drawn(queuesOf(requests));
  expect(XMLValidator.validate(svg)).toBe(true);
  expect(texts(svg, 'name')).toEqual(
    states.map((_, index) => `${index + 1}. !${index + 1} change ${index + 1}`),
  );
  expect(texts(svg, 'mark')).toEqual(['→', '…', '✗', '✓', '·']);
  expect(texts(svg, 'within')).toEqual(
    [
      ['main', '!1'],
      ['main', '!1', '!2'],
      ['main', '!1', '!3'],
      ['main', '!1', '!2', '!4'],
      ['main', '!1', '!5'],
    ].flat(),
  );
  expect(svg).toContain(
    'switchyard/shop: 5 merge requests; 4 tested side by side, 8 at most; main at aaaaaaaaaaaa',
  );
  for (const one of requests) expect(section(page)).toContain(one.says);
  expect(section(page)).toContain('<time datetime="2026-11-28T10:00:00.000Z">20 min</time>');
  expect(section(page)).toContain('https://gitlab.test/switchyard/shop/-/merge_requests/1');
});

test('a frame holds those that are tested side by side, and what does not queue is told in words only', () => {
  const heights = (window: number): string[] =>
    [
      ...drawn(
        queuesOf(
          [1, 2, 3].map((place) => waiting(place)),
          {},
          window,
        ),
      ).svg.matchAll(/<rect class="frame"[^>]*height="(\d+)"/g),
    ].map(([, height = '']) => height);
  expect(heights(2)).toEqual(['88']);
  expect(heights(9)).toEqual(['132']);
  const { place: _place, since: _since, ...unplaced } = waiting(4);
  const draft: QueuedRequest = { ...unplaced, state: 'held', with: [], says: 'held: it is a draft' };
  const { svg, page } = drawn(queuesOf([draft]));
  expect(svg).toContain('nobody waits to be merged at 2026-11-28 10:20:00 UTC');
  expect(texts(svg, 'name')).toEqual([]);
  expect(section(page)).toContain('held: it is a draft');
  expect(section(page)).not.toContain('<figure');
});

test('many before one are counted, and the last of them are named', () => {
  const { svg } = drawn(queuesOf([waiting(9)]));
  expect(texts(svg, 'within')).toEqual(['main', '+4', '!5', '!6', '!7', '!8', '!9']);
});

test('long words are cut where the picture has no room for them, wide ones sooner, and the table has them whole', () => {
  const cutTo = (title: string): string =>
    texts(drawn(queuesOf([waiting(1, { title })])).svg, 'name')[0] ?? '';
  expect([...cutTo('x'.repeat(200))]).toHaveLength(56);
  expect(cutTo('x'.repeat(200))).toMatch(/…$/);
  expect([...cutTo('漢'.repeat(200))].length).toBeLessThanOrEqual(32);
  expect(section(drawn(queuesOf([waiting(1, { title: 'x'.repeat(100) })])).page)).toContain('x'.repeat(100));
});

test('what is idle, keeps no queue or could not be read is told', () => {
  const { page } = drawn(
    queuesOf([], {
      without: [{ module: 'billing', why: 'no reconciler' }],
      problems: ['x/y (GitLab answered 403.)'],
    }),
  );
  for (const text of ['nothing open', 'shop', 'billing: no reconciler', 'x/y (GitLab answered 403.)'])
    expect(section(page)).toContain(text);
  expect(section(drawn(queuesOf([])).page)).toContain('No merge request is open.');
});

test('equal facts give equal bytes, and without them the page is as ever', () => {
  const facts = queuesOf([waiting(1), waiting(2)]);
  expect(drawn(structuredClone(facts))).toEqual(drawn(facts));
  const { page } = drawn(facts);
  const plain = renderTopology(testModel()).get('index.html') ?? '';
  expect(plain).not.toContain('id="Queue"');
  const without = page
    .replace(section(page), '')
    .replace('<li><a href="#Queue">The merge queue</a></li>', '')
    .replace(', except for the merge queue', '');
  expect(without.replace(/\n\.queue \.picture [^\n]*/g, '').replace(/\n+/g, '\n')).toBe(
    plain.replace(/\n+/g, '\n'),
  );
});

test('text of others is text, and only a build of Jenkins’ own is a link', () => {
  const hostile = '</title></svg><script>alert(1)</script>&"\'\u0001\u202e\ud800';
  const build = (address: string) => ({
    state: 'running',
    says: 'x',
    at: '2026-11-28T10:00:00.000Z',
    build: address,
  });
  const { svg, page } = drawn(
    queuesOf([
      waiting(1, {
        title: hostile,
        author: hostile,
        says: hostile,
        first: hostile,
        status: build('javascript:alert(1)'),
      }),
      waiting(2, { status: build('https://jenkins.test.evil.example/job/1/') }),
      waiting(3, { status: build('https://jenkins.test/job/switchyard/job/shop/7/') }),
    ]),
  );
  expect(XMLValidator.validate(svg)).toBe(true);
  for (const text of [svg, section(page)]) {
    expect(text).not.toContain('<script');
    expect(text).not.toContain('javascript:');
    expect(text).not.toContain('evil.example');
    for (const mark of ['\u0001', '\u202e']) expect(text).not.toContain(mark);
    expect(text).toContain('&lt;script&gt;');
  }
  expect(section(page)).toContain('<a href="https://jenkins.test/job/switchyard/job/shop/7/">build</a>');
});

test('the page is written with all else once, then renewed alone, and loads itself anew only where it is watched', () => {
  const folder = mkdtempSync(join(tmpdir(), 'switchyard-queue-'));
  try {
    const read = (file: string) => readFileSync(join(folder, file), 'utf8');
    const stacks = join(root, 'stacks');
    const write = pageWriter(testModel(), stacks, folder);
    expect(write(queuesOf([waiting(1)]))).toMatch(/^file:.*\/index\.html$/);
    expect(read('index.html')).toContain('its tests run now');
    expect(read('index.html')).not.toContain('http-equiv="refresh"');
    expect(read('.switchyard-rendered')).toContain('queue.svg');
    expect(existsSync(join(folder, 'resources.md'))).toBe(true);
    rmSync(join(folder, 'resources.md'));
    write(queuesOf([waiting(1, { says: 'is merged now' })]));
    expect(read('index.html')).toContain('is merged now');
    expect(existsSync(join(folder, 'resources.md'))).toBe(false);
    pageWriter(testModel(), stacks, folder, true)(queuesOf([]));
    expect(read('index.html')).toContain('<meta http-equiv="refresh" content="10">');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
