import { EXIT } from '../../../operations/cli/refusal';
import type { PulumiCommand, State } from '../../../operations/engine/pulumi';
import { Claims, LONGEST_MS } from '../../../operations/parts/claims';
import { Parts } from '../../../operations/parts/part-stacks';
import { partOwner } from '../../../operations/parts/parts';
import { ClaimStore } from '../../support/claims';

// Pulumi's commands on a backend in memory. What encrypts a stack is the passphrase that it was written with; the names of
// states, secrets and stacks are the real ones. With the real engine: test/lab/programs/parts.test.ts.

const WHOLE = 'the environment’s';
const CUT_FOR = 'switchyard:cut-for';

interface Stack {
  state: State;
  passphrase: string;
  readonly tags: Map<string, string>;
}
let stacks: Map<string, Stack>;
let store: ClaimStore;
let update: string;
/** What this process has. */
let mine: string;
/** Stops a command the first time that it is said, as when its process is killed. */
let killedAt: ((command: string, stack: string) => boolean) | undefined;
const said: string[] = [];

const empty = (): State => ({ version: 3, deployment: { resources: [] } });
const of = (name: string): Stack => {
  const found = stacks.get(name);
  if (!found) throw new Error(`no stack named '${name}' found`);
  return found;
};
const resourcesOf = ({ state }: Stack): readonly { urn: string; modified?: string }[] =>
  (state.deployment as { resources: { urn: string; modified?: string }[] }).resources;

function now(command: string, stack: string): void {
  said.push(`${command} ${stack}`);
  if (!killedAt?.(command, stack)) return;
  killedAt = undefined;
  throw new Error('killed');
}
const opens = (stack: Stack, passphrase = mine): void => {
  if (stack.passphrase !== passphrase) throw new Error('incorrect passphrase');
};

const command = {
  stacks: async () =>
    [...stacks].map(([name, stack]) => ({ name, resourceCount: resourcesOf(stack).length })),
  export: async (name: string) => structuredClone(of(name).state),
  open: async (name: string, passphrase?: string) => {
    opens(of(name), passphrase);
    return structuredClone(of(name).state);
  },
  make: async (name: string, passphrase = mine) => {
    now('make', name);
    if (stacks.has(name)) throw new Error('exists');
    stacks.set(name, { state: empty(), passphrase, tags: new Map() });
    // Pulumi verifies a passphrase by the salt.
    return `v1:${passphrase}`;
  },
  import: async (name: string, state: State, passphrase?: string) => {
    now('import', name);
    const foreign = (state.deployment as { resources: { urn: string }[] }).resources.find(
      ({ urn }) => !urn.startsWith(`urn:pulumi:${name}::`),
    );
    if (foreign) throw new Error(`${foreign.urn} is from a different stack`);
    const { secrets_providers: salted } = state.deployment as {
      secrets_providers?: { state: { salt: string } };
    };
    if (salted && salted.state.salt !== `v1:${passphrase ?? mine}`) throw new Error('incorrect passphrase');
    of(name).state = structuredClone(state);
  },
  forget: async (name: string) => {
    now('forget', name);
    stacks.delete(name);
  },
  cancel: async () => undefined,
  newestUpdate: async () => update,
  tag: async (name: string, tag: string) => stacks.get(name)?.tags.get(tag),
  setTag: async (name: string, tag: string, value: string) => {
    stacks.get(name)?.tags.set(tag, value);
    return stacks.has(name);
  },
  removeTag: async (name: string, tag: string) => {
    stacks.get(name)?.tags.delete(tag);
  },
} as unknown as PulumiCommand;

const production = (module: string, image: string) => {
  const owner = partOwner('lab', module);
  const urn = `${owner}-workload`;
  return [
    { urn: owner, type: 'switchyard:production:Production' },
    { urn, type: 'kubernetes:apps/v1:Deployment', parent: owner, id: module, modified: image },
  ];
};
const secret = (module: string, passphrase: string) => ({
  urn: `urn:pulumi:lab::switchyard::kubernetes:core/v1:Secret::jenkins-part-${module}`,
  type: 'kubernetes:core/v1:Secret',
  inputs: { data: { text: Buffer.from(passphrase).toString('base64') } },
});

