import type { CommonOptions } from '../cli/outcome';
import type { DrillOptions } from '../drill';
import { type AddCommand, environmentCommand, yes } from './command';

export const drill: AddCommand = (program) => {
  yes(
    environmentCommand<CommonOptions & DrillOptions>(
      program,
      'drill',
      'destroy an environment for real, rebuild it, and say what it took and what was lost',
      async (environment, options, terminal) => {
        const { drill: run } = await import('../drill');
        return run(environment, options, terminal);
      },
    )
      .requiredOption('--disaster <command>', 'what destroys it and starts an empty cluster and GitLab')
      .requiredOption('--out <folder>', 'where to write report.md, report.json and report.svg')
      .option('--canary <module>', 'module whose merge request proves the flow; the first one by default'),
  );
};
