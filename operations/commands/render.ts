import { resolve } from 'node:path';
import { findModule } from '../../catalog/load';
import { defaultFolders, loadModel } from '../../components/load';
import { type CommonOptions, toItsEnd, withJson } from '../outcome';
import { root } from '../place';
import { renderTopology, writeRendered } from '../render';
import type { AddCommand } from './command';

export const render: AddCommand = (program) => {
  withJson(program.command('render <environment> [module]'))
    .description('write all manifests and the list of resources; needs no engine, cluster or network')
    .requiredOption('--out <folder>', 'where to')
    .action(
      (environment: string, module: string | undefined, options: CommonOptions & { readonly out: string }) =>
        toItsEnd('Render', environment, options, () => {
          const model = loadModel(defaultFolders(root), environment);
          if (module !== undefined) findModule(model.catalog, module);
          const files = renderTopology(model, module);
          writeRendered(files, resolve(options.out));
          return {
            document: { out: resolve(options.out), files: [...files.keys()].sort() },
            lines: [`${files.size} files in ${options.out}`],
          };
        }),
    );
};
