import { cut, escapeText, PALETTE } from './markup';
import type { Cell, Picture } from './picture';

/** All lengths are pixels of the picture's own size. */
const MARGIN = 24;
const WIDTH = 232;
const GAP = 104;
const HEIGHT = 92;
const ROW_GAP = 28;
const HEAD = 118;

/** Characters of each size that surely fit into a box. */
const TITLE_FITS = 25;
const LINE_FITS = 31;

const left = (column: number): number => MARGIN + column * (WIDTH + GAP);
const top = (row: number): number => HEAD + row * (HEIGHT + ROW_GAP);

function box(cell: Cell, column: number, row: number): string {
  const x = left(column);
  const y = top(row);
  const lines = cell.lines.map(
    (line, index) =>
      `<text class="soft" x="${x + 14}" y="${y + 45 + index * 17}">${escapeText(cut(line, LINE_FITS))}</text>`,
  );
  return `<g><title>${escapeText([cell.title, ...cell.lines].join('\n'))}</title><rect class="${cell.boxes.length > 0 ? 'made' : 'follows'}" x="${x}" y="${y}" width="${WIDTH}" height="${HEIGHT}" rx="8"/><text class="title" x="${x + 14}" y="${y + 25}">${escapeText(cut(cell.title, TITLE_FITS))}</text>${lines.join('')}</g>`;
}

function arrow(label: string, column: number, row: number): string {
  const from = left(column) + WIDTH + 6;
  const to = left(column + 1) - 8;
  const y = top(row) + HEIGHT / 2;
  return `<path class="flow" d="M${from} ${y}H${to}" marker-end="url(#head)"/><text class="label" x="${(from + to) / 2}" y="${y - 8}">${escapeText(label)}</text>`;
}

/** The picture as one SVG file that needs nothing else and follows the reader's light or dark setting. */
export function topologySvg(picture: Picture): string {
  const width = left(picture.columns.length) - GAP + MARGIN;
  const height = top(picture.rows.length) - ROW_GAP + MARGIN;
  const parts = picture.columns.map(
    ({ title }, index) =>
      `<text class="column" x="${left(index)}" y="${HEAD - 18}">${escapeText(title)}</text>`,
  );
  picture.rows.forEach(({ cells }, row) => {
    cells.forEach((cell, column) => {
      if (!cell) return;
      parts.push(box(cell, column, row));
      const flow = picture.columns[column]?.flow;
      if (flow !== undefined && cells[column + 1]) parts.push(arrow(flow, column, row));
    });
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" aria-labelledby="title about">
<title id="title">Topology of ${escapeText(picture.title)}</title>
<desc id="about">${escapeText(picture.about.join('; '))}</desc>
<style>
${PALETTE}
text{font:13px system-ui,sans-serif;fill:var(--text)}
.heading{font-size:22px;font-weight:600}
.column{font-size:16px;font-weight:600;fill:var(--accent)}
.title{font-size:14px;font-weight:600}
.soft{fill:var(--soft);font-size:12px}
.label{fill:var(--soft);font-size:12px;text-anchor:middle}
.made,.follows{fill:var(--box);stroke:var(--line)}
.follows{stroke-dasharray:4 4}
.flow{stroke:var(--line);stroke-width:1.5;fill:none}
.arrow{fill:var(--line)}
.ground{fill:var(--ground)}
</style>
<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto"><path class="arrow" d="M0 0L8 4L0 8z"/></marker></defs>
<rect class="ground" width="${width}" height="${height}"/>
<text class="heading" x="${MARGIN}" y="${MARGIN + 20}">Topology of ${escapeText(picture.title)}</text>
<text class="soft" x="${MARGIN}" y="${MARGIN + 42}">${escapeText(picture.about.join(' · '))}</text>
${parts.join('\n')}
</svg>
`;
}
