import type { CommonOptions } from '../cli/outcome';
import { type AddCommand, watchedCommand } from './command';

interface QueueOptions extends CommonOptions {
  readonly watch?: boolean;
  readonly page?: string;
}

export const queue: AddCommand = (program) => {
  watchedCommand<QueueOptions>(
    program,
    'queue',
    'show who waits to be merged, what is tested together, and what each one waits for',
    async (environment, options) => (await import('../queue')).queue(environment, options),
    async (environment, options, terminal) =>
      (await import('../queue')).watchQueues(environment, options, terminal),
  ).option(
    '--page <folder>',
    'render the topology into it as well, with a picture of the queue on its page; with --watch a page that renews itself',
  );
};
