import { resolve } from 'node:path';
import { createInterface } from 'node:readline/promises';
import type { Command } from 'commander';
import { defaultFolders } from '../../components/load';
import { newModule } from './new';
import { DEFAULT_BASE, DEFAULT_PORT } from './skeleton';

interface Flags {
  readonly description?: string;
  readonly owner?: string[];
  readonly service?: string[];
  readonly port?: string;
  readonly base?: string;
  readonly into?: string;
}

async function ask(question: string): Promise<string> {
  const prompt = createInterface({ input: process.stdin, output: process.stdout });
  try {
    return await prompt.question(question);
  } finally {
    prompt.close();
  }
}

const collect = (value: string, earlier: string[] | undefined): string[] => [...(earlier ?? []), value];

/** Adds `module new` to the command line. */
export function addModuleCommands(command: Command, root: string): void {
  command
    .command('module')
    .description('what concerns one module')
    .command('new <name>')
    .description(
      'write a module into the catalog and a skeleton of its repository; asks for what is not said',
    )
    .option('--description <text>', 'what it is for, in one line')
    .option('--owner <user>', 'GitLab user name; may be repeated', collect)
    .option('--service <kind:version>', 'service that it needs; may be repeated', collect)
    .option('--port <number>', `port that it listens on (${DEFAULT_PORT})`)
    .option('--base <image>', `base image of its Dockerfile (${DEFAULT_BASE})`)
    .option('--into <folder>', "folder for the skeleton (the module's name, beside this checkout)")
    .action(async (name: string, flags: Flags) => {
      const said = await newModule(
        name,
        { ...flags, into: resolve(flags.into ?? `${root}/../${name}`) },
        { root, folders: defaultFolders(root), ask: process.stdin.isTTY ? ask : undefined },
      );
      process.stdout.write(said);
    });
}
