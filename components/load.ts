import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { type Catalog, loadCatalog, type Module, moduleNames, modulesOf } from '../catalog/load';
import { didYouMean, type Problem, ProblemsError } from '../catalog/problems';
import { isOneCluster } from '../stacks/clusters';
import { roles } from '../stacks/gitlab';
import { loadStack } from '../stacks/load';
import type { StackSettings } from '../stacks/schema';
import { deployVariables, stackVariables } from '../stacks/secrets';
import { driftJob } from './jenkins/jobs';
import type { Model } from './model';

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

/** A deploy makes a module's Secrets again, so it needs the passwords of existing services as the first `up` does. */
function missingPasswords(catalog: Catalog, settings: StackSettings, environment: string): Problem[] {
  return modulesOf(catalog, settings.modules).flatMap((module) =>
    module.services.flatMap(({ existing }, index) =>
      existing && !settings.deployEnvironment.includes(existing.credentialsFrom)
        ? [
            {
              file: `catalog/modules/${module.name}.yaml`,
              key: `services.${index}.existing.credentialsFrom`,
              what: `"${existing.credentialsFrom}" does not reach the deploys of ${environment}.`,
              remedy: `Name it in switchyard:deployEnvironment of stacks/Pulumi.${environment}.yaml.`,
            },
          ]
        : [],
    ),
  );
}

/** Where a stack's settings name modules, and which. */
function namedModules({ modules, gitlab }: StackSettings): [key: string, module: string][] {
  return [
    ...(modules ?? []).map((name, index): [string, string] => [`modules.${index}`, name]),
    ...Object.keys(gitlab.projects).map((name): [string, string] => [`gitlab.projects.${name}`, name]),
    ...gitlab.deployKeys.flatMap((key, index) =>
      (key.modules ?? []).map((name, at): [string, string] => [
        `gitlab.deployKeys.${index}.modules.${at}`,
        name,
      ]),
    ),
  ];
}

/** GitLab refuses a role in a project below the one that a person has by the group. */
function roleConflicts({ environment, gitlab }: StackSettings, modules: readonly Module[]): Problem[] {
  const { ownersRole, members } = gitlab;
  if (!ownersRole) return [];
  const owners = new Set(modules.flatMap((module) => module.owners));
  return Object.entries(members)
    .filter(([user, role]) => owners.has(user) && roles.indexOf(role) > roles.indexOf(ownersRole))
    .map(([user, role]) => ({
      file: `stacks/Pulumi.${environment}.yaml`,
      key: `config.gitlab.members.${user}`,
      what: `is ${role} in the group, and as an owner of a module only ${ownersRole} in its project.`,
      remedy: 'Raise ownersRole, or lower the role in the group.',
    }));
}

/** What previews of this repository's merge requests cannot do yet, and a name that is taken. */
function topologyFaults(settings: StackSettings, modules: readonly Module[]): Problem[] {
  const { clusters, environment, gitlab, jenkins, registry, topologyProject } = settings;
  if (!topologyProject) return [];
  const fault = (wrong: boolean, key: string, what: string, remedy: string): Problem[] =>
    wrong ? [{ file: `stacks/Pulumi.${environment}.yaml`, key: `config.${key}`, what, remedy }] : [];
  const { path, apply } = topologyProject;
  const without = 'Remove topologyProject from this stack, or that key.';
  const unseen = 'is read from outside of the state, for which a preview has no credentials.';
  const reaching = deployVariables(settings).map(({ variable }) => variable);
  return [
    ...fault(
      modules.some(({ name }) => name === path),
      'topologyProject.path',
      `is "${path}", which is a module's name.`,
      'Name the project otherwise: both would be one project in GitLab, and one job.',
    ),
    ...fault(
      modules.some(({ name }) => name === driftJob(path)),
      'topologyProject.path',
      `is "${path}", and "${driftJob(path)}", the job that looks for drift, is a module's name.`,
      'Name the project otherwise: both would be one job.',
    ),
    ...fault(
      apply === 'automatic' && !isOneCluster(clusters),
      'topologyProject.apply',
      'is automatic, and the apply Pod reaches only the ci cluster.',
      'Write `apply: manual`, or use one cluster.',
    ),
    ...fault(
      jenkins.existing !== undefined,
      'jenkins.existing',
      'is a Jenkins whose agents are not ours, and previews need agents of their own.',
      without,
    ),
    ...fault(gitlab.groupExists, 'gitlab.group.existing', unseen, without),
    ...fault(Object.keys(gitlab.projects).length > 0, 'gitlab.projects', unseen, without),
    ...fault(
      registry.existing !== undefined,
      'registry.existing',
      'has passwords for which a preview has no stand-in.',
      without,
    ),
    ...(['ci', 'production'] as const).flatMap((role) =>
      fault(
        clusters[role].kubeconfig !== undefined,
        `clusters.${role}.kubeconfig`,
        'is a secret, and Pods of previews reach the cluster by an account of their own.',
        without,
      ),
    ),
    ...stackVariables(settings)
      .filter(({ variable, place }) => !reaching.includes(variable) && !place.endsWith('.kubeconfig'))
      .filter(({ place }) => !place.startsWith('config.registry.existing.'))
      .map(
        ({ variable, place }): Problem => ({
          file: `stacks/Pulumi.${environment}.yaml`,
          key: place,
          what: `"${variable}" does not reach the Pod that takes the secrets out of the state.`,
          remedy: 'Name it in switchyard:deployEnvironment.',
        }),
      ),
  ];
}

/** The library's files, without the topology's own pipeline where no job runs it. */
const libraryOf = (folder: string, { topologyProject }: StackSettings): Record<string, string> =>
  Object.fromEntries(
    Object.entries(readTree(folder)).filter(
      ([path]) => topologyProject !== undefined || !path.startsWith('vars/topology'),
    ),
  );

/**
 * Reads one environment's settings and the catalog.
 * @param only modules that the catalog is read for, as if there were no other: what a deploy takes time for must not
 * grow with their number
 * @throws ProblemsError with the faults of all files at once
 */
export function loadModel(folders: Folders, environment: string, only?: readonly string[]): Model {
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
  const catalog = collect(() => loadCatalog(folders.catalog, only));
  if (settings && catalog) {
    const known = moduleNames(folders.catalog);
    for (const [key, name] of namedModules(settings)) {
      if (!known.includes(name)) {
        problems.push({
          file: `stacks/Pulumi.${environment}.yaml`,
          key: `config.${key}`,
          what: `there is no module "${name}" in the catalog.`,
          remedy: didYouMean(name, known),
        });
      }
    }
    problems.push(...missingPasswords(catalog, settings, environment));
    problems.push(...roleConflicts(settings, catalog.modules));
    problems.push(...topologyFaults(settings, catalog.modules));
    if (problems.length === 0) {
      const modules = modulesOf(catalog, settings.modules);
      return { settings, catalog, modules, releases: {}, library: libraryOf(folders.library, settings) };
    }
  }
  throw new ProblemsError(problems);
}
