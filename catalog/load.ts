import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { z } from 'zod';
import { servicesIn } from './addresses';
import { TEST_CONTAINERS } from './containers';
import { entryOf } from './entry';
import { deepFreeze, didYouMean, locate, type Problem, ProblemsError, parseYaml } from './problems';
import { HANDOVER_SECONDS, PROXY_METRICS_PORT, PROXY_PORT } from './scaling';
import {
  dnsLabel,
  type ModuleFile,
  moduleSchema,
  type Resources,
  type ServiceFile,
  type ServiceUseFile,
  serviceSchema,
} from './schema';
import { faultOfNewPath, reservedProjects } from './shapes';

export interface Service extends ServiceFile {
  readonly kind: string;
}

/** One use of a service by a module, with everything resolved. */
export interface ServiceUse {
  readonly name: string;
  readonly kind: string;
  readonly version: string;
  readonly storage: string;
  /** Set where this instance has other resources than its service. */
  readonly resources?: Resources;
  readonly production?: { readonly version: string; readonly reason: string };
  /** Set when production uses one that stands already. */
  readonly existing?: NonNullable<ServiceUseFile['existing']>;
}

export interface Module extends Omit<ModuleFile, 'services' | 'production'> {
  /** From the file's name: `catalog/modules/orders.yaml` is `orders`. */
  readonly name: string;
  readonly services: readonly ServiceUse[];
  /** With `scaling`, `replicas` are those to begin with. */
  readonly production: ModuleFile['production'] & { readonly replicas: number };
}

/** Pods of a module where its file says nothing. */
const DEFAULT_REPLICAS = 2;

/** Everything that runs, as frozen plain data, sorted by name. */
export interface Catalog {
  readonly modules: readonly Module[];
  readonly services: Readonly<Record<string, Service>>;
}

/** Text by file name: what `loadCatalog` reads from disk, and what tests hand in. */
export type CatalogTexts = {
  readonly modules: Record<string, string>;
  readonly services: Record<string, string>;
};

/** Bytes of one file: Pods have it from a ConfigMap, of which Kubernetes takes 1 MiB, beside others. */
const LARGEST_FILE = 512 * 1024;

function parseAll<T>(
  folder: string,
  texts: Record<string, string>,
  schema: z.ZodType<T>,
  problems: Problem[],
): Map<string, T> {
  const parsed = new Map<string, T>();
  for (const fileName of Object.keys(texts).sort()) {
    const file = `catalog/${folder}/${fileName}`;
    const name = basename(fileName, '.yaml');
    const named = dnsLabel.safeParse(name);
    if (!named.success) {
      const [what = '', remedy = ''] = (named.error.issues[0]?.message ?? '').split(' | ');
      problems.push({ file, what: `the file's name "${name}" ${what}.`, remedy });
      continue;
    }
    const text = texts[fileName] ?? '';
    const size = Buffer.byteLength(text);
    if (size > LARGEST_FILE) {
      problems.push({
        file,
        what: `has ${size} bytes, and a ConfigMap must hold it: at most ${LARGEST_FILE}.`,
        remedy: 'Shorten it.',
      });
      continue;
    }
    const result = parseYaml(text, file, schema);
    if ('value' in result) parsed.set(name, result.value);
    else problems.push(...result.problems);
  }
  return parsed;
}

/** What an autoscaler and the rest of a module's file cannot both have. */
function scalingFaults(file: string, { port, production }: ModuleFile): Problem[] {
  const { scaling, replicas, drainSeconds, terminationGraceSeconds } = production;
  if (!scaling) return [];
  const fault = (wrong: boolean, key: string, what: string, remedy: string): Problem[] =>
    wrong ? [{ file, key, what, remedy }] : [];
  const proxied = scaling.metric === undefined;
  return [
    ...fault(
      replicas !== undefined,
      'production.replicas',
      'stands beside scaling, whose autoscaler alone sets the number of Pods.',
      'Remove it: scaling.min are there from the beginning.',
    ),
    ...fault(
      proxied && (port === PROXY_PORT || port === PROXY_METRICS_PORT),
      'port',
      `${port} is a port of the proxy that counts the requests of production.scaling.`,
      'Choose another port.',
    ),
    ...fault(
      proxied &&
        drainSeconds < terminationGraceSeconds &&
        drainSeconds + HANDOVER_SECONDS >= terminationGraceSeconds,
      'production.drainSeconds',
      `${drainSeconds} and the ${HANDOVER_SECONDS} s of the proxy before the module leave nothing of the ${terminationGraceSeconds} s in which a Pod must end.`,
      'Write less, or raise production.terminationGraceSeconds.',
    ),
  ];
}

