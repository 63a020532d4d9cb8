import { counted, type ModuleFacts, podsOf, type Site, servicesInUse } from './facts';
import { cut, html, Markup, PALETTE } from './markup';

/** All lengths are pixels of the picture's own size, which a README shows nearly unscaled. */
const WIDTH = 968;
const BOX = { width: 148, height: 108, top: 120, first: 30, step: 190 } as const;
const FRAME = { top: 84, bottom: BOX.top + BOX.height + 16, padding: 10 } as const;
const ROW = { height: 56, step: 66 } as const;
/** Where the columns of the modules' rows begin. */
const COLUMNS = { name: 30, services: 312, runs: 618, reached: 776 } as const;

const left = (column: number): number => BOX.first + column * BOX.step;

const words = (x: number, y: number, kind: string, text: string): Markup =>
  html`<text class="${kind}" x="${x}" y="${y}">${text}</text>`;

/** A box of the way with the lines in it, each as long as surely fits. */
function box(column: number, title: string, lines: readonly string[]): Markup {
  const x = left(column) + 12;
  return html`<g><title>${[title, ...lines].join('\n')}</title><rect class="box" x="${left(column)}" y="${BOX.top}" width="${BOX.width}" height="${BOX.height}" rx="8"/>${words(x, BOX.top + 25, 'name', cut(title, 18))}${lines.map((line, index) => words(x, BOX.top + 47 + index * 17, 'soft', cut(line, 21)))}</g>`;
}

/** @param columns that it spans */
function arrow(column: number, label: string, columns = 1): Markup {
  const from = left(column) + BOX.width + 3;
  const to = left(column + columns) - 3;
  const y = BOX.top + BOX.height / 2;
  return html`<path class="flow" d="M${from} ${y}H${to}" marker-end="url(#Tip)"/>${words((from + to) / 2, y - 8, 'label', label)}`;
}

function frame(first: number, last: number, label: string): Markup {
  const x = left(first) - FRAME.padding;
  const width = left(last) + BOX.width + FRAME.padding - x;
  return html`<rect class="frame" x="${x}" y="${FRAME.top}" width="${width}" height="${FRAME.bottom - FRAME.top}" rx="12"/>${words(x + 14, FRAME.top + 22, 'where', label)}`;
}

