import { type ChildProcess, spawn } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { LocalWorkspace } from '@pulumi/pulumi/automation';
import type { Model } from '../../../components/model';
import { Secrets } from '../../../components/shared/secrets';
import { EXIT } from '../../../operations/cli/refusal';
import { Engine } from '../../../operations/engine/engine';
import { PulumiCommand } from '../../../operations/engine/pulumi';
import { productionUrns } from '../../../operations/engine/urns';
import { CLAIMS_PROJECT, Claims } from '../../../operations/parts/claims';
import { cutPart, partBase, saltOf } from '../../../operations/parts/parts';
import { fullyReleased } from '../../../rules/model';
import { twoModules } from '../../rules/support';
import { catalogTexts, root, stackText } from '../../support/model';
import { killSession } from '../session';
import { type AcceptingPlace, acceptingPlace, acceptingTopology, SEED } from './accepting';

// Deploys under the real engine, with their states in files: each works on a part of the environment's state, and has no
// more than its Pod has, the passphrase of that part and the keys of its module. Providers that accept everything stand
// for cluster, GitLab and Docker.

jest.setTimeout(900_000);

const work = mkdtempSync(path.join(tmpdir(), 'parts-'));
const backend = `file://${path.join(work, 'state')}`;
const stateFile = (stack: string) =>
  path.join(work, 'state', '.pulumi', 'stacks', 'switchyard', `${stack}.json`);
let place: AcceptingPlace;
const notes: string[] = [];
let model: Model;
let command: PulumiCommand;
/** On the project that keeps the claims. */
let claims: PulumiCommand;
/** Last digits of the digest that the ledger has for `shop`. */
let release = '0';

beforeAll(async () => {
  place = await acceptingPlace(work);
  model = fullyReleased(twoModules({ settings: place.settings, releases: {} }));
  mkdirSync(path.join(work, 'plain'));
  writeFileSync(path.join(work, 'plain', 'Pulumi.yaml'), 'name: switchyard\nruntime: nodejs\n');
  command = new PulumiCommand(path.join(work, 'plain'), backend);
  mkdirSync(path.join(work, 'claims'));
  writeFileSync(path.join(work, 'claims', 'Pulumi.yaml'), `name: ${CLAIMS_PROJECT}\nruntime: nodejs\n`);
  claims = new PulumiCommand(path.join(work, 'claims'), backend);
});
afterAll(() => place.close());

/** What a module's deploy Pod has in the seed's place. */
const keysOf = (module: string): string => {
  const secrets = new Secrets(SEED, 'test');
  return `${secrets.key(`service/${module}`)} ${secrets.key('registry/pull')}`;
};
const passphraseOf = (module: string, version = 1): string =>
  new Secrets(SEED, 'test', { [`part/${module}`]: version }).secret(`part/${module}`);

const imageOf = (number: string): string =>
  `${model.settings.registry.address}/modules/shop@sha256:${number.padStart(64, '0')}`;

const programOf = (module?: string) => async () => {
  const image = imageOf(release);
  acceptingTopology(
    { ...model, releases: { ...model.releases, shop: { image, commit: '0'.repeat(40) } } },
    module ? [module] : undefined,
    module && keysOf(module),
  );
};

/** The passphrase that a module's Pods were started with. */
let versions: Readonly<Record<string, number>> = {};

async function on<T>(module: string | undefined, use: (engine: Engine) => Promise<T>): Promise<T> {
  const { PULUMI_CONFIG_PASSPHRASE: whole } = process.env;
  if (module) process.env.PULUMI_CONFIG_PASSPHRASE = passphraseOf(module, versions[module]);
  try {
    const engine = await Engine.open({
      root: work,
      environment: 'test',
      backend,
      stacks: path.join(work, 'stacks'),
      program: programOf(module),
      part: module,
      settle: async () => undefined,
      untilEnded: async () => undefined,
      note: (text) => notes.push(text),
    });
    try {
      return await use(engine);
    } finally {
      await engine.close();
    }
  } finally {
    process.env.PULUMI_CONFIG_PASSPHRASE = whole;
  }
}

