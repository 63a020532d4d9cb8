import * as pulumi from '@pulumi/pulumi';
import { parseLedger } from '../catalog/ledger';
import { didYouMean, type Problem, ProblemsError } from '../catalog/problems';
import { type SecretName, secretSources } from '../stacks/secrets';
import { defaultFolders, loadModel } from './load';
import type { Releases } from './model';
import { names } from './shared/naming';
import type { TopologyArgs } from './topology';

/** Environment variable with which a deploy job says: only these modules, separated by commas. */
export const ONLY_VARIABLE = 'SWITCHYARD_ONLY';

/**
 * Reads an environment's file of the release ledger. A project or a file that does not exist yet is an empty ledger:
 * the first `up` makes it.
 * @throws ProblemsError when GitLab cannot be asked, or the file is broken
 */
export async function fetchReleases(
  url: string,
  group: string,
  token: string,
  environment: string,
): Promise<Releases> {
  const project = encodeURIComponent(`${group}/${names.ledgerProject}`);
  const file = `${environment}.yaml`;
  const address = `${url}/api/v4/projects/${project}/repository/files/${encodeURIComponent(file)}/raw?ref=main`;
  const unreachable = (what: string, remedy: string) =>
    new ProblemsError([{ file: `${names.ledgerProject}/${file}`, what, remedy }]);
  let response: Response;
  try {
    response = await fetch(address, { headers: { 'PRIVATE-TOKEN': token } });
  } catch (error) {
    const cause = (error as { cause?: { code?: string } }).cause?.code ?? (error as Error).message;
    throw unreachable(
      `GitLab at ${url} does not answer (${cause}).`,
      'Check gitlab.url and that GitLab runs.',
    );
  }
  if (response.status === 404) return {};
  if (response.status === 401 || response.status === 403) {
    throw unreachable(
      `GitLab refuses the token (${response.status}).`,
      `Give a token with the api scope in ${secretSources.gitlabToken}.`,
    );
  }
  if (!response.ok) throw unreachable(`GitLab answers ${response.status}.`, 'Look at its log.');
  return parseLedger(await response.text(), `${names.ledgerProject}/${file}`).modules;
}

/** The secrets of a stack, from its file or the environment; each an `Output` secret from here on. */
function readSecrets(deployEnvironment: readonly string[], problems: Problem[]) {
  const config = new pulumi.Config('switchyard');
  const given: Record<string, pulumi.Output<string>> = {};
  const require = (variable: string, key?: SecretName): pulumi.Output<string> => {
    const fromStack = key ? config.getSecret(key) : undefined;
    const fromEnvironment = process.env[variable];
    if (fromStack) return fromStack;
    if (fromEnvironment) return pulumi.secret(fromEnvironment);
    problems.push({
      file: `stacks/Pulumi.${pulumi.getStack()}.yaml`,
      key: key ?? 'config.deployEnvironment',
      what: `the secret ${variable} is missing.`,
      remedy: key
        ? `Run "pulumi config set --secret switchyard:${key}" or set ${variable}.`
        : `Set ${variable} in the environment of this command.`,
    });
    return pulumi.secret('');
  };
  const seed = require(secretSources.seed, 'seed');
  const gitlabToken = require(secretSources.gitlabToken, 'gitlabToken');
  for (const name of deployEnvironment) given[name] = name === secretSources.seed ? seed : require(name);
  return { seed, gitlabToken, given };
}

const plain = (output: pulumi.Output<string>): Promise<string> =>
  new Promise((resolve) => {
    output.apply(resolve);
  });

/**
 * Everything that the topology needs, read and checked before the first resource.
 * @throws pulumi.RunError with one line a fault, so that Pulumi prints them without a stack trace
 */
export async function loadProgramInputs(environment: string, root: string): Promise<TopologyArgs> {
  try {
    const folders = defaultFolders(root);
    const model = loadModel(folders, environment);
    const problems: Problem[] = [];
    const secrets = readSecrets(model.settings.deployEnvironment, problems);
    const only = process.env[ONLY_VARIABLE]?.split(',').filter((name) => name !== '');
    const known = model.modules.map((module) => module.name);
    for (const name of only ?? []) {
      if (!known.includes(name)) {
        problems.push({
          file: 'catalog/modules',
          what: `there is no module "${name}".`,
          remedy: didYouMean(name, known),
        });
      }
    }
    if (problems.length > 0) throw new ProblemsError(problems);
    const { url, group } = model.settings.gitlab;
    const releases = await fetchReleases(url, group, await plain(secrets.gitlabToken), environment);
    return { model: { ...model, releases }, ...secrets, only };
  } catch (error) {
    if (error instanceof ProblemsError) throw new pulumi.RunError(error.message);
    throw error;
  }
}
