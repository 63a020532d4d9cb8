import { toItsEnd, withJson } from '../cli/outcome';
import type { AddCommand } from './command';

export const releases: AddCommand = (program) => {
  withJson(program.command('releases <environment> [module]'))
    .description('list what was released: commit, digest, when, by whom, and what of it was taken back')
    .action((environment: string, module: string | undefined, options: { json?: boolean }) =>
      toItsEnd('Releases', environment, options, async () => {
        const { releases: run } = await import('../releases/releases');
        return run(environment, module);
      }),
    );
};
