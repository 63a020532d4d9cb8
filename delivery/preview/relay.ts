import { rmSync } from 'node:fs';
import * as grpc from '@grpc/grpc-js';
import { EngineClient, EngineService } from '@pulumi/pulumi/proto/engine_grpc_pb';
import {
  type GetRootResourceRequest,
  type GetRootResourceResponse,
  LogRequest,
  LogSeverity,
  type SetRootResourceRequest,
  type SetRootResourceResponse,
} from '@pulumi/pulumi/proto/engine_pb';
import { LanguageRuntimeClient, LanguageRuntimeService } from '@pulumi/pulumi/proto/language_grpc_pb';
import {
  GetRequiredPackagesResponse,
  GetRequiredPluginsResponse,
  type RunRequest,
  type RunResponse,
} from '@pulumi/pulumi/proto/language_pb';
import { PluginInfo } from '@pulumi/pulumi/proto/plugin_pb';
import { ResourceMonitorClient, ResourceMonitorService } from '@pulumi/pulumi/proto/resource_grpc_pb';
import {
  type ReadResourceRequest,
  type RegisterResourceOutputsRequest,
  type RegisterResourceRequest,
  type SupportsFeatureRequest,
  SupportsFeatureResponse,
} from '@pulumi/pulumi/proto/resource_pb';
import type { Empty } from 'google-protobuf/google/protobuf/empty_pb';
import type { HandoverPaths } from './handover';
import {
  type AppliedGitlab,
  whyNotOutput,
  whyNotRead,
  whyNotRegistered,
  whyNotRoot,
  whyNotSaid,
} from './permitted';

/** What Pulumi itself takes of one message. */
const LIMITS = { 'grpc.max_receive_message_length': 400 << 20 };
/** Bytes of all that a program says: the engine writes each of them down. */
const MOST_SAID = 256 << 20;
/** What the engine may be asked for when it says that it can. What is missing has code of the program run in its course. */
const FEATURES = [
  'secrets',
  'resourceReferences',
  'outputValues',
  'deletedWith',
  'replaceWith',
  'aliasSpecs',
];

const insecure = grpc.credentials.createInsecure();

interface Message {
  serializeBinary(): Uint8Array;
}
type Handler<Q, A> = grpc.handleUnaryCall<Q, A>;
type Ask<Q, A> = (request: Q, callback: grpc.requestCallback<A>) => grpc.ClientUnaryCall;

const failed = (code: grpc.status, details: string): Partial<grpc.ServiceError> => ({ code, details });

/** Hands a call on, and ends it when whoever asked is gone. */
const handOn =
  <Q, A>(ask: Ask<Q, A>): Handler<Q, A> =>
  (call, callback) => {
    const asked = ask(call.request, (error, answer) =>
      error ? callback(failed(error.code, error.details)) : callback(null, answer),
    );
    call.on('cancelled', () => asked.cancel());
  };

/** The engine of one run, as far as the program is let at it. */
class Gate {
  private said = 0;
  readonly monitor: ResourceMonitorClient;
  readonly engine: EngineClient;

  constructor(
    monitor: string,
    engine: string,
    private readonly longest: number,
  ) {
    this.monitor = new ResourceMonitorClient(monitor, insecure, LIMITS);
    this.engine = new EngineClient(engine, insecure, LIMITS);
  }

  close(): void {
    this.monitor.close();
    this.engine.close();
  }

  /** Counts what is said, so that what is written down of it has an end. */
  within<Q extends Message, A>(handler: Handler<Q, A>): Handler<Q, A> {
    return (call, callback) => {
      this.said += call.request.serializeBinary().length;
      if (this.said > this.longest)
        callback(failed(grpc.status.RESOURCE_EXHAUSTED, 'the program says more than a preview takes'));
      else handler(call, callback);
    };
  }

  /** Says why something is not asked for, where the plan's readers find it: Pulumi's SDK leaves that to the engine. */
  refuse(why: string, answer: (error: Partial<grpc.ServiceError>) => void): void {
    const request = new LogRequest();
    request.setSeverity(LogSeverity.ERROR);
    request.setMessage(why);
    this.engine.log(request, () => answer(failed(grpc.status.PERMISSION_DENIED, why)));
  }
}

