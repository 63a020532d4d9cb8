import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { Readable } from 'node:stream';
import { Restic, type ResticOptions } from '../../../delivery/backup/restic';

export const KEY = 'correct-horse-battery-staple';

/** Folders of one suite, removed with it. */
export class Folders {
  private readonly made: string[] = [];
  new(name: string): string {
    const folder = mkdtempSync(join(tmpdir(), `switchyard-${name}-`));
    this.made.push(folder);
    return folder;
  }
  remove(): void {
    for (const folder of this.made.splice(0)) rmSync(folder, { recursive: true, force: true });
  }
}

/** A vault with a cache of its own, so that no suite meets another's. */
export function vault(repository: string, cache: string, more: Partial<ResticOptions> = {}): Restic {
  const env = { PATH: process.env.PATH, HOME: cache, XDG_CACHE_HOME: cache, RESTIC_PASSWORD: KEY };
  return new Restic({
    repository,
    environment: 'production',
    settleMs: 0,
    ...more,
    env: { ...env, ...more.env },
  });
}

export const streamOf = (...chunks: (string | Buffer)[]): Readable =>
  Readable.from(chunks.map((chunk) => Buffer.from(chunk)));

/** A stream that gives something and then breaks. */
export const broken = (why: string): Readable =>
  Readable.from(
    (async function* () {
      yield Buffer.from('the first half');
      throw new Error(why);
    })(),
  );

/** Files of a part of a repository: `data`, `index`, `snapshots`, `keys`. */
export const parts = (repository: string, part: string): string[] =>
  readdirSync(join(repository, part), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));

/** A copy of a repository in which one bit of one file is another. */
export function flipped(repository: string, into: string, file: string): string {
  cpSync(repository, into, { recursive: true });
  const path = join(into, relative(repository, file));
  const bytes = readFileSync(path);
  const middle = bytes.length >> 1;
  bytes[middle] = (bytes[middle] ?? 0) ^ 1;
  rmSync(path, { force: true });
  writeFileSync(path, bytes);
  return into;
}
