import { type Problem, ProblemsError } from '../catalog/problems';
import type { Model } from '../components/model';
import { hostsUnique, namesUnique, nodePortsUnique } from './claims';
import { hookHasJob, hookTokenAgrees, jobHasHook, statusRequired } from './delivery';
import { type Facts, factsOf } from './facts';
import { imagesPinned, releasesByDigest, serviceVersionsAgree } from './images';
import { modelItems } from './model';
import { namespaceDeny, namespaceLimits, namespaceQuota, podSecurity } from './namespaces';
import { explicitProvider } from './providers';
import { quotaFits } from './quota';
import type { Rule, Violation } from './rule';
import { noPlainSecretVariables, secretsByReference } from './secrets';
import { backupsComplete, servicesExist } from './services';
import { testPodPossible } from './testing';

/** Every rule, in the order of a commit's way: the hook first, production last. */
export const rules: readonly Rule[] = [
  hookHasJob,
  jobHasHook,
  hookTokenAgrees,
  statusRequired,
  testPodPossible,
  namespaceQuota,
  namespaceLimits,
  namespaceDeny,
  podSecurity,
  quotaFits,
  imagesPinned,
  releasesByDigest,
  serviceVersionsAgree,
  servicesExist,
  backupsComplete,
  namesUnique,
  nodePortsUnique,
  hostsUnique,
  explicitProvider,
  secretsByReference,
  noPlainSecretVariables,
];

export interface Broken extends Violation {
  /** Id of the rule. */
  readonly rule: string;
}

/** Runs rules over indexed resources. */
export function check(facts: Facts, wanted: readonly Rule[] = rules): Broken[] {
  return wanted.flatMap((rule) => rule.check(facts).map((broken) => ({ ...broken, rule: rule.id })));
}

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
