import { toItsEnd, withJson } from '../cli/outcome';
import type { RollbackOptions } from '../releases/releases';
import { type AddCommand, yes } from './command';

export const rollback: AddCommand = (program) => {
  yes(withJson(program.command('rollback <environment> <module>')))
    .description('put an earlier release of a module back, in the ledger and in production')
    .option('--to <commit>', 'commit of a release, or its beginning; the one before what runs by default')
    .option('--hold', 'keep it until a rollback without --hold: nothing merged takes its place')
    .action((environment: string, module: string, options: RollbackOptions) =>
      toItsEnd('Rollback', environment, options, async (terminal) => {
        const { rollback: run } = await import('../releases/releases');
        return run(environment, module, options, terminal);
      }),
    );
};
