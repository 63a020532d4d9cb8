import * as k8s from '@pulumi/kubernetes';
import * as pulumi from '@pulumi/pulumi';
import fc from 'fast-check';
import type { Declaration } from '../../components/shared/declaration';
import { basicRef, outputRef, type Ref, secretRef, text } from '../../components/shared/references';
import { Registrar } from '../../components/shared/registrar';
import { Secrets } from '../../components/shared/secrets';

// What reaches the engine: as Pulumi's wire format has it, where a secret is marked.

const SEED = 'a seed for tests, long enough to be one';
const SIGNATURE = '4dabf18193072939515e22adb298388d';
const SECRET = '1b47061264138c4ac30d75fd1eb44270';
/** An argument that holds a secret anywhere is one as a whole to the SDK. */
const secret = (value: unknown) => ({ [SIGNATURE]: SECRET, value });

interface Made {
  readonly inputs: unknown;
}

/** Registers these declarations, and gives the inputs that the engine got of each. */
async function registered(declarations: readonly unknown[]): Promise<Map<string, unknown>> {
  const made = new Map<string, Made>();
  await pulumi.runtime.setMocks({
    newResource: ({ name, inputs }) => {
      made.set(name, { inputs });
      return { id: `${name}-id`, state: { ...inputs, repoDigest: 'image@sha256:0' } };
    },
    call: ({ inputs }) => inputs,
  });
  const registrar = new Registrar({
    seed: pulumi.secret(SEED),
    environment: 'test',
    given: {},
    provider: (role) => new k8s.Provider(role, {}),
  });
  const parent = new pulumi.ComponentResource('test:index:Parent', 'parent');
  const resources = declarations.map((declaration) => registrar.register(declaration as Declaration, parent));
  await Promise.all(resources.map(({ id }) => new Promise((resolve) => id.apply(resolve))));
  await pulumi.runtime.disconnect();
  return new Map([...made].map(([name, { inputs }]) => [name, inputs]));
}

const configMap = (name: string, data: unknown) => ({
  type: 'kubernetes:core/v1:ConfigMap',
  name,
  provider: 'ci',
  args: { data },
});

const dataOf = async (data: unknown, ...before: readonly unknown[]): Promise<unknown> =>
  ((await registered([...before, configMap('it', data)])).get('it') as { data: unknown }).data;

test('what Pulumi knows reaches the engine as it is: a secret as a secret, a promise as its value', async () => {
  expect(
    await dataOf({
      secret: pulumi.secret('hidden'),
      promise: Promise.resolve('late'),
      output: pulumi.output('plain'),
      deep: [{ secret: pulumi.secret('deeper') }],
    }),
  ).toEqual(secret({ secret: 'hidden', promise: 'late', output: 'plain', deep: [{ secret: 'deeper' }] }));
  expect(await dataOf({ promise: Promise.resolve('late'), output: pulumi.output('plain') })).toEqual({
    promise: 'late',
    output: 'plain',
  });
  const { asset } = (await dataOf({ asset: new pulumi.asset.StringAsset('text') })) as {
    asset: pulumi.asset.StringAsset;
  };
  expect(pulumi.asset.Asset.isInstance(asset)).toBe(true);
  expect(await asset.text).toBe('text');
});

test.each([
  ['a date', new Date(0), 'Date'],
  ['a map', new Map([['a', 'b']]), 'Map'],
  ['a function', () => 'x', 'function'],
])('%s is refused, since it would reach the provider as something else', async (_what, value, says) => {
  await expect(dataOf({ value })).rejects.toThrow(says);
});

test('what a Secret outputs is a secret, and so is a text that is made of it', async () => {
  const source = {
    type: 'kubernetes:core/v1:Secret',
    name: 'source',
    provider: 'ci',
    args: { metadata: { name: 'source' }, stringData: { a: secretRef('x') } },
  };
  const name = outputRef('source', 'metadata.name');
  expect(await dataOf({ name, made: text`of ${name}` }, source)).toEqual(
    secret({ name: 'source', made: 'of source' }),
  );
});

