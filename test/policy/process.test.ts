import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { credentials } from '@grpc/grpc-js';
import { AnalyzerClient } from '@pulumi/pulumi/proto/analyzer_grpc_pb';
import {
  type AnalyzeResponse,
  type AnalyzerInfo,
  AnalyzerProviderResource,
  AnalyzerResource,
  AnalyzerResourceOptions,
  AnalyzeStackRequest,
} from '@pulumi/pulumi/proto/analyzer_pb';
import { Empty } from 'google-protobuf/google/protobuf/empty_pb';
import { Struct } from 'google-protobuf/google/protobuf/struct_pb';
import { policies } from '../../policy/pack';
import { root } from '../support/model';

// The pack as the CLI runs it: the same program of @pulumi/pulumi, started in the pack's folder, spoken to over gRPC.

/** Pulumi loads its compiler at each start. */
const TIMEOUT = 120_000;

let pack: ChildProcessByStdio<null, Readable, null>;
let client: AnalyzerClient;

beforeAll(async () => {
  const runner = join(root, 'node_modules', '@pulumi', 'pulumi', 'cmd', 'run-policy-pack');
  pack = spawn(process.execPath, [runner, '127.0.0.1:1', '.'], {
    cwd: join(root, 'policy'),
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [port] = (await once(createInterface({ input: pack.stdout }), 'line')) as [string];
  client = new AnalyzerClient(`127.0.0.1:${port}`, credentials.createInsecure());
}, TIMEOUT);

afterAll(async () => {
  client?.close();
  if (pack && pack.exitCode === null) {
    const ended = once(pack, 'exit');
    pack.kill();
    await ended;
  }
});

const info = (): Promise<AnalyzerInfo> =>
  new Promise((resolve, reject) => {
    client.getAnalyzerInfo(new Empty(), (error, answer) => (error ? reject(error) : resolve(answer)));
  });

const analyze = (resources: readonly AnalyzerResource[]): Promise<AnalyzeResponse> =>
  new Promise((resolve, reject) => {
    const request = new AnalyzeStackRequest();
    request.setResourcesList([...resources]);
    client.analyzeStack(request, (error, answer) => (error ? reject(error) : resolve(answer)));
  });

function namespace(provider: string): AnalyzerResource {
  const resource = new AnalyzerResource();
  resource.setType('kubernetes:core/v1:Namespace');
  resource.setName('stray');
  resource.setUrn('urn:pulumi:test::switchyard::kubernetes:core/v1:Namespace::stray');
  resource.setProperties(Struct.fromJavaScript({ metadata: { name: 'stray' } }));
  resource.setOptions(new AnalyzerResourceOptions());
  const made = new AnalyzerProviderResource();
  made.setType('pulumi:providers:kubernetes');
  made.setName(provider);
  made.setProperties(Struct.fromJavaScript({ context: 'one' }));
  resource.setProvider(made);
  return resource;
}

test('the pack tells its name and every policy', async () => {
  const answer = await info();
  expect(answer.getName()).toBe('switchyard');
  expect(answer.getPoliciesList().map((policy) => policy.getName())).toEqual(
    policies.map(({ name }) => name),
  );
});

test('it finds what is wrong with resources that the engine sends', async () => {
  const found = async (provider: string) =>
    (await analyze([namespace(provider)]))
      .getDiagnosticsList()
      .map((diagnostic) => diagnostic.getPolicyname());
  const bare = ['namespace-quota', 'namespace-limits', 'namespace-default-deny', 'pod-security'];
  expect(await found('ci-cluster')).toEqual(bare);
  expect(await found('default_4_34_2')).toEqual([...bare, 'explicit-provider']);
});