/** What a migration has nothing to do for. */
function migrationFaults(file: string, { environment, production, services }: ModuleFile): Problem[] {
  const { egress, migrate, migrateSeconds } = production;
  if (migrate === undefined)
    return migrateSeconds === undefined
      ? []
      : [
          {
            file,
            key: 'production.migrateSeconds',
            what: 'is unused: there is no production.migrate.',
            remedy: 'Leave it out, or write what migrates the data.',
          },
        ];
  const reaches =
    services.length > 0 ||
    egress.length > 0 ||
    Object.values(environment).some((value) => servicesIn(value).length > 0);
  return reaches
    ? []
    : [
        {
          file,
          key: 'production.migrate',
          what: 'has no data to migrate: the module has no services, no production.egress, and no Service in its environment.',
          remedy: 'Name under services what it migrates, or leave it out.',
        },
      ];
}

/**
 * Parses a catalog from texts.
 * @throws ProblemsError with every fault of every file
 */
export function parseCatalog(texts: CatalogTexts): Catalog {
  const problems: Problem[] = [];
  const serviceFiles = parseAll('services', texts.services, serviceSchema, problems);
  const moduleFiles = parseAll('modules', texts.modules, moduleSchema, problems);

  const services: Record<string, Service> = {};
  for (const [kind, file] of serviceFiles) services[kind] = { ...file, kind };
  const brokenServices = new Set(Object.keys(texts.services).map((name) => basename(name, '.yaml')));

  for (const name of moduleFiles.keys()) {
    const fault = faultOfNewPath(name);
    if (fault)
      problems.push({
        file: `catalog/modules/${name}.yaml`,
        what: `its name ${fault.what}.`,
        remedy: 'Rename the module.',
      });
    if (!reservedProjects.includes(name)) continue;
    problems.push({
      file: `catalog/modules/${name}.yaml`,
      what: `GitLab keeps "${name}" for addresses of its own, and takes no project of that name.`,
      remedy: 'Rename the module.',
    });
  }

  const modules: Module[] = [];
  const nodePorts = new Map<number, string>();
  const hosts = new Map<string, string>();
  for (const [name, file] of moduleFiles) {
    const where = `catalog/modules/${name}.yaml`;
    const seen = new Set<string>();
    const uses = file.services.map((use, index): ServiceUse => {
      const useName = use.name ?? use.kind;
      const service = entryOf(services, use.kind);
      const versions = Object.keys(service?.versions ?? {});
      if (!service) {
        // A service whose own file is broken is reported there; saying it twice helps nobody.
        if (!brokenServices.has(use.kind)) {
          problems.push({
            file: where,
            key: `services.${index}.kind`,
            what: `"${use.kind}" is not a service of the catalog.`,
            remedy: didYouMean(use.kind, Object.keys(services)),
          });
        }
      } else {
        for (const [key, version] of [
          ['version', use.version],
          ['production.version', use.production?.version],
        ] as const) {
          if (version !== undefined && !versions.includes(version)) {
            problems.push({
              file: where,
              key: `services.${index}.${key}`,
              what: `"${version}" is not a version of ${use.kind}.`,
              remedy: didYouMean(version, versions),
            });
          }
        }
      }
      if (seen.has(useName)) {
        problems.push({
          file: where,
          key: `services.${index}`,
          what: `a second service is called "${useName}".`,
          remedy: 'Give one of them a "name".',
        });
      }
      seen.add(useName);
      if (TEST_CONTAINERS.includes(useName)) {
        problems.push({
          file: where,
          key: `services.${index}.${use.name === undefined ? 'kind' : 'name'}`,
          what: `"${useName}" is what each test Pod calls a container of its own.`,
          remedy: 'Give the service another "name".',
        });
      }
      if (useName === name) {
        problems.push({
          file: where,
          key: `services.${index}.${use.name === undefined ? 'kind' : 'name'}`,
          what: `"${useName}" is the name of the module, whose workload stands in the same namespace.`,
          remedy: 'Give the service another "name".',
        });
      }
      return {
        name: useName,
        kind: use.kind,
        version: use.version,
        storage: use.storage,
        resources: use.resources,
        production: use.production,
        ...(use.existing ? { existing: use.existing } : {}),
      };
    });
    const nodePort = file.production.nodePort;
    if (nodePort !== undefined) {
      const other = nodePorts.get(nodePort);
      if (other) {
        problems.push({
          file: where,
          key: 'production.nodePort',
          what: `${nodePort} is taken by ${other}.`,
          remedy: 'Choose another port of 30000 to 32767.',
        });
      }
      nodePorts.set(nodePort, name);
    }
    const { ingress, drainSeconds, terminationGraceSeconds } = file.production;
    if (ingress !== undefined) {
      // "/a" and "/a/" lead to the same.
      const address = `${ingress.host}${ingress.path.replace(/(?<=.)\/$/, '')}`;
      const other = hosts.get(address);
      if (other) {
        problems.push({
          file: where,
          key: 'production.ingress.host',
          what: `${address} is taken by ${other}.`,
          remedy: 'Choose another host or path.',
        });
      }
      hosts.set(address, name);
    }
    problems.push(...scalingFaults(where, file), ...migrationFaults(where, file));
    if (drainSeconds >= terminationGraceSeconds) {
      problems.push({
        file: where,
        key: 'production.drainSeconds',
        what: `${drainSeconds} leaves nothing of the ${terminationGraceSeconds} s in which a Pod must end.`,
        remedy: 'Write less, or raise production.terminationGraceSeconds.',
      });
    }
    const { replicas = file.production.scaling?.min ?? DEFAULT_REPLICAS } = file.production;
    modules.push({ ...file, name, services: uses, production: { ...file.production, replicas } });
  }
  if (problems.length > 0) {
    const textOf = (file: string): string | undefined => {
      const [, folder, name = ''] = file.split('/');
      return folder === 'modules' || folder === 'services' ? entryOf(texts[folder], name) : undefined;
    };
    throw new ProblemsError(locate(problems, textOf));
  }
  return deepFreeze({ modules, services });
}

