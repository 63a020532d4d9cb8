import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as grpc from '@grpc/grpc-js';
import { EngineClient, EngineService } from '@pulumi/pulumi/proto/engine_grpc_pb';
import { LogRequest, SetRootResourceRequest } from '@pulumi/pulumi/proto/engine_pb';
import { LanguageRuntimeClient, LanguageRuntimeService } from '@pulumi/pulumi/proto/language_grpc_pb';
import { RunRequest, RunResponse } from '@pulumi/pulumi/proto/language_pb';
import { ResourceMonitorClient, ResourceMonitorService } from '@pulumi/pulumi/proto/resource_grpc_pb';
import {
  ReadResourceRequest,
  RegisterResourceOutputsRequest,
  RegisterResourceRequest,
  SupportsFeatureRequest,
  SupportsFeatureResponse,
} from '@pulumi/pulumi/proto/resource_pb';
import { Empty } from 'google-protobuf/google/protobuf/empty_pb';
import { Struct } from 'google-protobuf/google/protobuf/struct_pb';
import { handoverPaths } from '../../../delivery/preview/handover';
import { openRelay, type Relay } from '../../../delivery/preview/relay';

// The relay between an engine that answers everything and a program that may ask for anything: both speak Pulumi's own
// protocol by its own clients, and the engine notes what comes to it.

const insecure = grpc.credentials.createInsecure();
const LONGEST = 1 << 18;
const APPLIED = { baseUrls: ['https://gitlab.test/api/v4/'], token: 'withheld' };
const SIGNATURE = '4dabf18193072939515e22adb298388d';
const ASSET = 'c44067f5952c0a294b673a41bacd8c17';
const ARCHIVE = '0def7320c3a5731c473e5ecbe6d01bc7';
const SECRET = '1b47061264138c4ac30d75fd1eb44270';
const OUTPUT = 'd0e6a833031e9bbcd3f4e8bde6ca49a4';
const REFERENCE = '5cf8f73096256a8f31e491e813e4eb8e';

interface Message {
  serializeBinary(): Uint8Array;
  toObject(): object;
}
type Method = grpc.MethodDefinition<Message, Message> & {
  readonly requestType: new () => Message;
  readonly responseType: new () => Message;
};
const methodsOf = (service: object): [string, Method][] => Object.entries(service);
const MONITOR = methodsOf(ResourceMonitorService);
const ENGINE = methodsOf(EngineService);
/** What the program is answered, whatever comes of it. */
const ANSWERED = [
  ...['supportsFeature', 'readResource', 'registerResource', 'registerResourceOutputs'],
  ...['signalAndWaitForShutdown', 'log', 'getRootResource', 'setRootResource'],
];

let folder: string;
let engine: grpc.Server;
let program: grpc.Server;
let relay: Relay;
let toProgram: LanguageRuntimeClient;
let monitor: ResourceMonitorClient;
let toEngine: EngineClient;
/** What came to the engine. */
let heard: { method: string; request: Message }[];
/** Ends the program. */
let finish: () => void;

