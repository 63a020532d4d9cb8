import { spawn } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, type TLSSocket } from 'node:tls';
import { proxyConfig } from '../../components/registry/config';
import type { RegistrySpec } from '../../components/registry/registry';
import { certificateOf } from '../../components/shared/certificate';
import { registrySpec } from '../../components/specs';
import { freePort } from '../support/port';
import { modelWith } from '../support/workloads';

// Against Debian's real nginx, with the proxy's own configuration: only its folders and ports are those of a test.

const HOST = 'r.test';
function specWith(more: string): RegistrySpec {
  const spec = registrySpec(
    modelWith({ stack: `  switchyard:registry: { address: ${HOST}, tlsSecret: registry-tls${more} }\n` }),
  );
  if ('existing' in spec) throw new Error('the registry is ours');
  return spec;
}

/** What nginx says: a pipe of Node's is a socket, which cannot be opened by a name. */
const errors = (folder: string): string => join(folder, 'errors');

/** The configuration in a folder, and where it listens. */
async function written(folder: string, text: string, inner: number): Promise<number> {
  const port = await freePort();
  let config = text;
  for (const [of, by] of [
    [' /tmp/', ` ${folder}/`],
    ['listen 5000 ssl;', `listen 127.0.0.1:${port} ssl;`],
    ['default /tls;', `default ${folder}/tls;`],
    [' /auth/', ` ${folder}/`],
    [' /dev/stderr ', ` ${errors(folder)} `],
    ['127.0.0.1:5001', `127.0.0.1:${inner}`],
  ] as const) {
    expect(config).toContain(of);
    config = config.replaceAll(of, by);
  }
  writeFileSync(join(folder, 'nginx.conf'), config);
  return port;
}

/** Brings a Secret's files as the kubelet does: into a folder of their own, which one link then names instead. */
function mount(folder: string, version: string): string {
  const { key, cert } = certificateOf(version.repeat(32), HOST);
  const own = `..${version}`;
  mkdirSync(join(folder, own));
  writeFileSync(join(folder, own, 'tls.crt'), cert);
  writeFileSync(join(folder, own, 'tls.key'), key);
  symlinkSync(own, join(folder, '..data_tmp'));
  renameSync(join(folder, '..data_tmp'), join(folder, '..data'));
  return new X509Certificate(cert).serialNumber;
}

async function open(port: number, servername?: string): Promise<TLSSocket> {
  const socket = connect({ host: '127.0.0.1', port, servername, rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  return socket;
}

/** Number of the certificate that a new connection is shown; without a name the client sends none. */
async function served(port: number, servername?: string): Promise<string> {
  const socket = await open(port, servername);
  const { serialNumber } = socket.getPeerCertificate();
  socket.destroy();
  return serialNumber;
}

/** One request on a connection that stays. */
async function ask(socket: TLSSocket): Promise<string> {
  socket.write(`GET /healthz HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`);
  const [answer] = (await once(socket, 'data')) as [Buffer];
  return answer.toString().split('\r\n')[0] ?? '';
}

test.each([
  ['separate', ''],
  ['shared', ', access: shared'],
])(
  'with access %s a renewed certificate is shown to the next connection, by the same processes; those under way go on',
  async (_access, more) => {
    const folder = mkdtempSync(join(tmpdir(), 'switchyard-registry-certificate-'));
    const tls = join(folder, 'tls');
    mkdirSync(tls);
    const first = mount(tls, 'ab');
    for (const file of ['tls.crt', 'tls.key']) symlinkSync(join('..data', file), join(tls, file));
    const registry = createServer((_, response) => response.end('{}'));
    await new Promise<void>((resolve) => registry.listen(0, '127.0.0.1', resolve));
    const inner = (registry.address() as AddressInfo).port;
    const port = await written(folder, proxyConfig(specWith(more)), inner);
    // As its container starts it; root's workers would be another user's, who may not read the folder.
    const user = process.getuid?.() === 0 ? ' user root;' : '';
    const args = ['-e', errors(folder), '-c', join(folder, 'nginx.conf'), '-g', `daemon off;${user}`];
    const nginx = spawn('nginx', args, { stdio: 'ignore' });
    const said = (): string => readFileSync(errors(folder), 'utf8');
    const workers = (): string => readFileSync(`/proc/${nginx.pid}/task/${nginx.pid}/children`, 'utf8');
    try {
      for (let attempt = 0; ; attempt++) {
        try {
          await served(port, HOST);
          break;
        } catch (error) {
          if (attempt > 100) throw new Error(`${(error as Error).message}: ${said()}`);
          await sleep(100);
        }
      }
      const before = workers();
      const underWay = await open(port, HOST);
      expect(await ask(underWay)).toBe('HTTP/1.1 200 OK');
      expect([await served(port, HOST), await served(port)]).toEqual([first, first]);

      const second = mount(tls, 'cd');
      expect(second).not.toBe(first);
      expect([await served(port, HOST), await served(port)]).toEqual([second, second]);
      expect(await ask(underWay)).toBe('HTTP/1.1 200 OK');
      underWay.destroy();
      expect(workers()).toBe(before);
      expect(said()).toBe('');
    } finally {
      nginx.kill('SIGTERM');
      if (nginx.exitCode === null) await once(nginx, 'exit');
      registry.closeAllConnections();
      registry.close();
      rmSync(folder, { recursive: true, force: true });
    }
  },
);
