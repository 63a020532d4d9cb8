import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { parseJson } from '../text/json';
import { ask, type Unanswered } from './ask';
import { exitCode, Failure } from './failure';
import { isTransient, type Policy, retry } from './retry';

const faultsSchema = z.looseObject({ errors: z.array(z.looseObject({ code: z.string() })) });
/** A manifest names what is not there, or not there any more. */
const UNKNOWN_PART = /^(MANIFEST_BLOB|MANIFEST|BLOB)_UNKNOWN$/;

const indexSchema = z.looseObject({ manifests: z.array(z.looseObject({ digest: z.string() })).optional() });

/** What is uploaded: bytes, or a stream of so many. */
type Body = ArrayBuffer | Buffer<ArrayBuffer> | ReadableStream<Uint8Array>;

export interface Manifest {
  readonly mediaType: string;
  readonly bytes: Buffer<ArrayBuffer>;
}

/** Milliseconds that a blob may take; other requests get {@link REQUEST_MS}. */
const BLOB_MS = 1_800_000;
const REQUEST_MS = 30_000;
/** For what can wait: somewhat longer than a registry is away that frees its blobs first (`components/registry/collect.ts`). */
export const PATIENT: Partial<Policy> = { attempts: Number.POSITIVE_INFINITY, totalMs: 2_100_000 };

const manifestTypes = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
].join(', ');

/** Parameters of a `WWW-Authenticate: Bearer …` challenge. */
export function bearerChallenge(header: string | null): Record<string, string> | undefined {
  if (!header || !/^bearer /i.test(header)) return undefined;
  return Object.fromEntries(
    [...header.matchAll(/(\w+)="([^"]*)"/g)].map(([, key = '', value = '']) => [key, value]),
  );
}

/** One image of a repository, by its digest. */
export interface StoredImage {
  readonly digest: string;
  /** Every tag that names it. Deleting the digest deletes them all. */
  readonly tags: readonly string[];
  /** Digests that an index is made of. */
  readonly parts: readonly string[];
}

interface Request {
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Body;
  /** Statuses that are no fault. @default success only */
  readonly allowed?: readonly number[];
  /** Milliseconds of one try. @default {@link REQUEST_MS} */
  readonly timeout?: number;
  /** @default that of `clients/ask.ts` */
  readonly repeatable?: boolean;
  /** It may be sent on to a storage, which gets no login: of blobs, which are held against their digest. */
  readonly elsewhere?: true;
}

interface Answer {
  readonly ok: boolean;
  readonly status: number;
  readonly headers: Headers;
  readonly url: string;
  readonly bytes: Buffer<ArrayBuffer>;
}

/** The registry did not answer, or with what a later try may mend (429, 5xx). */
export class RegistryAway extends Failure {
  /** @param why in a few words: letters, digits and blanks */
  constructor(
    readonly why: string,
    what: string,
    remedy = '',
  ) {
    super(exitCode.red, what, remedy);
    this.name = 'RegistryAway';
  }
}

/** The distribution API (v2), as far as giving a manifest another tag, and taking one away, needs. */
export class Registry {
  private bearer: string | undefined;

  constructor(
    private readonly options: {
      readonly host: string;
      /** Path below which the repositories stand that are asked for. @default the registry's root */
      readonly below?: string;
      readonly plainHttp: boolean;
      /** base64 of `user:password`. */
      readonly credentials?: string;
      /** @default that of `clients/retry.ts` */
      readonly policy?: Partial<Policy>;
    },
  ) {}

  /** A repository as the registry calls it. */
  private at(repository: string): string {
    return this.options.below ? `${this.options.below}/${repository}` : repository;
  }

  private authorization(): Record<string, string> {
    if (this.bearer) return { authorization: `Bearer ${this.bearer}` };
    return this.options.credentials ? { authorization: `Basic ${this.options.credentials}` } : {};
  }

