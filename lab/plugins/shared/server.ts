import * as grpc from '@grpc/grpc-js';
import { EngineClient } from '@pulumi/pulumi/proto/engine_grpc_pb';
import { LogRequest, LogSeverity } from '@pulumi/pulumi/proto/engine_pb';
import { PluginInfo } from '@pulumi/pulumi/proto/plugin_pb';
import { ResourceProviderService } from '@pulumi/pulumi/proto/provider_grpc_pb';
import * as pb from '@pulumi/pulumi/proto/provider_pb';
import { Status } from '@pulumi/pulumi/proto/status_pb';
import { Any } from 'google-protobuf/google/protobuf/any_pb';
import { Empty } from 'google-protobuf/google/protobuf/empty_pb';
import { type JavaScriptValue, Struct } from 'google-protobuf/google/protobuf/struct_pb';
import { isRecord, type Props, unwrapSecrets, withoutUndefined } from './values';

/** One fault of one input, shown by the engine under the resource. */
export interface CheckFailure {
  /** Path of the input, e.g. `spec.replicas`. */
  property: string;
  reason: string;
}

export interface CheckOutcome {
  inputs: Props;
  failures?: CheckFailure[];
}

/** What kind of change a path undergoes; the `-replace` kinds ask for a new object. */
export type DiffKind = 'add' | 'add-replace' | 'delete' | 'delete-replace' | 'update' | 'update-replace';

export interface DiffOutcome {
  changes: boolean;
  /** Path -> kind; the paths with a `-replace` kind are what forces the replacement. */
  details?: Record<string, DiffKind>;
  replaces?: string[];
  deleteBeforeReplace?: boolean;
}

/** What every call on a resource knows. `type` is the token, e.g. `kubernetes:core/v1:Secret`. */
export interface ResourceCall {
  urn: string;
  name: string;
  type: string;
  /** Aborted when the user cancels the run. */
  signal: AbortSignal;
}

export interface CheckCall extends ResourceCall {
  /** The last checked inputs; empty for a new resource. */
  oldInputs: Props;
  inputs: Props;
  /** Random bytes that are the same each time the same plan is run. */
  randomSeed: Uint8Array;
}

export interface DiffCall extends ResourceCall {
  id: string;
  oldInputs: Props;
  oldOutputs: Props;
  inputs: Props;
  /** Paths the user told the engine to ignore. */
  ignoreChanges: string[];
}

export interface CreateCall extends ResourceCall {
  inputs: Props;
  preview: boolean;
  /** `customTimeouts` in seconds; 0 when the user set none. */
  timeoutSeconds: number;
}

export interface UpdateCall extends DiffCall {
  preview: boolean;
  timeoutSeconds: number;
}

export interface ReadCall extends ResourceCall {
  id: string;
  /** Empty for an import or a `get`. */
  oldInputs: Props;
  oldOutputs: Props;
}

export interface DeleteCall extends ResourceCall {
  id: string;
  oldInputs: Props;
  oldOutputs: Props;
  timeoutSeconds: number;
}

/**
 * A provider plug-in. Secrets never reach it wrapped: this server tells the engine that it takes none, so the
 * engine marks outputs secret wherever the input of the same path was; what is secret by nature the plug-in
 * wraps itself with `secret()`.
 */
export interface PluginProvider {
  schema?(): Promise<string>;
  /** `inputs` of the provider resource or the stack's config, JSON-decoded. */
  checkConfig?(inputs: Props): Promise<CheckOutcome>;
  /** Default: any changed input updates the provider in place. */
  diffConfig?(oldInputs: Props, inputs: Props): Promise<DiffOutcome>;
  configure(inputs: Props): Promise<void>;
  check(call: CheckCall): Promise<CheckOutcome>;
  diff(call: DiffCall): Promise<DiffOutcome>;
  create(call: CreateCall): Promise<{ id: string; outputs: Props }>;
  /** `undefined`: the object is gone. */
  read(call: ReadCall): Promise<{ id: string; inputs: Props; outputs: Props } | undefined>;
  update(call: UpdateCall): Promise<{ outputs: Props }>;
  delete(call: DeleteCall): Promise<void>;
  invoke?(token: string, args: Props): Promise<Props>;
}