const plainText = fc.oneof(
  fc.string(),
  fc.constantFrom('«secret:x»', '«given:SEED»', '«output:it:data»', '«basic:push:registry/push»'),
);
const ref: fc.Arbitrary<Ref> = fc.constantFrom(secretRef('x'), basicRef('push', 'x'));
/** Data, beside what the engine must get for it. */
interface Case {
  readonly given: unknown;
  readonly wanted: unknown;
  /** Whether a secret is anywhere in it. */
  readonly hides: boolean;
}
const nested = fc.letrec<{ value: Case }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    plainText.map((given) => ({ given, wanted: given, hides: false })),
    fc.integer().map((given) => ({ given, wanted: given, hides: false })),
    plainText.map((one) => ({ given: pulumi.secret(one), wanted: one, hides: true })),
    ref.map((given) => ({
      given,
      wanted:
        given.shown === '«secret:x»'
          ? new Secrets(SEED, 'test').secret('x')
          : Buffer.from(`push:${new Secrets(SEED, 'test').secret('x')}`).toString('base64'),
      hides: true,
    })),
    plainText.map((one) => ({
      given: text`${one}${secretRef('x')}`,
      wanted: `${one}${new Secrets(SEED, 'test').secret('x')}`,
      hides: true,
    })),
    fc.array(tie('value'), { maxLength: 3 }).map((all) => ({
      given: all.map(({ given }) => given),
      wanted: all.map(({ wanted }) => wanted),
      hides: all.some(({ hides }) => hides),
    })),
    fc
      .dictionary(
        fc.string().filter((key) => key !== '__proto__' && key !== SIGNATURE),
        tie('value'),
        { maxKeys: 3 },
      )
      .map((all) => ({
        given: Object.fromEntries(Object.entries(all).map(([key, { given }]) => [key, given])),
        wanted: Object.fromEntries(Object.entries(all).map(([key, { wanted }]) => [key, wanted])),
        hides: Object.values(all).some(({ hides }) => hides),
      })),
  ),
})).value;

test('however data is nested, plain text stays what it is, and a secret arrives as one', async () => {
  await fc.assert(
    fc.asyncProperty(nested, async ({ given, wanted, hides }) => {
      expect(await dataOf({ given })).toEqual(hides ? secret({ given: wanted }) : { given: wanted });
    }),
    { numRuns: 60 },
  );
});

// kubernetes/kubernetes#108008: what the API server makes of `stringData` has no owner, so that it would stay.
const file = fc.stringMatching(/^[a-z]{1,8}$/);
/** What Pulumi takes among plain data, beside what the engine must see of it. */
const pulumis: fc.Arbitrary<{ given: unknown; wanted: unknown }> = fc.letrec<{
  asset: { given: pulumi.asset.Asset | pulumi.asset.Archive; wanted: unknown };
}>((tie) => ({
  asset: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    // The SDK itself reads an empty one back as none.
    plainText
      .filter((one) => one !== '')
      .map((one) => ({ given: new pulumi.asset.StringAsset(one), wanted: { text: one } })),
    file.map((one) => ({ given: new pulumi.asset.FileAsset(one), wanted: { path: one } })),
    file.map((one) => ({
      given: new pulumi.asset.RemoteAsset(`https://${one}.test/a`),
      wanted: { uri: `https://${one}.test/a` },
    })),
    file.map((one) => ({ given: new pulumi.asset.FileArchive(one), wanted: { path: one } })),
    file.map((one) => ({
      given: new pulumi.asset.RemoteArchive(`https://${one}.test/a.zip`),
      wanted: { uri: `https://${one}.test/a.zip` },
    })),
    fc.dictionary(file, tie('asset'), { maxKeys: 2 }).map((all) => ({
      given: new pulumi.asset.AssetArchive(
        Object.fromEntries(Object.entries(all).map(([name, { given }]) => [name, given])),
      ),
      wanted: {
        assets: Object.fromEntries(Object.entries(all).map(([name, { wanted }]) => [name, wanted])),
      },
    })),
  ),
})).asset;
/** The same as a value that comes later, in however many wraps. */
const later = fc
  .record({
    one: fc.oneof(
      pulumis,
      plainText.map((given) => ({ given: given as unknown, wanted: given as unknown })),
    ),
    wraps: fc.array(fc.constantFrom('output', 'promise'), { maxLength: 3 }),
  })
  .map(({ one: { given, wanted }, wraps }) => ({
    given: wraps.reduce<unknown>(
      (inner, wrap) => (wrap === 'output' ? pulumi.output(inner) : Promise.resolve(inner)),
      given,
    ),
    wanted,
  }));

