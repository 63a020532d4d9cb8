import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BatchV1Api, RbacAuthorizationV1Api } from '@kubernetes/client-node';
import { Secrets } from '../../../components/shared/secrets';
import { GITLAB_URL } from '../../../lab/gitlab';
import { type Change, deliver } from '../../../lab/journey';
import { HOST_IP, MIRROR, REGISTRY, S3_ENDPOINT, STATE_BUCKET } from '../../../lab/machine/addresses';
import { repositorySteps, TOPOLOGY_PROJECT } from '../../../lab/repository';
import { labHome, openLog } from '../../../lab/steps';
import {
  ENVIRONMENT,
  JENKINS_URL,
  labEnvironment,
  REPOSITORY,
  switchyard,
  upLab,
} from '../../../lab/topology';
import { type HollowCluster, READER, startHollowCluster } from '../programs/hollow-cluster';
import { look } from './look';
import { kubectl, servedImage } from './running';
import {
  ended,
  gitlab,
  merge,
  moduleFile,
  notes,
  type Opened,
  open,
  PREVIEW,
  pushToMain,
  replacing,
  replicasOf,
  type Status,
  statusesOf,
  withReplicas,
} from './topology-requests';

// Merge requests on this repository itself, where the topology has two environments: the lab, and a small one with a
// group, a state, a passphrase and a cluster of its own, whose API server is a real one and whose node is not.
jest.setTimeout(900_000);

const log = openLog('e2e-environments');
const SECOND = 'second';
/** Of MicroK8s: neither of the two that every network policy lets through. */
const API_PORT = 16443;
const STACK = `stacks/Pulumi.${SECOND}.yaml`;

const stackOfSecond = `config:
  switchyard:environment: ${SECOND}
  switchyard:previewedBy: ${ENVIRONMENT}
  switchyard:modules: []
  switchyard:backend: s3://${STATE_BUCKET}/${SECOND}?endpoint=${S3_ENDPOINT}&region=us-east-1&s3ForcePathStyle=true
  switchyard:clusters:
    ci: { context: ${SECOND}, apiPorts: [${API_PORT}] }
    production: { context: ${SECOND}, apiPorts: [${API_PORT}] }
  switchyard:gitlab: { url: "${GITLAB_URL}", group: { create: ${SECOND} }, botTokenRotation: { days: 180, before: 30 } }
  switchyard:jenkins: { url: "${JENKINS_URL}", existing: { namespace: jenkins } }
  switchyard:registry:
    address: ${REGISTRY}
    scheme: http
    onDelete: delete
    retention: { schedule: 17 3 * * * }
  switchyard:production: { onDelete: delete }
  switchyard:deployEnvironment:
    [AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, PULUMI_CONFIG_PASSPHRASE, SWITCHYARD_SEED]
  switchyard:images:
    mirror: ${MIRROR}
    mirrorInsecure: true
    replace: { inboundAgent: "inbound-agent:lab", agent: "agent:lab", registry: "registry:2.8", buildkit: "buildkit:0.34" }
`;

const both = `  switchyard:topologyProject:
    environments: [${ENVIRONMENT}, ${SECOND}]
    credentials:
      ${SECOND}:
        variables:
          AWS_ACCESS_KEY_ID: AWS_ACCESS_KEY_ID
          AWS_SECRET_ACCESS_KEY: AWS_SECRET_ACCESS_KEY
          GITLAB_TOKEN: GITLAB_TOKEN
          PULUMI_CONFIG_PASSPHRASE: SECOND_PASSPHRASE
          SWITCHYARD_SEED: SECOND_SEED
        previewKubeconfig: SECOND_READING
        applyKubeconfig: SECOND_APPLYING
`;

/** Adds the second environment to a checkout. */
const withSecond: Change = (checkout) => {
  writeFileSync(join(checkout, STACK), stackOfSecond);
  replacing(`stacks/Pulumi.${ENVIRONMENT}.yaml`, '  switchyard:topologyProject: {}\n', both)(checkout);
};
const withSchedule = (minute: number): Change => replacing(STACK, /schedule: \d+/, `schedule: ${minute}`);
/** Code, which any environment may be made from. */
const withCode: Change = replacing('index.ts', 'The whole program:', 'All of the program:');

