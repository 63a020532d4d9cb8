import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { z } from 'zod';
import { parseJson } from '../text/json';
import { ask, type Unanswered } from './ask';
import { exitCode, Failure } from './failure';
import { type GitRemote, LFS_POINTER, LFS_POINTER_BYTES } from './git';

/** A file of Git LFS, as its pointer in git names it. */
export interface LfsObject {
  /** SHA-256 of the contents. */
  readonly oid: string;
  /** Bytes, by the pointer's word: any branch may hold a pointer that names another size of the same contents. */
  readonly size: number;
}

/**
 * Sizes that a pointer can have, in bytes: `docs/spec.md` of git-lfs says which keys it must have, and that it is
 * shorter than 1024.
 */
export const POINTER_BYTES = { least: 120, most: LFS_POINTER_BYTES - 1 } as const;

/** What a blob points at; undefined: it is no pointer. */
export function pointerOf(blob: Buffer): LfsObject | undefined {
  if (blob.length > POINTER_BYTES.most) return undefined;
  const text = blob.toString('utf8');
  const oid = /^oid sha256:([0-9a-f]{64})$/m.exec(text)?.[1];
  const size = /^size (\d{1,15})$/m.exec(text)?.[1];
  return LFS_POINTER.test(text) && oid && size ? { oid, size: Number(size) } : undefined;
}

const MEDIA_TYPE = 'application/vnd.git-lfs+json';
/** As git-lfs itself asks (`lfs.transfer.batchSize`). */
const BATCH = 100;
/** One object may be large, and the line slow. */
const OBJECT_MS = 1_800_000;

const actionSchema = z.looseObject({
  href: z.url({ protocol: /^https?$/ }),
  header: z.record(z.string(), z.string()).default({}),
});
type Action = z.infer<typeof actionSchema>;
const batchSchema = z.looseObject({
  objects: z.array(
    z.looseObject({
      oid: z.string(),
      actions: z
        .looseObject({ download: actionSchema.optional(), upload: actionSchema.optional() })
        .optional(),
      error: z.looseObject({ code: z.number() }).optional(),
    }),
  ),
});

/** The stream, which breaks at its end where it was not what the pointer names. */
async function* proved(body: AsyncIterable<Uint8Array>, { oid }: LfsObject, where: string) {
  const sum = createHash('sha256');
  for await (const chunk of body) {
    sum.update(chunk);
    yield chunk;
  }
  if (sum.digest('hex') !== oid) {
    throw new Failure(exitCode.red, `Git LFS: ${where} gave something else as object ${oid}.`);
  }
}

async function bytesOf(contents: Readable): Promise<number> {
  let bytes = 0;
  for await (const chunk of contents) bytes += (chunk as Buffer).length;
  return bytes;
}

/** A stream as fetch takes it, read no faster than it is sent. */
function webStream(input: Readable): ReadableStream<Uint8Array> {
  return Readable.toWeb(input) as ReadableStream<Uint8Array>;
}

/**
 * One project's objects in Git LFS, by the batch API and its transfer `basic` (`docs/api/batch.md`,
 * `docs/api/basic-transfers.md` of git-lfs). No address of an object is ever in a fault: it may hold its own key.
 */
export class LfsServer {
  constructor(private readonly remote: GitRemote) {}

  private async send<T>(
    what: string,
    url: string,
    init: RequestInit & { duplex?: 'half' },
    read: (response: Response) => Promise<T>,
    how: { readonly repeatable?: boolean; readonly timeoutMs?: number } = {},
  ): Promise<{ readonly status: number; readonly body: T }> {
    const { repeatable, timeoutMs } = how;
    const policy = timeoutMs === undefined ? {} : { attemptMs: timeoutMs, totalMs: 6 * timeoutMs };
    const { response, body } = await ask(url, init, read, {
      policy,
      ...(repeatable === undefined ? {} : { repeatable }),
    }).catch(({ reason }: Unanswered) => {
      throw new Failure(exitCode.red, `Git LFS: ${what} of ${this.remote.url} failed (${reason}).`);
    });
    return { status: response.status, body };
  }

  private refused(what: string, status: number): Failure {
    const remedy = status === 401 || status === 403 ? 'Check that GITLAB_TOKEN may do this.' : '';
    return new Failure(
      exitCode.red,
      `Git LFS: ${what} of ${this.remote.url} was answered with ${status}.`,
      remedy,
    );
  }

