import { type AddCommand, operationCommand, replace, yes } from './command';

export const up: AddCommand = (program) => {
  yes(replace(operationCommand(program, 'up', 'make the environment what catalog and stack say')));
};
