import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'yaml';
import { Secrets } from '../../../components/shared/secrets';
import { kubeconfigPath } from '../../../lab/cluster';
import { GITLAB_URL } from '../../../lab/gitlab';
import {
  BACKUP_BUCKET,
  BACKUP_ENDPOINT,
  REGISTRY,
  S3_ENDPOINT,
  S3_REGION,
  STATE_BUCKET,
} from '../../../lab/machine/addresses';
import { sleep } from '../../../lab/machine/process';
import { toolPath } from '../../../lab/toolchain';
import { ENVIRONMENT, JENKINS_URL, labEnvironment, REPOSITORY, rootToken } from '../../../lab/topology';
import { loadStack } from '../../../stacks/load';
import { IDENTITIES, MADE, type System } from './identities-data';
import { ABSENT, requestOf } from './kubernetes-request';
import { MADE_LABEL, metricsAccountManifests } from './metrics-accounts';
import { kubectl, PUSH_OF_NO_BRANCH, until } from './running';

// Each cell of the table in docs/security.md, with the credential that the identity has.

type Outcome = 'may' | 'may not' | number;

interface Access {
  readonly server: string;
  readonly ca: Buffer;
}

function access(): Access {
  const config = parse(readFileSync(kubeconfigPath(), 'utf8')) as {
    clusters: { cluster: Record<string, string> }[];
  };
  const cluster = config.clusters[0]?.cluster ?? {};
  const data = cluster['certificate-authority-data'];
  return {
    server: cluster.server ?? '',
    ca: data ? Buffer.from(data, 'base64') : readFileSync(cluster['certificate-authority'] ?? ''),
  };
}

/** How the API server refuses what one may ask for: there is none such, or it is no object (500 of a binding to no role). */
const JUDGED: readonly number[] = [200, 201, 400, 404, 405, 415, 422, 500];