const namesIn = (folder: string): string[] =>
  existsSync(folder)
    ? readdirSync(folder)
        .filter(
          (name) =>
            name.endsWith('.yaml') && statSync(join(folder, name), { throwIfNoEntry: false })?.isFile(),
        )
        .sort()
    : [];

/**
 * Entries of the catalog's folders that nobody reads: another ending, a folder. Whoever put them there counts on them.
 * Names that begin with a dot are not meant: editors and Kubernetes' own volumes have such.
 */
export function unreadFiles(folder: string): Problem[] {
  return ['modules', 'services'].flatMap((kind) => {
    const inside = join(folder, kind);
    if (!existsSync(inside)) return [];
    return readdirSync(inside)
      .filter((name) => !name.startsWith('.'))
      .sort()
      .flatMap((name): Problem[] => {
        const isFile = statSync(join(inside, name), { throwIfNoEntry: false })?.isFile() === true;
        if (isFile && name.endsWith('.yaml')) return [];
        return [
          {
            file: `catalog/${kind}/${name}`,
            what: isFile ? 'is not read: its name does not end in ".yaml".' : 'is not a file.',
            remedy: isFile
              ? 'Rename it, or move it elsewhere.'
              : `Put each file directly into catalog/${kind}, and all else elsewhere.`,
          },
        ];
      });
  });
}

const readTexts = (folder: string, names = namesIn(folder)): Record<string, string> =>
  Object.fromEntries(names.map((name) => [name, readFileSync(join(folder, name), 'utf8')]));

/** Texts of the services below a folder, and of the templates that it does not replace by a file of the same name. */
const readServices = (folder: string, templates: string | undefined): Record<string, string> => ({
  ...(templates ? readTexts(templates) : {}),
  ...readTexts(join(folder, 'services')),
});

/**
 * Texts of `modules/*.yaml` and `services/*.yaml` below a folder.
 * @param templates folder of further services, each replaced by a file of the same name. @default none
 */
export const readCatalogTexts = (folder: string, templates?: string): CatalogTexts => ({
  modules: readTexts(join(folder, 'modules')),
  services: readServices(folder, templates),
});

/** Names of a catalog's modules, told by its files alone. */
export const moduleNames = (folder: string): string[] =>
  namesIn(join(folder, 'modules')).map((file) => basename(file, '.yaml'));

const noModule = (name: string, known: readonly string[]): Problem => ({
  file: 'catalog/modules',
  what: `there is no module "${name}".`,
  remedy: didYouMean(name, known),
});

/**
 * Reads `modules/*.yaml` and `services/*.yaml` below a folder.
 * @param only leave the files of all other modules unread
 * @param templates see {@link readCatalogTexts}
 * @throws ProblemsError with every fault of every file, and for a name of `only` that no file has
 */
export function loadCatalog(folder: string, only?: readonly string[], templates?: string): Catalog {
  if (!only) return parseCatalog(readCatalogTexts(folder, templates));
  const known = moduleNames(folder);
  const missing = only.filter((name) => !known.includes(name));
  if (missing.length > 0) throw new ProblemsError(missing.map((name) => noModule(name, known)));
  const files = [...new Set(only)].map((name) => `${name}.yaml`);
  return parseCatalog({
    modules: readTexts(join(folder, 'modules'), files),
    services: readServices(folder, templates),
  });
}

/** The modules of an environment. @param names as its stack gives them; undefined: all */
export const modulesOf = (catalog: Catalog, names: readonly string[] | undefined): Module[] =>
  catalog.modules.filter(({ name }) => names?.includes(name) ?? true);

/** @throws ProblemsError when no module has the name */
export function findModule(catalog: Catalog, name: string): Module {
  const found = catalog.modules.find((module) => module.name === name);
  if (found) return found;
  throw new ProblemsError([
    noModule(
      name,
      catalog.modules.map((module) => module.name),
    ),
  ]);
}
