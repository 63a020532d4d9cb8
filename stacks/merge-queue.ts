import { entryOf } from '../catalog/entry';
import type { Module } from '../catalog/load';
import type { StackSettings } from './schema';

/**
 * Whether a reconciler may run: somebody lets it look at builds. The users of a Jenkins of someone else's, and those of a
 * provider by whom people log in, are not ours to make: there somebody names one.
 */
export const mayReconcile = ({
  existing,
  anonymousRead,
  login,
  reader,
}: {
  readonly existing?: object;
  readonly anonymousRead?: boolean;
  readonly login?: object;
  readonly reader?: object;
}): boolean => anonymousRead === true || reader !== undefined || !(existing || login);

type QueueSettings = Pick<StackSettings, 'gitlab' | 'jenkins' | 'promotion'>;

/**
 * Why no merge queue is kept for a module; undefined where one is. Where no reconciler starts what waits, nothing may wait; without
 * merge commits the bot has to rebase who is first; and what a project that was there before merges by is its own.
 */
export function whyNoQueue(
  { jenkins, gitlab, promotion }: QueueSettings,
  { name }: Pick<Module, 'name'>,
): string | undefined {
  const { mergeMethod, rebase, projects } = gitlab;
  if (promotion) return `what is merged is tested in ${promotion.from}, whose releases are promoted`;
  if (!mayReconcile(jenkins))
    return jenkins.existing
      ? 'no reconciler runs beside a Jenkins that lets nobody look at builds (jenkins.existing without jenkins.reader or jenkins.anonymousRead)'
      : 'no reconciler runs where only people whom a provider knows may read (jenkins.login without jenkins.reader or jenkins.anonymousRead)';
  if (mergeMethod === 'merge' || entryOf(projects, name) !== undefined) return undefined;
  return rebase === 'bot'
    ? undefined
    : `gitlab.mergeMethod: ${mergeMethod} merges only what stands on main's head, and gitlab.rebase: ${rebase} leaves that to people`;
}

/** Whether a merge queue is kept for a module. */
export const keepsQueue = (settings: QueueSettings, module: Module): boolean =>
  whyNoQueue(settings, module) === undefined;
