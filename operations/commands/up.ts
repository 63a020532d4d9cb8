import { type AddCommand, operationCommand, replace, withoutImages, yes } from './command';

export const up: AddCommand = (program) => {
  yes(
    withoutImages(
      replace(operationCommand(program, 'up', 'make the environment what catalog and stack say')),
    ),
  );
};
