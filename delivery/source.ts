import { spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import { exitCode, Failure } from '../clients/failure';

/**
 * Packs a checkout into one archive, for a Pod that may run it. Jenkins' own stash follows the links of a checkout, out of
 * it too, and leaves out `.git`, `.gitignore` and the like; an archive holds a link as a link, and everything.
 * @param folder of the checkout in the workspace
 * @param without paths below the workspace that stay out, with all below them
 */
export async function packSource(
  workspace: string,
  folder: string,
  file: string,
  without: readonly string[] = [],
): Promise<void> {
  rmSync(file, { force: true });
  await tar([
    '--create',
    `--file=${file}`,
    `--directory=${workspace}`,
    '--sort=name',
    '--owner=0',
    '--group=0',
    '--numeric-owner',
    '--anchored',
    '--no-wildcards',
    ...without.map((path) => `--exclude=${path}`),
    '--',
    folder,
  ]);
}

function tar(args: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn('tar', args, { stdio: ['ignore', 'inherit', 'inherit'] });
    child.on('error', (error: NodeJS.ErrnoException) =>
      reject(
        new Failure(
          exitCode.input,
          `tar cannot be started (${error.code ?? error.message}).`,
          'Put GNU tar on PATH.',
        ),
      ),
    );
    child.on('close', (code) =>
      code === 0
        ? resolve()
        : reject(
            new Failure(
              exitCode.red,
              `the checkout cannot be packed (tar ended with ${code}).`,
              'See above.',
            ),
          ),
    );
  });
}
