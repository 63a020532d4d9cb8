import { FIRST_LABEL } from '../../catalog/status';
import type { Declaration } from '../shared/declaration';
import { outputOf } from '../shared/handle';
import { projectHandle } from './projects';

/** What puts a merge request first in a module's queue. */
export const queueLabel = (name: string): Declaration => ({
  type: 'gitlab:index/projectLabel:ProjectLabel',
  name: `${name}-label-first`,
  provider: 'gitlab',
  args: {
    project: outputOf(projectHandle(name), 'id'),
    name: FIRST_LABEL,
    color: '#d9534f',
    description: 'Goes first in the merge queue, with all that it depends on',
  },
});