/** Names of all stacks, of what was cut without the mark. */
const stacks = async () =>
  (await command.stacks()).map(({ name }) => name.replace(/\.[0-9a-f]{16}$/, '.*')).sort();
const cutOf = async (module: string): Promise<string> =>
  (await command.stacks()).find(({ name }) => name.startsWith(`test.${module}.`))?.name ?? '';

/** @returns the stack that was worked on, and what changed */
const deploy = (number: string, module = 'shop') =>
  on(module, async (engine) => {
    release = number;
    const targets = productionUrns(engine.stackName, model, [module]);
    const { changes } = await engine.run('up', { targets, onEvent: () => undefined });
    return { stack: engine.stackName, changes };
  });

const whole = (operation: 'up' | 'preview') =>
  on(undefined, async (engine) => (await engine.run(operation, { onEvent: () => undefined })).changes);

/** What is claimed, and by whom. */
const claimed = async (): Promise<[scope: string, text: string | undefined][]> =>
  Promise.all(
    (await claims.stacks()).map(async ({ name }) => [
      name.replace(/\.[0-9a-f]{16}$/, ''),
      await claims.tag(name, 'switchyard:claim'),
    ]),
  );

/** Last digits of the digest that a stack's state has for `shop`. */
async function deployed(stack: string): Promise<string | undefined> {
  const text = JSON.stringify((await command.export(stack)).deployment);
  return /modules\/shop@sha256:0*(\d+)/.exec(text)?.[1];
}

// It names a token that the accepting provider never issues, so it is one change in every preview.
const nothing = { update: 1 };

test('a deploy works on its part and leaves the environment’s state alone', async () => {
  await whole('up');
  expect(await whole('preview')).toEqual(nothing);
  const state = readFileSync(stateFile('test'), 'utf8');
  expect(await deploy('1')).toEqual({ stack: 'test.shop', changes: { update: 1 } });
  expect(await deploy('2')).toEqual({ stack: 'test.shop', changes: { update: 1 } });
  expect(await deploy('2')).toEqual({ stack: 'test.shop', changes: {} });
  expect(readFileSync(stateFile('test'), 'utf8')).toBe(state);
  expect(await deployed('test.shop')).toBe('2');
});

test('what a deploy has opens its module’s part, and neither another’s nor the environment’s state', async () => {
  const shop = passphraseOf('shop');
  const text = JSON.stringify(await command.open('test.shop', shop));
  expect(JSON.stringify(await command.open(await cutOf('shop'), shop))).toContain('plaintext');
  for (const stack of ['test', await cutOf('till')])
    await expect(command.open(stack, shop)).rejects.toThrow('incorrect passphrase');
  const secrets = new Secrets(SEED, 'test');
  const encoded = (purpose: string) => Buffer.from(secrets.secret(purpose)).toString('base64');
  const known = Buffer.from(JSON.stringify(await command.open('test'))).toString();
  for (const purpose of ['service/till/cache', 'jenkins/admin', 'part/till', 'part/shop'])
    expect([purpose, known.includes(encoded(purpose)), text.includes(encoded(purpose))]).toEqual([
      purpose,
      true,
      false,
    ]);
});

test('who looks at the environment next finds what was deployed, and cuts it anew for the next deploys', async () => {
  await deploy('2', 'till');
  const before = await cutOf('shop');
  expect(await stacks()).toEqual(['test', 'test.shop', 'test.shop.*', 'test.till', 'test.till.*']);
  expect(await whole('preview')).toEqual(nothing);
  expect(await deployed('test')).toBe('2');
  expect(await stacks()).toEqual(['test', 'test.shop.*', 'test.till.*']);
  expect(await cutOf('shop')).not.toBe(before);
  expect(await deploy('2')).toEqual({ stack: 'test.shop', changes: {} });
});

test('what is the same is cut once', async () => {
  await whole('up');
  const cuts = async () => (await command.stacks()).filter(({ name }) => name !== 'test');
  const before = await cuts();
  await whole('up');
  // With the time of their last update.
  expect(await cuts()).toEqual(before);
});

