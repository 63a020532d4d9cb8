import { resolve } from 'node:path';
import { UNSTEADY_FILE } from '../../delivery/unsteady';
import { type CommonOptions, toItsEnd, withJson } from '../cli/outcome';
import type { AddCommand } from './command';

export const judge: AddCommand = (program) => {
  withJson(program.command('judge <environment> <module>'))
    .description('check whether a rollout is healthy: ready by its deadline, and no crash in its watch time')
    .option('--out <file>', "where to write the Pods' events and last words when it does not", UNSTEADY_FILE)
    .action((environment: string, module: string, options: CommonOptions & { readonly out: string }) =>
      toItsEnd('Judge', environment, options, async () => {
        const { judge: run } = await import('../judge');
        return run(environment, module, { out: resolve(options.out) });
      }),
    );
};
