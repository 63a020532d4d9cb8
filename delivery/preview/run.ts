import { spawn } from 'node:child_process';
import {
  appendFileSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parse, parseDocument } from 'yaml';
import { z } from 'zod';
import { imageContext } from '../../catalog/program';
import { exitCode, Failure } from '../../clients/failure';
import { stackFile } from '../../stacks/load';
import { yamlText } from '../../text/yaml';
import { type Compiled, compileMerged, requireSameSwitchyard } from './compile';
import {
  copyStacks,
  type EndedProgram,
  type HandoverPaths,
  handOver,
  handoverPaths,
  isServing,
  readEnded,
  readProgramLog,
} from './handover';
import { appliedGitlab, givenPaths, givenVariables, isolatedStack, KILLED, run } from './isolated';
import { type AppliedGitlab, LEFT_OUT } from './permitted';
import { openRelay } from './relay';
import { type previewPaths, readUntrusted } from './session';

const fileSchema = z.looseObject({ config: z.record(z.string(), z.unknown()).optional() });
/** Bytes of a list of broken rules. */
const LONGEST_RULES = 16 << 20;

export interface RunRequest {
  /** Checkout of the merge result. */
  readonly source: string;
  readonly environment: string;
  readonly paths: ReturnType<typeof previewPaths>;
  /** Folder that this side shares with the one that runs the program. */
  readonly handover: string;
  readonly timeoutMs: number;
}

/** Between two looks for the program. */
const LOOK_MS = 100;
/** Characters of a fault that the program's side tells. */
const LONGEST_FAULT = 4000;

/** What is wrong with the merge result is told in its note, like any fault of the engine. */
const faultLine = (message: string): string =>
  `${JSON.stringify({ diagnosticEvent: { severity: 'error', message: message.slice(0, LONGEST_FAULT) } })}\n`;

/**
 * Waits until the program is there for the engine.
 * @returns how it ended, where it did before
 */
async function untilServing(paths: HandoverPaths, end: number): Promise<EndedProgram | undefined> {
  for (;;) {
    const ended = readEnded(paths);
    if (ended) return ended;
    if (isServing(paths)) return undefined;
    if (Date.now() > end)
      return { code: KILLED, fault: 'the merge result’s program was not ready in its time.' };
    await sleep(LOOK_MS);
  }
}

/**
 * What the stack file gives the program, for an engine that has the stack's own file. Keys of other namespaces are for
 * providers that the engine makes up, and a preview has none of those.
 */
function configured(ownFile: string, stackText: string): void {
  const document = parseDocument(stackText);
  // What is wrong with it, the program says with its place.
  const given = document.errors.length > 0 ? undefined : fileSchema.safeParse(document.toJS()).data;
  const ours = Object.entries(given?.config ?? {}).filter(([key]) => key.startsWith('switchyard:'));
  const own = fileSchema.parse(parse(readFileSync(ownFile, 'utf8')) ?? {});
  writeFileSync(ownFile, yamlText({ ...own, config: Object.fromEntries(ours) }, {}));
}

/** The engine of this image on the isolated stack, with a program that the relay lets at it. */
async function runEngine(
  paths: HandoverPaths,
  environment: string,
  options: {
    work: string;
    env: Record<string, string>;
    applied: AppliedGitlab;
    events: string;
    log: string;
    timeoutMs: number;
  },
): Promise<number> {
  const relay = await openRelay(paths, { applied: options.applied });
  try {
    const command = ['pulumi', 'preview', '--stack', environment, `--client=${relay.address}`];
    const { code } = await run(
      [
        ...command,
        ...['--exec-kind', 'auto.inline', '--event-log', options.events, '--exclude', LEFT_OUT],
        ...['--non-interactive', '--color', 'never'],
      ],
      {
        cwd: options.work,
        env: {
          ...options.env,
          // A program names the place from which a plug-in is fetched, and whoever writes a plug-in runs here.
          PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: 'true',
          // With it Pulumi takes the flags of the Automation API.
          PULUMI_DEBUG_COMMANDS: 'true',
        },
        log: options.log,
        timeoutMs: options.timeoutMs,
      },
    );
    return code;
  } finally {
    relay.close();
  }
}

