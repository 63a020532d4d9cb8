import { createHash } from 'node:crypto';
import { moment } from '../../text/moment';
import type { QueueFacts } from '../queue/tell';
import { counted, type PartFacts, type Site, servicesInUse } from './facts';
import { html, Markup, type Part } from './markup';
import { moduleMarkup, REACHED, reachedBy } from './page/module';
import { code, facts, files, lines, space, table } from './page/parts';
import { SCRIPT } from './page/script.generated';
import { STYLE } from './page/style';
import { wayOf } from './page/way';
import { queueSection, queueStyle } from './queue';
import { pictureStyle, wayDrawing } from './svg';

/** A section of the page; its id begins with a capital, which no module's name does. */
interface Section {
  readonly id: string;
  readonly title: string;
  readonly lead: string;
  readonly body: Part;
}

/** What the page may do, said to the browser: load nothing, and run this one script only. */
const policy = (script: string): string =>
  `default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-${createHash('sha256').update(script).digest('base64')}'; base-uri 'none'; form-action 'none'`;

const sum = (numbers: readonly number[]): number => numbers.reduce((all, number) => all + number, 0);

function stats(site: Site): Markup {
  const { modules, parts } = site;
  const kinds = [...servicesInUse(site).keys()];
  const spaces = sum([
    ...parts.map((part) => part.spaces.length),
    ...modules.map(({ boxes }) =>
      sum(
        boxes.map(
          ({ declarations }) =>
            declarations.filter(({ type }) => type === 'kubernetes:core/v1:Namespace').length,
        ),
      ),
    ),
  ]);
  const told: readonly (readonly [string, number])[] = [
    [modules.length === 1 ? 'module' : 'modules', modules.length],
    ['Pods to start with', sum(modules.map(({ replicas }) => replicas))],
    ['kinds of services', kinds.length],
    ['owners', new Set(modules.flatMap(({ owners }) => owners)).size],
    ['namespaces', spaces],
    ['resources', site.resources],
  ];
  return html`<dl class="stats">${told.map(([name, number]) => html`<div><dt>${name}</dt><dd>${String(number)}</dd></div>`)}</dl>`;
}

const options = (values: readonly (readonly [value: string, shown: string])[]): Markup[] =>
  values.map(([value, shown]) => html`<option value="${value}">${shown}</option>`);

const alike = (values: readonly string[]): [string, string][] =>
  [...new Set(values)].sort().map((value) => [value, value]);

/** A choice, unless there is nothing to choose. */
const choice = (name: string, title: string, values: readonly (readonly [string, string])[]): Part =>
  values.length > 1 &&
  html`<label>${title}<select name="${name}"><option value="">any</option>${options(values)}</select></label>`;

function filters({ modules, environment, others }: Site): Markup {
  const reached = new Set(modules.flatMap(reachedBy));
  const ways = Object.entries(REACHED).filter(([key]) => [...reached].some((one) => one === key));
  const environments = others.filter((other) => modules.some((one) => one.environments.includes(other.name)));
  return html`<form id="Filters" role="search" aria-label="Modules">
<label>Search<input name="q" type="search" placeholder="name, service, owner, image, address …" autocomplete="off" spellcheck="false"></label>
${choice('owner', 'Owner', alike(modules.flatMap(({ owners }) => owners)))}
${choice('service', 'Service', alike(modules.flatMap(({ services }) => services.map(({ kind }) => kind))))}
${choice('environment', 'Environment', environments.length > 0 ? [[environment, environment], ...environments.map(({ name }): [string, string] => [name, name])] : [])}
${choice('reached', 'Reached from', ways)}
${choice('merge', 'Merge', alike(modules.map(({ merge }) => merge)))}
<button type="reset">Clear</button><button type="button" id="OpenAll">Open all, close all</button>
</form>
<p class="hint"><span id="Count" role="status"></span><span class="keys"><kbd>/</kbd> search, <kbd>↑</kbd> <kbd>↓</kbd> between modules, <kbd>Enter</kbd> opens, <kbd>Esc</kbd> closes or clears</span></p>`;
}

