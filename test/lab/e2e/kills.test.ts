import { execFile } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { kubeconfigPath } from '../../../lab/cluster';
import { GITLAB_URL } from '../../../lab/gitlab';
import { sleep } from '../../../lab/machine/process';
import { cacheHome, openLog } from '../../../lab/steps';
import { ENVIRONMENT, labEnvironment, REPOSITORY, rootToken, switchyard } from '../../../lab/topology';
import { loadStack } from '../../../stacks/load';
import { scaled } from '../../support/scale';
import { killedUp } from './running';

// Runs of `up` on a running lab, each ended with kill -9 at a random moment: modules come and go meanwhile, with their
// projects, hooks, keys, namespaces and a database. That `destroy` leaves nothing after it is held by topology.test.ts.
jest.setTimeout(scaled({ usual: 600_000, all: 1_200_000 }));

/** One for each part of a run, in random order; more of them find rarer moments. */
const KILLS = scaled({ usual: 3, all: 20 });
/** Seconds after its start at which a run is ended at the earliest: there is no engine yet. */
const EARLIEST = 0.5;
/** The same seed kills at the same moments: SWITCHYARD_KILLS_SEED of a run that failed. */
const seed = Number(process.env.SWITCHYARD_KILLS_SEED ?? randomInt(2 ** 31));

const MODULES = ['kills-a', 'kills-b', 'kills-c'];
const exec = promisify(execFile);
const log = openLog('e2e-kills');
let folder: string;

/** Numbers of [0, 1), the same for the same seed (a linear congruential generator, the constants of C's `rand48`). */
function numbers(from: number): () => number {
  let state = (BigInt(from) << 16n) + 0x330en;
  return () => {
    state = (state * 0x5deece66dn + 0xbn) & 0xffffffffffffn;
    return Number(state >> 16n) / 2 ** 32;
  };
}

/** The lab with three modules more, and with labels and deploy keys in all projects. */
function widen(): void {
  for (const name of ['catalog', 'stacks'])
    cpSync(join(REPOSITORY, name), join(folder, name), { recursive: true });
  for (const [index, name] of MODULES.entries()) {
    const services = index === 0 ? 'services: [{ kind: redis, version: "7.4" }]\n' : '';
    writeFileSync(
      join(folder, 'catalog', 'modules', `${name}.yaml`),
      `description: Comes and goes\nowners: [root]\n${services}`,
    );
  }
  const file = join(folder, 'stacks', `Pulumi.${ENVIRONMENT}.yaml`);
  const key = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJjyd5AEq/fcQpVO46dXWPKitUBaUFedCmKGwzViz8bI mirror';
  const stack = readFileSync(file, 'utf8').replace(
    /^( *)botTokenExpires: .*$/m,
    `$&\n$1labels: [{ name: urgent, color: "#ff0000" }]\n$1deployKeys: [{ title: mirror, key: "${key}" }]`,
  );
  writeFileSync(file, stack);
}

type Goal = 'plain' | 'wide';
const environmentOf = (goal: Goal): Record<string, string> => ({
  ...labEnvironment(),
  ...(goal === 'wide'
    ? { SWITCHYARD_CATALOG: join(folder, 'catalog'), SWITCHYARD_STACKS: join(folder, 'stacks') }
    : {}),
});

async function run(goal: Goal, ...args: string[]): Promise<string> {
  const [command, all] = switchyard(args);
  const { stdout } = await log.exec(command, all, { cwd: REPOSITORY, env: environmentOf(goal) });
  return stdout.trim().split('\n').at(-1) ?? '';
}

const KINDS = [
  ...['namespaces', 'configmaps', 'secrets', 'services', 'serviceaccounts', 'persistentvolumeclaims'],
  ...['resourcequotas', 'limitranges', 'deployments', 'statefulsets', 'cronjobs', 'roles', 'rolebindings'],
  ...['clusterroles', 'clusterrolebindings', 'networkpolicies', 'poddisruptionbudgets', 'priorityclasses'],
];

interface Listed {
  readonly items: readonly {
    readonly kind: string;
    readonly metadata: { readonly name: string; readonly namespace?: string; readonly ownerReferences?: [] };
  }[];
}

/** `Kind namespace/name` of every labelled object of the cluster that nothing else made. */
async function objects(): Promise<string[]> {
  const args = ['get', KINDS.join(), '-A', '-l', 'app.kubernetes.io/part-of=switchyard', '-o', 'json'];
  const env = { ...process.env, KUBECONFIG: kubeconfigPath() };
  const { stdout } = await exec(join(cacheHome(), 'bin', 'kubectl'), args, { env, maxBuffer: 256 << 20 });
  return (JSON.parse(stdout) as Listed).items
    .filter(({ metadata }) => metadata.ownerReferences === undefined)
    .map(({ kind, metadata: { namespace, name } }) => `${kind} ${namespace ? `${namespace}/` : ''}${name}`);
}

interface Exported {
  readonly deployment: {
    readonly resources: readonly { readonly type: string; readonly id?: string }[];
    readonly pending_operations?: readonly unknown[];
  };
}

/** The same of every object that the state knows, and how many operations it takes for unfinished. */
async function recorded(): Promise<{ objects: string[]; open: number }> {
  const { backend } = loadStack(join(REPOSITORY, 'stacks'), ENVIRONMENT);
  const { stdout } = await exec(
    join(cacheHome(), 'bin', 'pulumi'),
    ['stack', 'export', '--stack', `organization/switchyard/${ENVIRONMENT}`],
    { env: { ...process.env, ...labEnvironment(), PULUMI_BACKEND_URL: backend }, maxBuffer: 256 << 20 },
  );
  const { resources, pending_operations: open = [] } = (JSON.parse(stdout) as Exported).deployment;
  const known = resources.filter(({ type }) => type.startsWith('kubernetes:'));
  return { objects: known.map(({ type, id }) => `${type.split(':')[2]} ${id}`), open: open.length };
}

