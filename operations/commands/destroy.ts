import { type AddCommand, operationCommand, yes } from './command';

export const destroy: AddCommand = (program) => {
  yes(operationCommand(program, 'destroy', 'remove all that `up` made'));
};
