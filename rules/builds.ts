import { ENFORCE, refusedAt } from './admission';
import { labelOf, violation } from './facts/item';
import { containersOf, type PodUse } from './facts/pods';
import { at, list, text } from './facts/read';
import type { Rule } from './rule';

/** What the exceptions are for, of all that `baseline` refuses. */
const EXCEPTED = /^securityContext\.(seccompProfile|appArmorProfile)\.type "Unconfined"$/;

/** What of a Pod is worth having, leads to its node, or stays when it goes; each once, in the order in which it stands there. */
function treasures(pod: PodUse): string[] {
  const { spec } = pod;
  const found = refusedAt('baseline', pod)
    .flatMap(({ refused }) => refused)
    .filter((what) => !EXCEPTED.test(what));
  if (at(spec, 'automountServiceAccountToken') !== false) found.push("an account's token");
  const secret = (name: string | undefined): void => {
    found.push(`the Secret ${name ?? 'of an expression'}`);
  };
  for (const volume of list(spec, 'volumes')) {
    const name = text(volume, 'name') ?? '';
    if (at(volume, 'secret') !== undefined) secret(text(volume, 'secret', 'secretName'));
    for (const source of list(volume, 'projected', 'sources')) {
      if (at(source, 'secret') !== undefined) secret(text(source, 'secret', 'name'));
      if (at(source, 'serviceAccountToken') !== undefined) found.push("an account's token");
    }
    if (at(volume, 'persistentVolumeClaim') !== undefined) found.push(`a volume that stays (${name})`);
  }
  for (const { container } of containersOf(spec)) {
    for (const source of list(container, 'envFrom')) {
      if (at(source, 'secretRef') !== undefined) secret(text(source, 'secretRef', 'name'));
    }
    for (const variable of list(container, 'env')) {
      const key = at(variable, 'valueFrom', 'secretKeyRef');
      if (key !== undefined) secret(text(key, 'name'));
    }
  }
  return [...new Set(found)];
}

/** Image builds need more than `restricted`, and run what nobody has read. */
export const privilegedAlone: Rule = {
  id: 'privileged-alone',
  holds:
    'Where less than Pod Security `restricted` is enforced, no Pod has a Secret, an account, a volume that stays, or more of its node than seccomp and AppArmor leave it.',
  why: "A step of a Dockerfile owns all of its build's Pod, and may get out of it.",
  check: (facts) =>
    facts.namespaces.flatMap(({ declared, pods }) => {
      if (!declared) return [];
      const level = labelOf(declared, ENFORCE);
      if (level === undefined || level === 'restricted') return [];
      return pods.flatMap((pod) => {
        const found = treasures(pod);
        return found.length === 0
          ? []
          : [
              violation(
                pod.item,
                `has ${found.join(', ')} where Pod Security "${level}" is enforced.`,
                'Keep it in a namespace that is `restricted`, or take it out.',
                pod.part ? { part: pod.part } : {},
              ),
            ];
      });
    }),
};
