import { createHash, timingSafeEqual } from 'node:crypto';
import { createReadStream, createWriteStream, mkdirSync, renameSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { exitCode, Failure } from '../clients/failure';
import { type Manifest, type Registry, RegistryAway } from '../clients/registry';
import { GATE_PORT } from '../stacks/builds';
import { CONFIG_BYTES, whyNoConfig } from './image-config';
import { countLayer, Full, gibibytes, LayerFault, mostOf, Tally } from './layer';
import { type Built, type Content, DIGEST, MANIFEST_BYTES, readManifest } from './manifest';
import { unreleasedBlobs } from './unreleased';

/** User of the gate: its password is made for one build. */
export const GATE_USER = 'build';
const MOST_UPLOADS = 5000;
const MOST_MANIFESTS = 100;

/** The tag of the cache that every build of a module may read, and that only a deploy moves. */
export const CACHE_TAG = 'buildcache';
/** The tag under which the cache of one build waits for its merge. */
export const cacheTag = (imageTag: string): string => `${imageTag}-cache`;
/**
 * The tag under which what a tag named before can still be found: a registry never frees a manifest that has none, and
 * nobody could tell it to. With all of the digest: whoever builds chooses how two of them begin.
 */
export const replacedTag = (tag: string, digest: string): string =>
  `${tag}-was-${digest.slice('sha256:'.length)}`;

export interface GateOptions {
  /** With a login for this module's repository, and for no other one's. */
  readonly registry: Pick<
    Registry,
    'waitForLogin' | 'resolve' | 'tagged' | 'manifest' | 'blob' | 'hasBlob' | 'putFile' | 'putManifest'
  >;
  /** The module's repository, without the registry's address: `modules/orders`. */
  readonly repository: string;
  /** Password that the build was given. */
  readonly token: string;
  /** Tag that the image gets. */
  readonly imageTag: string;
  /** Where what the build hands over waits; it goes when the gate closes. No other gate has it. */
  readonly folder: string;
  readonly most: {
    /** Bytes that one build may hand over, image and cache together. */
    readonly build: number;
    /** Bytes that what is not released may take of the module's repository. */
    readonly unreleased: number;
  };
  /** Bytes that the image may fill where it is unpacked. */
  readonly imageBytes: number;
  readonly say: (line: string) => void;
}

/** Digests of what a build handed over, as the gate computed them. */
export interface Published {
  /** The image. */
  readonly digest: string;
  /** What it leaves for the next builds; absent where it left nothing. */
  readonly cache?: string;
}

export interface Gate {
  readonly port: number;
  /** Settles when the registry has answered; what a build asks before, waits. */
  readonly ready: Promise<void>;
  /**
   * @throws Failure (exit 10) where the registry lost what the build handed over, or did not take it: building again mends that;
   *   (exit 1) where it is no image that may run, or there is no room for it among what is not released
   */
  publish(): Promise<Published>;
  /** What ended the build: the fault that it ended with, unless the registry failed it before. */
  blame(ended: unknown): unknown;
  close(): Promise<void>;
}

class Refused extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

const digestOf = (bytes: Buffer): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

interface Received extends Manifest {
  readonly built: Built;
}

type Parts = Exclude<Built, { readonly kind: 'index' }>;

/**
 * The one way out of a build: as much of the distribution API (v2) as BuildKit needs to hand over one image of one
 * module and its cache, and to read that module's cache. All of it stays here until the build has ended and it has been
 * looked at: what ends otherwise leaves nothing in the registry. Nothing else of the registry can be seen.
 * Source of what BuildKit asks: containerd 2.4, core/remotes/docker/pusher.go.
 */
class BuildGate {
  private readonly received = new Map<string, Received>();
  private readonly tags = new Map<string, string>();
  /** What this build may name and read: what it sent, and what the module's cache holds. */
  private readonly blobs = new Map<string, number>();
  /** What this build sent, each in a file by its digest. */
  private readonly sent = new Map<string, number>();
  private readonly uploads = new Set<string>();
  private cache: (Manifest & { readonly digest: string }) | undefined;
  private bytes = 0;
  private counter = 0;
  /** The first thing that the registry did not do for this build. */
  private failed: string | undefined;
  readonly ready: Promise<void>;

  constructor(private readonly options: GateOptions) {
    this.ready = this.open();
    // Whoever waits for it hears of it.
    this.ready.catch(() => undefined);
  }

  /** Learns what the module's cache holds. */
  private async open(): Promise<void> {
    const { registry, repository } = this.options;
    await registry.waitForLogin();
    const found = await registry.resolve(repository, CACHE_TAG);
    if (!found) return;
    const built = readManifest(found.mediaType, found.bytes);
    // Another kind of cache, from before, is no reason not to build.
    if ('fault' in built || built.kind !== 'cache') return;
    this.cache = found;
    for (const { digest, size } of built.blobs) this.blobs.set(digest, size);
  }

  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.authenticate(request, response);
    const { pathname, searchParams } = new URL(request.url ?? '', 'http://gate');
    if (pathname === '/v2/') {
      response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
      return;
    }
    const below = `/v2/${this.options.repository}/`;
    if (!pathname.startsWith(below)) {
      throw new Refused(403, 'DENIED', `a build of ${this.options.repository} reaches no other repository`);
    }
    const [kind = '', ...rest] = pathname.slice(below.length).split('/');
    const name = rest.join('/');
    const method = request.method ?? '';
    await this.ready;
    if (kind === 'manifests' && (method === 'GET' || method === 'HEAD')) {
      this.sendManifest(name, method, response);
    } else if (kind === 'manifests' && method === 'PUT') {
      await this.takeManifest(name, request, response);
    } else if (kind === 'blobs' && DIGEST.test(name) && (method === 'GET' || method === 'HEAD')) {
      await this.sendBlob(name, method, response);
    } else if (kind === 'blobs' && name === 'uploads/' && method === 'POST') {
      this.beginUpload(response);
    } else if (kind === 'blobs' && name.startsWith('uploads/') && method === 'PUT') {
      await this.takeBlob(name.slice('uploads/'.length), searchParams.get('digest') ?? '', request, response);
    } else {
      throw new Refused(405, 'UNSUPPORTED', `${method} ${pathname} is nothing that a build needs`);
    }
  }

  private authenticate(request: IncomingMessage, response: ServerResponse): void {
    const hash = (text: string): Buffer => createHash('sha256').update(text).digest();
    const wanted = `Basic ${Buffer.from(`${GATE_USER}:${this.options.token}`).toString('base64')}`;
    if (timingSafeEqual(hash(request.headers.authorization ?? ''), hash(wanted))) return;
    response.setHeader('www-authenticate', 'Basic realm="build"');
    throw new Refused(401, 'UNAUTHORIZED', 'the password of this build is needed');
  }

  private sendManifest(reference: string, method: string, response: ServerResponse): void {
    const digest = this.tags.get(reference) ?? reference;
    const cached = reference === CACHE_TAG || reference === this.cache?.digest ? this.cache : undefined;
    const found = this.received.get(digest) ?? cached;
    if (!found) throw new Refused(404, 'MANIFEST_UNKNOWN', `there is no ${reference}`);
    response.writeHead(200, {
      'content-type': found.mediaType,
      'content-length': found.bytes.length,
      'docker-content-digest': digestOf(found.bytes),
    });
    response.end(method === 'HEAD' ? undefined : found.bytes);
  }

  private async takeManifest(
    reference: string,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    const mediaType = (request.headers['content-type'] ?? '').split(';')[0]?.trim() ?? '';
    const chunks: Buffer[] = [];
    let size = 0;
    for await (const chunk of request as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > MANIFEST_BYTES) throw new Refused(413, 'SIZE_INVALID', 'this manifest is too large');
      chunks.push(chunk);
    }
    const bytes = Buffer.concat(chunks);
    const digest = digestOf(bytes);
    const { imageTag } = this.options;
    const known = [imageTag, cacheTag(imageTag), digest];
    if (!known.includes(reference)) {
      throw new Refused(403, 'DENIED', `a build pushes ${imageTag} and ${cacheTag(imageTag)} only`);
    }
    const built = readManifest(mediaType, bytes);
    if ('fault' in built) throw new Refused(400, 'MANIFEST_INVALID', `${digest} ${built.fault}`);
    const parts = built.kind === 'index' ? [...built.images, ...built.statements] : built.blobs;
    const missing = parts.find((part) => this.sizeOf(built.kind, part.digest) !== part.size);
    if (missing) {
      throw new Refused(404, 'MANIFEST_BLOB_UNKNOWN', `${digest} names ${missing.digest}, which is not here`);
    }
    if (this.received.size >= MOST_MANIFESTS) throw new Refused(429, 'TOOMANYREQUESTS', 'too many manifests');
    this.received.set(digest, { mediaType, bytes, built });
    if (reference !== digest) this.tags.set(reference, digest);
    response.writeHead(201, { 'docker-content-digest': digest, location: request.url ?? '' }).end();
  }

  /** Bytes of a part that this build may name. */
  private sizeOf(kind: Built['kind'], digest: string): number | undefined {
    return kind === 'index' ? this.received.get(digest)?.bytes.length : this.blobs.get(digest);
  }

  private async sendBlob(digest: string, method: string, response: ServerResponse): Promise<void> {
    const { registry, repository } = this.options;
    const size = this.blobs.get(digest);
    // What else lies in the repository is another build's: that it is there is no business of this one.
    if (size === undefined) throw new Refused(404, 'BLOB_UNKNOWN', `there is no ${digest}`);
    const sent = this.sent.has(digest);
    if (method === 'HEAD' && !sent && !(await registry.hasBlob(repository, digest))) {
      throw new Refused(404, 'BLOB_UNKNOWN', `${digest} is gone`);
    }
    const headers = {
      'content-type': 'application/octet-stream',
      'content-length': size,
      'docker-content-digest': digest,
    };
    if (method === 'HEAD') {
      response.writeHead(200, headers).end();
      return;
    }
    const body = sent
      ? createReadStream(this.fileOf(digest))
      : Readable.fromWeb(await registry.blob(repository, digest));
    response.writeHead(200, headers);
    await pipeline(body, response);
  }

  /** Without a look at `mount` and `from`: no other repository's blob comes in here. */
  private beginUpload(response: ServerResponse): void {
    if (this.counter >= MOST_UPLOADS) throw new Refused(429, 'TOOMANYREQUESTS', 'too many uploads');
    const id = String(++this.counter);
    this.uploads.add(id);
    const location = `/v2/${this.options.repository}/blobs/uploads/${id}`;
    response.writeHead(202, { location, 'docker-upload-uuid': id, range: '0-0' }).end();
  }

  private async takeBlob(
    id: string,
    digest: string,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    const { most } = this.options;
    if (!this.uploads.delete(id)) throw new Refused(404, 'BLOB_UPLOAD_UNKNOWN', 'nobody began this upload');
    if (!DIGEST.test(digest)) throw new Refused(400, 'DIGEST_INVALID', 'name the digest of the blob');
    const length = request.headers['content-length'] ?? '';
    if (!/^\d{1,15}$/.test(length)) throw new Refused(411, 'SIZE_INVALID', 'say how long the blob is');
    const size = Number(length);
    if (this.bytes + size > most.build) {
      const why = `this build hands over more than ${gibibytes(most.build, 1)} (registry.builds.each)`;
      this.options.say(`gate: ${why}`);
      throw new Refused(413, 'SIZE_INVALID', why);
    }
    this.bytes += size;
    try {
      await this.keep(id, digest, request);
      this.sent.set(digest, size);
    } catch (error) {
      this.bytes -= size;
      throw error;
    }
    this.blobs.set(digest, size);
    response.writeHead(201, { 'docker-content-digest': digest, location: request.url ?? '' }).end();
  }

  private readonly fileOf = (name: string): string => join(this.options.folder, name.replace(':', '-'));

  /** Writes what comes into a file, and proves that it is what it says. */
  private async keep(id: string, digest: string, request: IncomingMessage): Promise<void> {
    const file = this.fileOf(`upload-${id}`);
    const hash = createHash('sha256');
    try {
      await pipeline(
        request,
        async function* (chunks: AsyncIterable<Buffer>) {
          for await (const chunk of chunks) {
            hash.update(chunk);
            yield chunk;
          }
        },
        createWriteStream(file),
      );
      if (`sha256:${hash.digest('hex')}` !== digest) {
        throw new Refused(400, 'DIGEST_INVALID', `what came is not ${digest}`);
      }
      // The same twice takes its place once.
      this.bytes -= this.sent.get(digest) ?? 0;
      renameSync(file, this.fileOf(digest));
    } catch (error) {
      rmSync(file, { force: true });
      throw error;
    }
  }

  /** Blobs of manifests that came, or of an index of them, that this build sent. */
  private sentFor(digest: string): string[] {
    const built = this.received.get(digest)?.built;
    if (!built) return [];
    if (built.kind === 'index') {
      return [...built.images, ...built.statements].flatMap((inner) => this.sentFor(inner.digest));
    }
    return built.blobs.map((blob) => blob.digest).filter((blob) => this.sent.has(blob));
  }

  /** Gives the registry the blobs that these manifests name and it has not, where there is room for them. */
  private async putBlobs(manifests: readonly string[]): Promise<void> {
    const { registry, repository, most } = this.options;
    const unreleased = await unreleasedBlobs(registry, repository);
    const missing: string[] = [];
    for (const digest of new Set(manifests.flatMap((manifest) => this.sentFor(manifest)))) {
      if (unreleased.has(digest) || (await registry.hasBlob(repository, digest))) continue;
      missing.push(digest);
      unreleased.set(digest, this.sent.get(digest) ?? 0);
    }
    const bytes = [...unreleased.values()].reduce((sum, size) => sum + size, 0);
    if (missing.length > 0 && bytes > most.unreleased) {
      throw new Failure(
        exitCode.red,
        `registry: with this build the merge requests of ${repository} would keep ${gibibytes(bytes, 1)}, and they may keep ${gibibytes(most.unreleased, 1)} (registry.builds.unreleased).`,
        'What ended leaves it after registry.retention.days: raise the one or lower the other. Tags of merge requests may be deleted by hand.',
      );
    }
    for (const digest of missing) {
      await registry.putFile(repository, digest, this.sent.get(digest) ?? 0, this.fileOf(digest));
    }
  }

  private async put(digest: string, reference = digest): Promise<void> {
    const found = this.received.get(digest);
    if (found) await this.options.registry.putManifest(this.options.repository, reference, found);
  }

  /** Gives a tag to what came; a build before this one may have had it. */
  private async move(tag: string, digest: string): Promise<void> {
    const { registry, repository } = this.options;
    const before = await registry.resolve(repository, tag);
    if (before && before.digest !== digest)
      await registry.putManifest(repository, replacedTag(tag, before.digest), before);
    await this.put(digest, tag);
  }

  /** Notes what the registry did not do. */
  note(fault: string): void {
    this.failed ??= fault;
  }

  blame(ended: unknown): unknown {
    if (this.failed === undefined) return ended;
    return new Failure(
      exitCode.lost,
      `the image build failed, and before it the registry (${this.failed}).`,
      'Build it again.',
    );
  }

  /** Looks at what came, and gives it to the registry under its tags. */
  async publish(): Promise<Published> {
    const { imageTag, repository, say } = this.options;
    const digest = this.tags.get(imageTag);
    const image = digest === undefined ? undefined : this.received.get(digest);
    if (!digest || !image) {
      throw new Failure(exitCode.red, 'the build handed over no image.', 'See its output above.');
    }
    const why = this.whyNoImage(image.built);
    if (why) throw new Failure(exitCode.red, `the build handed over ${digest}, which ${why}.`);
    for (const one of this.imagesOf(image.built)) await this.look(one);
    const made = this.tags.get(cacheTag(imageTag));
    const cache = made && this.received.get(made)?.built.kind === 'cache' ? made : undefined;
    await this.putBlobs([digest, ...(cache ? [cache] : [])]);
    if (image.built.kind === 'index') {
      for (const part of [...image.built.images, ...image.built.statements]) await this.put(part.digest);
    }
    await this.move(imageTag, digest);
    if (cache) await this.move(cacheTag(imageTag), cache);
    say(`published ${repository}@${digest}`);
    return { digest, ...(cache ? { cache } : {}) };
  }

  private imagesOf(built: Built): readonly Parts[] {
    if (built.kind !== 'index') return [built];
    return built.images.flatMap(({ digest }) => {
      const found = this.received.get(digest)?.built;
      return found && found.kind !== 'index' ? [found] : [];
    });
  }

  /**
   * Looks into an image, whoever made its parts: what came from the cache is looked at as well.
   * @throws Failure (exit 1) where no node should have it
   */
  private async look({ blobs: [config, ...layers] }: Parts): Promise<void> {
    const refuse = (what: string, remedy = ''): Failure =>
      new Failure(exitCode.red, `the build handed over an image that ${what}.`, remedy);
    if (!config) return;
    if (config.size > CONFIG_BYTES) throw refuse(`has a configuration of ${config.size} bytes`);
    const chunks: Buffer[] = [];
    for await (const chunk of this.read(config)) chunks.push(chunk);
    const why = whyNoConfig(Buffer.concat(chunks), layers.length);
    if (why) throw refuse(why.what, why.remedy);
    const tally = new Tally(mostOf(this.options.imageBytes));
    for (const layer of layers) {
      try {
        await countLayer(this.read(layer), layer.mediaType, tally);
      } catch (error) {
        if (!(error instanceof LayerFault)) throw error;
        throw refuse(
          `has a layer ${layer.digest} that ${error.message}`,
          error instanceof Full
            ? 'Make it smaller; `jenkins.buildCache` of the stack is how much it may be.'
            : '',
        );
      }
    }
  }

  /** A blob's bytes: what this build sent is proved, the registry's is at its end. */
  private async *read({ digest, size }: Content): AsyncGenerator<Buffer> {
    const { registry, repository } = this.options;
    if (this.sent.has(digest)) {
      yield* createReadStream(this.fileOf(digest));
      return;
    }
    if (!(await registry.hasBlob(repository, digest))) {
      const what = `registry: ${digest} of ${repository} is gone.`;
      throw new Failure(exitCode.lost, what, 'Build it again.');
    }
    const body = await registry.blob(repository, digest);
    const hash = createHash('sha256');
    let read = 0;
    try {
      for await (const chunk of body) {
        read += chunk.length;
        hash.update(chunk);
        yield Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
      }
    } catch (error) {
      throw new RegistryAway(
        'the registry broke off',
        `registry: blob ${digest} of ${repository} broke off (${(error as Error).message}).`,
      );
    }
    if (read === size && `sha256:${hash.digest('hex')}` === digest) return;
    throw new Failure(exitCode.red, `registry: blob ${digest} of ${repository} is something else.`);
  }

  /** One image, or one with its attestations. */
  private whyNoImage(built: Built): string | undefined {
    if (built.kind === 'image') return undefined;
    if (built.kind !== 'index') return `is a ${built.kind}`;
    const kinds = (parts: readonly Content[]): (string | undefined)[] =>
      parts.map(({ digest }) => this.received.get(digest)?.built.kind);
    if (built.images.length !== 1 || kinds(built.images)[0] !== 'image') return 'is not one image';
    return kinds(built.statements).every((kind) => kind === 'statement')
      ? undefined
      : 'holds more than one image and its attestations';
  }
}

