import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { kubeconfigPath } from '../../../lab/cluster';
import { GITLAB_URL } from '../../../lab/gitlab';
import { finalStatus, mergeRequest, openMergeRequest, productionVersion, travel } from '../../../lab/journey';
import { sleep } from '../../../lab/machine/process';
import { cacheHome, openLog } from '../../../lab/steps';
import { ENVIRONMENT, labEnvironment, REPOSITORY, rootToken, switchyard, upLab } from '../../../lab/topology';
import { nightly, scaled } from '../../support/scale';
import { killedUp, shownNotes, wholeLab } from './running';

// The whole topology of a running lab (`npm run lab`): what people and hooks do to it, and what must then hold.
jest.setTimeout(900_000);

const log = openLog('e2e');
const exec = promisify(execFile);

/** Runs `switchyard …` and returns its last line; what it printed goes to the suite's log. @throws LabError */
async function run(...args: string[]): Promise<string> {
  const [command, all] = switchyard(args);
  const { stdout } = await log.exec(command, all, { cwd: REPOSITORY, env: labEnvironment() });
  return stdout.trim().split('\n').at(-1) ?? '';
}

async function kubectl(...args: string[]): Promise<string> {
  const { stdout } = await exec(join(cacheHome(), 'bin', 'kubectl'), args, {
    env: { ...process.env, KUBECONFIG: kubeconfigPath() },
    maxBuffer: 64 << 20,
  });
  return stdout;
}

const gitlab = async (path: string): Promise<{ status: number; body: unknown }> => {
  const response = await fetch(`${GITLAB_URL}/api/v4/${path}`, {
    headers: { 'PRIVATE-TOKEN': rootToken() },
  });
  return { status: response.status, body: await response.json() };
};

/** A version that production does not serve yet, by counting on from the one it does. */
async function nextVersion(): Promise<string> {
  const [major, minor, patch] = String(await productionVersion())
    .split('.')
    .map(Number);
  return `${major}.${minor}.${Number(patch) + 1}`;
}

/** Asks for the Pod that may change production, and for every credential: none of it may run. */
const HOSTILE_PIPELINE = `
withCredentials([string(credentialsId: 'gitlab-bot-token', variable: 'STOLEN')]) {
  node('deploy') {
    container('deploy') {
      echo('HOSTILE')
      sh('echo HOSTILE; env | sort; switchyard up lab --only orders --yes')
    }
  }
}
`;
const HOSTILE_TESTS = `*** Settings ***
Library    OperatingSystem
Library    Collections

*** Test Cases ***
Nothing Here Can Be Stolen
    \${variables}=    Get Environment Variables
    FOR    \${name}    \${value}    IN    &{variables}
        Should Not Match Regexp    \${name}    (?i)GITLAB_TOKEN|CERTIFICATE|SEED|PASSPHRASE
    END
    File Should Not Exist    /var/run/secrets/kubernetes.io/serviceaccount/token
    File Should Not Exist    /docker/config.json

Keep This Merge Request Open
    Fail    on purpose
`;

const setVersion = (version: string) => (checkout: string) =>
  writeFileSync(join(checkout, 'VERSION'), `${version}\n`);

/** A merge request whose verdict is red, as it stood when that was final. */
interface Judged {
  readonly iid: number;
  readonly state: string;
  readonly after: string;
  readonly notes: readonly { readonly id: number; readonly body: string }[];
  /** What its build said. */
  readonly text: string;
}

const peoplesNotes = (iid: number) => shownNotes(iid);

async function judged(branch: string, title: string, change: (checkout: string) => void): Promise<Judged> {
  const iid = (await openMergeRequest(log, branch, title, change)) as number;
  const verdict = await finalStatus(String((await mergeRequest(iid)).sha));
  return {
    iid,
    state: verdict.state,
    after: (await mergeRequest(iid)).state,
    notes: await peoplesNotes(iid),
    text: await (await fetch(`${verdict.build}consoleText`)).text(),
  };
}

let broken: Judged;

describe('the red path', () => {
  let before: string | undefined;
  let hostile: Judged;

  // Both at once: neither changes production, whatever the other does.
  beforeAll(async () => {
    before = await productionVersion();
    [broken, hostile] = await Promise.all([
      judged('broken', 'A change that breaks a promise', (checkout) => {
        setVersion('9.9.9')(checkout);
        const suite = join(checkout, 'tests', 'orders.robot');
        const heading = '*** Test Cases ***\n';
        writeFileSync(
          suite,
          readFileSync(suite, 'utf8').replace(
            heading,
            `${heading}Orders Are Free Of Charge\n    Should Be Equal    costs    nothing\n\n`,
          ),
        );
      }),
      judged('hostile', 'A change that wants to deploy itself', (checkout) => {
        setVersion('6.6.6')(checkout);
        writeFileSync(join(checkout, 'Jenkinsfile'), HOSTILE_PIPELINE);
        writeFileSync(join(checkout, 'tests', 'hostile.robot'), HOSTILE_TESTS);
      }),
    ]);
  });

  test('a failing test is named in the merge request, which stays open; production is untouched', async () => {
    expect(broken).toMatchObject({ state: 'failed', after: 'opened' });
    expect(broken.notes).toHaveLength(1);
    expect(broken.notes[0]?.body).toContain('Orders Are Free Of Charge');
    expect(broken.notes[0]?.body).toContain('costs != nothing');
    expect(await productionVersion()).toBe(before);
  });

  test("a merge request's own Jenkinsfile decides nothing, and its tests find no credential", async () => {
    // Built by the job's own pipeline, whose verdict names the one test that is red on purpose.
    expect(hostile).toMatchObject({ state: 'failed', after: 'opened' });
    expect(hostile.notes).toHaveLength(1);
    expect(hostile.notes[0]?.body).toContain('Keep This Merge Request Open');
    expect(hostile.notes[0]?.body).not.toContain('Nothing Here Can Be Stolen');
    expect(hostile.text).toContain('delivery source --module orders');
    expect(hostile.text).not.toMatch(/HOSTILE|ci-deploy/);
    expect(await productionVersion()).toBe(before);
  });
});

