import * as grpc from '@grpc/grpc-js';
import * as automation from '@pulumi/pulumi/automation/server';
import { LanguageRuntimeService } from '@pulumi/pulumi/proto/language_grpc_pb';
import type { RunRequest, RunResponse } from '@pulumi/pulumi/proto/language_pb';
import { RECORDED_VARIABLE } from '../../components/inputs';
import { loadModel } from '../../components/load';
import type { Outcome } from '../cli/outcome';
import { EXIT } from '../cli/refusal';
import { requireSecrets } from '../engine/operate';
import { foldersHere } from '../place';
import { writeBrokenRules } from '../preview/rules-file';
import program from './own-program';

type Run = grpc.handleUnaryCall<RunRequest, RunResponse>;

/** What the Automation API serves a program with that runs in its own process; it does not say so in its types. */
const { LanguageServer } = automation as unknown as {
  readonly LanguageServer: new (
    program: () => Promise<unknown>,
  ) => {
    readonly run: Run;
    readonly getRequiredPlugins: grpc.handleUnaryCall<unknown, unknown>;
    readonly getPluginInfo: grpc.handleUnaryCall<unknown, unknown>;
  };
};

/** What Pulumi itself takes of one message. */
const LIMITS = { 'grpc.max_receive_message_length': 400 << 20 };

/**
 * Runs the program once, for the engine that comes to a socket.
 * @returns whether it came to its end
 */
function runOnce(socket: string): Promise<boolean> {
  const server = new grpc.Server(LIMITS);
  const language = new LanguageServer(program);
  return new Promise((resolve, reject) => {
    const run: Run = (call, callback) =>
      language.run(call, (error, answer) => {
        callback(error, answer);
        server.tryShutdown(() => resolve(!error && !answer?.getError()));
      });
    server.addService(LanguageRuntimeService, {
      run,
      getRequiredPlugins: language.getRequiredPlugins,
      getPluginInfo: language.getPluginInfo,
    });
    server.bindAsync(`unix:${socket}`, grpc.ServerCredentials.createInsecure(), (error) => {
      if (error) reject(error);
    });
  });
}

/**
 * The program of an environment for an engine that runs elsewhere and previews it: one that a merge request's own program
 * cannot reach (docs/decisions/0006-previews-hold-no-secret.md). Broken rules are written down, where reviewers see them
 * beside the plan; an `up` refuses them.
 * @throws ProblemsError for a catalog, a stack or secrets with which there is nothing to preview
 */
export async function serve(
  environment: string,
  { socket, rules }: { readonly socket: string; readonly rules: string },
): Promise<Outcome> {
  const folders = foldersHere();
  const model = loadModel(folders, environment);
  writeBrokenRules(rules, model);
  process.env[RECORDED_VARIABLE] = 'true';
  requireSecrets(folders, model);
  const done = await runOnce(socket);
  return { document: {}, lines: [], exitCode: done ? 0 : EXIT.failed };
}
