import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Restic, ResticFailure } from './restic';
import { type Holdings, type Kind, kinds, type Snapshot } from './snapshots';

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

/** How often an item is begun again that met the lock of a clean-up, and after how long. */
const LOCKED = { tries: 60, pauseMs: 10_000 };

const nothing = { bytes: 0, added: 0 };
type Done = Pick<Outcome, 'result' | 'bytes' | 'added'>;

async function storeOnce(restic: Restic, item: BackupItem, known: string | undefined): Promise<Done> {
  const source = await item.open();
  if (!source) return { result: 'empty', ...nothing };
  try {
    const content = source.content ?? known;
    const { kind, item: name } = item;
    const { bytes, added } = await restic.store({ kind, item: name, content }, source.stream);
    return { result: 'stored', bytes, added };
  } finally {
    source.stream.destroy();
    await source.close?.();
  }
}

async function backUpItem(restic: Restic, item: BackupItem, latest: Snapshot | undefined): Promise<Done> {
  const content = await item.content?.();
  if (content !== undefined && latest?.content === content) return { result: 'unchanged', ...nothing };
  for (let attempt = 1; ; attempt++) {
    try {
      return await storeOnce(restic, item, content);
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
  if ((await restic.init()) === 'made') say('made the backup repository');
  const holdings = await restic.holdings();
  const latest = new Map(
    holdings.snapshots.map((snapshot) => [`${snapshot.kind} ${snapshot.item}`, snapshot]),
  );
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
        result: 'failed',
        ...nothing,
        seconds: (now() - started) / 1000,
        why: (error as Error).message,
      });
    try {
      for (const item of await items(holdings)) {
        started = now();
        try {
          const done = await backUpItem(restic, item, latest.get(`${kind} ${item.item}`));
          add({ kind, item: item.item, ...done, seconds: (now() - started) / 1000 });
        } catch (error) {
          failed(item.item, error);
        }
      }
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
  if (result === 'failed') return `${name}: ${why}`;
  if (result !== 'stored') return name;
  return `${name}, ${mebibytes(bytes)} (${mebibytes(added)} new) in ${seconds.toFixed(1)} s`;
}
