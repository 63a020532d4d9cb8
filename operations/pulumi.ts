import { execFile } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';

/** A stack's state as `pulumi stack export` gives it: its secrets stay encrypted. */
export interface State {
  readonly version: number;
  readonly deployment: unknown;
}

const stacksSchema = z.array(z.looseObject({ name: z.string() }));
const outputsSchema = z.record(z.string(), z.unknown());
/** What Pulumi shows in place of a secret output. */
const HIDDEN = '[secret]';
const historySchema = z.array(z.looseObject({ startTime: z.string() }));

/** What a command said; undefined where it found no such stack, or no such tag of it. */
async function whereThere(said: Promise<string>): Promise<string | undefined> {
  try {
    return await said;
  } catch (error) {
    const stderr =
      error !== null && typeof error === 'object' && 'stderr' in error ? String(error.stderr) : '';
    if (/no stack named|stack tag .* not found/.test(stderr)) return undefined;
    throw error;
  }
}

/** What the Automation API has no method for, or one that decrypts every secret. */
export class PulumiCommand {
  constructor(
    private readonly workDir: string,
    private readonly backend: string,
  ) {}

  private async run(...args: string[]): Promise<string> {
    const env = { ...process.env, PULUMI_BACKEND_URL: this.backend, PULUMI_SKIP_UPDATE_CHECK: 'true' };
    const options = { cwd: this.workDir, env, maxBuffer: 1 << 30, encoding: 'utf8' as const };
    return (await promisify(execFile)('pulumi', [...args, '--non-interactive'], options)).stdout;
  }

  /** Names of the project's stacks. */
  async stacks(): Promise<string[]> {
    return stacksSchema.parse(JSON.parse(await this.run('stack', 'ls', '--json'))).map(({ name }) => name);
  }

  async export(stack: string): Promise<State> {
    return JSON.parse(await this.run('stack', 'export', '--stack', stack));
  }

  /** Outputs of a stack but for secret ones. */
  async plainOutputs(stack: string): Promise<Record<string, unknown>> {
    const all = outputsSchema.parse(
      JSON.parse(await this.run('stack', 'output', '--json', '--stack', stack)),
    );
    return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== HIDDEN));
  }

  async import(stack: string, state: State): Promise<void> {
    const file = join(this.workDir, 'import.json');
    writeFileSync(file, JSON.stringify(state), { mode: 0o600 });
    try {
      await this.run('stack', 'import', '--stack', stack, '--file', file);
    } finally {
      rmSync(file, { force: true });
    }
  }

  async make(stack: string): Promise<void> {
    await this.run('stack', 'init', stack);
  }

  /** Forgets a stack, where there is one, with all that it holds; what its resources stand for stays. */
  async forget(stack: string): Promise<void> {
    await whereThere(this.run('stack', 'rm', stack, '--force', '--yes', '--preserve-config'));
  }

  /** Breaks the lock of a run that is gone. */
  async cancel(stack: string): Promise<void> {
    await this.run('cancel', stack, '--yes');
  }

  /** When a stack's newest update began, as Pulumi writes it; empty where there was none. */
  async newestUpdate(stack: string): Promise<string> {
    const page = ['--json', '--page', '1', '--page-size', '1'];
    const said = await whereThere(this.run('stack', 'history', '--stack', stack, ...page));
    return historySchema.parse(JSON.parse(said ?? '[]'))[0]?.startTime ?? '';
  }

  /** A stack's tag; undefined when it has none of that name, or there is no such stack. */
  async tag(stack: string, name: string): Promise<string | undefined> {
    return (await whereThere(this.run('stack', 'tag', 'get', name, '--stack', stack)))?.trim();
  }

  /** @returns false when there is no such stack */
  async setTag(stack: string, name: string, value: string): Promise<boolean> {
    return (await whereThere(this.run('stack', 'tag', 'set', name, value, '--stack', stack))) !== undefined;
  }

  async removeTag(stack: string, name: string): Promise<void> {
    await whereThere(this.run('stack', 'tag', 'rm', name, '--stack', stack));
  }
}
