import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ProblemsError } from '../../../catalog/problems';
import { basisOf } from '../../../operations/preview/basis';
import { previewInputs } from '../../../operations/preview/gather';
import { parseStack } from '../../../stacks/load';
import { modelOf, released, stackWith, testModel } from '../../support/model';

const SEED = 's'.repeat(40);
const before = { ...process.env };
const fetched: string[] = [];

beforeEach(() => {
  process.env = { PATH: before.PATH, KUBECONFIG: '/nonexistent/kubeconfig' };
  fetched.length = 0;
  jest.spyOn(globalThis, 'fetch').mockImplementation(async (input) => {
    const url = String(input);
    fetched.push(url);
    if (url.includes('/users?')) return new Response('[{ "id": 7 }]');
    if (url.includes('/groups/')) return new Response('{}', { status: 404 });
    if (url.endsWith('/metadata')) return new Response('{ "enterprise": true }');
    return new Response(
      `modules: { shop: { image: "${released.image}", commit: ${released.commit}, mergeRequest: 3, build: "https://jenkins.test/1/" } }\n`,
    );
  });
});
afterEach(() => {
  process.env = before;
  jest.restoreAllMocks();
});

const model = modelOf({
  clusters: 'ci: { context: one }, production: { context: one }',
  gitlab: 'members: { ada: developer }, botTokenExpires: "2030-01-01"',
});
const engine = {
  config: async (key: string) => (key === 'switchyard:seed' ? SEED : undefined),
  openState: async () => ({ version: 3 }),
  state: async () => ({ version: 3, deployment: { resources: [] } }),
};

test('a preview is prepared from the state, the ledger, what is looked up, and secrets of stack and environment', async () => {
  process.env.GITLAB_TOKEN = 'glpat-real';
  process.env.PULUMI_CONFIG_PASSPHRASE = 'open sesame';
  const inputs = await previewInputs({ model, engine });
  expect(inputs).toMatchObject({
    environment: 'test',
    deployment: { version: 3 },
    secrets: {
      seed: SEED,
      gitlabToken: 'glpat-real',
      given: { PULUMI_CONFIG_PASSPHRASE: 'open sesame', SWITCHYARD_SEED: SEED },
    },
    found: { 'user:ada': '7' },
    clusters: { ci: 'one', production: 'one' },
    // Why a cluster cannot be asked is for the note.
    nodes: { one: { unasked: "ENOENT: no such file or directory, open '/nonexistent/kubeconfig'" } },
  });
  expect(inputs.ledger).toContain(released.image);
  expect(inputs.basis).toBe(basisOf(await engine.state(), inputs.ledger));
  expect(JSON.stringify(inputs.boxes)).toContain(released.image);
  expect(fetched.map((url) => url.replace('https://gitlab.test/api/v4/', ''))).toEqual([
    'projects/switchyard%2Frelease-ledger/repository/files/test.yaml/raw?ref=main',
    'users?username=ada',
    'groups/switchyard?with_projects=false',
    'metadata',
  ]);
});

test('a variable that only whoever runs `up` has is taken from the state, and the Pod’s own wins', async () => {
  const topology =
    '{ apply: manual, environments: [other], credentials: { other: { variables: { SWITCHYARD_SEED: OTHER_SEED }, previewKubeconfig: OTHER_KUBECONFIG } } }';
  const settings = parseStack(
    `${stackWith({ clusters: 'ci: { context: one }, production: { context: one }' })}  switchyard:topologyProject: ${topology}\n`,
    'stacks/Pulumi.test.yaml',
    'test',
  );
  const type = 'kubernetes:core/v1:Secret';
  const resource = (name: string, stringData: object) => ({
    urn: `urn:pulumi:test::switchyard::${type}::${name}`,
    type,
    inputs: { stringData },
  });
  const resources = [
    resource('deploy-environment-other', { SWITCHYARD_SEED: 'the other seed' }),
    resource('preview-kubeconfig-other', { config: 'the other kubeconfig' }),
    resource('state-environment', { PULUMI_CONFIG_PASSPHRASE: 'of the last up' }),
  ];
  process.env.GITLAB_TOKEN = 'glpat-real';
  process.env.PULUMI_CONFIG_PASSPHRASE = 'open sesame';
  const recorded = { ...engine, openState: async () => ({ version: 3, deployment: { resources } }) };
  const { secrets } = await previewInputs({ model: testModel({ settings }), engine: recorded });
  expect(secrets.given).toEqual({
    PULUMI_CONFIG_PASSPHRASE: 'open sesame',
    SWITCHYARD_SEED: SEED,
    OTHER_SEED: 'the other seed',
    OTHER_KUBECONFIG: 'the other kubeconfig',
  });
});

test('a cluster that is busy for a moment is asked for its nodes again; one that refuses is told with its answer', async () => {
  const statuses = [503, 200, 403];
  const server = createServer((_request, response) => {
    const status = statuses.shift() ?? 500;
    const node = { metadata: { name: 'n', uid: 'u' }, status: { allocatable: { cpu: '4' } } };
    response
      .writeHead(status, { 'content-type': 'application/json' })
      .end(JSON.stringify(status === 200 ? { kind: 'NodeList', apiVersion: 'v1', items: [node] } : {}));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const folder = mkdtempSync(join(tmpdir(), 'switchyard-gather-'));
  process.env.KUBECONFIG = join(folder, 'kubeconfig');
  writeFileSync(
    process.env.KUBECONFIG,
    `clusters: [{ name: c, cluster: { server: "http://127.0.0.1:${port}", insecure-skip-tls-verify: true } }]
contexts: [{ name: one, context: { cluster: c, user: u } }]
users: [{ name: u, user: {} }]
`,
  );
  process.env.GITLAB_TOKEN = 'glpat-real';
  process.env.PULUMI_CONFIG_PASSPHRASE = 'open sesame';
  try {
    const items = [
      {
        metadata: { name: 'n' },
        spec: { unschedulable: false },
        status: { allocatable: { cpu: '4' } },
      },
    ];
    expect((await previewInputs({ model, engine })).nodes).toEqual({ one: { items } });
    expect((await previewInputs({ model, engine })).nodes).toEqual({ one: { unasked: '403' } });
    expect(statuses).toEqual([]);
  } finally {
    server.closeAllConnections();
    server.close();
    rmSync(folder, { recursive: true, force: true });
  }
});

test('a secret that nobody brings is named before anything is asked', async () => {
  await expect(previewInputs({ model, engine })).rejects.toThrow(ProblemsError);
  expect(fetched).toEqual([]);
});
