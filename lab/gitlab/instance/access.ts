import type { AccessRule, ProtectedBranch, ProtectedTag } from './model';

/** GitLab's wildcard: `*` stands for any characters, also slashes; all else is literal. */
export function matchesPattern(pattern: string, name: string): boolean {
  const source = pattern
    .split('*')
    .map((part) => part.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&'))
    .join('.*');
  return new RegExp(`^${source}$`, 's').test(name);
}

export interface Actor {
  id: number;
  /** Level in the project; an administrator has 60. */
  level: number;
}

/** Whether one of the rules lets the actor through. No rule, or level 0 only: nobody. */
export function allows(rules: readonly AccessRule[], actor: Actor): boolean {
  return rules.some((rule) => {
    if (rule.user_id !== null) return rule.user_id === actor.id;
    if (rule.access_level === 0) return false;
    // Level 60 is "administrators only".
    return actor.level >= rule.access_level;
  });
}

/**
 * What the actor may do with a branch; several patterns that match add up, also for a force-push
 * (`ProtectedBranch.allow_force_push?`).
 */
export function branchRights(
  rules: readonly ProtectedBranch[],
  branch: string,
  actor: Actor,
): { protected: boolean; push: boolean; merge: boolean; force: boolean } {
  const matching = rules.filter((rule) => matchesPattern(rule.name, branch));
  if (matching.length === 0) {
    const developer = actor.level >= 30;
    return { protected: false, push: developer, merge: developer, force: developer };
  }
  return {
    protected: true,
    push: matching.some((rule) => allows(rule.push, actor)),
    merge: matching.some((rule) => allows(rule.merge, actor)),
    force: matching.some((rule) => rule.allow_force_push),
  };
}

export function tagRights(
  rules: readonly ProtectedTag[],
  tag: string,
  actor: Actor,
): { protected: boolean; create: boolean } {
  const matching = rules.filter((rule) => matchesPattern(rule.name, tag));
  if (matching.length === 0) return { protected: false, create: actor.level >= 30 };
  return { protected: true, create: matching.some((rule) => allows(rule.create, actor)) };
}