const modulesSection = (site: Site): Part =>
  site.modules.length === 0
    ? html`<p>None yet. <code>npx switchyard module new</code> makes the first one.</p>`
    : html`${filters(site)}<p id="None" hidden>No module is like that. <a href="#?">Show all.</a></p>
<div class="rows">
${site.modules.map((module) => moduleMarkup(module, site))}</div>`;

function part(facts: PartFacts): Markup {
  const count = sum(facts.boxes.map(({ declarations }) => declarations.length));
  return html`<div class="part"><h3>${facts.title}</h3>${facts.address !== '' && html`<p>${code(facts.address)}</p>`}${lines(facts.lines)}${
    facts.spaces.length > 0 &&
    html`<details><summary>${counted(facts.spaces.length, 'namespace')}: what runs, who reaches it, which Secrets</summary>${facts.spaces.map(space)}</details>`
  }<details><summary>${counted(count, 'resource')} by name</summary>${files(facts.boxes)}</details></div>`;
}

const spaceRow = (name: string, cluster: string, what: string): Part[] => [code(name), cluster, what];

/** Every namespace of the shared parts, and how those of modules are called. */
function places(site: Site): Markup {
  const { clusters, namespaces, parallel } = site;
  return table(
    'Clusters and namespaces',
    ['namespace', 'cluster', 'what'],
    [
      ...site.parts.flatMap(({ title, spaces }) =>
        spaces.map(({ name, cluster }) => spaceRow(name, cluster, title)),
      ),
      ...(site.promotedFrom
        ? []
        : [
            spaceRow(
              namespaces.test('‹module›'),
              clusters.ci,
              `up to ${counted(parallel, 'test Pod')} of one module`,
            ),
          ]),
      spaceRow(namespaces.production('‹module›'), clusters.production, 'a module with its services'),
    ],
  );
}

function backups({ backup, modules }: Site): Part {
  if (!backup)
    return html`<p>This environment makes none: its stack file has no <code>switchyard:backup</code>.</p>`;
  const not = modules.flatMap(({ name, services }) =>
    services.filter((service) => service.backup !== 'dumped').map((service) => [name, service] as const),
  );
  return html`${facts([
    ['repository', code(backup.repository)],
    ['what', backup.kinds.join(', ')],
    [
      'when',
      `at ${backup.schedule} UTC${backup.afterReleases ? ', and repositories and images after each release' : ''}`,
    ],
    ['read back', `at ${backup.verify} UTC`],
    ['kept', backup.keep],
    ['a rebuild', backup.targets],
  ])}${
    not.length > 0 &&
    html`<h3>Not dumped</h3>${lines(not.map(([module, service]) => html`<a href="#${module}">${module}</a>, ${service.name}: ${service.backup}`))}`
  }`;
}

function environments(site: Site): Markup {
  const { clusters, gitlab, jenkins, modules } = site;
  const row = (
    name: Part,
    count: number,
    where: { ci: string; production: string },
    group: string,
    url: string,
  ) => [
    name,
    String(count),
    where.ci === where.production ? where.ci : `${where.ci} for CI, ${where.production} for production`,
    code(group),
    code(url),
  ];
  return table(
    'Environments',
    ['environment', 'modules', 'clusters', 'GitLab group', 'Jenkins'],
    [
      row(
        html`${site.environment} <span class="soft">(this page)</span>`,
        modules.length,
        clusters,
        `${gitlab.url}/${gitlab.group}`,
        jenkins.url,
      ),
      ...site.others.map((other) =>
        row(
          other.name,
          other.modules.length,
          other.clusters,
          `${other.gitlab}/${other.group}`,
          other.jenkins,
        ),
      ),
    ],
  );
}

