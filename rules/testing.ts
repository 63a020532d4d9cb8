import type { Rule } from './rule';

/** Containers of a Pod share its ports: two services on one port cannot be tested together. */
export const testPodPossible: Rule = {
  id: 'test-pod-possible',
  holds: "Each module's test Pod can be made: its services are in the catalog and their ports do not meet.",
  why: 'Every merge request of the module fails, after its image was built.',
  modelOnly: 'delivery makes test Pods; the engine never sees them.',
  check: (facts) =>
    facts.untestable.map(({ module, reason }) => {
      const file = `catalog/modules/${module}.yaml`;
      const [what = '', ...remedy] = reason.replace(`${file}: `, '').split(/(?<=\.) /);
      const where = `test Pod of ${module}`;
      return {
        where,
        what,
        remedy: remedy.join(' '),
        resource: module,
        modules: [module],
        file,
        at: 'services',
      };
    }),
};
