import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { GITLAB_URL } from '../../../lab/gitlab';
import { finalStatus, mergeRequest, openMergeRequest } from '../../../lab/journey';
import { openLog } from '../../../lab/steps';
import { ENVIRONMENT, REPOSITORY, rootToken } from '../../../lab/topology';
import { loadStack } from '../../../stacks/load';
import { kubectl, shownNotes, until } from './running';

// A running lab, in which test Pods do not start: the merge request ends red within minutes, and its note has what the Pod said.
jest.setTimeout(900_000);

const log = openLog('e2e-pod-start');
const MODULE = 'mailer';
const NAMESPACE = `test-${MODULE}`;
const opened: number[] = [];
const { startMinutes } = loadStack(join(REPOSITORY, 'stacks'), ENVIRONMENT).testing;

const pullLogin = (): string =>
  kubectl(
    `--namespace=${NAMESPACE}`,
    'get',
    'secret',
    'registry-pull',
    '-o',
    String.raw`jsonpath={.data.\.dockerconfigjson}`,
  );
const setPullLogin = (value: string): void => {
  const patch = JSON.stringify({ data: { '.dockerconfigjson': value } });
  kubectl(`--namespace=${NAMESPACE}`, 'patch', 'secret', 'registry-pull', '--patch', patch);
};

let login: string;
beforeAll(() => {
  login = pullLogin();
});
afterAll(async () => {
  setPullLogin(login);
  for (const iid of opened) {
    const project = encodeURIComponent(`switchyard/${MODULE}`);
    await fetch(`${GITLAB_URL}/api/v4/projects/${project}/merge_requests/${iid}`, {
      method: 'PUT',
      headers: { 'private-token': rootToken(), 'content-type': 'application/json' },
      body: JSON.stringify({ state_event: 'close' }),
    });
  }
});

/** Opens a merge request and waits for its verdict. @returns it, the note, and the seconds that it took */
async function red(branch: string, change: (checkout: string) => void) {
  const begun = Date.now();
  const iid = (await openMergeRequest(log, branch, branch, change, MODULE)) as number;
  opened.push(iid);
  const status = await finalStatus(String((await mergeRequest(iid, MODULE)).sha), MODULE);
  const note =
    (await shownNotes(iid, MODULE)).find(({ body }) => body.includes('Merge certificate'))?.body ?? '';
  return { status, note, seconds: (Date.now() - begun) / 1000 };
}

test('a module that crashes at its start is red at once, with its last words', async () => {
  const { status, note, seconds } = await red('crashes', (checkout) => {
    writeFileSync(
      join(checkout, 'mailer.py'),
      'import sys\nprint("no configuration @root", flush=True)\nsys.exit(3)\n',
    );
  });
  expect(status).toMatchObject({
    state: 'failed',
    description: 'the test Pod did not start: container app ended (Error, exit code 3)',
  });
  expect(note).toContain('no configuration @root');
  expect(note).toContain('Its events:');
  expect(note).toContain('Started');
  expect(seconds).toBeLessThan(300);
});

test('an image that cannot be pulled is red in minutes, with the events of its Pod; the Pod is not waited for', async () => {
  // The module's own image is on no node yet, and this login opens nothing.
  setPullLogin(Buffer.from('{"auths":{}}').toString('base64'));
  const { status, note, seconds } = await red('not-pulled', (checkout) => {
    writeFileSync(join(checkout, 'VERSION'), `0.0.${Date.now()}\n`);
  });
  expect(status).toMatchObject({
    state: 'failed',
    description: expect.stringMatching(
      /^the test Pod did not start: container app waits \((ImagePullBackOff|ErrImagePull)\)/,
    ),
  });
  expect(note).toContain('Failed to pull image');
  expect(seconds).toBeGreaterThan(startMinutes * 60);
  expect(seconds).toBeLessThan((startMinutes + 4) * 60);
  const ofRuns = ['--selector=switchyard.dev/run', '--output=name'];
  const left = () => kubectl(`--namespace=${NAMESPACE}`, 'get', 'pods', ...ofRuns).trim();
  // It is given its time to end.
  await until('the end of its Pod', 120, async () => left() === '' || undefined);
});
