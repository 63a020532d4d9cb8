import { type AddCommand, environmentCommand } from './command';

export const status: AddCommand = (program) => {
  environmentCommand(
    program,
    'status',
    'show what is released, what runs and how the last jobs ended',
    async (environment) => {
      const { status: run } = await import('../status');
      return run(environment);
    },
  );
};
