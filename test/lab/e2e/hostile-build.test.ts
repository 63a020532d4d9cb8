import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { kubeconfigPath } from '../../../lab/cluster';
import {
  type Example,
  finalStatus,
  mergeRequest,
  openMergeRequest,
  productionVersion,
} from '../../../lab/journey';
import {
  API_SERVICE_IP,
  HOST_IP,
  MIRROR,
  MIRROR_PUSH,
  NODE_IP,
  REGISTRY,
} from '../../../lab/machine/addresses';
import { holder } from '../../../lab/machine/holder';
import { inMachine } from '../../../lab/machine/network';
import { sleep } from '../../../lab/machine/process';
import { cacheHome, openLog } from '../../../lab/steps';
import { ENVIRONMENT, JENKINS_URL, labEnvironment, REPOSITORY, switchyard } from '../../../lab/topology';
import { fields } from '../../../rules/facts/read';
import { declarationsOf, modelWith } from '../../support/workloads';
import { type Agent, agentsIn, askAsAgent, TRIES_OF_AGENT } from './agent-request';

// A merge request's Dockerfile that tries to get out of its build (issue D.2), on the running lab.
jest.setTimeout(900_000);

const log = openLog('e2e');
const exec = promisify(execFile);
const METADATA = '169.254.169.254';

async function kubectl(args: string[], input?: string): Promise<string> {
  const child = exec(join(cacheHome(), 'bin', 'kubectl'), args, {
    env: { ...process.env, KUBECONFIG: kubeconfigPath() },
    maxBuffer: 64 << 20,
  });
  child.child.stdin?.end(input);
  return (await child).stdout;
}

/** What a build must not reach: each answers to a Pod that nothing fences, as the control shows. */
const FORBIDDEN: Record<string, string> = {
  'API server, Service': `${API_SERVICE_IP}:443`,
  'API server, node': `${NODE_IP}:6443`,
  kubelet: `${NODE_IP}:10250`,
  metadata: `${METADATA}:80`,
  GitLab: `${NODE_IP}:8929`,
  state: `${NODE_IP}:9000`,
  backups: `${NODE_IP}:9001`,
  "another module's production": `${NODE_IP}:30082`,
  "another module's Service": 'billing.prod-billing.svc.cluster.local:80',
};
/** What it needs, so that a wall around everything proves nothing. */
const ALLOWED: Record<string, string> = {
  'base images': MIRROR,
  'registry, which asks for a login': REGISTRY,
};

/** Where the lab pushes base images, as a Pod would name it: nobody but the host itself has a way. */
const PUSH_PORT = MIRROR_PUSH.split(':')[1];
const PUSHING: Record<string, string> = {
  'where base images are pushed, host': `${HOST_IP}:${PUSH_PORT}`,
  'where base images are pushed, node': `${NODE_IP}:${PUSH_PORT}`,
};

const TARGETS = JSON.stringify({ ...FORBIDDEN, ...ALLOWED });

/** At which a step of the build beside listens, on all addresses of its Pod. */
const NEIGHBOUR_PORT = 1234;
/** Seconds that it would sleep. */
const SLEEP = 600;

/** Prints one line a probe: `probe <JSON>`; and what the logins of a build of one module get of another's. */
const ASKING = `import concurrent.futures, glob, json, os, re, socket, sys, time, urllib.request, urllib.error

def say(name, value):
    print("probe " + json.dumps([name, value]), flush=True)

def ask(host, login, method, path, body=None):
    request = urllib.request.Request("http://%s/v2/%s" % (host, path), data=body, method=method)
    request.add_header("Accept", "application/vnd.oci.image.manifest.v1+json")
    request.add_header("Content-Type", "application/vnd.oci.image.manifest.v1+json")
    if login:
        request.add_header("Authorization", "Basic " + login)
    try:
        return urllib.request.urlopen(request, timeout=10).status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError as error:
        return "shut"

def try_logins(logins, own, other, digest):
    for host, login in logins.items():
        here = "gate" if host.endswith(":8099") else "registry"
        say(here + ": its own login", ask(host, login, "GET", ""))
        say(here + ": another module's image", ask(host, login, "GET", "modules/%s/manifests/%s" % (other, digest)))
        say(here + ": push to another module", ask(host, login, "POST", "modules/%s/blobs/uploads/" % other, b""))
        say(here + ": list", ask(host, login, "GET", "_catalog"))
        say(here + ": the cache of main", ask(host, login, "PUT", "modules/%s/manifests/buildcache" % own, b"{}"))
`;

