import { resolve } from 'node:path';
import { type CommonOptions, toItsEnd, withJson } from '../cli/outcome';
import { newModule } from '../module/new';
import { DEFAULT_BASE, DEFAULT_PORT } from '../module/skeleton';
import { foldersHere, here } from '../place';
import type { AddCommand } from './command';

interface Flags extends CommonOptions {
  readonly description?: string;
  readonly owner?: string[];
  readonly service?: string[];
  readonly port?: string;
  readonly base?: string;
  readonly into?: string;
}

const collect = (value: string, earlier: string[] | undefined): string[] => [...(earlier ?? []), value];

export const moduleCommands: AddCommand = (program) => {
  const command = program.command('module').description('commands for one module');
  withJson(command.command('new <name>'))
    .description(
      'write a module into the catalog and a skeleton of its repository; asks for what is not said',
    )
    .option('--description <text>', 'what it is for, in one line')
    .option('--owner <user>', 'GitLab user name; may be repeated', collect)
    .option('--service <kind:version>', 'service that it needs; may be repeated', collect)
    .option('--port <number>', `port that it listens on (${DEFAULT_PORT})`)
    .option('--base <image>', `base image of its Dockerfile (${DEFAULT_BASE})`)
    .option('--into <folder>', "folder for the skeleton (the module's name, beside this repository)")
    .action((name: string, flags: Flags) =>
      toItsEnd('Module', undefined, flags, async (terminal) => {
        const { product, project } = here();
        const into = resolve(flags.into ?? `${project}/../${name}`);
        const ask = async (question: string) => (await terminal.ask(question)) ?? '';
        const said = await newModule(
          name,
          { ...flags, into },
          { root: product, folders: foldersHere(), ask: process.stdin.isTTY ? ask : undefined },
        );
        return { document: { name, into }, lines: said.trimEnd().split('\n') };
      }),
    );
};
