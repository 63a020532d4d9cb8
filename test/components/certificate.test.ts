import { execFileSync } from 'node:child_process';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, createServer } from 'node:tls';
import { certificateOf } from '../../components/shared/certificate';

const HOST = 'metrics-adapter.autoscaling.svc';
const { key, cert } = certificateOf('ab'.repeat(32), HOST);

test('it is a server certificate for one name that proves itself, and no authority for others', () => {
  const read = new X509Certificate(cert);
  expect(read.checkHost(HOST)).toBe(HOST);
  expect(read.checkHost('other.autoscaling.svc')).toBeUndefined();
  expect(read.ca).toBe(false);
  expect(read.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1']);
  expect(read.verify(read.publicKey)).toBe(true);
  expect(read.checkPrivateKey(createPrivateKey(key))).toBe(true);
  expect(new Date(read.validTo).getUTCFullYear()).toBe(9999);
});

test('the same secret makes the same bytes, another one another key and number', () => {
  expect(certificateOf('ab'.repeat(32), HOST)).toEqual({ key, cert });
  const other = certificateOf('cd'.repeat(32), HOST);
  expect(other.key).not.toBe(key);
  expect(new X509Certificate(other.cert).serialNumber).not.toBe(new X509Certificate(cert).serialNumber);
});

test('OpenSSL verifies it strictly, and a client that trusts it alone talks to its server', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'switchyard-certificate-'));
  try {
    const file = join(folder, 'cert.pem');
    writeFileSync(file, cert);
    expect(
      execFileSync(
        'openssl',
        [
          'verify',
          '-x509_strict',
          '-partial_chain',
          '-purpose',
          'sslserver',
          '-verify_hostname',
          HOST,
          '-CAfile',
          file,
          file,
        ],
        { encoding: 'utf8' },
      ),
    ).toBe(`${file}: OK\n`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  const server = createServer({ key, cert }, (socket) => socket.end('served'));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connect({
    host: '127.0.0.1',
    port: (server.address() as AddressInfo).port,
    servername: HOST,
    ca: cert,
    allowPartialTrustChain: true,
  });
  expect(String((await once(client, 'data'))[0])).toBe('served');
  expect(client.authorized).toBe(true);
  client.destroy();
  server.close();
});
