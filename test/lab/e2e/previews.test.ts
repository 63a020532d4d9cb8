import type { Change } from '../../../lab/journey';
import { sleep } from '../../../lab/machine/process';
import { ENVIRONMENT, labEnvironment } from '../../../lab/topology';
import { disguises } from '../../../text/hide';
import { kubectl } from './running';
import {
  close,
  ended,
  merge,
  moduleFile,
  notes,
  type Opened,
  open,
  PREVIEW,
  replacing,
  type Status,
  statusesOf,
  withReplicas,
} from './topology-requests';

// Merge requests on this repository itself, in a running lab (`npm run lab`): previewed and blocked. Nothing is merged.
jest.setTimeout(900_000);

/** What a build left for people to read: its log and its artifacts. */
async function readable(build: string): Promise<string> {
  const parts = [await (await fetch(`${build}consoleText`)).text()];
  const about = (await (await fetch(`${build}api/json`)).json()) as { artifacts: { relativePath: string }[] };
  expect(about.artifacts.map(({ relativePath }) => relativePath).sort()).toEqual([
    `.switchyard/preview/${ENVIRONMENT}/record/log`,
    `preview-${ENVIRONMENT}.md`,
  ]);
  for (const { relativePath } of about.artifacts) {
    parts.push(await (await fetch(`${build}artifact/${relativePath}`)).text());
  }
  return parts.join('\n');
}

/** Every secret value that the lab has: of the environment, of the cluster's Secrets. */
async function secretValues(): Promise<string[]> {
  const { items } = JSON.parse(kubectl('get', 'secrets', '--all-namespaces', '-o', 'json')) as {
    items: { type: string; data?: Record<string, string> }[];
  };
  const {
    AWS_ACCESS_KEY_ID = '',
    AWS_SECRET_ACCESS_KEY = '',
    PULUMI_CONFIG_PASSPHRASE = '',
    SWITCHYARD_SEED = '',
    GITLAB_TOKEN = '',
  } = labEnvironment();
  const kept = items.flatMap(({ data }) =>
    Object.entries(data ?? {})
      // A user's name and a service's are no secrets, though they stand beside one.
      .filter(([key]) => /password|token|key|text|seed|config|uri|htpasswd/i.test(key))
      .map(([, value]) => Buffer.from(value, 'base64').toString()),
  );
  return [
    AWS_ACCESS_KEY_ID,
    AWS_SECRET_ACCESS_KEY,
    PULUMI_CONFIG_PASSPHRASE,
    SWITCHYARD_SEED,
    GITLAB_TOKEN,
    ...kept,
  ].filter((value) => value.length >= 12);
}

/** What an author writes who wants to read all that a preview holds. */
const SPYING = `
    const { execSync } = await import('node:child_process');
    const { readFileSync } = await import('node:fs');
    const told = (make: () => string) => {
      try {
        return make();
      } catch (error) {
        return String(error);
      }
    };
    const config = new pulumi.Config('switchyard');
    console.log('SPY environment', JSON.stringify(process.env));
    console.log('SPY config', config.get('seed'), told(() => config.require('gitlabToken')));
    console.log('SPY settings', told(() => JSON.stringify(inputs)));
    console.log('SPY state', told(() => execSync('pulumi stack export --show-secrets', { encoding: 'utf8', maxBuffer: 1 << 28 })));
    console.log('SPY outputs', told(() => execSync('pulumi stack output --show-secrets --json', { encoding: 'utf8' })));
    for (const kind of ['secrets', 'configmaps', 'pods'])
      console.log('SPY', kind, told(() => execSync(\`kubectl get \${kind} --all-namespaces -o json 2>&1 || true\`, { encoding: 'utf8' })));
    console.log('SPY account', told(() => readFileSync('/var/run/secrets/kubernetes.io/serviceaccount/token', 'utf8')));
    console.log('SPY files', told(() => execSync('cat /docker/config.json /kubeconfig/config $HOME/.git-credentials /home/jenkins/agent/workspace/switchyard/topology/.switchyard/preview/*/given/*.json /handover/given/*.json 2>&1 || true', { encoding: 'utf8', maxBuffer: 1 << 28 })));
    const { connect } = await import('node:net');
    // The engine, its plug-ins and Jenkins' agent share this loopback.
    const ports = readFileSync('/proc/net/tcp', 'utf8').split('\\n').flatMap((line) => /:([0-9A-F]{4}) 0+:0000 0A/.exec(line)?.[1] ?? []);
    const reached = await Promise.all(ports.map((port) => new Promise<string>((resolve) => {
      connect(parseInt(port, 16), '127.0.0.1').on('connect', () => resolve('open')).on('error', (error) => resolve(String(error)));
    })));
    console.log('SPY loopback', ports.length, reached.join(' '));
    console.log('SPY writing', told(() => execSync('touch /handover/given/x 2>&1 || true', { encoding: 'utf8' })));
    throw new pulumi.RunError(\`SPY error \${JSON.stringify(process.env)}\`);
  `;

/** Merge requests that must not be merged, by their branches. */
const MUST_NOT = {
  'same-port': replacing(moduleFile('mailer'), /nodePort: \d+/, 'nodePort: 30081'),
  'no-such-file': replacing(
    'index.ts',
    'import { Topology }',
    "import './no-such-file';\nimport { Topology }",
  ),
  spy: replacing('index.ts', '  const topology = new Topology', `${SPYING}  const topology = new Topology`),
} satisfies Record<string, Change>;

