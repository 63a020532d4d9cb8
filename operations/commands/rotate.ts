import type { CommonOptions } from '../cli/outcome';
import type { RotateOptions } from '../rotate';
import { type AddCommand, environmentCommand, yes } from './command';

export const rotate: AddCommand = (program) => {
  yes(
    environmentCommand<CommonOptions & RotateOptions>(
      program,
      'rotate',
      'give derived secrets another version, databases and backups included, while everything serves',
      async (environment, options, terminal) => {
        const { rotate: run } = await import('../rotate');
        return run(environment, options, terminal);
      },
    )
      .option('--module <module>', "this module's secrets only")
      .option('--purpose <purpose>', 'this secret only, or those below a path, as service/orders'),
  );
};
