import { entryOf } from '../../catalog/entry';
import type { Module } from '../../catalog/load';
import { FIRST_LABEL } from '../../catalog/status';
import type { Model } from '../model';
import type { Declaration } from '../shared/declaration';
import { outputOf } from '../shared/handle';
import { projectHandle } from './projects';

/**
 * Whether a reconciler may run. Beside a Jenkins of someone else's there is none: that one's users are not ours to make. Nor
 * where people log in by a provider and not everybody may read: Jenkins has one realm, and a provider's has no user for it.
 */
export const mayReconcile = ({ settings: { jenkins } }: Pick<Model, 'settings'>): boolean =>
  !jenkins.existing && (jenkins.anonymousRead || !jenkins.login);

/**
 * Whether a merge queue is kept for a module. People merge by hand with `merge: manual`; where no reconciler starts what waits,
 * nothing may wait; without merge commits the bot has to rebase who is first, which takes an approval's object away; and what a
 * project that was there before merges by is its own.
 */
export const keepsQueue = (model: Pick<Model, 'settings'>, { name, merge }: Module): boolean => {
  const { mergeMethod, rebase, projects } = model.settings.gitlab;
  const mayMerge =
    mergeMethod === 'merge' ||
    (rebase === 'bot' && merge === 'automatic') ||
    entryOf(projects, name) !== undefined;
  return merge !== 'manual' && mayMerge && mayReconcile(model);
};

/** What puts a merge request first in a module's queue. */
export const queueLabels = (model: Model, module: Module, name: string): Declaration[] =>
  keepsQueue(model, module)
    ? [
        {
          type: 'gitlab:index/projectLabel:ProjectLabel',
          name: `${name}-label-first`,
          provider: 'gitlab',
          args: {
            project: outputOf(projectHandle(name), 'id'),
            name: FIRST_LABEL,
            color: '#d9534f',
            description: 'Goes first in the merge queue, with all that it depends on',
          },
        },
      ]
    : [];
