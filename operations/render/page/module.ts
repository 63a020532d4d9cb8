import { counted, type ModuleFacts, podsOf, type ServiceFacts, type Site } from '../facts';
import { html, type Markup, type Part } from '../markup';
import { code, facts, files, lines, quotaWords, secretRow, table } from './parts';

/** How a module is reached, as the filter has it. */
export const REACHED = {
  host: 'a host name',
  node: 'a port of every node',
  inside: 'the cluster only',
} as const;

export function reachedBy({ reached }: ModuleFacts): (keyof typeof REACHED)[] {
  if (reached.length === 0) return ['inside'];
  return reached.map((way) => (way.startsWith('http') ? 'host' : 'node'));
}

const label = ({ name, kind, version }: ServiceFacts): string =>
  name === kind ? `${kind} ${version}` : `${name}: ${kind} ${version}`;

/** Values of one kind, a line each, as the page's script reads them. */
const each = (values: readonly string[]): string => [...new Set(values)].join('\n');

const filter = (name: string, value: string): Markup =>
  html`<a href="#?${new URLSearchParams([[name, value]]).toString()}">${value}</a>`;

const filters = (name: string, values: readonly string[]): Part =>
  values.map((value, index) => html`${index > 0 && ', '}${filter(name, value)}`);

const versionOf = ({ version, other }: ServiceFacts): Part =>
  other ? html`${version} in tests, ${other.version} in production: ${other.reason}` : version;

function services({ services: used }: ModuleFacts): Markup {
  if (used.length === 0) return html`<p class="soft">None.</p>`;
  return table(
    'Services',
    ['service', 'version', 'image', 'resources', 'storage', 'address in production', 'backup'],
    used.map((service) => [
      service.name === service.kind
        ? filter('service', service.kind)
        : html`${service.name} <span class="soft">(${filter('service', service.kind)})</span>`,
      versionOf(service),
      service.existing ? html`${code(service.image)} in tests` : code(service.image),
      service.resources,
      service.existing ? 'stands already' : service.storage,
      code(service.address),
      service.backup,
    ]),
  );
}

const MERGED: Readonly<Record<ModuleFacts['merge'], string>> = {
  reviewed: 'When all is green and someone else has approved it, it is merged by its sha.',
  automatic: 'When all is green it is merged by its sha.',
  manual: 'When all is green, a person merges it, by hand or by a label.',
};

/** The steps of a commit's way with this module's own names. */
function way(module: ModuleFacts, site: Site): Markup {
  const { tests } = module;
  if (site.promotedFrom)
    return html`<ol class="steps">
<li>A merge in <a href="${module.projectUrl}">${module.project}</a> is tested and released in ${site.promotedFrom}.</li>
<li>${code(`switchyard promote ${site.environment} ${module.name}`)} looks at its certificate.</li>
<li>The image is copied by its digest to ${code(module.repository)}.</li>
<li>The digest goes into ${code(site.ledger)}, at once or by a merge request.</li>
<li>It is rolled out in ${code(module.production.name)}.</li>
</ol>`;
  return html`<ol class="steps">
<li>A push to <a href="${module.projectUrl}">${module.project}</a>, with a merge request.</li>
<li>The hook calls ${code(module.hook)}.</li>
<li>The job <a href="${module.jobUrl}">${module.job}</a> takes the merge result.</li>
<li>BuildKit builds it and pushes it to ${code(module.repository)}.</li>
<li>A Pod in ${code(module.test.name)} runs ${code(tests.command)}, for at most ${counted(tests.timeoutMinutes, 'minute')}.</li>
<li>The status ${code(site.status)} and a note tell how it ended.</li>
<li>${MERGED[module.merge]}</li>
<li>The digest goes into ${code(site.ledger)}.</li>
<li>${code(`switchyard up ${site.environment} --only ${module.name}`)} rolls it out in ${code(module.production.name)}.</li>
</ol>`;
}

