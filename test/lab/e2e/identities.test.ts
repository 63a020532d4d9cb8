import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
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
  STATE_BUCKET,
} from '../../../lab/machine/addresses';
import { sleep } from '../../../lab/machine/process';
import { toolPath } from '../../../lab/toolchain';
import { ENVIRONMENT, JENKINS_URL, labEnvironment, REPOSITORY, rootToken } from '../../../lab/topology';
import { loadStack } from '../../../stacks/load';
import {
  gitlabBody,
  gitlabControlBody,
  gitlabUndo,
  type HttpSystem,
  kubernetesOutcome,
  type Outcome,
  outcome,
} from './answers';
import { IDENTITIES, MADE, type System } from './identities-data';
import { type Access, askKubernetes } from './kubernetes-ask';
import { MADE_LABEL, metricsAccountManifests } from './metrics-accounts';
import { kubectl, PUSH_OF_NO_BRANCH, until } from './running';
import { type AskStore, answerOf, storeKeys, storeOf, storeRequest, tryStore } from './store-request';

// Each cell of the table in docs/security.md, with the credential that the identity has.

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
  return kubernetesOutcome(await askKubernetes(access(), tokenFor(as), what));
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

/** How a request is sent: what proves who asks, and the body. */
interface Sent {
  readonly login: Readonly<Record<string, string>>;
  readonly body?: object;
}

const HOOK = { 'x-gitlab-event': 'Push Hook' };
const isHook = (what: string): boolean => what.startsWith('POST /project/');

/** As an identity sends it, with what it has. */
function sentBy(system: HttpSystem, as: string, what: string): Sent {
  if (system === 'gitlab') return { login: { 'private-token': tokenOf(as) }, body: gitlabBody(what) };
  const { orders: hookToken } = givenTo(as);
  if (isHook(what))
    return { login: hookToken ? { 'x-gitlab-token': hookToken } : {}, body: PUSH_OF_NO_BRANCH };
  return { login: as === '' || hookToken ? {} : { authorization: loginTo(system, as) } };
}

const BASES: Readonly<Record<HttpSystem, string>> = {
  registry: `http://${REGISTRY}`,
  gitlab: `${GITLAB_URL}/api/v4`,
  jenkins: JENKINS_URL,
};

async function askHttp(
  system: HttpSystem,
  what: string,
  { login, body }: Sent,
): Promise<{ status: number; text: string }> {
  const [method = '', path = ''] = what.split(' ');
  const answer = await fetch(`${BASES[system]}${path}`, {
    method,
    headers: {
      // One that was kept may be closed at the other end while a program that is waited for stops this process.
      connection: 'close',
      ...login,
      ...(body ? { 'content-type': 'application/json' } : {}),
      ...(isHook(what) ? HOOK : {}),
    },
    ...(body ? { body: JSON.stringify(body) } : {}),
    redirect: 'manual',
  });
  return { status: answer.status, text: await answer.text() };
}

const BUCKETS = {
  state: `${S3_ENDPOINT}/${STATE_BUCKET}`,
  backups: `${BACKUP_ENDPOINT}/${BACKUP_BUCKET}`,
} as const;

/** Requests to a bucket, signed by curl. */
const inBucket =
  (bucket: string): AskStore =>
  (verb, keys, body) => {
    const { args, input } = storeRequest(verb, bucket, keys, body);
    return answerOf(execFileSync('curl', [...args], { input, encoding: 'utf8' }));
  };

/** What a store lets a login do, with what the identity's Secret has for it, else with what it has. */
function askStore(as: string, what: string): Outcome {
  const store = storeOf(what);
  const own = storeKeys(labEnvironment(), store);
  return tryStore(inBucket(BUCKETS[store]), own, storeKeys(givenTo(as), store), what);
}
// Takes the suite's own object away.
afterAll(() => {
  for (const store of ['state', 'backups'] as const)
    inBucket(BUCKETS[store])('DELETE', storeKeys(labEnvironment(), store));
});

type Tried = readonly [as: string, what: string, outcome: Outcome];
const wanted = (system: System): Tried[] =>
  IDENTITIES.flatMap(({ [system]: { as, in: elsewhere, may = [], mayNot = [] } }) =>
    as === undefined || elsewhere !== undefined
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
      const said =
        system === 'stores'
          ? askStore(as, what)
          : outcome(system, what, await askHttp(system, what, sentBy(system, as, what)));
      found.push([as, what, said]);
    }
    expect(found).toEqual(wanted(system));
  },
  120_000,
);