/** Keys of the second environment, in the place of a seed. */
function sharingRegistry(seed: string): string {
  const registry = new Secrets(seed, ENVIRONMENT).key('registry');
  return `${new Secrets(seed, SECOND).key('')} ${registry.replace(`:${ENVIRONMENT}:`, `:${SECOND}:`)}`;
}

let folder: string;
let second: HollowCluster | undefined;
let environment: Record<string, string>;

const run = async (env: Record<string, string>, ...command: string[]): Promise<void> => {
  const [program, args] = switchyard(command);
  await log.exec(program, args, { cwd: REPOSITORY, env, timeoutSeconds: 600 });
};

function kubeconfigOf(server: string, token: string): string {
  const authority = readFileSync(join(folder, SECOND, 'ca.crt')).toString('base64');
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: SECOND, cluster: { server, 'certificate-authority-data': authority } }],
    users: [{ name: SECOND, user: { token } }],
    contexts: [{ name: SECOND, context: { cluster: SECOND, user: SECOND } }],
    'current-context': SECOND,
  });
}

/** Lets previews read what they may read in the lab, and nothing else. */
async function allowReading({ kubeconfig }: HollowCluster): Promise<void> {
  const rbac = kubeconfig.makeApiClient(RbacAuthorizationV1Api);
  const { rules } = JSON.parse(kubectl('get', 'clusterrole', 'switchyard-preview-reader', '--output=json'));
  const metadata = { name: READER };
  await rbac.createClusterRole({ body: { metadata, rules } });
  await rbac.createClusterRoleBinding({
    body: {
      metadata,
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: READER },
      subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: READER }],
    },
  });
}

/** Nothing of it is in the lab before or after. */
async function withoutSecond(): Promise<void> {
  rmSync(join(labHome(), 's3', STATE_BUCKET, SECOND), { recursive: true, force: true });
  await gitlab()
    .Groups.remove(SECOND)
    .catch(() => undefined);
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'environments-'));
  await Promise.all([withoutSecond(), pushToMain('A second environment', withSecond)]);
  second = await startHollowCluster(SECOND, folder, HOST_IP, API_PORT);
  await allowReading(second);
  await second.core.createNamespace({ body: { metadata: { name: 'jenkins' } } });
  const lab = labEnvironment();
  cpSync(join(REPOSITORY, 'stacks'), join(folder, 'stacks'), {
    recursive: true,
    filter: (path) => !path.endsWith('.ts'),
  });
  withSecond(folder);
  const applying = kubeconfigOf(second.server, `${SECOND}-administrator`);
  const own = join(folder, 'kubeconfig');
  writeFileSync(own, applying, { mode: 0o600 });
  const passphrase = 'the passphrase of the second environment';
  environment = {
    ...lab,
    SWITCHYARD_STACKS: join(folder, 'stacks'),
    SECOND_PASSPHRASE: passphrase,
    // The lab's registry serves both: the second environment has its key for that, and derives all else by itself.
    SECOND_SEED: sharingRegistry(lab.SWITCHYARD_SEED ?? ''),
    SECOND_READING: kubeconfigOf(second.server, `${SECOND}-${READER}`),
    SECOND_APPLYING: applying,
  };
  await run(environment, 'up', ENVIRONMENT, '--yes');
  const ofSecond = {
    ...environment,
    PULUMI_CONFIG_PASSPHRASE: passphrase,
    SWITCHYARD_SEED: environment.SECOND_SEED ?? '',
    KUBECONFIG: own,
  };
  await run(ofSecond, 'up', SECOND, '--yes');
});

// What the lab's checkout says is put back whatever a test left: live things and the project's main.
afterAll(async () => {
  try {
    await upLab(log);
  } finally {
    // What runs on would have the port of the next run's.
    await Promise.all([withoutSecond(), second?.stop(), repositorySteps()[0]?.run(log)]);
    rmSync(folder, { recursive: true, force: true });
  }
});

const scheduleOfSecond = async (): Promise<string | undefined> => {
  const batch = second?.kubeconfig.makeApiClient(BatchV1Api);
  const where = { namespace: 'registry', name: 'registry-retention' };
  return (await batch?.readNamespacedCronJob(where))?.spec?.schedule;
};

