import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { LocalWorkspace } from '@pulumi/pulumi/automation';
import type { Model } from '../../../components/model';
import { Engine } from '../../../operations/engine';
import { PulumiCommand } from '../../../operations/pulumi';
import { EXIT } from '../../../operations/refusal';
import { productionUrns } from '../../../operations/urns';
import { fullyReleased } from '../../../rules/model';
import { twoModules } from '../../rules/support';
import { type AcceptingPlace, acceptingPlace, acceptingTopology } from './accepting';

// Deploys under the real engine, with their states in files: each works on a part of the environment's state. Providers
// that accept everything stand for cluster, GitLab and Docker.

jest.setTimeout(300_000);

const work = mkdtempSync(path.join(tmpdir(), 'parts-'));
const backend = `file://${path.join(work, 'state')}`;
const stateFile = (stack: string) =>
  path.join(work, 'state', '.pulumi', 'stacks', 'switchyard', `${stack}.json`);
let place: AcceptingPlace;
const notes: string[] = [];
let model: Model;
let command: PulumiCommand;
/** Last digits of the digest that the ledger has for `shop`. */
let release = '0';

beforeAll(async () => {
  place = await acceptingPlace(work);
  model = fullyReleased(twoModules({ settings: place.settings, releases: {} }));
  mkdirSync(path.join(work, 'plain'));
  writeFileSync(path.join(work, 'plain', 'Pulumi.yaml'), 'name: switchyard\nruntime: nodejs\n');
  command = new PulumiCommand(path.join(work, 'plain'), backend);
});
afterAll(() => place.close());

const programOf = (only?: readonly string[]) => async () => {
  const image = `registry.test/modules/shop@sha256:${release.padStart(64, '0')}`;
  acceptingTopology(
    { ...model, releases: { ...model.releases, shop: { image, commit: '0'.repeat(40) } } },
    only,
  );
};

async function on<T>(module: string | undefined, use: (engine: Engine) => Promise<T>): Promise<T> {
  const engine = await Engine.open({
    root: work,
    environment: 'test',
    backend,
    stacks: path.join(work, 'stacks'),
    program: programOf(module ? [module] : undefined),
    part: module ? { module, deploy: true } : undefined,
    settle: async () => undefined,
    untilEnded: async () => undefined,
    note: (text) => notes.push(text),
  });
  try {
    return await use(engine);
  } finally {
    await engine.close();
  }
}

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

test('who looks at the environment next finds what was deployed, and nothing of its parts stays', async () => {
  await deploy('2', 'till');
  expect(await command.stacks()).toEqual(['test', 'test.shop', 'test.till']);
  expect(await whole('preview')).toEqual(nothing);
  expect(await deployed('test')).toBe('2');
  expect(await command.stacks()).toEqual(['test']);
});

test('what a plain `pulumi up` did in between is not undone, and the next deploy knows of it', async () => {
  await deploy('3');
  release = '4';
  const stack = await LocalWorkspace.selectStack(
    { stackName: 'test', projectName: 'switchyard', program: programOf() },
    { workDir: path.join(work, 'plain'), envVars: { PULUMI_BACKEND_URL: backend } },
  );
  await stack.up();
  expect(await deploy('5')).toEqual({ stack: 'test', changes: { update: 1 } });
  expect(await command.stacks()).toEqual(['test']);
  expect(await deployed('test')).toBe('5');
  expect(await deploy('6')).toMatchObject({ stack: 'test.shop' });
  expect(await whole('preview')).toEqual(nothing);
});

test('an `up` goes away while a deploy is under way, changes nothing, and says who to wait for', async () => {
  await deploy('7');
  await command.setTag(
    'test.shop',
    'switchyard:deploying',
    'created by ada@there (pid 12) at 2026-11-24T11:00:00Z',
  );
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
  await deploy('8');
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
  expect(await deployed('test')).toBe('8');
  expect(await command.stacks()).toEqual(['test']);
});

test('a session that changed the environment lets deploys in between, and knows of them in its next change', async () => {
  await on(undefined, async (engine) => {
    await engine.run('up', { onEvent: () => undefined });
    expect(await deploy('9')).toMatchObject({ stack: 'test.shop' });
    const { changes } = await engine.run('up', { onEvent: () => undefined });
    expect(changes).toEqual({});
  });
  expect(await command.stacks()).toEqual(['test']);
});