const bound = (server: grpc.Server, address: string): Promise<number> =>
  new Promise((resolve, reject) =>
    server.bindAsync(address, grpc.ServerCredentials.createInsecure(), (error, port) =>
      error ? reject(error) : resolve(port),
    ),
  );

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'relay-'));
  const paths = handoverPaths(folder);
  for (const shared of [paths.given, paths.left]) mkdirSync(shared);
  heard = [];
  engine = new grpc.Server();
  const hears = (methods: [string, Method][]): grpc.UntypedServiceImplementation =>
    Object.fromEntries(
      methods.map(([method, { responseType }]): [string, grpc.handleUnaryCall<Message, Message>] => [
        method,
        ({ request }, callback) => {
          heard.push({ method, request });
          const answer = new responseType();
          if (answer instanceof SupportsFeatureResponse) answer.setHassupport(true);
          callback(null, answer);
        },
      ]),
    );
  engine.addService(ResourceMonitorService, hears(MONITOR));
  engine.addService(EngineService, hears(ENGINE));
  const port = await bound(engine, '127.0.0.1:0');
  program = new grpc.Server();
  const started = new Promise<RunRequest>((resolve) => {
    const unanswered = Object.fromEntries(
      methodsOf(LanguageRuntimeService).map(([name]): [string, grpc.UntypedHandleCall] => [
        name,
        () => undefined,
      ]),
    );
    program.addService(LanguageRuntimeService, {
      ...unanswered,
      run: (
        call: grpc.ServerUnaryCall<RunRequest, RunResponse>,
        callback: grpc.sendUnaryData<RunResponse>,
      ) => {
        finish = () => callback(null, new RunResponse());
        resolve(call.request);
      },
    });
  });
  await bound(program, `unix:${paths.language}`);
  relay = await openRelay(paths, { applied: APPLIED, longest: LONGEST });
  toProgram = new LanguageRuntimeClient(relay.address, insecure);
  const address = `127.0.0.1:${port}`;
  const request = new RunRequest().setMonitorAddress(address).setArgsList([address]);
  toProgram.run(request, () => undefined);
  const run = await started;
  expect(run.getMonitorAddress()).toBe(`unix:${paths.monitor}`);
  expect(run.getArgsList()).toEqual([`unix:${paths.monitor}`]);
  monitor = new ResourceMonitorClient(run.getMonitorAddress(), insecure);
  toEngine = new EngineClient(run.getMonitorAddress(), insecure);
});
afterEach(() => {
  for (const client of [monitor, toEngine, toProgram]) client.close();
  relay.close();
  for (const server of [program, engine]) server.forceShutdown();
  rmSync(folder, { recursive: true, force: true });
});

/** Asks as the program, by a method's name. */
function ask(
  method: string,
  request: Message,
): Promise<{ answer?: Message; code: grpc.status; why: string }> {
  const client = MONITOR.some(([name]) => name === method) ? monitor : toEngine;
  const asked = (
    client as unknown as Record<string, (request: Message, done: grpc.requestCallback<Message>) => void>
  )[method];
  return new Promise((resolve) =>
    asked?.call(client, request, (error, answer) =>
      resolve({
        ...(answer ? { answer } : {}),
        code: error?.code ?? grpc.status.OK,
        why: error?.details ?? '',
      }),
    ),
  );
}

const methodsHeard = (): string[] => heard.map(({ method }) => method);

const PROVIDER = 'urn:pulumi:test::switchyard::pulumi:providers:kubernetes::ci-cluster::id';
const FRAME = 'urn:pulumi:test::switchyard::switchyard:index:Topology::topology';
const fields = (inputs: object): Struct => Struct.fromJavaScript(inputs as never);

const registration = (inputs: object): RegisterResourceRequest =>
  new RegisterResourceRequest()
    .setType('kubernetes:core/v1:ConfigMap')
    .setName('it')
    .setCustom(true)
    .setProvider(PROVIDER)
    .setObject(fields(inputs));
const reading = (inputs: object): ReadResourceRequest =>
  new ReadResourceRequest()
    .setType('gitlab:index/group:Group')
    .setName('it')
    .setId('1')
    .setProvider(PROVIDER)
    .setProperties(fields(inputs));
const outputs = (inputs: object): RegisterResourceOutputsRequest =>
  new RegisterResourceOutputsRequest().setUrn(FRAME).setOutputs(fields(inputs));

test('what a plan is made of is handed on as it is', async () => {
  const asked: [string, Message][] = [
    ['registerResource', registration({ data: { key: 'value' } })],
    ['readResource', reading({ path: 'shop' })],
    ['registerResourceOutputs', outputs({ url: 'https://shop.test' })],
    ['log', new LogRequest().setMessage('hello')],
    ['setRootResource', new SetRootResourceRequest().setUrn(FRAME)],
    ['getRootResource', new (EngineService.getRootResource as unknown as Method).requestType()],
    ['supportsFeature', new SupportsFeatureRequest().setId('secrets')],
    ['signalAndWaitForShutdown', new Empty()],
  ];
  for (const [method, request] of asked)
    expect({ method, ...(await ask(method, request)) }).toMatchObject({ method, code: grpc.status.OK });
  expect(heard.map(({ method, request }) => [method, request.toObject()])).toEqual(
    asked.map(([method, request]) => [method, request.toObject()]),
  );
  expect([...methodsHeard()].sort()).toEqual([...ANSWERED].sort());
});

