import { resolve } from 'node:path';
import type { CommonOptions } from '../outcome';
import { type AddCommand, environmentCommand, lockTimeout } from './command';

export const withhold: AddCommand = (program) => {
  const command = environmentCommand<CommonOptions & { readonly out: string; readonly lockTimeout?: number }>(
    program,
    'withhold',
    'write what a preview of foreign code may see: the state without its secrets, and placeholders',
    async (environment, options, terminal) => {
      const { gather } = await import('../preview/gather');
      const { writePreviewInputs } = await import('../preview/prepare');
      const inputs = await gather(environment, 'withhold', terminal, options.lockTimeout);
      const { state, unmarked } = writePreviewInputs(inputs, resolve(options.out));
      if (unmarked > 0)
        terminal.note(`${unmarked} text(s) of the state hold a secret without being marked as one`);
      return {
        document: { state, unmarked, out: resolve(options.out) },
        lines: [`${environment}: state ${state.slice(0, 12)} without its secrets in ${options.out}`],
      };
    },
  );
  lockTimeout(command).requiredOption('--out <folder>', 'where to; what stands there goes');
};
