import { type AddCommand, operationCommand, replace, withoutImages, yes } from './command';

export const preview: AddCommand = (program) => {
  yes(
    withoutImages(
      replace(operationCommand(program, 'preview', 'show what `up` would do, and change nothing')),
    ),
  );
};
