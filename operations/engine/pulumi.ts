import { execFile } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { parse } from 'yaml';
import { z } from 'zod';
import { stackFile } from '../../stacks/load';
import { PASSPHRASE_VARIABLE } from '../../stacks/secrets';

/** A stack's state as `pulumi stack export` gives it: its secrets stay encrypted. */
export interface State {
  readonly version: number;
  readonly deployment: unknown;
}

const stacksSchema = z.array(z.looseObject({ name: z.string(), resourceCount: z.number().default(0) }));
const saltedSchema = z.looseObject({ encryptionsalt: z.string().min(1) });
const outputsSchema = z.record(z.string(), z.unknown());
/** What Pulumi shows in place of a secret output. */
const HIDDEN = '[secret]';
const historySchema = z.array(z.looseObject({ startTime: z.string() }));

/** A stack, as a list of them shows it. */
export interface StackSummary {
  readonly name: string;
  readonly resourceCount: number;
}

/** The environment of a command for a stack that has a passphrase of its own. */
export const withPassphrase = (passphrase: string | undefined): Record<string, string> =>
  passphrase === undefined ? {} : { [PASSPHRASE_VARIABLE]: passphrase };

/** Whether Pulumi could not open a state with the passphrase that it was given. */
export const isWrongPassphrase = (error: unknown): boolean =>
  error !== null &&
  typeof error === 'object' &&
  'message' in error &&
  /incorrect passphrase|passphrase must be set/.test(String(error.message));

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

/** How often a list is begun. */
const LISTED = 5;

/** Milliseconds for one command: each reads or writes a state, and none touches what it stands for. */
const STATE_MS = 600_000;

/** What the Automation API has no method for, or one that decrypts every secret. */
export class PulumiCommand {
  constructor(
    private readonly workDir: string,
    private readonly backend: string,
    private readonly timeoutMs = STATE_MS,
  ) {}

  private run(...args: string[]): Promise<string> {
    return this.runWith(undefined, ...args);
  }

  private async runWith(passphrase: string | undefined, ...args: string[]): Promise<string> {
    const env = {
      ...process.env,
      PULUMI_BACKEND_URL: this.backend,
      PULUMI_SKIP_UPDATE_CHECK: 'true',
      ...withPassphrase(passphrase),
    };
    const { workDir: cwd, timeoutMs: timeout } = this;
    const options = { cwd, env, timeout, maxBuffer: 1 << 30, encoding: 'utf8' as const };
    try {
      return (await promisify(execFile)('pulumi', [...args, '--non-interactive'], options)).stdout;
    } catch (error) {
      const { killed, signal } = error as { killed?: boolean; signal?: string };
      if (!killed || signal !== 'SIGTERM') throw error;
      const command = args.slice(0, args[1] === 'tag' ? 3 : 2).join(' ');
      throw new Error(
        `pulumi ${command} did not end within ${timeout / 1000} s: is the storage of the states reachable?`,
      );
    }
  }

  /** The project's stacks. */
  async stacks(): Promise<StackSummary[]> {
    for (let tries = 1; ; tries++) {
      try {
        return stacksSchema.parse(JSON.parse(await this.run('stack', 'ls', '--json')));
      } catch (error) {
        // A list of a folder ends at the first file that somebody removes meanwhile (ListPaged of gocloud.dev's fileblob).
        if (tries === LISTED || !/no such file or directory/.test(String(error))) throw error;
      }
    }
  }

  async export(stack: string): Promise<State> {
    return JSON.parse(await this.run('stack', 'export', '--stack', stack));
  }

  /**
   * A state with its secrets in plain text: for what encrypts them for somebody else.
   * @param passphrase @default that of this process
   */
  async open(stack: string, passphrase?: string): Promise<State> {
    return JSON.parse(await this.runWith(passphrase, 'stack', 'export', '--show-secrets', '--stack', stack));
  }

  /** Outputs of a stack but for secret ones. */
  async plainOutputs(stack: string): Promise<Record<string, unknown>> {
    const all = outputsSchema.parse(
      JSON.parse(await this.run('stack', 'output', '--json', '--stack', stack)),
    );
    return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== HIDDEN));
  }

  /**
   * Writes a state. Secrets that stand there in plain text are encrypted as its `secrets_providers` say.
   * @param passphrase @default that of this process
   */
  async import(stack: string, state: State, passphrase?: string): Promise<void> {
    const file = join(this.workDir, `import-${stack}.json`);
    writeFileSync(file, JSON.stringify(state), { mode: 0o600 });
    try {
      await this.runWith(passphrase, 'stack', 'import', '--stack', stack, '--file', file);
    } finally {
      rmSync(file, { force: true });
    }
  }

  /**
   * Makes a stack.
   * @param passphrase @default that of this process
   * @returns the salt with which Pulumi would encrypt its secrets by the passphrase
   */
  async make(stack: string, passphrase?: string): Promise<string> {
    await this.runWith(passphrase, 'stack', 'init', stack, '--no-select', '--secrets-provider', 'passphrase');
    const file = join(this.workDir, stackFile(stack));
    return saltedSchema.parse(parse(readFileSync(file, 'utf8'))).encryptionsalt;
  }

  /**
   * Forgets a stack, where there is one, with all that it holds; what its resources stand for stays.
   * @param also the copies that Pulumi keeps of its state. @default they stay
   */
  async forget(stack: string, also: { readonly backups?: boolean } = {}): Promise<void> {
    const backups = also.backups ? ['--remove-backups'] : [];
    await whereThere(this.run('stack', 'rm', stack, '--force', '--yes', '--preserve-config', ...backups));
  }

  /** Breaks the lock of a run that is gone, where there is such a stack. */
  async cancel(stack: string): Promise<void> {
    await whereThere(this.run('cancel', stack, '--yes'));
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
