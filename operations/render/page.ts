import { fileOf, objectName, typeOf } from './manifests';
import { escapeText, PALETTE } from './markup';
import type { Cell, Picture, Row } from './picture';

function resources(cell: Cell): string {
  const rows = cell.boxes.flatMap((box) =>
    box.declarations.map((declaration) => {
      const { kind } = typeOf(declaration);
      const { namespace, name } = objectName(declaration);
      const object = [namespace, name].filter((part) => part !== undefined).join('/') || declaration.name;
      const file = fileOf(box, declaration);
      return `<tr><td>${escapeText(kind)}</td><td>${escapeText(object)}</td><td><a href="${escapeText(encodeURI(file))}">${escapeText(declaration.name)}</a></td></tr>`;
    }),
  );
  return `<div class="panel"><table><thead><tr><th scope="col">kind</th><th scope="col">object</th><th scope="col">resource</th></tr></thead><tbody>${rows.join('\n')}</tbody></table></div>`;
}

function cellHtml(cell: Cell, flow: string | undefined): string {
  const text = `<strong>${escapeText(cell.title)}</strong>${cell.lines.map((line) => `<span>${escapeText(line)}</span>`).join('')}`;
  const arrow = flow === undefined ? '' : `<p class="flow"><span>${escapeText(flow)}</span></p>`;
  const inner =
    cell.boxes.length > 0
      ? `<details name="box"><summary>${text}</summary>${resources(cell)}</details>`
      : `<div class="follows">${text}</div>`;
  return `<li id="${escapeText(cell.id)}">${inner}${arrow}</li>`;
}

function rowHtml(row: Row, picture: Picture): string {
  const cells = row.cells.map((cell, column) => {
    if (!cell) return '<li class="none" aria-hidden="true"></li>';
    return cellHtml(cell, row.cells[column + 1] ? picture.columns[column]?.flow : undefined);
  });
  return `<section aria-label="${escapeText(row.title)}"><ul>${cells.join('\n')}</ul></section>`;
}

/**
 * The picture as one page that loads nothing: each box opens, by mouse or keyboard, to its resources, and each resource
 * leads to the file beside the page in which it stands.
 */
export function topologyPage(picture: Picture): string {
  const heads = picture.columns.map(({ title }) => `<li>${escapeText(title)}</li>`).join('');
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Topology of ${escapeText(picture.title)}</title>
<style>
${PALETTE}
*{box-sizing:border-box}
body{margin:0;padding:1.5rem;font:15px/1.45 system-ui,sans-serif;background:var(--ground);color:var(--text)}
h1{margin:0;font-size:1.6rem}
header p{margin:.3rem 0 1.5rem;color:var(--soft)}
a{color:var(--accent)}
ul{list-style:none;margin:0;padding:0;display:grid;grid-template-columns:repeat(${picture.columns.length},minmax(0,1fr));column-gap:4.6rem}
.heads{position:sticky;top:0;z-index:3;padding:.4rem 0;background:var(--ground);color:var(--accent);font-weight:600}
section{margin-bottom:1.2rem}
li{position:relative;min-width:0}
summary,.follows{height:100%;min-height:5.6rem;padding:.6rem .8rem;border:1px solid var(--line);border-radius:.5rem;background:var(--box);overflow-wrap:anywhere}
.follows{border-style:dashed}
details{height:100%}
summary{cursor:pointer;list-style:none}
summary::-webkit-details-marker{display:none}
summary:focus-visible,a:focus-visible{outline:3px solid var(--accent);outline-offset:2px}
details[open] summary{border-color:var(--accent);border-width:2px}
summary span,.follows span{display:block;color:var(--soft);font-size:.82rem}
.flow{position:absolute;left:100%;top:2.8rem;width:4.6rem;margin:0;border-top:1.5px solid var(--line);pointer-events:none}
.flow span{position:absolute;left:0;right:.4rem;bottom:.1rem;text-align:center;font-size:.75rem;line-height:1.1;color:var(--soft)}
.flow::after{content:"";position:absolute;right:0;top:-5px;border:5px solid transparent;border-left:8px solid var(--line);border-right:0}
.panel{position:absolute;z-index:2;top:calc(100% + .4rem);left:0;width:max-content;max-width:min(46rem,80vw);max-height:26rem;overflow:auto;padding:.6rem .9rem;border:2px solid var(--accent);border-radius:.5rem;background:var(--ground);box-shadow:0 .6rem 1.6rem #0006}
li:nth-last-child(-n+2) .panel{left:auto;right:0}
table{border-collapse:collapse;font-size:.85rem}
th,td{padding:.15rem .9rem .15rem 0;text-align:left;vertical-align:top}
th{color:var(--soft);font-weight:600}
@media (max-width:60rem){
ul{grid-template-columns:1fr;row-gap:.5rem}
.heads,.flow,.none{display:none}
details,summary,.follows{height:auto;min-height:0}
.panel{position:static;max-width:none;width:auto;max-height:none;margin-top:.4rem;overflow-x:auto}
}
@media print{.panel{position:static;max-height:none}}
</style>
</head>
<body>
<header>
<h1>Topology of ${escapeText(picture.title)}</h1>
<p>${escapeText(picture.about.join(' · '))}. A box opens to its resources; a dashed one follows from the others.</p>
</header>
<main>
<ul class="heads" aria-hidden="true">${heads}</ul>
${picture.rows.map((row) => rowHtml(row, picture)).join('\n')}
</main>
</body>
</html>
`;
}
