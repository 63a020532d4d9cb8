import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { loadCatalog } from '../catalog/load';
import { didYouMean, type Problem, ProblemsError } from '../catalog/problems';
import { loadStack } from '../stacks/load';
import type { Model, Releases } from './model';

/** Folders that a program reads from; a deploy image and a test bring their own. */
export interface Folders {
  readonly catalog: string;
  readonly stacks: string;
  /** The Jenkins shared library. */
  readonly library: string;
}

export function defaultFolders(root: string): Folders {
  return {
    catalog: process.env.SWITCHYARD_CATALOG ?? join(root, 'catalog'),
    stacks: process.env.SWITCHYARD_STACKS ?? join(root, 'stacks'),
    library: process.env.SWITCHYARD_LIBRARY ?? join(root, 'delivery', 'library'),
  };
}

function readTree(folder: string): Record<string, string> {
  const files: Record<string, string> = {};
  const visit = (path: string): void => {
    if (statSync(path).isDirectory()) for (const entry of readdirSync(path).sort()) visit(join(path, entry));
    else files[relative(folder, path)] = readFileSync(path, 'utf8');
  };
  visit(folder);
  return files;
}

/**
 * Reads one environment's settings and the catalog.
 * @throws ProblemsError with the faults of all files at once
 */
export function loadModel(folders: Folders, environment: string, releases: Releases = {}): Model {
  const problems: Problem[] = [];
  const collect = <T>(read: () => T): T | undefined => {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof ProblemsError)) throw error;
      problems.push(...error.problems);
      return undefined;
    }
  };
  const settings = collect(() => loadStack(folders.stacks, environment));
  const catalog = collect(() => loadCatalog(folders.catalog));
  if (settings && catalog) {
    const known = catalog.modules.map((module) => module.name);
    for (const [index, name] of (settings.modules ?? []).entries()) {
      if (!known.includes(name)) {
        problems.push({
          file: `stacks/Pulumi.${environment}.yaml`,
          key: `config.modules.${index}`,
          what: `there is no module "${name}" in the catalog.`,
          remedy: didYouMean(name, known),
        });
      }
    }
    const path = settings.topologyProject?.path;
    if (path !== undefined && known.includes(path)) {
      problems.push({
        file: `stacks/Pulumi.${environment}.yaml`,
        key: 'config.topologyProject.path',
        what: `is "${path}", which is a module's name.`,
        remedy: 'Name the project otherwise: both would be one project in GitLab, and one job.',
      });
    }
    if (problems.length === 0) {
      const modules = catalog.modules.filter((module) => settings.modules?.includes(module.name) ?? true);
      return { settings, catalog, modules, releases, library: readTree(folders.library) };
    }
  }
  throw new ProblemsError(problems);
}
