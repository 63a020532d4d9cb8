import type { Standing } from '../../delivery/queue/decide';
import { moment } from '../../text/moment';
import { plainText } from '../../text/terminal';
import { ago } from '../cli/ago';
import type { ModuleQueue, QueuedRequest } from '../queue/read';
import type { QueueFacts } from '../queue/tell';
import { counted, type Site } from './facts';
import { cut, html, Markup, PALETTE, type Part } from './markup';
import { facts, lines, table } from './page/parts';

// The merge queues as GitLab has them at one moment: who is tested on what, as a picture and in words. Titles and names are
// those of whoever opened a merge request: text, and nothing else.

/** All lengths are pixels of the picture's own size. */
const WIDTH = 968;
const HEAD = 64;
const ROW = 44;
/** Where the line of main is, and where what a row's test holds begins. */
const LINE = 34;
const BLOCKS = { left: 560, step: 54, width: 48, height: 24, most: 7 } as const;

interface Look {
  /** In one character: colours alone are not enough. */
  readonly mark: string;
  readonly kind: 'goes' | 'good' | 'bad' | 'idle';
}

const LOOKS: Readonly<Record<Standing, Look>> = {
  testing: { mark: '…', kind: 'goes' },
  merging: { mark: '→', kind: 'good' },
  passed: { mark: '✓', kind: 'good' },
  failed: { mark: '✗', kind: 'bad' },
  conflicts: { mark: '≠', kind: 'bad' },
  'taken out': { mark: '✗', kind: 'bad' },
  'broke off': { mark: '↻', kind: 'idle' },
  waits: { mark: '·', kind: 'idle' },
  held: { mark: '‖', kind: 'idle' },
};

/** What marks mean, in the order of a way through the queue. */
const LEGEND: readonly (readonly [Standing, string])[] = [
  ['waits', 'waits'],
  ['testing', 'tested now'],
  ['broke off', 'broke off, tried again'],
  ['passed', 'passed, waits for those before it'],
  ['failed', 'failed with those before it'],
  ['conflicts', 'conflicts with those before it'],
  ['merging', 'merged now'],
];

const words = (x: number, y: number, kind: string, text: string): Markup =>
  html`<text class="${kind}" x="${x}" y="${y}">${text}</text>`;

/** From here on (Hangul, Chinese, emoji, …) characters are about twice as wide as others. */
const WIDE = 0x1100;

/** The text, cut to about so many characters of usual width. */
function fitted(text: string, width: number): string {
  let used = 0;
  const fits = [...text].findIndex((one) => {
    used += (one.codePointAt(0) ?? 0) >= WIDE ? 2 : 1;
    return used > width;
  });
  return fits < 0 ? text : cut(text, fits);
}

const queuedOf = ({ requests }: ModuleQueue): readonly QueuedRequest[] =>
  requests.filter(({ place }) => place !== undefined);

/** Only where such an address can lead: to GitLab's own page of the merge request. */
const linked = (gitlab: string, project: string, iid: number, what: Part): Markup =>
  html`<a href="${`${gitlab}/${project.split('/').map(encodeURIComponent).join('/')}/-/merge_requests/${iid}`}">${what}</a>`;

/** A build's address is what a status says, and anybody who may push can post one: only Jenkins' own is a link. */
const buildOf = ({ status }: QueuedRequest, jenkins: string): Part =>
  status?.build?.startsWith(`${jenkins.replace(/\/+$/, '')}/`) === true &&
  html` (<a href="${status.build}">build</a>)`;

const block = (column: number, y: number, kind: string, text: string): Markup => {
  const x = BLOCKS.left + column * BLOCKS.step;
  return html`<rect class="${kind}" x="${x}" y="${y}" width="${BLOCKS.width}" height="${BLOCKS.height}" rx="5"/>${words(x + BLOCKS.width / 2, y + 16, 'within', cut(text, 7))}`;
};

/** What main will be by a row's test: main, those before it, and itself. */
function tree({ mergeRequest, with: before }: QueuedRequest, y: number): Markup {
  const room = BLOCKS.most - 2;
  const shown = before.length > room ? before.slice(before.length - room + 1) : before;
  const left = before.length - shown.length;
  const inner = [...(left > 0 ? [`+${left}`] : []), ...shown.map((iid) => `!${iid}`)];
  return html`${block(0, y, 'chip', 'main')}${inner.map((text, index) => block(index + 1, y, 'chip', text))}${block(inner.length + 1, y, 'own', `!${mergeRequest}`)}`;
}

const wordsOf = (one: QueuedRequest): string =>
  plainText(one.first ? `put first by ${one.first}; ${one.says}` : one.says);

function row(one: QueuedRequest, gitlab: string, project: string, y: number): Markup {
  const { mark, kind } = LOOKS[one.state];
  const by = one.author ? `, ${plainText(one.author)}` : '';
  return html`<g><title>${`!${one.mergeRequest} ${plainText(one.title)}${by}: ${wordsOf(one)}`}</title><circle class="${kind}" cx="${LINE}" cy="${y + 20}" r="11"/>${words(LINE, y + 24.5, 'mark', mark)}${linked(
    gitlab,
    project,
    one.mergeRequest,
    words(58, y + 17, 'name', fitted(`${one.place}. !${one.mergeRequest} ${plainText(one.title)}`, 56)),
  )}${words(58, y + 34, 'soft', fitted(wordsOf(one), 70))}${tree(one, y + 8)}</g>`;
}

