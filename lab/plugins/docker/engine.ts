import http from 'node:http';
import { BlockList, isIP } from 'node:net';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { BinaryReader } from 'google-protobuf';
import { isRecord, type Props } from '../shared/values';

/** API of Docker 20.10, the oldest engine that this speaks to; newer ones still take it. */
const API = '/v1.41';

const LAB_ADDRESSES = new BlockList();
LAB_ADDRESSES.addSubnet('127.0.0.0', 8);
LAB_ADDRESSES.addAddress('::1', 'ipv6');
LAB_ADDRESSES.addSubnet('198.18.0.0', 15);

/** Where the engine listens. */
export type EngineAddress = { socketPath: string } | { host: string; port: number };

/**
 * Reads `unix:///path` or `tcp://host:port`.
 * @throws when it is neither, or a host that is not this machine or the lab
 */
export function engineAddress(text: string): EngineAddress {
  if (text.startsWith('unix://')) return { socketPath: text.slice('unix://'.length) };
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== 'tcp:' || !url.port) {
    throw new Error(`docker provider: host "${text}" is not "unix:///path" or "tcp://host:port"`);
  }
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const family = isIP(host);
  if (host !== 'localhost' && !(family && LAB_ADDRESSES.check(host, family === 6 ? 'ipv6' : 'ipv4'))) {
    throw new Error(
      `docker provider: host ${url.host} is refused: this is the lab's own plug-in and speaks only to loopback or ` +
        '198.18.0.0/15. Install the official one: pulumi plugin install resource docker v5.2.0',
    );
  }
  return { host, port: Number(url.port) };
}

export interface RegistryAuth {
  username?: string;
  password?: string;
  serveraddress: string;
}

/** Credentials as the engine reads them: base64url with padding; without it older engines see no credentials at all. */
export function authHeader(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64').replaceAll('+', '-').replaceAll('/', '_');
}

/** One line of what a build or push says. */
export interface Progress {
  text?: string;
  /** Id of the built image. */
  imageId?: string;
  /** Digest that a push gave. */
  digest?: string;
}

/** The Docker Engine API, as far as building and pushing need it. */
export class Engine {
  constructor(
    private readonly address: EngineAddress,
    private readonly signal?: AbortSignal,
  ) {}

  async inspect(image: string): Promise<Props | undefined> {
    const response = await this.request('GET', `/images/${encodeURIComponent(image)}/json`);
    if (response.statusCode === 404) {
      response.resume();
      return undefined;
    }
    const body: unknown = JSON.parse(await textOf(await expectSuccess(response, `inspect ${image}`)));
    return isRecord(body) ? body : undefined;
  }

  /** `query` as the API documents it for POST /build. @throws with the builder's last lines when the build fails */
  async build(
    query: Record<string, string>,
    archive: Readable,
    auth: RegistryAuth | undefined,
    say: (line: string) => void,
  ): Promise<string> {
    const registries = auth
      ? { [auth.serveraddress]: { username: auth.username, password: auth.password } }
      : {};
    const response = await this.request('POST', `/build?${new URLSearchParams(query)}`, archive, {
      'Content-Type': 'application/x-tar',
      'X-Registry-Config': authHeader(registries),
    });
    let imageId: string | undefined;
    await follow(await expectSuccess(response, 'build'), 'The build failed', (progress) => {
      imageId = progress.imageId ?? imageId;
      for (const line of progress.text?.split('\n') ?? []) if (line.trim() !== '') say(line.trimEnd());
    });
    if (!imageId) throw new Error('docker: the build ended without an image id');
    return imageId;
  }

  /** Returns the digest in the registry. */
  async push(
    repository: string,
    tag: string,
    auth: RegistryAuth | undefined,
    say: (line: string) => void,
  ): Promise<string> {
    const response = await this.request(
      'POST',
      `/images/${repository}/push?${new URLSearchParams({ tag })}`,
      undefined,
      {
        'X-Registry-Auth': authHeader(auth ?? {}),
      },
    );
    let digest: string | undefined;
    const what = `The push of ${repository}:${tag} failed`;
    await follow(await expectSuccess(response, `push ${repository}:${tag}`), what, (progress) => {
      digest = progress.digest ?? digest;
      if (progress.text) say(progress.text);
    });
    if (!digest) throw new Error(`docker: the push of ${repository}:${tag} ended without a digest`);
    return digest;
  }

