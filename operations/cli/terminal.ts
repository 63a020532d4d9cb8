import { createInterface } from 'node:readline/promises';
import type { WriteStream } from 'node:tty';
import type { EngineEvent } from '@pulumi/pulumi/automation';
import { createColors } from 'picocolors';
import type { Colors } from 'picocolors/types';
import { type Fault, faultText } from '../engine/faults';
import { Progress } from './progress';
import { cut } from './table';

/** How often the block on a terminal is painted anew, in milliseconds. */
const REPAINT = 200;

/** A stream as far as output needs it: any file or pipe, perhaps a terminal. */
export type Stream = Pick<NodeJS.WritableStream, 'write'> &
  Partial<Pick<WriteStream, 'isTTY' | 'columns' | 'rows'>>;

/** Colour only on a terminal, and not where someone said no: https://no-color.org */
export const wantsColour = (stream: Stream, env: NodeJS.ProcessEnv): boolean =>
  stream.isTTY === true && !env.NO_COLOR && env.TERM !== 'dumb';

export interface Size {
  readonly columns: number;
  readonly rows: number;
}

/** What one screen shows, until the next time that it is drawn. */
export interface Screen {
  readonly size: () => Size;
  /** @param lines those that are too long, or too many, are cut */
  readonly draw: (lines: readonly string[]) => void;
  /** Gives the terminal back as it was. */
  readonly end: () => void;
}

/** Clears the block of so many lines that ends at the cursor. */
const erase = (lines: number): string => (lines > 0 ? `\u001b[${lines}A\u001b[0J` : '');

/**
 * What a command says: its result goes to stdout, all else (progress, questions, faults) to stderr, so that a pipe
 * gets the result alone.
 */
export class Terminal {
  readonly colours: Colors;
  private block = 0;

  constructor(
    private readonly stdout: Stream = process.stdout,
    private readonly stderr: Stream = process.stderr,
    private readonly env: NodeJS.ProcessEnv = process.env,
  ) {
    this.colours = createColors(wantsColour(stderr, env));
  }

  /** A line of the result. */
  result(text: string): void {
    this.stdout.write(`${text}\n`);
  }

  /**
   * A screen of its own, where results go to a terminal: the one that is there stays as it is, and comes back at the end
   * (xterm's control sequences, "Alternate Screen Buffer"; `watch` and `less` do so).
   */
  screen(): Screen | undefined {
    if (!this.stdout.isTTY || this.env.TERM === 'dumb') return undefined;
    const size = () => ({ columns: this.stdout.columns || 80, rows: this.stdout.rows || 24 });
    let open = false;
    const end = (): void => {
      if (open) this.stdout.write('\u001b[?1049l');
      open = false;
      process.removeListener('exit', end);
    };
    return {
      size,
      draw: (lines) => {
        if (!open) {
          this.stdout.write('\u001b[?1049h');
          // However the process ends by itself.
          process.once('exit', end);
        }
        open = true;
        const { columns, rows } = size();
        // Nothing is cleared before it is written over: that would flicker.
        const shown = lines.slice(0, rows).map((line) => `${cut(line, columns)}\u001b[K`);
        this.stdout.write(`\u001b[H${shown.join('\r\n')}\u001b[J`);
      },
      end,
    };
  }

  /** A line for the person who watches. */
  note(text: string): void {
    this.stderr.write(`${erase(this.block)}${text}\n`);
    this.block = 0;
  }

  /** The faults of a run, one a line; first what is only a warning. */
  faults({
    errors,
    warnings,
  }: {
    readonly errors: readonly Fault[];
    readonly warnings: readonly Fault[];
  }): void {
    for (const warning of warnings) this.note(`${this.colours.yellow('warning')} ${faultText(warning)}`);
    for (const error of errors) this.note(`${this.colours.red('error')} ${faultText(error)}`);
  }

  /** Shows the progress of a run: a block on a terminal, else lines. */
  progress(title: string): { readonly take: (event: EngineEvent) => void; readonly end: () => void } {
    const progress = new Progress(title, this.colours, Date.now());
    const paint = () => {
      // A terminal that does not know its size says 0.
      const size = { columns: this.stderr.columns || 80, rows: this.stderr.rows || 24 };
      const lines = progress.block(Date.now(), size);
      this.stderr.write(`${erase(this.block)}${lines.join('\n')}\n`);
      this.block = lines.length;
    };
    const timer = this.stderr.isTTY && this.env.TERM !== 'dumb' ? setInterval(paint, REPAINT) : undefined;
    return {
      take: (event) => {
        for (const line of progress.take(event, Date.now())) this.note(line);
      },
      end: () => {
        clearInterval(timer);
        this.stderr.write(erase(this.block));
        this.block = 0;
      },
    };
  }

  /** Asks a person. @returns undefined when there is nobody to ask, or they went away */
  async ask(question: string): Promise<string | undefined> {
    if (!process.stdin.isTTY) return undefined;
    const prompt = createInterface({ input: process.stdin, output: process.stderr });
    try {
      // End of input (Ctrl-D) leaves the question open for ever, and an interruption (Ctrl-C) makes it an error.
      const gone = new Promise<undefined>((resolve) => {
        prompt.once('close', () => resolve(undefined));
      });
      return await Promise.race([prompt.question(question).catch(() => undefined), gone]);
    } finally {
      prompt.close();
    }
  }
}
