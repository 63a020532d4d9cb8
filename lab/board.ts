import { stripVTControlCharacters } from 'node:util';

/** One line for something under way, rendered anew at each look. */
export type Line = () => string;

/** Milliseconds between two looks at a terminal, and between two lines about the same step in a log. */
const REDRAW = 200;
const REPEAT = 30_000;

/** Cuts a line with colours to the width of the terminal: one that wraps could not be drawn over. */
export function cut(line: string, columns: number): string {
  if (stripVTControlCharacters(line).length <= columns) return line;
  return `${stripVTControlCharacters(line).slice(0, Math.max(0, columns - 1))}…`;
}

/**
 * Shows what runs side by side. A terminal has one line for each, drawn over in place below the lines that stay; a log
 * gets a line at the start and then one every half minute.
 */
export class Board {
  private readonly lines = new Map<string, { line: Line; shown: number }>();
  private drawn = 0;
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly out: Pick<NodeJS.WriteStream, 'write' | 'isTTY' | 'columns' | 'rows'> = process.stdout,
    private readonly now: () => number = Date.now,
  ) {}

  start(key: string, line: Line): void {
    this.lines.set(key, { line, shown: this.now() });
    if (!this.out.isTTY) this.out.write(`${line()}\n`);
    this.timer ??= setInterval(() => this.look(), this.out.isTTY ? REDRAW : 1000);
    if (this.out.isTTY) this.draw();
  }

  /** Takes the line of `key` away and writes one that stays. */
  end(key: string, text: string): void {
    this.lines.delete(key);
    this.say(text);
    if (this.lines.size === 0) this.stop();
  }

  /** Takes the line of `key` away: what it is about is not under way. */
  drop(key: string): void {
    this.lines.delete(key);
    this.clear();
    if (this.lines.size === 0) this.stop();
    else if (this.out.isTTY) this.draw();
  }

  /** A line that stays. */
  say(text: string): void {
    this.clear();
    this.out.write(`${text}\n`);
    if (this.out.isTTY) this.draw();
  }

  stop(): void {
    clearInterval(this.timer);
    this.timer = undefined;
    this.clear();
  }

  private look(): void {
    if (this.out.isTTY) {
      this.draw();
      return;
    }
    for (const entry of this.lines.values()) {
      if (this.now() - entry.shown < REPEAT) continue;
      entry.shown = this.now();
      this.out.write(`${entry.line()}\n`);
    }
  }

  private clear(): void {
    if (this.drawn > 0) this.out.write(`\x1b[${this.drawn}A\r\x1b[J`);
    this.drawn = 0;
  }

  private draw(): void {
    const columns = this.out.columns || 80;
    // More lines than the terminal has could not be drawn over either.
    const shown = [...this.lines.values()].slice(0, Math.max(1, (this.out.rows || 24) - 2));
    const text = shown.map(({ line }) => `${cut(line(), columns)}\n`).join('');
    this.clear();
    this.out.write(text);
    this.drawn = shown.length;
  }
}
