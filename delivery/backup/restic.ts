import type { Readable } from 'node:stream';
import type { Holdings, Kind, Snapshot } from './snapshots';

export interface ResticOptions {
  /** In restic's own syntax: `s3:https://host/bucket/path`, or a folder. */
  readonly repository: string;
  /** Environment whose items these are: snapshots carry the host `switchyard-<environment>`. */
  readonly environment: string;
  /**
   * Environment of the program: `RESTIC_PASSWORD` or `RESTIC_PASSWORD_FILE`, and what the storage asks for
   * (`AWS_ACCESS_KEY_ID`, …). Nothing secret travels in an argument.
   * @default process.env
   */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** @default `restic` on PATH */
  readonly program?: string;
  /** How long to wait for another run's lock, in milliseconds. @default 10 minutes */
  readonly lockWaitMs?: number;
}

/** How many snapshots of each item stay; the latest one always does. */
export interface Keep {
  readonly daily: number;
  readonly weekly: number;
  readonly monthly: number;
}

export interface Stored {
  readonly snapshot: Snapshot;
  /** Bytes read. */
  readonly bytes: number;
  /** Bytes that were new and went to the repository, after deduplication. */
  readonly added: number;
}

/** Why a repository was refused. */
export type Refused = 'absent' | 'wrong-key' | 'damaged' | 'unreachable' | 'locked' | 'other';

/** One environment's backup repository, by the program restic (0.14 or newer). Every fault is a {@link ResticFailure}. */
export declare class Restic {
  constructor(options: ResticOptions);
  /** `switchyard-<environment>`. */
  readonly host: string;
  /** Makes the repository when there is none. @throws when it is there and cannot be opened */
  init(): Promise<'made' | 'there'>;
  /** What is there. @throws wrong key, damage, no repository: told apart by `reason` */
  holdings(): Promise<Holdings>;
  /** Stores what a stream gives as one snapshot. A stream that breaks leaves none. */
  store(
    item: { readonly kind: Kind; readonly item: string; readonly content?: string },
    stream: Readable,
  ): Promise<Stored>;
  /** Notes that all of a kind was backed up without a fault. */
  succeed(kind: Kind): Promise<void>;
  /** What a snapshot holds. The stream ends only when everything was read and proved to be what was stored. */
  read(snapshot: Snapshot): Readable;
  /** Bytes that {@link read} gives. */
  size(snapshot: Snapshot): Promise<number>;
  /** Reads back every byte of the repository. @throws `damaged` */
  check(): Promise<void>;
  /** Drops what `keep` does not keep of this environment's items, and frees the space. */
  forget(keep: Keep): Promise<{ removed: number }>;
}
