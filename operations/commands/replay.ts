import { toItsEnd, withJson } from '../cli/outcome';
import type { ReplayOptions } from '../replay';
import type { AddCommand } from './command';

export const replay: AddCommand = (program) => {
  withJson(program.command('replay <environment> <module>'))
    .description('run a recorded load through the rules of the autoscaler; touches no cluster')
    .requiredOption('--trace <file>', 'CSV with the columns "time" and "qps" (docs/autoscaling.md)')
    .option('--qps <number>', 'requests per second that one Pod is to have')
    .option('--min <pods>', 'fewest Pods')
    .option('--max <pods>', 'most Pods')
    .option('--capacity <number>', 'requests per second that one Pod serves at most (--qps by default)')
    .option('--start <seconds>', 'time until a new Pod takes requests', '10')
    .option('--propose', 'look for the cheapest target, min and max that serve the level')
    .option('--level <percent>', 'requests that must come while there is room for them', '99.9')
    .option('--svg <file>', 'write a plot')
    .action((environment: string, module: string, options: ReplayOptions) =>
      toItsEnd('Replay', environment, options, async () => {
        const { replay: run } = await import('../replay');
        return run(environment, module, options);
      }),
    );
};