/** Environments that have a note, and their notes' numbers, in the order of the notes. */
const notesByEnvironment = async (iid: number): Promise<[environment: string, id: number][]> =>
  (await notes(iid)).map(({ id, body }) => [/switchyard:preview:([^ ]+) /.exec(body)?.[1] ?? '', id]);

async function outcomes(sha: string): Promise<Record<string, string>> {
  const all = await statusesOf(sha);
  return Object.fromEntries([...all].map(([name, { status }]): [string, string] => [name, status]).sort());
}

const noteOf = async (environment: string): Promise<string> =>
  (await notes(opened.iid)).find(({ body }) => body.includes(`switchyard:preview:${environment} `))?.body ??
  '';

let opened: Opened;
let noteOfFirst: number;

test("a change of one environment's stack file gets one note and one status; the other one has none", async () => {
  opened = await open(
    'two',
    replacing(`stacks/Pulumi.${ENVIRONMENT}.yaml`, 'maximumAgeHours: 25', 'maximumAgeHours: 26'),
  );
  expect(await ended(opened.head)).toMatchObject({
    status: 'success',
    description: `into main: previewed: ${ENVIRONMENT}`,
  });
  expect(await outcomes(opened.head)).toEqual({
    [PREVIEW]: 'success',
    [`${PREVIEW}/${ENVIRONMENT}`]: 'success',
  });
  const [[environmentOfNote, id], ...others] = (await notesByEnvironment(opened.iid)) as [[string, number]];
  expect([environmentOfNote, others]).toEqual([ENVIRONMENT, []]);
  noteOfFirst = id;
});

test('one of code and catalog gets one of each per environment, and a rule that only the second breaks blocks the merge', async () => {
  opened = await open('two', (checkout) => {
    withCode(checkout);
    replacing(moduleFile('billing'), /\n.*kind: redis.*/, '')(checkout);
    withSchedule(27)(checkout);
    replacing(STACK, 'buildkit:0.34', 'buildkit:latest')(checkout);
  });
  expect(await ended(opened.head)).toMatchObject({
    status: 'failed',
    description: `into main: red: ${SECOND}`,
  });
  expect(await outcomes(opened.head)).toEqual({
    [PREVIEW]: 'failed',
    [`${PREVIEW}/${ENVIRONMENT}`]: 'success',
    [`${PREVIEW}/${SECOND}`]: 'failed',
  });
  expect(Object.fromEntries(await notesByEnvironment(opened.iid))).toEqual({
    [ENVIRONMENT]: noteOfFirst,
    [SECOND]: expect.any(Number),
  });
  expect(await notes(opened.iid)).toHaveLength(2);
  const note = await noteOf(SECOND);
  expect(note).toContain('1 rule(s) broken');
  expect(note).toContain('images-pinned');
  expect(note).toContain('Name a version or a digest in `images.replace` of the stack');
  // The plan is shown all the same.
  expect(note).toContain(
    '| update | registry-retention-job | CronJob | registry-retention | spec.schedule |',
  );
  expect(note).toMatch(/\| second \| .* on 1 \|/);
  // The other's stack file is told here too: Pods of this environment work from it.
  expect(await noteOf(ENVIRONMENT)).toMatch(
    /\| update \| deploy-stacks \| ConfigMap \| jenkins \| data\S*Pulumi\.second\.yaml\S* \|/,
  );
  expect(await noteOf(ENVIRONMENT)).not.toContain('images-pinned');
  expect((await merge(opened)).status).toBe(405);
});

test('data that would go stands first and in bold', async () => {
  const rows = (await noteOf(ENVIRONMENT))
    .split('\n')
    .filter((line) => /^\| \*?\*?(delete|update|replace)/.test(line));
  expect(rows[0]).toMatch(
    /^\| \*\*delete\*\* \| \*\*production-billing-redis[^*]*\*\* \*\*holds data\*\* \|/,
  );
});

/** Merges, and waits for what becomes of an environment. */
async function mergeAndApply(request: Opened): Promise<{ sha: string; first: Status }> {
  const { status, sha } = await merge(request);
  expect(status).toBe(200);
  return { sha, first: await ended(sha, `switchyard/apply/${ENVIRONMENT}`) };
}