/** The object exists but did not become ready: the engine keeps its state and reports the reasons. */
export class InitError extends Error {
  constructor(
    message: string,
    readonly id: string,
    readonly outputs: Props,
    readonly reasons: string[],
    readonly inputs?: Props,
  ) {
    super(message);
  }
}

/** Writes to the engine's log, under a resource. A no-op until the engine's address is known. */
export class EngineLog {
  private client?: EngineClient;

  connect(address: string): void {
    this.client = new EngineClient(address, grpc.credentials.createInsecure());
  }

  /** Shown beside the resource while it is worked on, and then gone. */
  status(urn: string, message: string): void {
    this.send(LogSeverity.INFO, urn, message, true);
  }

  info(urn: string, message: string): void {
    this.send(LogSeverity.INFO, urn, message, false);
  }

  warning(urn: string, message: string): void {
    this.send(LogSeverity.WARNING, urn, message, false);
  }

  private send(severity: LogSeverity, urn: string, message: string, ephemeral: boolean): void {
    const request = new LogRequest();
    request.setSeverity(severity).setMessage(message).setUrn(urn).setEphemeral(ephemeral);
    // A lost status line must not fail the operation it describes.
    this.client?.log(request, () => undefined);
  }
}

type Unary<Request, Response> = grpc.handleUnaryCall<Request, Response>;

function toProps(struct: Struct | undefined): Props {
  const value = unwrapSecrets(struct?.toJavaScript() ?? {});
  return isRecord(value) ? value : {};
}

function toStruct(props: Props): Struct {
  // withoutUndefined leaves JSON data only, which is exactly what a Struct carries.
  return Struct.fromJavaScript(withoutUndefined(props) as Record<string, JavaScriptValue>);
}

function toServiceError(error: unknown): Partial<grpc.ServiceError> {
  const message = error instanceof Error ? error.message : String(error);
  if (!(error instanceof InitError)) return { code: grpc.status.UNKNOWN, details: message };
  const detail = new pb.ErrorResourceInitFailed();
  detail.setId(error.id);
  detail.setProperties(toStruct(error.outputs));
  detail.setReasonsList(error.reasons);
  if (error.inputs) detail.setInputs(toStruct(error.inputs));
  const packed = new Any();
  packed.pack(detail.serializeBinary(), 'pulumirpc.ErrorResourceInitFailed');
  const status = new Status();
  status.setCode(grpc.status.UNKNOWN);
  status.setMessage(message);
  status.addDetails(packed);
  const metadata = new grpc.Metadata();
  // Where gRPC's Go side looks for structured error details.
  metadata.add('grpc-status-details-bin', Buffer.from(status.serializeBinary()));
  return { code: grpc.status.UNKNOWN, details: message, metadata };
}

function unary<Request, Response>(
  handler: (request: Request) => Promise<Response>,
): Unary<Request, Response> {
  return (call, callback) => {
    handler(call.request).then(
      (response) => callback(null, response),
      (error: unknown) => callback(toServiceError(error)),
    );
  };
}

function refuse<Request, Response>(what: string): Unary<Request, Response> {
  return (_call, callback) => callback({ code: grpc.status.UNIMPLEMENTED, details: what });
}

const DIFF_KINDS: Record<DiffKind, pb.PropertyDiff.Kind> = {
  add: pb.PropertyDiff.Kind.ADD,
  'add-replace': pb.PropertyDiff.Kind.ADD_REPLACE,
  delete: pb.PropertyDiff.Kind.DELETE,
  'delete-replace': pb.PropertyDiff.Kind.DELETE_REPLACE,
  update: pb.PropertyDiff.Kind.UPDATE,
  'update-replace': pb.PropertyDiff.Kind.UPDATE_REPLACE,
};

function checkResponse(outcome: CheckOutcome): pb.CheckResponse {
  const response = new pb.CheckResponse();
  response.setInputs(toStruct(outcome.inputs));
  response.setFailuresList(
    (outcome.failures ?? []).map((failure) => {
      const message = new pb.CheckFailure();
      message.setProperty(failure.property);
      message.setReason(failure.reason);
      return message;
    }),
  );
  return response;
}

