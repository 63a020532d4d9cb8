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

/** A process for the GitLabs of a suite: it starts once, which takes longer than one of them. */
interface Process {
  readonly folder: string;
  readonly child: ChildProcess;
  readonly gone: Promise<unknown[]>;
  readonly ask: (asked: Asked) => Promise<Answered>;
}

let shared: Promise<Process> | undefined;
let started = 0;

async function startProcess(): Promise<Process> {
  const { outputFiles } = await build({
    entryPoints: [join(__dirname, 'gitlab-child.ts')],
    bundle: true,
    write: false,
    platform: 'node',
    target: 'node22',
    logLevel: 'silent',
  });
  const folder = mkdtempSync(join(tmpdir(), 'gitlab-apart-'));
  writeFileSync(join(folder, 'gitlab.js'), outputFiles[0]?.text ?? '');
  const child = fork(join(folder, 'gitlab.js'), {
    execArgv: ['--disable-warning=ExperimentalWarning'],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const gone = once(child, 'exit');
  return { folder, child, gone, ask: inOrder(child, gone) };
}

/** Before the suite's own: it takes what still runs along. */
afterAll(async () => {
  const ending = await shared?.catch(() => undefined);
  if (!ending) return;
  if (ending.child.connected) ending.child.disconnect();
  await ending.gone;
  rmSync(ending.folder, { recursive: true, force: true });
});

/**
 * Starts the GitLab stand-in as `startGitLab` does, but in a process of its own, as it is in the lab, which those of one
 * suite share. It starts git hundreds of times, and to start a program the system first copies the process that does: a
 * worker of jest is five times as large.
 */
export async function startGitLabApart(options: Omit<GitLabOptions, 'log'>): Promise<GitLabApart> {
  shared ??= startProcess();
  const { folder, child, ask } = await shared;
  const of = started++;
  const warnings = join(folder, `warnings-${of}`);
  const { url = '' } = await ask({ of, ask: 'start', options, warnings });
  return {
    url,
    get warnings() {
      if (!existsSync(warnings)) return [];
      const lines = readFileSync(warnings, 'utf8').split('\n').filter(Boolean);
      return lines.map((line) => JSON.parse(line) as string);
    },
    hooksSent: async () => {
      await ask({ of, ask: 'hooksSent' });
    },
    close: async () => {
      if (child.connected) await ask({ of, ask: 'close' });
    },
  };
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
