import { execFile } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { kubeconfigPath } from '../../../lab/cluster';
import { GITLAB_URL } from '../../../lab/gitlab';
import { TOPOLOGY_PROJECT } from '../../../lab/repository';
import { cacheHome, labHome, openLog } from '../../../lab/steps';
import { ENVIRONMENT, labEnvironment, REPOSITORY, rootToken, switchyard } from '../../../lab/topology';
import { nightly } from '../../support/scale';
import { json, look } from './look';

// Drift made behind the back of a running lab (`npm run lab`): with kubectl and with GitLab's API.
jest.setTimeout(900_000);

const log = openLog('e2e-drift');
const exec = promisify(execFile);

interface Document {
  readonly result: string;
  readonly exitCode: number;
  readonly resources: {
    readonly name: string;
    readonly box: string;
    readonly gone: boolean;
    readonly by?: { readonly who: string };
    readonly fields: {
      readonly path: string;
      readonly declared: string;
      readonly live: string;
      readonly by?: { readonly who: string; readonly at?: string };
    }[];
  }[];
}

/** Exit codes of `drift`: some was found; something went wrong. Of `status`: something could not be read. */
const DRIFTED = 5;
const FAILED = 1;
const UNREAD = 6;

async function drift(...options: string[]): Promise<Document> {
  const [command, args] = switchyard(['drift', ENVIRONMENT, '--json', ...options]);
  const where = { cwd: REPOSITORY, env: labEnvironment(), accept: [0, DRIFTED, FAILED] };
  return JSON.parse((await log.exec(command, args, where)).stdout);
}

const kubectl = async (...args: string[]): Promise<string> =>
  (
    await exec(join(cacheHome(), 'bin', 'kubectl'), args, {
      env: { ...process.env, KUBECONFIG: kubeconfigPath() },
    })
  ).stdout;

const project = `${GITLAB_URL}/api/v4/projects/${encodeURIComponent('switchyard/orders')}`;
const headers = () => ({ 'PRIVATE-TOKEN': rootToken(), 'content-type': 'application/json' });
const description = async (): Promise<string> =>
  ((await (await fetch(project, { headers: headers() })).json()) as { description: string }).description;

interface Issue {
  readonly iid: number;
  readonly state: string;
  readonly title: string;
  readonly description: string;
  readonly updated_at: string;
  readonly author: { readonly username: string };
}

const issuesUrl = `${GITLAB_URL}/api/v4/projects/${encodeURIComponent(TOPOLOGY_PROJECT)}/issues`;
const issues = async (): Promise<readonly Issue[]> =>
  (await json<Issue[]>(`${issuesUrl}?labels=switchyard-drift`, { headers: headers() })) ?? [];

test('what something else writes by design is no drift', async () => {
  await kubectl(
    '--namespace=prod-orders',
    'annotate',
    'service',
    'orders',
    'example.com/by=hand',
    '--overwrite',
  );
  expect(await drift()).toMatchObject({ result: 'succeeded', exitCode: 0, resources: [] });
  await kubectl('--namespace=prod-orders', 'annotate', 'service', 'orders', 'example.com/by-');
});