test('after a plain `pulumi up` a deploy is refused until somebody looks, and then knows of it', async () => {
  await deploy('3');
  release = '4';
  const stack = await LocalWorkspace.selectStack(
    { stackName: 'test', projectName: 'switchyard', program: programOf() },
    { workDir: path.join(work, 'plain'), envVars: { PULUMI_BACKEND_URL: backend } },
  );
  await stack.up();
  for (const module of ['shop', 'till'])
    await expect(deploy('5', module)).rejects.toMatchObject({
      code: EXIT.uncut,
      message: `test was changed by another program than switchyard, so that a deploy of ${module} cannot know what it changes. Say: switchyard cut test. Then start the build again.`,
    });
  expect(await deployed('test')).toBe('4');
  release = '4';
  // What the engine itself put anew into the state is of that run.
  expect(await whole('preview')).toEqual(nothing);
  expect(await deployed('test')).toBe('4');
  expect(await stacks()).toEqual(['test', 'test.shop.*', 'test.till.*']);
  expect(await deploy('6')).toEqual({ stack: 'test.shop', changes: { update: 1 } });
  expect(await whole('preview')).toEqual(nothing);
  expect(await deployed('test')).toBe('6');
});

test('a deploy is refused where the last change of the environment was killed, and goes on after the next', async () => {
  await on(undefined, async (engine) => {
    await engine.run('up', { onEvent: () => undefined });
    // Its tag is taken away before anything is changed.
    await command.removeTag('test', 'switchyard:cut-for');
  });
  await expect(deploy('7')).rejects.toMatchObject({
    code: EXIT.uncut,
    message: expect.stringContaining('was not cut for its modules since it was changed'),
  });
  release = '6';
  await whole('up');
  expect(await deploy('7')).toMatchObject({ stack: 'test.shop' });
});

test('what deploys did is gathered also when the passphrase of their part is another by then', async () => {
  await deploy('8');
  model = {
    ...model,
    settings: { ...model.settings, secrets: { versions: { 'part/shop': 2 }, rotating: [] } },
  };
  expect(await whole('up')).toMatchObject({ update: 1 });
  expect(await deployed('test')).toBe('8');
  await expect(command.open(await cutOf('shop'), passphraseOf('shop'))).rejects.toThrow(
    'incorrect passphrase',
  );
  await expect(deploy('9')).rejects.toMatchObject({ message: expect.stringContaining('it was rotated') });
  versions = { shop: 2 };
  expect(await deploy('9')).toMatchObject({ stack: 'test.shop', changes: { update: 1 } });
});

test('a part of an older program, which has the environment’s passphrase, is gathered', async () => {
  release = '9';
  await whole('up');
  const { version, deployment } = await command.open('test');
  const old = JSON.parse(
    JSON.stringify(cutPart(deployment, 'test', 'shop')).replaceAll(/0{63}9/g, '10'.padStart(64, '0')),
  );
  await command.make('test.shop');
  await command.import('test.shop', { version, deployment: old });
  const base = partBase(deployment, 'test', 'shop');
  const cut = [base, await command.newestUpdate('test'), saltOf(deployment)].join(',');
  await command.setTag('test.shop', 'switchyard:cut-from', cut);
  release = '10';
  expect(await whole('up')).toEqual({});
  expect(await deployed('test')).toBe('10');
  expect(await stacks()).toEqual(['test', 'test.shop.*', 'test.till.*']);
});

test('an `up` goes away while a deploy is under way, changes nothing, and says who to wait for', async () => {
  await deploy('11');
  const claim = `test.shop.${'0'.repeat(16)}`;
  await claims.make(claim);
  await claims.setTag(claim, 'switchyard:claim', 'created by ada@there (pid 12) at 2026-11-24T11:00:00Z');
  const state = readFileSync(stateFile('test'), 'utf8');
  await expect(whole('up')).rejects.toMatchObject({
    code: EXIT.locked,
    message: expect.stringContaining('test.shop is locked, created by ada@there (pid 12)'),
  });
  expect(readFileSync(stateFile('test'), 'utf8')).toBe(state);
  // A look does not wait: the deploy shows as a change, and why is said.
  expect(await whole('preview')).toEqual({ update: 2 });
  expect(notes.at(-1)).toContain('test.shop');
  await on(undefined, (engine) => engine.unlock());
  expect(await whole('up')).toEqual({});
});