/** Tries to change what every module's image starts from; a manifest with a blank more is another that a registry would take. */
const TRY_MIRROR = `
def try_mirror(mirror):
    kind = "application/vnd.docker.distribution.manifest.v2+json"
    def send(method, path, body=None):
        request = urllib.request.Request("http://%s/v2/python/%s" % (mirror, path), data=body, method=method)
        request.add_header("Accept", kind)
        request.add_header("Content-Type", kind)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, b""
    status, manifest = send("GET", "manifests/3.11")
    say("mirror: read a base", status)
    say("mirror: upload", send("POST", "blobs/uploads/", b"")[0])
    say("mirror: another image by a base's name", send("PUT", "manifests/3.11", manifest + b" ")[0])
    # Of nothing, lest a mirror that takes it lose a base.
    say("mirror: remove an image", send("DELETE", "manifests/sha256:" + 64 * "0")[0])
`;

/** What a build has of logins, asked in its place: the logins, its module, another one and a digest of that one's. */
const ASK_LOGINS = `${ASKING}
time.sleep(float(os.environ.get("PROBE_WAIT", "0")))
try_logins(json.loads(sys.argv[1]), *sys.argv[2:5])
`;

const PROBE = String.raw`${ASKING}${TRY_MIRROR}
# A policy holds a moment after its Pod is there.
time.sleep(float(os.environ.get("PROBE_WAIT", "0")))
def reach(target):
    host, port = target.rsplit(":", 1)
    try:
        socket.create_connection((host, int(port)), timeout=3).close()
        return "open"
    except OSError:
        return "shut"

targets = json.loads(sys.argv[1])
with concurrent.futures.ThreadPoolExecutor(len(targets)) as pool:
    for name, answer in zip(targets, pool.map(reach, targets.values())):
        say(name, answer)

if len(sys.argv) > 2:
    digest = sys.argv[2]
    say("token", glob.glob("/proc/[0-9]*/root/var/run/secrets/kubernetes.io/serviceaccount/token"))
    variables, commands = set(), []
    for folder in glob.glob("/proc/[0-9]*"):
        try:
            text = open(folder + "/environ", "rb").read().decode("utf8", "replace")
            variables |= set(re.findall(r"(?:^|\0)([A-Z_]*(?:TOKEN|PASSWORD|CERTIFICATE|SEED|PASSPHRASE|SECRET)[A-Z_]*)=", text))
        except OSError:
            pass
        try:
            commands.append(open(folder + "/cmdline", "rb").read().decode("utf8", "replace").replace("\0", " "))
        except OSError:
            pass
    say("variables", sorted(variables))
    say("daemons", len([c for c in commands if re.match(r"^(\S*/)?buildkitd ", c)]))
    say("neighbour", [c for c in commands if "neighbour-of-" in c])
    # Whoever takes over the daemon finds what it logs in with.
    logins = {}
    for file in glob.glob("/proc/[0-9]*/root/home/jenkins/agent/workspace/**/.switchyard/build/docker/config.json", recursive=True):
        try:
            logins.update({host: entry["auth"] for host, entry in json.load(open(file))["auths"].items()})
        except OSError:
            pass
    say("logins", sorted("gate" if host.endswith(":8099") else host for host in logins))

    try_logins(logins, "orders", "billing", digest)
    try_mirror(sys.argv[5])
    # Another build: its gate, with no password and with this build's, and what listens in its Pod.
    gate, pod = sys.argv[3], sys.argv[4]
    say("another build's gate", ask(gate, None, "GET", ""))
    say("another build's gate, by a wrong password", ask(gate, "YnVpbGQ6MDA=", "GET", "modules/billing/tags/list"))
    say("another build's Pod", reach(pod + ":${NEIGHBOUR_PORT}"))
    # Stays behind, if anything can.
    os.system("setsid sleep 36000 >/dev/null 2>&1 &")
`;

