import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Secrets } from '../components/shared/secrets';
import { buildDeliveryImage } from '../operations/build/bundles';
import { acceptingProviders } from '../test/lab/programs/accepting';
import {
  benchIn,
  type Estate,
  estate,
  median,
  moduleName,
  moduleNames,
  print,
  release,
  root,
  run,
  SEED,
  seconds,
} from './estate';

// What preview and deploy of one module take in a large estate, against an estate of one, and what deploys of several modules
// take at once, against one after the other: the programs of the delivery image, the real engine, its state in files, and
// providers that answer at once, but for a rollout of those at once.

const MODULES = 200;
const ROUNDS = 5;
/** What a large estate may cost, as a multiple of what an estate of one costs. */
const RATIO = 1.2;
const MODULE = moduleName(0);
/** Modules that are released at once, what each rollout waits for its Pods, and what that must be worth. */
const AT_ONCE = 8;
const ROLLOUT_MS = 20_000;
const FASTER = 3;

type Switchyard = (where: Estate, ...args: string[]) => ReturnType<typeof run>;

/** The same estate with what a deploy of a module is given of its secrets. */
function asDeploy(where: Estate, module = MODULE): Estate {
  const secrets = new Secrets(SEED, 'bench');
  return {
    ...where,
    environment: {
      ...where.environment,
      SWITCHYARD_SEED: [secrets.key(`service/${module}`), secrets.key('registry/pull')].join(' '),
      PULUMI_CONFIG_PASSPHRASE: secrets.secret(`part/${module}`),
    },
  };
}

interface State {
  readonly deployment: { readonly resources: readonly { readonly urn: string }[] };
}

/** The state of an estate of one with its module as many times as the large one has modules. */
function multiplied(state: State, modules: number): State {
  const { resources } = state.deployment;
  const own = resources.filter(({ urn }) => urn.includes(MODULE)).map((resource) => JSON.stringify(resource));
  const others = Array.from({ length: modules - 1 }, (_, index) => {
    return own.map((text): { urn: string } => JSON.parse(text.replaceAll(MODULE, moduleName(index + 1))));
  });
  return { ...state, deployment: { ...state.deployment, resources: [...resources, ...others.flat()] } };
}

async function main(work: string, address: string): Promise<void> {
  const bin = await acceptingProviders(work);
  const image = join(work, 'image');
  await buildDeliveryImage(root, { out: image });
  const program = join(image, 'lib', 'switchyard.js');
  const switchyard: Switchyard = (where, ...args) => run(where, process.execPath, [program, ...args]);

  const one = estate(work, bin, address, 1);
  const many = estate(work, bin, address, MODULES);
  for (const where of [one, many]) release(where, 0, [MODULE]);
  await switchyard(one, 'up', 'bench', '--yes');
  const exported = await run(one, 'pulumi', ['stack', 'export', '--stack', 'organization/switchyard/bench']);
  const state = JSON.parse(exported.stdout) as State;
  const large = multiplied(state, MODULES);
  const file = join(many.folder, 'large.json');
  writeFileSync(file, JSON.stringify(large));
  const stack = ['--stack', 'organization/switchyard/bench'];
  await run(many, 'pulumi', ['stack', 'init', ...stack.slice(1)]);
  await run(many, 'pulumi', ['stack', 'import', '--file', file, ...stack]);
  // As after a change by another program: whoever looks cuts what deploys begin with.
  await run(many, 'pulumi', ['stack', 'tag', 'set', 'switchyard:cut-for', 'another', ...stack]);
  const look = await switchyard(many, 'preview', 'bench', '--only', MODULE);
  print(`The look that cuts the state for all ${MODULES} modules: ${seconds(look.milliseconds)} s`);
  print(
    `State: ${MODULES} modules ${large.deployment.resources.length} resources, ${(JSON.stringify(large).length / 2 ** 20).toFixed(1)} MiB; 1 module ${state.deployment.resources.length} resources.\n`,
  );

  const times = {
    preview: { one: [] as number[], many: [] as number[] },
    up: { one: [] as number[], many: [] as number[] },
  };
  for (let round = 0; round <= ROUNDS; round++) {
    for (const [size, where] of [
      ['many', many],
      ['one', one],
    ] as const) {
      release(where, round + 1, [MODULE]);
      const preview = await switchyard(asDeploy(where), 'preview', 'bench', '--only', MODULE);
      const up = await switchyard(asDeploy(where), 'up', 'bench', '--only', MODULE, '--yes');
      if (!up.stdout.includes('up of bench: 1 update')) throw new Error(`not one update: ${up.stdout}`);
      // The first round warms up caches, and makes the module's part.
      if (round === 0) {
        print(
          `The first up --only after an up of all, ${where.modules} module(s): ${seconds(up.milliseconds)} s`,
        );
        continue;
      }
      times.preview[size].push(preview.milliseconds);
      times.up[size].push(up.milliseconds);
    }
  }
  for (const [name, { one: small, many: big }] of Object.entries(times)) {
    const ratio = median(big) / median(small);
    print(
      `${name} --only of one module: ${MODULES} modules ${seconds(median(big))} s, 1 module ${seconds(median(small))} s, ratio ${ratio.toFixed(2)} of ${RATIO}`,
    );
    if (ratio > RATIO) process.exitCode = 1;
  }
  await atOnce(estate(work, bin, address, AT_ONCE), switchyard);
  if (process.exitCode) print('A ratio does not hold.');
}

/** Deploys of several modules, as many builds do them: one after the other, then side by side. */
async function atOnce(where: Estate, switchyard: Switchyard): Promise<void> {
  const modules = moduleNames(AT_ONCE);
  release(where, 0, modules);
  await switchyard(where, 'up', 'bench', '--yes');
  const slow = { ...where.environment, SWITCHYARD_ACCEPTING_ROLLOUT: String(ROLLOUT_MS) };
  const deploy = async (module: string, environment = where.environment): Promise<void> => {
    const up = await switchyard(
      asDeploy({ ...where, environment }, module),
      'up',
      'bench',
      '--only',
      module,
      '--yes',
    );
    if (!up.stdout.includes('up of bench: 1 update')) throw new Error(`not one update: ${up.stdout}`);
  };
  // Each makes its module's part.
  release(where, 1, modules);
  for (const module of modules) await deploy(module);
  const timed = async (number: number, all: () => Promise<unknown>): Promise<number> => {
    release(where, number, modules);
    const begun = performance.now();
    await all();
    return performance.now() - begun;
  };
  const serial = await timed(2, async () => {
    for (const module of modules) await deploy(module, slow);
  });
  const beside = await timed(3, () => Promise.all(modules.map((module) => deploy(module, slow))));
  print(
    `deploys of ${AT_ONCE} modules, each of which waits ${ROLLOUT_MS / 1000} s for its Pods: one after the other ${seconds(serial)} s, at once ${seconds(beside)} s, ${(serial / beside).toFixed(1)} times as fast of ${FASTER}`,
  );
  if (serial / beside < FASTER) process.exitCode = 1;
}

void benchIn(
  `Method: ${ROUNDS} rounds after a warm-up, both sizes in turn, each command a process; medians.`,
  main,
);
