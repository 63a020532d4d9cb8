import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { imageContext } from '../../catalog/program';
import { Failure } from '../failure';
import { compileProgram, imagePackages } from './compile';
import { isolatedStack, run } from './isolated';
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
    const { env: alone } = await isolatedStack({
      home,
      environment,
      given: paths.given,
      stacks: join(source, 'stacks'),
      log: paths.log,
    });
    const env = {
      ...alone,
      SWITCHYARD_CATALOG: join(source, 'catalog'),
      SWITCHYARD_LIBRARY: join(source, 'delivery', 'library'),
    };

    // Images are not built here, but a provider may want to see that there is a context.
    for (const context of [false, true].map((previews) => join(source, imageContext(previews)))) {
      mkdirSync(context, { recursive: true });
      writeFileSync(join(context, 'Dockerfile'), 'FROM scratch\n');
    }
    const program = join(home, 'switchyard.js');
    await compileProgram(source, program, request.packages ?? imagePackages());
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
 * Compiles the program of a checkout and runs it, with all that this process may use; what it prints is the build's log.
 * It lies in the checkout, which is thereby its root wherever it runs.
 * @returns its exit code
 */
export async function runCompiled(
  source: string,
  args: readonly string[],
  options: {
    /** Beside this process' own variables. */
    readonly env: Readonly<Record<string, string>>;
    /** @default this process' own */
    readonly cwd?: string;
  },
): Promise<number> {
  const program = join(source, 'dist', 'switchyard.js');
  await compileProgram(source, program, imagePackages());
  return await new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [program, ...args], {
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
      stdio: 'inherit',
    });
    child.on('error', reject);
    child.on('close', (code) => resolve(code ?? 1));
  });
}

/** Runs the program of a checkout that was merged, on the catalog and the stacks of that checkout. */
export const runMerged = (source: string, args: readonly string[]): Promise<number> =>
  runCompiled(source, args, {
    cwd: source,
    env: {
      SWITCHYARD_STACKS: join(source, 'stacks'),
      SWITCHYARD_CATALOG: join(source, 'catalog'),
      SWITCHYARD_LIBRARY: join(source, 'delivery', 'library'),
    },
  });