/** What the API server answers to an object of no kind: 403 before it looks at it, anything else after. */
function askKubernetes({ server, ca }: Access, token: string, what: string): Promise<number> {
  const { method, path, headers } = requestOf(what);
  return new Promise((resolve, reject) => {
    const sent = request(`${server}${path}`, {
      ca,
      // A connection of its own: what is upgraded or refused early leaves one in which answers no longer fit.
      agent: false,
      method,
      headers: { ...headers, authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    });
    sent.once('error', reject);
    sent.once('response', (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    sent.end(method === 'GET' ? undefined : '{}');
  });
}

const accounts = new Map<string, string>();
/** A token of a service account, `namespace/name`. */
function tokenFor(as: string): string {
  const [namespace = '', name = ''] = as.split('/');
  const token = accounts.get(as) ?? kubectl('-n', namespace, 'create', 'token', name).trim();
  accounts.set(as, token);
  return token;
}

/** What the API server says to an account; its status where that is neither. */
async function outcomeOf(as: string, what: string): Promise<Outcome> {
  const status = await askKubernetes(access(), tokenFor(as), what);
  return status === 403 ? 'may not' : JUDGED.includes(status) ? 'may' : status;
}

const dataOf = (namespace: string, name: string): Record<string, string> => {
  const { data } = JSON.parse(kubectl('-n', namespace, 'get', 'secret', name, '-o', 'json')) as {
    data: Record<string, string>;
  };
  return Object.fromEntries(
    Object.entries(data).map(([key, value]) => [key, Buffer.from(value, 'base64').toString('utf8')]),
  );
};

const secretOf = (namespace: string, name: string, key: string): string => dataOf(namespace, name)[key] ?? '';

const gitlab = async <T>(method: string, path: string, body?: unknown): Promise<T> => {
  const answer = await fetch(`${GITLAB_URL}/api/v4${path}`, {
    method,
    headers: { 'private-token': rootToken(), 'content-type': 'application/json', connection: 'close' },
    ...(body ? { body: JSON.stringify(body) } : {}),
  });
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
  return (answer.status === 204 ? undefined : await answer.json()) as T;
};

/** People who are there for this suite only. */
const made: number[] = [];

async function developer(name: string, project: string): Promise<string> {
  // What a run left that was ended in the middle.
  for (const { id } of await gitlab<{ id: number }[]>('GET', `/users?username=${name}`))
    await gitlab('DELETE', `/users/${id}?hard_delete=true`);
  const user = await gitlab<{ id: number }>('POST', '/users', {
    username: name,
    name,
    email: `${name}@example.com`,
    force_random_password: true,
  });
  made.push(user.id);
  await gitlab('POST', `/projects/${encodeURIComponent(project)}/members`, {
    user_id: user.id,
    access_level: 30,
  });
  const { token } = await gitlab<{ token: string }>('POST', `/users/${user.id}/personal_access_tokens`, {
    name: 'identities',
    scopes: ['api'],
  });
  return token;
}

const tokens: Record<string, string> = {};

beforeAll(async () => {
  tokens.bot = secretOf('ci', 'gitlab-bot-token', 'text');
  tokens.reader = secretOf('ci', 'gitlab-reader-token', 'text');
  tokens.watcher = secretOf('ci-drift', 'drift-environment', 'GITLAB_TOKEN');
  tokens.retention = secretOf('registry', 'registry-retention', 'gitlabToken');
  tokens.author = await developer('identities-author', 'switchyard/orders');
  tokens['topology-author'] = await developer('identities-topology', 'switchyard/topology');
}, 60_000);
afterAll(async () => {
  for (const id of made) await gitlab('DELETE', `/users/${id}?hard_delete=true`);
});

/** Removes the accounts that are there for this suite only, a former run's as well. */
const removeAccounts = (): string =>
  kubectl(
    ...['delete', 'rolebindings,clusterrolebindings,clusterroles,namespaces', '--all-namespaces'],
    ...['--selector', MADE_LABEL, '--ignore-not-found', '--timeout=100s'],
  );

beforeAll(async () => {
  removeAccounts();
  const list = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: metricsAccountManifests() });
  const apply = ['apply', '--server-side', '-f', '-'];
  execFileSync(toolPath('kubectl'), ['--kubeconfig', kubeconfigPath(), ...apply], { input: list });
  // A refusal says nothing before the API server knows of every binding.
  for (const { kubernetes } of IDENTITIES) {
    const { as = '', may = [] } = kubernetes;
    if (!as.startsWith(`${MADE}-`)) continue;
    for (const what of may)
      await until(`${as}: ${what}`, 30, async () =>
        (await outcomeOf(as, what)) === 'may' ? true : undefined,
      );
  }
}, 180_000);
afterAll(removeAccounts, 120_000);

const basic = (user: string, password: string) =>
  `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;

/** What is sent with what would change something, so that only the right to do it is missing. */
const BODIES: readonly (readonly [path: RegExp, body: object])[] = [
  [
    /\/repository\/commits$/,
    {
      branch: 'main',
      commit_message: 'identities',
      actions: [{ action: 'create', file_path: ABSENT, content: 'x' }],
    },
  ],
  [/\/issues$/, { title: 'identities' }],
  [/^\/groups\/switchyard$/, { description: 'Made by Switchyard' }],
  [
    /^\/users$/,
    { username: ABSENT, name: ABSENT, email: `${ABSENT}@example.com`, force_random_password: true },
  ],
];

/** What the Secret that an identity's Pod is given holds; nothing where it is known by another name. */
const given = new Map<string, Record<string, string>>();
function givenTo(as: string): Record<string, string> {
  const [namespace = '', name] = as.split('/');
  if (name === undefined) return {};
  const data = given.get(as) ?? dataOf(namespace, name);
  given.set(as, data);
  return data;
}

/** Where the topology's own login is derived from, and which one it is. */
const derivedLogin = { registry: ['push', 'registry/push'], jenkins: ['admin', 'jenkins/admin'] } as const;

function loginTo(system: 'registry' | 'jenkins', as: string): string {
  const data = givenTo(as);
  if (data.SWITCHYARD_SEED) {
    const [user, purpose] = derivedLogin[system];
    return basic(user, new Secrets(data.SWITCHYARD_SEED, ENVIRONMENT).secret(purpose));
  }
  // A module's keys, in the place of a seed: they give the login for pulls.
  if (data.text) return basic('pull', new Secrets(data.text, ENVIRONMENT).secret('registry/pull'));
  if (data['.dockerconfigjson']) {
    const { auths } = JSON.parse(data['.dockerconfigjson']) as { auths: Record<string, { auth: string }> };
    return `Basic ${auths[REGISTRY]?.auth}`;
  }
  if (data.username) return basic(data.username, data.password ?? '');
  return basic(as, new Secrets(labEnvironment().SWITCHYARD_SEED ?? '', ENVIRONMENT).secret(`registry/${as}`));
}

const tokenOf = (as: string): string => {
  const { GITLAB_TOKEN, gitlab: own, password } = givenTo(as);
  return tokens[as] ?? GITLAB_TOKEN ?? own ?? password ?? '';
};

async function askHttp(
  system: Exclude<System, 'kubernetes' | 'stores'>,
  as: string,
  what: string,
): Promise<number> {
  const [method = '', path = ''] = what.split(' ');
  const base = { registry: `http://${REGISTRY}`, gitlab: `${GITLAB_URL}/api/v4`, jenkins: JENKINS_URL }[
    system
  ];
  const hook = system === 'jenkins' && path.startsWith('/project/');
  const hookToken = givenTo(as).orders;
  const login: Record<string, string> =
    system === 'gitlab'
      ? { 'private-token': tokenOf(as) }
      : as === ''
        ? {}
        : hookToken
          ? hook
            ? { 'x-gitlab-token': hookToken }
            : {}
          : { authorization: loginTo(system, as) };
  const body =
    system === 'gitlab' ? BODIES.find(([one]) => one.test(path))?.[1] : hook ? PUSH_OF_NO_BRANCH : undefined;
  const answer = await fetch(`${base}${path}`, {
    method,
    headers: {
      // One that was kept may be closed at the other end while a program that is waited for stops this process.
      connection: 'close',
      ...login,
      ...(body && method !== 'GET' ? { 'content-type': 'application/json' } : {}),
      ...(hook ? { 'x-gitlab-event': 'Push Hook' } : {}),
    },
    ...(body && method !== 'GET' ? { body: JSON.stringify(body) } : {}),
    redirect: 'manual',
  });
  await answer.arrayBuffer();
  return answer.status;
}

