import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, join, relative } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { entryOf } from '../catalog/entry';
import {
  type Catalog,
  type CatalogTexts,
  loadCatalog,
  type Module,
  moduleNames,
  modulesOf,
  parseCatalog,
  readCatalogTexts,
  unreadFiles,
} from '../catalog/load';
import { didYouMean, locate, type Problem, ProblemsError } from '../catalog/problems';
import { OWN_JENKINS_CONTEXT, programOf } from '../catalog/program';
import { folded } from '../catalog/shapes';
import { isOneCluster } from '../stacks/clusters';
import { heldFiles, namedModules, type RepositoryFiles, withoutPrefix } from '../stacks/files';
import { roles } from '../stacks/gitlab';
import { loadStack, readableStack, secretsInStack, stackFile, stackNames } from '../stacks/load';
import type { Credentials } from '../stacks/other-environments';
import { withoutRotating } from '../stacks/rotation';
import type { StackSettings } from '../stacks/schema';
import { DEPLOY_ENVIRONMENT, neededSecrets, stackVariables } from '../stacks/secrets';
import { driftJob } from './jenkins/jobs';
import type { Model } from './model';
import { neighbourFaults } from './neighbours';
import { promotionFaults } from './promotion';
import { names } from './shared/naming';
import type { Transform } from './shared/transform';

/** Folders that a program reads from; a deploy image and a test bring their own. */
export interface Folders {
  /** What comes with Switchyard, see `catalog/place.ts`. */
  readonly root: string;
  /** Whose program, catalog and stacks these are. @default `root` */
  readonly project?: string;
  readonly catalog: string;
  /** Services that come with Switchyard, each replaced by one of the same name in the catalog. @default none */
  readonly services?: string;
  readonly stacks: string;
  /**
   * Stack files with their encrypted values, where `stacks` has copies without: what the topology keeps of them must not
   * depend on who looks. @default `stacks`
   */
  readonly wholeStacks?: string;
  /** The Jenkins shared library. */
  readonly library: string;
  /** What the repository changes in all declarations. @default nothing */
  readonly transform?: Transform;
}

/**
 * @param project whose catalog and stacks are read, see `catalog/place.ts`. @default `root`, which has its own
 * @param transform what that repository changes in all declarations. @default nothing
 */
