import fc from 'fast-check';
import { EXIT } from '../../../operations/cli/refusal';
import {
  type ClaimOptions,
  Claims,
  LAPSED_MS,
  LONGEST_MS,
  LOST_MS,
  RENEWED_MS,
} from '../../../operations/parts/claims';
import { ClaimStore } from '../../support/claims';
import { scaled } from '../../support/scale';

let store: ClaimStore;
beforeEach(() => {
  store = new ClaimStore();
});

const hurried = async () => undefined;
const someone = (options: ClaimOptions = {}) =>
  new Claims(store.places(), 'lab', { pause: hurried, renewedMs: 0, ...options });
/** A deploy, whose claims are leases, and who waits its turn. */
const deployer = (options: ClaimOptions = {}) => someone({ lease: true, patienceMs: LONGEST_MS, ...options });
/** Whoever waits sees the claims of these renewed. */
const alive =
  (...others: readonly Claims[]) =>
  async () => {
    for (const other of others) await other.renew();
  };
const refused = async (claim: Promise<unknown>) =>
  claim.then(() => undefined).catch((error: unknown) => error);

test('an environment is claimed by one at a time, and the other learns by whom and since when', async () => {
  const first = someone();
  await first.environment();
  const error = await refused(someone().environment());
  expect(error).toMatchObject({ code: EXIT.locked });
  expect(error).toMatchObject({
    message: expect.stringMatching(
      /^lab is locked, created by \S+@\S+ \(pid \d+\) at \d{4}-\S+Z\. .*switchyard cancel lab$/,
    ),
  });
  await first.release();
  await someone().environment();
});

test('another environment of the same backend is another’s', async () => {
  await new Claims(store.places(), 'lab2', { pause: hurried }).environment();
  await someone().environment();
  await someone().break();
  expect(store.scopes).toEqual(['lab2']);
});

test('deploys of two modules go on at once; of one module the second waits its turn, and says so', async () => {
  const first = deployer();
  await first.deploy('lab.orders');
  await deployer().deploy('lab.billing');
  const notes: string[] = [];
  let rounds = 0;
  const second = deployer({
    note: (text) => notes.push(text),
    pause: async () => {
      await first.renew();
      if (++rounds === 6) await first.release();
    },
  });
  await second.deploy('lab.orders');
  expect(notes).toEqual([
    expect.stringMatching(/^lab\.orders is locked, created by \S+@.*: waiting for its end\.$/),
  ]);
  // For as long as a deploy may take; then it says by whom it was kept out.
  const third = refused(deployer({ pause: alive(second) }).deploy('lab.orders'));
  expect(await third).toMatchObject({ code: EXIT.locked });
});

test('a deploy waits for whoever changes the environment, and leaves no flag when it gives up', async () => {
  const up = someone();
  await up.environment();
  let rounds = 0;
  const deploy = deployer({
    pause: async () => {
      rounds++;
      // Lowered while it waits: who changes the environment must not be turned away by it.
      expect(await up.deployed()).toEqual([]);
      if (rounds === 3) await up.release();
    },
  });
  await deploy.deploy('lab.orders');
  expect([rounds, store.scopes]).toEqual([3, ['lab.orders']]);

  await someone().environment();
  const error = await refused(deployer().deploy('lab.billing'));
  expect(error).toMatchObject({ code: EXIT.locked, message: expect.stringMatching(/^lab is locked/) });
  expect(store.scopes).toEqual(['lab', 'lab.orders']);
});

test('nobody changes an environment while a living deploy works on a part of it', async () => {
  const deploy = deployer();
  await deploy.deploy('lab.orders');
  const up = someone({ pause: alive(deploy) });
  await up.environment();
  expect(await up.deployed()).toEqual(['lab.orders']);
  expect(await refused(up.untilDeployed('lab.orders'))).toMatchObject({
    code: EXIT.locked,
    message: expect.stringMatching(/^lab\.orders is locked, created by [^,]+\. Wait/),
  });
  await up.untilDeployed('lab.billing');
  expect(store.cancelled).toEqual([]);
});

test('who has patience waits for deploys and for a change as long as it has, and no longer', async () => {
  const deploy = deployer();
  await deploy.deploy('lab.orders');
  let waited = 0;
  const patient = someone({
    patienceMs: 60_000,
    pause: async (milliseconds) => {
      waited += milliseconds;
      await deploy.renew();
      if (waited >= 30_000) await deploy.release();
    },
  });
  await patient.untilDeployed('lab.orders');
  expect(waited).toBeLessThan(60_000);

  await someone().environment();
  waited = 0;
  expect(await refused(patient.environment())).toMatchObject({
    code: EXIT.locked,
    message: expect.stringMatching(/^lab is locked/),
  });
  expect(waited).toBeGreaterThanOrEqual(60_000);
});

