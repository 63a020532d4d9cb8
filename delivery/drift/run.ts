import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { exitCode, Failure } from '../../clients/failure';
import { isolatedStack, run } from '../preview/isolated';
import type { driftPaths } from './files';

export interface LookRequest {
  readonly environment: string;
  readonly paths: ReturnType<typeof driftPaths>;
  readonly timeoutMs: number;
  /** Folder of the stack files. */
  readonly stacks: string;
  /** A token that may read what GitLab has of the group. */
  readonly gitlabToken: string;
  /** Environment that the program gets beside the isolated stack's: where its data is, and its project. */
  readonly variables: Readonly<Record<string, string>>;
}

/**
 * Runs `switchyard drift --fenced` on a copy of the state that holds no secret, in a state backend of its own: whatever
 * goes wrong, the real state is not at hand to be changed.
 * @returns what the program said on the way
 * @throws Failure (exit 1) when it could not look
 */
export async function lookForDrift(request: LookRequest): Promise<string> {
  const { environment, paths, timeoutMs } = request;
  const home = mkdtempSync(join(tmpdir(), 'drift-'));
  rmSync(paths.record, { recursive: true, force: true });
  mkdirSync(paths.record, { recursive: true });
  try {
    const { work, env } = await isolatedStack({
      home,
      environment,
      given: paths.given,
      stacks: request.stacks,
      log: paths.log,
      gitlabToken: request.gitlabToken,
    });
    const command = ['switchyard', 'drift', environment, '--fenced', '--json', '--note', paths.note];
    const { code, stdout } = await run(command, {
      cwd: work,
      env: { ...request.variables, ...env },
      log: paths.log,
      timeoutMs,
      capture: true,
    });
    const said = readFileSync(paths.log, 'utf8');
    // 5: it looked, and something differs.
    if (code !== 0 && code !== 5) {
      throw new Failure(exitCode.red, `${said}drift of ${environment} could not be looked for (${code}).`);
    }
    writeFileSync(paths.report, stdout);
    return said;
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}