/** What the program reaches of the engine; each other method of the two services is not answered. */
function servicesOf(current: () => Gate | undefined, applied: AppliedGitlab) {
  const open =
    <Q extends Message, A>(use: (gate: Gate) => Handler<Q, A>): Handler<Q, A> =>
    (call, callback) => {
      const gate = current();
      if (gate) gate.within(use(gate))(call, callback);
      else callback(failed(grpc.status.FAILED_PRECONDITION, 'the engine does not run the program'));
    };
  /** Hands on what may be asked for. */
  const judged = <Q extends Message, A>(
    whyNot: (request: Q) => string | undefined,
    what: (request: Q) => string,
    ask: (gate: Gate) => Ask<Q, A>,
  ): Handler<Q, A> =>
    open((gate) => (call, callback) => {
      const why = whyNot(call.request);
      if (why === undefined) handOn(ask(gate))(call, callback);
      else gate.refuse(`${what(call.request)} ${why}`, callback);
    });
  const named = (request: RegisterResourceRequest | ReadResourceRequest): string =>
    `${request.getType()} ${request.getName()}`;
  const monitor = {
    supportsFeature: open<SupportsFeatureRequest, SupportsFeatureResponse>((gate) => (call, callback) => {
      if (FEATURES.includes(call.request.getId()))
        handOn<SupportsFeatureRequest, SupportsFeatureResponse>((request, answer) =>
          gate.monitor.supportsFeature(request, answer),
        )(call, callback);
      else callback(null, new SupportsFeatureResponse());
    }),
    registerResource: judged<RegisterResourceRequest, Message>(
      (request) => whyNotRegistered(request, applied),
      named,
      (gate) => (request, answer) => gate.monitor.registerResource(request, answer),
    ),
    readResource: judged<ReadResourceRequest, Message>(
      whyNotRead,
      named,
      (gate) => (request, answer) => gate.monitor.readResource(request, answer),
    ),
    registerResourceOutputs: judged<RegisterResourceOutputsRequest, Empty>(
      whyNotOutput,
      (request) => request.getUrn(),
      (gate) => (request, answer) => gate.monitor.registerResourceOutputs(request, answer),
    ),
    signalAndWaitForShutdown: open<Empty, Empty>((gate) =>
      handOn((request, answer) => gate.monitor.signalAndWaitForShutdown(request, answer)),
    ),
  };
  const engine = {
    log: judged<LogRequest, Empty>(
      whyNotSaid,
      () => 'a message',
      (gate) => (request, answer) => gate.engine.log(request, answer),
    ),
    getRootResource: open<GetRootResourceRequest, GetRootResourceResponse>((gate) =>
      handOn((request, answer) => gate.engine.getRootResource(request, answer)),
    ),
    setRootResource: judged<SetRootResourceRequest, SetRootResourceResponse>(
      whyNotRoot,
      (request) => request.getUrn(),
      (gate) => (request, answer) => gate.engine.setRootResource(request, answer),
    ),
  };
  return { monitor, engine };
}

const bind = (server: grpc.Server, address: string): Promise<number> =>
  new Promise((resolve, reject) =>
    server.bindAsync(address, grpc.ServerCredentials.createInsecure(), (error, port) =>
      error ? reject(error) : resolve(port),
    ),
  );

export interface Relay {
  /** Where the engine finds the program, as its `--client` takes it. */
  readonly address: string;
  readonly close: () => void;
}

/**
 * Stands between an engine and a program that has no network: to the engine it is the program, to the program the engine,
 * on a socket that is a file. What the program may not ask for does not reach the engine.
 * @param applied how the environment asks its GitLab
 * @param longest bytes of all that the program may say @default {@link MOST_SAID}
 */
export async function openRelay(
  paths: HandoverPaths,
  { applied, longest = MOST_SAID }: { readonly applied: AppliedGitlab; readonly longest?: number },
): Promise<Relay> {
  let gate: Gate | undefined;
  const forProgram = new grpc.Server(LIMITS);
  const { monitor, engine } = servicesOf(() => gate, applied);
  forProgram.addService(ResourceMonitorService, monitor);
  forProgram.addService(EngineService, engine);
  rmSync(paths.monitor, { force: true });
  const own = `unix:${paths.monitor}`;
  const program = new LanguageRuntimeClient(`unix:${paths.language}`, insecure, LIMITS);
  const forEngine = new grpc.Server(LIMITS);
  const run: Handler<RunRequest, RunResponse> = (call, callback) => {
    const { request } = call;
    const [address = '', ...rest] = request.getArgsList();
    const opened = new Gate(request.getMonitorAddress(), address, longest);
    gate = opened;
    request.setMonitorAddress(own);
    request.setArgsList([own, ...rest]);
    handOn<RunRequest, RunResponse>((asked, answer) => program.run(asked, answer))(call, (...answer) => {
      opened.close();
      callback(...answer);
    });
  };
  const requiredPlugins: Handler<unknown, GetRequiredPluginsResponse> = (_call, callback) =>
    callback(null, new GetRequiredPluginsResponse());
  const requiredPackages: Handler<unknown, GetRequiredPackagesResponse> = (_call, callback) =>
    callback(null, new GetRequiredPackagesResponse());
  const pluginInfo: Handler<unknown, PluginInfo> = (_call, callback) =>
    callback(null, new PluginInfo().setVersion('1.0.0'));
  forEngine.addService(LanguageRuntimeService, {
    run,
    getRequiredPlugins: requiredPlugins,
    getRequiredPackages: requiredPackages,
    getPluginInfo: pluginInfo,
  });
  await bind(forProgram, own);
  const port = await bind(forEngine, '127.0.0.1:0');
  return {
    address: `127.0.0.1:${port}`,
    close: () => {
      program.close();
      gate?.close();
      forEngine.forceShutdown();
      forProgram.forceShutdown();
    },
  };
}
