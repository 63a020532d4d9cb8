import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GITLAB_URL } from './gitlab';
import { gitEnvironment } from './journey';
import { openLog, type Step, type StepLog } from './steps';
import { REPOSITORY, rootToken } from './topology';

/** Path of the project that this repository is in the lab's GitLab. */
export const TOPOLOGY_PROJECT = 'switchyard/topology';

/** Folders that git would take in where they are links, which its ignored folders are not. */
const NOT_OURS = ['node_modules', 'dist', 'coverage'];

/**
 * Works on a repository beside this checkout whose files are the checkout's: nothing of the checkout's own history or
 * index is read or changed, and what is not committed yet counts.
 */
async function withSnapshot<T>(
  log: StepLog,
  use: (git: (...args: string[]) => Promise<string>) => Promise<T>,
): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'switchyard-repository-'));
  const env = { ...gitEnvironment(), GIT_DIR: join(folder, 'git'), GIT_WORK_TREE: REPOSITORY };
  const git = async (...args: string[]) =>
    (await log.exec('git', args, { cwd: REPOSITORY, env, timeoutSeconds: 60 })).stdout.trim();
  try {
    await git('init', '--quiet', '--initial-branch=main');
    writeFileSync(join(folder, 'git', 'info', 'exclude'), NOT_OURS.map((path) => `/${path}\n`).join(''));
    await git('add', '--all');
    return await use(git);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Does the project have content? A merge request that was merged since then is not undone. */
async function hasMain(): Promise<boolean> {
  const url = `${GITLAB_URL}/api/v4/projects/${encodeURIComponent(TOPOLOGY_PROJECT)}/repository/branches/main`;
  try {
    const headers = { 'PRIVATE-TOKEN': rootToken() };
    return (await fetch(url, { headers, signal: AbortSignal.timeout(2000) })).ok;
  } catch {
    return false;
  }
}

/** This checkout, as one commit, on the `main` of its own project: what a maintainer does once after the first `up`. */
export function repositorySteps(): Step[] {
  return [
    {
      name: 'repository',
      title: 'This repository as a project of its own topology',
      // The topology makes the project. After the journeys: its push may start a pipeline that nobody waits for.
      needs: ['packages', 'gitlab', 'topology', 'journey', 'journey-billing', 'journey-mailer'],
      inputs: () => withSnapshot(openLog('repository-snapshot'), (git) => git('write-tree')),
      done: hasMain,
      run: (log) =>
        withSnapshot(log, async (git) => {
          const tree = await git('write-tree');
          const remote = `${GITLAB_URL}/${TOPOLOGY_PROJECT}.git`;
          const onto: string[] = [];
          if (await hasMain()) {
            await git('fetch', '--quiet', '--depth=1', remote, 'main');
            if ((await git('rev-parse', 'FETCH_HEAD^{tree}')) === tree) return;
            onto.push('-p', 'FETCH_HEAD');
          }
          const commit = await git('commit-tree', tree, ...onto, '-m', 'The lab’s checkout');
          await git('push', '--quiet', remote, `${commit}:refs/heads/main`);
        }),
    },
  ];
}