  private async send<T>(
    url: string,
    init: RequestInit,
    read: (response: Response) => Promise<T>,
    { timeout = REQUEST_MS, repeatable }: { readonly timeout?: number; readonly repeatable?: boolean } = {},
  ): Promise<{ readonly response: Response; readonly body: T }> {
    const policy = { attemptMs: timeout, totalMs: 6 * timeout, ...this.options.policy };
    return ask(url, init, read, { policy, ...(repeatable === undefined ? {} : { repeatable }) }).catch(
      (error: Unanswered) => {
        throw new RegistryAway(
          'the registry did not answer',
          `registry: ${new URL(url).host} cannot be reached (${error.reason}).`,
          'Check REGISTRY, REGISTRY_PLAIN_HTTP and the network.',
        );
      },
    );
  }

  private async exchange<T>(
    method: string,
    path: string,
    read: (response: Response) => Promise<T>,
    { headers = {}, body, allowed = [], elsewhere, ...how }: Request = {},
  ): Promise<{ readonly response: Response; readonly body: T }> {
    const url = `${this.options.plainHttp ? 'http' : 'https'}://${this.options.host}/v2/${path}`;
    const init = (): RequestInit & { duplex?: 'half' } => ({
      method,
      headers: { ...headers, ...this.authorization() },
      body,
      ...(elsewhere ? { redirect: 'follow' } : {}),
      // Fetch sends a stream only where it is told that the answer comes after it.
      ...(body instanceof ReadableStream ? { duplex: 'half' } : {}),
    });
    let answer = await this.send(url, init(), read, how);
    const { status: first, headers: said } = answer.response;
    const own = new URL(answer.response.url || url).host === new URL(url).host;
    const challenge = own && first === 401 ? bearerChallenge(said.get('www-authenticate')) : undefined;
    // A token holds for one repository: the next one is asked for when it is refused.
    if (challenge?.realm) {
      this.bearer = await this.token(challenge);
      answer = await this.send(url, init(), read, how);
    }
    const { ok, status } = answer.response;
    if (ok || allowed.includes(status)) return answer;
    throw this.refusal(method, path, status);
  }

  private refusal(method: string, path: string, status: number): Failure {
    const what = `registry: ${method} ${path} at ${this.options.host} answered ${status}.`;
    if (isTransient(status)) return new RegistryAway(`the registry answered ${status}`, what);
    return new Failure(
      exitCode.red,
      what,
      status === 401 || status === 403
        ? 'Check that the credentials, bound or in DOCKER_CONFIG, may do that there.'
        : status === 404
          ? 'The image is gone: test the merge request again, so that it is built again.'
          : '',
    );
  }

  private async request(method: string, path: string, how: Request = {}): Promise<Answer> {
    const { response, body } = await this.exchange(
      method,
      path,
      async (answer) => Buffer.from(await answer.arrayBuffer()),
      how,
    );
    const { ok, status, headers, url } = response;
    return { ok, status, headers, url, bytes: body };
  }

  private async token(challenge: Record<string, string>): Promise<string> {
    const url = new URL(challenge.realm ?? '');
    for (const key of ['service', 'scope']) if (challenge[key]) url.searchParams.set(key, challenge[key]);
    const headers: Record<string, string> = this.options.credentials
      ? { authorization: `Basic ${this.options.credentials}` }
      : {};
    const { response, body } = await this.send(url.href, { headers }, (answer) => answer.text());
    const parsed = z
      .looseObject({ token: z.string().optional(), access_token: z.string().optional() })
      .safeParse(response.ok ? parseJson(body) : undefined);
    const token = parsed.data?.token ?? parsed.data?.access_token;
    if (token) return token;
    throw new Failure(
      exitCode.red,
      `registry: ${url.host} gave no token (${response.status}).`,
      'Check DOCKER_CONFIG.',
    );
  }

  /** Pages through a list; the registry says in `Link` where the next page starts. */
  private async pages<T>(path: string, schema: z.ZodType<T>, allowed: readonly number[] = []): Promise<T[]> {
    const found: T[] = [];
    let next: string | undefined = path;
    while (next !== undefined) {
      const response: Answer = await this.request('GET', next, { allowed });
      if (!response.ok) return found;
      const parsed = schema.safeParse(parseJson(response.bytes.toString('utf8')));
      if (!parsed.success) {
        throw new Failure(exitCode.red, `registry: ${next} at ${this.options.host} is not a list.`);
      }
      found.push(parsed.data);
      next = /<(?:https?:\/\/[^/>]+)?\/v2\/([^>]+)>;\s*rel="next"/.exec(
        response.headers.get('link') ?? '',
      )?.[1];
    }
    return found;
  }