describe('of those that come at the same moment', () => {
  /** Both find nothing before either has raised its flag; then one is held back there until the other has what it wants. */
  async function meet(claim: (claims: Claims) => Promise<unknown>, options: ClaimOptions) {
    let go = (): void => undefined;
    const held = new Promise<void>((resolve) => {
      go = resolve;
    });
    let once = true;
    const late = async (command: string) => {
      if (command !== 'init' || !once) return;
      once = false;
      await held;
    };
    const first = someone(options);
    const second = new Claims(store.places(late), 'lab', { pause: hurried, renewedMs: 0, ...options });
    const seconds = refused(claim(second));
    while (once) await new Promise((resolve) => setImmediate(resolve));
    await claim(first);
    go();
    return { first, seconds };
  }

  it('one has the environment, and the other is told by whom it is kept out', async () => {
    const { first, seconds } = await meet((claims) => claims.environment(), {});
    expect(await seconds).toMatchObject({ code: EXIT.locked });
    first.assertKept();
    expect(store.scopes).toEqual(['lab']);
  });

  it('one deploys, and the other waits until it is kept out', async () => {
    const { seconds } = await meet((claims) => claims.deploy('lab.orders'), { patienceMs: 60_000 });
    expect(await seconds).toMatchObject({ code: EXIT.locked });
    expect(store.scopes).toEqual(['lab.orders']);
  });

  /** A process that is gone left these. */
  const graves = { none: [], lease: ['created by a@b (pid 1) at 2026, lease 4'], untold: [undefined] };

  it.each(Object.entries(graves))(
    'never two go on, in whatever order their commands are done, and each has its turn (left by the dead: %s)',
    (_name, left) =>
      fc.assert(
        fc.asyncProperty(
          fc.scheduler(),
          fc.array(fc.constantFrom('up', 'orders', 'billing'), { minLength: 2, maxLength: 4 }),
          fc.constantFrom('lab', 'lab.orders'),
          async (scheduler, kinds, where) => {
            store = new ClaimStore();
            for (const text of left) store.claims.set(`${where}.0000000000000000`, text);
            const step = (command: string) => scheduler.schedule(Promise.resolve(), command);
            const at: string[] = [];
            const work = async (kind: string) => {
              const claims = new Claims(store.places(step), 'lab', {
                pause: () => step('pause'),
                patienceMs: Number.POSITIVE_INFINITY,
              });
              if (kind === 'up') {
                await claims.environment();
                for (const part of await claims.deployed()) await claims.untilDeployed(part);
              } else await claims.deploy(`lab.${kind}`);
              expect(at.filter((other) => kind === 'up' || other === 'up' || other === kind)).toEqual([]);
              at.push(kind);
              await step(`${kind} works`);
              at.splice(at.indexOf(kind), 1);
              await claims.release();
              return kind;
            };
            expect(await scheduler.waitFor(Promise.all(kinds.map(work)))).toEqual(kinds);
            // What nobody came for stays.
            const cameFor = where === 'lab' || kinds.includes('up') || kinds.includes('orders');
            expect(store.claims.size).toBe(cameFor ? 0 : left.length);
            expect(new Set(store.cancelled).size).toBeLessThanOrEqual(left[0] === undefined ? 0 : 1);
          },
        ),
        { numRuns: scaled({ usual: 15, all: 2000 }) },
      ),
  );
});