/** The queues at one moment, which whoever asked GitLab puts on the page. */
export interface LiveQueue extends QueueFacts {
  /** Seconds after which the page is loaded anew. @default never */
  readonly again?: number;
}

function sections(site: Site, queue: LiveQueue | undefined): Section[] {
  const shared: Section[] = [
    {
      id: 'Shared',
      title: 'What all share',
      lead: 'The parts that modules have in common, where each runs and who may reach it.',
      body: html`${places(site)}<div class="parts">${site.parts.map(part)}</div>`,
    },
    {
      id: 'Backups',
      title: 'Backups',
      lead: 'What is copied elsewhere, so that everything can be built anew.',
      body: backups(site),
    },
    {
      id: 'Secrets',
      title: 'Secrets that people bring',
      lead: 'All others are derived from the seed or issued by GitLab. No value stands in any rendered file.',
      body: table(
        'Secrets that people bring',
        ['variable', 'asked for by'],
        site.brought.map(({ variable, place }) => [code(variable), place]),
      ),
    },
    {
      id: 'Environments',
      title: 'Environments',
      lead: 'The same catalog, run in several places.',
      body: environments(site),
    },
  ];
  return [
    ...(queue
      ? [
          {
            id: 'Queue',
            title: 'The merge queue',
            lead: `Who waits to be merged, on what each one is tested, and what it waits for, as GitLab said at ${moment(queue.at)}.`,
            body: queueSection(queue, site),
          },
        ]
      : []),
    {
      id: 'Modules',
      title: counted(site.modules.length, 'module').replace(/^\d+ m/, 'M'),
      lead: 'Each opens to where it runs, with what, by whom, and who may reach it. Its name after # is an address to send.',
      body: modulesSection(site),
    },
    {
      id: 'Commit',
      title: 'The way of a commit',
      lead: 'From a push to production. What was tested is what is merged, and what is merged is what runs.',
      body: wayOf(site),
    },
    ...(site.single ? [] : shared),
  ];
}

/**
 * The topology as one page that loads nothing: what runs where, with what, by whom, who may reach it, and how a commit
 * gets there. It is whole without its script, which searches, filters and leads to a module by its name after `#`.
 * @param queue who waits to be merged: all else on the page is what is declared
 */
export function topologyPage(site: Site, queue?: LiveQueue): string {
  const all = sections(site, queue);
  const script = SCRIPT;
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy(script)}">
<meta name="viewport" content="width=device-width, initial-scale=1">${
    queue?.again !== undefined &&
    html`
<meta http-equiv="refresh" content="${queue.again}">`
  }
<title>Topology of ${site.title}</title>
<style>
${STYLE}
${pictureStyle('.picture ')}${
  queue &&
  html`
${queueStyle('.queue .picture ')}`
}
</style>
</head>
<body>
<a class="skip" href="#Modules">To the modules</a>
<header class="bar"><div class="wide"><strong>${site.title}</strong><nav aria-label="Sections"><ul>${all.map(({ id, title }) => html`<li><a href="#${id}">${title}</a></li>`)}</ul></nav></div></header>
<main class="wide">
<h1>Topology of ${site.title}</h1>
<p class="lead">${site.about.join(' · ')}</p>
${stats(site)}
<figure class="picture" tabindex="0" role="group" aria-label="The way of a commit through the topology">${wayDrawing(site)}</figure>
${all.map(
  ({
    id,
    title,
    lead,
    body,
  }) => html`<section id="${id}" aria-labelledby="${id}-title"><h2 id="${id}-title">${title}</h2><p class="lead">${lead}</p>
${body}
</section>
`,
)}</main>
<footer><div class="wide">Rendered by Switchyard from the catalog and the settings of ${site.environment}: what is declared, not what is running${queue && ', except for the merge queue'}. ${!site.single && html`All resources: <a href="resources.md">resources.md</a>; as a picture: <a href="topology.svg">topology.svg</a>.`}</div></footer>
<script>${new Markup(script)}</script>
</body>
</html>
`.source;
}