const without = (all: readonly string[], some: readonly string[]): string[] =>
  all.filter((one) => !some.includes(one)).sort();

async function gitlab<T>(path: string): Promise<T> {
  const headers = { 'PRIVATE-TOKEN': rootToken() };
  const response = await fetch(`${GITLAB_URL}/api/v4/${path}`, { headers });
  if (!response.ok) throw new Error(`GitLab answers ${response.status} to ${path}`);
  return (await response.json()) as T;
}

/** All that could be there twice in GitLab. */
async function inGitlab(): Promise<string[]> {
  const projects = await gitlab<{ id: number; path: string }[]>('groups/switchyard/projects?per_page=100');
  const tokens = await gitlab<{ name: string; active: boolean }[]>('groups/switchyard/access_tokens');
  const parts = projects.map(async ({ id, path }) => {
    const of = async <T>(part: string, name: (one: T) => string) =>
      (await gitlab<T[]>(`projects/${id}/${part}?per_page=100`)).map((one) => `${path} ${part} ${name(one)}`);
    return [
      `project ${path}`,
      ...(await of<{ url: string }>('hooks', ({ url }) => url)),
      ...(await of<{ title: string }>('deploy_keys', ({ title }) => title)),
      ...(await of<{ name: string }>('labels', ({ name }) => name)),
      ...(await of<{ name: string }>('protected_branches', ({ name }) => name)),
    ];
  });
  return [
    ...(await Promise.all(parts)).flat(),
    ...tokens.filter(({ active }) => active).map(({ name }) => `token ${name}`),
  ].sort();
}

interface Kill {
  readonly goal: Goal;
  /** Which part of a run that has nothing to do is over, from 0 to 1. */
  readonly moment: number;
}

function shuffled<T>(items: readonly T[], next: () => number): T[] {
  return items
    .map((item) => ({ item, place: next() }))
    .sort((a, b) => a.place - b.place)
    .map(({ item }) => item);
}

/** Kills in every part of a run, towards both goals: how many there are decides how fine the parts are. */
function plannedKills(next: () => number): Kill[] {
  const all = Array.from({ length: KILLS }, (_, index) => index);
  const moments = shuffled(
    all.map((index) => (index + next()) / KILLS),
    next,
  );
  const goals = shuffled(
    all.map((index): Goal => (index % 5 < 3 ? 'wide' : 'plain')),
    next,
  );
  return all.map((index) => ({ goal: goals[index] as Goal, moment: moments[index] as number }));
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'switchyard-kills-'));
  widen();
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test(`${KILLS} runs killed at random moments: the next one repairs, nothing is doubled, nothing orphaned`, async () => {
  process.stdout.write(`kills: SWITCHYARD_KILLS_SEED=${seed}\n`);
  const begun = Date.now();
  expect(await run('plain', 'up', ENVIRONMENT, '--yes')).toMatch(/^up of lab: /);
  // One that has nothing to do; those that are killed have, and take longer.
  const whole = (Date.now() - begun) / 1000;
  const before = { gitlab: await inGitlab(), objects: without(await objects(), []) };
  const next = numbers(seed);
  for (const kill of plannedKills(next)) {
    // One that was over already is killed earlier.
    for (let seconds = EARLIEST + kill.moment * (whole - EARLIEST); ; seconds *= 0.8) {
      const moment = () => sleep(seconds * 1000);
      const underWay = await killedUp(environmentOf(kill.goal), moment);
      const what = underWay ? 'killed' : 'ended by itself';
      log.line(`up (${kill.goal}) ${what} within ${seconds.toFixed(1)} s`);
      if (underWay) break;
    }
    await run(kill.goal, 'cancel', ENVIRONMENT, '--yes');
  }

  expect(await run('wide', 'up', ENVIRONMENT, '--yes')).toMatch(/^up of lab: /);
  expect(await run('wide', 'preview', ENVIRONMENT)).toBe('preview of lab: no change');
  const wide = { gitlab: await inGitlab(), objects: await objects(), state: await recorded() };
  expect(wide.state.open).toBe(0);
  expect(wide.gitlab).toEqual([...new Set(wide.gitlab)]);
  for (const name of MODULES) {
    const own = wide.gitlab.filter((part) => part.includes(name));
    expect(own.map((part) => part.replace(/ https?:.*/, ''))).toEqual([
      `${name} deploy_keys mirror`,
      `${name} hooks`,
      `${name} labels switchyard::first`,
      `${name} labels urgent`,
      `${name} protected_branches main`,
      `project ${name}`,
    ]);
  }
  expect(without(wide.objects, wide.state.objects)).toEqual([]);
  expect(without(wide.state.objects, wide.objects)).toEqual([]);
  expect(wide.state.objects).toEqual([...new Set(wide.state.objects)]);
  expect(wide.objects.length).toBeGreaterThan(before.objects.length + 3 * 20);

  // Whoever looks at reality finds it as the state has it.
  expect(await run('wide', 'refresh', ENVIRONMENT, '--yes')).toBe('refresh of lab: no change');

  expect(await run('plain', 'up', ENVIRONMENT, '--yes')).toMatch(/^up of lab: .*\d+ delete/);
  expect(await run('plain', 'preview', ENVIRONMENT)).toBe('preview of lab: no change');
  expect(await inGitlab()).toEqual(before.gitlab);
  expect(without(await objects(), [])).toEqual(before.objects);
});