/** What the program makes of the environment: the images of two modules. */
function change(
  images: Readonly<Record<string, string>>,
  passphrases: Readonly<Record<string, string>> = {},
) {
  const resources = Object.entries(images).flatMap(([module, image]) => [
    ...production(module, image),
    secret(module, passphrases[module] ?? `${module}’s`),
  ]);
  of('lab').state = { version: 3, deployment: { resources } };
  update = `update ${Number(update.replace(/\D/g, '')) + 1}`;
}

const notes: string[] = [];
const claims = (deploy: boolean) =>
  new Claims(store.places(), 'lab', {
    lease: deploy,
    patienceMs: deploy ? LONGEST_MS : 0,
    renewedMs: 0,
    pause: async () => undefined,
  });
const parts = (own = claims(false)) => new Parts(command, own, 'lab', (text) => notes.push(text));

/** An `up`, as the engine does it. */
async function up(images: Readonly<Record<string, string>>, passphrases?: Readonly<Record<string, string>>) {
  const own = claims(false);
  const all = parts(own);
  await own.environment();
  const left = await all.gather(async () => undefined);
  change(images, passphrases);
  await all.cut(left);
  await own.release();
}

/** A deploy, up to what it works on; its claim stands until it is given back. */
async function begin(module: string, passphrase = `${module}’s`) {
  const own = claims(true);
  mine = passphrase;
  try {
    await parts(own).open(module);
  } catch (error) {
    await own.release();
    throw error;
  } finally {
    mine = WHOLE;
  }
  return own;
}
/** What a deploy does to its part. */
function release(module: string, image: string): void {
  const part = of(`lab.${module}`);
  const resources = resourcesOf(part).map((one) =>
    one.urn.endsWith('-workload') ? { ...one, modified: image } : one,
  );
  part.state = { version: 3, deployment: { ...(part.state.deployment as object), resources } };
}
const runs = (module: string): string | undefined =>
  resourcesOf(of('lab')).find(({ urn }) => urn === `${partOwner('lab', module)}-workload`)?.modified;
const names = (): string[] => [...stacks.keys()].map((name) => name.replace(/[0-9a-f]{16}$/, '*')).sort();
const CLEAN = ['lab', 'lab.billing.*', 'lab.orders.*'];
const one = { billing: 'one', orders: 'one' };

beforeEach(async () => {
  stacks = new Map([['lab', { state: empty(), passphrase: WHOLE, tags: new Map() }]]);
  store = new ClaimStore();
  update = 'update 0';
  mine = WHOLE;
  killedAt = undefined;
  notes.length = 0;
  await up(one);
  said.length = 0;
});

test('each module’s cut opens by its own passphrase only, and a deploy begins with it', async () => {
  expect(names()).toEqual(CLEAN);
  const [billing, orders] = [...stacks].filter(([name]) => name !== 'lab').map(([, stack]) => stack);
  expect([billing?.passphrase, orders?.passphrase]).toEqual(['billing’s', 'orders’s']);
  await (await begin('orders')).release();
  expect(of('lab.orders').passphrase).toBe('orders’s');
  release('orders', 'two');
  await up({ billing: 'one', orders: 'two' });
  expect(names()).toEqual(CLEAN);
});

test('what deploys did comes into the environment, also for who only looks, and is cut anew', async () => {
  await (await begin('orders')).release();
  release('orders', 'two');
  const before = [...stacks.keys()];
  await parts().gatherForLook();
  expect(runs('orders')).toBe('two');
  expect(names()).toEqual(CLEAN);
  expect([...stacks.keys()].filter((name) => before.includes(name))).toHaveLength(2);
  await begin('orders');
});

test('what is the same is cut once, and who looks where nothing happened changes nothing', async () => {
  await up(one);
  expect(said.filter((line) => !line.startsWith('forget'))).toEqual([]);
  await parts().gatherForLook();
  expect(said).toEqual([]);
});

test('a deploy that came while the environment was changed begins with what was cut then', async () => {
  const own = claims(false);
  const all = parts(own);
  await own.environment();
  await all.gather(async () => undefined);
  // It had looked before: its part is of what stood before the change.
  const early = of([...stacks.keys()].find((name) => name.startsWith('lab.orders.')) ?? '');
  stacks.set('lab.orders', { ...early, tags: new Map([['switchyard:cut-from', 'x,update 1,y']]) });
  change({ billing: 'one', orders: 'three' });
  await all.cut();
  await own.release();
  expect(names()).toEqual(CLEAN);
  await begin('orders');
  expect(resourcesOf(of('lab.orders')).at(-1)?.modified).toBe('three');
});

