import { type Item, isKubernetes, moduleOf, violation } from './facts/item';
import { type Fields, text, UNKNOWN } from './facts/read';
import type { Violation } from './facts/violation';
import { meaningFaults, templateFaults } from './kubernetes/meaning';
import { type Fault, shapeFaults } from './kubernetes/shape';
import type { Rule } from './rule';

const REMEDY = 'Correct what it comes from in the catalog or in the stack.';

const located = (item: Item, faults: readonly Fault[], part?: string): Violation[] => {
  const module = moduleOf(item);
  return faults.map(({ path, what }) =>
    violation(item, `${what}.`, REMEDY, {
      part: [part, path].filter(Boolean).join(', ') || undefined,
      file: module && `catalog/modules/${module}.yaml`,
    }),
  );
};

/** As it is sent: JSON, in which what is undefined is not there. */
function sent(item: Item): { readonly text: string; readonly item: Item } {
  const text = JSON.stringify(item.args);
  return { text, item: { ...item, args: JSON.parse(text) as Fields } };
}

/** A fault of the schema makes whatever is told of the object's meaning worth nothing. */
function objectFaults(given: Item): Fault[] {
  const { text, item } = sent(given);
  const shape = shapeFaults(item.type, item.args);
  return shape.length > 0 ? shape : meaningFaults(item, Buffer.byteLength(text));
}

/** What the API server would refuse is refused before anything is made. */
export const kubernetesTakes: Rule = {
  id: 'kubernetes-takes',
  holds:
    'Each Kubernetes object is one that an API server takes: its fields and their types, names, amounts and sizes.',
  why: 'An `up` ends half-way, after what came before it was changed.',
  check: (facts) => [
    ...facts.items.flatMap((item) => (isKubernetes(item) ? located(item, objectFaults(item)) : [])),
    ...facts.pods.flatMap((pod) =>
      pod.part === undefined ? [] : located(pod.item, templateFaults(pod.spec), pod.part),
    ),
  ],
};

/** The plug-in checks its inputs by the same schema, one resource after the other. */
export const gitlabTakes: Rule = {
  id: 'gitlab-takes',
  holds: 'Each resource of GitLab has the arguments that the official package knows, and all that it needs.',
  why: 'The plug-in refuses it in the middle of an `up`.',
  modelOnly: "the engine's plug-in has checked by the same schema what a policy pack is shown.",
  check: (facts) =>
    facts.items.flatMap((item) =>
      item.type.startsWith('gitlab:') ? located(item, shapeFaults(item.type, sent(item).item.args)) : [],
    ),
};

/**
 * Days from its making that a token of GitLab's may live: `MAX_PERSONAL_ACCESS_TOKEN_LIFETIME_IN_DAYS` of its
 * app/models/personal_access_token.rb, which holds for group and project access tokens too. Where an administrator has
 * turned the feature `buffered_token_expiration_limit` on (17.6), it is 400; nothing here can ask for that.
 */
const LONGEST_LIFE = 365;

const dayAfter = (day: string, days: number): string =>
  new Date(Date.parse(day) + days * 86_400_000).toISOString().slice(0, 10);

/** GitLab revokes it on that day, and with it all that the bot does; and it makes none that lives too long. */
export const tokensLive: Rule = {
  id: 'tokens-live',
  holds: "Each token of GitLab's ends in the future, and no later than GitLab lets it live.",
  why: 'GitLab refuses to make it, or it has ended: no merge request is built, tested or merged.',
  modelOnly: 'what stands in a stack file is told there; the engine sees tokens that were made long ago.',
  check: (facts) =>
    facts.items.flatMap((item) => {
      const ends = item.type.startsWith('gitlab:') ? text(item.args, 'expiresAt') : undefined;
      if (ends === undefined || ends === UNKNOWN || !/^\d{4}-\d\d-\d\d$/.test(ends)) return [];
      const latest = dayAfter(facts.today, LONGEST_LIFE);
      const what =
        ends <= facts.today
          ? `ended on ${ends}.`
          : ends > latest
            ? `ends on ${ends}, and GitLab lets no token live longer than ${LONGEST_LIFE} days.`
            : undefined;
      const remedy = `Write a day up to ${latest}, or have it renewed by botTokenRotation.`;
      return what === undefined
        ? []
        : [
            violation(item, what, remedy, {
              part: 'argument "expiresAt"',
              at: 'config.gitlab.botTokenExpires',
            }),
          ];
    }),
};
