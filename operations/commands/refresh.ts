import { type AddCommand, operationCommand, yes } from './command';

export const refresh: AddCommand = (program) => {
  yes(operationCommand(program, 'refresh', 'take what is there into the state, without changing it'));
};