test('what a killed deploy left open is settled before it is gathered', async () => {
  await deploy('12');
  const file = stateFile('test.shop');
  const written = JSON.parse(readFileSync(file, 'utf8'));
  const { latest } = written.checkpoint;
  const resource = latest.resources.find(
    ({ type }: { type: string }) => type === 'kubernetes:apps/v1:Deployment',
  );
  latest.pending_operations = [{ type: 'updating', resource }];
  writeFileSync(file, JSON.stringify(written));
  // Who only looks leaves it to who changes something.
  expect(await whole('preview')).toEqual({ update: 2 });
  notes.length = 0;
  expect(await whole('up')).toEqual({});
  expect(notes.join('\n')).toContain('ended in the middle of 1 resource(s)');
  expect(await deployed('test')).toBe('12');
  expect(await stacks()).toEqual(['test', 'test.shop.*', 'test.till.*']);
});

test('a session that changed the environment lets deploys in between, and knows of them in its next change', async () => {
  await on(undefined, async (engine) => {
    await engine.run('up', { onEvent: () => undefined });
    expect(await deploy('13')).toMatchObject({ stack: 'test.shop' });
    const { changes } = await engine.run('up', { onEvent: () => undefined });
    expect(changes).toEqual({});
  });
  expect(await stacks()).toEqual(['test', 'test.shop.*', 'test.till.*']);
});

/** `switchyard up` as a Pod has it, on the catalog and the stack of {@link model} with a release of `shop`. */
function started(
  number: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
): {
  child: ChildProcess;
  ended: Promise<{ code: number | null; said: string }>;
} {
  const own = path.join(work, 'rollout');
  const { address } = model.settings.registry;
  for (const [kind, texts] of Object.entries({
    'catalog/services': catalogTexts.services,
    'catalog/modules': {
      ...catalogTexts.modules,
      'till.yaml': catalogTexts.modules['shop.yaml']?.replace('sells', 'counts') ?? '',
    },
    stacks: { 'Pulumi.test.yaml': stackText.replace('"registry.test:5000"', `"${address}", scheme: http`) },
  })) {
    mkdirSync(path.join(own, kind), { recursive: true });
    for (const [file, text] of Object.entries(texts)) writeFileSync(path.join(own, kind, file), text);
  }
  const shop = { image: imageOf(number), commit: '0'.repeat(40), mergeRequest: 1, build: 'https://ci/1/' };
  writeFileSync(path.join(own, 'ledger.yaml'), JSON.stringify({ modules: { shop } }));
  writeFileSync(path.join(own, 'found.json'), '{}');
  const child = spawn(
    process.execPath,
    [path.join(root, 'bin', 'switchyard.js'), 'up', 'test', '--yes', ...args],
    {
      env: {
        ...process.env,
        ...env,
        PULUMI_BACKEND_URL: backend,
        GITLAB_TOKEN: 'a token',
        SWITCHYARD_CATALOG: path.join(own, 'catalog'),
        SWITCHYARD_STACKS: path.join(own, 'stacks'),
        SWITCHYARD_LEDGER_FILE: path.join(own, 'ledger.yaml'),
        SWITCHYARD_FOUND_FILE: path.join(own, 'found.json'),
      },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    },
  );
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
  }
  const ended = new Promise<{ code: number | null; said: string }>((resolve) =>
    // Not its output's end: a plug-in may live on a while with it.
    child.once('exit', (code) => setTimeout(() => resolve({ code, said }), 1000)),
  );
  return { child, ended };
}