test.each([...MONITOR, ...ENGINE].filter(([name]) => !ANSWERED.includes(name)))(
  '%s does not reach the engine',
  async (method, { requestType }) => {
    expect((await ask(method, new requestType())).code).toBe(grpc.status.UNIMPLEMENTED);
    expect(heard).toEqual([]);
  },
);

test('the engine is asked only for what has no code of the program run in its course', async () => {
  const supported = async (id: string) =>
    (
      (await ask('supportsFeature', new SupportsFeatureRequest().setId(id))).answer as SupportsFeatureResponse
    ).getHassupport();
  for (const id of [
    'secrets',
    'resourceReferences',
    'outputValues',
    'deletedWith',
    'replaceWith',
    'aliasSpecs',
  ])
    expect([id, await supported(id)]).toEqual([id, true]);
  heard = [];
  for (const id of [
    'transforms',
    'invokeTransforms',
    'resourceHooks',
    'errorHooks',
    'parameterization',
    'other',
    '',
  ])
    expect([id, await supported(id)]).toEqual([id, false]);
  expect(heard).toEqual([]);
});

test('what is refused is said to whoever asks and to the readers of the plan, and nothing of it is handed on', async () => {
  const why = 'command:local:Command it has a type that previews do not take';
  const refused = registration({}).setType('command:local:Command');
  expect(await ask('registerResource', refused)).toEqual({ code: grpc.status.PERMISSION_DENIED, why });
  expect(await ask('readResource', reading({}).setType('command:local:Command'))).toEqual({
    code: grpc.status.PERMISSION_DENIED,
    why,
  });
  expect(methodsHeard()).toEqual(['log', 'log']);
  expect(heard.map(({ request }) => (request as LogRequest).getMessage())).toEqual([why, why]);
});

test('a GitLab of the program’s own does not reach the engine', async () => {
  const provider = (baseUrl: string): RegisterResourceRequest =>
    registration({ baseUrl, token: 'withheld' })
      .setType('pulumi:providers:gitlab')
      .setName('gitlab')
      .setProvider('');
  expect(await ask('registerResource', provider('https://evil.test/api/v4/'))).toEqual({
    code: grpc.status.PERMISSION_DENIED,
    why: 'pulumi:providers:gitlab gitlab has another baseUrl of a provider than was applied, which previews do not take',
  });
  expect(methodsHeard()).toEqual(['log']);
  expect((await ask('registerResource', provider('https://gitlab.test/api/v4/'))).code).toBe(grpc.status.OK);
});

test.each<[string, Message]>([
  ['registerResource', registration({ data: { key: 'x'.repeat(LONGEST / 2) } })],
  ['readResource', reading({ path: 'x'.repeat(LONGEST / 2) })],
  ['registerResourceOutputs', outputs({ url: 'x'.repeat(LONGEST / 2) })],
  ['log', new LogRequest().setMessage('x'.repeat(LONGEST / 2))],
  ['setRootResource', new SetRootResourceRequest().setUrn('x'.repeat(LONGEST / 2))],
  ['supportsFeature', new SupportsFeatureRequest().setId('x'.repeat(LONGEST / 2))],
])('what is said by %s has an end', async (method, request) => {
  const [first, second, third] = [
    await ask(method, request),
    await ask(method, request),
    await ask('log', new LogRequest().setMessage('and more')),
  ];
  expect(first.code).not.toBe(grpc.status.RESOURCE_EXHAUSTED);
  for (const { code, why } of [second, third])
    expect([code, why]).toEqual([
      grpc.status.RESOURCE_EXHAUSTED,
      'the program says more than a preview takes',
    ]);
  expect(heard.length).toBeLessThanOrEqual(1);
});

