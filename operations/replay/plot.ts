import { scalingTimes } from '../../catalog/scaling';
import { cut, html, Markup, PALETTE } from '../render/markup';
import { type Run, simulate, type World } from './simulate';
import { duration, planText } from './tell';
import type { Trace } from './trace';

const WIDTH = 968;
const LEFT = 70;
const RIGHT = 20;
const PANEL = { height: 180, top: 70, step: 230 } as const;
/** Points of a line: what is denser cannot be seen. */
const POINTS = 440;

const words = (x: number, y: number, kind: string, text: string): Markup =>
  html`<text class="${kind}" x="${x}" y="${y}">${text}</text>`;

const short = (value: number): string => String(Number(value.toPrecision(3)));

/** The next round number that is no less. */
function round(value: number): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1)));
  return [1, 1.5, 2, 3, 4, 5, 6, 8, 10].map((one) => one * power).find((one) => one >= value) ?? 10 * power;
}

/** The highest value of each of as many parts as the picture has points: a peak is never left out. */
function thinned(values: readonly number[]): number[] {
  const size = Math.max(1, Math.ceil(values.length / POINTS));
  return Array.from({ length: Math.ceil(values.length / size) }, (_, part) =>
    values.slice(part * size, (part + 1) * size).reduce((a, b) => Math.max(a, b), 0),
  );
}

interface Line {
  readonly kind: string;
  readonly name: string;
  readonly values: readonly number[];
}

/** A panel: its title, an axis with three values, and lines in steps. */
function panel(index: number, title: string, lines: readonly Line[]): Markup {
  const top = PANEL.top + index * PANEL.step;
  const bottom = top + PANEL.height;
  const highest = round(lines.flatMap(({ values }) => values).reduce((a, b) => Math.max(a, b), 1));
  const y = (value: number): string => (bottom - (value / highest) * PANEL.height).toFixed(1);
  const path = (values: readonly number[]): string => {
    const wide = (WIDTH - LEFT - RIGHT) / values.length;
    return values
      .map((value, at) => `${at === 0 ? `M${LEFT} ` : 'V'}${y(value)}H${(LEFT + (at + 1) * wide).toFixed(1)}`)
      .join('');
  };
  const marks = [0, highest / 2, highest].map(
    (value) =>
      html`<path class="grid" d="M${LEFT} ${y(value)}H${WIDTH - RIGHT}"/>${words(LEFT - 8, Number(y(value)) + 4, 'mark', short(value))}`,
  );
  return html`${words(LEFT, top - 12, 'name', title)}${marks}
${lines.map(({ kind, name, values }) => html`<path class="line ${kind}" d="${path(values)}"><title>${name}</title></path>\n`)}`;
}

const STYLE =
  new Markup(`text{font:13px system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;fill:var(--text)}
.heading{font-size:19px;font-weight:600}
.name{font-size:13px;font-weight:600}
.mark{fill:var(--soft);font-size:11px;text-anchor:end}
.soft{fill:var(--soft);font-size:12px}
.grid{stroke:var(--line);fill:none}
.line{fill:none;stroke-width:1.5}
.load{stroke:var(--text)}
.today{stroke:var(--edge);stroke-width:2.5}
.asked{stroke:var(--accent)}
.proposed{stroke:var(--text);stroke-dasharray:5 3}
.ground{fill:var(--ground)}`);

/** Load, and the Pods of each run, as one SVG file that follows the reader's light or dark setting. */
export function plotSvg(module: string, trace: Trace, world: World, runs: readonly Run[]): string {
  const pods = runs.map(({ name, plan }): Line => {
    const values: number[] = [];
    simulate(trace, plan, world, ({ ready }) => values.push(ready));
    return { kind: name, name: `${name}: ${planText(plan)}`, values: thinned(values) };
  });
  const seconds = trace.qps.length * scalingTimes.scrape;
  const legend = PANEL.top + 2 * PANEL.step;
  const height = legend + 24 * runs.length + 10;
  const title = `${cut(module, 40)}: ${duration(seconds)} replayed`;
  return html`<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-labelledby="title">
<title id="title">${title}</title>
<style>
${PALETTE}
${STYLE}
</style>
<rect class="ground" width="${WIDTH}" height="${height}"/>
${words(16, 30, 'heading', title)}
${panel(0, 'Requests a second', [{ kind: 'load', name: 'requests a second', values: thinned(trace.qps) }])}
${panel(1, 'Pods that serve', pods)}
${runs.map(({ name, plan, replayed }, index) => html`<path class="line ${name}" d="M16 ${legend - 14 + 24 * index}H56"/>${words(LEFT, legend - 10 + 24 * index, 'soft', `${name}: ${planText(plan)}; ${replayed.podHours.toFixed(1)} Pod-hours, overloaded for ${duration(replayed.overloaded)}`)}\n`)}</svg>
`.source;
}