/** The rollout of a release of `shop`: the command, the module's keys, its part's passphrase. */
const rollOut = (number: string) =>
  started(number, ['--only', 'shop'], {
    PULUMI_CONFIG_PASSPHRASE: passphraseOf('shop', versions.shop),
    SWITCHYARD_SEED: keysOf('shop'),
  });

/** What `delivery apply-run` says. */
const applyRun = (number: string) =>
  started(number, ['--lock-timeout', '20', '--lease', '--without-images'], {
    ...Object.fromEntries(model.settings.deployEnvironment.map((name) => [name, `value of ${name}`])),
    PULUMI_CONFIG_PASSPHRASE: process.env.PULUMI_CONFIG_PASSPHRASE,
    SWITCHYARD_SEED: SEED,
  });

/** Does something with a process while the cluster is at work on what it changes. */
async function inItsMiddle(
  { child, ended }: ReturnType<typeof started>,
  act: (child: ChildProcess) => Promise<void>,
): Promise<Awaited<typeof ended>> {
  const hold = path.join(work, 'js', 'kubernetes.js.hold');
  writeFileSync(hold, '');
  rmSync(`${hold}ing`, { force: true });
  try {
    const early = ended.then(({ code, said }) => {
      throw new Error(`it ended with ${code} before: ${said}`);
    });
    early.catch(() => undefined);
    const underWay = async () => {
      while (!existsSync(`${hold}ing`)) await sleep(100);
    };
    await Promise.race([underWay(), early]);
    await act(child);
    return await ended;
  } finally {
    rmSync(hold, { force: true });
  }
}

test('a rollout that is told to end in its middle saves what it did and gives back what it claimed; the next one goes on', async () => {
  await whole('up');
  const end = await inItsMiddle(rollOut('14'), async (child) => {
    expect(await claimed()).toEqual([['test.shop', expect.stringContaining(`(pid ${child.pid})`)]]);
    child.kill('SIGTERM');
  });
  expect(end).toMatchObject({ code: EXIT.failed });
  expect(await claimed()).toEqual([]);
  const locks = path.join(work, 'state', '.pulumi', 'locks');
  const left = existsSync(locks) ? readdirSync(locks, { recursive: true, encoding: 'utf8' }) : [];
  expect(left.filter((name) => name.endsWith('.json'))).toEqual([]);
  expect(await deployed('test.shop')).not.toBe('14');

  expect(await rollOut('14').ended).toMatchObject({ code: 0, said: expect.stringMatching(/^up of test: /m) });
  expect(await deployed('test.shop')).toBe('14');
  release = '14';
  expect(await whole('up')).toEqual({});
  expect(await deployed('test')).toBe('14');
});

test('an apply Pod that is killed without a word locks nobody out: the next deploy, the cut and the next `up` go on', async () => {
  await whole('up');
  await inItsMiddle(applyRun('15'), async (child) => {
    expect(await claimed()).toEqual([['test', expect.stringMatching(/, lease \d+$/)]]);
    await killSession(child.pid as number);
  });
  expect(await claimed()).toHaveLength(1);
  notes.length = 0;
  // What its Pod is told, for which the pipeline says `switchyard cut` in another.
  await expect(deploy('16')).rejects.toMatchObject({ code: EXIT.uncut });
  expect(notes.join('\n')).toContain('test was claimed by a process that is gone');
  expect(await claimed()).toEqual([]);
  await on(undefined, async () => undefined);
  expect(await deploy('17', 'till')).toMatchObject({ stack: 'test.till' });
  release = '16';
  await whole('up');
  expect(await deployed('test')).toBe('16');
  expect(await deploy('17')).toMatchObject({ stack: 'test.shop' });
});

test('of several that come at once under the real Pulumi one goes on at a time, and all have their turn', async () => {
  let at = 0;
  let turns = 0;
  const come = async () => {
    const own = new Claims({ claims, states: command }, 'test', { patienceMs: 600_000 });
    await own.environment();
    expect(++at).toBe(1);
    turns++;
    await sleep(500);
    at--;
    await own.release();
  };
  await Promise.all(Array.from({ length: 4 }, come));
  expect([turns, await claimed()]).toEqual([4, []]);
});
