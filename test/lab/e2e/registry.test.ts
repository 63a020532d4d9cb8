import { request } from 'node:http';
import { names } from '../../../components/shared/naming';
import { Secrets } from '../../../components/shared/secrets';
import { REGISTRY } from '../../../lab/machine/addresses';
import { ENVIRONMENT, labEnvironment } from '../../../lab/topology';
import { registryRights } from './registry-rights';

// `registry.access: separate`, the default, on the running lab: nginx before the registry tells users apart.

const login = (user: string): string => {
  const password = new Secrets(labEnvironment().SWITCHYARD_SEED ?? '', ENVIRONMENT).secret(
    `registry/${user}`,
  );
  return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
};

/** Sends the address as it is written: `fetch` would tidy it up. */
function ask(
  method: string,
  path: string,
  user?: string,
): Promise<{ status: number; text: string; location: string }> {
  const [host = '', port = ''] = REGISTRY.split(':');
  const accept = [
    'application/vnd.oci.image.manifest.v1+json',
    'application/vnd.oci.image.index.v1+json',
  ].join(', ');
  return new Promise((resolve, reject) => {
    const sent = request({
      host,
      port,
      method,
      path,
      headers: { accept, ...(user ? { authorization: login(user) } : {}) },
    });
    sent.once('error', reject);
    sent.once('response', async (response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of response) chunks.push(chunk as Buffer);
      const text = Buffer.concat(chunks).toString('utf8');
      resolve({ status: response.statusCode ?? 0, text, location: response.headers.location ?? '' });
    });
    sent.end();
  });
}

test('each user gets what it may, and nothing else, however the address is written', async () => {
  const { tags } = JSON.parse((await ask('GET', '/v2/modules/billing/tags/list', names.pullUser)).text) as {
    tags: string[];
  };
  const tag = tags.find((one) => one.startsWith('release-')) ?? '';
  const manifest = JSON.parse(
    (await ask('GET', `/v2/modules/billing/manifests/${tag}`, names.pullUser)).text,
  ) as { config: { digest: string } };
  const rights = registryRights('orders', { module: 'billing', tag, blob: manifest.config.digest });
  const found: (readonly [string, string, string, number])[] = [];
  for (const [user, method, path] of rights) {
    found.push([user, method, path, (await ask(method, path, user || undefined)).status]);
  }
  expect(found).toEqual(rights);
});

test('whoever may push begins an upload; a login that is wrong is asked for again, whatever name it claims', async () => {
  const begun = await ask('POST', '/v2/modules/orders/blobs/uploads/', names.pushUser);
  expect(begun.status).toBe(202);
  const { pathname, search } = new URL(begun.location, `http://${REGISTRY}`);
  expect((await ask('DELETE', `${pathname}${search}`, names.pushUser)).status).toBe(204);
  for (const user of [names.pushUser, names.modulePushUser('orders')]) {
    const wrong = await fetch(`http://${REGISTRY}/v2/modules/orders/tags/list`, {
      headers: { authorization: `Basic ${Buffer.from(`${user}:wrong`).toString('base64')}` },
    });
    expect(wrong.status).toBe(401);
  }
});
