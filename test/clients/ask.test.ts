import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { ask, askText, TooLarge, Unanswered } from '../../clients/ask';

let server: Server;
let url: string;
let asked: string[];
let answer: (request: IncomingMessage, response: ServerResponse, count: number) => void;

beforeAll(async () => {
  server = createServer((request, response) => {
    asked.push(request.method ?? '');
    answer(request, response, asked.length);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
});
beforeEach(() => {
  asked = [];
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

const policy = { attempts: 3, baseMs: 1, capMs: 1 };
const after = (times: number, then: (response: ServerResponse) => void): void => {
  answer = (_request, response, count) => {
    if (count > times) response.end('whole');
    else then(response);
  };
};

test.each<[string, (response: ServerResponse) => void]>([
  ['an answer that passes', (response) => response.writeHead(503).end('away')],
  ['a cut before the answer', (response) => response.socket?.destroy()],
  [
    'a cut in the middle of the body',
    (response) => {
      response.writeHead(200, { 'content-length': '99' }).write('half');
      setTimeout(() => response.socket?.destroy(), 5);
    },
  ],
])('%s is asked again', async (_what, then) => {
  after(2, then);
  const { response, body } = await askText(url, {}, { policy });
  expect([response.status, body, asked.length]).toEqual([200, 'whole', 3]);
});

test('what changes something is sent once, unless it was one of too many', async () => {
  after(1, (response) => response.writeHead(502).end());
  const once = await askText(url, { method: 'POST', body: '{}' }, { policy });
  expect([once.response.status, once.body, asked]).toEqual([502, '', ['POST']]);
  asked = [];
  after(1, (response) => response.writeHead(429, { 'retry-after': '0' }).end());
  expect((await askText(url, { method: 'POST', body: '{}' }, { policy })).response.status).toBe(200);
  expect(asked).toEqual(['POST', 'POST']);
  asked = [];
  after(1, (response) => response.writeHead(502).end());
  const body = new Response('stream').body;
  const init: RequestInit & { duplex: 'half' } = { method: 'PUT', body, duplex: 'half' };
  expect((await askText(url, init, { policy })).response.status).toBe(502);
  expect(asked).toEqual(['PUT']);
});

test('an answer that says no is an answer', async () => {
  answer = (_request, response) => response.writeHead(404).end('none');
  const { response, body } = await askText(url, {}, { policy });
  expect([response.status, body, asked.length]).toEqual([404, 'none', 1]);
});

test('an answer that the caller says a later try may mend is asked again, and the last one is the answer', async () => {
  after(1, (response) => response.writeHead(409).end('met another'));
  const how = { repeatable: true, mendable: [409], policy };
  expect((await askText(url, { method: 'POST', body: '{}' }, how)).body).toBe('whole');
  after(9, (response) => response.writeHead(409).end('met another'));
  asked = [];
  const { response, body } = await askText(url, { method: 'POST', body: '{}' }, how);
  expect([response.status, body, asked.length]).toEqual([409, 'met another', 3]);
});

test.each([200, 503])(
  'an answer of %d that is larger than any that is read is a fault, and not asked for again',
  async (status) => {
    answer = (_request, response) => response.writeHead(status).end('x'.repeat(1001));
    await expect(askText(url, {}, { most: 1000, policy })).rejects.toThrow(TooLarge);
    expect(asked).toHaveLength(1);
    answer = (_request, response) => response.end('é'.repeat(500));
    expect((await askText(url, {}, { most: 1000, policy })).body).toBe('é'.repeat(500));
  },
);

test('a server that says nothing, and a body that never ends, are given up', async () => {
  answer = () => undefined;
  const patience = { attempts: 2, baseMs: 1, attemptMs: 60 };
  await expect(askText(url, {}, { policy: patience })).rejects.toThrow(Unanswered);
  answer = (_request, response) => response.writeHead(200, { 'content-length': '99' }).write('half');
  await expect(ask(url, {}, (response) => response.text(), { policy: patience })).rejects.toThrow(/time/i);
});

describe('an answer that sends on', () => {
  let elsewhere: Server;
  let heard: IncomingMessage['headers'][];
  let other: string;
  const token = { 'private-token': 'secret-1', authorization: 'Bearer secret-2' };

  beforeAll(async () => {
    elsewhere = createServer((request, response) => {
      heard.push(request.headers);
      response.end('[{"id":1}]');
    });
    await new Promise<void>((resolve) => elsewhere.listen(0, '127.0.0.1', resolve));
    other = `http://127.0.0.1:${(elsewhere.address() as AddressInfo).port}/`;
  });
  beforeEach(() => {
    heard = [];
  });
  afterAll(() => {
    elsewhere.closeAllConnections();
    elsewhere.close();
  });

  const sendOn = (to: string, status = 302): void => {
    answer = (request, response) => {
      if (request.url === '/new') response.end('new');
      else response.writeHead(status, { location: to }).end();
    };
  };

  test.each([301, 302, 303, 307, 308])(
    'to another server by %d is a fault, which gets neither our tokens nor a say',
    async (status) => {
      sendOn(other, status);
      for (const method of ['GET', 'PUT'])
        await expect(askText(url, { method, headers: token }, { policy })).rejects.toThrow(
          `it sends on to ${new URL(other).origin}, where nobody asks`,
        );
      expect(heard).toEqual([]);
      expect(asked).toEqual(['GET', 'PUT']);
    },
  );

  test('within the server is followed where it is read only, as GitLab does it for what was renamed', async () => {
    sendOn('/new');
    expect((await askText(url, { headers: token }, { policy })).body).toBe('new');
    await expect(askText(url, { method: 'POST', headers: token }, { policy })).rejects.toThrow('sends on');
    sendOn('/again');
    await expect(askText(url, {}, { policy })).rejects.toThrow('sends on and on');
    sendOn('http://[');
    await expect(askText(url, {}, { policy })).rejects.toThrow('sends on to nowhere');
  });

  test('to another server is followed where the caller says so, without the login', async () => {
    sendOn(other);
    const { authorization } = token;
    const init: RequestInit = { headers: { authorization }, redirect: 'follow' };
    expect((await askText(url, init, { policy })).body).toBe('[{"id":1}]');
    expect(heard.map((headers) => headers.authorization)).toEqual([undefined]);
  });
});
