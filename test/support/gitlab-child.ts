import { appendFileSync } from 'node:fs';
import { type GitLab, type GitLabOptions, startGitLab } from '../../lab/gitlab/server';

/** What a test asks of the GitLabs in this process, by number; each question is answered once, in order. */
export type Asked = { readonly of: number } & (
  | { readonly ask: 'start'; readonly options: Omit<GitLabOptions, 'log'>; readonly warnings: string }
  | { readonly ask: 'hooksSent' }
  | { readonly ask: 'close' }
);

/** What came of it. */
export type Answered = { readonly url?: string; readonly error?: string };

const running = new Map<number, GitLab>();

async function answer(asked: Asked): Promise<Answered> {
  const gitlab = running.get(asked.of);
  switch (asked.ask) {
    case 'start': {
      const warn = (text: string) => appendFileSync(asked.warnings, `${JSON.stringify(text)}\n`);
      const started = await startGitLab({ ...asked.options, log: { info: () => undefined, warn } });
      running.set(asked.of, started);
      return { url: started.url };
    }
    case 'hooksSent':
      await gitlab?.hooksSent();
      return {};
    case 'close':
      running.delete(asked.of);
      await gitlab?.close();
      return {};
  }
}

process.on('message', (asked: Asked) => {
  answer(asked)
    .catch((error: Error) => ({ error: error.message }))
    .then((answered) => process.send?.(answered));
});
// Also when the test is gone without a word.
process.on('disconnect', () => process.exit(0));