  /** Names of all repositories, below the path where there is one. */
  async repositories(): Promise<string[]> {
    const pages = await this.pages('_catalog?n=1000', z.looseObject({ repositories: z.array(z.string()) }));
    const below = this.at('');
    return pages
      .flatMap(({ repositories }) => repositories)
      .filter((name) => name.startsWith(below))
      .map((name) => name.slice(below.length))
      .sort();
  }

  /** Every tag of a repository with its manifest; one whose manifest goes meanwhile is left out. */
  async *tagged(
    repository: string,
  ): AsyncGenerator<Manifest & { readonly tag: string; readonly digest: string }> {
    const pages = await this.pages(
      `${this.at(repository)}/tags/list?n=1000`,
      z.looseObject({ tags: z.array(z.string()).nullish() }),
      // A repository whose last tag went is still listed, and has none.
      [404],
    );
    for (const tag of pages.flatMap(({ tags }) => tags ?? []).sort()) {
      const found = await this.resolve(repository, tag);
      // Its manifest went by another tag.
      if (found) yield { tag, ...found };
    }
  }

  /** Everything of a repository that has a tag, by digest. */
  async images(repository: string): Promise<StoredImage[]> {
    const byDigest = new Map<string, { tags: string[]; parts: string[] }>();
    for await (const { tag, digest, bytes } of this.tagged(repository)) {
      const parsed = indexSchema.safeParse(parseJson(bytes.toString('utf8')));
      const known = byDigest.get(digest);
      if (known) known.tags.push(tag);
      else
        byDigest.set(digest, {
          tags: [tag],
          parts: (parsed.data?.manifests ?? []).map((part) => part.digest),
        });
    }
    return [...byDigest].map(([digest, image]) => ({ digest, ...image }));
  }

  /** Deletes a manifest and every tag on it; one that is gone already is no fault. */
  async remove(repository: string, digest: string): Promise<void> {
    await this.request('DELETE', `${this.at(repository)}/manifests/${digest}`, { allowed: [404] });
  }

  /**
   * Gives the manifest of a digest, an index as well as an image, a further tag. Bytes and media type stay, so
   * the digest does.
   */
  async tag(path: string, digest: string, tag: string): Promise<void> {
    const found = await this.request('GET', `${this.at(path)}/manifests/${digest}`, {
      headers: { accept: manifestTypes },
    });
    const type = found.headers.get('content-type') ?? 'application/vnd.oci.image.manifest.v1+json';
    const put = await this.request('PUT', `${this.at(path)}/manifests/${tag}`, {
      headers: { 'content-type': type },
      body: found.bytes,
    });
    const given = put.headers.get('docker-content-digest');
    if (given && given !== digest) {
      throw new Failure(
        exitCode.red,
        `registry: ${path}:${tag} became ${given}, not ${digest}.`,
        'Something rewrites manifests on the way.',
      );
    }
  }

  /** A manifest, an image's or an index's, proved to be the one that was asked for; undefined: there is none. */
  async manifest(path: string, digest: string): Promise<Manifest | undefined> {
    const found = await this.request('GET', `${this.at(path)}/manifests/${digest}`, {
      headers: { accept: manifestTypes },
      allowed: [404],
    });
    if (!found.ok) return undefined;
    const { bytes } = found;
    if (`sha256:${createHash('sha256').update(bytes).digest('hex')}` !== digest) {
      throw new Failure(exitCode.red, `registry: ${path}@${digest} is something else.`);
    }
    return {
      mediaType: found.headers.get('content-type') ?? 'application/vnd.oci.image.manifest.v1+json',
      bytes,
    };
  }

