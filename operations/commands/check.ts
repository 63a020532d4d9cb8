import { checkAll } from '../check';
import { type CommonOptions, toItsEnd, withJson } from '../cli/outcome';
import { foldersHere } from '../place';
import type { AddCommand } from './command';

export const check: AddCommand = (program) => {
  withJson(program.command('check [environment]'))
    .description('check the catalog, the stack files and the rules over the whole topology')
    .action((environment: string | undefined, options: CommonOptions) =>
      toItsEnd('Check', environment, options, () => {
        const environments = checkAll(foldersHere(), environment);
        return {
          document: { environments },
          lines: environments.flatMap(({ name, modules, rules: held, unqueued }) => [
            `${name}: ${modules} modules, all ${held} rules hold`,
            ...unqueued.map(
              ({ module, why }) => `${name}: ${module} has no merge queue (docs/gate.md): ${why}`,
            ),
          ]),
        };
      }),
    );
};