/** One module's queue: main above, below it who comes into it in which order, and the frame of those that are tested now. */
function drawing(queue: ModuleQueue, gitlab: string, top: number): Markup {
  const queued = queuedOf(queue);
  const { module, project, window, most, main } = queue;
  const first = top + HEAD;
  const bottom = first + queued.length * ROW;
  const framed = Math.min(window, queued.length);
  return html`${words(16, top + 22, 'heading', cut(module, 40))}${words(16, top + 42, 'soft', cut(`${project}: ${counted(queued.length, 'merge request')}; ${window} tested side by side, ${most} at most; main at ${main.slice(0, 12)}`, 120))}
${queued.length > 0 && html`<path class="flow" d="M${LINE} ${first - 8}V${bottom - ROW + 20}"/>`}${framed > 0 && html`<rect class="frame" x="12" y="${first - 1}" width="${WIDTH - 24}" height="${framed * ROW}" rx="8"/>`}
${queued.map((one, index) => html`${row(one, gitlab, project, first + index * ROW)}\n`)}`;
}

const heightOf = (queue: ModuleQueue): number => HEAD + queuedOf(queue).length * ROW + 8;

const RULES = [
  'text{font:13px system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;fill:var(--text)}',
  '.heading{font-size:16px;font-weight:600}',
  '.name{font-weight:600}',
  '.soft{fill:var(--soft);font-size:12px}',
  '.within{font-size:11.5px;text-anchor:middle}',
  '.mark{font-size:13px;font-weight:600;text-anchor:middle}',
  '.flow{stroke:var(--edge);stroke-width:2;fill:none}',
  '.frame{fill:none;stroke:var(--edge);stroke-dasharray:5 4}',
  '.chip{fill:var(--sunk)}',
  '.own{fill:var(--tint);stroke:var(--accent)}',
  '.goes{fill:var(--tint);stroke:var(--accent);stroke-width:2;stroke-dasharray:4 3}',
  '.good{fill:var(--tint);stroke:var(--accent);stroke-width:2}',
  '.bad{fill:var(--ground);stroke:var(--text);stroke-width:2}',
  '.idle{fill:var(--ground);stroke:var(--edge);stroke-width:1.5}',
  '.ground{fill:var(--ground)}',
  'a:hover .name{text-decoration:underline}',
];

/** How the picture looks. @param scope what each rule is put below, since a page has rules of its own */
export const queueStyle = (scope = ''): Markup =>
  new Markup(RULES.map((rule) => `${scope}${rule}`).join('\n'));

const waiting = ({ modules }: QueueFacts): readonly ModuleQueue[] =>
  modules.filter((queue) => queuedOf(queue).length > 0);

/** All queues as one SVG file that needs nothing else and follows the reader's light or dark setting. */
export function queueSvg(queue: QueueFacts, { gitlab, title }: Pick<Site, 'gitlab' | 'title'>): string {
  const shown = waiting(queue);
  const tops = shown.map((_, index) =>
    shown.slice(0, index).reduce((sum, one) => sum + heightOf(one) + 12, 40),
  );
  const height = shown.reduce((sum, one) => sum + heightOf(one) + 12, 44);
  return html`<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" aria-labelledby="title">
<title id="title">Merge queues of ${title} at ${moment(queue.at)}</title>
<style>
${PALETTE}
${queueStyle()}
</style>
<rect class="ground" width="${WIDTH}" height="${height}"/>
${words(16, 26, 'soft', shown.length > 0 ? `${title}: who waits to be merged at ${moment(queue.at)}` : `${title}: nobody waits to be merged at ${moment(queue.at)}`)}
${shown.map((one, index) => drawing(one, gitlab.url, tops[index] ?? 0))}
</svg>
`.source;
}

function requestRow(
  one: QueuedRequest,
  { project }: ModuleQueue,
  { gitlab, jenkins }: Site,
  at: string,
): Part[] {
  const { place, mergeRequest, title, author, since } = one;
  return [
    place === undefined ? '–' : String(place),
    html`${linked(gitlab.url, project, mergeRequest, `!${mergeRequest}`)} ${cut(plainText(title), 120)}`,
    author ? plainText(author) : '',
    since ? html`<time datetime="${since}">${ago(since, at)}</time>` : '',
    html`${wordsOf(one)}${buildOf(one, jenkins.url)}`,
  ];
}

function moduleQueue(queue: ModuleQueue, site: Site, at: string): Markup {
  const { module, requests } = queue;
  const queued = queuedOf(queue).length;
  return html`<div class="queue"><h3><a href="#${module}">${module}</a></h3>${
    queued > 0 &&
    html`<figure class="picture" tabindex="0" role="group" aria-label="The merge queue of ${module}"><svg viewBox="0 0 ${WIDTH} ${heightOf(queue)}">${drawing(queue, site.gitlab.url, 0)}</svg></figure>`
  }${table(
    `Merge requests of ${module}`,
    ['place', 'merge request', 'author', 'ready', 'what'],
    requests.map((one) => requestRow(one, queue, site, at)),
  )}</div>`;
}

/** The queues as a part of the topology's page: a picture of each, and all of it in words below. */
export function queueSection(queue: QueueFacts, site: Site): Markup {
  const { at, modules, without, problems } = queue;
  const open = modules.filter(({ requests }) => requests.length > 0);
  const idle = modules.filter(({ requests }) => requests.length === 0).map(({ module }) => module);
  return html`${open.length === 0 && problems.length === 0 && html`<p>No merge request is open.</p>`}${open.map((one) => moduleQueue(one, site, at))}${
    waiting(queue).length > 0 &&
    html`<p class="soft">${LEGEND.map(([state, means]) => `${LOOKS[state].mark} ${means}`).join(' · ')}. A frame holds those that are tested side by side; to the right is what each one's test holds.</p>`
  }${facts([
    ['nothing open', idle.join(', ')],
    ['no queue', without.length > 0 && lines(without.map(({ module, why }) => `${module}: ${why}`))],
    ['not read', problems.length > 0 && lines(problems.map((problem) => plainText(problem)))],
  ])}`;
}
