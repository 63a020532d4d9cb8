import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Gitlab } from '@gitbeaker/rest';
import { runsOn } from '../delivery/status';
import { GITLAB_URL } from './gitlab';
import { NODE_IP } from './machine/addresses';
import { sleep } from './machine/process';
import { hashFiles, LabError, type Step, type StepLog } from './steps';
import { JENKINS_URL, REPOSITORY, rootToken } from './topology';

const GROUP = 'switchyard';

/** The lab's modules and the ports of the node at which the catalog has them answer. */
export const EXAMPLES = { orders: 30081, billing: 30082, mailer: 30083 } as const;
export type Example = keyof typeof EXAMPLES;

/** Of a module of the lab's own group; of another one by its full path. */
const project = (module: string): string => (module.includes('/') ? module : `${GROUP}/${module}`);
const productionUrl = (module: Example): string => `http://${NODE_IP}:${EXAMPLES[module]}`;
export const PRODUCTION_URL = productionUrl('orders');

const sourceOf = (module: Example): string => join(REPOSITORY, 'lab', 'example', module);

const gitlab = () => new Gitlab({ host: GITLAB_URL, token: rootToken() });

/** What `git` needs to speak to the lab's GitLab in a developer's name. */
export function gitEnvironment(): Record<string, string> {
  const credentials = Buffer.from(`oauth2:${rootToken()}`).toString('base64');
  return {
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
}

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
  module: string = 'orders',
): Promise<number | undefined> {
  const checkout = mkdtempSync(join(tmpdir(), 'switchyard-developer-'));
  const env = gitEnvironment();
  const git = (...args: string[]) => log.exec('git', args, { cwd: checkout, env, timeoutSeconds: 60 });
  try {
    await git('clone', '--quiet', `${GITLAB_URL}/${project(module)}.git`, '.');
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
    projectId: project(module),
    sourceBranch: branch,
    state: 'opened',
  });
  if (open[0]) return open[0].iid;
  const made = await gitlab().MergeRequests.create(project(module), branch, 'main', title, {
    removeSourceBranch: true,
  });
  return made.iid;
}

async function until<T>(
  module: string,
  what: string,
  seconds: number,
  ask: () => Promise<T | undefined>,
): Promise<T> {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (Date.now() > end) {
      throw new LabError(
        `${what} did not happen within ${seconds} s`,
        `Look at the builds of ${JENKINS_URL}/job/${GROUP}/job/${module}/`,
      );
    }
    await sleep(500);
  }
}

/** How long a verdict is waited for: a slow machine that does other things beside takes its time. */
const FINAL_SECONDS = 600;

/** The commit status `switchyard` of a commit, once it is final, and the address of the build that set it. */
export async function finalStatus(
  sha: string,
  module: string = 'orders',
): Promise<{ state: string; description: string; build: string }> {
  return until(module, `the verdict on ${sha.slice(0, 8)}`, FINAL_SECONDS, async () => {
    const statuses = await gitlab().Commits.allStatuses(project(module), sha, { all: true });
    const final = statuses
      .filter(
        (status) =>
          status.name === 'switchyard' &&
          ['success', 'failed', 'canceled'].includes(status.status) &&
          // Ended only to run on with other words, as its place in the merge queue changes.
          !runsOn(status.description ?? ''),
      )
      .at(-1);
    if (!final) return undefined;
    const build = String(final.target_url ?? final.targetUrl);
    return { state: final.status, description: final.description ?? '', build };
  });
}

export const mergeRequest = (iid: number, module = 'orders') =>
  gitlab().MergeRequests.show(project(module), iid);
export const notesOf = (iid: number, module = 'orders') =>
  gitlab().MergeRequestNotes.all(project(module), iid);

/** The version that production answers over HTTP; undefined while it does not. */
export async function productionVersion(module: Example = 'orders'): Promise<string | undefined> {
  try {
    const response = await fetch(`${productionUrl(module)}/version`, { signal: AbortSignal.timeout(3000) });
    return response.ok ? ((await response.json()) as { version: string }).version : undefined;
  } catch {
    return undefined;
  }
}

/** From a change to its deploy: merge request, verdict, merge, status of the deploy. Does nothing for a change that changes nothing. */
export async function deliver(
  log: StepLog,
  module: string,
  branch: string,
  title: string,
  change: Change,
): Promise<void> {
  const iid = await openMergeRequest(log, branch, title, change, module);
  if (iid === undefined) return;
  log.line(`merge request !${iid}`);
  const opened = await mergeRequest(iid, module);
  const verdict = await finalStatus(String(opened.sha), module);
  log.line(`verdict: ${verdict.state} ${verdict.description}`);
  if (verdict.state !== 'success') {
    throw new LabError(
      `merge request !${iid} is ${verdict.state}: ${verdict.description}`,
      `See ${opened.web_url}`,
    );
  }
  const merged = await until(module, `the merge of !${iid}`, 120, async () => {
    const now = await mergeRequest(iid, module);
    return now.state === 'merged' ? now : undefined;
  });
  const main = String(merged.merge_commit_sha ?? merged.sha);
  const deployed = await finalStatus(main, module);
  log.line(`deploy: ${deployed.state} ${deployed.description}`);
  if (deployed.state !== 'success')
    throw new LabError(
      `the deploy of ${main.slice(0, 8)} is ${deployed.state}: ${deployed.description}`,
      'See its build',
    );
}

/** The whole way of one change to an example: from a merge request to an answer of production. */
export async function travel(
  log: StepLog,
  branch: string,
  title: string,
  change: Change,
  version: string,
  module: Example = 'orders',
): Promise<void> {
  await deliver(log, module, branch, title, change);
  await until(module, `version ${version} in production`, 120, async () =>
    (await productionVersion(module)) === version ? version : undefined,
  );
}

/** The version of an example in this checkout. */
export const versionOf = (module: Example): string =>
  readFileSync(join(sourceOf(module), 'VERSION'), 'utf8').trim();

function journeyStep(module: Example, name: string, title: string): Step {
  const source = sourceOf(module);
  const version = versionOf(module);
  return {
    name,
    title,
    needs: ['packages', 'gitlab', 'topology'],
    place: 'pipeline',
    inputs: () => hashFiles([source]),
    done: async () => (await productionVersion(module)) === version,
    run: (log) =>
      travel(
        log,
        'example',
        `${module} ${version}`,
        (checkout) =>
          cpSync(source, checkout, { recursive: true, filter: (path) => !path.includes('__pycache__') }),
        version,
        module,
      ),
  };
}

/** The lab's main job, the example module from a push to production, and the same for modules of other services. */
export function journeySteps(): Step[] {
  return [
    journeyStep('orders', 'journey', 'Main job: the example module, from a push to production'),
    journeyStep('billing', 'journey-billing', 'The same for billing: PostgreSQL and Redis'),
    journeyStep('mailer', 'journey-mailer', 'The same for mailer: RabbitMQ'),
  ];
}
