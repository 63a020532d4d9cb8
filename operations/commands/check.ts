import { defaultFolders, loadModel } from '../../components/load';
import { stackNames } from '../../stacks/load';
import { type CommonOptions, toItsEnd, withJson } from '../outcome';
import { root } from '../place';
import type { AddCommand } from './command';

export const check: AddCommand = (program) => {
  withJson(program.command('check [environment]'))
    .description('check the catalog and the stack files')
    .action((environment: string | undefined, options: CommonOptions) =>
      toItsEnd('Check', environment, options, () => {
        const folders = defaultFolders(root);
        const checked = (environment ? [environment] : stackNames(folders.stacks)).map((name) => ({
          name,
          modules: loadModel(folders, name).modules.length,
        }));
        return {
          document: { environments: checked },
          lines: checked.map(({ name, modules }) => `${name}: ${modules} modules, no fault`),
        };
      }),
    );
};
