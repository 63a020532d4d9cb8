import type { Command } from 'commander';
import { describeProblem, ProblemsError } from '../../catalog/problems';
import { EXIT, Refusal } from './refusal';
import { Terminal } from './terminal';

/** Version of the JSON documents: what a field means does not change within it. */
export const API_VERSION = 'switchyard.dev/v1';

/** How a command ended. */
export interface Outcome {
  /** The fields of the JSON document, beside those that all documents have. */
  readonly document: Readonly<Record<string, unknown>>;
  /** The result for a person, on stdout. */
  readonly lines: readonly string[];
  /** @default 0 */
  readonly exitCode?: number;
}

/** An end with a document: a run that failed still says what it did. */
export class FailedRun extends Refusal {
  constructor(
    message: string,
    code: number,
    readonly document: Readonly<Record<string, unknown>>,
  ) {
    super(message, code);
  }
}

const words: Readonly<Record<number, string>> = {
  0: 'succeeded',
  [EXIT.failed]: 'failed',
  [EXIT.badInput]: 'refused',
  [EXIT.declined]: 'declined',
  [EXIT.locked]: 'locked',
  [EXIT.drift]: 'drifted',
  [EXIT.unread]: 'incomplete',
  [EXIT.unsteady]: 'unsteady',
  [EXIT.uncut]: 'uncut',
  [EXIT.moved]: 'moved',
};

/** The JSON document of a command that ended. */
export function documentOf(
  kind: string,
  environment: string | undefined,
  exitCode: number,
  fields: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const where = environment === undefined ? {} : { environment };
  return {
    apiVersion: API_VERSION,
    kind,
    ...where,
    result: words[exitCode] ?? 'failed',
    exitCode,
    ...fields,
  };
}

interface Ended {
  readonly code: number;
  readonly message: string;
  readonly document: Readonly<Record<string, unknown>>;
}

/** One line a fault, never a stack trace, except for faults of this program itself when DEBUG asks for it. */
export function ended(error: unknown): Ended {
  if (error instanceof ProblemsError) {
    const errors = error.problems.map((problem) => ({ ...problem, message: describeProblem(problem) }));
    return { code: EXIT.badInput, message: error.message, document: { errors } };
  }
  if (error instanceof Refusal) {
    const document = error instanceof FailedRun ? error.document : { errors: [{ message: error.message }] };
    return { code: error.code, message: error.message, document };
  }
  const message = error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error);
  const trace = process.env.DEBUG && error instanceof Error ? `\n${error.stack}` : '';
  return { code: EXIT.failed, message: `${message}${trace}`, document: { errors: [{ message }] } };
}

export interface CommonOptions {
  readonly json?: boolean;
}

/** Adds `--json`, which every command with a result has. */
export const withJson = (command: Command): Command =>
  command.option('--json', 'one JSON document on stdout; progress stays on stderr');

/**
 * Runs a command to its end: prints the result, as lines or as one JSON document, and sets the exit code.
 * @param kind `kind` of the document, as in `Drift`
 */
export async function toItsEnd(
  kind: string,
  environment: string | undefined,
  options: CommonOptions,
  run: (terminal: Terminal) => Promise<Outcome> | Outcome,
): Promise<void> {
  const terminal = new Terminal();
  // The program runs in this process: what a component prints must not end up inside the document.
  if (options.json) console.log = console.error;
  const print = (code: number, fields: Readonly<Record<string, unknown>>) =>
    terminal.result(JSON.stringify(documentOf(kind, environment, code, fields), null, 2));
  try {
    const { document, lines, exitCode = 0 } = await run(terminal);
    if (options.json) print(exitCode, document);
    else for (const line of lines) terminal.result(line);
    process.exitCode = exitCode;
  } catch (error) {
    const { code, message, document } = ended(error);
    if (options.json) print(code, document);
    terminal.note(message);
    process.exitCode = code;
  }
}
