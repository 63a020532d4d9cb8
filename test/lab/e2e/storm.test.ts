import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { certificateSchema, isGreen } from '../../../delivery/certificate';
import { marker } from '../../../delivery/note';
import { GITLAB_PORT, GITLAB_URL, gitlabDaemon } from '../../../lab/gitlab';
import {
  type Change,
  EXAMPLES,
  type Example,
  finalStatus,
  gitEnvironment,
  mergeRequest,
  openMergeRequest,
} from '../../../lab/journey';
import { daemonProcess, startDaemon, stopDaemon } from '../../../lab/machine';
import { NODE_IP } from '../../../lab/machine/addresses';
import { sleep } from '../../../lab/machine/process';
import { openLog } from '../../../lab/steps';
import { rootToken } from '../../../lab/topology';
import { kubectl, ledgerRelease, runJob, servedImage, until, wholeLab } from './running';

// Merge requests of three modules at once, while GitLab answers a part of what it is asked with errors, half of its hooks
// are not sent, at random, and Jenkins and the reconciler go away twice: both together while they are pushed, and one after the
// other after the first merge. The Pod of a test that goes on is deleted. All end right: what is good is merged and rolled out,
// as it was tested, what is not is red and says why, and nothing stays behind.
jest.setTimeout(3_000_000);

const log = openLog('e2e-storm');
const MODULES = Object.keys(EXAMPLES) as Example[];
const GOOD = 18;
/** What a storm before this one left on main is another text. */
const RUN = Date.now();
/** Where GitLab itself listens while {@link BAD_DAY} has its address. */
const BEHIND = 18929;
const BAD_DAY = 'gitlab-bad-day';
const TEST_NAMESPACES = [...MODULES.map((module) => `test-${module}`), 'ci-build', 'ci-agents', 'ci-deploy'];

/** GitLab's own answers, not those of a bad day. */
const asked = async <T>(method: string, path: string, body?: object): Promise<T> => {
  const answer = await fetch(`http://${NODE_IP}:${BEHIND}/api/v4/${path}`, {
    method,
    headers: { 'PRIVATE-TOKEN': rootToken(), 'content-type': 'application/json' },
    body: body && JSON.stringify(body),
  });
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
  return (await answer.json()) as T;
};
const project = (module: string) => `projects/${encodeURIComponent(`switchyard/${module}`)}`;
const notesOf = async ({ module, iid }: Opened): Promise<string[]> =>
  (await asked<{ body: string }[]>('GET', `${project(module)}/merge_requests/${iid}/notes?per_page=100`)).map(
    ({ body }) => body,
  );

interface Hook {
  readonly module: string;
  readonly id: number;
}
const hooks: Hook[] = [];
const send = ({ module, id }: Hook, events: boolean) =>
  asked('PUT', `${project(module)}/hooks/${id}`, { push_events: events, merge_requests_events: events });

/** What is asked by the bad day's address may be answered with an error: it is asked again. */
const eventually = <T>(what: string, seconds: number, ask: () => Promise<T | undefined>): Promise<T> =>
  until(what, seconds, () => ask().catch(() => undefined));

const jenkins = (replicas: number) =>
  kubectl('--namespace=ci', 'scale', 'statefulset/jenkins', `--replicas=${replicas}`);
async function jenkinsGoesAway(seconds: number): Promise<void> {
  jenkins(0);
  await sleep(seconds * 1000);
  jenkins(1);
}

/** The reconciler's Pod goes without a word; its Deployment makes another. */
const killReconciler = () =>
  kubectl(
    '--namespace=ci-reconciler',
    'delete',
    'pods',
    '--all',
    '--grace-period=0',
    '--force',
    '--wait=false',
  );

/** What the head of a merge request was said to be, oldest first. */
const saidOf = async (module: string, iid: number): Promise<string[]> => {
  const { sha } = await asked<{ sha: string }>('GET', `${project(module)}/merge_requests/${iid}`);
  const all = await asked<{ id: number; name: string; description: string | null }[]>(
    'GET',
    `${project(module)}/repository/commits/${sha}/statuses?all=true&per_page=100`,
  );
  return all
    .filter(({ name }) => name === 'switchyard')
    .sort((a, b) => a.id - b.id)
    .map(({ description }) => description ?? '');
};

