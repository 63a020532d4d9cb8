import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { type Catalog, parseCatalog, readCatalogTexts } from '../../catalog/load';
import { didYouMean, type Problem, ProblemsError } from '../../catalog/problems';
import { projectName } from '../../catalog/schema';
import type { Folders } from '../../components/load';
import { loadStack, stackNames } from '../../stacks/load';
import { PACKAGE_SCHEMAS } from '../schemas/line';
import { DEFAULT_PORT, moduleFile, type NewModule, skeletonFiles } from './skeleton';

/** What the command line said; whatever is missing is asked, where there is somebody to ask. */
export interface ModuleOptions {
  readonly description?: string;
  readonly owner?: readonly string[];
  /** `kind:version`, or `kind` where the catalog has one version of it. */
  readonly service?: readonly string[];
  readonly port?: string;
  readonly base?: string;
  /** Folder for the skeleton. */
  readonly into: string;
}

export interface ModuleContext {
  /** What comes with Switchyard. */
  readonly root: string;
  readonly folders: Folders;
  /** Asks a person; absent where nobody is there, as in a script. */
  readonly ask?: (question: string) => Promise<string>;
}

const COMMAND = 'module new';

const words = (text: string): string[] => text.split(/[\s,]+/).filter((word) => word !== '');

/** @returns the version written after the kind, or the only one that the catalog has */
function serviceOf(text: string, catalog: Catalog, problems: Problem[]): NewModule['services'] {
  const [kind = '', ...rest] = text.split(':');
  const service = catalog.services[kind];
  const versions = Object.keys(service?.versions ?? {});
  const version = rest.join(':') || (versions.length === 1 ? (versions[0] ?? '') : '');
  const fault = (what: string, remedy: string): NewModule['services'] => {
    problems.push({ file: COMMAND, key: '--service', what, remedy });
    return [];
  };
  if (!service)
    return fault(
      `"${kind}" is not a service of the catalog.`,
      didYouMean(kind, Object.keys(catalog.services)),
    );
  if (version === '')
    return fault(
      `"${kind}" comes in several versions.`,
      `Write ${versions.map((one) => `${kind}:${one}`).join(' or ')}.`,
    );
  if (!versions.includes(version))
    return fault(`"${version}" is not a version of ${kind}.`, didYouMean(version, versions));
  return [{ kind, version }];
}

async function describedModule(
  name: string,
  options: ModuleOptions,
  catalog: Catalog,
  ask: ModuleContext['ask'],
): Promise<NewModule> {
  const answer = async (given: string | undefined, question: string): Promise<string> =>
    given ?? (ask ? (await ask(question)).trim() : '');
  const problems: Problem[] = [];
  const need = (key: string, what: string) =>
    problems.push({
      file: COMMAND,
      key,
      what,
      remedy: 'Say it, or run the command on a terminal to be asked.',
    });

  const known = Object.values(catalog.services).flatMap(({ kind, versions }) =>
    Object.keys(versions).map((version) => `${kind}:${version}`),
  );
  const description = await answer(options.description, 'What is it for, in one line? ');
  if (description === '') need('--description', 'is missing.');
  const owners = options.owner ?? words(await answer(undefined, 'GitLab user names of its owners: '));
  if (owners.length === 0) need('--owner', 'is missing.');
  const uses = options.service ?? words(await answer(undefined, `Services (${known.join(', ')}): `));
  const services = uses.flatMap((text) => serviceOf(text, catalog, problems));
  const portText = await answer(options.port, `Port that it listens on [${DEFAULT_PORT}]: `);
  if (!/^[0-9]*$/.test(portText)) {
    problems.push({
      file: COMMAND,
      key: '--port',
      what: `"${portText}" is not a port.`,
      remedy: 'Use 1 to 65535.',
    });
  }
  if (problems.length > 0) throw new ProblemsError(problems);
  const port = portText === '' ? DEFAULT_PORT : Number(portText);
  return { name, description, owners, services, port, base: options.base };
}

/** @throws ProblemsError when something of the module is there already */
function refuseToOverwrite(name: string, file: string, into: string): void {
  const problems: Problem[] = [];
  const valid = projectName.safeParse(name);
  if (!valid.success) {
    const [what = '', remedy = ''] = (valid.error.issues[0]?.message ?? '').split(' | ');
    problems.push({ file: COMMAND, what: `"${name}" ${what}.`, remedy });
  } else if (existsSync(file)) {
    problems.push({
      file: `catalog/modules/${name}.yaml`,
      what: 'is there already.',
      remedy: 'Edit it, or choose another name.',
    });
  }
  if (existsSync(into) && readdirSync(into).length > 0) {
    problems.push({ file: into, what: 'is not empty.', remedy: 'Choose another folder with --into.' });
  }
  if (problems.length > 0) throw new ProblemsError(problems);
}

function nextSteps(name: string, into: string, folders: Folders): string[] {
  const here = relative(process.cwd(), into) || '.';
  const steps = [`Read and commit catalog/modules/${name}.yaml.`];
  const origins: string[] = [];
  for (const environment of stackNames(folders.stacks)) {
    const { modules, gitlab } = loadStack(folders.stacks, environment);
    if (modules)
      steps.push(
        `Add ${name} to switchyard:modules in stacks/Pulumi.${environment}.yaml, if it shall run there.`,
      );
    origins.push(`${environment} ${gitlab.url}/${gitlab.group}/${name}.git`);
  }
  return [
    ...steps,
    'npx switchyard up <environment>: makes its project, hook, job, namespaces and services.',
    `In ${here}: git init -b main; git remote add origin <address>; git fetch; git reset origin/main; git switch -c begin; git add .; git commit -m Begin; git push -u origin begin`,
    `Addresses: ${origins.join(', ')}`,
    'Open a merge request: it is built and tested; when somebody else has approved it, it is merged and deployed (merge: automatic waits for nobody).',
  ];
}

/**
 * Writes a module's file into the catalog and a skeleton of its repository into a folder.
 * @returns what comes next, for the person
 * @throws ProblemsError with every fault; nothing was written then
 */
export async function newModule(
  name: string,
  options: ModuleOptions,
  context: ModuleContext,
): Promise<string> {
  const { root, folders, ask } = context;
  const file = join(folders.catalog, 'modules', `${name}.yaml`);
  refuseToOverwrite(name, file, options.into);
  const texts = readCatalogTexts(folders.catalog, folders.services);
  const module = await describedModule(name, options, parseCatalog(texts), ask);
  const text = moduleFile(module, folders.services === undefined ? undefined : PACKAGE_SCHEMAS);
  // The whole catalog as it will be, so that a fault of the new file or a clash with another is told before it is written.
  const catalog = parseCatalog({ ...texts, modules: { ...texts.modules, [`${name}.yaml`]: text } });
  const files = skeletonFiles(root, module, catalog);
  const next = nextSteps(name, options.into, folders);
  for (const [path, content] of files) {
    const target = join(options.into, path);
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, content);
  }
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
  return [
    `Wrote ${relative(process.cwd(), file)} and ${files.size} files in ${options.into}. Next:`,
    ...next.map((step) => `- ${step}`),
    '',
  ].join('\n');
}
