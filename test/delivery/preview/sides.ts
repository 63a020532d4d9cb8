import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { runPreview } from '../../../delivery/preview/run';
import { previewPaths } from '../../../delivery/preview/session';
import { root } from '../../support/model';

/** What both containers of a preview's Pod have before anything runs in it. */
export interface Sides {
  /** Workspace of the side that has the engine: `source` and the inputs of the preview are there. */
  readonly workspace: string;
  readonly environment: string;
  /** The bundle of `delivery`, beside the packages of its image. */
  readonly delivery: string;
  readonly timeoutMs: number;
  readonly path: string;
}

/** Previews as the Pod does: the program's side is a process of its own that knows nothing but the hand-over. */
export async function previewBySides({ workspace, environment, delivery, timeoutMs, path }: Sides) {
  const handover = join(workspace, 'h');
  rmSync(handover, { recursive: true, force: true });
  for (const name of ['given', 'left', 'home', 'tmp']) mkdirSync(join(handover, name), { recursive: true });
  const paths = previewPaths(workspace, environment);
  const program: ChildProcess = spawn(
    join(root, 'delivery', 'image', 'bin', 'confined'),
    [process.execPath, delivery, 'preview-program'],
    {
      cwd: join(handover, 'home'),
      env: {
        PATH: path,
        HOME: join(handover, 'home'),
        TMPDIR: join(handover, 'tmp'),
        SWITCHYARD_HANDOVER: handover,
        SWITCHYARD_CANARY: 'a credential of the Pod that ran it',
      },
      stdio: ['ignore', 'inherit', 'inherit'],
      detached: true,
    },
  );
  const gone = new Promise((resolve) => program.once('close', resolve));
  try {
    const source = join(workspace, 'source');
    const code = await runPreview({ source, environment, paths, handover, timeoutMs });
    const record: Record<string, string> = Object.fromEntries(
      readdirSync(paths.record).map((file) => [file, readFileSync(join(paths.record, file), 'utf8')]),
    );
    // Jenkins ends an agent of which a container has ended.
    await sleep(1000);
    if (program.exitCode !== null) throw new Error(`the program's side ended with ${program.exitCode}`);
    return { code, record, paths };
  } finally {
    // With all that the program left behind.
    if (program.pid && program.exitCode === null) process.kill(-program.pid, 'SIGKILL');
    await gone;
  }
}
