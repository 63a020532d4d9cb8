import { type AddCommand, operationCommand, replace, yes } from './command';

export const preview: AddCommand = (program) => {
  yes(replace(operationCommand(program, 'preview', 'show what `up` would do, and change nothing')));
};