const consoleText = async (module: Example): Promise<string> =>
  (await fetch(`${JENKINS_URL}/job/switchyard/job/${module}/lastBuild/consoleText`)).text();

const probes = (text: string): Record<string, unknown> =>
  Object.fromEntries(
    [...text.matchAll(/\bprobe (\[.*\])\s*$/gm)].map(
      ([, json = '[]']) => JSON.parse(json) as [string, unknown],
    ),
  );

const expected = (value: string, targets: Record<string, string>) =>
  Object.fromEntries(Object.keys(targets).map((name) => [name, value]));

/** Puts lines before the last `ENV` of the module's Dockerfile. */
const withSteps =
  (steps: string, files: Record<string, string> = {}) =>
  (checkout: string): void => {
    for (const [name, text] of Object.entries(files)) writeFileSync(join(checkout, name), text);
    const dockerfile = join(checkout, 'Dockerfile');
    const text = readFileSync(dockerfile, 'utf8');
    writeFileSync(dockerfile, text.replace('\nENV PYTHONUNBUFFERED', `\n${steps}\nENV PYTHONUNBUFFERED`));
  };

/** What base images of this name are now. */
async function baseDigest(): Promise<string> {
  const accept = 'application/vnd.docker.distribution.manifest.v2+json';
  const found = await fetch(`http://${MIRROR}/v2/python/manifests/3.11`, { headers: { accept } });
  expect(found.status).toBe(200);
  return found.headers.get('docker-content-digest') ?? '';
}

async function releasedDigest(module: Example): Promise<string> {
  const image = await kubectl([
    '--namespace',
    `prod-${module}`,
    'get',
    'deployment',
    module,
    '-o',
    'jsonpath={.spec.template.spec.containers[0].image}',
  ]);
  return /sha256:[0-9a-f]{64}/.exec(image)?.[0] ?? '';
}

let metadata: ChildProcess | undefined;

/** A service at the address at which clouds tell their machines who they are. */
function startMetadata(): void {
  const machine = holder();
  if (!machine) throw new Error('the lab does not run');
  inMachine(machine, 'ip', ['address', 'replace', `${METADATA}/32`, 'dev', 'lo']);
  const program = `require('node:http').createServer((_, r) => r.end('role')).listen(80, '${METADATA}')`;
  metadata = spawn(
    'nsenter',
    ['--target', String(machine.pid), '--net', '--', process.execPath, '-e', program],
    {
      stdio: 'ignore',
    },
  );
}

beforeAll(startMetadata);
afterAll(async () => {
  metadata?.kill();
  const machine = holder();
  if (machine) inMachine(machine, 'ip', ['address', 'delete', `${METADATA}/32`, 'dev', 'lo']);
  const own = ['e2e-unfenced', 'e2e-everywhere', 'e2e-volumes'];
  await kubectl(['delete', 'namespace', ...own, '--ignore-not-found', '--wait=false']);
});

/** Answers to the probe in a Pod of its own in a namespace, whose policies are for all Pods there. */
const probedIn = (namespace: string, targets: Record<string, string>): Promise<Record<string, unknown>> =>
  answersIn(namespace, [PROBE, JSON.stringify(targets)]);

