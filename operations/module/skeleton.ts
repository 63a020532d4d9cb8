import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import type { Catalog } from '../../catalog/load';
import { toYaml } from '../render/yaml';
import { schemaLine } from '../schemas/line';

/** What a person says about a module that is not there yet. */
export interface NewModule {
  readonly name: string;
  readonly description: string;
  /** GitLab user names. */
  readonly owners: readonly string[];
  readonly services: readonly { readonly kind: string; readonly version: string }[];
  readonly port: number;
  /** Base image of the skeleton's Dockerfile. @default DEFAULT_BASE */
  readonly base?: string;
}

export const DEFAULT_PORT = 8080;
export const DEFAULT_BASE = 'python:3.13-slim';

/** Files that git or the image builder would obey inside this repository too, were they named as in a module. */
const RENAMED: Readonly<Record<string, string>> = { gitignore: '.gitignore', dockerignore: '.dockerignore' };

/**
 * The text of `catalog/modules/<name>.yaml`. What is the default is not written down.
 * @param schemas see `schemaLine`
 */
export function moduleFile(module: NewModule, schemas?: string): string {
  const services = module.services.map(
    ({ kind, version }) => `  - { kind: ${JSON.stringify(kind)}, version: ${JSON.stringify(version)} }\n`,
  );
  return [
    `${schemaLine({ name: 'module', folder: 'catalog/modules' }, schemas)}\n`,
    toYaml({ description: module.description }),
    toYaml({ owners: module.owners }),
    ...(services.length > 0 ? ['services:\n', ...services] : []),
    ...(module.base === undefined ? [] : [toYaml({ image: { args: { BASE: module.base } } })]),
    ...(module.port === DEFAULT_PORT ? [] : [toYaml({ port: module.port })]),
  ].join('');
}

/** Service → names of the variables that hold its host and port, as far as its file has one for each. */
function addressVariables(module: NewModule, catalog: Catalog): Record<string, [string, string]> {
  return Object.fromEntries(
    module.services.flatMap(({ kind }) => {
      const variables = Object.entries(catalog.services[kind]?.moduleEnvironment ?? {});
      const named = (template: string) => variables.find(([, value]) => value === template)?.[0];
      const host = named('{host}');
      const port = named('{port}');
      return host && port ? [[kind, [host, port] as [string, string]]] : [];
    }),
  );
}

function pythonMap(pairs: Record<string, [string, string]>): string {
  const lines = Object.entries(pairs).map(
    ([kind, [host, port]]) =>
      `    ${JSON.stringify(kind)}: (${JSON.stringify(host)}, ${JSON.stringify(port)}),\n`,
  );
  return lines.length > 0 ? `{\n${lines.join('')}}` : '{}';
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .sort();
}

/**
 * A module that answers, is tested and releases itself, to begin from: path in its repository → text.
 * @param root what comes with Switchyard: it has the templates
 */
export function skeletonFiles(root: string, module: NewModule, catalog: Catalog): Map<string, string> {
  const values: Readonly<Record<string, string>> = {
    BASE: module.base ?? DEFAULT_BASE,
    DESCRIPTION: module.description,
    MODULE: module.name,
    PORT: String(module.port),
    SERVICES: pythonMap(addressVariables(module, catalog)),
  };
  const fill = (text: string): string =>
    text.replace(/__([A-Z]+)__/g, (whole, key: string) => values[key] ?? whole);
  const templates = join(root, 'operations', 'module', 'skeleton');
  return new Map(
    filesBelow(templates).map((path): [string, string] => [
      RENAMED[path] ?? path,
      fill(readFileSync(join(templates, path), 'utf8')),
    ]),
  );
}
