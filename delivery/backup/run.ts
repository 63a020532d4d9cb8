import type { Readable } from 'node:stream';
import type { Restic } from './restic';
import type { Holdings, Kind } from './snapshots';

/** What is read of an item. */
export interface Source {
  /** Breaks (`error`) when not everything could be read; ends only when it was. */
  readonly stream: Readable;
  /** What was really read, where that may differ from what `content` said before. */
  readonly content?: string;
  /** Tidies up, whatever came of it. */
  readonly close?: () => Promise<void>;
}

/** Something to back up. */
export interface BackupItem {
  readonly kind: Kind;
  readonly item: string;
  /** Says without reading it what the item holds, so that an unchanged one is not read again; undefined: read always. */
  readonly content?: () => Promise<string>;
  /** Starts reading; undefined: there is nothing in it. */
  readonly open: () => Promise<Source | undefined>;
}

export interface Outcome {
  readonly kind: Kind;
  /** `*`: the items of the kind could not be found out. */
  readonly item: string;
  readonly result: 'stored' | 'unchanged' | 'empty' | 'failed';
  /** Bytes read. */
  readonly bytes: number;
  /** Bytes that went to the repository. */
  readonly added: number;
  readonly seconds: number;
  /** Why it failed. */
  readonly why?: string;
}

/** The items of one kind, found out when its turn comes. */
export interface KindSource {
  readonly kind: Kind;
  readonly items: (holdings: Holdings) => Promise<readonly BackupItem[]>;
  /** Whether these are all items of the kind: then a run without a fault is noted as its success. */
  readonly whole: boolean;
}

/**
 * Backs up kinds in their order. A fault of one item does not stop the others.
 * @throws when the repository cannot be opened; nothing was read then
 */
export declare function backUp(request: {
  readonly restic: Restic;
  readonly sources: readonly KindSource[];
  readonly say: (line: string) => void;
  /** Milliseconds. @default Date.now */
  readonly now?: () => number;
}): Promise<Outcome[]>;