/** What a program of Python says there. */
async function answersIn(namespace: string, program: readonly string[]): Promise<Record<string, unknown>> {
  const limits = { cpu: '200m', memory: '64Mi', 'ephemeral-storage': '64Mi' };
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'e2e-probe', namespace },
    spec: {
      restartPolicy: 'Never',
      automountServiceAccountToken: false,
      securityContext: { runAsNonRoot: true, runAsUser: 1000, seccompProfile: { type: 'RuntimeDefault' } },
      containers: [
        {
          name: 'probe',
          image: `${MIRROR}/python:3.11`,
          command: ['python3', '-c', ...program],
          env: [{ name: 'PROBE_WAIT', value: '3' }],
          resources: { limits },
          securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
        },
      ],
    },
  };
  const within = `--namespace=${namespace}`;
  await kubectl([within, 'delete', 'pod', 'e2e-probe', '--ignore-not-found']);
  await kubectl(['apply', '-f', '-'], JSON.stringify(pod));
  const done = '--for=jsonpath={.status.phase}=Succeeded';
  await kubectl([within, 'wait', done, '--timeout=180s', 'pod/e2e-probe']);
  const answers = probes(await kubectl([within, 'logs', 'e2e-probe']));
  await kubectl([within, 'delete', 'pod', 'e2e-probe', '--wait=false']);
  return answers;
}

