import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { parse } from 'yaml';
import { nodeSteps } from '../../../lab/cluster';
import { addonImages, corednsManifests, storageManifests } from '../../../lab/cluster/addons';
import { containerdConfig } from '../../../lab/cluster/config';
import { s3Daemon, stateStoreDaemons, storageDaemons } from '../../../lab/cluster/daemons';
import { allNeeds, checkGraph } from '../../../lab/graph';
import { BASE, IMAGES, SUITE_IMAGES } from '../../../lab/images/definitions';
import { MIRROR } from '../../../lab/machine/addresses';
import { labSteps } from '../../../lab/sequence';
import { PARTS, partOf } from '../../../lab/toolchain/parts';

/** Derived from what each step uses: a need that is missing in the graph is a race. */

const LAB = join(__dirname, '../../../lab');
const steps = labSteps();
const names = steps.map(({ name }) => name);
const needsOf = (name: string): Set<string> => {
  expect(names).toContain(name);
  return allNeeds(steps, name);
};

let home: string;
const before = process.env.SWITCHYARD_LAB_HOME;
beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), 'switchyard-needs-'));
  process.env.SWITCHYARD_LAB_HOME = home;
});
afterAll(() => {
  if (before === undefined) delete process.env.SWITCHYARD_LAB_HOME;
  else process.env.SWITCHYARD_LAB_HOME = before;
  rmSync(home, { recursive: true, force: true });
});

test('the lab is a graph, and its list is an order in which it could run', () => {
  checkGraph(steps);
  for (const [index, { name, needs = [] }] of steps.entries()) {
    for (const need of needs) expect([name, need, names.indexOf(need) < index]).toEqual([name, need, true]);
  }
});

/** Programs of the toolchain that a source file names, and the step of the lab that each file's use belongs to. */
const USERS: Readonly<Record<string, string[]>> = {
  'cluster/daemons.ts': ['cluster', 'state-store', 'firewall'],
  'cluster/index.ts': ['cluster', 'addons'],
  'plugins/index.ts': ['plugins'],
  'topology.ts': ['topology'],
};

function* sources(folder: string): Generator<string> {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* sources(path);
    else if (entry.name.endsWith('.ts')) yield path;
  }
}

function programsIn(file: string): string[] {
  const text = readFileSync(file, 'utf8');
  const named = [...text.matchAll(/toolPath\('([\w-]+)'\)|cacheHome\(\), 'bin', '([\w-]+)'/g)];
  return named.map(([, a, b]) => a ?? b ?? '');
}

test('whoever names a program of the toolchain is known here', () => {
  const found = [...sources(LAB)].filter((file) => programsIn(file).length > 0);
  expect(found.map((file) => relative(LAB, file)).sort()).toEqual(Object.keys(USERS));
});

test.each(Object.entries(USERS))('%s: its steps need the parts that bring its programs', (file, users) => {
  const parts = [...new Set(programsIn(join(LAB, file)).map((program) => `toolchain-${partOf(program)}`))];
  for (const part of parts) {
    expect([part, users.some((user) => needsOf(user).has(part))]).toEqual([part, true]);
  }
});

