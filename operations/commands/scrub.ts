import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type CommonOptions, toItsEnd, withJson } from '../cli/outcome';
import type { AddCommand } from './command';

export const scrub: AddCommand = (program) => {
  withJson(program.command('scrub <environment> <folder>'))
    .description(
      'take secret values out of what a preview wrote; leaves a file `leaked` beside it when there were any',
    )
    .action((environment: string, folder: string, options: CommonOptions) =>
      toItsEnd('Scrub', environment, options, async (terminal) => {
        const { gather } = await import('../preview/gather');
        const { declaredIn, scrub: scrubFolder } = await import('../preview/prepare');
        const { withhold } = await import('../preview/withhold');
        const inputs = await gather(environment, 'scrub', terminal);
        const { values } = withhold(inputs.deployment, declaredIn(inputs.boxes), inputs.secrets);
        const leaks = scrubFolder(resolve(folder), values);
        if (leaks > 0) {
          writeFileSync(join(resolve(folder), '..', 'leaked'), `${leaks}\n`);
          terminal.note(`secret values stood in ${leaks} file(s) and were taken out: rotate them`);
        }
        return { document: { leaks }, lines: [`${folder}: ${leaks} file(s) held secret values`] };
      }),
    );
};