/** A namespace of the test's own, with the policies given. */
async function openNamespace(name: string, policies: readonly object[] = []): Promise<void> {
  const items = [
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name } },
    ...policies.map((policy) => ({ apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', ...policy })),
  ];
  await kubectl(['apply', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
}

test('what a build must not reach does answer to a Pod that nothing fences', async () => {
  await openNamespace('e2e-unfenced');
  const answers = await probedIn('e2e-unfenced', { ...FORBIDDEN, ...ALLOWED });
  // Production lets in whom its policy names, and nobody else.
  const { "another module's Service": _service, ...others } = FORBIDDEN;
  expect(answers).toMatchObject({ ...expected('open', others), ...expected('open', ALLOWED) });
});

test('where the lab pushes base images answers on the host, and to no Pod at all', async () => {
  expect((await fetch(`http://${MIRROR_PUSH}/v2/`)).status).toBe(200);
  await openNamespace('e2e-unfenced');
  expect(await probedIn('e2e-unfenced', { ...PUSHING, ...ALLOWED })).toEqual({
    ...expected('shut', PUSHING),
    ...expected('open', ALLOWED),
  });
});

// Foreign code runs there: a merge request's tests, and the program of one on the topology.
test('nor does what runs in a test namespace reach any of it, and no registry either', async () => {
  expect(await probedIn('test-orders', { ...FORBIDDEN, ...ALLOWED })).toEqual({
    ...expected('shut', FORBIDDEN),
    ...expected('shut', ALLOWED),
  });
});

test('what previews foreign code reaches the API server, by an account that reads no Secret, and nothing else of it', async () => {
  expect(await probedIn('ci-preview', { ...FORBIDDEN, ...ALLOWED })).toEqual({
    ...expected('shut', FORBIDDEN),
    ...expected('shut', ALLOWED),
    'API server, Service': 'open',
    'API server, node': 'open',
  });
});

test('a module that asks for a way out to everywhere gets none to what tells nodes who they are', async () => {
  const everywhere = '{ cidr: 0.0.0.0/0, ports: [80, 443, 6443] }';
  const model = modelWith({ shop: `description: sells\nowners: [ada]\ntest: { egress: [${everywhere}] }\n` });
  const namespace = 'e2e-everywhere';
  const policies = declarationsOf(model)
    .filter(({ type, name }) => type.endsWith(':NetworkPolicy') && name.startsWith('testing-shop-'))
    .map(({ args }) => ({ ...args, metadata: { ...fields(args, 'metadata'), namespace } }));
  expect(policies.length).toBeGreaterThan(1);
  await openNamespace(namespace, policies);
  const { metadata: cloud = '', 'API server, node': node = '' } = FORBIDDEN;
  expect(await probedIn(namespace, { cloud, node })).toEqual({ cloud: 'shut', node: 'open' });
});

test('a module of production reaches its services, and nothing of this either', async () => {
  const targets = { ...FORBIDDEN, 'base images': MIRROR, 'its database': 'mysql.prod-orders.svc:3306' };
  const program = ['python3', '-c', PROBE, JSON.stringify(targets)];
  const where = ['--namespace=prod-orders', 'exec', 'deployment/orders', '-c', 'module', '--'];
  expect(probes(await kubectl([...where, ...program]))).toEqual({
    ...expected('shut', FORBIDDEN),
    'base images': 'shut',
    'its database': 'open',
  });
});

/** The Pod of a module's build that runs, and what it logs in with: Docker's config.json, read where BuildKit reads it. */
async function buildOf(
  module: Example,
): Promise<{ pod: string; ip: string; logins: Record<string, string> }> {
  const within = '--namespace=ci-build';
  const { items } = JSON.parse(await kubectl([within, 'get', 'pods', '-o', 'json'])) as {
    items: { metadata: { name: string }; status: { podIP?: string } }[];
  };
  const file = `/home/jenkins/agent/workspace/*/${module}*/.switchyard/build/docker/config.json`;
  for (const { metadata, status } of items) {
    const read = ['exec', metadata.name, '-c', 'buildkitd', '--', 'sh', '-c', `cat ${file}`];
    const config = await kubectl([within, ...read]).catch(() => undefined);
    if (config === undefined) continue;
    const { auths } = JSON.parse(config) as { auths: Record<string, { auth: string }> };
    const logins = Object.entries(auths).map(([host, { auth }]) => [host, auth]);
    return { pod: metadata.name, ip: status.podIP ?? '', logins: Object.fromEntries(logins) };
  }
  throw new Error(`no build of ${module} runs`);
}

describe('a Dockerfile that tries to get out', () => {
  let text: string;
  let neighbourHas: { readonly logins: Record<string, string>; readonly answers: Record<string, unknown> };
  /** The agents of that build while it ran, and what each was answered. */
  let agents: readonly Agent[];
  const asAgents: [agent: string, what: string, status: number][] = [];
  let before: string | undefined;
  let base: string;

  beforeAll(async () => {
    before = await productionVersion();
    base = await baseDigest();
    // Another build at the same time, with a secret in a cache of the same name.
    const neighbour = await openMergeRequest(
      log,
      'neighbour',
      'A build beside a hostile one',
      withSteps(
        // It sleeps until it is ended below, and listens meanwhile.
        `RUN --mount=type=cache,id=shared,target=/shared echo secret-of-billing >/shared/secret && (timeout ${SLEEP} python3 -m http.server ${NEIGHBOUR_PORT} >/dev/null 2>&1 & sh -c "sleep ${SLEEP}; : neighbour-of-orders") && false`,
      ),
      'billing',
    );
    expect(neighbour).toBeDefined();
    const end = Date.now() + 300_000;
    while (!(await consoleText('billing')).includes('neighbour-of-orders') && Date.now() < end)
      await sleep(500);
    const { pod, ip, logins } = await buildOf('billing');
    const inNeighbour = (script: string) =>
      kubectl(['--namespace=ci-build', 'exec', pod, '-c', 'buildkitd', '--', 'sh', '-c', script]);
    // A port that nobody listens at would be shut to everybody. 0A: it listens.
    const listens = new RegExp(`:${NEIGHBOUR_PORT.toString(16).toUpperCase().padStart(4, '0')} \\S+ 0A `);
    while (!listens.test(await inNeighbour('cat /proc/net/tcp'))) {
      if (Date.now() > end) throw new Error('the step of the neighbour does not listen');
      await sleep(500);
    }
    const asked = [JSON.stringify(logins), 'billing', 'orders', await releasedDigest('orders')];
    neighbourHas = { logins, answers: await answersIn('ci-build', [ASK_LOGINS, ...asked]) };
    agents = agentsIn(
      await kubectl(['get', 'pods', '--all-namespaces', '-l', 'jenkins=slave', '-o', 'json']),
    );
    for (const agent of agents)
      for (const what of Object.keys(TRIES_OF_AGENT))
        asAgents.push([agent.name, what, await askAsAgent(JENKINS_URL, agent, agents, what)]);
    const gate = Object.keys(logins).find((host) => host.endsWith(':8099')) ?? '';
    const steps = [
      'COPY probe.py /probe.py',
      `RUN PROBE_WAIT=3 python3 /probe.py '${TARGETS.replaceAll("'", `'\\''`)}' ${await releasedDigest('billing')} ${gate} ${ip} ${MIRROR}`,
      'RUN --mount=type=cache,id=shared,target=/shared echo "probe [\\"shared cache\\", \\"$(cat /shared/secret 2>/dev/null)\\"]"',
      'RUN false',
    ].join('\n');
    const iid = await openMergeRequest(
      log,
      'hostile-build',
      'A build that wants out',
      withSteps(steps, { 'probe.py': PROBE }),
    );
    const opened = await mergeRequest(iid as number);
    expect((await finalStatus(String(opened.sha))).state).toBe('failed');
    text = await consoleText('orders');
    // It slept beside all of this; now it ends. The image has no `pkill`.
    const slept = `[ "$(tr '\\0' ' ' <$p/cmdline 2>/dev/null)" = 'sleep ${SLEEP} ' ]`;
    const wake = `for p in /proc/[0-9]*; do if ${slept}; then kill "\${p#/proc/}" && echo ended; fi; done`;
    expect(await inNeighbour(wake)).toContain('ended');
  }, 1_200_000);

  test('reaches no API server, node, cloud, GitLab, store or other module; it reaches what it needs', () => {
    expect(probes(text)).toMatchObject({ ...expected('shut', FORBIDDEN), ...expected('open', ALLOWED) });
  });

  test('finds no account and no secret, in no process that it sees', () => {
    expect(probes(text)).toMatchObject({ token: [], variables: [] });
  });

  test('reads what images start from, and changes nothing of it', async () => {
    expect(probes(text)).toMatchObject({
      'mirror: read a base': 200,
      'mirror: upload': 405,
      "mirror: another image by a base's name": 405,
      'mirror: remove an image': 405,
    });
    expect(base).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(await baseDigest()).toBe(base);
  });

  test('sees its own BuildKit only, and nothing of the build beside it', async () => {
    expect(await consoleText('billing')).toContain('neighbour-of-orders');
    expect(probes(text)).toMatchObject({ daemons: 1, neighbour: [], 'shared cache': '' });
  });

  /** What both logins of a build are answered. */
  const REFUSED = Object.fromEntries(
    ['gate', 'registry'].flatMap((host) => [
      [`${host}: its own login`, 200],
      ...["another module's image", 'push to another module', 'list', 'the cache of main'].map(
        (what) => [`${host}: ${what}`, 403] as const,
      ),
    ]),
  );

  // A step has fewer capabilities than its daemon, so the kernel here hides the daemon's files from it. One that does not,
  // or a BuildKit that is taken over, gives it these.
  test('would find two logins with its BuildKit, which get to no other module and change no cache but its own', () => {
    expect(Object.keys(neighbourHas.logins)).toHaveLength(2);
    expect(neighbourHas.logins).toHaveProperty([REGISTRY]);
    expect(neighbourHas.answers).toEqual(REFUSED);
  });

  test('finds no login, or only those', () => {
    const found = probes(text);
    const answers = Object.entries(found).filter(([name]) => /^(gate|registry): /.test(name));
    expect(answers).toHaveLength(5 * (found.logins as string[]).length);
    expect(REFUSED).toMatchObject(Object.fromEntries(answers));
  });

  test('is with its agent’s secret that agent, no other one and nobody’s login, as is the delivery beside it', () => {
    const places = agents.map(({ namespace }) => namespace);
    expect(places).toEqual(expect.arrayContaining(['ci-agents', 'ci-build']));
    expect(asAgents).toEqual(
      agents.flatMap(({ name }) =>
        Object.entries(TRIES_OF_AGENT).map(([what, status]) => [name, what, status]),
      ),
    );
  });

  test('gets to nothing in the Pod of the build beside it, and is told nothing by that one’s gate', () => {
    expect(probes(text)).toMatchObject({
      "another build's Pod": 'shut',
      "another build's gate": 401,
      "another build's gate, by a wrong password": 401,
    });
  });

  test('leaves nothing behind: its Pod is gone, and production is as it was', async () => {
    const end = Date.now() + 300_000;
    const pods = () => kubectl(['--namespace=ci-build', 'get', 'pods', '-o', 'name']);
    while ((await pods()) !== '' && Date.now() < end) await sleep(1000);
    expect(await pods()).toBe('');
    expect(await productionVersion()).toBe(before);
  });

  test("another module's image is no base: the registry refuses it", async () => {
    const from = `FROM ${REGISTRY}/modules/billing@${await releasedDigest('billing')}`;
    const iid = await openMergeRequest(log, 'hostile-base', 'Upon what others made', (checkout) =>
      writeFileSync(join(checkout, 'Dockerfile'), `${from}\nRUN true\n`),
    );
    const opened = await mergeRequest(iid as number);
    expect((await finalStatus(String(opened.sha))).state).toBe('failed');
    expect(await consoleText('orders')).toMatch(/modules\/billing[^\n]*403 Forbidden/);
  });

  // What BuildKit's own volume does not hold: a hole takes nothing there, and all of it on a node.
  test.each([
    [
      'a folder outside of every limit',
      'VOLUME /flood',
      'handed over an image that declares VOLUME "/flood"',
    ],
    ['what no signal stops', 'STOPSIGNAL 99', 'handed over an image that declares STOPSIGNAL "99"'],
    ['more than it may unpack to', 'RUN truncate -s 5G /flood', 'that brings it to more than 4 GiB unpacked'],
  ])('an image with %s is not published', async (_what, step, why) => {
    const name = step.split(' ')[0]?.toLowerCase() ?? '';
    const iid = await openMergeRequest(log, `hostile-${name}`, `An image with ${name}`, withSteps(step));
    const opened = await mergeRequest(iid as number);
    expect((await finalStatus(String(opened.sha))).state).toBe('failed');
    const text = await consoleText('orders');
    expect(text).toContain(why);
    expect(text).not.toMatch(/published modules\/orders@/);
  });
});

test('nodes give no image a volume of its own: where it declares one, its root is read-only all the same', async () => {
  const namespace = 'e2e-volumes';
  const within = `--namespace=${namespace}`;
  await openNamespace(namespace);
  const path = 'jsonpath={.spec.template.spec.containers[0].image}';
  const image = await kubectl(['--namespace=prod-orders', 'get', 'statefulset', 'mysql', '-o', path]);
  // One stream: of two, the node may keep the lines in another order than they were written in.
  const script = 'if touch /var/lib/mysql/flood 2>&1; then echo written; else echo refused; fi';
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'volume', namespace },
    spec: {
      restartPolicy: 'Never',
      automountServiceAccountToken: false,
      securityContext: { runAsNonRoot: true, runAsUser: 999, seccompProfile: { type: 'RuntimeDefault' } },
      containers: [
        {
          name: 'volume',
          image,
          command: ['sh', '-c', script],
          securityContext: {
            allowPrivilegeEscalation: false,
            capabilities: { drop: ['ALL'] },
            readOnlyRootFilesystem: true,
          },
        },
      ],
    },
  };
  await kubectl(['apply', '-f', '-'], JSON.stringify(pod));
  const done = '--for=jsonpath={.status.phase}=Succeeded';
  await kubectl([within, 'wait', done, '--timeout=180s', 'pod/volume']);
  expect(await kubectl([within, 'logs', 'volume'])).toMatch(/Read-only file system\nrefused\n$/);
});

test('afterwards the topology is as it was applied', async () => {
  const [command, args] = switchyard(['preview', ENVIRONMENT]);
  const { stdout } = await log.exec(command, args, { cwd: REPOSITORY, env: labEnvironment() });
  expect(stdout.trim().split('\n').at(-1)).toBe('preview of lab: no change');
});
