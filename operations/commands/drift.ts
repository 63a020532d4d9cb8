import type { CommonOptions } from '../cli/outcome';
import type { DriftOptions } from '../drift';
import { type AddCommand, environmentCommand, lockTimeout, yes } from './command';

export const drift: AddCommand = (program) => {
  const command = yes(
    environmentCommand<CommonOptions & DriftOptions>(
      program,
      'drift',
      'compare what is there with what was applied, and say who changed it; exit code 5 when something differs',
      async (environment, options, terminal) => {
        const { drift: run } = await import('../drift');
        return run(environment, options, terminal);
      },
    )
      .option('--fix', 'put back what drifted, and nothing else')
      .option('--fenced', 'leave out what is not to be seen without secrets; the note counts it')
      .option('--note <file>', 'write the differences as a Markdown note')
      .option('--metrics <file>', "write the counts in Prometheus' text format"),
  );
  lockTimeout(command);
};
