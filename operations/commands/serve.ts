import { toItsEnd } from '../cli/outcome';
import type { AddCommand } from './command';

export const serve: AddCommand = (program) => {
  program
    .command('serve <environment>')
    .description('serve the program to an engine in another container: the preview of a merge request')
    .requiredOption('--socket <file>', 'socket on which it waits for that engine')
    .requiredOption('--rules <file>', 'where to write the broken rules')
    .action((environment: string, options: { readonly socket: string; readonly rules: string }) =>
      toItsEnd('Serve', environment, {}, async () => {
        const { serve: run } = await import('../program/serve');
        return run(environment, options);
      }),
    );
};