/** A look into a bucket, signed by curl with what the identity's Secret has for it, else with what it has. */
function askStore(as: string, what: string): number {
  const data = givenTo(as);
  const state = [data.AWS_ACCESS_KEY_ID, data.AWS_SECRET_ACCESS_KEY];
  const backups = [data.BACKUP_ACCESS_KEY, data.BACKUP_SECRET_KEY];
  const keys = (what === 'GET state' ? [state, backups] : [backups, state]).find(([id]) => id !== undefined);
  const bucket =
    what === 'GET state' ? `${S3_ENDPOINT}/${STATE_BUCKET}` : `${BACKUP_ENDPOINT}/${BACKUP_BUCKET}`;
  const nothing = createHash('sha256').update('').digest('hex');
  const asked = [
    ...['-s', '-o', '/dev/null', '-w', '%{http_code}'],
    ...['--aws-sigv4', `aws:amz:${S3_REGION}:s3`, '-H', `x-amz-content-sha256: ${nothing}`],
  ];
  const stdin = `user = "${keys?.join(':')}"\n`;
  return Number(
    execFileSync('curl', ['-K', '-', ...asked, `${bucket}?list-type=2&max-keys=1`], {
      input: stdin,
      encoding: 'utf8',
    }),
  );
}

type Tried = readonly [as: string, what: string, outcome: Outcome];
const wanted = (system: System): Tried[] =>
  IDENTITIES.flatMap(({ [system]: { as, may = [], mayNot = [] } }) =>
    as === undefined
      ? []
      : [
          ...may.map((what): Tried => [as, what, 'may']),
          ...mayNot.map((what): Tried => [as, what, 'may not']),
        ],
  );

test('each account of the cluster may what the table says, and nothing that it refuses', async () => {
  const found: Tried[] = [];
  for (const [as, what] of wanted('kubernetes')) found.push([as, what, await outcomeOf(as, what)]);
  expect(found).toEqual(wanted('kubernetes'));
}, 120_000);

