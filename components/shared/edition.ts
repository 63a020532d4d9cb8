import type { ArgsByType } from './declaration';

/** GitLab's package. An Enterprise one without a licence has the features of "Free", and is one all the same. */
export type Edition = 'community' | 'enterprise';

/** Under which name the looked-up edition stands beside what references name. */
export const EDITION = 'edition:gitlab';

type Protection = ArgsByType['gitlab:index/branchProtection:BranchProtection'];

/**
 * Arguments of a protected branch as the installed package takes them. Since 19.0 the provider refuses the two access
 * levels on an Enterprise package, licensed or not, and entries on a Community one (docs/resources/branch_protection.md
 * of terraform-provider-gitlab). Entries by role need no licence.
 */
export function protectionArgs(args: Protection, edition: string | undefined): Protection {
  if (edition !== 'enterprise') return args;
  const { pushAccessLevel, mergeAccessLevel, ...rest } = args;
  return {
    ...rest,
    ...(pushAccessLevel === undefined ? {} : { allowedToPushes: [{ accessLevel: pushAccessLevel }] }),
    ...(mergeAccessLevel === undefined ? {} : { allowedToMerges: [{ accessLevel: mergeAccessLevel }] }),
  };
}