/** Opens the gate. @param port 0: any free one */
export async function openGate(options: GateOptions, port: number = GATE_PORT): Promise<Gate> {
  // What a gate left here that was killed.
  rmSync(options.folder, { recursive: true, force: true });
  mkdirSync(options.folder, { recursive: true });
  const gate = new BuildGate(options);
  const server: Server = createServer((request, response) => {
    gate.answer(request, response).catch((error: Error) => {
      const refused = error instanceof Refused;
      const fault = `${request.method} ${request.url}: ${error.message.split('\n')[0]}`;
      // What breaks off by itself, or is not what it says, tells nothing of the registry.
      if (error instanceof RegistryAway && !request.socket.destroyed) gate.note(fault);
      if (response.headersSent) {
        response.destroy();
        return;
      }
      if (!refused) options.say(`gate: ${fault}`);
      const code = refused ? error.code : 'UNKNOWN';
      const message = refused ? error.message : 'it could not be taken';
      // What is still to come of a refused body is not read.
      response.writeHead(refused ? error.status : 502, {
        'content-type': 'application/json',
        ...(request.complete ? {} : { connection: 'close' }),
      });
      response.end(JSON.stringify({ errors: [{ code, message }] }));
    });
  });
  server.maxConnections = 64;
  // A layer may take as long as the registry lets it.
  server.requestTimeout = 0;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, () => resolve());
  });
  const address = server.address();
  return {
    port: typeof address === 'object' && address ? address.port : port,
    ready: gate.ready,
    publish: () => gate.publish(),
    blame: (ended) => gate.blame(ended),
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }).then(() => rmSync(options.folder, { recursive: true, force: true })),
  };
}
