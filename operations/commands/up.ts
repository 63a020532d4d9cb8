import { type AddCommand, basis, lease, operationCommand, replace, withoutImages, yes } from './command';

export const up: AddCommand = (program) => {
  lease(
    basis(
      yes(
        withoutImages(
          replace(operationCommand(program, 'up', 'make the environment what catalog and stack say')),
        ),
      ),
    ),
  );
};
