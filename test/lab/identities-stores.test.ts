import { execFile } from 'node:child_process';
import { createHash, createHmac } from 'node:crypto';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { promisify } from 'node:util';
import { type AskStore, answerOf, type Keys, storeKeys, storeRequest, tryStore } from './e2e/store-request';

// How the lab's suite `identities` asks the stores, and what it makes of what comes of it.

const OWN: Keys = ['own', 'own-key'];
const THEIRS: Keys = ['theirs', 'their-key'];
const VERBS = ['LIST', 'GET', 'PUT', 'DELETE'] as const;

/** A store of one object, which lets a login do what it is asked about. */
function store(mayDo: (id: string, verb: string) => boolean, lies: { status?: number; does?: boolean } = {}) {
  let object: string | undefined;
  const asked: string[] = [];
  const ask: AskStore = (verb, [id], body) => {
    asked.push(`${id} ${verb}`);
    const may = mayDo(id, verb);
    const lying = id !== 'own';
    if (may || (lying && lies.does)) {
      if (verb === 'PUT') object = body;
      if (verb === 'DELETE') object = undefined;
    }
    if (lying && lies.status) return { status: lies.status, body: '' };
    if (!may) return { status: 403, body: '<Error><Code>AccessDenied</Code></Error>' };
    if (verb === 'LIST') return { status: 200, body: '<ListBucketResult></ListBucketResult>' };
    if (verb === 'GET')
      return object === undefined ? { status: 404, body: '' } : { status: 200, body: object };
    return { status: verb === 'DELETE' ? 204 : 200, body: '' };
  };
  return { ask, asked };
}
const outcomes = (ask: AskStore) => VERBS.map((verb) => tryStore(ask, OWN, THEIRS, `${verb} state`));

test('who may everything may each, upon an object that is there', () => {
  const { ask, asked } = store(() => true);
  expect(outcomes(ask)).toEqual(['may', 'may', 'may', 'may']);
  expect(asked).toEqual(VERBS.flatMap((verb) => ['own PUT', `theirs ${verb}`, 'own GET']));
});

test('who may nothing is refused each', () => {
  expect(outcomes(store((id) => id === 'own').ask)).toEqual(Array(4).fill('may not'));
});

test('who only reads is told apart from who writes', () => {
  expect(outcomes(store((id, verb) => id === 'own' || ['LIST', 'GET'].includes(verb)).ask)).toEqual([
    'may',
    'may',
    'may not',
    'may not',
  ]);
});

test('a refusal that did it all the same is none, nor is a success that did nothing', () => {
  const own = (id: string) => id === 'own';
  expect(outcomes(store(own, { status: 403, does: true }).ask)).toEqual(['may not', 'may not', 403, 403]);
  expect(outcomes(store(own, { status: 200 }).ask)).toEqual([200, 200, 200, 200]);
  expect(outcomes(store(own, { status: 404 }).ask)).toEqual([404, 404, 404, 404]);
});

test('versitygw has its own word for a login that it does not know; any other 404 is no refusal', () => {
  const unknown = (code: string): AskStore => {
    const { ask } = store(() => true);
    return (verb, keys, body) =>
      keys === OWN ? ask(verb, keys, body) : { status: 404, body: `<Error><Code>${code}</Code></Error>` };
  };
  expect(outcomes(unknown('XAdminUserNotFound'))).toEqual(Array(4).fill('may not'));
  expect(outcomes(unknown('NoSuchKey'))).toEqual(Array(4).fill(404));
});

test('a store that does not even take its own login’s object is told', () => {
  expect(() => outcomes(store(() => false).ask)).toThrow('the store takes no object: 403');
});

test('an identity without a login of a store asks with what it has for the other one', () => {
  const state = { AWS_ACCESS_KEY_ID: 'a', AWS_SECRET_ACCESS_KEY: 'b' };
  const backups = { BACKUP_ACCESS_KEY: 'c', BACKUP_SECRET_KEY: 'd' };
  expect(storeKeys({ ...state, ...backups }, 'state')).toEqual(['a', 'b']);
  expect(storeKeys({ ...state, ...backups }, 'backups')).toEqual(['c', 'd']);
  expect(storeKeys(state, 'backups')).toEqual(['a', 'b']);
  expect(storeKeys(backups, 'state')).toEqual(['c', 'd']);
  expect(() => storeKeys({ RESTIC_PASSWORD: 'x' }, 'state')).toThrow('holds no login of a store');
});

describe('as curl sends it', () => {
  interface Sent {
    readonly method?: string;
    readonly url?: string;
    readonly headers: http.IncomingHttpHeaders;
    readonly body: string;
  }
  const got: Sent[] = [];
  const server = http.createServer((request, response) => {
    let body = '';
    request.on('data', (chunk) => {
      body += chunk;
    });
    request.on('end', () => {
      got.push({ method: request.method, url: request.url, headers: request.headers, body });
      response.writeHead(200).end('two\nlines');
    });
  });
  beforeAll(() => new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve)));
  afterAll(() => {
    server.close();
  });

  /** By the signature's own description: https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html. */
  function signature({ method, url = '', headers }: Sent, secret: string): string {
    const [, scope = '', signed = ''] =
      /Credential=[^/]+\/([^,]+), ?SignedHeaders=([^,]+)/.exec(headers.authorization ?? '') ?? [];
    const [path = '', query = ''] = url.split('?');
    const lines = signed.split(';').map((name) => `${name}:${headers[name]}\n`);
    const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
    const canonical = [method, path, query, lines.join(''), signed, headers['x-amz-content-sha256']].join(
      '\n',
    );
    const text = ['AWS4-HMAC-SHA256', headers['x-amz-date'], scope, sha256(canonical)].join('\n');
    const key = scope
      .split('/')
      .reduce<Buffer>(
        (by, part) => createHmac('sha256', by).update(part).digest(),
        Buffer.from(`AWS4${secret}`),
      );
    return createHmac('sha256', key).update(text).digest('hex');
  }

  test.each([
    ['LIST', 'GET', '/bucket?list-type=2&max-keys=1', ''],
    ['GET', 'GET', '/bucket/identities-absent', ''],
    ['PUT', 'PUT', '/bucket/identities-absent', 'some text'],
    ['DELETE', 'DELETE', '/bucket/identities-absent', ''],
  ])('"%s" is %s %s, signed for what it holds', async (verb, method, url, body) => {
    const bucket = `http://127.0.0.1:${(server.address() as AddressInfo).port}/bucket`;
    const { args, input } = storeRequest(verb, bucket, ['an-id', 'a-secret'], body || undefined);
    expect(args.join(' ')).not.toContain('a-secret');
    const child = promisify(execFile)('curl', [...args], { encoding: 'utf8' });
    child.child.stdin?.end(input);
    expect(answerOf((await child).stdout)).toEqual({ status: 200, body: 'two\nlines' });
    const sent = got.at(-1) as Sent;
    expect([sent.method, sent.url, sent.body]).toEqual([method, url, body]);
    expect(sent.headers['x-amz-content-sha256']).toBe(createHash('sha256').update(body).digest('hex'));
    expect(/Signature=([0-9a-f]{64})$/.exec(sent.headers.authorization ?? '')?.[1]).toBe(
      signature(sent, 'a-secret'),
    );
  });
});
