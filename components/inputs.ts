import { readFileSync } from 'node:fs';
import * as pulumi from '@pulumi/pulumi';
import { parseLedger } from '../catalog/ledger';
import { didYouMean, type Problem, ProblemsError } from '../catalog/problems';
import {
  missingSecrets,
  type NeededSecret,
  neededSecrets,
  type SecretName,
  secretSources,
} from '../stacks/secrets';
import { defaultFolders, loadModel } from './load';
import type { Releases } from './model';
import { names } from './shared/naming';
import type { TopologyArgs } from './topology';

/** Environment variable with which a deploy job says: only these modules, separated by commas. */
export const ONLY_VARIABLE = 'SWITCHYARD_ONLY';

/** File that holds this environment's ledger: what a preview reads, which gets no token for GitLab. */
export const LEDGER_VARIABLE = 'SWITCHYARD_LEDGER_FILE';

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
  const text = await fetchLedger(url, group, token, environment);
  return parseLedger(text, `${names.ledgerProject}/${environment}.yaml`).modules;
}

/** Text of an environment's file of the release ledger; empty when there is none. */
export async function fetchLedger(
  url: string,
  group: string,
  token: string,
  environment: string,
): Promise<string> {
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
  if (response.status === 404) return '';
  if (response.status === 401 || response.status === 403) {
    throw unreachable(
      `GitLab refuses the token (${response.status}).`,
      `Give a token with the api scope in ${secretSources.gitlabToken}.`,
    );
  }
  if (!response.ok) throw unreachable(`GitLab answers ${response.status}.`, 'Look at its log.');
  return response.text();
}

/** The secrets of a stack, from its file or the environment; each an `Output` secret from here on. */
function readSecrets(environment: string, deployEnvironment: readonly string[], problems: Problem[]) {
  const config = new pulumi.Config('switchyard');
  const inStack = (key: SecretName) => config.getSecret(key);
  const needed = neededSecrets(deployEnvironment);
  problems.push(...missingSecrets(environment, needed, (key) => inStack(key) !== undefined));
  const read = ({ key, variable }: NeededSecret): pulumi.Output<string> =>
    (key && inStack(key)) ?? pulumi.secret(process.env[variable] ?? '');
  const values = Object.fromEntries(needed.map((secret) => [secret.variable, read(secret)]));
  const value = (variable: string) => values[variable] ?? pulumi.secret('');
  return {
    seed: value(secretSources.seed),
    gitlabToken: value(secretSources.gitlabToken),
    given: Object.fromEntries(deployEnvironment.map((name) => [name, value(name)])),
  };
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
    const secrets = readSecrets(environment, model.settings.deployEnvironment, problems);
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
    const file = process.env[LEDGER_VARIABLE];
    const releases = file
      ? parseLedger(readFileSync(file, 'utf8'), file).modules
      : await fetchReleases(url, group, await plain(secrets.gitlabToken), environment);
    return { model: { ...model, releases }, ...secrets, only };
  } catch (error) {
    if (error instanceof ProblemsError) throw new pulumi.RunError(error.message);
    throw error;
  }
}