test('the programs that are named by a daemon that is given a name', () => {
  // kube-controller-manager and kube-scheduler, besides those in the text above.
  const text = readFileSync(join(LAB, 'cluster/daemons.ts'), 'utf8');
  const given = [...text.matchAll(/controlPlaneDaemon\('([\w-]+)'/g)].map(([, name = '']) => name);
  expect(given).toHaveLength(2);
  for (const name of given) expect(needsOf('cluster').has(`toolchain-${partOf(name)}`)).toBe(true);
});

test('a step that keeps daemons running needs the machine that they run in', () => {
  for (const name of ['storage', 'state-store', 'cluster', 'gitlab']) {
    expect([...needsOf(name)]).toEqual(expect.arrayContaining(['packages', 'machine']));
  }
  expect(storageDaemons().map(({ name }) => name)).toEqual(['mirror', 'mirror-push', 'dockerd']);
  const { command } = s3Daemon();
  expect(stateStoreDaemons().map((daemon) => daemon.command)).toEqual([command, command]);
  expect([...needsOf('cluster')]).toContain('certificates');
  expect(nodeSteps().map(({ name }) => name)).toEqual(['certificates', 'cluster']);
});

test.each(IMAGES.map((image) => [image.name, image] as const))('image %s', (name, image) => {
  const needs = needsOf(`image-${name}`);
  const folder = image.extra === 'jenkins' ? join(LAB, 'jenkins') : join(LAB, 'images', name);
  const dockerfile = readFileSync(join(folder, 'Dockerfile'), 'utf8');
  // What it starts from, or copies from.
  const bases = [...dockerfile.matchAll(/^(?:FROM|COPY --from=)\s*\$\{MIRROR\}\/([\w-]+):/gm)];
  for (const [, base] of bases) expect([...needs]).toContain(`image-${base}`);
  expect([...needs]).toEqual(expect.arrayContaining(['packages', 'machine', 'storage']));
  for (const program of Object.keys(image.programs ?? {})) {
    expect([...needs]).toContain(`toolchain-${partOf(program)}`);
  }
  if (dockerfile.includes('jenkins.jar')) expect([...needs]).toContain('jenkins-jar');
});

test('the add-ons need every image that their Pods run, their sandbox included', () => {
  const text = JSON.stringify([corednsManifests(), storageManifests(home)]) + containerdConfig(home, false);
  const used = [...text.matchAll(new RegExp(`${MIRROR.replaceAll('.', '\\.')}/([\\w-]+):`, 'g'))];
  expect([...new Set(used.map(([, name = '']) => name))].sort()).toEqual([...addonImages].sort());
  const needs = needsOf('addons');
  for (const image of addonImages) expect([...needs]).toContain(`image-${image}`);
  expect([...needs]).toEqual(expect.arrayContaining(['cluster', 'storage']));
});

test('the topology needs all that it calls, and every image that its stack and the example modules name', () => {
  const needs = needsOf('topology');
  const stack = parse(readFileSync(join(LAB, '../stacks/Pulumi.lab.yaml'), 'utf8')) as {
    config: { 'switchyard:images': { replace: Record<string, string> } };
  };
  const replaced = Object.values(stack.config['switchyard:images'].replace).map((image) =>
    image.replace(/:.*/, ''),
  );
  expect(replaced.length).toBeGreaterThan(8);
  const examples = readdirSync(join(LAB, 'example')).flatMap((module) => {
    const dockerfile = readFileSync(join(LAB, 'example', module, 'Dockerfile'), 'utf8');
    return [...dockerfile.matchAll(new RegExp(`${MIRROR}/([\\w-]+):`, 'g'))].map(([, name = '']) => name);
  });
  expect(examples).toContain('python');
  const brought = SUITE_IMAGES.map(({ name }) => name);
  for (const image of [...replaced, ...examples, BASE.name].filter((one) => !brought.includes(one)))
    expect([...needs]).toContain(`image-${image}`);
  // What a suite brings costs nobody else anything.
  for (const image of brought) expect([...needs]).not.toContain(`image-${image}`);
  expect([...needs]).toEqual(
    expect.arrayContaining(['toolchain-pulumi', 'plugins', 'state-store', 'addons', 'gitlab']),
  );
});

test('what is delivered needs the topology, and this repository comes last', () => {
  for (const name of ['journey', 'journey-billing', 'journey-mailer']) {
    expect([...needsOf(name)]).toEqual(expect.arrayContaining(['topology', 'gitlab']));
  }
  const needs = needsOf('repository');
  // All but what only end-to-end tests call.
  expect(names.filter((name) => name !== 'repository' && !needs.has(name))).toEqual([
    'toolchain-pulumi-language-nodejs',
  ]);
});

test('nothing but programs of our own can do without the Debian packages', () => {
  const without = names.filter((name) => name !== 'packages' && !needsOf(name).has('packages'));
  expect(without.filter((name) => !/^(toolchain-|plugins$)/.test(name))).toEqual([]);
});

test('every part is a step, in the order of need', () => {
  expect(names.filter((name) => name.startsWith('toolchain-'))).toEqual(
    PARTS.map(({ name }) => `toolchain-${name}`),
  );
});
