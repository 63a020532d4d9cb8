import { execFileSync, spawn } from 'node:child_process';
import { parseLedger, type Release } from '../../../catalog/ledger';
import { kubeconfigPath } from '../../../lab/cluster';
import { GITLAB_URL } from '../../../lab/gitlab';
import { notesOf } from '../../../lab/journey';
import { sleep } from '../../../lab/machine/process';
import { runSteps } from '../../../lab/run';
import { labSteps } from '../../../lab/sequence';
import { lockLab, type StepLog } from '../../../lab/steps';
import { toolPath } from '../../../lab/toolchain';
import { ENVIRONMENT, REPOSITORY, rootToken, switchyard } from '../../../lab/topology';
import { killSession } from '../session';

/** The running lab's cluster, as root asks it. */
export const kubectl = (...args: string[]): string =>
  execFileSync(toolPath('kubectl'), ['--kubeconfig', kubeconfigPath(), ...args], {
    encoding: 'utf8',
    maxBuffer: 64 << 20,
  });

/** Image that production runs of a module, by digest. */
export const servedImage = (module: string): string =>
  kubectl(
    '-n',
    `prod-${module}`,
    'get',
    `deployment/${module}`,
    '-o',
    'jsonpath={.spec.template.spec.containers[0].image}',
  );

/** What the ledger has of a module in the lab. */
export async function ledgerRelease(module: string): Promise<Release | undefined> {
  const project = encodeURIComponent('switchyard/release-ledger');
  const address = `${GITLAB_URL}/api/v4/projects/${project}/repository/files/${ENVIRONMENT}.yaml/raw?ref=main`;
  const answer = await fetch(address, { headers: { 'private-token': rootToken() } });
  return parseLedger(await answer.text(), 'release-ledger').modules[module];
}

/**
 * A job made from a CronJob now, to its end. @returns what it said
 * @throws with that as soon as it failed
 */
export async function runJob(namespace: string, cronJob: string, seconds: number): Promise<string> {
  const job = `${cronJob}-now`;
  const at = (...args: string[]): string => kubectl(`--namespace=${namespace}`, ...args);
  at('delete', 'job', job, '--ignore-not-found');
  at('create', 'job', job, `--from=cronjob/${cronJob}`);
  try {
    const ended = await until(`the end of ${job}`, seconds, async () => {
      const types = at(
        ...['get', 'job', job, '--output', 'jsonpath={.status.conditions[?(@.status=="True")].type}'],
      );
      return /Complete|Failed/.exec(types)?.[0];
    }).catch((error: Error) => error.message);
    const said = at('logs', `job/${job}`);
    if (ended !== 'Complete') throw new Error(`${job}: ${ended}\n${said}`);
    return said;
  } finally {
    at('delete', 'job', job, '--ignore-not-found');
  }
}

/** What `npm run lab` does: goes through all steps to a lab that is whole. */
export async function wholeLab(): Promise<void> {
  const release = lockLab();
  try {
    await runSteps(labSteps());
  } finally {
    release();
  }
}

/**
 * Starts `up` and ends all of its processes at once, with kill -9, when the moment has come.
 * @param env beside that of this process
 * @returns false when it had ended by itself before
 */
export async function killedUp(
  env: Readonly<Record<string, string>>,
  moment: () => Promise<unknown>,
): Promise<boolean> {
  const [command, args] = switchyard(['up', ENVIRONMENT, '--yes']);
  const where = { cwd: REPOSITORY, env: { ...process.env, ...env } };
  const child = spawn(command, args, { ...where, stdio: 'ignore', detached: true });
  const over = new Promise((resolve) => child.once('exit', resolve));
  const session = child.pid as number;
  const underWay = await Promise.race([over.then(() => false), moment().then(() => true)]);
  await killSession(session);
  await over;
  return underWay;
}

/** What `switchyard` says, on either stream. @param accept exit codes that are none of a failure. @default 0 */
export async function runSwitchyard(
  log: StepLog,
  env: Record<string, string>,
  args: readonly string[],
  ...accept: number[]
): Promise<string> {
  const [command, all] = switchyard([...args]);
  const options = { cwd: REPOSITORY, env, timeoutSeconds: 900, accept: accept.length > 0 ? accept : [0] };
  const { stdout, stderr } = await log.exec(command, all, options);
  return `${stdout}${stderr}`;
}

/** Notes of people and bots, as GitLab would show them: what an author's program said is escaped in them. */
export const shownNotes = async (...asked: Parameters<typeof notesOf>) =>
  (await notesOf(...asked))
    .filter((note) => !note.system)
    .map(({ id, body }) => ({
      id,
      body: body.replace(/&#(\d+);(<span><\/span>)?/g, (_all, code) => String.fromCodePoint(Number(code))),
    }));

/** Asks every half second, until there is an answer. */
export async function until<T>(what: string, seconds: number, ask: () => Promise<T | undefined>): Promise<T> {
  for (const end = Date.now() + seconds * 1000; Date.now() < end; await sleep(500)) {
    const answer = await ask();
    if (answer !== undefined) return answer;
  }
  throw new Error(`${what} did not happen within ${seconds} s`);
}

/**
 * A hook of a push to a branch that no job builds: gitlab-plugin answers 200 to it, as to what is none at all, and starts
 * nothing.
 */
export const PUSH_OF_NO_BRANCH = {
  object_kind: 'push',
  ref: 'refs/heads/nobody-builds-this',
  before: '0'.repeat(40),
  after: '1'.repeat(40),
  user_username: 'nobody',
  project: { path_with_namespace: 'switchyard/orders' },
  repository: {},
  commits: [],
};
