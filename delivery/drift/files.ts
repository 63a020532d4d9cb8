import { join } from 'node:path';

/** Where things stand in a workspace. `given` comes from `switchyard redact`, before the look; `record` is what the look left. */
export const driftPaths = (workspace: string, environment: string) => {
  const folder = join(workspace, '.switchyard', 'drift', environment);
  return {
    given: join(folder, 'before', 'given'),
    record: join(folder, 'record'),
    report: join(folder, 'record', 'drift.json'),
    note: join(folder, 'record', 'note.md'),
    log: join(folder, 'record', 'log'),
    /** The whole note, attached to the build. */
    whole: join(workspace, `drift-${environment}.md`),
  };
};