/** Previews wait for Pods most of their time: those of all merge requests run side by side. */
const openedAtOnce: { [branch in keyof typeof MUST_NOT]?: Opened } = {};
beforeAll(async () => {
  const branches = Object.keys(MUST_NOT) as (keyof typeof MUST_NOT)[];
  await Promise.all(
    branches.map(async (branch) => {
      openedAtOnce[branch] = await open(branch, MUST_NOT[branch]);
    }),
  );
});

describe('a merge request that changes replicas and resources', () => {
  let opened: Opened;
  let first: number;

  test('gets one note per affected environment: counts, table, capacity against the nodes, picture', async () => {
    opened = await open('more-billing', withReplicas('billing', 2));
    const status = await ended(opened.head);
    expect(status).toMatchObject({ status: 'success', description: `into main: previewed: ${ENVIRONMENT}` });
    const own = (await statusesOf(opened.head)).get(`${PREVIEW}/${ENVIRONMENT}`);
    expect(own).toMatchObject({
      status: 'success',
      // The module's Deployment and quota, and its file in five namespaces whose Pods work from the catalog.
      description: '0 to create, 7 to change, 0 to replace, 0 to delete',
    });
    const [note, ...others] = await notes(opened.iid);
    expect(others).toEqual([]);
    first = note?.id as number;
    expect(note?.body).toContain(
      '| update | production-billing-workload | Deployment | production-billing | spec.replicas |',
    );
    expect(note?.body).toMatch(
      /\| update \| agents-catalog-modules \| ConfigMap \| jenkins \| data\S*billing.yaml\S* \|/,
    );
    expect(note?.body).toMatch(/\| lab \| .* → \*\*.*\*\* \| .* on 1 \|/);
    expect(note?.body).not.toContain('could not be asked');
    expect(note?.body).toMatch(/box\d\["production-billing: 2 to change"\]:::change/);
  });

  test('a newer commit ends the older preview, and edits the note in place', async () => {
    const older = await open('more-billing', (checkout) => {
      withReplicas('billing', 3)(checkout);
    });
    // The older one is under way: its Pod is there.
    while ((await statusesOf(older.head)).get(`${PREVIEW}/${ENVIRONMENT}`) === undefined) await sleep(200);
    const newer = await open('more-billing', (checkout) => {
      withReplicas('billing', 2)(checkout);
      replacing(moduleFile('billing'), '\nresources: { cpu: 25m', '\nresources: { cpu: 30m')(checkout);
    });
    expect(newer.iid).toBe(opened.iid);
    expect(await ended(older.head)).toMatchObject({ status: 'canceled' });
    expect((await statusesOf(older.head)).get(`${PREVIEW}/${ENVIRONMENT}`)?.status).toBe('canceled');
    expect(await ended(newer.head)).toMatchObject({ status: 'success' });
    const [note, ...others] = await notes(opened.iid);
    expect(others).toEqual([]);
    expect(note?.id).toBe(first);
    expect(note?.body).toContain(newer.head.slice(0, 12));
    expect(note?.body).toContain('spec.template.spec.containers[0].resources');
    opened = newer;
  });

  afterAll(() => close(opened.iid));
});

describe('a merge request that must not be merged', () => {
  /** What became of one of {@link MUST_NOT}. */
  async function blocked(
    branch: keyof typeof MUST_NOT,
  ): Promise<{ note: string; status: Status; head: string }> {
    const opened = openedAtOnce[branch] as Opened;
    const status = await ended(opened.head);
    expect(status).toMatchObject({ status: 'failed', description: `into main: red: ${ENVIRONMENT}` });
    expect((await merge(opened)).status).toBe(405);
    const [note, ...others] = await notes(opened.iid);
    expect(others).toEqual([]);
    await close(opened.iid);
    return { note: note?.body ?? '', status, head: opened.head };
  }

  test('a fault of the catalog is named by file, line and key, with its remedy', async () => {
    const { note } = await blocked('same-port');
    expect(note).toMatch(/catalog\/modules\/orders.yaml:\d+: production.nodePort: 30081 is taken by mailer/);
  });

  test('a program that does not compile is named with the place', async () => {
    const { note, head } = await blocked('no-such-file');
    expect(note).toContain('the merge result does not compile: index.ts:');
    expect((await statusesOf(head)).get(`${PREVIEW}/${ENVIRONMENT}`)?.description).toContain(
      'does not compile',
    );
  });

  test('an author who prints all that the preview holds shows no secret: not in note, log or artifacts', async () => {
    const { note, status, head } = await blocked('spy');
    const text = await readable(status.build);
    for (const what of ['environment', 'config', 'state', 'outputs', 'secrets', 'error'])
      expect(text).toContain(`SPY ${what}`);
    // The attempt itself went through: what was handed over can be read.
    expect(text).toContain('withheld-');
    // Its container has no account, no kubeconfig and no network.
    expect(text).toMatch(/SPY account Error: ENOENT/);
    expect(text).not.toMatch(/secrets is forbidden/);
    for (const file of ['/docker/config.json', '/kubeconfig/config'])
      expect(text).toContain(`cat: ${file}: No such file`);
    expect(text).toMatch(/SPY loopback [1-9]\d* .*EPERM/);
    expect(text).not.toMatch(/SPY loopback .*open/);
    expect(text).toMatch(/SPY writing .*Read-only file system/);
    expect(note).toContain('SPY error');
    const shown = `${text}\n${note}\n${JSON.stringify([...(await statusesOf(head)).values()])}`;
    const secrets = await secretValues();
    expect(secrets.length).toBeGreaterThan(20);
    const leaked = secrets.filter((secret) => disguises(secret).some((form) => shown.includes(form)));
    expect(leaked.length).toBe(0);
  });
});