export function defaultFolders(root: string, project = root, transform?: Transform): Folders {
  // A catalog that is given is all there is, as in Pods, which have it from what was applied.
  const { SWITCHYARD_CATALOG: given } = process.env;
  return {
    root,
    project,
    catalog: given ?? join(project, 'catalog'),
    services: given === undefined && project !== root ? join(root, 'catalog', 'services') : undefined,
    stacks: process.env.SWITCHYARD_STACKS ?? join(project, 'stacks'),
    wholeStacks: process.env.SWITCHYARD_WHOLE_STACKS,
    library: process.env.SWITCHYARD_LIBRARY ?? join(root, 'delivery', 'library'),
    ...(transform ? { transform } : {}),
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

/** A replacement for what the catalog does not have replaces nothing. */
function unknownImages({ environment, images }: StackSettings, catalog: Catalog): Problem[] {
  const known = Object.values(catalog.services).flatMap(({ kind, versions }) =>
    Object.keys(versions).map((version) => `${kind}:${version}`),
  );
  return Object.keys(images.replace)
    .filter((key) => key.includes(':') && !known.includes(key))
    .map((key) => ({
      file: `stacks/Pulumi.${environment}.yaml`,
      key: `config.images.replace.${key}`,
      what: 'is no version of a service in the catalog.',
      remedy: didYouMean(key, known),
    }));
}

/**
 * Passwords that a module's file takes from where they are another's: a variable that the stack names for something
 * else, or that another module names for another host.
 */
function foreignPasswords(catalog: Catalog, settings: StackSettings): Problem[] {
  const named = new Map(stackVariables(settings).map(({ variable, place }) => [variable, place]));
  const seed = settings.promotion?.seedFrom;
  if (seed !== undefined) named.set(seed, 'config.promotion.seedFrom');
  const first = new Map<string, { readonly module: string; readonly host: string }>();
  return modulesOf(catalog, settings.modules).flatMap((module) =>
    module.services.flatMap(({ existing }, index): Problem[] => {
      if (!existing) return [];
      const { credentialsFrom: variable, host } = existing;
      const place = named.get(variable);
      const other = first.get(variable) ?? { module: module.name, host };
      first.set(variable, other);
      const fault = (what: string): Problem => ({
        file: `catalog/modules/${module.name}.yaml`,
        key: `services.${index}.existing.credentialsFrom`,
        what,
        remedy: "Give the service's password in a variable of its own.",
      });
      return [
        ...(place !== undefined && place !== DEPLOY_ENVIRONMENT
          ? [fault(`"${variable}" is what ${place} of ${settings.environment} names.`)]
          : []),
        ...(other.module !== module.name && other.host !== host
          ? [fault(`"${variable}" is the password of module "${other.module}" for ${other.host}.`)]
          : []),
      ];
    }),
  );
}

/** GitLab refuses a role in a project below the one that a person has by the group. */
function roleConflicts({ environment, gitlab }: StackSettings, modules: readonly Module[]): Problem[] {
  const { ownersRole, members } = gitlab;
  if (!ownersRole) return [];
  const owners = new Set(modules.flatMap((module) => module.owners.map(folded)));
  return Object.entries(members)
    .filter(([user, role]) => owners.has(folded(user)) && roles.indexOf(role) > roles.indexOf(ownersRole))
    .map(([user, role]) => ({
      file: `stacks/Pulumi.${environment}.yaml`,
      key: `config.gitlab.members.${user}`,
      what: `is ${role} in the group, and as an owner of a module only ${ownersRole} in its project.`,
      remedy: 'Raise ownersRole, or lower the role in the group.',
    }));
}

/** A project that is there already is one module's, and none that another module or the topology itself has in the group. */
function sharedProjects(
  { environment, gitlab, topologyProject }: StackSettings,
  modules: readonly Module[],
): Problem[] {
  const inGroup = (path: string): string => folded(`${gitlab.group}/${path}`);
  const taken = new Map([
    [inGroup(names.ledgerProject), 'the release ledger'],
    [inGroup(names.libraryProject), 'the pipeline library'],
    ...(topologyProject ? [[inGroup(topologyProject.path), 'the topology'] as const] : []),
  ]);
  for (const { name } of modules)
    if (!entryOf(gitlab.projects, name)) taken.set(inGroup(name), `module "${name}"`);
  return modules.flatMap(({ name }): Problem[] => {
    const existing = entryOf(gitlab.projects, name)?.existing;
    if (existing === undefined) return [];
    const other = taken.get(folded(existing));
    taken.set(folded(existing), `module "${name}"`);
    if (other === undefined) return [];
    return [
      {
        file: `stacks/Pulumi.${environment}.yaml`,
        key: `config.gitlab.projects.${name}.existing`,
        what: `"${existing}" is the project of ${other}, as GitLab compares paths without case.`,
        remedy: 'Give each a project of its own.',
      },
    ];
  });
}

/** What previews have no stand-in for; of this environment, whichever one's Jenkins previews it. */
function unseenFaults(
  { clusters, environment, gitlab, promotion, registry }: StackSettings,
  key: string,
): Problem[] {
  const fault = (wrong: boolean, at: string, what: string): Problem[] =>
    wrong
      ? [
          {
            file: `stacks/Pulumi.${environment}.yaml`,
            key: `config.${at}`,
            what,
            remedy: `Remove ${key} from this stack, or that key.`,
          },
        ]
      : [];
  const unseen = 'is read from outside of the state, for which a preview has no credentials.';
  return [
    ...fault(gitlab.groupExists, 'gitlab.group.existing', unseen),
    // Where releases are promoted, nothing is made in them.
    ...fault(Object.keys(gitlab.projects).length > 0 && !promotion, 'gitlab.projects', unseen),
    ...fault(
      registry.existing !== undefined,
      'registry.existing',
      'has passwords for which a preview has no stand-in.',
    ),
    ...(['ci', 'production'] as const).flatMap((role) =>
      fault(
        clusters[role].kubeconfig !== undefined,
        `clusters.${role}.kubeconfig`,
        'is a secret, and Pods of previews reach the cluster by an account of their own.',
      ),
    ),
  ];
}

/** Whether another environment's Pods would have what it needs, and whether it agrees. */
function otherFaults(stacks: string, own: string, name: string, given: Credentials): Omit<Problem, 'file'>[] {
  const key = `config.topologyProject.credentials.${name}`;
  let other: StackSettings;
  try {
    other = loadStack(stacks, name);
  } catch (error) {
    if (!(error instanceof ProblemsError)) throw error;
    // If the file exists, its errors are reported when that environment is checked.
    return stackNames(stacks).includes(name)
      ? []
      : [
          {
            key: 'config.topologyProject.environments',
            what: `there is no environment "${name}".`,
            remedy: didYouMean(name, stackNames(stacks)),
          },
        ];
  }
  const encrypted = secretsInStack(stacks, name);
  return [
    ...(other.previewedBy === own
      ? []
      : [
          {
            key: 'config.topologyProject.environments',
            what: `has "${name}", whose stack file does not say so.`,
            remedy: `Write "switchyard:previewedBy: ${own}" into stacks/Pulumi.${name}.yaml.`,
          },
        ]),
    ...neededSecrets(stackVariables(other))
      .filter(
        ({ key: inFile, variable }) => !(inFile && encrypted.includes(inFile)) && !given.variables[variable],
      )
      .map(({ variable }) => ({
        key: `${key}.variables`,
        what: `has no ${variable}, which "${name}" needs.`,
        remedy: `Name the variable that holds it: "${variable}: …". Nothing is shared unless it is named.`,
      })),
  ];
}

/** What previews of this repository's merge requests cannot do yet, and a name that is taken. */
function topologyFaults(settings: StackSettings, modules: readonly Module[], stacks: string): Problem[] {
  const { clusters, environment: own, jenkins, previewedBy, topologyProject } = settings;
  const at = (fault: Omit<Problem, 'file'>): Problem => ({ file: `stacks/Pulumi.${own}.yaml`, ...fault });
  const fault = (wrong: boolean, key: string, what: string, remedy: string): Problem[] =>
    wrong ? [at({ key: `config.${key}`, what, remedy })] : [];
  if (!topologyProject) return previewedBy ? unseenFaults(settings, 'previewedBy') : [];
  const { path, apply, credentials, environments = [own] } = topologyProject;
  const here = 'topologyProject.credentials';
  return [
    ...fault(
      previewedBy !== undefined,
      'previewedBy',
      'stands beside topologyProject, which previews this environment here.',
      'Keep one of the two.',
    ),
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
      new Set(environments).size < environments.length,
      'topologyProject.environments',
      'names an environment twice.',
      'Name each once, in the order of applying.',
    ),
    ...fault(
      apply === 'automatic' && environments.includes(own) && !isOneCluster(clusters),
      'topologyProject.apply',
      'is automatic, and the apply Pod reaches only the ci cluster.',
      'Write `apply: manual`, or use one cluster.',
    ),
    ...fault(
      jenkins.existing !== undefined,
      'jenkins.existing',
      'is a Jenkins whose agents are not ours, and previews need agents of their own.',
      'Remove topologyProject from this stack, or that key.',
    ),
    ...Object.keys(credentials)
      .filter((name) => name === own || !environments.includes(name))
      .flatMap((name) =>
        fault(
          true,
          `${here}.${name}`,
          name === own ? 'is this environment itself.' : 'is not among topologyProject.environments.',
          'Remove it: they are for the other environments.',
        ),
      ),
    ...environments
      .filter((name) => name !== own)
      .flatMap((name) => {
        const given = entryOf(credentials, name);
        if (!given)
          return fault(
            true,
            `${here}.${name}`,
            'is missing, so no Pod here reaches that environment.',
            'Name its variables and kubeconfigs: see docs/previews.md.',
          );
        return [
          ...fault(
            apply === 'automatic' && given.applyKubeconfig === undefined,
            `${here}.${name}.applyKubeconfig`,
            'is missing, and what is merged is to be applied.',
            'Name the variable that holds it, or write `apply: manual`.',
          ),
          ...otherFaults(stacks, own, name, given).map(at),
        ];
      }),
    ...unseenFaults(settings, 'topologyProject'),
  ];
}

/** The library's files, without the topology's own pipeline where no job runs it. */
const libraryOf = (folder: string, { topologyProject }: StackSettings): Record<string, string> =>
  Object.fromEntries(
    Object.entries(readTree(folder)).filter(
      ([path]) => topologyProject !== undefined || !path.startsWith('vars/topology'),
    ),
  );

/** The other environments of the folder, as far as their files can be read: what is wrong in them is told there. */
const neighboursOf = (stacks: string, own: string): StackSettings[] =>
  stackNames(stacks).flatMap((name) => (name === own ? [] : (readableStack(stacks, name) ?? [])));

/** What keeps releases from being promoted into an environment, as far as the other one's file can be read. */
function promotionOf(settings: StackSettings, catalog: Catalog, stacks: string): Problem[] {
  const { from } = settings.promotion ?? {};
  const origin = from === undefined ? undefined : readableStack(stacks, from);
  const names = (of: StackSettings): string[] => modulesOf(catalog, of.modules).map(({ name }) => name);
  const modules = modulesOf(catalog, settings.modules);
  return promotionFaults(settings, modules, origin, origin ? names(origin) : []);
}

/** The files that this environment's Pods work from. */
function filesOf(
  { stacks, wholeStacks = stacks }: Folders,
  settings: StackSettings,
  texts: CatalogTexts,
): RepositoryFiles {
  const readable = new Set([settings.environment]);
  const held = heldFiles(settings, (name) => {
    const other = readableStack(stacks, name);
    if (other) readable.add(name);
    return other;
  });
  const ofModule = (file: string): boolean => held.modules?.includes(basename(file, '.yaml')) ?? true;
  const files = held.stacks.filter((name) => existsSync(join(wholeStacks, stackFile(name))));
  const textOf = (name: string): string => {
    const text = readFileSync(join(wholeStacks, stackFile(name)), 'utf8');
    return readable.has(name) ? withoutRotating(text) : text;
  };
  return {
    modules: Object.fromEntries(Object.entries(texts.modules).filter(([file]) => ofModule(file))),
    services: texts.services,
    stacks: Object.fromEntries(files.map((name) => [stackFile(name), textOf(name)])),
  };
}

/** Text of a file of the catalog or of an environment, for the lines of its problems. */
function fileText({ catalog, services, stacks }: Folders, file: string): string | undefined {
  const [folder = '', ...path] = file.split('/');
  if (!['catalog', 'stacks'].includes(folder)) return undefined;
  const place = [
    folder === 'stacks' ? join(stacks, ...path) : join(catalog, ...path),
    ...(services && path[0] === 'services' ? [join(services, ...path.slice(1))] : []),
  ].find((one) => statSync(one, { throwIfNoEntry: false })?.isFile());
  if (place === undefined) return undefined;
  const text = readFileSync(place, 'utf8');
  return folder === 'stacks' ? withoutPrefix(text) : text;
}

/** Problems of files of the catalog and of environments, each with its line. */
export const located = (folders: Folders, problems: readonly Problem[]): ProblemsError =>
  new ProblemsError(locate(problems, (file) => fileText(folders, file)));

/** Where plain `pulumi up` of a repository that installs Switchyard finds the context of Jenkins' image. */
const jenkinsContextOf = ({ root, project }: Folders): string | undefined =>
  project !== undefined && project !== root ? OWN_JENKINS_CONTEXT : undefined;

/** Parses the same catalog once for several environments. */
export function parsedOnce(): (texts: CatalogTexts) => Catalog {
  let first: { readonly texts: CatalogTexts; readonly catalog: Catalog } | undefined;
  return (texts) => {
    if (!isDeepStrictEqual(texts, first?.texts)) first = { texts, catalog: parseCatalog(texts) };
    return (first as { readonly catalog: Catalog }).catalog;
  };
}

/**
 * Reads one environment's settings and the catalog.
 * @param only modules that the catalog is read for, as if there were no other: what a deploy takes time for must not
 * grow with their number
 * @param parsed what parses the catalog. @default `parseCatalog`
 * @throws ProblemsError with the faults of all files at once
 */
export function loadModel(
  folders: Folders,
  environment: string,
  only?: readonly string[],
  parsed: (texts: CatalogTexts) => Catalog = parseCatalog,
): Model {
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
  if (!only) problems.push(...unreadFiles(folders.catalog));
  const texts = only ? undefined : readCatalogTexts(folders.catalog, folders.services);
  const catalog = collect(() =>
    texts ? parsed(texts) : loadCatalog(folders.catalog, only, folders.services),
  );
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
    problems.push(...unknownImages(settings, catalog));
    problems.push(...foreignPasswords(catalog, settings));
    problems.push(...roleConflicts(settings, catalog.modules));
    problems.push(...sharedProjects(settings, modulesOf(catalog, settings.modules)));
    // A deploy of one module makes nothing that a neighbour could have.
    if (!only) {
      problems.push(
        ...neighbourFaults(
          settings,
          catalog,
          neighboursOf(folders.stacks, environment),
          folders.transform !== undefined,
        ),
      );
      problems.push(...promotionOf(settings, catalog, folders.stacks));
    }
    problems.push(...topologyFaults(settings, catalog.modules, folders.stacks));
    if (problems.length === 0) {
      return {
        settings,
        catalog,
        modules: modulesOf(catalog, settings.modules),
        releases: {},
        library: libraryOf(folders.library, settings),
        files: texts ? filesOf(folders, settings, texts) : { modules: {}, services: {}, stacks: {} },
        program: only ? '' : programOf(folders.root, folders.project),
        jenkinsContext: jenkinsContextOf(folders),
        ...(folders.transform ? { transform: folders.transform } : {}),
      };
    }
  }
  throw located(folders, problems);
}