  /** A manifest by tag or digest, as it is now; undefined: there is none. */
  async resolve(
    path: string,
    reference: string,
  ): Promise<(Manifest & { readonly digest: string }) | undefined> {
    const found = await this.request('GET', `${this.at(path)}/manifests/${reference}`, {
      headers: { accept: manifestTypes },
      allowed: [404],
    });
    if (!found.ok) return undefined;
    const { bytes } = found;
    return {
      digest: `sha256:${createHash('sha256').update(bytes).digest('hex')}`,
      mediaType: found.headers.get('content-type') ?? 'application/vnd.oci.image.manifest.v1+json',
      bytes,
    };
  }

  /**
   * Waits until the registry knows this login: it reads its users anew some time after a module came to them.
   * @param patience milliseconds
   */
  async waitForLogin(patience = 150_000, pause = 3000): Promise<void> {
    const end = Date.now() + patience;
    for (;;) {
      const { status } = await this.request('GET', '', { allowed: [401] });
      if (status !== 401) return;
      if (Date.now() > end) {
        throw new Failure(
          exitCode.red,
          `registry: ${this.options.host} does not know the login of this module.`,
          'Run `switchyard up`, and look whether the Secret registry-credentials holds its user.',
        );
      }
      await sleep(pause);
    }
  }

  /** @throws Failure (exit 10) where what the manifest names is gone: freed before there was a manifest that named it */
  async putManifest(path: string, reference: string, { mediaType, bytes }: Manifest): Promise<void> {
    const at = `${this.at(path)}/manifests/${reference}`;
    const put = await this.request('PUT', at, {
      headers: { 'content-type': mediaType },
      body: bytes,
      allowed: [400, 404],
    });
    if (put.ok) return;
    const { errors = [] } = faultsSchema.safeParse(parseJson(put.bytes.toString('utf8'))).data ?? {};
    if (!errors.some(({ code }) => UNKNOWN_PART.test(code))) throw this.refusal('PUT', at, put.status);
    throw new Failure(
      exitCode.lost,
      `registry: what ${path}:${reference} is made of is gone from ${this.options.host}.`,
      'Build it again.',
    );
  }

  /** A blob's bytes as they come: whoever reads them proves them. */
  async blob(path: string, digest: string): Promise<ReadableStream<Uint8Array>> {
    const { body } = await this.exchange(
      'GET',
      `${this.at(path)}/blobs/${digest}`,
      async (answer) => answer.body,
      { timeout: BLOB_MS, elsewhere: true },
    );
    if (body) return body;
    throw new Failure(exitCode.red, `registry: blob ${digest} of ${path} came empty.`);
  }

  async hasBlob(path: string, digest: string): Promise<boolean> {
    const how = { allowed: [404], elsewhere: true } as const;
    return (await this.request('HEAD', `${this.at(path)}/blobs/${digest}`, how)).ok;
  }

  /** Uploads a blob in one piece; the registry proves the digest. */
  async putBlob(path: string, digest: string, size: number, body: ReadableStream<Uint8Array>): Promise<void> {
    // One that was begun and not heard of is given up by the registry.
    const begun = await this.request('POST', `${this.at(path)}/blobs/uploads/`, { repeatable: true });
    const location = new URL(begun.headers.get('location') ?? '', begun.url);
    location.searchParams.set('digest', digest);
    const base = new URL(`${this.options.plainHttp ? 'http' : 'https'}://${this.options.host}/v2/`);
    if (location.host !== base.host || !location.pathname.startsWith('/v2/')) {
      throw new Failure(exitCode.red, `registry: ${base.host} sends uploads to ${location.host}.`);
    }
    const type = { 'content-type': 'application/octet-stream', 'content-length': String(size) };
    const upload = `${location.pathname.slice('/v2/'.length)}${location.search}`;
    await this.request('PUT', upload, { headers: type, body, timeout: BLOB_MS });
  }

  /** Uploads a file as a blob, from its beginning each time that the registry is away. */
  async putFile(path: string, digest: string, size: number, file: string): Promise<void> {
    const put = () =>
      this.putBlob(path, digest, size, Readable.toWeb(createReadStream(file)) as ReadableStream<Uint8Array>);
    await retry(put, { again: (error) => error instanceof RegistryAway, policy: this.options.policy });
  }
}
