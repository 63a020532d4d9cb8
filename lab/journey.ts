import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Gitlab } from '@gitbeaker/rest';
import { GITLAB_URL } from './gitlab';
import { NODE_IP } from './machine/addresses';
import { sleep } from './machine/process';
import { hashFiles, LabError, type Step, type StepLog } from './steps';
import { JENKINS_URL, REPOSITORY, rootToken } from './topology';

const MODULE = 'orders';
const GROUP = 'switchyard';
const PROJECT = `${GROUP}/${MODULE}`;
export const PRODUCTION_URL = `http://${NODE_IP}:30081`;

const EXAMPLE = join(REPOSITORY, 'lab', 'example', MODULE);

const gitlab = () => new Gitlab({ host: GITLAB_URL, token: rootToken() });

/** A change that a developer makes to a checkout of the module. */
export type Change = (checkout: string) => void;

/**
 * Does what a developer does: a branch with a change, pushed, and a merge request for it.
 * @returns the merge request's iid, or undefined when the change changes nothing
 */
export async function openMergeRequest(
  log: StepLog,
  branch: string,
  title: string,
  change: Change,
): Promise<number | undefined> {
  const checkout = mkdtempSync(join(tmpdir(), 'switchyard-developer-'));
  const credentials = Buffer.from(`oauth2:${rootToken()}`).toString('base64');
  const env = {
    // Through the environment: a token in an argument or a URL would stand in the process list and the log.
    GIT_CONFIG_COUNT: '1',
    GIT_CONFIG_KEY_0: 'http.extraHeader',
    GIT_CONFIG_VALUE_0: `Authorization: Basic ${credentials}`,
    GIT_TERMINAL_PROMPT: '0',
    GIT_AUTHOR_NAME: 'Ada Developer',
    GIT_AUTHOR_EMAIL: 'ada@example.com',
    GIT_COMMITTER_NAME: 'Ada Developer',
    GIT_COMMITTER_EMAIL: 'ada@example.com',
  };
  const git = (...args: string[]) => log.exec('git', args, { cwd: checkout, env, timeoutSeconds: 60 });
  try {
    await git('clone', '--quiet', `${GITLAB_URL}/${PROJECT}.git`, '.');
    await git('checkout', '--quiet', '-B', branch);
    change(checkout);
    await git('add', '--all');
    if ((await git('status', '--porcelain')).stdout.trim() === '') return undefined;
    await git('commit', '--quiet', '-m', title);
    await git('push', '--quiet', '--force', 'origin', branch);
  } finally {
    rmSync(checkout, { recursive: true, force: true });
  }
  const open = await gitlab().MergeRequests.all({
    projectId: PROJECT,
    sourceBranch: branch,
    state: 'opened',
  });
  if (open[0]) return open[0].iid;
  return (await gitlab().MergeRequests.create(PROJECT, branch, 'main', title, { removeSourceBranch: true }))
    .iid;
}

async function until<T>(what: string, seconds: number, ask: () => Promise<T | undefined>): Promise<T> {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (Date.now() > end) {
      throw new LabError(
        `${what} did not happen within ${seconds} s`,
        `Look at the builds of ${JENKINS_URL}/job/${GROUP}/job/${MODULE}/`,
      );
    }
    await sleep(500);
  }
}

/** The commit status `switchyard` of a commit, once it is final. */
export async function finalStatus(
  sha: string,
  seconds: number,
): Promise<{ state: string; description: string }> {
  return until(`the verdict on ${sha.slice(0, 8)}`, seconds, async () => {
    const statuses = await gitlab().Commits.allStatuses(PROJECT, sha, { all: true });
    const final = statuses
      .filter(
        (status) => status.name === 'switchyard' && ['success', 'failed', 'canceled'].includes(status.status),
      )
      .at(-1);
    return final ? { state: final.status, description: final.description ?? '' } : undefined;
  });
}

export const mergeRequest = (iid: number) => gitlab().MergeRequests.show(PROJECT, iid);
export const notesOf = (iid: number) => gitlab().MergeRequestNotes.all(PROJECT, iid);

/** The version that production answers over HTTP; undefined while it does not. */
export async function productionVersion(): Promise<string | undefined> {
  try {
    const response = await fetch(`${PRODUCTION_URL}/version`, { signal: AbortSignal.timeout(3000) });
    return response.ok ? ((await response.json()) as { version: string }).version : undefined;
  } catch {
    return undefined;
  }
}

/** The whole way of one change: merge request, verdict, merge, deploy, answer. */
export async function travel(
  log: StepLog,
  branch: string,
  title: string,
  change: Change,
  version: string,
): Promise<void> {
  const iid = await openMergeRequest(log, branch, title, change);
  if (iid !== undefined) {
    log.line(`merge request !${iid}`);
    const opened = await mergeRequest(iid);
    const verdict = await finalStatus(String(opened.sha), 600);
    log.line(`verdict: ${verdict.state} ${verdict.description}`);
    if (verdict.state !== 'success') {
      throw new LabError(
        `merge request !${iid} is ${verdict.state}: ${verdict.description}`,
        `See ${opened.web_url}`,
      );
    }
    const merged = await until(`the merge of !${iid}`, 120, async () => {
      const now = await mergeRequest(iid);
      return now.state === 'merged' ? now : undefined;
    });
    const main = String(merged.merge_commit_sha ?? merged.sha);
    const deployed = await finalStatus(main, 600);
    log.line(`deploy: ${deployed.state} ${deployed.description}`);
    if (deployed.state !== 'success')
      throw new LabError(
        `the deploy of ${main.slice(0, 8)} is ${deployed.state}: ${deployed.description}`,
        'See its build',
      );
  }
  await until(`version ${version} in production`, 120, async () =>
    (await productionVersion()) === version ? version : undefined,
  );
}

const exampleVersion = (): string => readFileSync(join(EXAMPLE, 'VERSION'), 'utf8').trim();

/** The lab's main job: the example module travels from a push to production. */
export function journeySteps(): Step[] {
  return [
    {
      name: 'journey',
      title: 'Main job: the example module, from a push to production',
      inputs: () => hashFiles([EXAMPLE]),
      done: async () => (await productionVersion()) === exampleVersion(),
      run: (log) =>
        travel(
          log,
          'example',
          `Orders ${exampleVersion()}`,
          (checkout) =>
            cpSync(EXAMPLE, checkout, { recursive: true, filter: (path) => !path.includes('__pycache__') }),
          exampleVersion(),
        ),
    },
  ];
}
