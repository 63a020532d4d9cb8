import type { CommonOptions } from '../cli/outcome';
import type { RebuildOptions } from '../rebuild';
import { type AddCommand, environmentCommand, yes } from './command';

export const rebuild: AddCommand = (program) => {
  yes(
    environmentCommand<CommonOptions & RebuildOptions>(
      program,
      'rebuild',
      'bring an environment back from its backups (docs/disaster-recovery.md)',
      async (environment, options, terminal) => {
        const { rebuild: run } = await import('../rebuild');
        return run(environment, options, terminal);
      },
    )
      .requiredOption(
        '--from <latest|time>',
        'the latest backup, or the one as of a time (2026-11-24T03:00:00Z)',
      )
      .option('--plan', 'say what would be done, and change nothing')
      .option('--repository <place>', "another repository than the stack's, in restic's syntax")
      .option('--over <targets...>', 'put the backup in the place of what lives: gitlab, cluster')
      .option('--keep <targets...>', 'leave what lives as it is: gitlab, cluster')
      .option('--canary <module>', 'module whose merge request proves the flow; the first one by default')
      .option('--no-canary', 'end without that proof'),
  );
};