describe('what is refused is not refused to who may it: each "may not" can fail', () => {
  /** All that some identity is refused. */
  const refused = (system: System): string[] => [
    ...new Set(wanted(system).flatMap(([, what, said]) => (said === 'may not' ? [what] : []))),
  ];

  test('in the cluster', async () => {
    const found: [string, Outcome][] = [];
    for (const what of refused('kubernetes')) found.push([what, await outcomeOf('ci-apply/applier', what)]);
    expect(found.length).toBeGreaterThan(50);
    expect(found.filter(([, said]) => said === 'may not')).toEqual([]);
  }, 180_000);

  test('in the registry', async () => {
    const authorization = loginTo('registry', 'ci-apply/apply-environment');
    for (const what of refused('registry')) {
      const { status, text } = await askHttp('registry', what, { login: { authorization } });
      const said = outcome('registry', what, { status, text });
      // No manifest has that tag: what Distribution says of it differs by its version.
      const expected = what.startsWith('DELETE ') ? expect.not.stringMatching(/^may not$/) : 'may';
      expect([what, `${said}`]).toEqual([what, expected]);
    }
  });

  test('in GitLab', async () => {
    const login = { 'private-token': rootToken() };
    for (const what of refused('gitlab')) {
      const answer = await askHttp('gitlab', what, { login, body: gitlabControlBody(what) });
      const undo = answer.status === 201 ? gitlabUndo(what, JSON.parse(answer.text)) : undefined;
      if (undo) await gitlab(...(undo.split(' ') as [string, string]));
      // test/lab/identities-answers.integration.test.ts says why a commit is told that something else is wrong.
      const expected = /\/repository\/commits$/.test(what) ? 400 : 'may';
      expect([what, outcome('gitlab', what, answer)]).toEqual([what, expected]);
    }
  });

  test('in Jenkins', async () => {
    const authorization = loginTo('jenkins', 'ci-apply/apply-environment');
    const { text } = await askHttp('jenkins', 'GET /crumbIssuer/api/json', { login: { authorization } });
    const { crumb, crumbRequestField } = JSON.parse(text) as Record<string, string>;
    const admin = { authorization, [crumbRequestField ?? '']: crumb ?? '' };
    const hookTokens = dataOf('ci-reconciler', 'hook-tokens');
    const hookOf = (module: string): Sent => ({
      login: { 'x-gitlab-token': hookTokens[module] ?? '' },
      body: PUSH_OF_NO_BRANCH,
    });
    const reload = encodeURIComponent(secretOf('ci', 'jenkins-reload', 'token'));
    const build = 'POST /job/switchyard/job/orders/build';
    /** The same by who may, so that nothing comes of it. */
    const controls: Readonly<Record<string, readonly [what: string, sent: Sent, status: number]>> = {
      'POST /project/switchyard/orders': ['POST /project/switchyard/orders', hookOf('orders'), 200],
      'POST /project/switchyard/billing': ['POST /project/switchyard/billing', hookOf('billing'), 200],
      'GET /me/api/json': ['GET /me/api/json', { login: admin }, 200],
      // The job takes no parameters, which Jenkins says once it has asked who may build.
      [build]: [`${build}WithParameters`, { login: admin }, 500],
      'POST /reload-configuration-as-code/': [
        ...([`POST /reload-configuration-as-code/?casc-reload-token=${reload}`, { login: {} }, 200] as const),
      ],
    };
    expect(Object.keys(controls).sort()).toEqual(refused('jenkins').sort());
    for (const [refusal, [what, sent, status]] of Object.entries(controls))
      expect([refusal, (await askHttp('jenkins', what, sent)).status]).toEqual([refusal, status]);
  });

  test('in the stores, whose own logins change an object each', () => {
    for (const what of refused('stores')) {
      const store = storeOf(what);
      const own = storeKeys(labEnvironment(), store);
      expect([what, tryStore(inBucket(BUCKETS[store]), own, own, what)]).toEqual([what, 'may']);
    }
  });
});

describe('what opens the state, and what a rollout of one module is given', () => {
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
  const refused = 'incorrect passphrase';
  const opened = (passphrase: string, stack: string): string =>
    pulumi(passphrase, 'export', '--show-secrets', '--stack', stack);

  test('a rollout opens that module’s part of the state, and neither another’s nor the environment’s', async () => {
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
    await cut('orders', (stack) => {
      expect(opened(passphrase(), stack)).toContain('production-orders-namespace');
    });
    await cut('billing', (stack) => expect(() => opened(passphrase(), stack)).toThrow(refused));
    expect(() => opened(passphrase(), ENVIRONMENT)).toThrow(refused);
  }, 300_000);

  test('what backs up reads the state, and has nothing that opens it', () => {
    const held = [
      ['backup', 'backup'],
      ['ci-backup', 'backup-access'],
    ].flatMap(([namespace = '', name = '']) => Object.values(dataOf(namespace, name)));
    expect(held.length).toBeGreaterThan(5);
    for (const value of new Set(held)) expect(() => opened(value, ENVIRONMENT)).toThrow(refused);
    // So that it is the passphrase that is missing.
    expect(opened(labEnvironment().PULUMI_CONFIG_PASSPHRASE ?? '', ENVIRONMENT)).toContain('"deployment"');
  }, 300_000);

  test('a rollout is given that module’s passwords, and no other secret of the environment', () => {
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

  test('neither seed nor passphrase is in a Secret of , but where the whole state is read', () => {
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
