import { type ClaimOptions, Claims, LAPSED_MS, LONGEST_MS } from '../../operations/claims';
import { EXIT } from '../../operations/refusal';

/** The tags of all stacks, as a backend keeps them. */
let tags: Map<string, string>;
beforeEach(() => {
  tags = new Map();
});

let cancelled: string[];
beforeEach(() => {
  cancelled = [];
});

const command = {
  tag: async (stack: string, name: string) => tags.get(`${stack} ${name}`),
  setTag: async (stack: string, name: string, value: string) => {
    if (stack === 'lab.gone') return false;
    tags.set(`${stack} ${name}`, value);
    return true;
  },
  removeTag: async (stack: string, name: string) => void tags.delete(`${stack} ${name}`),
  cancel: async (stack: string) => void cancelled.push(stack),
};
const hurried = async () => undefined;
const someone = (options: ClaimOptions = {}) =>
  new Claims(command, 'lab', { pause: hurried, renewedMs: 0, ...options });
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

test('deploys of two modules go on at once; of one module the second waits its turn, and says so', async () => {
  const first = deployer();
  expect(await first.deploy('lab.orders')).toBe(true);
  expect(await deployer().deploy('lab.billing')).toBe(true);
  const notes: string[] = [];
  let rounds = 0;
  const second = deployer({
    note: (text) => notes.push(text),
    pause: async () => {
      await first.renew();
      if (++rounds === 6) await first.release();
    },
  });
  expect(await second.deploy('lab.orders')).toBe(true);
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
  // Who changed it may have gathered the part, so that the deploy begins anew.
  const deploy = deployer({
    pause: async () => {
      rounds++;
      // Lowered while it waits: who changes the environment must not be turned away by it.
      expect(await someone().deploying('lab.orders')).toBeUndefined();
      if (rounds === 3) await up.release();
    },
  });
  expect([await deploy.deploy('lab.orders'), rounds]).toEqual([false, 3]);
  expect(await deploy.deploy('lab.orders')).toBe(true);

  await someone().environment();
  const error = await refused(deployer().deploy('lab.billing'));
  expect(error).toMatchObject({ code: EXIT.locked, message: expect.stringMatching(/^lab is locked/) });
  expect(await someone().deploying('lab.billing')).toBeUndefined();
});

test('a part that was gathered meanwhile is not claimed', async () => {
  expect(await deployer().deploy('lab.gone')).toBe(false);
  expect(tags.size).toBe(0);
});

test('nobody changes an environment while a living deploy works on a part of it', async () => {
  const deploy = deployer();
  await deploy.deploy('lab.orders');
  expect(await refused(someone({ pause: alive(deploy) }).untilDeployed('lab.orders'))).toMatchObject({
    code: EXIT.locked,
    message: expect.stringMatching(/^lab\.orders is locked, created by [^,]+\. Wait/),
  });
  await someone().untilDeployed('lab.billing');
  expect(cancelled).toEqual([]);
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

test('whoever lost a lease writes nothing any more', async () => {
  const deploy = deployer();
  await deploy.deploy('lab.orders');
  deploy.assertKept();
  await command.removeTag('lab.orders', 'switchyard:deploying');
  await deploy.renew();
  expect(() => deploy.assertKept()).toThrow('The claim of lab was lost');
});

describe('a killed deploy', () => {
  it('keeps no other deploy and no `up` out: its lease lapses, and with it Pulumi’s own lock', async () => {
    await deployer().deploy('lab.orders');
    const notes: string[] = [];
    let waited = 0;
    const pause = async (milliseconds: number) => {
      waited += milliseconds;
    };
    await someone({ note: (text) => notes.push(text), pause }).untilDeployed('lab.orders');
    expect(waited).toBeGreaterThanOrEqual(LAPSED_MS);
    expect([tags.size, cancelled, notes]).toEqual([
      0,
      ['lab.orders'],
      [
        expect.stringMatching(
          /^lab\.orders was claimed by a deploy that is gone \(created by .*\): its claim/,
        ),
      ],
    ]);
    await deployer().deploy('lab.orders');
    expect(await deployer().deploy('lab.orders')).toBe(true);
  });

  it('that worked on the whole environment is no different', async () => {
    await deployer().environment();
    await someone().environment();
    expect(cancelled).toEqual(['lab']);
  });

  it('a person’s `up` that was killed is theirs to look at, however long it stood', async () => {
    await someone().environment();
    expect(await refused(someone().environment())).toMatchObject({ code: EXIT.locked });
    expect(await refused(deployer().environment())).toMatchObject({ code: EXIT.locked });
    expect([tags.size, cancelled]).toEqual([1, []]);
  });
});

test('of two that claim at the same moment one has it, and the other waits for its end', async () => {
  // Each finds nothing before either has written.
  let asked = 0;
  let both = (): void => undefined;
  const met = new Promise<void>((resolve) => {
    both = resolve;
  });
  const meeting = {
    ...command,
    tag: async (stack: string, name: string) => {
      const found = tags.get(`${stack} ${name}`);
      if (asked++ < 2) {
        if (asked === 2) both();
        await met;
      }
      return found;
    },
    setTag: async (stack: string, name: string, value: string) => {
      tags.set(`${stack} ${name}`, value);
      await new Promise((resolve) => setImmediate(resolve));
      return true;
    },
  };
  const claims = [1, 2].map(() => new Claims(meeting, 'lab', { pause: hurried }));
  const ends = await Promise.all(claims.map((claim) => refused(claim.environment())));
  expect(ends.filter((end) => end === undefined)).toHaveLength(1);
  expect(ends).toContainEqual(expect.objectContaining({ code: EXIT.locked }));
  expect(tags.size).toBe(1);
});

test('a lease that was taken away, or cannot be renewed, stops its holder', async () => {
  let lost = 0;
  const deploy = deployer({ lost: () => lost++ });
  await deploy.deploy('lab.orders');
  await deploy.renew();
  expect(lost).toBe(0);
  tags.set(
    'lab.orders switchyard:deploying',
    'created by another@host (pid 1) at 2026-01-01T00:00:00Z, lease 3',
  );
  await deploy.renew();
  expect(lost).toBe(1);
  // Not ours to give back.
  await deploy.release();
  expect(tags.size).toBe(1);
});

test('release gives back only what this process claimed; break takes away all', async () => {
  const deploy = deployer();
  await deploy.deploy('lab.orders');
  await deploy.renew();
  await someone().release();
  expect(tags.size).toBe(1);
  await deploy.release();
  expect(tags.size).toBe(0);
  await deployer().deploy('lab.orders');
  await someone().break(['lab.orders']);
  expect(tags.size).toBe(0);
});
