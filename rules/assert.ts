import { type Problem, ProblemsError } from '../catalog/problems';
import type { Model } from '../components/model';
import { check } from '.';
import { type Facts, factsOf } from './facts';
import { modelItems } from './model';

/** Everything that the rules read of a model, its graph among it. Needs no engine. */
export function modelFacts(model: Model): Facts {
  const { items, untestable } = modelItems(model);
  return factsOf(items, untestable);
}

/**
 * Holds a model against every rule.
 * @param only report only what concerns these modules: one module's fault does not stop another one's deploy
 * @throws ProblemsError with one line a violation: `stacks/Pulumi.<environment>.yaml: <rule>: <where>: <what> <remedy>`
 */
export function assertRules(model: Model, only?: readonly string[]): void {
  const broken = check(modelFacts(model)).filter(
    ({ modules }) => !only || modules.some((name) => only.includes(name)),
  );
  if (broken.length === 0) return;
  throw new ProblemsError(
    broken.map(
      ({ rule, where, what, remedy }): Problem => ({
        file: `stacks/Pulumi.${model.settings.environment}.yaml`,
        key: `rule ${rule}`,
        what: `${where}: ${what}`,
        remedy,
      }),
    ),
  );
}
