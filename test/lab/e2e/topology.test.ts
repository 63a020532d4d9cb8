import { execFile, spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { kubeconfigPath } from '../../../lab/cluster';
import { GITLAB_URL } from '../../../lab/gitlab';
import {
  finalStatus,
  mergeRequest,
  notesOf,
  openMergeRequest,
  productionVersion,
  travel,
} from '../../../lab/journey';
import { cacheHome, openLog } from '../../../lab/steps';
import {
  ENVIRONMENT,
  JENKINS_URL,
  labEnvironment,
  REPOSITORY,
  rootToken,
  switchyard,
  upLab,
} from '../../../lab/topology';
import { wholeLab } from './running';

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

describe('the green path', () => {
  test('a push travels to a production answer with the new version', async () => {
    const version = await nextVersion();
    await travel(log, `release-${version}`, `Release ${version}`, setVersion(version), version);
    expect(await productionVersion()).toBe(version);
  });

  test('up after a deploy changes nothing, and refresh finds what up made: the ledger says what runs', async () => {
    expect(await run('up', ENVIRONMENT, '--yes')).toBe('up of lab: no change');
    expect(await run('refresh', ENVIRONMENT, '--yes')).toBe('refresh of lab: no change');
  });
});

describe('the red path', () => {
  test('a failing test is named in the merge request, which stays open; production is untouched', async () => {
    const before = await productionVersion();
    const branch = 'broken';
    const iid = await openMergeRequest(log, branch, 'A change that breaks a promise', (checkout) => {
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
    });
    const opened = await mergeRequest(iid as number);
    const verdict = await finalStatus(String(opened.sha), 300);
    expect(verdict.state).toBe('failed');
    const after = await mergeRequest(iid as number);
    expect(after.state).toBe('opened');
    const notes = (await notesOf(iid as number)).filter((note) => !note.system);
    expect(notes).toHaveLength(1);
    expect(notes[0]?.body).toContain('Orders Are Free Of Charge');
    expect(notes[0]?.body).toContain('costs != nothing');
    expect(await productionVersion()).toBe(before);
  });

  test("a merge request's own Jenkinsfile decides nothing, and its tests find no credential", async () => {
    const before = await productionVersion();
    const iid = await openMergeRequest(log, 'hostile', 'A change that wants to deploy itself', (checkout) => {
      setVersion('6.6.6')(checkout);
      writeFileSync(join(checkout, 'Jenkinsfile'), HOSTILE_PIPELINE);
      writeFileSync(join(checkout, 'tests', 'hostile.robot'), HOSTILE_TESTS);
    });
    const opened = await mergeRequest(iid as number);
    // Built by the job's own pipeline, whose verdict names the one test that is red on purpose.
    expect((await finalStatus(String(opened.sha), 300)).state).toBe('failed');
    const notes = (await notesOf(iid as number)).filter((note) => !note.system);
    expect(notes).toHaveLength(1);
    expect(notes[0]?.body).toContain('Keep This Merge Request Open');
    expect(notes[0]?.body).not.toContain('Nothing Here Can Be Stolen');
    const text = await (await fetch(`${JENKINS_URL}/job/switchyard/job/orders/lastBuild/consoleText`)).text();
    expect(text).toContain('delivery source --module orders');
    expect(text).not.toMatch(/HOSTILE|ci-deploy/);
    expect((await mergeRequest(iid as number)).state).toBe('opened');
    expect(await productionVersion()).toBe(before);
  });

  test('a commit that mends it is merged, and the note is edited, not repeated', async () => {
    const version = await nextVersion();
    await travel(log, 'broken', 'A change that keeps its promises', setVersion(version), version);
    expect(await productionVersion()).toBe(version);
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
  /** Starts `up` and ends it and all its children with kill -9 after some seconds. */
  async function killedUp(seconds: number): Promise<void> {
    const [command, args] = switchyard(['up', ENVIRONMENT, '--yes']);
    const child = spawn(command, args, {
      cwd: REPOSITORY,
      env: { ...process.env, ...labEnvironment() },
      stdio: 'ignore',
      detached: true,
    });
    const over = new Promise((resolve) => child.once('exit', resolve));
    const timer = setTimeout(() => process.kill(-(child.pid as number), 'SIGKILL'), seconds * 1000);
    await over;
    clearTimeout(timer);
  }

  test('at any point is repaired by the next one: nothing doubled, nothing orphaned', async () => {
    // Of an empty lab: before the first resource, among the first ones, and in the wait for Jenkins. Each run goes on from
    // what the one before left. kills.test.ts does it at twenty random moments of a lab that stands.
    for (const seconds of [2, 3.5, 8]) {
      await killedUp(seconds);
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
});
