import { LEDGER_PROJECT } from '../catalog/ledger';
import { OWN_TRANSFORM } from '../catalog/place';
import { locate, type Problem, ProblemsError } from '../catalog/problems';
import type { Model } from '../components/model';
import { textOf } from '../stacks/files';
import { type Broken, check } from '.';
import { type Facts, factsOf } from './facts';
import { modelItems, releaseRepositories } from './model';

/** Everything that the rules read of a model, its graph among it. Needs no engine. */
export function modelFacts(model: Model): Facts {
  const { items, untestable } = modelItems(model);
  return factsOf(items, untestable, undefined, {
    file: `${LEDGER_PROJECT}/${model.settings.environment}.yaml`,
    repositoriesOf: (module) => releaseRepositories(model, module),
  });
}

/** Violations of every rule, or with `only` those that concern these modules. */
export const brokenRules = (model: Model, only?: readonly string[]): Broken[] =>
  check(modelFacts(model)).filter(({ modules }) => !only || modules.some((name) => only.includes(name)));

const idOf = ({ rule, where, what }: Broken): string => JSON.stringify([rule, where, what]);

/**
 * Holds a model against every rule. What holds without the model's transform is that one's fault, and told so.
 * @param only report only what concerns these modules: one module's fault does not stop another one's deploy
 * @throws ProblemsError with one line a violation: `stacks/Pulumi.<environment>.yaml:1: rule <rule>: <where>: <what>
 *   <remedy>`, or with the file, line and key in front that are what to mend
 */
export function assertRules(model: Model, only?: readonly string[]): void {
  const broken = brokenRules(model, only);
  if (broken.length === 0) return;
  const without = model.transform ? brokenRules({ ...model, transform: undefined }, only) : broken;
  const known = new Set(without.map(idOf));
  const problems = broken.map((one): Problem => {
    const { rule, where, what, remedy, file, at } = one;
    if (!known.has(idOf(one)))
      return { file: OWN_TRANSFORM, key: `rule ${rule}`, what: `${where}: ${what}`, remedy };
    return {
      file: file ?? `stacks/Pulumi.${model.settings.environment}.yaml`,
      key: at ?? `rule ${rule}`,
      what: at === undefined ? `${where}: ${what}` : `rule ${rule}: ${where}: ${what}`,
      remedy,
    };
  });
  throw new ProblemsError(locate(problems, (file) => textOf(model.files, file)));
}
