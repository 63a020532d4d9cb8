import { toItsEnd } from '../outcome';
import type { AddCommand } from './command';

export const serve: AddCommand = (program) => {
  program
    .command('serve <environment>')
    .description('be the program of an engine that runs elsewhere: of the preview of a merge request')
    .requiredOption('--socket <file>', 'where to wait for that engine')
    .requiredOption('--rules <file>', 'where to write the broken rules')
    .action((environment: string, options: { readonly socket: string; readonly rules: string }) =>
      toItsEnd('Serve', environment, {}, async () => {
        const { serve: run } = await import('../serve');
        return run(environment, options);
      }),
    );
};
