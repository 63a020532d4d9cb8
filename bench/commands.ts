import { cpSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { cacheHome } from '../lab/steps';
import { acceptingProviders } from '../test/lab/programs/accepting';
import {
  benchIn,
  type Estate,
  estate,
  median,
  moduleNames,
  print,
  release,
  root,
  run,
  writeCatalog,
} from './estate';

// What a person waits for at a terminal, beside what others take for the same: `--help` and `check` beside Node alone, a render
// beside cdk8s with the same objects, a preview without a change and an `up` of one module more beside plain Pulumi with the
// same resources, engine, providers and state. Both sides in turn, each command a process of its own; medians.

const ROUNDS = 5;
/** Modules of an estate about as large as the lab's, some 350 resources. */
const SMALL = 4;
const LARGE = 200;
const LARGEST = 1000;

/** What is wanted on two cores with nothing else running: seconds, MiB, and multiples of the peer. */
const WANTED = {
  help: 0.3,
  check: 1.5,
  preview: { seconds: 10, ratio: 1.5 },
  up: 15,
  render: { [LARGE]: 2, [LARGEST]: 8 } as Readonly<Record<number, number>>,
  mebibytes: 200,
};

const SWITCHYARD = join(root, 'bin', 'switchyard.js');

const failed: string[] = [];

/** A line with what was measured of what is wanted. */
function told(what: string, measured: number, wanted: number, unit = ' s'): void {
  const digits = unit === ' MiB' ? 0 : 2;
  print(`${what}: ${measured.toFixed(digits)}${unit} of ${wanted}${unit}`);
  if (measured > wanted) failed.push(what);
}

/** Some commands in turn, as many rounds as there are, after one that warms up; medians in seconds. */
async function inTurn<Name extends string>(
  commands: Readonly<Record<Name, () => Promise<number>>>,
  rounds = ROUNDS,
): Promise<Record<Name, number>> {
  const names = Object.keys(commands) as Name[];
  const times = Object.fromEntries(names.map((name) => [name, [] as number[]])) as Record<Name, number[]>;
  for (let round = 0; round <= rounds; round++) {
    for (const name of names) {
      const took = await commands[name]();
      if (round > 0) times[name].push(took / 1000);
    }
  }
  return Object.fromEntries(names.map((name) => [name, median(times[name])])) as Record<Name, number>;
}

const node = async (where: Estate, ...args: string[]): Promise<number> =>
  (await run(where, process.execPath, args)).milliseconds;

async function starts(where: Estate): Promise<void> {
  const took = await inTurn({
    node: () => node(where, '--eval', ''),
    help: () => node(where, SWITCHYARD, '--help'),
    check: () => node(where, SWITCHYARD, 'check'),
  });
  print(`node --eval '': ${took.node.toFixed(2)} s`);
  told('switchyard --help', took.help, WANTED.help);
  told(`switchyard check (${where.modules} modules)`, took.check, WANTED.check);
}

/** The Kubernetes objects among the files of a render. */
function objectsIn(out: string): unknown[] {
  const files = readdirSync(out, { recursive: true, encoding: 'utf8' }).filter((file) =>
    file.endsWith('.yaml'),
  );
  const documents = files.flatMap((file) => parseAllDocuments(readFileSync(join(out, file), 'utf8')));
  return documents.flatMap((document) => {
    const object = document.toJS() as { apiVersion?: unknown; kind?: unknown } | null;
    return object?.apiVersion !== undefined && object.kind !== undefined ? [object] : [];
  });
}

async function renders(where: Estate, work: string): Promise<number> {
  const { modules } = where;
  release(where, 0, moduleNames(modules));
  const usage = join(work, 'usage.json');
  const measured: Estate = { ...where, environment: { ...where.environment, BENCH_USAGE: usage } };
  const out = join(where.folder, 'rendered');
  const preload = ['--require', join(root, 'bench', 'usage.cjs')];
  const command = [...preload, SWITCHYARD, 'render', 'bench', '--out', out];
  await node(measured, ...command);
  const objects = objectsIn(join(out, 'kubernetes'));
  const file = join(work, `objects-${modules}.json`);
  writeFileSync(file, JSON.stringify(objects));
  const peer: Estate = {
    ...where,
    environment: { ...measured.environment, BENCH_OBJECTS: file, BENCH_OUT: join(where.folder, 'cdk8s') },
  };
  const memory = { switchyard: [] as number[], cdk8s: [] as number[] };
  const peak = (side: keyof typeof memory) => {
    memory[side].push(JSON.parse(readFileSync(usage, 'utf8')).kibibytes / 1024);
  };
  const took = await inTurn(
    {
      switchyard: async () => {
        const milliseconds = await node(measured, ...command);
        peak('switchyard');
        return milliseconds;
      },
      cdk8s: async () => {
        const milliseconds = await node(peer, ...preload, join(root, 'bench', 'peers', 'cdk8s.js'));
        peak('cdk8s');
        return milliseconds;
      },
    },
    3,
  );
  const [ours, theirs] = [median(memory.switchyard), median(memory.cdk8s)];
  print(
    `cdk8s: the same ${objects.length} objects of ${modules} modules: ${took.cdk8s.toFixed(2)} s, ${theirs.toFixed(0)} MiB at the peak`,
  );
  told(`switchyard render (${modules} modules)`, took.switchyard, WANTED.render[modules] ?? Number.NaN);
  if (modules === LARGE) told('its memory at the peak', ours, WANTED.mebibytes, ' MiB');
  return took.switchyard / modules;
}

const STACK = ['--stack', 'organization/switchyard/bench'];

/** A folder with the plain program, whose state stands beside ours. */
function plainProject({ folder, environment }: Estate, resources: string): Estate {
  const plain = join(folder, 'plain');
  mkdirSync(join(plain, 'state'), { recursive: true });
  symlinkSync(join(root, 'node_modules'), join(plain, 'node_modules'));
  cpSync(join(root, 'bench', 'peers', 'plain.js'), join(plain, 'index.js'));
  writeFileSync(join(plain, 'package.json'), '{ "main": "index.js" }\n');
  writeFileSync(join(plain, 'Pulumi.yaml'), 'name: switchyard\nruntime: nodejs\n');
  return {
    modules: 0,
    registry: '',
    folder: plain,
    environment: {
      ...environment,
      // Pulumi's host of Node stands beside the toolchain's command line.
      PATH: [environment.PATH, join(cacheHome(), 'bin')].join(delimiter),
      PULUMI_BACKEND_URL: `file://${join(plain, 'state')}`,
      BENCH_RESOURCES: resources,
    },
  };
}

async function engine(where: Estate): Promise<void> {
  let count = where.modules;
  const resources = join(where.folder, 'resources.json');
  const plain = plainProject(where, resources);
  const ours = (...args: string[]) => node(where, SWITCHYARD, ...args);
  const theirs = async (...args: string[]) =>
    (await run(plain, 'pulumi', [...args, ...STACK, '--non-interactive'])).milliseconds;
  /** What the plain program makes: what ours did. */
  const exported = async (): Promise<number> => {
    const { stdout } = await run(where, 'pulumi', ['stack', 'export', '--show-secrets', ...STACK]);
    const all = JSON.parse(stdout).deployment.resources as unknown[];
    writeFileSync(resources, JSON.stringify(all));
    return all.length;
  };
  release(where, 0, moduleNames(count));
  await ours('up', 'bench', '--yes');
  const before = await exported();
  await theirs('stack', 'init');
  await theirs('up', '--yes', '--skip-preview');

  const preview = await inTurn({
    plain: () => theirs('preview', '--expect-no-changes'),
    switchyard: () => ours('preview', 'bench'),
  });
  print(`\nplain pulumi preview, ${before} resources without a change: ${preview.plain.toFixed(2)} s`);
  told('switchyard preview', preview.switchyard, WANTED.preview.seconds);
  told('which is, of plain Pulumi', preview.switchyard / preview.plain, WANTED.preview.ratio, ' times');

  const up = await inTurn({
    switchyard: async () => {
      count++;
      writeCatalog(where.folder, count);
      release(where, 0, moduleNames(count));
      return ours('up', 'bench', '--yes');
    },
    plain: async () => {
      await exported();
      return theirs('up', '--yes', '--skip-preview');
    },
  });
  print(`plain pulumi up of one module more: ${up.plain.toFixed(2)} s`);
  told('switchyard up of one module more', up.switchyard, WANTED.up);
}

async function main(work: string, registry: string): Promise<void> {
  const bin = await acceptingProviders(work);
  const of = (modules: number) => estate(work, bin, registry, modules);
  const small = of(SMALL);
  await starts(small);
  print('');
  const large = await renders(of(LARGE), work);
  const largest = await renders(of(LARGEST), work);
  told(`a module of ${LARGEST} costs, of one of ${LARGE}`, largest / large, 1, ' times');
  await engine(small);
  if (failed.length === 0) return;
  print(`\nNot as wanted: ${failed.join('; ')}.`);
  process.exitCode = 1;
}

void benchIn(
  `Method: ${ROUNDS} rounds (3 of renders) after a warm-up, sides in turn, each command a process; medians.\n`,
  main,
);