const LOST = 'broke off: the test Pod was lost';
const READY =
  '{range .items[*]}{.metadata.name} {.metadata.annotations.switchyard\\.dev/merge-request} {.status.conditions[?(@.type=="Ready")].status}{"\\n"}{end}';

/** Test Pods that are ready, each with its merge request. */
const readyTests = (module: string): { readonly pod: string; readonly iid: number }[] =>
  [
    ...kubectl(
      ...[`--namespace=test-${module}`, 'get', 'pods', '--selector=switchyard.dev/purpose=test'],
      `--output=jsonpath=${READY}`,
    ).matchAll(/^(\S+) (\d+) True$/gm),
  ].map(([, pod = '', iid]) => ({ pod, iid: Number(iid) }));

/**
 * Deletes the Pod of a test that goes on, of one that is not at fault, until one was seen to be lost: a test that is short has
 * ended before anybody missed its Pod. No merge request is hit twice, since the third time in a row would be told to people.
 * @returns the one whose test was lost; undefined when all was over before
 */
async function loseTestPod(good: readonly Opened[], over: () => boolean): Promise<Opened | undefined> {
  const hit = new Set<string>();
  const next = (): (Opened & { readonly pod: string }) | undefined =>
    MODULES.flatMap((module) => readyTests(module).map((one) => ({ module, ...one }))).find(
      ({ module, iid }) =>
        good.some((one) => one.module === module && one.iid === iid) && !hit.has(`${module} ${iid}`),
    );
  while (!over()) {
    const found = next();
    if (!found) {
      await sleep(1000);
      continue;
    }
    const { module, iid, pod } = found;
    hit.add(`${module} ${iid}`);
    kubectl(`--namespace=test-${module}`, 'delete', 'pod', pod, '--wait=false', '--ignore-not-found');
    log.line(`deleted ${pod} of ${module} !${iid}`);
    for (let looks = 0; looks < 12 && !over(); looks++) {
      await sleep(5000);
      const said = await saidOf(module, iid).catch(() => []);
      if (said.some((words) => words.startsWith(LOST))) return { module, iid };
    }
  }
  return undefined;
}

/** Whether a hook's deliveries of a round are sent: heads or tails, the same in each run. */
const isSent = (round: number, { id }: Hook): boolean =>
  ((createHash('sha256').update(`7 ${round} ${id}`).digest()[0] as number) & 1) === 0;

const heads = new Map<Example, string>();
const headOf = async (module: Example): Promise<string> =>
  (await asked<{ commit: { id: string } }>('GET', `${project(module)}/repository/branches/main`)).commit.id;

interface Opened {
  readonly module: Example;
  readonly iid: number;
}

/** What has an end: Unix seconds, or so many after it was made. */
interface Expiring {
  readonly kind: string;
  readonly metadata: {
    readonly namespace: string;
    readonly name: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly creationTimestamp: string;
    readonly deletionTimestamp?: string;
  };
}

/** What must not be merged. */
const bad: Opened[] = [];

/** Answers its readiness never: no error, no end. */
const NEVER_READY: Change = (checkout) => {
  const file = join(checkout, 'mailer.py');
  writeFileSync(file, `import time\n\ntime.sleep(100000)\n${readFileSync(file, 'utf8')}`);
};
const RED: Change = (checkout) =>
  appendFileSync(
    join(checkout, 'tests', 'mailer.robot'),
    '\n*** Test Cases ***\nWhat is not so\n    Should Be Equal    a    b\n',
  );

async function opened(module: Example, name: string, change: Change): Promise<Opened> {
  const branch = `storm-${name}`;
  const iid = await eventually(`the merge request ${branch} of ${module}`, 120, () =>
    openMergeRequest(log, branch, `${module}: ${name}`, change, module),
  );
  return { module, iid };
}

