import { toItsEnd, withJson } from '../outcome';
import type { PromoteOptions } from '../promotion';
import { type AddCommand, yes } from './command';

export const promote: AddCommand = (program) => {
  yes(withJson(program.command('promote <environment> <module>')))
    .description(
      'take what serves in the environment that this one is promoted from: into the ledger, and out',
    )
    .option('--commit <commit>', 'do it only where this one serves there: a commit, or its beginning')
    .option('--merge-request', 'propose it by a merge request on the ledger, and roll out nothing')
    .option('--force', 'also over what is newer, was taken back, or is held here')
    .action((environment: string, module: string, options: PromoteOptions) =>
      toItsEnd('Promote', environment, options, async (terminal) => {
        const { promotion: run } = await import('../promotion');
        return run(environment, module, options, terminal);
      }),
    );
};
