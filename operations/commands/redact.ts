import { resolve } from 'node:path';
import type { CommonOptions } from '../cli/outcome';
import { type AddCommand, environmentCommand, lockTimeout } from './command';

export const redact: AddCommand = (program) => {
  const command = environmentCommand<CommonOptions & { readonly out: string; readonly lockTimeout?: number }>(
    program,
    'redact',
    'write the state without its secrets, with placeholders: all that the preview of a merge request may see',
    async (environment, options, terminal) => {
      const { gather } = await import('../preview/gather');
      const { writePreviewInputs } = await import('../preview/prepare');
      const inputs = await gather(environment, 'redact', terminal, options.lockTimeout);
      const { state, unmarked } = writePreviewInputs(inputs, resolve(options.out));
      if (unmarked > 0)
        terminal.note(`${unmarked} text(s) of the state hold a secret without being marked as one`);
      return {
        document: { state, unmarked, out: resolve(options.out) },
        lines: [`${environment}: state ${state.slice(0, 12)} without its secrets in ${options.out}`],
      };
    },
  );
  // Its old name, for one version: the pipeline library calls it so.
  command.alias('withhold');
  lockTimeout(command).requiredOption('--out <folder>', 'folder to write to; what is in it is removed');
};
