import { type AddCommand, basis, operationCommand, replace, withoutImages, yes } from './command';

export const up: AddCommand = (program) => {
  basis(
    yes(
      withoutImages(
        replace(operationCommand(program, 'up', 'make the environment what catalog and stack say')),
      ),
    ),
  );
};
