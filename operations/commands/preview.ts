import { type AddCommand, operationCommand, replace, withoutImages, yes } from './command';

export const preview: AddCommand = (program) => {
  yes(
    withoutImages(
      replace(operationCommand(program, 'preview', 'show what `up` would do, and change nothing')),
    ),
  ).option(
    '--record <folder>',
    "write the engine's events and broken rules there, for a merge request's note; images are left out",
  );
};
