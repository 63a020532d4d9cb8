import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { ownFolder } from '../engine/states';

/** The steps of a rebuild, in their order. */
export const stepNames = [
  'repository',
  'targets',
  'state',
  'foundation',
  'repositories',
  'registry',
  'databases',
  'jenkins',
  'topology',
  'canary',
  'history',
] as const;
export type StepName = (typeof stepNames)[number];

const recordSchema = z.strictObject({
  environment: z.string(),
  /** What was asked for: `latest`, or a time. */
  from: z.string(),
  /** Unix seconds that `from` meant: a rebuild that goes on takes the same snapshots. */
  at: z.number(),
  begun: z.string(),
  /** What lived when it began, and may be written over. */
  over: z.array(z.string()),
  /** What lived when it began, and is left as it is. */
  keep: z.array(z.string()),
  steps: z.partialRecord(z.enum(stepNames), z.strictObject({ ended: z.string(), seconds: z.number() })),
  /** Items whose data is back, as `databases orders/mysql`: restored once, never over what came after. */
  restored: z.array(z.string()),
});
export type RebuildRecord = z.infer<typeof recordSchema>;

/** Where the record of an environment's rebuild is: beside Pulumi's own files, as its states are. */
export const recordFile = (environment: string, env: NodeJS.ProcessEnv = process.env): string =>
  join(ownFolder(env), 'rebuilds', `${environment}.json`);

/**
 * How far a rebuild came, kept in a file after each step and each item, so that one that was killed goes on.
 */
export class Journal {
  private constructor(
    private readonly file: string,
    private data: RebuildRecord,
    /** Whether it goes on with what an earlier run began. */
    readonly resumed: boolean,
  ) {}

  /** The record of a rebuild that has not ended; undefined when there is none. */
  static unfinished(file: string): RebuildRecord | undefined {
    if (!existsSync(file)) return undefined;
    const parsed = recordSchema.safeParse(JSON.parse(readFileSync(file, 'utf8')));
    if (!parsed.success) throw new Error(`${file} is not the record of a rebuild; move it away`);
    return parsed.data;
  }

  static begin(file: string, record: RebuildRecord): Journal {
    const journal = new Journal(file, record, false);
    journal.write();
    return journal;
  }

  static goOn(file: string, record: RebuildRecord): Journal {
    return new Journal(file, record, true);
  }

  get record(): RebuildRecord {
    return this.data;
  }

  /** Whole or not at all: a run may be killed at any moment. */
  private write(): void {
    mkdirSync(dirname(this.file), { recursive: true, mode: 0o700 });
    writeFileSync(`${this.file}.new`, `${JSON.stringify(this.data, null, 2)}\n`, { mode: 0o600 });
    renameSync(`${this.file}.new`, this.file);
  }

  hasDone(step: StepName): boolean {
    return this.data.steps[step] !== undefined;
  }

  done(step: StepName, seconds: number, at = new Date()): void {
    const ended = { ended: at.toISOString(), seconds: Math.round(seconds * 10) / 10 };
    this.data = { ...this.data, steps: { ...this.data.steps, [step]: ended } };
    this.write();
  }

  hasRestored(kind: string, item: string): boolean {
    return this.data.restored.includes(`${kind} ${item}`);
  }

  restored(kind: string, item: string): void {
    this.data = { ...this.data, restored: [...this.data.restored, `${kind} ${item}`] };
    this.write();
  }

  /** The rebuild is over: its record stays under the time at which it began. */
  end(): string {
    const kept = this.file.replace(/\.json$/, `-${this.data.begun.replaceAll(':', '-')}.json`);
    renameSync(this.file, kept);
    return kept;
  }
}