test('a deploy that comes while the environment is changed waits, and begins with what it is then', async () => {
  const own = claims(false);
  const all = parts(own);
  await own.environment();
  await all.gather(async () => undefined);
  change({ billing: 'one', orders: 'two' });
  let pauses = 0;
  const pause = async () => {
    pauses++;
    if (pauses < 3) return;
    mine = WHOLE;
    await all.cut();
    await own.release();
    mine = 'orders’s';
  };
  const deploy = new Claims(store.places(), 'lab', {
    lease: true,
    patienceMs: LONGEST_MS,
    renewedMs: 0,
    pause,
  });
  mine = 'orders’s';
  await parts(deploy).open('orders');
  expect(pauses).toBe(3);
  expect(resourcesOf(of('lab.orders')).at(-1)?.modified).toBe('two');
});

test('a deploy that looks for what was cut while it is cut anew by who only looks, looks again', async () => {
  const { tag } = command;
  let asked = 0;
  jest
    .spyOn(command, 'tag')
    .mockImplementation((name, of) =>
      of === CUT_FOR && asked++ === 0 ? Promise.resolve(undefined) : tag(name, of),
    );
  await begin('orders');
  jest.restoreAllMocks();
  expect(asked).toBe(2);
  expect(names()).toContain('lab.orders');
});

test('of two deploys of one module the second finds the part of the first, and never makes it anew under it', async () => {
  const first = await begin('orders');
  release('orders', 'two');
  said.length = 0;
  const pause = async () => {
    await first.renew();
    if (said.push('waits') === 3) await first.release();
  };
  const second = new Claims(store.places(), 'lab', {
    lease: true,
    patienceMs: LONGEST_MS,
    renewedMs: 0,
    pause,
  });
  mine = 'orders’s';
  await parts(second).open('orders');
  expect(said).toEqual(['waits', 'waits', 'waits']);
  expect(resourcesOf(of('lab.orders')).at(-1)?.modified).toBe('two');
});

test('a deploy that has yet to make its part is under way: no `up` begins, and who looks leaves it', async () => {
  const deploy = claims(true);
  await deploy.deploy('lab.orders');
  const pause = () => deploy.renew();
  const own = new Claims(store.places(), 'lab', { pause });
  await own.environment();
  await expect(parts(own).gather(async () => undefined)).rejects.toMatchObject({ code: EXIT.locked });
  await own.release();
  change(one);
  await parts().gatherForLook();
  expect(notes.join()).toContain('A deploy works on lab.orders');
  expect(store.scopes).toEqual(['lab.orders']);
});

test('Pulumi’s own lock that a killed run left on a part, or on what was cut, keeps nobody out', async () => {
  const locked = new Set<string>();
  const { forget } = command;
  jest.spyOn(command, 'forget').mockImplementation(async (name) => {
    if (locked.has(name)) throw new Error('locked: created by ada@there (pid 12) at 2026-11-24T11:00:00Z');
    return forget(name);
  });
  jest.spyOn(command, 'cancel').mockImplementation(async (name) => void locked.delete(name));
  for (const name of [...stacks.keys(), 'lab.orders']) if (name !== 'lab') locked.add(name);
  await (await begin('orders')).release();
  for (const name of stacks.keys()) if (name !== 'lab') locked.add(name);
  await up({ billing: 'two', orders: 'two' });
  jest.restoreAllMocks();
  expect(names()).toEqual(CLEAN);
});

test('who lost its claim writes nothing any more', async () => {
  const own = new Claims(store.places(), 'lab', { lease: true, renewedMs: 0 });
  const all = parts(own);
  await own.environment();
  const left = await all.gather(async () => undefined);
  await claims(false).break();
  await own.renew();
  said.length = 0;
  await expect(all.cut(left)).rejects.toThrow('The claim of lab was lost');
  expect(said).toEqual([]);
});