describe('a killed process', () => {
  it('keeps no other deploy and no `up` out: its lease lapses, and with it Pulumi’s own lock', async () => {
    await deployer().deploy('lab.orders');
    const notes: string[] = [];
    let waited = 0;
    const pause = async (milliseconds: number) => {
      waited += milliseconds;
    };
    await someone({ note: (text) => notes.push(text), pause }).untilDeployed('lab.orders');
    expect(waited).toBeGreaterThanOrEqual(LAPSED_MS);
    expect([store.scopes, store.cancelled, notes]).toEqual([
      [],
      ['lab.orders'],
      [
        expect.stringMatching(
          /^lab\.orders was claimed by a process that is gone \(created by .*\): its claim/,
        ),
      ],
    ]);
    await deployer().deploy('lab.orders');
    await deployer().deploy('lab.orders');
  });

  it.each(['another change', 'a deploy'])(
    'that changed the whole environment, in a Pod, does not keep %s out',
    async (next) => {
      await deployer().environment();
      if (next === 'a deploy') await deployer().deploy('lab.orders');
      else await someone().environment();
      expect(store.cancelled).toEqual(['lab']);
      expect(store.scopes).toEqual([next === 'a deploy' ? 'lab.orders' : 'lab']);
    },
  );

  it('that was a person’s `up` is theirs to look at, however long it stood', async () => {
    await someone().environment();
    expect(await refused(someone().environment())).toMatchObject({ code: EXIT.locked });
    expect(await refused(deployer().environment())).toMatchObject({ code: EXIT.locked });
    expect([store.scopes, store.cancelled]).toEqual([['lab'], []]);
  });

  it('takes nobody’s claim along: of two that watched it, the second finds the first one’s', async () => {
    await deployer().deploy('lab.orders');
    const first = deployer();
    let both: Promise<unknown> = Promise.resolve();
    let rounds = 0;
    const second = deployer({
      pause: async () => {
        // Right before its watch ends.
        if (++rounds === 19) await first.deploy('lab.orders');
        await first.renew();
        if (rounds === 40) both = first.release();
      },
    });
    await second.deploy('lab.orders');
    await both;
    expect([rounds >= 40, store.scopes, store.cancelled]).toEqual([true, ['lab.orders'], ['lab.orders']]);
  });

  it('that comes back finds its claim gone and stops, or has it still', async () => {
    const back = deployer();
    await back.deploy('lab.orders');
    let raised = 0;
    const step = async (command: string) => {
      // Its renewal comes after the watch of whoever takes it for dead.
      if (command === 'init' && raised++ === 0) await back.renew();
    };
    const pause = async () => {
      if (raised > 0) await back.renew();
    };
    const other = new Claims(store.places(step), 'lab', { pause, renewedMs: 0 });
    expect(await refused(other.deploy('lab.orders'))).toMatchObject({ code: EXIT.locked });
    expect(store.cancelled).toEqual([]);
    back.assertKept();
    await deployer().untilDeployed('lab.orders');
    await back.renew();
    expect(() => back.assertKept()).toThrow('The claim of lab was lost');
  });
});

describe('a lease', () => {
  it('that was taken away stops its holder, who takes nothing away in turn', async () => {
    let lost = 0;
    const deploy = deployer({ lost: () => lost++ });
    await deploy.deploy('lab.orders');
    await deploy.renew();
    expect(lost).toBe(0);
    deploy.assertKept();
    await someone().break();
    await deployer().deploy('lab.orders');
    await deploy.renew();
    expect(lost).toBe(1);
    expect(() => deploy.assertKept()).toThrow('The claim of lab was lost');
    await deploy.release();
    expect(store.scopes).toEqual(['lab.orders']);
  });

  it('that cannot be renewed stops its holder before others may take it, also where the backend hangs', async () => {
    jest.useFakeTimers();
    try {
      let hangs = false;
      const step = (): Promise<unknown> => (hangs ? new Promise(() => undefined) : Promise.resolve());
      const notes: string[] = [];
      let lostAt: number | undefined;
      const begun = performance.now();
      const claims = new Claims(store.places(step), 'lab', {
        lease: true,
        note: (text) => notes.push(text),
        lost: () => {
          lostAt = performance.now() - begun;
        },
      });
      await claims.environment();
      await jest.advanceTimersByTimeAsync(2 * RENEWED_MS);
      expect([...store.claims.values()]).toEqual([expect.stringMatching(/, lease 2$/)]);
      hangs = true;
      await jest.advanceTimersByTimeAsync(LAPSED_MS);
      expect(lostAt).toBeLessThanOrEqual(2 * RENEWED_MS + LOST_MS + RENEWED_MS);
      expect(notes).toEqual(['The claim of lab is lost: it cannot be renewed. Stopping.']);
    } finally {
      jest.useRealTimers();
    }
  });
});

test('a claim that could not be written whole is not left', async () => {
  const step = async (command: string) => {
    if (command === 'set') throw new Error('the bucket is away');
  };
  await expect(new Claims(store.places(step), 'lab', {}).environment()).rejects.toThrow('the bucket is away');
  expect(store.scopes).toEqual([]);
});

test('a claim that Pulumi was killed over is taken away with the lock that it left', async () => {
  store.claims.set('lab.0000000000000000', undefined);
  const { claims, states } = store.places();
  let locked = true;
  const places = {
    states,
    claims: {
      ...claims,
      forget: async (name: string) => {
        if (locked) throw new Error('the stack is currently locked by 1 lock(s)');
        await claims.forget(name);
      },
      cancel: async () => {
        locked = false;
      },
    },
  };
  await new Claims(places, 'lab', { pause: hurried }).environment();
  expect(store.scopes).toEqual(['lab']);
  expect(locked).toBe(false);
});

test('release gives back only what this process claimed; break takes away all', async () => {
  const deploy = deployer();
  await deploy.deploy('lab.orders');
  await deploy.renew();
  await someone().release();
  expect(store.scopes).toEqual(['lab.orders']);
  await deploy.release();
  expect(store.scopes).toEqual([]);
  await deployer().deploy('lab.orders');
  await someone().break();
  expect(store.scopes).toEqual([]);
});
