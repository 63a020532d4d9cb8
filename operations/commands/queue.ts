import { type CommonOptions, ended, toItsEnd, withJson } from '../outcome';
import { Terminal } from '../terminal';
import type { AddCommand } from './command';

interface QueueOptions extends CommonOptions {
  readonly watch?: boolean;
  readonly page?: string;
}

export const queue: AddCommand = (program) => {
  withJson(program.command('queue <environment>'))
    .description('show who waits to be merged, what is tested together, and what each one waits for')
    .option(
      '--watch',
      'show it again whenever it changes, until interrupted; with --json one document a line',
    )
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
