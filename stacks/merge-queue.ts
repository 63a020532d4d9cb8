import { entryOf } from '../catalog/entry';
import type { Module } from '../catalog/load';
import type { StackSettings } from './schema';

/**
 * Whether a reconciler may run. Beside a Jenkins of someone else's there is none: that one's users are not ours to make. Nor
 * where people log in by a provider and not everybody may read: Jenkins has one realm, and a provider's has no user for it.
 */
export const mayReconcile = (jenkins: {
  readonly existing?: object;
  readonly anonymousRead?: boolean;
  readonly login?: object;
}): boolean => !jenkins.existing && (jenkins.anonymousRead === true || !jenkins.login);

type QueueSettings = Pick<StackSettings, 'gitlab' | 'jenkins'>;

/**
 * Why no merge queue is kept for a module; undefined where one is. People merge by hand with `merge: manual`; where no reconciler
 * starts what waits, nothing may wait; without merge commits the bot has to rebase who is first, which takes an approval's object
 * away; and what a project that was there before merges by is its own.
 */
export function whyNoQueue({ jenkins, gitlab }: QueueSettings, { name, merge }: Module): string | undefined {
  const { mergeMethod, rebase, projects } = gitlab;
  if (merge === 'manual') return 'merge: manual leaves each merge to people';
  if (!mayReconcile(jenkins))
    return jenkins.existing
      ? 'no reconciler runs beside a Jenkins that was there before (jenkins.existing)'
      : 'no reconciler runs where only people whom a provider knows may read (jenkins.login without jenkins.anonymousRead)';
  if (mergeMethod === 'merge' || entryOf(projects, name) !== undefined) return undefined;
  const only = `gitlab.mergeMethod: ${mergeMethod} merges only what stands on main's head`;
  if (rebase !== 'bot') return `${only}, and gitlab.rebase: ${rebase} leaves that to people`;
  return merge === 'automatic'
    ? undefined
    : `${only}, and an approval (merge: ${merge}) is of no commit that the bot makes`;
}

/** Whether a merge queue is kept for a module. */
export const keepsQueue = (settings: QueueSettings, module: Module): boolean =>
  whyNoQueue(settings, module) === undefined;
