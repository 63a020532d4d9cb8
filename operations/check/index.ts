import { describeProblem, type Problem, ProblemsError } from '../../catalog/problems';
import { type Folders, loadModel, located, parsedOnce } from '../../components/load';
import { missingOrigin } from '../../components/promotion';
import { rules } from '../../rules';
import { assertRules } from '../../rules/assert';
import { stackNames, unreadStacks } from '../../stacks/load';
import { whyNoQueue } from '../../stacks/merge-queue';

/** An environment that is as it should be. */
export interface Checked {
  readonly name: string;
  readonly modules: number;
  readonly rules: number;
  /** Modules for which no merge queue is kept, and why: no fault, but what people may not expect. */
  readonly unqueued: readonly { readonly module: string; readonly why: string }[];
}

/** @throws ProblemsError with the faults of every environment; one of the catalog stands there once */
export function checkAll(folders: Folders, environment?: string): Checked[] {
  const problems = new Map<string, Problem>();
  for (const problem of unreadStacks(folders.stacks)) problems.set(describeProblem(problem), problem);
  const parsed = parsedOnce();
  const checked = (environment ? [environment] : stackNames(folders.stacks)).flatMap((name) => {
    try {
      const model = loadModel(folders, name, undefined, parsed);
      const missing = missingOrigin(folders.stacks, model.settings);
      if (missing.length > 0) throw located(folders, missing);
      assertRules(model);
      const unqueued = model.modules.flatMap((module) => {
        const why = whyNoQueue(model.settings, module);
        return why === undefined ? [] : [{ module: module.name, why }];
      });
      return [{ name, modules: model.modules.length, rules: rules.length, unqueued }];
    } catch (error) {
      if (!(error instanceof ProblemsError)) throw error;
      for (const problem of error.problems) problems.set(describeProblem(problem), problem);
      return [];
    }
  });
  if (problems.size > 0) throw new ProblemsError([...problems.values()]);
  return checked;
}
