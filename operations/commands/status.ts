import { type AddCommand, watchedCommand } from './command';

export const status: AddCommand = (program) => {
  watchedCommand(
    program,
    'status',
    'show what is wrong, what is released since when and by whom, what runs, and how the last jobs ended',
    async (environment) => (await import('../status')).status(environment),
    async (environment, options, terminal) =>
      (await import('../status')).watchStatus(environment, options, terminal),
  );
};
