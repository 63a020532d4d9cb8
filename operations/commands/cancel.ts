import type { CommonOptions } from '../cli/outcome';
import { type AddCommand, environmentCommand, yes } from './command';

export const cancel: AddCommand = (program) => {
  yes(
    environmentCommand<CommonOptions & { readonly yes?: boolean }>(
      program,
      'cancel',
      'break the lock of a run that is gone; its half-done work is settled by the next one',
      async (environment, options, terminal) => {
        const { nothingDone, withSession } = await import('../engine/operate');
        return withSession(
          environment,
          'cancel',
          terminal,
          async ({ engine }) => {
            const answer = options.yes ? 'y' : await terminal.ask(`Break the lock of ${environment}? [y/N] `);
            if (!/^y(es)?$/i.test(answer?.trim() ?? '')) throw nothingDone('cancel');
            await engine.unlock();
            return { document: {}, lines: [`${environment} is unlocked`] };
          },
          { existing: true },
        );
      },
    ),
  );
};