const host = (url: string): string => url.replace(/^[a-z]+:\/\//, '').replace(/\/$/, '');

/** The way of a commit through the parts that all modules share, and back to its author. */
function way(site: Site): Markup {
  const { clusters, modules } = site;
  const frames = clusters.one
    ? frame(1, 4, `cluster ${clusters.ci}`)
    : html`${frame(1, 3, `cluster ${clusters.ci}`)}${frame(4, 4, cut(`cluster ${clusters.production}`, 24))}`;
  const pods = modules.reduce((sum, { replicas }) => sum + replicas, 0);
  const services = modules.reduce(
    (sum, one) => sum + one.services.filter(({ existing }) => !existing).length,
    0,
  );
  const back = FRAME.bottom + 30;
  const production = box(4, 'Production', [
    counted(modules.length, 'module'),
    counted(pods, 'Pod'),
    counted(services, 'database'),
  ]);
  const registry = box(2, 'Registry', ['every image', 'by its digest', host(site.registry.url)]);
  if (site.promotedFrom)
    return html`${frames}
${box(0, 'GitLab', [`group ${site.gitlab.group}`, 'release ledger', host(site.gitlab.url)])}
${box(1, 'Jenkins', ['going back', '', host(site.jenkins.url)])}
${registry}
${production}
${arrow(0, 'ledger')}${arrow(2, 'digest', 2)}
${words(left(2) + BOX.width / 2, back - 7, 'label', `what ${cut(site.promotedFrom, 30)} tested, and people promoted, by its digest and its certificate`)}`;
  const [author, tests] = [left(0) + BOX.width / 2, left(3) + BOX.width / 2];
  return html`${frames}
${box(0, 'GitLab', [`group ${site.gitlab.group}`, counted(modules.length, 'project'), host(site.gitlab.url)])}
${box(1, 'Jenkins', [`${counted(modules.length, 'job')}, one each`, 'BuildKit builds', host(site.jenkins.url)])}
${registry}
${box(3, 'Test Pods', ['the module,', 'its services,', 'Robot Framework'])}
${production}
${arrow(0, 'hook')}${arrow(1, 'build')}${arrow(2, 'digest')}${arrow(3, 'ledger')}
<path class="flow" d="M${tests} ${BOX.top + BOX.height + 3}V${back}H${author}V${BOX.top + BOX.height + 3}" marker-end="url(#Tip)"/>
${words((author + tests) / 2, back - 7, 'label', 'results go back as a status and a note; green is merged by sha')}`;
}

function backup({ backup: facts }: Site, y: number): Markup {
  if (!facts) return html``;
  const text = `${facts.kinds.join(', ')} → ${facts.repository}`;
  return html`<g><title>Backup: ${text}, at ${facts.schedule} UTC</title><rect class="aside" x="16" y="${y}" width="${WIDTH - 32}" height="38" rx="8"/>${words(30, y + 24, 'name', 'Backup')}${words(98, y + 24, 'soft', cut(text, 122))}</g>`;
}

/** Services as labels side by side, as many as fit; the last one says how many do not. */
function chips({ services }: ModuleFacts, y: number): Markup {
  const parts: Markup[] = [];
  let x: number = COLUMNS.services;
  for (const [index, { name, kind, version }] of services.entries()) {
    const rest = services.length - index;
    const label = cut(name === kind ? `${kind} ${version}` : `${name}: ${kind} ${version}`, 30);
    const width = [...label].length * 7 + 16;
    const room = COLUMNS.runs - 10 - (rest > 1 ? 34 : 0);
    if (x + width > room && index > 0) {
      parts.push(words(x + 2, y + 16, 'soft', `+${rest}`));
      break;
    }
    parts.push(
      html`<rect class="chip" x="${x}" y="${y}" width="${width}" height="24" rx="12"/>${words(x + 8, y + 16, 'small', label)}`,
    );
    x += width + 6;
  }
  return parts.length > 0 ? html`${parts}` : words(x, y + 16, 'soft', 'no services');
}

function row(module: ModuleFacts, y: number): Markup {
  const about = `${module.owners.join(', ')}: ${module.description}`;
  const reached = module.reached.length > 0 ? module.reached : ['inside the cluster'];
  return html`<g><title>${module.name}: ${module.description}</title><rect class="box" x="16" y="${y}" width="${WIDTH - 32}" height="${ROW.height}" rx="8"/>${words(COLUMNS.name, y + 23, 'name', cut(module.name, 40))}${words(COLUMNS.name, y + 42, 'soft', cut(about, 43))}${chips(module, y + 16)}${words(COLUMNS.runs, y + 23, 'text', cut(module.production.name, 21))}${words(COLUMNS.runs, y + 42, 'soft', podsOf(module))}${words(COLUMNS.reached, y + 23, 'text', cut(host(reached[0] ?? ''), 25))}${words(COLUMNS.reached, y + 42, 'soft', `${module.merge} merge`)}</g>`;
}

const TIP = html`<defs><marker id="Tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto"><path class="tip" d="M0 0L8 4L0 8z"/></marker></defs>`;

const RULES = [
  'text{font:13px system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;fill:var(--text)}',
  '.heading{font-size:21px;font-weight:600}',
  '.name{font-size:14px;font-weight:600}',
  '.soft{fill:var(--soft);font-size:12px}',
  '.small{font-size:11.5px}',
  '.head{fill:var(--accent);font-size:12px;font-weight:600}',
  '.where{fill:var(--accent);font-size:12px;font-weight:600}',
  '.label{fill:var(--soft);font-size:11px;text-anchor:middle;paint-order:stroke;stroke:var(--ground);stroke-width:5px;stroke-linejoin:round}',
  '.box{fill:var(--box);stroke:var(--line)}',
  '.chip{fill:var(--tint)}',
  '.frame{fill:none;stroke:var(--edge);stroke-dasharray:5 4}',
  '.aside{fill:none;stroke:var(--line)}',
  '.flow{stroke:var(--edge);stroke-width:1.5;fill:none}',
  '.tip{fill:var(--edge)}',
  '.ground{fill:var(--ground)}',
];

/** How the picture looks. @param scope what each rule is put below, since a page has rules of its own */
export const pictureStyle = (scope = ''): Markup =>
  new Markup(RULES.map((rule) => `${scope}${rule}`).join('\n'));

/** The way alone, for a page that tells of the modules itself; it follows that page's {@link pictureStyle}. */
export function wayDrawing(site: Site): Markup {
  const top = FRAME.top - 8;
  const bottom = FRAME.bottom + 40;
  return html`<svg viewBox="8 ${top} ${WIDTH - 8} ${bottom - top}" role="img" aria-label="GitLab, Jenkins, registry, test Pods, production">${TIP}${way(site)}</svg>`;
}

/** The picture as one SVG file that needs nothing else and follows the reader's light or dark setting. */
export function topologySvg(site: Site): string {
  const aside = FRAME.bottom + 50;
  const heads = aside + (site.backup ? 38 + 38 : 10);
  const first = heads + 14;
  const height = first + site.modules.length * ROW.step + 10;
  const inUse = [...servicesInUse(site)].map(([kind, versions]) => `${kind} ${versions.join(' and ')}`);
  return html`<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-labelledby="title about">
<title id="title">Topology of ${site.title}</title>
<desc id="about">${[...site.about, ...inUse].join('; ')}</desc>
<style>
${PALETTE}
${pictureStyle()}
</style>
${TIP}
<rect class="ground" width="${WIDTH}" height="${height}"/>
${words(16, 36, 'heading', `Topology of ${site.title}`)}
${words(16, 60, 'soft', site.about.join(' · '))}
${way(site)}
${backup(site, aside)}
${words(COLUMNS.name, heads, 'head', 'module')}${words(COLUMNS.services, heads, 'head', 'tested with, and runs with')}${words(COLUMNS.runs, heads, 'head', 'runs in')}${words(COLUMNS.reached, heads, 'head', 'reached at')}
${site.modules.map((module, index) => html`${row(module, first + index * ROW.step)}\n`)}</svg>
`.source;
}