test('drift made with kubectl and with the GitLab API is found, attributed and put back', async () => {
  const before = await description();

  const patch = JSON.stringify({ spec: { maxUnavailable: 2 } });
  await kubectl(
    '--namespace=prod-orders',
    'patch',
    'poddisruptionbudget',
    'orders',
    '--type=merge',
    '-p',
    patch,
  );
  // By the scale subresource, of which Kubernetes keeps no time. One Pod less costs nothing.
  await kubectl('--namespace=prod-orders', 'scale', 'deployment', 'orders', '--replicas=1');
  const body = JSON.stringify({ description: 'Changed by hand' });
  expect((await fetch(project, { method: 'PUT', headers: headers(), body })).status).toBe(200);

  // The job finds the same through its fence, and keeps one issue about it.
  const [found, first] = await Promise.all([drift(), look()]);
  expect(found).toMatchObject({ result: 'drifted', exitCode: DRIFTED });
  expect(found.resources).toHaveLength(3);
  const budget = found.resources.find(({ name }) => name === 'production-orders-disruption');
  expect(budget).toMatchObject({
    box: 'production',
    gone: false,
    fields: [
      {
        path: 'spec.maxUnavailable',
        declared: '1',
        live: '2',
        by: { who: 'kubectl-patch', at: expect.stringMatching(/^\d{4}-/) },
      },
    ],
  });
  const scaled = found.resources.find(({ name }) => name === 'production-orders-workload');
  expect(scaled?.fields).toMatchObject([
    { path: 'spec.replicas', declared: '2', live: '1', by: { who: 'kubectl' } },
  ]);
  const [command, args] = switchyard(['status', ENVIRONMENT]);
  const where = { cwd: REPOSITORY, env: labEnvironment(), accept: [0, UNREAD] };
  expect((await log.exec(command, args, where)).stdout).toMatch(/^orders: scaled to 1 by kubectl$/m);
  const changed = found.resources.find(({ box }) => box === 'gitlab');
  expect(changed).toMatchObject({
    by: { who: expect.any(String) },
    fields: [{ path: 'description', declared: before, live: 'Changed by hand' }],
  });

  expect(first).toMatchObject({ result: 'UNSTABLE', log: expect.stringContaining('3 resource(s) drifted') });
  const [issue, ...others] = await issues();
  expect(others).toEqual([]);
  expect(issue).toMatchObject({ state: 'opened', title: `Drift in ${ENVIRONMENT}` });
  const rows = issue?.description.split('\n').filter((line) => /^\| (?!resource)/.test(line)) ?? [];
  expect(rows).toHaveLength(3);
  expect(rows).toEqual(
    expect.arrayContaining([
      expect.stringContaining('`description` |'),
      expect.stringMatching(
        /`production-orders-disruption` \| `spec.maxUnavailable` \| `1` \| `2` \| `kubectl-patch at /,
      ),
      expect.stringMatching(/`production-orders-workload` \| `spec.replicas` \| `2` \| `1` \| `kubectl`/),
    ]),
  );
  expect(rows[0]).toContain('| `Changed by hand` |');
  expect(issue?.description).toMatch(/Not looked at: .*\d+ GitLab GroupAccessToken, .*\d+ Secret/);
  expect((await look()).result).toBe('UNSTABLE');
  expect(await issues()).toEqual([issue]);

  expect(await drift('--fix', '--yes')).toMatchObject({ exitCode: 0, fix: { changes: { update: 3 } } });
  expect(await description()).toBe(before);
  const spec = await kubectl('--namespace=prod-orders', 'get', 'pdb', 'orders', '-o', 'jsonpath={.spec}');
  expect(JSON.parse(spec)).toMatchObject({ maxUnavailable: 1 });
  expect(await look()).toMatchObject({ result: 'SUCCESS' });
  expect(await issues()).toEqual([
    expect.objectContaining({ iid: issue?.iid, state: 'closed', description: issue?.description }),
  ]);
  const words = await json<{ body: string }[]>(`${issuesUrl}/${issue?.iid}/notes`, { headers: headers() });
  expect(words?.at(-1)?.body).toContain('No drift any more');
});

test('what looks for drift may look at what it compares, and change nothing', async () => {
  const may = (...what: string[]) =>
    kubectl('auth', 'can-i', ...what, '--all-namespaces', '--as=system:serviceaccount:ci-drift:watcher').then(
      (answer) => answer.trim(),
      (error: { stdout?: string }) => error.stdout?.trim(),
    );
  expect(await may('get', 'deployments')).toBe('yes');
  for (const never of [
    ['patch', 'deployments'],
    ['create', 'pods'],
    ['get', 'secrets'],
  ])
    expect([never, await may(...never)]).toEqual([never, 'no']);

  const secret = await kubectl(
    '--namespace=ci-drift',
    'get',
    'secret',
    'drift-environment',
    '-o=jsonpath={.data.GITLAB_TOKEN}',
  );
  const token = Buffer.from(secret, 'base64').toString();
  const asked = async (method: string, body?: string) =>
    (await fetch(project, { method, headers: { ...headers(), 'PRIVATE-TOKEN': token }, body })).status;
  expect(await asked('GET')).toBe(200);
  expect(await asked('PUT', JSON.stringify({ description: 'Changed by night' }))).toBe(403);
});

/** Nobody may change disruption budgets of production while it stands. */
const forbidding = JSON.stringify({
  apiVersion: 'v1',
  kind: 'List',
  items: [
    {
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: 'ValidatingAdmissionPolicy',
      metadata: { name: 'budgets-stay' },
      spec: {
        matchConstraints: {
          resourceRules: [
            {
              apiGroups: ['policy'],
              apiVersions: ['v1'],
              operations: ['UPDATE'],
              resources: ['poddisruptionbudgets'],
            },
          ],
        },
        validations: [{ expression: 'false', message: 'budgets stay' }],
      },
    },
    {
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: 'ValidatingAdmissionPolicyBinding',
      metadata: { name: 'budgets-stay' },
      spec: { policyName: 'budgets-stay', validationActions: ['Deny'] },
    },
  ],
});

nightly('drift that could not be put back is found again', async () => {
  const budget = ['--namespace=prod-orders', 'patch', 'poddisruptionbudget', 'orders', '--type=merge'];
  const replace = (maxUnavailable: number) => ['-p', JSON.stringify({ spec: { maxUnavailable } })];
  await kubectl(...budget, ...replace(2));
  const policy = join(labHome(), 'budgets-stay.json');
  writeFileSync(policy, forbidding);
  try {
    await kubectl('apply', '-f', policy);
    const denied = async () =>
      kubectl(...budget, ...replace(3), '--dry-run=server').then(
        () => false,
        (error: Error) => error.message.includes('budgets stay'),
      );
    while (!(await denied())) await new Promise((resolve) => setTimeout(resolve, 200));
    const failed = await drift('--fix', '--yes');
    expect(failed).toMatchObject({ result: 'failed', exitCode: FAILED });
  } finally {
    await kubectl('delete', '--ignore-not-found', '-f', policy);
    rmSync(policy);
  }
  const found = await drift();
  expect(found.resources.map(({ name }) => name)).toEqual(['production-orders-disruption']);
  expect(found.resources[0]?.fields).toMatchObject([
    { path: 'spec.maxUnavailable', declared: '1', live: '2' },
  ]);
  expect(await drift('--fix', '--yes')).toMatchObject({ exitCode: 0, fix: { changes: { update: 1 } } });
  expect(await drift()).toMatchObject({ exitCode: 0, resources: [] });
});
