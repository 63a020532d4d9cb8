import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { metricsText, pushBackup, pushDrift, type Sample } from '../../clients/pushgateway';

const drifted = (value: number): Sample => ({
  name: 'switchyard_drift_resources',
  labels: { box: 'gitlab', environment: 'a/b' },
  value,
});

interface Received {
  readonly method: string;
  readonly path: string;
  readonly body: string;
}

async function withGateway(
  status: number,
  run: (url: string, received: Received[]) => Promise<void>,
): Promise<void> {
  const received: Received[] = [];
  const server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (chunk: string) => {
      body += chunk;
    });
    request.on('end', () => {
      received.push({ method: request.method ?? '', path: request.url ?? '', body });
      response.writeHead(status).end('no such thing');
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve());
  });
  try {
    await run(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`, received);
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
}

test('metrics are text that Prometheus reads, the same whatever the order of the samples', () => {
  const samples: Sample[] = [
    { name: 'switchyard_backup_failed', labels: { kind: 'state', environment: 'a"b\\c' }, value: 0 },
    { name: 'other', labels: { x: '1' }, value: 1.5 },
  ];
  const text = [
    '# TYPE other gauge',
    'other{x="1"} 1.5',
    '# HELP switchyard_backup_failed Whether the last backup of a kind failed: 1 or 0.',
    '# TYPE switchyard_backup_failed gauge',
    'switchyard_backup_failed{environment="a\\"b\\\\c",kind="state"} 0',
    '',
  ].join('\n');
  expect(metricsText(samples)).toBe(text);
  expect(metricsText([...samples].reverse())).toBe(text);
});

test('a success sends its time; a failure keeps the time of the last success', () =>
  withGateway(200, async (url, received) => {
    await pushBackup(
      {
        url,
        environment: 'test',
        kinds: [
          { kind: 'registry', failed: false, at: 1_790_000_000 },
          { kind: 'databases', failed: true, at: 1_790_000_000 },
          { kind: 'repositories', failed: false },
        ],
      },
      () => {
        throw new Error('nothing is to be said');
      },
    );
    expect(received.map(({ method, path }) => `${method} ${path}`)).toEqual([
      'POST /metrics/job/switchyard-backup/environment/test/kind/registry',
      'POST /metrics/job/switchyard-backup/environment/test/kind/databases',
      'POST /metrics/job/switchyard-backup/environment/test/kind/repositories',
    ]);
    const line = /^switchyard_backup_last_success_timestamp_seconds\{.*\} (\d+)$/m;
    expect(line.exec(received[0]?.body ?? '')?.[1]).toBe('1790000000');
    expect(received[0]?.body).toMatch(/^switchyard_backup_failed\{.*\} 0$/m);
    expect(received[1]?.body).toMatch(/^switchyard_backup_failed\{.*\} 1$/m);
    expect(received[1]?.body).not.toMatch(line);
    expect(received[2]?.body).not.toMatch(line);
  }));

test('a slash in a label of the group goes in base64', () =>
  withGateway(202, async (url, received) => {
    await pushDrift({ url, environment: 'a/b', samples: [drifted(2)] }, () => undefined);
    expect(received[0]?.path).toBe('/metrics/job/switchyard-drift/environment@base64/YS9i');
    expect(received[0]?.body).toContain('switchyard_drift_resources{box="gitlab",environment="a/b"} 2\n');
  }));

test('a gateway that refuses or is not there is said in one line, and fails nothing', async () => {
  const said: string[] = [];
  await withGateway(500, (url) =>
    pushDrift({ url, environment: 'test', samples: [drifted(1)] }, (line) => said.push(line)),
  );
  await pushDrift({ url: 'http://127.0.0.1:1', environment: 'test', samples: [drifted(1)] }, (line) =>
    said.push(line),
  );
  expect(said).toEqual([
    expect.stringMatching(
      /^metrics: .* did not take them \(HTTP 500 no such thing\); nothing else depends on it$/,
    ),
    expect.stringMatching(
      /^metrics: http:\/\/127.0.0.1:1 did not take them \(.*\); nothing else depends on it$/,
    ),
  ]);
});

test('without a gateway nothing is sent and nothing is said', async () => {
  const said: string[] = [];
  await pushBackup(
    { url: undefined, environment: 'test', kinds: [{ kind: 'state', failed: true }] },
    (line) => said.push(line),
  );
  expect(said).toEqual([]);
});
