import { spawn } from 'node:child_process';
import {
  closeSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseDocument } from 'yaml';
import { z } from 'zod';
import { parseJson } from '../certificate';
import { exitCode, Failure } from '../failure';
import { compileProgram, imagePackages } from './compile';
import type { previewPaths } from './session';

export interface RunRequest {
  /** Checkout of the merge result. */
  readonly source: string;
  readonly environment: string;
  readonly paths: ReturnType<typeof previewPaths>;
  readonly timeoutMs: number;
  /** The image's bundle of packages. @default beside this program */
  readonly packages?: string;
}

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

interface Ended {
  readonly code: number;
  readonly stdout: string;
}

/** Runs a child whose every word goes to the log, and nowhere else. */
function run(
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
    child.stdout?.on('data', (chunk) => {
      stdout += chunk;
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
      resolve({ code: code ?? 137, stdout });
    });
  });
}

/**
 * Runs the merge result's own `switchyard preview` on a copy of the state that holds no secret, in a state backend of
 * its own. Whatever it prints goes to `record/log`: nothing of it reaches the build's log before it was scrubbed.
 * @returns the program's exit code
 */
export async function runPreview(request: RunRequest): Promise<number> {
  const { environment, source, paths, timeoutMs } = request;
  const home = mkdtempSync(join(tmpdir(), 'preview-'));
  rmSync(paths.record, { recursive: true, force: true });
  mkdirSync(paths.record, { recursive: true });
  const outcome = (code: number): number => {
    writeFileSync(paths.outcome, String(code));
    return code;
  };
  try {
    const given = z
      .record(z.string(), z.string())
      .parse(parseJson(readFileSync(join(paths.given, 'environment.json'), 'utf8')));
    const stacks = join(home, 'stacks');
    const work = join(home, 'work');
    const backend = join(home, 'backend');
    for (const folder of [work, backend]) mkdirSync(folder);
    // The other files too, since one environment's settings are held against those that it previews.
    cpSync(join(source, 'stacks'), stacks, { recursive: true });
    const stackFile = `Pulumi.${environment}.yaml`;
    const settings = withoutSecureValues(readFileSync(join(source, 'stacks', stackFile), 'utf8'));
    writeFileSync(join(stacks, stackFile), settings);
    writeFileSync(join(work, 'Pulumi.yaml'), 'name: switchyard\nruntime: nodejs\n');
    const passed = PASSED.flatMap((name) => {
      const value = process.env[name];
      return value === undefined ? [] : [[name, value]];
    });
    const env: Record<string, string> = {
      ...Object.fromEntries(passed),
      ...given,
      HOME: home,
      PULUMI_HOME: join(home, 'pulumi'),
      PULUMI_BACKEND_URL: `file://${backend}`,
      PULUMI_CONFIG_PASSPHRASE: given.PULUMI_CONFIG_PASSPHRASE ?? 'withheld',
      PULUMI_SKIP_UPDATE_CHECK: 'true',
      SWITCHYARD_STACKS: stacks,
      SWITCHYARD_CATALOG: join(source, 'catalog'),
      SWITCHYARD_LIBRARY: join(source, 'delivery', 'library'),
      SWITCHYARD_LEDGER_FILE: join(paths.given, 'ledger.yaml'),
      SWITCHYARD_FOUND_FILE: join(paths.given, 'found.json'),
    };
    const step = async (...command: string[]): Promise<string> => {
      const options = { cwd: work, env, log: paths.log, timeoutMs: 60_000, capture: true };
      const { code, stdout } = await run(command, options);
      if (code !== 0) throw new Failure(exitCode.red, `${command.slice(0, 3).join(' ')} failed (${code}).`);
      return stdout;
    };
    await step(
      'pulumi',
      'stack',
      'init',
      environment,
      '--non-interactive',
      '--secrets-provider',
      'passphrase',
    );
    // A state of plain-text placeholders is encrypted as it comes in: by the secrets provider that the new stack has.
    const fresh = JSON.parse(await step('pulumi', 'stack', 'export', '--stack', environment));
    const state = JSON.parse(readFileSync(join(paths.given, 'state.json'), 'utf8'));
    state.deployment.secrets_providers = fresh.deployment.secrets_providers;
    const file = join(home, 'state.json');
    writeFileSync(file, JSON.stringify(state));
    await step('pulumi', 'stack', 'import', '--stack', environment, '--file', file);

    // Images are not built here, but a provider may want to see that there is a context.
    mkdirSync(join(source, 'dist', 'image'), { recursive: true });
    writeFileSync(join(source, 'dist', 'image', 'Dockerfile'), 'FROM scratch\n');
    const program = join(home, 'switchyard.js');
    await compileProgram(source, program, request.packages ?? imagePackages(process.argv[1] ?? __filename));
    const command = [process.execPath, program, 'preview', environment, '--record', paths.record];
    const { code } = await run(command, { cwd: source, env, log: paths.log, timeoutMs });
    return outcome(code);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    // What is wrong with the merge result is told in its note, like any fault of the engine.
    const event = { diagnosticEvent: { severity: 'error', message: error.message } };
    writeFileSync(paths.events, `${JSON.stringify(event)}\n`);
    return outcome(error.code);
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}

/**
 * Runs the program of a checkout that was merged, with all that this process may use; what it prints is the build's
 * log.
 * @returns its exit code
 */
export async function runMerged(source: string, args: readonly string[], packages?: string): Promise<number> {
  const home = mkdtempSync(join(tmpdir(), 'merged-'));
  try {
    const program = join(home, 'switchyard.js');
    await compileProgram(source, program, packages ?? imagePackages(process.argv[1] ?? __filename));
    return await new Promise((resolve, reject) => {
      const child = spawn(process.execPath, [program, ...args], {
        cwd: source,
        env: {
          ...process.env,
          SWITCHYARD_STACKS: join(source, 'stacks'),
          SWITCHYARD_CATALOG: join(source, 'catalog'),
          SWITCHYARD_LIBRARY: join(source, 'delivery', 'library'),
        },
        stdio: 'inherit',
      });
      child.on('error', reject);
      child.on('close', (code) => resolve(code ?? 1));
    });
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}