describe('the green path', () => {
  test('a commit that mends it travels to a production answer with the new version; the note is edited, not repeated', async () => {
    const version = await nextVersion();
    await travel(log, 'broken', 'A change that keeps its promises', setVersion(version), version);
    expect(await productionVersion()).toBe(version);
    const [note, ...others] = await peoplesNotes(broken.iid);
    expect(others).toEqual([]);
    expect(note?.id).toBe(broken.notes[0]?.id);
    expect(note?.body).not.toContain('Orders Are Free Of Charge');
  });

  test('up after a deploy changes nothing, and refresh finds what up made: the ledger says what runs', async () => {
    expect(await run('up', ENVIRONMENT, '--yes')).toBe('up of lab: no change');
    expect(await run('refresh', ENVIRONMENT, '--yes')).toBe('refresh of lab: no change');
  });
});

describe('destroy', () => {
  test('leaves nothing that the stack made', async () => {
    expect(await run('destroy', ENVIRONMENT, '--yes')).toMatch(/^destroy of lab: \d+ delete$/);
    const selector = 'app.kubernetes.io/part-of=switchyard';
    expect(await kubectl('get', 'namespaces', '-l', selector, '-o', 'name')).toBe('');
    expect(await kubectl('get', 'persistentvolumes', '-o', 'name')).toBe('');
    expect((await gitlab('groups/switchyard')).status).toBe(404);
    expect((await gitlab('projects?search=orders')).body).toEqual([]);
  });
});

describe('an up that is killed', () => {
  /** Waits until something of a kind is there. */
  async function seen(...what: string[]): Promise<void> {
    while ((await kubectl('get', ...what, '--ignore-not-found', '-o', 'name')) === '') await sleep(100);
  }

  test('at any point is repaired by the next one: nothing doubled, nothing orphaned', async () => {
    // Of an empty lab; each run goes on from what the one before left. kills.test.ts does it at random moments of a lab
    // that stands.
    const moments: Record<string, () => Promise<void>> = {
      'before the first resource': () => sleep(1500),
      'among the first ones': () => seen('namespaces', '-l', 'app.kubernetes.io/part-of=switchyard'),
      'in the wait for Jenkins': () => seen('statefulset', 'jenkins', '--namespace=ci'),
    };
    const which = scaled({ usual: ['among the first ones'], all: Object.keys(moments) });
    for (const [when, moment] of Object.entries(moments).filter(([name]) => which.includes(name))) {
      expect([when, await killedUp(labEnvironment(), moment)]).toEqual([when, true]);
      await run('cancel', ENVIRONMENT, '--yes');
    }
    await upLab(log);
    expect(await run('refresh', ENVIRONMENT, '--yes')).toBe('refresh of lab: no change');
    expect(await run('preview', ENVIRONMENT)).toBe('preview of lab: no change');
    const projects = (await gitlab('groups/switchyard/projects')).body as { id: number; path: string }[];
    expect(projects.map(({ path }) => path).sort()).toEqual(
      [...new Set(projects.map(({ path }) => path))].sort(),
    );
    const orders = projects.find(({ path }) => path === 'orders');
    expect((await gitlab(`projects/${orders?.id}/hooks`)).body).toHaveLength(1);
    const tokens = (await gitlab('groups/switchyard/access_tokens')).body as {
      name: string;
      active: boolean;
    }[];
    const active = tokens.filter((token) => token.active).map(({ name }) => name);
    expect(active).not.toEqual([]);
    expect(active).toEqual([...new Set(active)]);
  });

  test('and from there every module travels to production once more', async () => {
    await wholeLab();
    for (const module of ['orders', 'billing', 'mailer'] as const) {
      expect(await productionVersion(module)).toMatch(/^\d+\.\d+\.\d+$/);
    }
  });

  nightly('six merge requests at once: all are merged, none is red', async () => {
    /** Opens merge requests that change a file of their own. @returns milliseconds from the first one opened to the last merged */
    const merged = async (branches: readonly string[]): Promise<number> => {
      const iids = await Promise.all(
        branches.map(
          (branch) =>
            openMergeRequest(
              log,
              branch,
              branch,
              (checkout) => writeFileSync(join(checkout, `${branch}.txt`), `${branch}\n`),
              'mailer',
            ) as Promise<number>,
        ),
      );
      const states = () => Promise.all(iids.map((iid) => mergeRequest(iid, 'mailer')));
      const end = Date.now() + 420_000;
      let now = await states();
      for (; now.some(({ state }) => state !== 'merged') && Date.now() < end; now = await states())
        await sleep(500);
      expect(now.map(({ state }) => state)).toEqual(branches.map(() => 'merged'));
      const project = encodeURIComponent('switchyard/mailer');
      for (const { sha } of now) {
        const { body } = await gitlab(`projects/${project}/repository/commits/${sha}/statuses?all=true`);
        expect((body as { status: string }[]).filter(({ status }) => status === 'failed')).toEqual([]);
      }
      const times = (of: 'created_at' | 'merged_at') => now.map((one) => Date.parse(String(one[of])));
      return Math.max(...times('merged_at')) - Math.min(...times('created_at'));
    };
    const alone = await merged(['alone']);
    const six = await merged(['first', 'second', 'third', 'fourth', 'fifth', 'sixth']);
    log.line(`one alone was merged after ${alone} ms, six at once after ${six} ms`);
  });
});
