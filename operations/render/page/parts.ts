import type { BoxDeclaration } from '../../../components/boxes';
import type { QuotaFacts, SecretFacts, SpaceFacts, WorkloadFacts } from '../facts';
import { fileOf, typeOf } from '../manifests';
import { html, type Markup, type Part } from '../markup';

export const code = (text: string): Markup => html`<code>${text}</code>`;

/** Terms and what they are; what is empty is left out. */
export function facts(entries: readonly (readonly [term: string, what: Part])[]): Markup {
  const told = entries.filter(
    ([, what]) =>
      what !== undefined && what !== '' && what !== false && !(Array.isArray(what) && what.length === 0),
  );
  return html`<dl class="facts">${told.map(([term, what]) => html`<dt>${term}</dt><dd>${what}</dd>`)}</dl>`;
}

export const lines = (texts: readonly Part[]): Markup =>
  html`<ul class="plain">${texts.map((text) => html`<li>${text}</li>`)}</ul>`;

/** A table; the first cell of each row is its heading. On a narrow screen it scrolls by itself. */
export function table(caption: string, head: readonly string[], rows: readonly (readonly Part[])[]): Markup {
  return html`<div class="scroll" tabindex="0" role="region" aria-label="${caption}"><table><thead><tr>${head.map(
    (title) => html`<th scope="col">${title}</th>`,
  )}</tr></thead><tbody>${rows.map(
    ([first, ...rest]) =>
      html`<tr><th scope="row">${first}</th>${rest.map((cell) => html`<td>${cell}</td>`)}</tr>`,
  )}</tbody></table></div>`;
}

export const quotaWords = (quota: QuotaFacts | undefined): string =>
  quota
    ? `${quota.pods} Pods, ${quota.cpu} CPU, ${quota.memory} memory, ${quota.claims === '0' ? 'no volumes' : `${quota.claims} ${quota.claims === '1' ? 'volume' : 'volumes'}`}`
    : 'none';

export const secretRow = ({ name, keys, origins }: SecretFacts): Part[] => [
  code(name),
  keys.map((key, index) => html`${index > 0 && ', '}${code(key)}`),
  origins.join('; ') || 'no value of its own',
];

export const secretsTable = (secrets: readonly SecretFacts[]): Markup =>
  table('Secrets', ['Secret', 'keys', 'where its values come from'], secrets.map(secretRow));

function workloadRows({ kind, name, runs, containers, storage }: WorkloadFacts): Part[][] {
  return containers.map(({ name: container, image, resources }, index) => [
    index === 0 ? html`${name} <span class="soft">${kind}</span>` : '',
    index === 0 ? `${runs}${storage.length > 0 ? `, volume of ${storage.join(', ')}` : ''}` : '',
    container,
    code(image),
    resources || "the namespace's defaults",
  ]);
}

export const workloadsTable = (workloads: readonly WorkloadFacts[]): Markup =>
  table(
    'What runs',
    ['what runs', 'how', 'container', 'image', 'resources'],
    workloads.flatMap(workloadRows),
  );

/** What is made for boxes: every resource by its name in Pulumi, below the file in which it stands. */
export function files(boxes: readonly BoxDeclaration[]): Markup {
  const inFile = new Map<string, Part[]>();
  for (const box of boxes) {
    for (const declaration of box.declarations) {
      const file = fileOf(box, declaration);
      const known = inFile.get(file) ?? [];
      const { kind } = typeOf(declaration);
      known.push(html`<li>${kind} ${code(declaration.name)}</li>`);
      inFile.set(file, known);
    }
  }
  return html`${[...inFile].map(
    ([file, items]) => html`<p><a href="${encodeURI(file)}">${file}</a></p><ul class="plain">${items}</ul>`,
  )}`;
}

/** A namespace with its limits, who may reach it, what runs in it and which Secrets it has. */
export function space({ name, cluster, level, quota, isolation, secrets, workloads }: SpaceFacts): Markup {
  return html`<div class="space"><h4>Namespace ${name}</h4>${facts([
    ['cluster', cluster],
    ['Pod Security', level],
    ['quota', quotaWords(quota)],
    ['network', lines(isolation)],
  ])}${workloads.length > 0 && workloadsTable(workloads)}${secrets.length > 0 && secretsTable(secrets)}</div>`;
}
