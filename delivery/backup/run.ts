import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Restic, ResticFailure } from './restic';
import { type Holdings, type Kind, kinds } from './snapshots';

/** What is read of an item. */
export interface Source {
  /** Breaks (`error`) when not everything could be read; ends only when it was. */
  readonly stream: Readable;
  /** What was really read, where that may differ from what `content` said before. */
  readonly content?: string;
  /**
   * What belongs to it and is stored apart, each once, after it. While one is missing the item is read at each run, so
   * that no run that broke off leaves one out for good.
   */
  readonly parts?: readonly BackupItem[];
  /** Tidies up, whatever came of it. */
  readonly close?: () => Promise<void>;
}

/** There is nothing to read, though something else names it: told by name, and no fault of the backup. */
export class Absent extends Error {}

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
  readonly result: 'stored' | 'unchanged' | 'empty' | 'absent' | 'failed';
  /** Bytes read. */
  readonly bytes: number;
  /** Bytes that went to the repository. */
  readonly added: number;
  readonly seconds: number;
  /** Why it failed or is absent. */
  readonly why?: string;
}

/** The items of one kind, found out when its turn comes. */
export interface KindSource {
  readonly kind: Kind;
  readonly items: (holdings: Holdings) => Promise<readonly BackupItem[]>;
  /** Whether these are all items of the kind: then a run without a fault is noted as its success. */
  readonly whole: boolean;
}

/** How often an item is begun again that met the lock of a clean-up, and after how long. */
const LOCKED = { tries: 60, pauseMs: 10_000 };

const nothing = { bytes: 0, added: 0 };
type Done = Pick<Outcome, 'result' | 'bytes' | 'added'> & { readonly missing?: readonly BackupItem[] };

/** What of each item was stored last, by its key. */
type Latest = Map<string, string | undefined>;
const keyOf = ({ kind, item }: { readonly kind: Kind; readonly item: string }): string => `${kind} ${item}`;

async function storeOnce(
  restic: Restic,
  item: BackupItem,
  known: string | undefined,
  latest: Latest,
): Promise<Done> {
  const source = await item.open();
  if (!source) return { result: 'empty', ...nothing };
  try {
    const missing = (source.parts ?? []).filter((part) => !latest.has(keyOf(part)));
    const content = missing.length > 0 ? undefined : (source.content ?? known);
    const { kind, item: name } = item;
    const { bytes, added } = await restic.store({ kind, item: name, content }, source.stream);
    latest.set(keyOf(item), content);
    return { result: 'stored', bytes, added, missing };
  } finally {
    source.stream.destroy();
    await source.close?.();
  }
}

async function backUpItem(restic: Restic, item: BackupItem, latest: Latest): Promise<Done> {
  const content = await item.content?.();
  if (content !== undefined && latest.get(keyOf(item)) === content)
    return { result: 'unchanged', ...nothing };
  for (let attempt = 1; ; attempt++) {
    try {
      return await storeOnce(restic, item, content, latest);
    } catch (error) {
      const locked = error instanceof ResticFailure && error.reason === 'locked';
      if (!locked || attempt >= LOCKED.tries) throw error;
    }
    await sleep(LOCKED.pauseMs);
  }
}

/**
 * Backs up kinds in their order. A fault of one item does not stop the others.
 * @throws when the repository cannot be opened; nothing was read then
 */
export async function backUp(request: {
  readonly restic: Restic;
  readonly sources: readonly KindSource[];
  readonly say: (line: string) => void;
  /** Milliseconds. @default Date.now */
  readonly now?: () => number;
}): Promise<Outcome[]> {
  const { restic, say, now = Date.now } = request;
  const holdings = await restic.prepare(say);
  const latest: Latest = new Map(holdings.snapshots.map((snapshot) => [keyOf(snapshot), snapshot.content]));
  const outcomes: Outcome[] = [];
  const add = (outcome: Outcome): void => {
    outcomes.push(outcome);
    say(outcomeLine(outcome));
  };
  const ordered = [...request.sources].sort((a, b) => kinds.indexOf(a.kind) - kinds.indexOf(b.kind));
  for (const { kind, items, whole } of ordered) {
    const begun = outcomes.length;
    let started = now();
    const failed = (item: string, error: unknown): void =>
      add({
        kind,
        item,
        result: error instanceof Absent ? 'absent' : 'failed',
        ...nothing,
        seconds: (now() - started) / 1000,
        why: (error as Error).message,
      });
    try {
      const backUpAll = async (some: readonly BackupItem[]): Promise<void> => {
        for (const item of some) {
          started = now();
          try {
            const { missing = [], ...done } = await backUpItem(restic, item, latest);
            add({ kind, item: item.item, ...done, seconds: (now() - started) / 1000 });
            await backUpAll(missing);
          } catch (error) {
            failed(item.item, error);
          }
        }
      };
      await backUpAll(await items(holdings));
      if (whole && !outcomes.slice(begun).some(({ result }) => result === 'failed'))
        await restic.succeed(kind);
    } catch (error) {
      failed('*', error);
    }
  }
  return outcomes;
}

export const mebibytes = (bytes: number): string => `${(bytes / 1024 / 1024).toFixed(1)} MiB`;

export function outcomeLine({ kind, item, result, bytes, added, seconds, why }: Outcome): string {
  const name = `${kind} ${item}: ${result}`;
  if (result === 'failed' || result === 'absent') return `${name}: ${why}`;
  if (result !== 'stored') return name;
  return `${name}, ${mebibytes(bytes)} (${mebibytes(added)} new) in ${seconds.toFixed(1)} s`;
}
