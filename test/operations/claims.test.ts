import { Claims } from '../../operations/claims';
import { EXIT } from '../../operations/refusal';

/** The tags of all stacks, as a backend keeps them. */
let tags: Map<string, string>;
beforeEach(() => {
  tags = new Map();
});

const command = {
  tag: async (stack: string, name: string) => tags.get(`${stack} ${name}`),
  setTag: async (stack: string, name: string, value: string) => {
    if (stack === 'lab.gone') return false;
    tags.set(`${stack} ${name}`, value);
    return true;
  },
  removeTag: async (stack: string, name: string) => void tags.delete(`${stack} ${name}`),
};
const someone = () => new Claims(command, 'lab');
const hurried = async () => undefined;
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

test('deploys of two modules go on at once, those of one do not', async () => {
  expect(await someone().deploy('lab.orders', hurried)).toBe(true);
  expect(await someone().deploy('lab.billing', hurried)).toBe(true);
  expect(await refused(someone().deploy('lab.orders', hurried))).toMatchObject({ code: EXIT.locked });
});

test('a deploy waits for whoever only looks, and leaves no flag when it gives up', async () => {
  const looking = someone();
  await looking.environment();
  let rounds = 0;
  const deploy = someone();
  // Who looked may have gathered the part, so that the deploy begins anew.
  const waited = await deploy.deploy('lab.orders', async () => {
    rounds++;
    // Lowered while it waits: who changes the environment must not be turned away by it.
    expect(await someone().deploying('lab.orders')).toBeUndefined();
    if (rounds === 3) await looking.release();
  });
  expect([waited, rounds]).toEqual([false, 3]);
  expect(await deploy.deploy('lab.orders', hurried)).toBe(true);

  await someone().environment();
  const error = await refused(someone().deploy('lab.billing', hurried));
  expect(error).toMatchObject({ code: EXIT.locked, message: expect.stringMatching(/^lab is locked/) });
  expect(await someone().deploying('lab.billing')).toBeUndefined();
});

test('a part that was gathered meanwhile is not claimed', async () => {
  expect(await someone().deploy('lab.gone', hurried)).toBe(false);
  expect(tags.size).toBe(0);
});

test('nobody changes an environment while a deploy works on a part of it', async () => {
  await someone().deploy('lab.orders', hurried);
  expect(await refused(someone().refuseDeploying('lab.orders'))).toMatchObject({
    code: EXIT.locked,
    message: expect.stringMatching(/^lab\.orders is locked/),
  });
  await someone().refuseDeploying('lab.billing');
});

test('release gives back only what this process claimed; break takes away all', async () => {
  const deploy = someone();
  await deploy.deploy('lab.orders', hurried);
  await someone().release();
  expect(tags.size).toBe(1);
  await someone().break(['lab.orders']);
  expect(tags.size).toBe(0);
});