test('who looks leaves the part that a deploy works on, and what was cut beside it', async () => {
  const working = await begin('orders');
  await (await begin('billing')).release();
  release('billing', 'two');
  await parts().gatherForLook();
  expect(runs('billing')).toBe('two');
  expect(names()).toEqual(['lab', 'lab.billing.*', 'lab.orders', 'lab.orders.*']);
  expect(notes.join()).toContain('A deploy works on lab.orders');
  release('orders', 'two');
  await working.release();
  await parts().gatherForLook();
  expect(runs('orders')).toBe('two');
  expect(names()).toEqual(CLEAN);
});

test('who looks with patience waits for the deploy, brings in what it did, and lets no other begin meanwhile', async () => {
  const working = await begin('orders');
  const paused: string[][] = [];
  const pause = async () => {
    await working.renew();
    paused.push([...names()]);
    if (paused.length < 8) return;
    release('orders', 'two');
    await working.release();
  };
  const note = (text: string) => notes.push(text);
  const look = new Claims(store.places(), 'lab', {
    lease: true,
    patienceMs: 600_000,
    renewedMs: 0,
    note,
    pause,
  });
  await parts(look).gatherForLook();
  expect(paused.length).toBeGreaterThanOrEqual(8);
  expect(runs('orders')).toBe('two');
  expect(names()).toEqual(CLEAN);
  expect(notes.join()).toContain('lab.orders is locked');
});

test('who looks while the environment is changed says that it did not wait', async () => {
  const up = claims(false);
  await up.environment();
  await parts().gatherForLook();
  expect(notes.join()).toContain('lab is locked: what deploys did since it was changed shows as a change.');
  expect(store.scopes).toEqual(['lab']);
});

test.each([
  ['before anything was changed', (line: string) => line === 'make'],
  ['while a cut is written', (line: string, stack: string) => line === 'import' && stack !== 'lab'],
])('after an `up` that was killed %s no deploy begins, until the next one or a look', async (_when, at) => {
  killedAt = at;
  await expect(up({ billing: 'two', orders: 'two' })).rejects.toThrow('killed');
  await parts().unlock();
  await expect(begin('orders')).rejects.toMatchObject({
    code: EXIT.uncut,
    message: expect.stringContaining('Say: switchyard cut lab'),
  });
  await parts().gatherForLook();
  expect(names()).toEqual(CLEAN);
  await begin('orders');
  expect(resourcesOf(of('lab.orders')).at(-1)?.modified).toBe('two');
});

test('after a change by another program no deploy begins or goes on, until somebody looks', async () => {
  await (await begin('orders')).release();
  change({ billing: 'two', orders: 'two' });
  for (const module of ['orders', 'billing'])
    await expect(begin(module)).rejects.toMatchObject({
      message: `lab was changed by another program than switchyard, so that a deploy of ${module} cannot know what it changes. Say: switchyard cut lab. Then start the build again.`,
    });
  await parts().gatherForLook();
  expect(runs('orders')).toBe('two');
  await begin('orders');
});

test('a module that the environment does not have has nothing to begin with', async () => {
  await expect(begin('mailer')).rejects.toMatchObject({
    message: expect.stringContaining('lab has no production of mailer, or one with something left open'),
  });
});

test('a rotated passphrase loses nothing of what was deployed, and shuts out who has the old one', async () => {
  await (await begin('orders')).release();
  release('orders', 'two');
  await up({ billing: 'one', orders: 'two' }, { orders: 'new' });
  expect(runs('orders')).toBe('two');
  await expect(begin('orders')).rejects.toMatchObject({ message: expect.stringContaining('rotated') });
  await begin('orders', 'new');
});

test('what somebody put in the place of another module’s part opens by nothing, and is left', async () => {
  const planted = structuredClone(
    of([...stacks.keys()].find((name) => name.startsWith('lab.billing.')) ?? '').state,
  );
  const tags = new Map([['switchyard:cut-from', `x,${update},y`]]);
  stacks.set('lab.billing', { state: planted, passphrase: 'orders’s', tags });
  await parts().gatherForLook();
  expect(runs('billing')).toBe('one');
  expect(notes.join()).toContain('lab.billing cannot be read any more');
  expect(names()).toEqual(CLEAN);
});

test('a copy without its history is cut for nobody', async () => {
  stacks = new Map([['lab', { state: of('lab').state, passphrase: WHOLE, tags: new Map() }]]);
  update = '';
  await parts().gatherForLook();
  expect(names()).toEqual(['lab']);
  expect(of('lab').tags.get(CUT_FOR)).toBeUndefined();
});
