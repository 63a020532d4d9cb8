import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { join } from 'node:path';
import {
  EXAMPLES,
  finalStatus,
  mergeRequest,
  openMergeRequest,
  productionVersion,
  travel,
} from '../../../lab/journey';
import { NODE_IP } from '../../../lab/machine/addresses';
import { sleep } from '../../../lab/machine/process';
import { openLog } from '../../../lab/steps';
import { ENVIRONMENT, JENKINS_URL, labEnvironment, REPOSITORY, switchyard } from '../../../lab/topology';
import { kubectl, servedImage, shownNotes } from './running';

// A running lab, in which a release that never gets ready is undone, and people go back to an earlier one, while requests
// come in all the time. Its module's file says a short deadline (`readySeconds`).
jest.setTimeout(400_000);

const log = openLog('e2e-undo');
const MODULE = 'mailer';

/** Runs `switchyard …`, which has to end with one of these codes. */
async function run(args: string[], ...accept: number[]): Promise<{ stdout: string; stderr: string }> {
  const [command, all] = switchyard(args);
  return log.exec(command, all, {
    cwd: REPOSITORY,
    env: labEnvironment(),
    accept: accept.length > 0 ? accept : [0],
  });
}
/** What it says as JSON; `status` ends with 6 where it cannot read something else. */
const json = async <T>(...args: string[]): Promise<T> =>
  JSON.parse((await run([...args, '--json'], 0, 6)).stdout) as T;

interface Row {
  readonly commit: string;
  readonly image: string;
  readonly state: string;
  readonly why?: string;
}
const rows = async (): Promise<readonly Row[]> =>
  (await json<{ releases: Row[] }>('releases', ENVIRONMENT, MODULE)).releases;

/** Ten requests a second, each by a connection of its own. */
function load(): () => Promise<{ answered: number; failed: string[] }> {
  let stopped = false;
  let answered = 0;
  const failed: string[] = [];
  const ask = (): Promise<void> =>
    new Promise((resolve) => {
      const wrong = (what: string): void => {
        failed.push(`${new Date().toISOString()} ${what}`);
        resolve();
      };
      const asked = get(`http://${NODE_IP}:${EXAMPLES[MODULE]}/version`, { agent: false, timeout: 5000 });
      asked.once('timeout', () => asked.destroy(new Error('no answer')));
      asked.once('error', (error) => wrong(error.message));
      asked.once('response', (response) => {
        response.resume();
        response.once('error', (error) => wrong(error.message));
        response.once('end', () => {
          if (response.statusCode !== 200) wrong(`status ${response.statusCode}`);
          else answered += 1;
          resolve();
        });
      });
    });
  const running = (async () => {
    for (; !stopped; await sleep(100)) await ask();
  })();
  return async () => {
    stopped = true;
    await running;
    return { answered, failed };
  };
}

async function nextVersion(by: number): Promise<string> {
  const [major, minor, patch] = String(await productionVersion(MODULE))
    .split('.')
    .map(Number);
  return `${major}.${minor}.${Number(patch) + by}`;
}
const versioned = (version: string) => (checkout: string) => {
  cpSync(join(REPOSITORY, 'lab', 'example', MODULE, 'mailer.py'), join(checkout, 'mailer.py'));
  writeFileSync(join(checkout, 'VERSION'), `${version}\n`);
};

/** Passes its tests, whose broker is at 127.0.0.1, and cannot start anywhere else; it says more than it should. */
const BROKEN = `
if os.environ.get("RABBITMQ_HOST") != "127.0.0.1":
    print("cannot reach amqp://mailer:" + os.environ.get("RABBITMQ_PASSWORD", "") + "@broker", flush=True)
    sys.exit(7)
`;
const broken = (version: string) => (checkout: string) => {
  versioned(version)(checkout);
  const file = join(checkout, 'mailer.py');
  const before = 'from mail import';
  writeFileSync(
    file,
    readFileSync(file, 'utf8').replace(before, () => `${BROKEN}\n${before}`),
  );
};