  /**
   * What to do for objects, by oid; one without an action is there already (`upload`), or not at all (`download`).
   * @returns undefined: GitLab keeps no Git LFS for the project. Its git must be readable with the same token, since
   * GitLab answers as if there was no project (`lfs_check_access!` of `app/controllers/concerns/lfs_request.rb`)
   */
  private async batch(
    operation: 'download' | 'upload',
    some: readonly LfsObject[],
  ): Promise<Map<string, Action | undefined> | undefined> {
    const basic = Buffer.from(`oauth2:${this.remote.token}`).toString('base64');
    const headers = { accept: MEDIA_TYPE, 'content-type': MEDIA_TYPE, authorization: `Basic ${basic}` };
    const objects = some.map(({ oid, size }) => ({ oid, size }));
    const request = { operation, transfers: ['basic'], hash_algo: 'sha256', objects };
    const { status, body } = await this.send(
      `the ${operation}`,
      `${this.remote.url}/info/lfs/objects/batch`,
      { method: 'POST', headers, body: JSON.stringify(request) },
      (response) => response.text(),
      { repeatable: true },
    );
    if (status === 404 || status === 501) return undefined;
    if (status !== 200) throw this.refused(`the ${operation}`, status);
    const parsed = batchSchema.safeParse(parseJson(body));
    if (!parsed.success) {
      throw new Failure(
        exitCode.red,
        `Git LFS: what ${this.remote.url} says of its objects is not understood.`,
      );
    }
    const actions = new Map<string, Action | undefined>();
    for (const { oid, actions: own, error } of parsed.data.objects) {
      const gone = operation === 'download' && (error?.code === 404 || error?.code === 410);
      if (error && !gone) throw this.refused(`the ${operation} of object ${oid}`, error.code);
      actions.set(oid, own?.[operation]);
    }
    return actions;
  }

  /** Headers that an action asks for, but for those that belong to the connection. */
  private headers({ href, header }: Action): Record<string, string> {
    const own = Object.entries(header).filter(
      ([name]) => !/^(transfer-encoding|content-length)$/i.test(name),
    );
    const named = own.some(([name]) => name.toLowerCase() === 'authorization');
    // Ours goes to nobody but GitLab, and only where it gave no other.
    if (named || new URL(href).origin !== new URL(this.remote.url).origin) return Object.fromEntries(own);
    const basic = Buffer.from(`oauth2:${this.remote.token}`).toString('base64');
    return { ...Object.fromEntries(own), authorization: `Basic ${basic}` };
  }

  /** Which of some objects the project has, by oid; undefined: it keeps no Git LFS. */
  async held(objects: readonly LfsObject[]): Promise<ReadonlySet<string> | undefined> {
    const held = new Set<string>();
    for (let first = 0; first < objects.length; first += BATCH) {
      const actions = await this.batch('download', objects.slice(first, first + BATCH));
      if (!actions) return undefined;
      for (const [oid, action] of actions) if (action) held.add(oid);
    }
    return held;
  }

  /** An object's contents, which break where they are something else. @returns undefined: it is not there */
  async download(object: LfsObject): Promise<Readable | undefined> {
    const action = (await this.batch('download', [object]))?.get(object.oid);
    if (!action) return undefined;
    const what = `object ${object.oid}`;
    const { status, body } = await this.send(
      what,
      action.href,
      // GitLab may send on to its storage, which gets no login of ours; what comes from there is held against its sum.
      { headers: this.headers(action), redirect: 'follow' },
      async (response) => {
        if (response.ok) return response.body;
        await response.body?.cancel();
        return null;
      },
      { timeoutMs: OBJECT_MS },
    );
    if (status === 404 || status === 410) return undefined;
    if (status !== 200) throw this.refused(what, status);
    const chunks = body
      ? Readable.fromWeb(body as Parameters<typeof Readable.fromWeb>[0])
      : Readable.from([]);
    return Readable.from(proved(chunks, object, this.remote.url), { objectMode: false });
  }

  /**
   * Uploads those objects that the project does not have.
   * @param read gives an object's contents
   * @returns how many; undefined: the project keeps no Git LFS
   */
  async upload<T extends LfsObject>(
    objects: readonly T[],
    read: (object: T) => Readable,
  ): Promise<number | undefined> {
    let uploaded = 0;
    for (let first = 0; first < objects.length; first += BATCH) {
      const some = objects.slice(first, first + BATCH);
      const wanted = await this.batch('upload', some);
      if (!wanted) return undefined;
      for (const object of some) {
        if (!wanted.get(object.oid)) continue;
        const give = async (size: number): Promise<boolean> => {
          // Asked anew: the first answer's keys may have ended while others were sent.
          const action = (await this.batch('upload', [{ ...object, size }]))?.get(object.oid);
          if (action) await this.put({ ...object, size }, action, read(object));
          return action !== undefined;
        };
        const given = await give(object.size).catch(async (refused: unknown) => {
          const size = await bytesOf(read(object));
          if (size === object.size) throw refused;
          return give(size);
        });
        if (given) uploaded += 1;
      }
    }
    return uploaded;
  }

  private async put(object: LfsObject, action: Action, contents: Readable): Promise<void> {
    const what = `the upload of object ${object.oid}`;
    const headers = { ...this.headers(action), 'content-length': String(object.size) };
    const { status } = await this.send(
      what,
      action.href,
      { method: 'PUT', headers, body: webStream(contents), duplex: 'half' },
      (response) => response.text(),
      { timeoutMs: OBJECT_MS },
    );
    if (status !== 200) throw this.refused(what, status);
  }
}
