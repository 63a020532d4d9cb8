import { html, type Markup, PALETTE } from '../../operations/render/markup';

export interface Line {
  readonly name: string;
  /** By the same x as all others. */
  readonly values: readonly number[];
}

export interface Panel {
  readonly title: string;
  readonly lines: readonly Line[];
  /** Values above stand at the edge. */
  readonly highest: number;
}

const WIDTH = 968;
const HEIGHT = 380;
const BOX = { left: 44, top: 64, width: 250, height: 240, step: 316 } as const;
/** Told apart by their dashes, too: colours alone are not enough. */
const STROKES = [
  { colour: '#b3261e', dashes: '2 4' },
  { colour: '#8a6d00', dashes: '8 4' },
  { colour: '#5b6577', dashes: '10 4 2 4' },
  { colour: '#7b4fc9', dashes: '5 3' },
  { colour: '#1769c2', dashes: 'none' },
] as const;

const round = (value: number): number => Math.round(value * 10) / 10;
const strokeOf = (index: number) => STROKES[index % STROKES.length] ?? STROKES[0];

function panel({ title, lines, highest }: Panel, xs: readonly number[], column: number): Markup {
  const left = BOX.left + column * BOX.step;
  const bottom = BOX.top + BOX.height;
  const widest = Math.max(...xs);
  const x = (value: number): number => round(left + (value / widest) * BOX.width);
  const y = (value: number): number => round(bottom - (Math.min(value, highest) / highest) * BOX.height);
  const ticks = Array.from({ length: 5 }, (_, index) => (highest / 4) * index);
  return html`<text class="name" x="${left}" y="${BOX.top - 18}">${title}</text>
${ticks.map((tick) => html`<path class="grid" d="M${left} ${y(tick)}h${BOX.width}"/><text class="tick" text-anchor="end" x="${left - 8}" y="${y(tick) + 4}">${round(tick)}</text>`)}
${xs.map((value) => html`<text class="tick" text-anchor="middle" x="${x(value)}" y="${bottom + 18}">${value}</text>`)}
<text class="tick" text-anchor="middle" x="${left + BOX.width / 2}" y="${bottom + 38}">come in one test time</text>
${lines.map(({ name, values }, index) => {
  const points = values.map((value, at) => `${x(xs[at] ?? 0)},${y(value)}`).join(' ');
  const { colour, dashes } = strokeOf(index);
  return html`<polyline points="${points}" fill="none" stroke="${colour}" stroke-width="2.5" stroke-dasharray="${dashes}"><title>${name}</title></polyline>`;
})}`;
}

/** Panels side by side over the same x, with one legend. The same values give the same bytes. */
export function plot(title: string, xs: readonly number[], panels: readonly Panel[]): string {
  const names = panels[0]?.lines.map(({ name }) => name) ?? [];
  const step = (WIDTH - 2 * BOX.left) / Math.max(1, names.length);
  const legend = names.map((name, index) => {
    const { colour, dashes } = strokeOf(index);
    const left = round(BOX.left + index * step);
    return html`<path d="M${left} 20h28" stroke="${colour}" stroke-width="2.5" stroke-dasharray="${dashes}"/><text class="tick" x="${left + 36}" y="24">${name}</text>`;
  });
  return html`<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${HEIGHT}" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="system-ui,sans-serif" font-size="13">
<title>${title}</title>
<style>${PALETTE}
.ground{fill:var(--ground)}.name{fill:var(--text);font-size:15px}.tick{fill:var(--soft)}.grid{stroke:var(--line);stroke-width:1}</style>
<rect class="ground" width="${WIDTH}" height="${HEIGHT}"/>
${legend}
${panels.map((one, column) => panel(one, xs, column))}
</svg>
`.source;
}
