import { execFile, execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { behaviorOf, scalingTimes } from '../../../catalog/scaling';
import { kubeconfigPath } from '../../../lab/cluster';
import { suiteImageSteps } from '../../../lab/images';
import { deliver } from '../../../lab/journey';
import { MIRROR, NODE_IP } from '../../../lab/machine/addresses';
import { sleep } from '../../../lab/machine/process';
import { openLog } from '../../../lab/steps';
import { suitePartSteps, toolPath } from '../../../lab/toolchain';
import { ENVIRONMENT, JENKINS_URL, labEnvironment, REPOSITORY } from '../../../lab/topology';
import { type Moment, simulate } from '../../../operations/replay/simulate';
import { metricsServerManifests } from './metrics-server';
import { kubectl, runSwitchyard, until } from './running';

// A module whose Pods follow its requests, by real Prometheus, prometheus-adapter, metrics-server and HAProxy in images that
// this suite brings, under load of `hey`. Its tests follow each other: each begins with the Pods that the one before left.
jest.setTimeout(1_200_000);

const MODULE = 'pulse';
const PORT = 30090;
const URL = `http://${NODE_IP}:${PORT}/`;
const SPACE = `prod-${MODULE}`;
/** What one Pod is to have, and how many there may be: eight of them and a rollout fit on two cores. */
const TARGET = { qps: 10, min: 1, max: 8 } as const;
/** Longer than half of the square wave, and short enough that to see nothing leave takes no quarter of an hour. */
const DOWN = { windowSeconds: 120, percent: 100 } as const;
/** Seconds in which Pods would have left, had anything said so: the window, a rate, two decisions. */
const LEAVING = DOWN.windowSeconds + scalingTimes.window + 2 * scalingTimes.sync;

const log = openLog('e2e-scaling');
const exec = promisify(execFile);
let folder: string;

const environment = (): Record<string, string> => ({
  ...labEnvironment(),
  SWITCHYARD_CATALOG: join(folder, 'catalog'),
  SWITCHYARD_STACKS: join(folder, 'stacks'),
});

const run = (env: Record<string, string>, args: readonly string[], ...accept: number[]): Promise<string> =>
  runSwitchyard(log, env, args, ...accept);
/** 6: something else of the lab could not be read. */
const status = (): Promise<string> => run(environment(), ['status', ENVIRONMENT], 0, 6);
const says = (text: string, seconds: number): Promise<string> =>
  until(`"${text}" in status`, seconds, async () => {
    const said = await status();
    return said.includes(text) ? said : undefined;
  });

/** The workload at a moment, in seconds since the epoch. */
interface Sample {
  readonly at: number;
  readonly wanted: number;
  readonly ready: number;
}
const now = (): number => Date.now() / 1000;

async function pods(): Promise<Sample> {
  const path = 'jsonpath={.spec.replicas} {.status.readyReplicas}';
  const args = ['--kubeconfig', kubeconfigPath(), '-n', SPACE, 'get', `deployment/${MODULE}`, '-o', path];
  const { stdout } = await exec(toolPath('kubectl'), args);
  const [wanted = 0, ready = 0] = stdout.split(' ').map((text) => Number(text || 0));
  return { at: now(), wanted, ready };
}

/** Looks at the workload every two seconds until it is told to stop. */
function watch(): () => Promise<readonly Sample[]> {
  let going = true;
  const seen: Sample[] = [];
  const done = (async () => {
    for (; going; await sleep(2000)) seen.push(await pods());
  })();
  return async () => {
    going = false;
    await done;
    return seen;
  };
}
const changes = (seen: readonly Sample[]): number =>
  seen.filter(({ wanted }, index) => index > 0 && wanted !== seen[index - 1]?.wanted).length;

/** What `hey` sent, and what came back. */
interface Load {
  readonly from: number;
  readonly seconds: number;
  readonly qps: number;
  readonly slowest: number;
  /** Answers by status. */
  readonly answers: Readonly<Record<string, number>>;
  readonly errors: readonly string[];
}

/** So many requests a second, each by a connection of its own: else old Pods would keep all of them. */
async function hey(qps: number, seconds: number): Promise<Load> {
  const workers = 10;
  const from = now();
  const args = ['-z', `${seconds}s`, '-c', `${workers}`, '-q', `${qps / workers}`, '-t', '10'];
  const { stdout } = await exec('hey', [...args, '-disable-keepalive', URL], { maxBuffer: 16 << 20 });
  const number = (pattern: RegExp): number => Number(pattern.exec(stdout)?.[1] ?? Number.NaN);
  const answers = Object.fromEntries(
    [...stdout.matchAll(/^\s*\[(\d{3})\]\s+(\d+) responses$/gm)].map(([, code, count]) => [
      code,
      Number(count),
    ]),
  );
  const errors = [...stdout.matchAll(/^\s*\[\d+\]\s+(\D.*)$/gm)]
    .map(([, text = '']) => text)
    .filter((text) => !text.endsWith('responses'));
  const load = {
    from,
    seconds: now() - from,
    qps: number(/Requests\/sec:\s+([\d.]+)/),
    slowest: number(/Slowest:\s+([\d.]+)/),
    answers,
    errors,
  };
  log.line(JSON.stringify(load));
  return load;
}
function expectServed({ answers, errors }: Load): void {
  expect(errors).toEqual([]);
  expect(Object.keys(answers)).toEqual(['200']);
}

const scaleOf = (part: string, replicas: number): string =>
  kubectl('-n', 'autoscaling', 'scale', `deployment/${part}`, `--replicas=${replicas}`);

/** Everything offered and every sample up to the end of the square wave: what the replay is held against. */
const offered: Load[] = [];
const samples: Sample[] = [];

// For nights: its programs take minutes to compile, and to see that nothing leaves takes time.
describe('a module whose Pods follow its requests', () => {
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'switchyard-scaling-'));
    for (const part of ['catalog', 'stacks'])
      cpSync(join(REPOSITORY, part), join(folder, part), { recursive: true });
    writeFileSync(
      join(folder, 'catalog', 'modules', `${MODULE}.yaml`),
      `description: Answers at once, and scales
owners: [root]
merge: automatic
resources: { cpu: 25m, memory: 64Mi, memoryLimit: 128Mi }
production:
  nodePort: ${PORT}
  # Its share of the CPU is smaller than what a request takes of it: requests are to decide here.
  scaling: { ...TARGET, cpu: 2000, down: { windowSeconds: ${DOWN.windowSeconds}, percent: ${DOWN.percent} } }
`.replace('...TARGET', `qps: ${TARGET.qps}, min: ${TARGET.min}, max: ${TARGET.max}`),
    );
    // Debian's package of the same name.
    execFileSync('hey', ['-n', '1', '-c', '1', URL], { stdio: 'ignore' });
    for (const step of [...suitePartSteps('scaling'), ...suiteImageSteps('scaling')])
      if (!(await step.done?.()) && !(await step.fetch?.(log))) await step.run(log);
    const list = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: metricsServerManifests() });
    const apply = ['apply', '--server-side', '--force-conflicts', '-f', '-'];
    execFileSync(toolPath('kubectl'), ['--kubeconfig', kubeconfigPath(), ...apply], { input: list });
    kubectl('-n', 'kube-system', 'rollout', 'status', 'deployment/metrics-server', '--timeout=180s');
  }, 1_800_000);

  afterAll(async () => {
    await run(labEnvironment(), ['up', ENVIRONMENT, '--yes']);
    const list = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: metricsServerManifests() });
    const remove = ['delete', '--ignore-not-found', '-f', '-'];
    execFileSync(toolPath('kubectl'), ['--kubeconfig', kubeconfigPath(), ...remove], { input: list });
    rmSync(folder, { recursive: true, force: true });
  }, 600_000);

  test('it goes from a push to production, with one Pod and an autoscaler that sees requests and CPU', async () => {
    expect(await run(environment(), ['up', ENVIRONMENT, '--yes'])).toMatch(/^up of lab: \d+ create/m);
    await until('its job', 120, async () =>
      (await fetch(`${JENKINS_URL}/job/switchyard/job/${MODULE}/api/json`)).ok ? true : undefined,
    );
    await deliver(log, MODULE, 'first', 'Pulse', (checkout) =>
      cpSync(join(REPOSITORY, 'test', 'lab', 'scaling', MODULE), checkout, { recursive: true }),
    );
    expect((await pods()).wanted).toBe(TARGET.min);
    // A counter that never moved has a rate of 0 all the same.
    await until('an autoscaler that sees all it needs', 180, async () => {
      const said = await status();
      return /^pulse .* \(1–8\) +[\d.]+\/10 /m.test(said) && !/pulse: its autoscaler does not see/.test(said)
        ? said
        : undefined;
    });
  });

  test('only Prometheus reaches the metrics of the proxy', async () => {
    const address = kubectl(
      ...['-n', SPACE, 'get', 'pods', '-l', 'app.kubernetes.io/component=module'],
      ...['-o', 'jsonpath={.items[0].status.podIP}'],
    );
    // From a Pod that may go anywhere.
    const probe = ['-n', 'default', 'pod/probe'] as const;
    kubectl(
      ...['-n', 'default', 'run', 'probe', '--quiet', '--restart=Never'],
      ...[`--image=${MIRROR}/python:3.11`, '--command', '--', 'python3', '-c'],
      `import socket
for port in (18080, 18404, 8080):
  try:
    socket.create_connection(("${address}", port), 3).close()
    print(port, "open")
  except OSError:
    print(port, "closed")`,
    );
    kubectl('wait', ...probe, '--for=jsonpath={.status.phase}=Succeeded', '--timeout=60s');
    const said = kubectl('logs', ...probe);
    kubectl('delete', ...probe, '--now');
    expect(said.trim().split('\n')).toEqual(['18080 open', '18404 closed', '8080 closed']);
    const may = (account: string, verb: string, kind: string, namespace: string): string =>
      execFileSync(
        'sh',
        // It ends with 1 for "no".
        ['-c', '"$@" || :', 'sh', toolPath('kubectl'), '--kubeconfig', kubeconfigPath()].concat(
          ...['auth', 'can-i', verb, kind, '-n', namespace],
          `--as=system:serviceaccount:autoscaling:${account}`,
        ),
        { encoding: 'utf8' },
      ).trim();
    for (const account of ['prometheus', 'metrics-adapter']) {
      expect(may(account, 'list', 'pods', SPACE)).toBe('yes');
      for (const [verb, kind, namespace] of [
        ['list', 'secrets', SPACE],
        ['create', 'pods', SPACE],
        ['create', 'pods/exec', SPACE],
        ['list', 'pods', 'prod-orders'],
        ['list', 'secrets', 'kube-system'],
        ['list', 'secrets', 'autoscaling'],
      ] as const)
        expect([account, verb, kind, namespace, may(account, verb, kind, namespace)]).toEqual([
          ...[account, verb, kind, namespace],
          'no',
        ]);
    }
    const proxied = '/api/v1/namespaces/autoscaling/services/prometheus:9090/proxy/api/v1/query?query=up';
    const { data } = JSON.parse(kubectl('get', '--raw', proxied));
    expect(data.result.map(({ value }: { value: [number, string] }) => value[1])).toEqual(['1']);
  });

  test('from the target to five times of it: new Pods serve within the time that the replay says, and no request fails', async () => {
    const stop = watch();
    offered.push(await hey(TARGET.qps, 60));
    expect((await pods()).wanted).toBe(1);
    const begun = now();
    const step = hey(5 * TARGET.qps, 120);
    const first = await until('a second Pod', 60, async () => ((await pods()).ready > 1 ? now() : undefined));
    const all = await until('five Pods', 90, async () => ((await pods()).ready >= 5 ? now() : undefined));
    offered.push(await step);
    samples.push(...(await stop()));
    log.line(
      `step: a second Pod after ${(first - begun).toFixed(1)} s, five after ${(all - begun).toFixed(1)} s`,
    );
    expect(first - begun).toBeLessThan(30);
    expect(all - begun).toBeLessThan(45);
    for (const load of offered) expectServed(load);
  });

  test('a square wave of two minutes is followed up once, and not down', async () => {
    const stop = watch();
    for (let period = 0; period < 3; period++)
      for (const qps of [TARGET.qps, 5 * TARGET.qps]) offered.push(await hey(qps, 60));
    const seen = await stop();
    samples.push(...seen);
    expect(changes(seen)).toBeLessThanOrEqual(3);
    for (const load of offered) expectServed(load);
  });

  test('the replay of the same load has the same Pods', () => {
    const start = offered[0]?.from ?? 0;
    const end = samples.at(-1)?.at ?? 0;
    const offeredAt = (at: number): number => offered.findLast(({ from }) => from <= at)?.qps ?? 0;
    const step = scalingTimes.scrape;
    const trace = {
      step,
      // It begins settled, with the Pods of the first value.
      qps: Array.from({ length: Math.floor((end - start) / step) }, (_, index) =>
        index === 0 ? TARGET.qps : offeredAt(start + index * step),
      ),
    };
    const moments: Moment[] = [];
    const replayed = simulate(
      trace,
      { ...TARGET, behavior: behaviorOf(DOWN) },
      { capacity: 1000, startSeconds: 5 },
      (moment) => moments.push(moment),
    );
    const real = (at: number): number =>
      samples.findLast((sample) => sample.at - start <= at)?.wanted ?? TARGET.min;
    const hours = moments.reduce((sum, { at }) => sum + real(at) * step, 0) / 3600;
    // Decisions are every 15 s on both sides, and not in step: at most one of them apart.
    const apart = Math.max(
      ...moments.map(({ at, wanted }) =>
        Math.min(
          ...[-1, -0.5, 0, 0.5, 1].map((share) => Math.abs(real(at + share * scalingTimes.sync) - wanted)),
        ),
      ),
    );
    const atOnce = Math.max(...moments.map(({ at, wanted }) => Math.abs(real(at) - wanted)));
    log.line(
      `replay: ${replayed.podHours.toFixed(3)} Pod-hours, real ${hours.toFixed(3)}; at most ${apart} Pods apart within a decision, ${atOnce} at the same moment`,
    );
    expect(apart).toBeLessThanOrEqual(1);
    expect(Math.abs(replayed.podHours - hours) / hours).toBeLessThanOrEqual(0.1);
  });

  test('no up, no look for drift and no deploy sets the number back, and no request fails', async () => {
    const stop = watch();
    let going = true;
    const loads: Load[] = [];
    const load = (async () => {
      while (going) loads.push(await hey(5 * TARGET.qps, 30));
    })();
    try {
      await until('five Pods', 90, async () => ((await pods()).ready >= 5 ? true : undefined));
      const before = await pods();
      const up = await run(environment(), ['up', ENVIRONMENT, '--yes']);
      expect(up).toMatch(/^up of lab: no change$/m);
      expect(await run(environment(), ['drift', ENVIRONMENT])).toContain('no drift');
      await deliver(log, MODULE, 'second', 'Pulse 1.1.0', (checkout) =>
        writeFileSync(join(checkout, 'VERSION'), '1.1.0\n'),
      );
      const seen = await stop();
      expect(
        Math.min(...seen.filter(({ at }) => at >= before.at).map(({ wanted }) => wanted)),
      ).toBeGreaterThanOrEqual(5);
    } finally {
      going = false;
      await load;
    }
    expect(await (await fetch(URL, { headers: { connection: 'close' } })).json()).toEqual({
      version: '1.1.0',
    });
    for (const one of loads) expectServed(one);
  });

  describe('blind is not idle', () => {
    /** The load falls to a fifth at the moment at which a part is stopped. */
    const blinded = async (part: string): Promise<void> => {
      const before = (await pods()).wanted;
      expect(before).toBeGreaterThanOrEqual(5);
      scaleOf(part, 0);
      const stop = watch();
      try {
        const load = hey(TARGET.qps, LEAVING);
        await says(`${MODULE}: its autoscaler does not see requests`, 120);
        expectServed(await load);
      } finally {
        scaleOf(part, 1);
      }
      expect(Math.min(...(await stop()).map(({ wanted }) => wanted))).toBeGreaterThanOrEqual(before);
      kubectl('-n', 'autoscaling', 'rollout', 'status', `deployment/${part}`, '--timeout=120s');
    };

    test.each(['prometheus', 'metrics-adapter'])(
      '%s stopped: Pods stay, and status says what is not seen',
      async (part) => {
        // What the one before left may have gone since.
        const load = hey(5 * TARGET.qps, 60);
        await until('five Pods', 90, async () => ((await pods()).ready >= 5 ? true : undefined));
        expectServed(await load);
        await blinded(part);
      },
    );

    test('seeing again, it has one Pod: they would have left before', async () => {
      const load = hey(TARGET.qps, LEAVING + 60);
      await until('one Pod', LEAVING + 60, async () => ((await pods()).wanted === 1 ? true : undefined));
      expectServed(await load);
    });
  });

  test('more than max, and a quota that allows fewer, are told by status', async () => {
    const hard = (count: number): string =>
      kubectl(
        ...['-n', SPACE, 'patch', 'resourcequota/quota', '--type=merge'],
        ...['-p', JSON.stringify({ spec: { hard: { pods: String(count) } } })],
      );
    const declared = Number(
      kubectl('-n', SPACE, 'get', 'resourcequota/quota', '-o', 'jsonpath={.spec.hard.pods}'),
    );
    hard(3);
    try {
      const load = hey(12 * TARGET.qps, 150);
      expect(await says(`${MODULE} gets no more Pods: `, 90)).toContain('exceeded quota');
      await says(`${MODULE} would have more than ${TARGET.max} Pods: raise scaling.max`, 90);
      expect((await pods()).ready).toBe(3);
      await load;
    } finally {
      hard(declared);
    }
    expect(await run(environment(), ['drift', ENVIRONMENT])).toContain('no drift');
  });
});
