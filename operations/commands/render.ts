import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { findModule } from '../../catalog/load';
import { loadModel } from '../../components/load';
import { openInBrowser } from '../cli/open';
import { type CommonOptions, toItsEnd, withJson } from '../cli/outcome';
import { foldersHere } from '../place';
import { renderTopology, writeRendered } from '../render';
import { otherEnvironments } from '../render/others';
import type { AddCommand } from './command';

interface Options extends CommonOptions {
  readonly out: string;
  readonly open?: boolean;
}

export const render: AddCommand = (program) => {
  withJson(program.command('render <environment> [module]'))
    .description('write all manifests, a page and the list of resources; needs no engine, cluster or network')
    .requiredOption('--out <folder>', 'folder to write to')
    .option('--open', 'show the page in a browser; where there is none, say where the page is')
    .action((environment: string, module: string | undefined, options: Options) =>
      toItsEnd('Render', environment, options, async () => {
        const folders = foldersHere();
        const model = loadModel(folders, environment);
        if (module !== undefined) findModule(model.catalog, module);
        const others = otherEnvironments(folders.stacks, model.catalog, environment);
        const files = renderTopology(model, module, others);
        const out = resolve(options.out);
        writeRendered(files, out);
        const page = pathToFileURL(join(out, 'index.html')).href;
        const opened = options.open ? await openInBrowser(page) : undefined;
        return {
          document: {
            out,
            files: [...files.keys()].sort(),
            page,
            ...(opened ? { opened: opened.done } : {}),
          },
          lines: [
            `${files.size} files in ${options.out}`,
            ...(opened
              ? [
                  `The page: ${join(out, 'index.html')}`,
                  opened.done ? `Opened ${page}` : `Not opened, ${opened.why}. Open ${page}`,
                ]
              : []),
          ],
        };
      }),
    );
};