const states = async (all: readonly Opened[]) =>
  Promise.all(
    all.map(async ({ module, iid }) => ({
      module,
      iid,
      ...(await asked<{ state: string; sha: string }>('GET', `${project(module)}/merge_requests/${iid}`)),
    })),
  );

describe('a storm', () => {
  /** What goes on beside the merge requests ends with this. */
  let over = false;
  beforeAll(async () => {
    await stopDaemon('gitlab');
    await startDaemon(gitlabDaemon(BEHIND));
    await startDaemon({
      name: BAD_DAY,
      command: process.execPath,
      args: [join(__dirname, 'bad-day.js'), NODE_IP, String(GITLAB_PORT), String(BEHIND), '0.2', '7'],
      network: 'lab',
      // It may answer with an error, too.
      ready: async () => (await fetch(GITLAB_URL, { signal: AbortSignal.timeout(2000) })).status > 0,
    });
    for (const module of MODULES) {
      for (const { id } of await asked<{ id: number }[]>('GET', `${project(module)}/hooks`)) {
        hooks.push({ module, id });
      }
      heads.set(module, await headOf(module));
    }
    expect(hooks.length).toBeGreaterThanOrEqual(MODULES.length);
  });
  afterAll(async () => {
    over = true;
    await Promise.allSettled([
      ...hooks.map((hook) => send(hook, true)),
      ...bad.map(({ module, iid }) =>
        asked('PUT', `${project(module)}/merge_requests/${iid}`, { state_event: 'close' }),
      ),
    ]);
    jenkins(1);
    await stopDaemon(BAD_DAY);
    await stopDaemon('gitlab');
    await wholeLab();
  });

  test('whatever goes wrong meanwhile, all end right', async () => {
    const dropping = (async () => {
      for (let round = 0; !over; round++, await sleep(2000)) {
        await Promise.all(hooks.map((hook) => send(hook, isSent(round, hook))));
      }
    })();
    const away = jenkinsGoesAway(20);
    killReconciler();
    const good = await Promise.all(
      Array.from({ length: GOOD }, (_, at) => {
        const module = MODULES[at % MODULES.length] as Example;
        return opened(module, `good-${at}`, (checkout) =>
          writeFileSync(join(checkout, `storm-${at}.txt`), `${RUN}\n`),
        );
      }),
    );
    // Jenkins waits 1,000 s for an agent of the second one.
    bad.push(await opened('mailer', 'red', RED), await opened('mailer', 'never-ready', NEVER_READY));
    await away;
    let merged = false;
    // Not of the one that is changed below: of a head that is gone nobody asks any more.
    const lost = loseTestPod(good.slice(1), () => merged || over);
    lost.catch(() => undefined);
    // One of them is changed under way.
    const changed = good[0] as Opened;
    await opened(changed.module, 'good-0', (checkout) =>
      writeFileSync(join(checkout, 'storm-0.txt'), `changed ${RUN}\n`),
    );
    await eventually('the first merge', 400, async () =>
      (await states(good)).some(({ state }) => state === 'merged') ? true : undefined,
    );
    await jenkinsGoesAway(10);
    killReconciler();

    let left: Opened[] = [];
    try {
      await eventually('the merge of all', 1500, async () => {
        left = (await states(good)).filter(({ state }) => state !== 'merged');
        return left.length === 0 ? true : undefined;
      });
    } catch (error) {
      const notes = await Promise.all(left.map(notesOf));
      throw new Error(`${(error as Error).message}: ${JSON.stringify(left)}\n${JSON.stringify(notes)}`);
    } finally {
      merged = true;
    }
    // Nobody was red for it: it is one of those that are merged by now.
    expect(await lost).toBeDefined();
    for (const { module, iid } of bad) {
      const { state, sha } = (await states([{ module, iid }]))[0] as { state: string; sha: string };
      expect(state).toBe('opened');
      const verdict = await eventually(`the verdict on !${iid}`, 1300, () => finalStatus(sha, module));
      expect(verdict.state).toBe('failed');
    }
    over = true;
    await dropping;
    process.kill(daemonProcess(BAD_DAY)?.pid as number, 'SIGUSR1');
  });

  test('what is on main was tested as it is there, each commit of it', async () => {
    for (const module of MODULES) {
      const checkout = mkdtempSync(join(tmpdir(), 'switchyard-storm-'));
      try {
        const git = (...args: string[]) =>
          execFileSync('git', args, {
            cwd: checkout,
            env: { ...process.env, ...gitEnvironment() },
            encoding: 'utf8',
          }).trim();
        git('clone', '--quiet', `${GITLAB_URL}/switchyard/${module}.git`, '.');
        const commits = git('rev-list', '--first-parent', `${heads.get(module)}..origin/main`)
          .split('\n')
          .filter(Boolean);
        const tested = new Set<string>();
        for (const { iid } of await asked<{ iid: number }[]>(
          'GET',
          `${project(module)}/merge_requests?state=merged&per_page=100`,
        )) {
          for (const body of await notesOf({ module, iid })) {
            const json = body.startsWith(marker) && /```json\n([\s\S]*?)\n```/.exec(body)?.[1];
            const certificate = json && certificateSchema.parse(JSON.parse(json));
            if (certificate && isGreen(certificate)) tested.add(String(certificate.treeSha));
          }
        }
        const trees = commits.map((commit) => git('rev-parse', `${commit}^{tree}`));
        expect(trees.filter((tree) => !tested.has(tree))).toEqual([]);
        const merged = [...Array(GOOD).keys()].filter((at) => MODULES[at % MODULES.length] === module);
        expect(merged.filter((at) => git('ls-files', `storm-${at}.txt`) === '')).toEqual([]);
        expect(trees).toHaveLength(merged.length);
      } finally {
        rmSync(checkout, { recursive: true, force: true });
      }
    }
  });

  test('production has the newest of each, and nothing stays behind', async () => {
    for (const module of MODULES) {
      const head = await headOf(module);
      expect(head).not.toBe(heads.get(module));
      expect(await finalStatus(head, module)).toMatchObject({ state: 'success' });
      const release = await ledgerRelease(module);
      expect([release?.commit, release?.image]).toEqual([head, servedImage(module)]);
    }
    await eventually('the end of all Pods of tests and builds', 120, async () => {
      const pods = TEST_NAMESPACES.flatMap((namespace) =>
        kubectl(`--namespace=${namespace}`, 'get', 'pods', '--output=name').split('\n').filter(Boolean),
      );
      return pods.length === 0 ? true : undefined;
    });
    // The clean-up job runs each quarter of an hour; what is past its end after it, nobody removes.
    await runJob('ci-reaper', 'reaper', 300);
    const { items } = JSON.parse(
      kubectl(
        ...['get', 'pods,secrets,configmaps,persistentvolumeclaims', '--all-namespaces'],
        ...['--selector=switchyard.dev/expires', '--output=json'],
      ),
    ) as { items: Expiring[] };
    const expired = items.filter(({ metadata: { labels, creationTimestamp, deletionTimestamp } }) => {
      const [, count, afterwards] = /^(\d+)(s?)$/.exec(labels['switchyard.dev/expires'] ?? '') ?? [];
      const from = afterwards ? Date.parse(creationTimestamp) / 1000 : 0;
      return deletionTimestamp === undefined && !(from + Number(count) > Date.now() / 1000 - 60);
    });
    const named = expired.map(({ kind, metadata }) => `${kind} ${metadata.namespace}/${metadata.name}`);
    expect(named).toEqual([]);
    for (const { module, iid } of bad) {
      const { sha } = await mergeRequest(iid, module);
      const statuses = await asked<{ id: number; name: string; status: string }[]>(
        'GET',
        `${project(module)}/repository/commits/${sha}/statuses?all=true`,
      );
      const ours = statuses.filter(({ name }) => name === 'switchyard').sort((a, b) => a.id - b.id);
      expect(ours.at(-1)?.status).toBe('failed');
    }
  });
});
