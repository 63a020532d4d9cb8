import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import { type Blob, ownProgramId, programId, programOf } from '../catalog/program';
import { exitCode, Failure } from '../clients/failure';
import { WorkingCopy } from '../clients/git';
import { imageCompiler } from './preview/compile';
import { runCompiled } from './preview/run';
import { type Context, cloneUrl } from './verify';

const BRANCH = 'main';
/** Commits of main, newest first, among which the program is looked for. */
const LOOK_BACK = 500;

const stale = (why: string): Failure =>
  new Failure(
    exitCode.red,
    `this image's program is not the one that was applied last, and ${why}.`,
    'Run `switchyard up` where there is Docker: it brings the image up to date.',
  );

/** Ends `delivery` with the exit code of a program that it ran in its own place, and that has said itself what was wrong. */
export class Ended extends Error {
  constructor(readonly code: number) {
    super(`ended with ${code}`);
  }
}

/** Tells which program a commit of the topology's project has, by what this image compiles it with. */
function programWith(product: string | undefined): (files: readonly Blob[]) => string {
  if (product === undefined) return programId;
  const installed = programOf(product);
  return (files) => ownProgramId(installed, files);
}

/**
 * Checks out the newest commit of the topology's project that has a program.
 * @param program see `catalog/program.ts`
 * @param product Switchyard, where that project installs it. @default what this image has
 * @returns the commit
 * @throws Failure (exit 1) where none has it
 */
export async function checkOutProgram(
  context: Pick<Context, 'gitlabUrl' | 'token'>,
  {
    project,
    program,
    folder,
    product = imageCompiler().product,
  }: {
    readonly project: string;
    readonly program: string;
    readonly folder: string;
    readonly product?: string;
  },
): Promise<string> {
  const programIn = programWith(product);
  const copy = new WorkingCopy(folder, { url: cloneUrl(context.gitlabUrl, project), token: context.token });
  await copy.open();
  let found: string | undefined;
  await copy.fetchUntil([BRANCH], async () => {
    const commits = await copy.commits(BRANCH, LOOK_BACK);
    for (const commit of commits) {
      found = programIn(await copy.blobs(commit)) === program ? commit : undefined;
      if (found) return true;
    }
    return commits.length === LOOK_BACK;
  });
  if (!found) throw stale(`no commit of ${project}'s ${BRANCH} has that one`);
  await copy.checkOut(found);
  return found;
}

/** Adds the command by which the delivery image runs another program than its own. */
export function addAppliedCommand(
  top: Command,
  shell: { readonly context: () => Context & { readonly group: string } },
): void {
  top
    .command('as-applied')
    .description('Run `switchyard` by the program that was applied last, where this image has an older one.')
    .requiredOption('--program <file>', 'file that names that program')
    .argument('<arguments...>', 'arguments of `switchyard`, after `--`')
    .action(async (args: string[], options: { program: string }) => {
      const { SWITCHYARD_TOPOLOGY_PROJECT: path } = process.env;
      if (!path) throw stale('this stack has no project of the topology to get that one from');
      const { group, ...context } = shell.context();
      const source = mkdtempSync(join(tmpdir(), 'applied-'));
      try {
        const commit = await checkOutProgram(context, {
          project: `${group}/${path}`,
          program: readFileSync(options.program, 'utf8').trim(),
          folder: source,
        });
        process.stderr.write(
          `delivery: this image is older than what was applied: running the program of commit ${commit.slice(0, 12)}\n`,
        );
        const code = await runCompiled(source, args, {
          env: ({ SWITCHYARD_LIBRARY }) => ({ SWITCHYARD_LIBRARY }),
        });
        if (code !== 0) throw new Ended(code);
      } finally {
        rmSync(source, { recursive: true, force: true });
      }
    });
}
