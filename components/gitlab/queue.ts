import { entryOf } from '../../catalog/entry';
import type { Module } from '../../catalog/load';
import { FIRST_LABEL, MERGE_LABEL } from '../../catalog/status';
import type { Model } from '../model';
import type { Declaration } from '../shared/declaration';
import { outputOf } from '../shared/handle';
import { projectHandle } from './projects';

/**
 * Whether a reconciler may run: somebody lets it look at builds. The users of a Jenkins of someone else's are not ours to make,
 * so its owner gives one. And where people log in by a provider and not everybody may read, there is none: Jenkins has one
 * realm, and a provider's has no user for it.
 */
export const mayReconcile = ({ settings: { jenkins } }: Pick<Model, 'settings'>): boolean =>
  jenkins.anonymousRead || (jenkins.existing ? jenkins.existing.reader !== undefined : !jenkins.login);

/**
 * Why no merge queue is kept for a module; undefined where one is. Where no reconciler starts what waits, nothing may wait; without
 * merge commits the bot has to rebase who is first; and what a project that was there before merges by is its own.
 */
export function whyNoQueue(
  model: Pick<Model, 'settings'>,
  { name }: Pick<Module, 'name'>,
): string | undefined {
  const { jenkins, gitlab } = model.settings;
  const { mergeMethod, rebase, projects } = gitlab;
  if (!mayReconcile(model))
    return jenkins.existing
      ? 'no reconciler runs beside a Jenkins that lets nobody look at builds (jenkins.existing without reader or anonymousRead)'
      : 'no reconciler runs where only people whom a provider knows may read (jenkins.login without jenkins.anonymousRead)';
  if (mergeMethod === 'merge' || entryOf(projects, name) !== undefined) return undefined;
  return rebase === 'bot'
    ? undefined
    : `gitlab.mergeMethod: ${mergeMethod} merges only what stands on main's head, and gitlab.rebase: ${rebase} leaves that to people`;
}

/** Whether a merge queue is kept for a module. */
export const keepsQueue = (model: Pick<Model, 'settings'>, module: Module): boolean =>
  whyNoQueue(model, module) === undefined;

/** What puts a merge request first in a module's queue, and what lets one into it that people merge. */
export function queueLabels(model: Model, module: Module, name: string): Declaration[] {
  if (!keepsQueue(model, module)) return [];
  const label = (
    part: string,
    args: Readonly<Record<'name' | 'color' | 'description', string>>,
  ): Declaration => ({
    type: 'gitlab:index/projectLabel:ProjectLabel',
    name: `${name}-label-${part}`,
    provider: 'gitlab',
    args: { project: outputOf(projectHandle(name), 'id'), ...args },
  });
  return [
    label('first', {
      name: FIRST_LABEL,
      color: '#d9534f',
      description: 'Goes first in the merge queue, with all that it depends on',
    }),
    ...(module.merge === 'manual'
      ? [
          label('merge', {
            name: MERGE_LABEL,
            color: '#3f9142',
            description: 'The merge queue merges its newest commit, as who set this could by hand',
          }),
        ]
      : []),
  ];
}