function inside(module: ModuleFacts, site: Site): Markup {
  const { production, test, tests } = module;
  const secrets = [
    ...production.secrets.map((secret) => [production.name, secret] as const),
    ...test.secrets.map((secret) => [test.name, secret] as const),
  ];
  const { clusters } = site;
  return html`<div class="inside">
<div><h4>Where it runs</h4>${facts([
    ['environments', filters('environment', module.environments)],
    [
      'tests',
      site.promotedFrom ? `in ${site.promotedFrom}` : html`${code(test.name)} on cluster ${clusters.ci}`,
    ],
    ['production', html`${code(production.name)} on cluster ${clusters.production}`],
    [
      'Pods',
      module.most === undefined
        ? `${module.replicas} to start with`
        : `${module.replicas} to ${module.most}, as many as the requests ask for`,
    ],
    [
      'released',
      module.released
        ? html`${code(module.released.digest)}, commit ${code(module.released.commit.slice(0, 12))}`
        : html`by the digest in ${code(site.ledger)}`,
    ],
    ['owners', filters('owner', module.owners)],
    ['merge', filter('merge', module.merge)],
  ])}</div>
<div><h4>Ports and addresses</h4>${facts([
    ['listens on', String(module.port)],
    ['in the cluster', code(module.address)],
    [
      'from outside',
      module.reached.length > 0 ? lines(module.reached.map((way) => code(way))) : 'not reached',
    ],
    ['ready at', code(module.probes.ready)],
    ['alive at', code(module.probes.live)],
    ['variables', module.variables.map((name, index) => html`${index > 0 && ', '}${code(name)}`)],
  ])}</div>
<div><h4>Resources and quota</h4>${facts([
    ['each Pod', module.resources],
    ['production', `at most ${quotaWords(production.quota)}`],
    ...(site.promotedFrom ? [] : [['tests', `at most ${quotaWords(test.quota)}`] as const]),
  ])}</div>
<div class="full"><h4>Services</h4>${services(module)}</div>
<div><h4>The way of a commit</h4>${way(module, site)}</div>
<div><h4>Isolation in production</h4>${lines(production.isolation)}${!site.promotedFrom && html`<h4>Isolation of tests</h4>${lines(test.isolation)}`}${
    !site.promotedFrom &&
    tests.egress.length > 0 &&
    html`<p class="soft">Its tests asked for ${tests.egress.map(({ cidr }) => cidr).join(', ')}.</p>`
  }</div>
<div><h4>Secrets, by name</h4>${
    secrets.length > 0
      ? lines(
          secrets.map(([namespace, secret]) => {
            const [name, keys, origin] = secretRow(secret);
            return html`${code(`${namespace}/`)}${name}: ${keys}; ${origin}`;
          }),
        )
      : html`<p class="soft">None.</p>`
  }</div>
<details class="full"><summary>${counted(
    module.boxes.reduce((sum, { declarations }) => sum + declarations.length, 0),
    'resource',
  )} by name</summary>${files(module.boxes)}</details>
</div>`;
}

/** One module: a line in the list that opens to all that there is to know. Its id is its name. */
export function moduleMarkup(module: ModuleFacts, site: Site): Markup {
  const reached = module.reached.length > 0 ? module.reached.join(', ') : 'inside only';
  const find = [
    module.project,
    ...(site.promotedFrom ? [] : [module.test.name]),
    module.production.name,
    module.address,
    ...module.services.flatMap(({ image, address }) => [image, address]),
  ];
  return html`<details class="module" id="${module.name}" data-owner="${each(module.owners)}" data-service="${each(module.services.map(({ kind }) => kind))}" data-environment="${each(module.environments)}" data-reached="${each(reachedBy(module))}" data-merge="${module.merge}" data-find="${find.join(' ')}">
<summary><div><h3>${module.name}</h3><p>${module.description}</p></div><ul class="chips" aria-label="services">${
    module.services.length > 0
      ? module.services.map((service) => html`<li>${label(service)}</li>`)
      : html`<li>no services</li>`
  }</ul><p class="num">${podsOf(module)}</p><p>${module.owners.join(', ')}<br>${reached}</p></summary>
${inside(module, site)}</details>
`;
}
