import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GITLAB_URL } from '../../../lab/gitlab';
import { deliver, finalStatus, mergeRequest, openMergeRequest } from '../../../lab/journey';
import { TOPOLOGY_PROJECT } from '../../../lab/repository';
import { openLog } from '../../../lab/steps';
import { ENVIRONMENT, REPOSITORY, rootToken } from '../../../lab/topology';
import { loadStack } from '../../../stacks/load';
import { look } from './look';
import { kubectl, shownNotes, until } from './running';
import { ended, gitlab, notes, open, PREVIEW, withReplicas } from './topology-requests';

// A running lab, in which test Pods do not start: that is told within minutes, and the note has what the Pod said. Red is what
// the merge request itself did; what the infrastructure did is tried again.
jest.setTimeout(900_000);

const log = openLog('e2e-pod-start');
const MODULE = 'mailer';
const NAMESPACE = `test-${MODULE}`;
const opened: number[] = [];
const { startMinutes } = loadStack(join(REPOSITORY, 'stacks'), ENVIRONMENT).testing;

const pullLogin = (namespace = NAMESPACE): string =>
  kubectl(
    `--namespace=${namespace}`,
    'get',
    'secret',
    'registry-pull',
    '-o',
    String.raw`jsonpath={.data.\.dockerconfigjson}`,
  );
const setPullLogin = (value: string, namespace = NAMESPACE): void => {
  const patch = JSON.stringify({ data: { '.dockerconfigjson': value } });
  kubectl(`--namespace=${namespace}`, 'patch', 'secret', 'registry-pull', '--patch', patch);
};

const OPENS_NOTHING = Buffer.from('{"auths":{}}').toString('base64');

const IMAGE_OF = 'jsonpath={.items[0].spec.template.spec.containers[0].image}';
const PHASE = 'jsonpath={.status.phase}';
const EVENTS_OF = (pod: string): string[] => [
  '--field-selector',
  `type=Warning,involvedObject.kind=Pod,involvedObject.name=${pod}`,
];

