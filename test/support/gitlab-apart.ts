import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import type { GitLab, GitLabOptions } from '../../lab/gitlab/server';
import type { Answered, Asked } from './gitlab-child';

/** A GitLab stand-in in a process of its own. */
export interface GitLabApart extends GitLab {
  /** What it warned of so far. */
  readonly warnings: string[];
}

let program: Promise<string> | undefined;

/** The process's program in one text: made once a suite, which takes less than loading its sources. */
async function bundle(): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [join(__dirname, 'gitlab-child.ts')],
    bundle: true,
    write: false,
    platform: 'node',
    target: 'node22',
    logLevel: 'silent',
  });
  return outputFiles[0]?.text ?? '';
}

/**
 * Starts the GitLab stand-in as `startGitLab` does, but in a process of its own, as it is in the lab. It starts git
 * hundreds of times, and to start a program the system first copies the process that does: a worker of jest is five
 * times as large.
 */
export async function startGitLabApart(options: Omit<GitLabOptions, 'log'>): Promise<GitLabApart> {
  program ??= bundle();
  const text = await program;
  const folder = mkdtempSync(join(tmpdir(), 'gitlab-apart-'));
  const warnings = join(folder, 'warnings');
  writeFileSync(join(folder, 'gitlab.js'), text);
  const child = fork(join(folder, 'gitlab.js'), {
    execArgv: ['--disable-warning=ExperimentalWarning'],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const gone = once(child, 'exit');
  const ask = inOrder(child, gone);
  const end = async (): Promise<void> => {
    if (child.connected) child.disconnect();
    await gone;
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    const { url = '' } = await ask({ ask: 'start', options, warnings });
    return {
      url,
      get warnings() {
        if (!existsSync(warnings)) return [];
        const lines = readFileSync(warnings, 'utf8').split('\n').filter(Boolean);
        return lines.map((line) => JSON.parse(line) as string);
      },
      hooksSent: async () => {
        await ask({ ask: 'hooksSent' });
      },
      close: async () => {
        if (child.connected) await ask({ ask: 'close' });
        await end();
      },
    };
  } catch (error) {
    await end();
    throw error;
  }
}

/** One question at a time, so that an answer needs no name. */
function inOrder(child: ChildProcess, gone: Promise<unknown[]>): (asked: Asked) => Promise<Answered> {
  let last: Promise<unknown> = Promise.resolve();
  const one = async (asked: Asked): Promise<Answered> => {
    const came = new Promise<Answered>((resolve) => child.once('message', resolve));
    child.send(asked);
    const answered = await Promise.race([
      came,
      gone.then(([code]): Answered => ({ error: `it ended with ${code}` })),
    ]);
    if (answered.error) throw new Error(`GitLab, asked for ${asked.ask}: ${answered.error}`);
    return answered;
  };
  return (asked) => {
    const answer = last.then(() => one(asked));
    last = answer.catch(() => undefined);
    return answer;
  };
}