/** What the engine opens or fetches when it unmarshals it, to know its hash. */
const FETCHED = {
  'a file': { [SIGNATURE]: ASSET, path: '/etc/hostname' },
  'an address': { [SIGNATURE]: ASSET, uri: 'http://127.0.0.1:9/x' },
  'an archive': { [SIGNATURE]: ARCHIVE, path: '/etc' },
  'an archive at an address': { [SIGNATURE]: ARCHIVE, uri: 'http://127.0.0.1:9/x.tgz' },
  'an archive of assets': {
    [SIGNATURE]: ARCHIVE,
    assets: { a: { [SIGNATURE]: ASSET, path: '/etc/hostname' } },
  },
};
/** Where it may stand. */
const AROUND: Record<string, (value: object) => object> = {
  'by itself': (value) => ({ key: value }),
  'as the whole': (value) => value,
  'in a map of a list of a list': (value) => ({ key: { inner: ['text', [value]] } }),
  'in a secret': (value) => ({ key: { [SIGNATURE]: SECRET, value } }),
  'in an output': (value) => ({ key: { [SIGNATURE]: OUTPUT, value, secret: true, dependencies: [] } }),
  'in a secret of an output of a list': (value) => ({
    key: { [SIGNATURE]: SECRET, value: { [SIGNATURE]: OUTPUT, value: [value] } },
  }),
  'beside a reference': (value) => ({ key: { [SIGNATURE]: REFERENCE, urn: FRAME, id: value } }),
};
/** The engine reads a signature when it has unmarshalled it: what gives a text there is that text. */
const SPELT: Record<string, (signature: string) => unknown> = {
  plainly: (signature) => signature,
  'as an output': (signature) => ({ [SIGNATURE]: OUTPUT, value: signature }),
  'as a secret': (signature) => ({ [SIGNATURE]: SECRET, value: signature }),
  'as a reference': (signature) => ({ [SIGNATURE]: REFERENCE, urn: signature }),
  'as bytes': (signature) => ({
    [SIGNATURE]: '803fd3297a5875dc03ca845dda5d2a98',
    value: Buffer.from(signature).toString('base64'),
  }),
};
const JUDGED: Record<string, (inputs: object) => Message> = {
  registerResource: registration,
  readResource: reading,
  registerResourceOutputs: outputs,
};
const WITH_VALUES = Object.entries(JUDGED);

describe.each(WITH_VALUES)('%s hands on nothing that the engine would fetch', (method, requestOf) => {
  const refused = async (inputs: object): Promise<void> => {
    const { code, why } = await ask(method, requestOf(inputs));
    expect(why).toMatch(/ has an asset or an archive, which previews do not take$/);
    expect(code).toBe(grpc.status.PERMISSION_DENIED);
    expect(methodsHeard()).toEqual(['log']);
    heard = [];
  };

  test.each(Object.entries(FETCHED))('%s, wherever it stands', async (_what, value) => {
    for (const around of Object.values(AROUND)) await refused(around(value));
  });

  test.each(Object.entries(SPELT))('whose signature is spelt %s', async (_how, spelt) => {
    for (const { [SIGNATURE]: signature = '', ...rest } of Object.values<Record<string, unknown>>(FETCHED))
      await refused({ key: { [SIGNATURE]: spelt(signature as string), ...rest } });
  });

  test('and what only looks like it is handed on', async () => {
    const inputs = {
      secret: { [SIGNATURE]: SECRET, value: { path: '/etc/hostname', uri: 'http://127.0.0.1:9/x' } },
      output: { [SIGNATURE]: OUTPUT, value: [ASSET], dependencies: [FRAME] },
      resource: { [SIGNATURE]: REFERENCE, urn: FRAME, id: '' },
      [ASSET]: 'text',
    };
    expect((await ask(method, requestOf(inputs))).code).toBe(grpc.status.OK);
    expect(methodsHeard()).toEqual([method]);
    expect(heard[0]?.request.toObject()).toEqual(requestOf(inputs).toObject());
  });
});

test('a text is handed on as a text, also where it is an address or a file', async () => {
  const texts = ['file:///etc/hostname', 'http://127.0.0.1:9/x', ASSET, JSON.stringify(FETCHED)];
  for (const text of texts) {
    await ask('log', new LogRequest().setMessage(text).setUrn(text));
    await ask('setRootResource', new SetRootResourceRequest().setUrn(text));
    await ask('supportsFeature', new SupportsFeatureRequest().setId(text));
  }
  expect(methodsHeard()).toEqual(texts.flatMap(() => ['log', 'setRootResource']));
});

