import { type CommonOptions, toItsEnd, withJson } from '../cli/outcome';
import { EXIT, Refusal } from '../cli/refusal';
import { init } from '../init';
import { packageRoot } from '../place';
import type { AddCommand } from './command';

interface Flags extends CommonOptions {
  readonly environment: string;
  readonly package?: string;
}

export const initCommand: AddCommand = (program) => {
  withJson(program.command('init <folder>'))
    .description('make a repository of your own, which installs Switchyard as a package')
    .option('--environment <name>', 'its first environment', 'production')
    .option('--package <from>', 'where npm finds Switchyard, as package.json says it (the packed file)')
    .action((folder: string, flags: Flags) =>
      toItsEnd('Init', undefined, flags, () => {
        if (packageRoot === undefined)
          throw new Refusal('init: the delivery image has no package to make one of.', EXIT.badInput);
        const { lines, ...document } = init(folder, flags, packageRoot);
        return { document, lines };
      }),
    );
};
