import { spawn } from 'node:child_process';
import { closeSync, copyFileSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseDocument } from 'yaml';
import { z } from 'zod';
import { exitCode, Failure } from '../../clients/failure';
import { stackFile, stackNames } from '../../stacks/load';
import { parseJson } from '../../text/json';
import { keepNoLogs } from '../pulumi-home';
import type { AppliedGitlab } from './permitted';

/** Variables of the Pod that the program may see: where programs are, and the read-only kubeconfig. */
const PASSED = ['PATH', 'LANG', 'KUBECONFIG', 'TMPDIR'];

/**
 * Values encrypted for the real passphrase cannot be read here; the program gets placeholders from its environment.
 * @returns the stack file without them, and without the salt that they were encrypted with
 */
export function withoutSecureValues(text: string): string {
  const document = parseDocument(text);
  const config = z.object({ config: z.record(z.string(), z.unknown()) }).safeParse(document.toJS());
  if (!config.success) return text;
  for (const [key, value] of Object.entries(config.data.config)) {
    if (value !== null && typeof value === 'object' && 'secure' in value) document.deleteIn(['config', key]);
  }
  for (const key of ['encryptionsalt', 'encryptedkey', 'secretsprovider']) document.delete(key);
  return document.toString();
}

/** Exit code of what was ended because it took too long. */
export const KILLED = 137;

export interface Ended {
  readonly code: number;
  readonly stdout: string;
}

/** Runs a child whose every word goes to the log, and nowhere else but to whoever captures what it prints. */
export function run(
  command: readonly string[],
  options: { cwd: string; env: Record<string, string>; log: string; timeoutMs: number; capture?: boolean },
): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const log = openSync(options.log, 'a');
    const [program = '', ...args] = command;
    // A process group of its own, so that what it leaves behind ends with it.
    const child = spawn(program, args, {
      cwd: options.cwd,
      env: options.env,
      stdio: ['ignore', options.capture ? 'pipe' : log, log],
      detached: true,
    });
    let stdout = '';
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    const timer = setTimeout(() => child.pid && process.kill(-child.pid, 'SIGKILL'), options.timeoutMs);
    const end = () => {
      clearTimeout(timer);
      closeSync(log);
    };
    child.on('error', (error) => {
      end();
      reject(new Failure(exitCode.input, `${program} cannot be started: ${error.message}.`));
    });
    child.on('close', (code) => {
      end();
      resolve({ code: code ?? KILLED, stdout });
    });
  });
}

export interface IsolationRequest {
  /** An empty folder, which goes with the run. */
  readonly home: string;
  readonly environment: string;
  /** Folder of what `switchyard redact` gave. */
  readonly given: string;
  /** Folder of the stack files. */
  readonly stacks: string;
  readonly log: string;
  /** A token that GitLab takes, in place of the one that was withheld. @default none */
  readonly gitlabToken?: string;
}

/** Those of some variables that this process has. */
export const variablesOf = (names: readonly string[]): Record<string, string> =>
  Object.fromEntries(
    names.flatMap((name) => {
      const value = process.env[name];
      return value === undefined ? [] : [[name, value]];
    }),
  );

/** Data that `switchyard redact` gives a program beside the state. */
export const givenPaths = (given: string) => ({
  ledger: join(given, 'ledger.yaml'),
  found: join(given, 'found.json'),
});

/** Placeholders for the variables that a program reads. */
export const givenVariables = (given: string): Record<string, string> =>
  z.record(z.string(), z.string()).parse(parseJson(readFileSync(join(given, 'environment.json'), 'utf8')));

const stateSchema = z.object({
  deployment: z.object({
    resources: z
      .array(z.object({ type: z.string(), inputs: z.object({ baseUrl: z.unknown().optional() }).optional() }))
      .nullish(),
  }),
});

/** How an environment asks its GitLab, by the state that it was applied with. */
export function appliedGitlab(given: string): AppliedGitlab {
  const state = stateSchema.parse(parseJson(readFileSync(join(given, 'state.json'), 'utf8')));
  const providers = (state.deployment.resources ?? []).filter(
    ({ type }) => type === 'pulumi:providers:gitlab',
  );
  return {
    baseUrls: providers.flatMap(({ inputs }) =>
      typeof inputs?.baseUrl === 'string' ? [inputs.baseUrl] : [],
    ),
    token: givenVariables(given).GITLAB_TOKEN ?? '',
  };
}

/**
 * A stack of its own in a state backend of its own, with a copy of the state that holds no secret.
 * @returns the environment for programs that work on it
 */
export async function isolatedStack(
  request: IsolationRequest,
): Promise<{ work: string; env: Record<string, string> }> {
  const { home, environment, gitlabToken, log } = request;
  const given = givenVariables(request.given);
  const { ledger, found } = givenPaths(request.given);
  const stacks = join(home, 'stacks');
  const work = join(home, 'work');
  const backend = join(home, 'backend');
  for (const folder of [work, backend, stacks]) mkdirSync(folder);
  // The other files too, since one environment's settings are held against those that it previews.
  for (const name of stackNames(request.stacks)) {
    copyFileSync(join(request.stacks, stackFile(name)), join(stacks, stackFile(name)));
  }
  const ownFile = stackFile(environment);
  const whole = readFileSync(join(request.stacks, ownFile), 'utf8');
  writeFileSync(join(stacks, ownFile), withoutSecureValues(whole));
  writeFileSync(join(work, 'Pulumi.yaml'), 'name: switchyard\nruntime: nodejs\n');
  const pulumiHome = join(home, 'pulumi');
  keepNoLogs(pulumiHome);
  const env: Record<string, string> = {
    ...variablesOf(PASSED),
    ...given,
    ...(gitlabToken === undefined ? {} : { GITLAB_TOKEN: gitlabToken }),
    HOME: home,
    PULUMI_HOME: pulumiHome,
    PULUMI_BACKEND_URL: `file://${backend}`,
    PULUMI_CONFIG_PASSPHRASE: given.PULUMI_CONFIG_PASSPHRASE ?? 'withheld',
    PULUMI_SKIP_UPDATE_CHECK: 'true',
    SWITCHYARD_STACKS: stacks,
    SWITCHYARD_WHOLE_STACKS: request.stacks,
    SWITCHYARD_LEDGER_FILE: ledger,
    SWITCHYARD_FOUND_FILE: found,
  };
  const step = async (...command: string[]): Promise<string> => {
    const { code, stdout } = await run(command, { cwd: work, env, log, timeoutMs: 60_000, capture: true });
    if (code !== 0) throw new Failure(exitCode.red, `${command.slice(0, 3).join(' ')} failed (${code}).`);
    return stdout;
  };
  await step('pulumi', 'stack', 'init', environment, '--non-interactive', '--secrets-provider', 'passphrase');
  // A state of plain-text placeholders is encrypted as it comes in: by the secrets provider that the new stack has.
  const fresh = JSON.parse(await step('pulumi', 'stack', 'export', '--stack', environment));
  const text = readFileSync(join(request.given, 'state.json'), 'utf8');
  // The provider of the state logs in with what stands there.
  const withheld = given.GITLAB_TOKEN;
  const state = JSON.parse(withheld && gitlabToken ? text.replaceAll(withheld, () => gitlabToken) : text);
  state.deployment.secrets_providers = fresh.deployment.secrets_providers;
  const file = join(home, 'state.json');
  writeFileSync(file, JSON.stringify(state));
  await step('pulumi', 'stack', 'import', '--stack', environment, '--file', file);
  return { work, env };
}
