import type { StackValidationPolicy } from '@pulumi/policy';
import { rules } from '../rules';
import { type Facts, factsOf } from '../rules/facts';
import { describeViolation } from '../rules/facts/violation';
import type { Rule } from '../rules/rule';
import { type EngineResource, itemsOfResources } from './resources';

const asPolicy = (
  rule: Rule,
  read: (resources: readonly EngineResource[]) => Facts,
): StackValidationPolicy => ({
  name: rule.id,
  description: `${rule.holds} Otherwise: ${rule.why}`,
  enforcementLevel: 'mandatory',
  validateStack: ({ resources }, report) => {
    const urns = new Map(resources.map(({ name, urn }) => [name, urn]));
    for (const violation of rule.check(read(resources))) {
      report(describeViolation(violation), urns.get(violation.resource));
    }
  },
});

/** Every rule that can be told from resources alone, each a policy of its own: the very same functions. */
export const policies: readonly StackValidationPolicy[] = rules
  .filter(({ modelOnly }) => modelOnly === undefined)
  .map((rule) => asPolicy(rule, (resources) => factsOf(itemsOfResources(resources))));
