import { describeProblem, type Problem, ProblemsError } from '../../catalog/problems';
import { defaultFolders, loadModel } from '../../components/load';
import { rules } from '../../rules';
import { assertRules } from '../../rules/assert';
import { stackNames, unreadStacks } from '../../stacks/load';
import { type CommonOptions, toItsEnd, withJson } from '../outcome';
import { root } from '../place';
import type { AddCommand } from './command';

/** @throws ProblemsError with the faults of every environment; one of the catalog stands there once */
function checkAll(
  environment: string | undefined,
): { readonly name: string; readonly modules: number; readonly rules: number }[] {
  const folders = defaultFolders(root);
  const problems = new Map<string, Problem>();
  for (const problem of unreadStacks(folders.stacks)) problems.set(describeProblem(problem), problem);
  const checked = (environment ? [environment] : stackNames(folders.stacks)).flatMap((name) => {
    try {
      const model = loadModel(folders, name);
      assertRules(model);
      return [{ name, modules: model.modules.length, rules: rules.length }];
    } catch (error) {
      if (!(error instanceof ProblemsError)) throw error;
      for (const problem of error.problems) problems.set(describeProblem(problem), problem);
      return [];
    }
  });
  if (problems.size > 0) throw new ProblemsError([...problems.values()]);
  return checked;
}

export const check: AddCommand = (program) => {
  withJson(program.command('check [environment]'))
    .description('check the catalog, the stack files and the rules over the whole topology')
    .action((environment: string | undefined, options: CommonOptions) =>
      toItsEnd('Check', environment, options, () => {
        const environments = checkAll(environment);
        return {
          document: { environments },
          lines: environments.map(
            ({ name, modules, rules: held }) => `${name}: ${modules} modules, all ${held} rules hold`,
          ),
        };
      }),
    );
};
