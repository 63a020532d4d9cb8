import type { Module } from '../../catalog/load';
import { FIRST_LABEL, MERGE_LABEL } from '../../catalog/status';
import type { Declaration } from '../shared/declaration';
import { outputOf } from '../shared/handle';
import { projectHandle } from './projects';

/** What puts a merge request first in a module's queue, and what lets one into it that people merge. */
export function queueLabels(name: string, merge: Module['merge']): Declaration[] {
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
    ...(merge === 'manual'
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
