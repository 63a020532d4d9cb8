import { entryOf } from '../catalog/entry';
import { locate, type Problem, ProblemsError } from '../catalog/problems';
import type { Model } from '../components/model';
import { type Broken, check } from '.';
import { type Facts, factsOf } from './facts';
import { modelItems } from './model';

/** Everything that the rules read of a model, its graph among it. Needs no engine. */
export function modelFacts(model: Model): Facts {
  const { items, untestable } = modelItems(model);
  return factsOf(items, untestable);
}

/** Violations of every rule, or with `only` those that concern these modules. */
export const brokenRules = (model: Model, only?: readonly string[]): Broken[] =>
  check(modelFacts(model)).filter(({ modules }) => !only || modules.some((name) => only.includes(name)));

/**
 * Holds a model against every rule.
 * @param only report only what concerns these modules: one module's fault does not stop another one's deploy
 * @throws ProblemsError with one line a violation: `stacks/Pulumi.<environment>.yaml: <rule>: <where>: <what> <remedy>`,
 *   or with the module's file in front where that is what to mend
 */
export function assertRules(model: Model, only?: readonly string[]): void {
  const broken = brokenRules(model, only);
  if (broken.length === 0) return;
  const problems = broken.map(
    ({ rule, where, what, remedy, file }): Problem => ({
      file: file ?? `stacks/Pulumi.${model.settings.environment}.yaml`,
      key: `rule ${rule}`,
      what: `${where}: ${what}`,
      remedy,
    }),
  );
  // What is a module's own stands at its file's beginning; what follows from the stack has no line there.
  const texts = model.files.modules;
  const textOf = (file: string) =>
    /^catalog\/modules\//.test(file) ? entryOf(texts, file.slice('catalog/modules/'.length)) : undefined;
  throw new ProblemsError(locate(problems, textOf));
}