function diffResponse(outcome: DiffOutcome): pb.DiffResponse {
  const response = new pb.DiffResponse();
  const { DIFF_SOME, DIFF_NONE } = pb.DiffResponse.DiffChanges;
  response.setChanges(outcome.changes ? DIFF_SOME : DIFF_NONE);
  response.setReplacesList(outcome.replaces ?? []);
  response.setDeletebeforereplace(outcome.deleteBeforeReplace ?? false);
  if (outcome.details) {
    response.setHasdetaileddiff(true);
    for (const [path, kind] of Object.entries(outcome.details)) {
      const diff = new pb.PropertyDiff();
      diff.setKind(DIFF_KINDS[kind]);
      diff.setInputdiff(true);
      response.getDetaileddiffMap().set(path, diff);
    }
    response.setDiffsList([
      ...new Set(Object.keys(outcome.details).map((path) => path.split(/[.[]/)[0] ?? path)),
    ]);
  }
  return response;
}

/** The engine sends each config value of a provider as a JSON document in a string, unless it is a plain string. */
export function decodeConfig(inputs: Props): Props {
  return Object.fromEntries(
    Object.entries(inputs).map(([key, value]) => {
      if (typeof value !== 'string') return [key, value];
      try {
        const decoded: unknown = JSON.parse(value);
        // "8080" or a JSON kubeconfig given as a string stay what the user wrote.
        return [key, typeof decoded === 'boolean' || Array.isArray(decoded) ? decoded : value];
      } catch {
        return [key, value];
      }
    }),
  );
}

/** Builds the gRPC service of a plug-in; exported for tests that call it without an engine. */
export function providerService(
  name: string,
  version: string,
  provider: PluginProvider,
  log: EngineLog,
): grpc.UntypedServiceImplementation {
  const cancelled = new AbortController();
  const { signal } = cancelled;
  const resource = (request: { getUrn(): string; getName(): string; getType(): string }): ResourceCall => {
    const urn = request.getUrn();
    const parts = urn.split('::');
    return {
      urn,
      name: request.getName() || parts.slice(3).join('::'),
      type: request.getType() || (parts[2]?.split('$').pop() ?? ''),
      signal,
    };
  };

  return {
    handshake: refuse(`${name}: Handshake`),
    parameterize: refuse(`${name}: Parameterize`),
    construct: refuse(`${name}: component resources are not covered by the lab's plug-in`),
    call: refuse(`${name}: resource methods are not covered by the lab's plug-in`),
    getMapping: unary(async () => new pb.GetMappingResponse()),
    getMappings: unary(async () => new pb.GetMappingsResponse()),
    getSchema: unary(async (_request: pb.GetSchemaRequest) => {
      const response = new pb.GetSchemaResponse();
      response.setSchema((await provider.schema?.()) ?? JSON.stringify({ name, version }));
      return response;
    }),
    getPluginInfo: unary(async () => {
      const info = new PluginInfo();
      info.setVersion(version);
      return info;
    }),
    attach: unary(async (request: { getAddress(): string }) => {
      log.connect(request.getAddress());
      return new Empty();
    }),
    cancel: unary(async () => {
      cancelled.abort();
      return new Empty();
    }),
    checkConfig: unary(async (request: pb.CheckRequest) => {
      const inputs = toProps(request.getNews());
      const outcome = await provider.checkConfig?.(decodeConfig(inputs));
      return checkResponse({ inputs, failures: outcome?.failures ?? [] });
    }),
    diffConfig: unary(async (request: pb.DiffRequest) => {
      const oldInputs = toProps(request.getOldInputs() ?? request.getOlds());
      const inputs = toProps(request.getNews());
      const outcome = await provider.diffConfig?.(decodeConfig(oldInputs), decodeConfig(inputs));
      if (outcome) return diffResponse(outcome);
      const changed =
        JSON.stringify(Object.entries(oldInputs).sort()) !== JSON.stringify(Object.entries(inputs).sort());
      return diffResponse({ changes: changed });
    }),
    configure: unary(async (request: pb.ConfigureRequest) => {
      await provider.configure(decodeConfig(toProps(request.getArgs())));
      const response = new pb.ConfigureResponse();
      response.setAcceptsecrets(false);
      response.setAcceptresources(false);
      response.setAcceptoutputs(false);
      response.setSupportspreview(true);
      return response;
    }),
    check: unary(async (request: pb.CheckRequest) =>
      checkResponse(
        await provider.check({
          ...resource(request),
          oldInputs: toProps(request.getOlds()),
          inputs: toProps(request.getNews()),
          randomSeed: request.getRandomseed_asU8(),
        }),
      ),
    ),
    diff: unary(async (request: pb.DiffRequest) =>
      diffResponse(
        await provider.diff({
          ...resource(request),
          id: request.getId(),
          oldInputs: toProps(request.getOldInputs()),
          oldOutputs: toProps(request.getOlds()),
          inputs: toProps(request.getNews()),
          ignoreChanges: request.getIgnorechangesList(),
        }),
      ),
    ),
    create: unary(async (request: pb.CreateRequest) => {
      const { id, outputs } = await provider.create({
        ...resource(request),
        inputs: toProps(request.getProperties()),
        preview: request.getPreview(),
        timeoutSeconds: request.getTimeout(),
      });
      const response = new pb.CreateResponse();
      response.setId(id);
      response.setProperties(toStruct(outputs));
      return response;
    }),
    read: unary(async (request: pb.ReadRequest) => {
      const result = await provider.read({
        ...resource(request),
        id: request.getId(),
        oldInputs: toProps(request.getInputs()),
        oldOutputs: toProps(request.getProperties()),
      });
      const response = new pb.ReadResponse();
      if (!result) return response;
      response.setId(result.id);
      response.setProperties(toStruct(result.outputs));
      response.setInputs(toStruct(result.inputs));
      return response;
    }),
    update: unary(async (request: pb.UpdateRequest) => {
      const { outputs } = await provider.update({
        ...resource(request),
        id: request.getId(),
        oldInputs: toProps(request.getOldInputs()),
        oldOutputs: toProps(request.getOlds()),
        inputs: toProps(request.getNews()),
        ignoreChanges: request.getIgnorechangesList(),
        preview: request.getPreview(),
        timeoutSeconds: request.getTimeout(),
      });
      const response = new pb.UpdateResponse();
      response.setProperties(toStruct(outputs));
      return response;
    }),
    delete: unary(async (request: pb.DeleteRequest) => {
      await provider.delete({
        ...resource(request),
        id: request.getId(),
        oldInputs: toProps(request.getOldInputs()),
        oldOutputs: toProps(request.getProperties()),
        timeoutSeconds: request.getTimeout(),
      });
      return new Empty();
    }),
    invoke: unary(async (request: pb.InvokeRequest) => {
      if (!provider.invoke) {
        throw new Error(
          `${request.getTok()} is not covered by the lab's ${name} plug-in; use the official plug-in for it`,
        );
      }
      const response = new pb.InvokeResponse();
      response.setReturn(toStruct(await provider.invoke(request.getTok(), toProps(request.getArgs()))));
      return response;
    }),
    list: (call: { emit(event: string, error: unknown): void }) => {
      call.emit('error', { code: grpc.status.UNIMPLEMENTED, details: `${name}: List` });
    },
  };
}

/** The engine may put flags of its own before the one argument that counts, the address it listens on. */
function engineAddress(args: string[]): string | undefined {
  const rest: string[] = [];
  for (let index = 0; index < args.length; index++) {
    const arg = args[index] ?? '';
    if (arg === '--tracing') index++;
    else if (!arg.startsWith('-')) rest.push(arg);
  }
  return rest[0];
}

/**
 * Serves a plug-in to the real engine: binds a free loopback port, prints it (the engine reads it from stdout)
 * and runs until the engine ends the process. `makeProvider` gets the engine's log.
 */
export function servePlugin(
  name: string,
  version: string,
  makeProvider: (log: EngineLog) => PluginProvider,
): void {
  const log = new EngineLog();
  const address = engineAddress(process.argv.slice(2));
  if (address) log.connect(address);
  const unlimited = 400 * 1024 * 1024;
  const server = new grpc.Server({
    'grpc.max_receive_message_length': unlimited,
    'grpc.max_send_message_length': unlimited,
  });
  server.addService(ResourceProviderService, providerService(name, version, makeProvider(log), log));
  server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, port) => {
    if (error) {
      console.error(`pulumi-resource-${name}: cannot listen on loopback: ${error.message}`);
      process.exit(1);
    }
    process.stdout.write(`${port}\n`);
  });
}