  private request(
    method: string,
    path: string,
    body?: Readable,
    headers: Record<string, string> = {},
  ): Promise<http.IncomingMessage> {
    return new Promise((resolve, reject) => {
      const request = http.request({
        ...this.address,
        method,
        path: `${API}${path}`,
        headers,
        signal: this.signal,
      });
      request.once('response', resolve);
      request.once('error', (error) => {
        const code = 'code' in error ? String(error.code) : error.message;
        const where =
          'socketPath' in this.address
            ? this.address.socketPath
            : `${this.address.host}:${this.address.port}`;
        reject(
          new Error(
            `docker: no answer from the engine at ${where} (${code}). Is it running? Set DOCKER_HOST`,
          ),
        );
      });
      if (!body) request.end();
      else {
        body.once('error', (error) => request.destroy(error));
        body.pipe(request);
      }
    });
  }
}

async function textOf(response: http.IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks).toString('utf8');
}

async function expectSuccess(response: http.IncomingMessage, what: string): Promise<http.IncomingMessage> {
  const status = response.statusCode ?? 0;
  if (status >= 200 && status < 300) return response;
  const text = await textOf(response);
  let message = text.trim();
  try {
    const body: unknown = JSON.parse(text);
    if (isRecord(body) && typeof body.message === 'string') message = body.message;
  } catch {
    // Not JSON: what it said is all there is.
  }
  throw new Error(`docker: ${what}: ${status} ${message}`);
}

/** Lines of a failed build that its error quotes. */
const QUOTED_LINES = 30;

async function follow(stream: Readable, what: string, each: (progress: Progress) => void): Promise<void> {
  const tail: string[] = [];
  let failure: string | undefined;
  for await (const line of createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY })) {
    if (line.trim() === '') continue;
    const event: unknown = JSON.parse(line);
    if (!isRecord(event)) continue;
    const detail = isRecord(event.errorDetail) ? event.errorDetail.message : event.error;
    if (typeof detail === 'string') failure = detail;
    const progress = progressOf(event);
    if (progress.text) tail.push(...progress.text.split('\n').filter((text) => text.trim() !== ''));
    tail.splice(0, Math.max(0, tail.length - QUOTED_LINES));
    each(progress);
  }
  if (failure !== undefined) throw new Error(`${what}: ${[failure, ...tail].join('\n  ')}`);
}

function progressOf(event: Props): Progress {
  if (event.id === 'moby.buildkit.trace' && typeof event.aux === 'string')
    return { text: buildkitLogs(event.aux) };
  if (isRecord(event.aux)) {
    const { ID: imageId, Digest: digest } = event.aux;
    return {
      imageId: typeof imageId === 'string' ? imageId : undefined,
      digest: typeof digest === 'string' ? digest : undefined,
    };
  }
  return { text: typeof event.stream === 'string' ? event.stream : undefined };
}

/** What the steps of a BuildKit build wrote: `StatusResponse.logs[].msg` (moby/buildkit api/services/control). */
export function buildkitLogs(aux: string): string {
  const reader = new BinaryReader(new Uint8Array(Buffer.from(aux, 'base64')));
  const parts: string[] = [];
  while (reader.nextField()) {
    if (reader.isEndGroup()) break;
    if (reader.getFieldNumber() !== 3) {
      reader.skipField();
      continue;
    }
    const log = new BinaryReader(reader.readBytes());
    while (log.nextField()) {
      if (log.getFieldNumber() === 4) parts.push(Buffer.from(log.readBytes()).toString('utf8'));
      else log.skipField();
    }
  }
  return parts.join('');
}
