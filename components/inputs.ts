import * as pulumi from '@pulumi/pulumi';
import { didYouMean, type Problem, ProblemsError } from '../catalog/problems';
import { otherEnvironments } from '../stacks/other-environments';
import {
  deployVariables,
  missingSecrets,
  type NeededSecret,
  neededSecrets,
  type SecretName,
  secretSources,
  seedProblems,
  stackVariables,
} from '../stacks/secrets';
import { askGitLab } from './ask-gitlab';
import { type Folders, loadModel } from './load';
import type { TopologyArgs } from './topology';

/** Set where a preview is recorded for reviewers, who see broken rules beside the plan. An update refuses them always. */
export const RECORDED_VARIABLE = 'SWITCHYARD_RECORDED_RULES';

/** Environment variable with which a deploy job says: only these modules, separated by commas. */
export const ONLY_VARIABLE = 'SWITCHYARD_ONLY';

/** Environment variable with which `rotate` says whose new secrets a run brings in, separated by commas. */
export const ROTATING_VARIABLE = 'SWITCHYARD_ROTATING';

const listed = (variable: string): string[] | undefined =>
  process.env[variable]?.split(',').filter((name) => name !== '');

/** The secrets of a stack, from its file or the environment; each an `Output` secret from here on. */
function readSecrets(environment: string, needed: readonly NeededSecret[], problems: Problem[]) {
  const config = new pulumi.Config('switchyard');
  const inStack = (key: SecretName) => config.getSecret(key);
  problems.push(...missingSecrets(environment, needed, (key) => inStack(key) !== undefined));
  const read = ({ key, variable }: NeededSecret): pulumi.Output<string> =>
    (key && inStack(key)) ?? pulumi.secret(process.env[variable] ?? '');
  const values = Object.fromEntries(needed.map((secret) => [secret.variable, read(secret)]));
  const value = (variable: string) => values[variable] ?? pulumi.secret('');
  return {
    seed: value(secretSources.seed),
    gitlabToken: value(secretSources.gitlabToken),
    given: values,
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
export async function loadProgramInputs(environment: string, folders: Folders): Promise<TopologyArgs> {
  try {
    const only = listed(ONLY_VARIABLE);
    const model = loadModel(folders, environment, only);
    const problems: Problem[] = [];
    const variables = (only ? deployVariables : stackVariables)(model.settings);
    const secrets = readSecrets(environment, neededSecrets(variables), problems);
    const seeds = [
      { of: environment, seed: secrets.seed },
      ...(only ? [] : otherEnvironments(model.settings)).flatMap(({ environment: of, variables: theirs }) => {
        const seed = secrets.given[theirs[secretSources.seed] ?? ''];
        return seed ? [{ of, seed }] : [];
      }),
    ];
    for (const { of, seed } of seeds) {
      const value = await plain(seed);
      // One that is not there was told already.
      if (value !== '') problems.push(...seedProblems(of, value));
    }
    const known = model.modules.map((module) => module.name);
    for (const name of only ?? []) {
      if (!known.includes(name)) {
        problems.push({
          file: `stacks/Pulumi.${environment}.yaml`,
          key: 'config.modules',
          what: `"${name}" is no module of this environment.`,
          remedy: didYouMean(name, model.settings.modules ?? known),
        });
      }
    }
    if (problems.length > 0) throw new ProblemsError(problems);
    const { found, releases } = await askGitLab(model, only, () => plain(secrets.gitlabToken));
    return { model: { ...model, releases, rotating: listed(ROTATING_VARIABLE) }, ...secrets, found, only };
  } catch (error) {
    if (error instanceof ProblemsError) throw new pulumi.RunError(error.message);
    throw error;
  }
}
