import { Argument } from 'commander';
import { bashCompletion, completionTree, zshCompletion } from '../cli/completion';
import type { AddCommand } from './command';

export const completion: AddCommand = (program) => {
  program
    .command('completion')
    .addArgument(new Argument('<shell>', 'for which shell').choices(['bash', 'zsh']))
    .description('print a script that completes commands, options, environments and modules')
    .action((shell: 'bash' | 'zsh') => {
      const tree = completionTree(program);
      process.stdout.write(shell === 'bash' ? bashCompletion(tree) : zshCompletion(tree));
    });
};
