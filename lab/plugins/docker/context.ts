import { createHash } from 'node:crypto';
import {
  createReadStream,
  existsSync,
  lstatSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
} from 'node:fs';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import ignore from '@balena/dockerignore';
import tar, { type Pack } from 'tar-stream';

/** The files of a build, chosen as the Docker CLI chooses them. */
export interface BuildContext {
  /** Absolute. */
  folder: string;
  /** Absolute. */
  dockerfile: string;
  /** Name of the Dockerfile inside the archive. */
  dockerfileName: string;
  /** Files, links and folders that are sent, relative to the folder, sorted. */
  entries: string[];
}

/** Name in the archive of a Dockerfile that lies outside the context. */
const OUTSIDE = '.dockerfile.outside-of-the-context';

/**
 * Reads which files a build sends.
 * @param context folder, relative to the program; @param dockerfile file, relative to the program
 * @throws when the folder or the Dockerfile is not there, or a pattern of .dockerignore cannot be read
 */
export function readContext(context = '.', dockerfile?: string): BuildContext {
  const folder = path.resolve(context);
  if (!existsSync(folder) || !statSync(folder).isDirectory()) {
    throw new Error(
      `build.context: "${context}" is not a folder. It is relative to the program: ${process.cwd()}`,
    );
  }
  const file = path.resolve(dockerfile ?? path.join(context, 'Dockerfile'));
  if (!existsSync(file) || !statSync(file).isFile()) {
    throw new Error(`build.dockerfile: "${dockerfile ?? path.join(context, 'Dockerfile')}" is not a file`);
  }
  const inside = path.relative(folder, file);
  const outside = inside.startsWith('..') || path.isAbsolute(inside);
  const entries = listEntries(folder, ignoreFile(folder, file));
  // As with the CLI, the Dockerfile is sent even when it is ignored.
  if (!outside && !entries.includes(inside)) entries.push(inside);
  return {
    folder,
    dockerfile: file,
    dockerfileName: outside ? OUTSIDE : inside.split(path.sep).join('/'),
    entries: entries.sort(),
  };
}

/** `<Dockerfile>.dockerignore` goes before the context's own `.dockerignore`. */
function ignoreFile(folder: string, dockerfile: string): string {
  const candidates = [`${dockerfile}.dockerignore`, path.join(folder, '.dockerignore')];
  const found = candidates.find((candidate) => existsSync(candidate));
  return found ? readFileSync(found, 'utf8') : '';
}

function listEntries(folder: string, ignored: string): string[] {
  const patterns = ignored
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'));
  const filter = ignore({ ignorecase: false }).add(patterns);
  // Something below an ignored folder may be taken in again.
  const exceptions = patterns.some((pattern) => pattern.startsWith('!'));
  const found: string[] = [];
  const walk = (relative: string): void => {
    for (const entry of readdirSync(path.join(folder, relative), { withFileTypes: true })) {
      const name = path.join(relative, entry.name);
      const sent = !filter.ignores(name);
      if (entry.isDirectory()) {
        if (sent) found.push(name);
        if (sent || exceptions) walk(name);
      } else if (sent && (entry.isFile() || entry.isSymbolicLink())) found.push(name);
    }
  };
  walk('');
  return found;
}

/**
 * Digest of names, kinds, permissions and contents of files and links, and of the Dockerfile (hashContext of
 * pulumi-docker). Times, owners and folders are left out. A link counts by its own text; officially by the path that it
 * leads to.
 * @throws Error where a link leads nowhere
 */
export async function contextDigest(context: BuildContext): Promise<string> {
  const hash = createHash('sha256');
  const file = async (name: string, source: string): Promise<void> => {
    const content = createHash('sha256');
    await pipeline(createReadStream(source), content);
    hash.update(`${JSON.stringify([name, 'file', lstatSync(source).mode & 0o777, content.digest('hex')])}\n`);
  };
  for (const name of context.entries) {
    const source = path.join(context.folder, name);
    const stat = lstatSync(source);
    if (stat.isFile()) await file(name, source);
    else if (stat.isSymbolicLink()) {
      if (!existsSync(source)) throw new Error(`build.context: the link ${name} leads nowhere`);
      hash.update(`${JSON.stringify([name, 'link', readlinkSync(source)])}\n`);
    }
  }
  await file('Dockerfile', context.dockerfile);
  return `sha256:${hash.digest('hex')}`;
}

/** The context as the archive that the engine takes, made while it is read. */
export function packContext(context: BuildContext): Readable {
  const pack = tar.pack();
  const fill = async (): Promise<void> => {
    for (const name of context.entries) await addEntry(pack, name, path.join(context.folder, name));
    if (context.dockerfileName === OUTSIDE) await addEntry(pack, OUTSIDE, context.dockerfile);
    pack.finalize();
  };
  fill().catch((error: unknown) => pack.destroy(error instanceof Error ? error : new Error(String(error))));
  return Readable.from(pack);
}

async function addEntry(pack: Pack, name: string, source: string): Promise<void> {
  const stat = lstatSync(source);
  // Owners are root and times fixed, as far as the engine's layer cache is concerned.
  const header = {
    name: name.split(path.sep).join('/'),
    mode: stat.mode & 0o7777,
    mtime: new Date(0),
    uid: 0,
    gid: 0,
  };
  if (stat.isSymbolicLink()) {
    pack.entry({ ...header, type: 'symlink', linkname: readlinkSync(source) });
    return;
  }
  if (stat.isDirectory()) {
    pack.entry({ ...header, type: 'directory' });
    return;
  }
  const entry = pack.entry({ ...header, type: 'file', size: stat.size });
  await pipeline(createReadStream(source, { end: Math.max(0, stat.size - 1) }), entry);
}
