import { type AddCommand, environmentCommand } from './command';

export const cut: AddCommand = (program) => {
  environmentCommand(
    program,
    'cut',
    'cut the state for the deploys of single modules, as `up` does: after a plain `pulumi up`',
    async (environment, _options, terminal) => {
      const { withSession } = await import('../engine/operate');
      // Whoever opens an environment gathers what deploys did, and cuts it anew.
      return withSession(
        environment,
        'cut',
        terminal,
        async () => ({ document: {}, lines: [`${environment} is cut for its modules`] }),
        { existing: true },
      );
    },
  );
};