function create(object: object): void {
  const folder = mkdtempSync(join(tmpdir(), 'pod-start-'));
  try {
    const file = join(folder, 'object.json');
    writeFileSync(file, JSON.stringify(object));
    kubectl('create', '-f', file);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

let login: string;
beforeAll(() => {
  login = pullLogin();
});
afterEach(() => setPullLogin(login));
afterAll(async () => {
  for (const iid of opened) await close(iid);
});

async function close(iid: number): Promise<void> {
  const project = encodeURIComponent(`switchyard/${MODULE}`);
  await fetch(`${GITLAB_URL}/api/v4/projects/${project}/merge_requests/${iid}`, {
    method: 'PUT',
    headers: { 'private-token': rootToken(), 'content-type': 'application/json' },
    body: JSON.stringify({ state_event: 'close' }),
  });
}

/** Opens a merge request and waits for what is told of it. @returns it, the note, and the seconds that it took */
async function told(branch: string, change: (checkout: string) => void) {
  const begun = Date.now();
  const iid = (await openMergeRequest(log, branch, branch, change, MODULE)) as number;
  opened.push(iid);
  const status = await finalStatus(String((await mergeRequest(iid, MODULE)).sha), MODULE);
  const note =
    (await shownNotes(iid, MODULE)).find(({ body }) => body.includes('Merge certificate'))?.body ?? '';
  return { iid, status, note, seconds: (Date.now() - begun) / 1000 };
}

test('a module that crashes at its start is red at once, with its last words', async () => {
  const { status, note, seconds } = await told('crashes', (checkout) => {
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

test('an image that cannot be pulled is told in minutes, with the events of its Pod, and tried again; the Pod is not waited for', async () => {
  // The module's own image is on no node yet, and this login opens nothing.
  setPullLogin(OPENS_NOTHING);
  const { iid, status, note, seconds } = await told('not-pulled', (checkout) => {
    writeFileSync(join(checkout, 'VERSION'), `0.0.${Date.now()}\n`);
  });
  // Else it is tried again at once.
  await close(iid);
  expect(status).toMatchObject({
    state: 'canceled',
    description: expect.stringMatching(
      /^broke off: the test Pod did not start: container app waits \((ImagePullBackOff|ErrImagePull)\)/,
    ),
  });
  expect(note).toContain('Failed to pull image');
  expect(note).toContain('**Switchyard: not tested yet**');
  expect(seconds).toBeGreaterThan(startMinutes * 60);
  expect(seconds).toBeLessThan((startMinutes + 4) * 60);
  const ofRuns = ['--selector=switchyard.dev/run', '--output=name'];
  const left = () => kubectl(`--namespace=${NAMESPACE}`, 'get', 'pods', ...ofRuns).trim();
  // It is given its time to end.
  await until('the end of its Pod', 120, async () => left() === '' || undefined);
});

test('why an agent does not start is read in the events of its namespace, by the account of the commands that tell it', async () => {
  const about = { namespace: 'ci-deploy', name: 'pod-start-agent' };
  const image = kubectl('-n', 'ci-reconciler', 'get', 'deployments', '-o', IMAGE_OF).trim();
  const restricted = {
    allowPrivilegeEscalation: false,
    capabilities: { drop: ['ALL'] },
    runAsNonRoot: true,
    runAsUser: 1000,
    seccompProfile: { type: 'RuntimeDefault' },
  };
  const disk = { 'ephemeral-storage': '16Mi' };
  const pod = (metadata: object, spec: object, container: object): void =>
    create({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata,
      spec: {
        restartPolicy: 'Never',
        imagePullSecrets: [{ name: 'registry-pull' }],
        ...spec,
        containers: [
          {
            name: 'only',
            image,
            securityContext: restricted,
            resources: {
              requests: { ...disk, cpu: '10m', memory: '64Mi' },
              limits: { ...disk, memory: '256Mi' },
            },
            ...container,
          },
        ],
      },
    });
  // As an agent whose Secret is not there.
  pod(about, { automountServiceAccountToken: false }, { envFrom: [{ secretRef: { name: 'absent' } }] });
  const teller = { namespace: 'ci-agents', name: 'pod-start-teller' };
  try {
    await until(
      'the event',
      60,
      async () =>
        kubectl('-n', about.namespace, 'get', 'events', '-o', 'name', ...EVENTS_OF(about.name)).trim() ||
        undefined,
    );
    const args = ['delivery', 'agent-events', '--namespace', about.namespace, '--minutes', '15'];
    pod(
      teller,
      { serviceAccountName: 'delivery', automountServiceAccountToken: true },
      {
        command: args,
        workingDir: '/tmp',
        env: [{ name: 'NODE_EXTRA_CA_CERTS', value: '/var/run/secrets/kubernetes.io/serviceaccount/ca.crt' }],
      },
    );
    const phase = await until(
      'its end',
      60,
      async () =>
        /Succeeded|Failed/.exec(kubectl('-n', teller.namespace, 'get', 'pod', teller.name, '-o', PHASE))?.[0],
    );
    const said = kubectl('-n', teller.namespace, 'logs', teller.name);
    expect({ phase, said }).toEqual({
      phase: 'Succeeded',
      said: expect.stringMatching(/^pod-start-agent: Failed: .*secret "absent" not found/m),
    });
    expect(said).toContain('no agent started within 15 minutes (');
  } finally {
    for (const { namespace, name } of [about, teller])
      kubectl('-n', namespace, 'delete', 'pod', name, '--ignore-not-found', '--now');
  }
});

/** Files of the group's projects, by GitLab's own way (https://docs.gitlab.com/api/repository_files/). */
const fileUrl = (project: string, path: string): string =>
  `${GITLAB_URL}/api/v4/projects/${encodeURIComponent(`switchyard/${project}`)}/repository/files/${encodeURIComponent(path)}`;
async function fileOf(project: string, path: string): Promise<string> {
  const answer = await fetch(`${fileUrl(project, path)}/raw?ref=main`, {
    headers: { 'private-token': rootToken() },
  });
  if (!answer.ok) throw new Error(`GitLab answers ${answer.status} to ${path}`);
  return answer.text();
}
async function putFile(project: string, path: string, content: string): Promise<void> {
  const answer = await fetch(fileUrl(project, path), {
    method: 'PUT',
    headers: { 'private-token': rootToken(), 'content-type': 'application/json' },
    body: JSON.stringify({ branch: 'main', content, commit_message: `Change ${path}` }),
  });
  if (!answer.ok) throw new Error(`GitLab answers ${answer.status} to a change of ${path}`);
}

describe('agents that do not start, given up after a minute', () => {
  const LIBRARY = ['pipeline-library', 'vars/onAgent.groovy'] as const;
  const ledger = (): Promise<string> => fileOf('release-ledger', `${ENVIRONMENT}.yaml`);
  const version = (checkout: string): void => writeFileSync(join(checkout, 'VERSION'), `0.0.${Date.now()}\n`);
  let patient: string;
  const logins = new Map<string, string>();
  const shut = (namespace: string): void => {
    logins.set(namespace, pullLogin(namespace));
    setPullLogin(OPENS_NOTHING, namespace);
  };
  const reopen = (): void => {
    for (const [namespace, before] of logins) setPullLogin(before, namespace);
    logins.clear();
  };

  beforeAll(async () => {
    patient = await fileOf(...LIBRARY);
    await putFile(...LIBRARY, patient.replace('waited < 900', 'waited < 60'));
  });
  afterEach(reopen);
  afterAll(() => putFile(...LIBRARY, patient));

  test('of a preview: its status is red, and its note has the events of its Pod', async () => {
    shut('ci-preview');
    const { iid, head } = await open('no-preview', withReplicas(MODULE, 3));
    const status = await ended(head);
    const environment = await ended(head, `${PREVIEW}/${ENVIRONMENT}`);
    await gitlab().MergeRequests.edit(TOPOLOGY_PROJECT, iid, { stateEvent: 'close' });
    expect(status).toMatchObject({ status: 'failed' });
    expect(environment).toMatchObject({
      status: 'failed',
      description: expect.stringContaining('no agent started within 15 minutes'),
    });
    expect((await notes(iid)).map(({ body }) => body).join('\n')).toContain('pull image');
  });

  test('of a look for drift: its build is red and names why, an issue says that nobody looked, and the next look closes it', async () => {
    const unseen = async () =>
      (
        await gitlab().Issues.all({ projectId: TOPOLOGY_PROJECT, labels: 'switchyard-drift', perPage: 100 })
      ).find(({ title }) => title === `Drift of ${ENVIRONMENT} cannot be looked for`);
    shut('ci-drift');
    // What others change meanwhile is waited for: by night another suite does.
    const { result, log: said } = await look(420);
    expect(said).toContain("no agent for 'drift' started within 15 minutes");
    expect(result).toBe('FAILURE');
    const issue = await unseen();
    expect(issue?.state).toBe('opened');
    expect(issue?.description).toContain('pull image');
    reopen();
    expect((await look(420)).log).not.toContain('no agent for');
    await until('the end of the issue', 30, async () =>
      (await unseen())?.state === 'closed' ? true : undefined,
    );
  });

  test('of a rollout: the ledger stays as it was, no lock is held, and the next release goes out', async () => {
    shut('ci-deploy');
    const before = await ledger();
    const iid = (await openMergeRequest(log, 'no-rollout', 'no-rollout', version, MODULE)) as number;
    const merged = await until('its merge', 300, async () => {
      const now = await mergeRequest(iid, MODULE);
      return now.state === 'merged' ? String(now.merge_commit_sha ?? now.sha) : undefined;
    });
    expect(await finalStatus(merged, MODULE)).toMatchObject({
      state: 'failed',
      description: expect.stringMatching(/^not deployed to lab: no agent started within 15 minutes/),
    });
    const note = (await shownNotes(iid, MODULE)).find(({ body }) => body.includes('Merge certificate'));
    expect(note?.body).toContain('pull image');
    expect(await ledger()).toBe(before);
    reopen();
    await deliver(log, `switchyard/${MODULE}`, 'rollout', 'The next release', version);
    expect(await ledger()).not.toBe(before);
  });
});

describe('first agents that do not start, told after a minute', () => {
  const version = (checkout: string): void => writeFileSync(join(checkout, 'VERSION'), `0.0.${Date.now()}\n`);
  const reconciler = (...args: string[]): string => kubectl('--namespace=ci-reconciler', ...args);
  const setPatience = (change: string): void => {
    reconciler('set', 'env', 'deployment/reconciler', `SWITCHYARD_AGENT_MINUTES${change}`);
    reconciler('rollout', 'status', 'deployment/reconciler', '--timeout=180s');
  };
  const before = new Map<string, string>();
  const reopen = (): void => {
    for (const [namespace, value] of before) setPullLogin(value, namespace);
    before.clear();
  };

  beforeAll(() => setPatience('=1'));
  afterEach(reopen);
  afterAll(() => setPatience('-'));

  test('of a merge request: its status is red, its note has the events of their Pods, and it goes on when one starts, as does the next', async () => {
    before.set('ci-agents', pullLogin('ci-agents'));
    setPullLogin(OPENS_NOTHING, 'ci-agents');
    const iid = (await openMergeRequest(log, 'no-agent', 'no-agent', version, MODULE)) as number;
    opened.push(iid);
    const status = await finalStatus(String((await mergeRequest(iid, MODULE)).sha), MODULE);
    expect(status).toMatchObject({
      state: 'failed',
      description: expect.stringMatching(
        /^not begun: no agent started within 1 minutes .*it goes on when one/,
      ),
    });
    const notes = (await shownNotes(iid, MODULE)).filter(({ body }) => body.includes('not begun'));
    expect(notes.map(({ body }) => body)).toEqual([expect.stringContaining('pull image')]);
    reopen();
    // Its Pod is pulled again within five minutes.
    await until(
      'its merge',
      700,
      async () => (await mergeRequest(iid, MODULE)).state === 'merged' || undefined,
    );
    await deliver(log, `switchyard/${MODULE}`, 'next-agent', 'The next change', version);
  }, 1_800_000);
});
