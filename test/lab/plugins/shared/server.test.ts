// Facts of Pulumi: proto/pulumi/provider.proto, and the wire format of secrets in sdk/go/common/resource/sig/sig.go.

import * as grpc from '@grpc/grpc-js';
import { ResourceProviderClient, ResourceProviderService } from '@pulumi/pulumi/proto/provider_grpc_pb';
import * as pb from '@pulumi/pulumi/proto/provider_pb';
import { Struct } from 'google-protobuf/google/protobuf/struct_pb';
import { launcherScript } from '../../../../lab/plugins/shared/bundle';
import {
  EngineLog,
  InitError,
  type PluginProvider,
  providerService,
} from '../../../../lab/plugins/shared/server';
import { secret } from '../../../../lab/plugins/shared/values';

const URN = 'urn:pulumi:lab::switchyard::switchyard:a:B$thing:index:Thing::first';

/** A provider that records what reaches it. */
function recorder() {
  const seen: Record<string, unknown> = {};
  const provider: PluginProvider = {
    configure: async (inputs) => {
      seen.configure = inputs;
    },
    check: async (call) => {
      seen.check = call;
      return { inputs: call.inputs, failures: [{ property: 'size', reason: 'is too big' }] };
    },
    diff: async () => ({
      changes: true,
      details: { 'spec.a[0].b': 'update-replace', 'spec.c': 'add' },
      replaces: ['spec.a[0].b'],
      deleteBeforeReplace: true,
    }),
    create: async (call) => {
      seen.create = call;
      if (call.inputs.fail) throw new InitError('not ready', 'the-id', { kept: 1 }, ['no image']);
      return { id: 'the-id', outputs: { token: secret('hidden'), gone: undefined } };
    },
    read: async () => undefined,
    update: async () => {
      throw new Error('one clear line');
    },
    delete: async () => undefined,
  };
  return { seen, provider };
}

describe('the plug-in server', () => {
  const { seen, provider } = recorder();
  const server = new grpc.Server();
  let client: ResourceProviderClient;

  beforeAll(async () => {
    server.addService(ResourceProviderService, providerService('thing', '1.2.3', provider, new EngineLog()));
    const port = await new Promise<number>((resolve, reject) =>
      server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
        error ? reject(error) : resolve(bound),
      ),
    );
    client = new ResourceProviderClient(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
  });

  afterAll(() => {
    client.close();
    server.forceShutdown();
  });

  function call<Response>(
    send: (done: (error: grpc.ServiceError | null, response: Response) => void) => unknown,
  ): Promise<Response> {
    return new Promise((resolve, reject) => {
      send((error, response) => (error ? reject(error) : resolve(response)));
    });
  }

  test('passes configuration on, with booleans decoded and strings as the user wrote them', async () => {
    const request = new pb.ConfigureRequest();
    request.setArgs(Struct.fromJavaScript({ flag: 'true', port: '8080', token: 'abc', text: '{"a":1}' }));
    const response = await call<pb.ConfigureResponse>((done) => client.configure(request, done));
    expect(seen.configure).toEqual({ flag: true, port: '8080', token: 'abc', text: '{"a":1}' });
    expect([response.getAcceptsecrets(), response.getSupportspreview()]).toEqual([false, true]);
  });

  test('names the resource, hands over the seed and takes secret wrappers off', async () => {
    const request = new pb.CheckRequest();
    request.setUrn(URN);
    request.setRandomseed(Uint8Array.from([1, 2]));
    request.setNews(Struct.fromJavaScript({ password: secret('x') as { value: string } }));
    const response = await call<pb.CheckResponse>((done) => client.check(request, done));
    expect(seen.check).toMatchObject({
      name: 'first',
      type: 'thing:index:Thing',
      inputs: { password: 'x' },
      oldInputs: {},
    });
    expect(response.getFailuresList().map((failure) => failure.toObject())).toEqual([
      { property: 'size', reason: 'is too big' },
    ]);
  });

  test('tells the engine which paths change and which of them replace', async () => {
    const request = new pb.DiffRequest();
    request.setUrn(URN);
    const response = await call<pb.DiffResponse>((done) => client.diff(request, done));
    const details = response.getDetaileddiffMap();
    expect(details.get('spec.a[0].b')?.getKind()).toBe(pb.PropertyDiff.Kind.UPDATE_REPLACE);
    expect(details.get('spec.c')?.getKind()).toBe(pb.PropertyDiff.Kind.ADD);
    expect([response.getReplacesList(), response.getDiffsList(), response.getDeletebeforereplace()]).toEqual([
      ['spec.a[0].b'],
      ['spec'],
      true,
    ]);
  });

  test('keeps secret outputs wrapped and drops what JSON cannot carry', async () => {
    const request = new pb.CreateRequest();
    request.setUrn(URN);
    request.setTimeout(7);
    const response = await call<pb.CreateResponse>((done) => client.create(request, done));
    expect(seen.create).toMatchObject({ timeoutSeconds: 7, preview: false });
    expect(response.getProperties()?.toJavaScript()).toEqual({ token: secret('hidden') });
  });

  test('an object that exists but is not ready keeps its id, state and reasons', async () => {
    const request = new pb.CreateRequest();
    request.setUrn(URN);
    request.setProperties(Struct.fromJavaScript({ fail: true }));
    const error = await call<pb.CreateResponse>((done) => client.create(request, done)).then(
      () => undefined,
      (failure: grpc.ServiceError) => failure,
    );
    const details = String(error?.metadata.get('grpc-status-details-bin')[0]?.toString('latin1'));
    for (const part of ['pulumirpc.ErrorResourceInitFailed', 'the-id', 'kept', 'no image'])
      expect(details).toContain(part);
  });

  test('a gone object has an empty id', async () => {
    const request = new pb.ReadRequest();
    request.setUrn(URN);
    request.setId('x');
    expect((await call<pb.ReadResponse>((done) => client.read(request, done))).getId()).toBe('');
  });

  test('an error is one line, without a stack trace', async () => {
    const request = new pb.UpdateRequest();
    request.setUrn(URN);
    await expect(call<pb.UpdateResponse>((done) => client.update(request, done))).rejects.toMatchObject({
      details: 'one clear line',
    });
  });

  test('a function that the plug-in does not have is refused by name', async () => {
    const request = new pb.InvokeRequest();
    request.setTok('thing:index:decode');
    await expect(call<pb.InvokeResponse>((done) => client.invoke(request, done))).rejects.toMatchObject({
      details:
        "thing:index:decode is not covered by the lab's thing plug-in; use the official plug-in for it",
    });
  });
});

test('the launcher survives blanks and quotes in paths', () => {
  expect(launcherScript('/opt/my node', "/it's/x.js")).toBe(
    `#!/bin/sh\nexec '/opt/my node' '/it'\\''s/x.js' "$@"\n`,
  );
});