/** What of assets and archives the engine is told. */
async function shown(value: unknown): Promise<unknown> {
  if (Array.isArray(value)) return Promise.all(value.map(shown));
  if (value === null || typeof value !== 'object') return value;
  const isOne = pulumi.asset.Asset.isInstance(value) || pulumi.asset.Archive.isInstance(value);
  const known = isOne ? ['text', 'path', 'uri', 'assets'] : Object.keys(value);
  const all: [string, unknown][] = [];
  for (const [key, inner] of Object.entries(value))
    if (known.includes(key)) all.push([key, await shown(await inner)]);
  return Object.fromEntries(all);
}

test('assets, archives, promises and outputs reach the engine whole, however deep in plain data and in each other they stand', async () => {
  const nestedLater = fc.letrec<{ value: { given: unknown; wanted: unknown } }>((tie) => ({
    value: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      later,
      fc.array(tie('value'), { maxLength: 3 }).map((all) => ({
        given: all.map(({ given }) => given),
        wanted: all.map(({ wanted }) => wanted),
      })),
      fc.dictionary(file, tie('value'), { maxKeys: 3 }).map((all) => ({
        given: Object.fromEntries(Object.entries(all).map(([key, { given }]) => [key, given])),
        wanted: Object.fromEntries(Object.entries(all).map(([key, { wanted }]) => [key, wanted])),
      })),
    ),
  })).value;
  await fc.assert(
    fc.asyncProperty(nestedLater, async ({ given, wanted }) => {
      expect(await shown(await dataOf({ given }))).toEqual({ given: wanted });
    }),
    { numRuns: 60 },
  );
  // A secret among them makes the whole argument one.
  const archive = new pulumi.asset.AssetArchive({ a: new pulumi.asset.StringAsset('text') });
  const hidden = await dataOf({ archive, deep: [{ value: pulumi.secret('hidden') }] });
  expect(await shown(hidden)).toEqual(
    secret({ archive: { assets: { a: { text: 'text' } } }, deep: [{ value: 'hidden' }] }),
  );
});

test("a Secret's texts reach the engine as its data, beside what is data already, and stay secret", async () => {
  const made = await registered([
    {
      type: 'kubernetes:core/v1:Secret',
      name: 'source',
      provider: 'ci',
      args: {
        metadata: { name: 'source' },
        data: { given: 'Z2l2ZW4=' },
        stringData: { derived: secretRef('x'), text: 'ü' },
      },
    },
  ]);
  const encoded = (value: string) => Buffer.from(value).toString('base64');
  const data = {
    given: 'Z2l2ZW4=',
    derived: encoded(new Secrets(SEED, 'test').secret('x')),
    text: encoded('ü'),
  };
  expect(made.get('source')).toEqual({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'source' },
    data: secret(data),
  });
});

// The official provider took an empty `data` for a change at each preview: hook tokens beside an existing Jenkins without modules.
test('a Secret without any text has no data', async () => {
  const metadata = { name: 'empty' };
  const made = await registered([
    {
      type: 'kubernetes:core/v1:Secret',
      name: 'empty',
      provider: 'ci',
      args: { metadata, stringData: {} },
    },
  ]);
  expect(made.get('empty')).toEqual({ apiVersion: 'v1', kind: 'Secret', metadata });
});

test.each([
  ['an output', (texts: object) => pulumi.secret(texts)],
  ['a promise', (texts: object) => Promise.resolve(texts)],
  ['an output of texts that are outputs', ({ a }: { a: string }) => pulumi.output({ a: pulumi.secret(a) })],
])("a Secret's texts may come as a whole: %s", async (_what, whole) => {
  const metadata = { name: 'whole' };
  const secretOf = (name: string, args: object) => ({
    type: 'kubernetes:core/v1:Secret',
    name,
    provider: 'ci',
    args: { metadata, ...args },
  });
  const made = await registered([
    secretOf('texts', { stringData: whole({ a: 'hidden' }) }),
    secretOf('both', { data: whole({ a: 'b3RoZXI=' }), stringData: { b: 'text' } }),
  ]);
  const of = (data: object) => ({ apiVersion: 'v1', kind: 'Secret', metadata, data: secret(data) });
  expect(made.get('texts')).toEqual(of({ a: Buffer.from('hidden').toString('base64') }));
  expect(made.get('both')).toEqual(of({ a: 'b3RoZXI=', b: Buffer.from('text').toString('base64') }));
});