/** Opens a merge request and waits for its merge, and for what came of its deploy. */
async function merged(branch: string, change: (checkout: string) => void) {
  const iid = (await openMergeRequest(log, branch, branch, change, MODULE)) as number;
  const verdict = await finalStatus(String((await mergeRequest(iid, MODULE)).sha), MODULE);
  expect(verdict).toMatchObject({ state: 'success' });
  let now = await mergeRequest(iid, MODULE);
  for (const end = Date.now() + 120_000; now.state !== 'merged' && Date.now() < end; await sleep(500))
    now = await mergeRequest(iid, MODULE);
  expect(now.state).toBe('merged');
  const commit = String(now.merge_commit_sha ?? now.sha);
  return { iid, commit, deployed: await finalStatus(commit, MODULE) };
}

let stop: ReturnType<typeof load>;
beforeAll(async () => {
  // In CI the suites before this one have released more than one; alone, on a new lab, there is one to begin with.
  if ((await rows()).filter(({ state }) => state === 'current' || state === 'earlier').length < 2) {
    const version = await nextVersion(1);
    await travel(log, 'before-undo', `${MODULE} ${version}`, versioned(version), version, MODULE);
  }
  stop = load();
});
afterAll(async () => {
  await stop?.();
});

test('a release that never gets ready is undone, and its author told', async () => {
  const image = servedImage(MODULE);
  const { iid, commit, deployed } = await merged('never-ready', broken(await nextVersion(1)));
  expect(deployed).toMatchObject({
    state: 'failed',
    description: expect.stringMatching(/is undone in lab: it did not get ready by its deadline/),
  });
  expect(servedImage(MODULE)).toBe(image);
  const [row] = await rows();
  expect(row).toMatchObject({ commit, state: 'undone', why: expect.stringContaining('exit code 7') });

  const note = (await shownNotes(iid, MODULE)).find(({ body }) => body.includes('Switchyard: undone'))?.body;
  expect(note).toContain('@root: ');
  expect(note).toContain('cannot reach amqp://mailer:[hidden]@broker');
  expect(note).toContain('BackOff');
  const password = Buffer.from(
    kubectl(
      `--namespace=prod-${MODULE}`,
      'get',
      'secret',
      'rabbitmq-credentials',
      '-o',
      'jsonpath={.data.password}',
    ),
    'base64',
  ).toString();
  expect(password.length).toBeGreaterThan(8);
  expect(note).not.toContain(password);

  const { modules } = await json<{ modules: { name: string; state: string; undone?: { commit: string } }[] }>(
    'status',
    ENVIRONMENT,
  );
  expect(modules.find(({ name }) => name === MODULE)).toMatchObject({
    state: 'as released',
    undone: { how: 'undone', commit },
  });
});

test('a person goes back by a command, up finds it so, and the next merge goes forward; no request failed', async () => {
  const earlier = (await rows()).find(({ state }) => state === 'earlier');
  const version = await nextVersion(2);
  const [, said] = await Promise.all([
    run(['rollback', ENVIRONMENT, MODULE, '--to', 'abcdef0', '--yes'], 2),
    run(['rollback', ENVIRONMENT, MODULE, '--to', String(earlier?.commit), '--yes']),
  ]);
  expect(said.stdout).toContain('the next merge goes forward again');
  expect(servedImage(MODULE)).toBe(earlier?.image);
  // Built and tested, which takes longer, while `up` reads the ledger.
  const forward = merged('forward', versioned(version));
  expect((await run(['up', ENVIRONMENT, '--yes'])).stdout.trim().split('\n').at(-1)).toBe(
    'up of lab: no change',
  );
  const job = await fetch(`${JENKINS_URL}/job/switchyard/job/module_rollback/api/json`);
  expect(await job.json()).toMatchObject({
    property: [{ parameterDefinitions: ['MODULE', 'TO', 'HOLD'].map((name) => ({ name })) }],
  });

  const { commit, deployed } = await forward;
  expect(deployed).toMatchObject({ state: 'success' });
  expect(await productionVersion(MODULE)).toBe(version);
  expect((await rows()).find(({ state }) => state === 'current')?.commit).toBe(commit);
  const { answered, failed } = await stop();
  expect(failed).toEqual([]);
  expect(answered).toBeGreaterThan(300);
});
