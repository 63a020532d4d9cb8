import { type CommonOptions, ended, toItsEnd, withJson } from '../outcome';
import { Terminal } from '../terminal';
import type { AddCommand } from './command';

interface QueueOptions extends CommonOptions {
  readonly watch?: boolean;
  readonly page?: string;
}

export const queue: AddCommand = (program) => {
  withJson(program.command('queue <environment>'))
    .description('say who waits to be merged, what is tested together, and what each one waits for')
    .option('--watch', 'again whenever that changes, until you end it; with --json a document a line')
    .option(
      '--page <folder>',
      'render the topology into it as well, with a picture of the queue on its page; with --watch a page that renews itself',
    )
    .action(async (environment: string, options: QueueOptions) => {
      const { queue: run, watchQueues } = await import('../queue');
      if (!options.watch) return toItsEnd('Queue', environment, options, () => run(environment, options));
      const terminal = new Terminal();
      try {
        return await watchQueues(environment, options, terminal);
      } catch (error) {
        const { code, message } = ended(error);
        terminal.note(message);
        process.exitCode = code;
      }
    });
};