/**
 * Previews a merge result on a copy of the state that holds no secret, in a state backend of its own. The engine is this
 * image's, and so is whoever writes down what it says: the program runs elsewhere, without a network, and speaks to the
 * engine through a relay. Whatever it prints goes to `record/log`: nothing of it reaches the build's log before it was
 * scrubbed.
 * @returns the engine's exit code, or the program's where that ended before
 */
export async function runPreview(request: RunRequest): Promise<number> {
  const { environment, source, paths, timeoutMs } = request;
  const end = Date.now() + timeoutMs;
  const shared = handoverPaths(request.handover);
  const home = mkdtempSync(join(tmpdir(), 'preview-'));
  rmSync(paths.record, { recursive: true, force: true });
  mkdirSync(paths.record, { recursive: true });
  const outcome = (code: number): number => {
    const rules = readUntrusted(shared.rules, LONGEST_RULES);
    if (rules !== undefined) writeFileSync(paths.rules, rules);
    appendFileSync(paths.log, readProgramLog(shared));
    writeFileSync(paths.outcome, String(code));
    return code;
  };
  try {
    const stacks = join(home, 'checkout');
    copyStacks(source, environment, stacks);
    const { work, env } = await isolatedStack({
      home,
      environment,
      given: paths.given,
      stacks,
      log: paths.log,
    });
    const readable = join(home, 'stacks');
    configured(
      join(work, stackFile(environment)),
      readFileSync(join(readable, stackFile(environment)), 'utf8'),
    );
    // Images are not built here, but a provider may want to see that there is a context.
    for (const context of [false, true].map((previews) => join(work, imageContext(previews)))) {
      mkdirSync(context, { recursive: true });
      writeFileSync(join(context, 'Dockerfile'), 'FROM scratch\n');
    }
    const { ledger, found } = givenPaths(paths.given);
    handOver(shared, source, {
      stacks: readable,
      ledger,
      found,
      order: {
        environment,
        variables: {
          ...givenVariables(paths.given),
          PULUMI_CONFIG_PASSPHRASE: env.PULUMI_CONFIG_PASSPHRASE ?? '',
          SWITCHYARD_STACKS: shared.stacks,
          SWITCHYARD_WHOLE_STACKS: join(shared.source, 'stacks'),
          SWITCHYARD_LEDGER_FILE: shared.ledger,
          SWITCHYARD_FOUND_FILE: shared.found,
        },
      },
    });
    const ended = await untilServing(shared, end);
    if (ended) {
      if (ended.fault !== undefined) writeFileSync(paths.events, faultLine(ended.fault));
      // Without the engine nothing was previewed, whatever the program says of it.
      return outcome(ended.code === 0 ? exitCode.red : ended.code);
    }
    const events = join(home, 'events.jsonl');
    const code = await runEngine(shared, environment, {
      work,
      env,
      applied: appliedGitlab(paths.given),
      events,
      log: paths.log,
      timeoutMs: Math.max(end - Date.now(), 1),
    });
    if (existsSync(events)) copyFileSync(events, paths.events);
    return outcome(code);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    writeFileSync(paths.events, faultLine(error.message));
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
    /** Variables beside this process' own, by what the compiled program needs. */
    readonly env: (program: Compiled['env']) => Readonly<Record<string, string>>;
    /** @default this process' own */
    readonly cwd?: string;
  },
): Promise<number> {
  const program = await compileMerged(source, join(source, 'dist'));
  return await new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [program.file, ...args], {
      cwd: options.cwd,
      env: { ...process.env, ...options.env(program.env) },
      stdio: 'inherit',
    });
    child.on('error', reject);
    child.on('close', (code) => resolve(code ?? 1));
  });
}

/** Runs the program of a checkout that was merged, on the catalog and the stacks of that checkout. */
export async function runMerged(source: string, args: readonly string[]): Promise<number> {
  requireSameSwitchyard(source);
  return runCompiled(source, args, {
    cwd: source,
    env: (program) => ({ ...program, SWITCHYARD_STACKS: join(source, 'stacks') }),
  });
}
