import { describeProblem, type Problem, ProblemsError } from '../catalog/problems';
import { type Folders, loadModel } from '../components/load';
import { rules } from '../rules';
import { assertRules } from '../rules/assert';
import { stackNames, unreadStacks } from '../stacks/load';

/** @throws ProblemsError with the faults of every environment; one of the catalog stands there once */
export function checkAll(
  folders: Folders,
  environment?: string,
): { readonly name: string; readonly modules: number; readonly rules: number }[] {
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
