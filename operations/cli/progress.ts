import type { EngineEvent } from '@pulumi/pulumi/automation';
import type { Colors } from 'picocolors/types';
import { actionOf } from '../../clients/engine-steps';
import { isRealResource, parseUrn } from '../engine/urns';
import { cut } from './table';

interface Running {
  readonly verb: string;
  readonly kind: string;
  readonly name: string;
  /** Milliseconds. */
  readonly since: number;
  /** What its provider waits for, in its own words. */
  readonly status?: string;
}

/** What the lines say of each operation, and in which colour. */
const verbs: Readonly<Record<string, readonly [string, 'green' | 'yellow' | 'red' | 'magenta' | 'cyan']>> = {
  create: ['create', 'green'],
  update: ['change', 'yellow'],
  delete: ['delete', 'red'],
  replace: ['replace', 'magenta'],
  'create-replacement': ['make anew', 'magenta'],
  'delete-replaced': ['remove old', 'magenta'],
  import: ['take over', 'cyan'],
  refresh: ['read', 'cyan'],
};

/** `0.4 s`, `12 s`, `3 min 05 s` */
export function elapsed(milliseconds: number): string {
  const seconds = milliseconds / 1000;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, '0')} s`;
}

/**
 * The progress of one run, told from the engine's events: a line for each resource that is finished, and a block of
 * those under way. Knows neither clock nor terminal: both are given.
 */
export class Progress {
  private readonly running = new Map<string, Running>();
  private finished = 0;
  private unchanged = 0;
  private readonly begun: number;

  constructor(
    private readonly title: string,
    private readonly colours: Colors,
    at: number,
  ) {
    this.begun = at;
  }

  /** @returns lines for good: one a resource that this event finished */
  take(event: EngineEvent, at: number): string[] {
    const before = event.resourcePreEvent?.metadata;
    if (before && isRealResource(before.type) && verbs[before.op] && before.op !== 'replace') {
      const { name, kind } = parseUrn(before.urn);
      this.running.set(before.urn, { verb: before.op, kind, name, since: at });
      return [];
    }
    const said = event.diagnosticEvent;
    const waiting = said?.urn ? this.running.get(said.urn) : undefined;
    if (said?.urn && waiting && /^info/.test(said.severity)) {
      const status = said.message.replace(/<\{%[^%]*%\}>/g, '').trim();
      this.running.set(said.urn, { ...waiting, status: status.split('\n')[0] });
      return [];
    }
    const failed = event.resOpFailedEvent?.metadata;
    const done = failed ?? event.resOutputsEvent?.metadata;
    if (!done || !isRealResource(done.type) || done.op === 'replace') return [];
    const begun = this.running.get(done.urn);
    this.running.delete(done.urn);
    if (done.op === 'same') this.unchanged += 1;
    else this.finished += 1;
    // A preview has done nothing yet: what it found is its result, told when it is whole.
    if (!failed && (event.resOutputsEvent?.planning || !actionOf(done.op))) return [];
    const { name, kind } = parseUrn(done.urn);
    const time = begun ? `  ${elapsed(at - begun.since)}` : '';
    return [this.line(failed ? '✗' : '✓', done.op, kind, name, time)];
  }

  private line(mark: string, op: string, kind: string, name: string, rest: string): string {
    const [verb, colour] = verbs[op] ?? [op, 'cyan'];
    const painted = mark === '✗' ? this.colours.red(mark) : this.colours[colour](mark);
    return `${painted} ${this.colours[colour](verb.padEnd(10))} ${kind.padEnd(22)} ${name}${this.colours.dim(rest)}`;
  }

  /**
   * The block under the finished lines.
   * @param size columns and rows of the terminal
   */
  block(at: number, size: { readonly columns: number; readonly rows: number }): string[] {
    const head = `${this.title}: ${this.finished} done, ${this.unchanged} unchanged, ${this.running.size} under way, ${elapsed(at - this.begun)}`;
    const room = Math.max(1, Math.min(12, size.rows - 3));
    const shown = [...this.running.values()].slice(0, room).map(({ verb, kind, name, since, status }) => {
      const text = `  ${(verbs[verb]?.[0] ?? verb).padEnd(10)} ${kind.padEnd(22)} ${name}  ${elapsed(at - since)}`;
      return cut(status ? `${text}  ${status}` : text, size.columns - 1);
    });
    const more = this.running.size - shown.length;
    const lines = more > 0 ? [...shown, `  and ${more} more`] : shown;
    return [cut(head, size.columns - 1), ...lines];
  }
}