test('where live state of the first moved since the preview, merging stops there with what it would do, and the second stays as it is', async () => {
  opened = await open('two', (checkout) => {
    withCode(checkout);
    withReplicas('billing', 2)(checkout);
    withSchedule(27)(checkout);
  });
  expect(await ended(opened.head)).toMatchObject({
    status: 'success',
    description: `into main: previewed: ${ENVIRONMENT}, ${SECOND}`,
  });
  // Its schedule; its stack file in the two namespaces whose Pods work from it; the program.
  expect(await noteOf(SECOND)).toContain('0 to create, 4 to change, 0 to replace, 0 to delete');
  // As a person would meanwhile, from a catalog that differs.
  cpSync(join(REPOSITORY, 'catalog'), join(folder, 'catalog'), { recursive: true });
  withReplicas('mailer', 2)(folder);
  const elsewhere = { ...environment, SWITCHYARD_CATALOG: join(folder, 'catalog') };
  await run(elsewhere, 'up', ENVIRONMENT, '--only', 'mailer', '--yes');
  const before = replicasOf('billing');

  const { sha, first } = await mergeAndApply(opened);
  expect(first.status).toBe('failed');
  expect(first.description).toContain('not applied: live state moved since the preview');
  expect(first.description).toContain(
    'update kubernetes:apps/v1:Deployment::production-mailer-workload: spec.replicas',
  );
  expect(await ended(sha, `switchyard/apply/${SECOND}`, 30)).toMatchObject({
    status: 'canceled',
    description: `not applied: ${ENVIRONMENT}, which comes before it, was not`,
  });
  expect(replicasOf('billing')).toBe(before);
  expect(replicasOf('mailer')).toBe(2);
  expect(await scheduleOfSecond()).toBe('17 3 * * *');
});

test('merging what is green in both applies the first, then the second', async () => {
  const request = await open('both', (checkout) => {
    replacing('index.ts', 'All of the program:', 'The whole program:')(checkout);
    // What any module's release would take back, were it made by the program that the delivery image was built with.
    replacing(
      'components/production/workload.ts',
      'revisionHistoryLimit: 5',
      'revisionHistoryLimit: 4',
    )(checkout);
    withSchedule(37)(checkout);
  });
  expect(await ended(request.head)).toMatchObject({
    status: 'success',
    description: `into main: previewed: ${ENVIRONMENT}, ${SECOND}`,
  });
  const { sha, first } = await mergeAndApply(request);
  expect(first).toMatchObject({ status: 'success', description: 'applied as previewed' });
  const waiting = (await statusesOf(sha)).get(`switchyard/apply/${SECOND}`);
  expect(waiting).toMatchObject({ status: 'pending', description: 'waits to be applied' });
  expect(await scheduleOfSecond()).toBe('17 3 * * *');
  expect(await ended(sha, `switchyard/apply/${SECOND}`)).toMatchObject({
    status: 'success',
    description: 'applied as previewed',
  });
  expect(await scheduleOfSecond()).toBe('37 3 * * *');
  // What was merged before and had stopped is applied with it.
  expect(replicasOf('billing')).toBe(2);
  expect(replicasOf('mailer')).toBe(1);
});

const ofBilling = (path: string): string =>
  kubectl('--namespace=prod-billing', 'get', 'deployment', 'billing', `-o=jsonpath={${path}}`);

test('a release after that keeps what was applied, code and catalog, though the image of the Pods is older', async () => {
  const commit = await gitlab().Branches.show(TOPOLOGY_PROJECT, 'main');
  const sha = String(commit.commit.id);
  const before = servedImage('billing');
  await deliver(log, 'billing', 'after-applying', 'A release after applying', (checkout) =>
    writeFileSync(join(checkout, 'NOTES'), `${sha}\n`),
  );
  expect(servedImage('billing')).not.toBe(before);
  expect(ofBilling('.spec.revisionHistoryLimit')).toBe('4');
  expect(replicasOf('billing')).toBe(2);
  const told = await fetch(`${JENKINS_URL}/job/switchyard/job/billing/lastBuild/consoleText`);
  expect(await told.text()).toContain(`running the program of commit ${sha.slice(0, 12)}`);
});

test('nor is what was applied drift', async () => {
  const { result, log: said } = await look();
  expect(said).toContain('running the program of commit');
  expect(result).toBe('SUCCESS');
});
