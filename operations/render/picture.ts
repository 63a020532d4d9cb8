import { entryOf } from '../../catalog/entry';
import type { Module } from '../../catalog/load';
import { dumpedServices } from '../../components/backup/kinds';
import type { BoxDeclaration } from '../../components/boxes';
import type { Model } from '../../components/model';
import { backupRepository } from '../../stacks/backup';
import { namespacesOf } from '../../stacks/namespaces';

/** One box of the picture. */
export interface Cell {
  /** Unique, fit for an `id` and a fragment of an address. */
  readonly id: string;
  readonly title: string;
  readonly lines: readonly string[];
  /** What it is made of; empty for what comes out of another box, such as a job of Jenkins. */
  readonly boxes: readonly BoxDeclaration[];
}

export interface Column {
  readonly key: string;
  readonly title: string;
  /** What flows on to the next column; absent where nothing does. */
  readonly flow?: string;
}

export interface Row {
  readonly title: string;
  /** One for each column. */
  readonly cells: readonly (Cell | undefined)[];
}

/** The topology as a grid: a column for each kind of box, in the order of a commit's way; a row for each module. */
export interface Picture {
  readonly title: string;
  readonly about: readonly string[];
  readonly columns: readonly Column[];
  readonly rows: readonly Row[];
}

/** A commit's way, left to right. Boxes of other kinds get a column each at the right. */
const WAY: readonly Column[] = [
  { key: 'gitlab', title: 'GitLab', flow: 'hook' },
  { key: 'jenkins', title: 'Jenkins', flow: 'build' },
  { key: 'registry', title: 'Registry', flow: 'digest' },
  { key: 'testing', title: 'Testing', flow: 'merge, ledger' },
  { key: 'production', title: 'Production' },
];

const capitalised = (text: string): string => `${text.charAt(0).toUpperCase()}${text.slice(1)}`;

const counted = (number: number, what: string): string => `${number} ${what}${number === 1 ? '' : 's'}`;

const count = (boxes: readonly BoxDeclaration[]): string =>
  counted(
    boxes.reduce((sum, box) => sum + box.declarations.length, 0),
    'resource',
  );

function services(module: Module, production: boolean): string {
  const used = module.services.map(
    ({ name, version, production: other }) => `${name} ${production && other ? other.version : version}`,
  );
  return used.length > 0 ? used.join(', ') : 'no services';
}

/** Which databases are dumped. */
function dumps(model: Model, module: Module): string {
  const dumped = dumpedServices(model, module).map(({ name }) => name);
  return dumped.length > 0 ? `dumps: ${dumped.join(', ')}` : 'no dumps';
}

/** What stands in a module's cell, beside the number of its resources. */
function moduleLines(
  model: Model,
  module: Module,
  key: string,
): { title: string; lines: string[] } | undefined {
  const { settings, releases } = model;
  const released = entryOf(releases, module.name);
  switch (key) {
    case 'gitlab':
      return {
        title: `${settings.gitlab.group}/${module.name}`,
        lines: [`owners: ${module.owners.join(', ')}`, `merge: ${module.merge}`],
      };
    case 'jenkins':
      return {
        title: `job ${module.name}`,
        lines: [`at most ${module.test.timeoutMinutes} minutes of tests`],
      };
    case 'registry':
      return {
        title: `image ${module.name}`,
        lines: [released ? (released.image.split('@')[1] ?? '').slice(0, 19) : 'the ledger knows its digest'],
      };
    case 'testing':
      return { title: namespacesOf(model.settings).test(module.name), lines: [services(module, false)] };
    case 'production':
      return {
        title: namespacesOf(model.settings).production(module.name),
        lines: [services(module, true), counted(module.production.replicas, 'replica')],
      };
    case 'backup':
      return settings.backup
        ? { title: `backup of ${module.name}`, lines: ['repository, images', dumps(model, module)] }
        : undefined;
    default:
      return undefined;
  }
}

export function pictureOf(model: Model, boxes: readonly BoxDeclaration[], only?: string): Picture {
  const { settings } = model;
  const known = new Set(WAY.map(({ key }) => key));
  const others = [...new Set(boxes.map((box): string => box.box))].filter((key) => !known.has(key));
  const columns = [...WAY, ...others.map((key) => ({ key, title: capitalised(key) }))];
  const shared: Row = {
    title: 'shared',
    cells: columns.map(({ key, title }) => {
      const made = boxes.filter((box) => box.module === undefined && box.box === key);
      if (made.length === 0) return undefined;
      const addresses: Record<string, string> = {
        gitlab: settings.gitlab.url,
        jenkins: settings.jenkins.url,
        registry: `${settings.registry.scheme}://${settings.registry.address}`,
        backup: settings.backup ? backupRepository(settings.backup.repository, settings.environment) : '',
      };
      return { id: key, title, lines: [addresses[key] ?? '', count(made)].filter(Boolean), boxes: made };
    }),
  };
  const modules = model.modules
    .filter(({ name }) => only === undefined || name === only)
    .map((module): Row => {
      const cells = columns.map(({ key }): Cell | undefined => {
        const made = boxes.filter((box) => box.module === module.name && box.box === key);
        const told = moduleLines(model, module, key);
        if (!told && made.length === 0) return undefined;
        const { title, lines } = told ?? { title: module.name, lines: [] };
        return {
          id: `${key}-of-${module.name}`,
          title,
          lines: made.length > 0 ? [...lines, count(made)] : lines,
          boxes: made,
        };
      });
      return { title: module.name, cells };
    });
  const clusters = settings.clusters;
  return {
    title: only === undefined ? settings.environment : `${only} in ${settings.environment}`,
    about: [
      count(boxes),
      counted(modules.length, 'module'),
      `contexts: ${clusters.ci.context} for ci, ${clusters.production.context} for production`,
    ],
    columns,
    rows: only === undefined ? [shared, ...modules] : modules,
  };
}
