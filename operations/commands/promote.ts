import { toItsEnd, withJson } from '../cli/outcome';
import type { PromoteOptions } from '../releases/promotion';
import { type AddCommand, yes } from './command';

export const promote: AddCommand = (program) => {
  yes(withJson(program.command('promote <environment> <module>')))
    .description('release what runs in the environment that this one is promoted from')
    .option(
      '--commit <commit>',
      'only where this one runs there, or is in the ledger here already: a commit, or its beginning',
    )
    .option(
      '--merge-request',
      'propose it by a merge request on the ledger; once that is merged, roll it out',
    )
    .option('--force', 'also where a newer one is here, another is held, or this one was taken back')
    .action((environment: string, module: string, options: PromoteOptions) =>
      toItsEnd('Promote', environment, options, async (terminal) => {
        const { promotion: run } = await import('../releases/promotion');
        return run(environment, module, options, terminal);
      }),
    );
};