test.each([
  'urn:pulumi:test::switchyard::switchyard:index:Topology$kubernetes:core/v1:ConfigMap::it',
  'urn:pulumi:test::switchyard::pulumi:providers:gitlab::gitlab',
  'urn:pulumi:test::switchyard::switchyard:index:Topology$docker:index/image:Image::switchyard:index:Topology',
  'switchyard:index:Topology',
  '',
])('outputs of %s are not taken from a program', async (urn) => {
  expect(await ask('registerResourceOutputs', outputs({}).setUrn(urn))).toEqual({
    code: grpc.status.PERMISSION_DENIED,
    why: `${urn} is no component of the topology`,
  });
  expect(methodsHeard()).toEqual(['log']);
});

test.each([
  ['urn:pulumi:test::switchyard::pulumi:pulumi:Stack::switchyard-test'],
  ['urn:pulumi:test::switchyard::switchyard:index:Topology$switchyard:jenkins:Jenkins::jenkins'],
])('outputs of %s are', async (urn) => {
  expect((await ask('registerResourceOutputs', outputs({}).setUrn(urn))).code).toBe(grpc.status.OK);
});

/** A field of a message: protobuf's own bytes, which no client of it makes that deep. */
function field(number: number, content: Buffer): Buffer {
  const head = [(number << 3) | 2];
  let length = content.length;
  for (; length > 0x7f; length >>= 7) head.push((length & 0x7f) | 0x80);
  return Buffer.concat([Buffer.from([...head, length]), content]);
}

test('what is nested without end is refused, and the relay stays', async () => {
  const STRUCT_VALUE = 5;
  let bytes: Buffer = Buffer.from(fields({ [SIGNATURE]: ASSET, path: '/etc/hostname' }).serializeBinary());
  for (let depth = 0; depth < 5000; depth += 1)
    bytes = field(1, Buffer.concat([field(1, Buffer.from('a')), field(2, field(STRUCT_VALUE, bytes))]));
  const empty = registration({});
  empty.clearObject();
  const request = Buffer.concat([Buffer.from(empty.serializeBinary()), field(5, bytes)]);
  const as = (given: Buffer): Buffer => given;
  const code = await new Promise((resolve) =>
    monitor.makeUnaryRequest(ResourceMonitorService.registerResource.path, as, as, request, (error) =>
      resolve(error?.code),
    ),
  );
  expect(code).toEqual(expect.any(Number));
  expect(methodsHeard()).not.toContain('registerResource');
  expect((await ask('log', new LogRequest().setMessage('still there'))).code).toBe(grpc.status.OK);
});

test.each([
  ...WITH_VALUES.map(([method, requestOf]): [string, Message] => [method, requestOf({})]),
  ['log', new LogRequest().setMessage('hello')] as [string, Message],
  ['setRootResource', new SetRootResourceRequest().setUrn(FRAME)] as [string, Message],
  ['signalAndWaitForShutdown', new Empty()] as [string, Message],
])('what %s has beside the fields that are known here is left out', async (method, request) => {
  const { path } = [...MONITOR, ...ENGINE].find(([name]) => name === method)?.[1] ?? { path: '' };
  const known = Buffer.from(request.serializeBinary());
  const as = (given: Buffer): Buffer => given;
  const given = Buffer.concat([
    known,
    Buffer.from([0xfa, 0x3e]),
    field(0, Buffer.from('a newer engine’s')).subarray(1),
  ]);
  const error = await new Promise((resolve) => monitor.makeUnaryRequest(path, as, as, given, resolve));
  expect(error).toBeNull();
  expect(Buffer.from(heard[0]?.request.serializeBinary() ?? [])).toEqual(known);
});

test('when the program has ended, the engine is not asked any more', async () => {
  finish();
  for (;;) {
    const { code } = await ask('log', new LogRequest().setMessage('late'));
    if (code !== grpc.status.OK) break;
  }
  const before = heard.length;
  expect((await ask('registerResource', registration({}))).code).not.toBe(grpc.status.OK);
  expect(heard).toHaveLength(before);
});