test.each(['registry', 'gitlab', 'jenkins', 'stores'] as const)(
  'each login of the %s may what the table says, and nothing that it refuses',
  async (system) => {
    const found: Tried[] = [];
    for (const [as, what] of wanted(system)) {
      const status = system === 'stores' ? askStore(as, what) : await askHttp(system, as, what);
      // GitLab says 404 of what one may not see, 400 of a push to a protected branch.
      const refused = [400, 401, 403, 404].includes(status);
      found.push([as, what, refused ? 'may not' : status < 300 ? 'may' : status]);
    }
    expect(found).toEqual(wanted(system));
  },
  60_000,
);

describe('what a rollout of one module is given', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'switchyard-identities-'));
    writeFileSync(join(folder, 'Pulumi.yaml'), 'name: switchyard\nruntime: nodejs\n');
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const pulumi = (passphrase: string, ...args: string[]): string =>
    execFileSync(toolPath('pulumi'), ['stack', ...args, '--non-interactive'], {
      cwd: folder,
      encoding: 'utf8',
      maxBuffer: 1 << 28,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...process.env,
        ...labEnvironment(),
        PULUMI_BACKEND_URL: loadStack(join(REPOSITORY, 'stacks'), ENVIRONMENT).backend,
        PULUMI_CONFIG_PASSPHRASE: passphrase,
      },
    });
  const opened = (passphrase: string, stack: string): string =>
    pulumi(passphrase, 'export', '--show-secrets', '--stack', stack);

  test('opens that module’s part of the state, and neither another’s nor the environment’s', async () => {
    const passphrase = () => secretOf('ci', 'part-orders', 'text');
    // Beside this suite the lab is brought up: what is cut is made anew, and its passphrase rotated.
    const cut = async (module: string, work: (stack: string) => void): Promise<void> => {
      for (let tries = 0; ; tries++) {
        const stacks = JSON.parse(pulumi(passphrase(), 'ls', '--json')) as { name: string }[];
        const found = stacks.find(({ name }) => name.startsWith(`${ENVIRONMENT}.${module}.`))?.name;
        try {
          if (!found) throw new Error(`nothing is cut for ${module}`);
          return work(found);
        } catch (error) {
          if (tries === 30) throw error;
          await sleep(4000);
        }
      }
    };
    const refused = 'incorrect passphrase';
    await cut('orders', (stack) => {
      expect(opened(passphrase(), stack)).toContain('production-orders-namespace');
    });
    await cut('billing', (stack) => expect(() => opened(passphrase(), stack)).toThrow(refused));
    expect(() => opened(passphrase(), ENVIRONMENT)).toThrow(refused);
  }, 300_000);

  test('gives that module’s passwords, and no other secret of the environment', () => {
    const whole = new Secrets(labEnvironment().SWITCHYARD_SEED ?? '', ENVIRONMENT);
    const given = new Secrets(secretOf('ci', 'keys-orders', 'text'), ENVIRONMENT);
    for (const purpose of ['service/orders/mysql', 'registry/pull'])
      expect(given.secret(purpose)).toBe(whole.secret(purpose));
    for (const purpose of [
      ...['service/billing/mysql', 'backup/key', 'part/orders', 'jenkins/admin'],
      ...['registry/push', 'registry/push-orders', 'registry/push-billing', 'registry/build'],
    ])
      expect(() => given.secret(purpose)).toThrow('no key at hand');
  });

  test('is in no Secret beside its Pod, nor is what opens the whole state but where that is read', () => {
    const { items } = JSON.parse(kubectl('-n', 'ci-deploy', 'get', 'secrets', '-o', 'json')) as {
      items: { metadata: { name: string }; data?: Record<string, string> }[];
    };
    const holding = items.filter(
      ({ data = {} }) => 'SWITCHYARD_SEED' in data || 'PULUMI_CONFIG_PASSPHRASE' in data,
    );
    expect(holding.map(({ metadata }) => metadata.name)).toEqual(['state-environment']);
  });
});

test('where code of merge requests runs there is no Secret but the one that pulls images', () => {
  for (const namespace of ['ci-build', 'ci-preview', 'test-orders']) {
    const { items } = JSON.parse(kubectl('-n', namespace, 'get', 'secrets', '-o', 'json')) as {
      items: { metadata: { name: string } }[];
    };
    expect(items.map(({ metadata }) => metadata.name)).toEqual(['registry-pull']);
  }
});
