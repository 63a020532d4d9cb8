import { names } from '../../../components/shared/naming';
import { deriveSecret } from '../../../components/shared/secrets';
import { REGISTRY } from '../../../lab/machine/addresses';
import { labEnvironment } from '../../../lab/topology';

// `registry.access: separate`, the default, on the running lab: nginx before the registry tells pull from push.

const UPLOADS = '/v2/modules/orders/blobs/uploads/';

const login = (user: string): string => {
  const password = deriveSecret(labEnvironment().SWITCHYARD_SEED ?? '', `registry/${user}`);
  return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
};

const ask = (method: string, path: string, authorization?: string): Promise<Response> =>
  fetch(`http://${REGISTRY}${path}`, { method, headers: authorization ? { authorization } : {} });

test('without a login nothing is answered', async () => {
  expect((await ask('GET', '/v2/')).status).toBe(401);
  expect((await ask('POST', UPLOADS)).status).toBe(401);
});

test('the user for pulling reads', async () => {
  const tags = await ask('GET', '/v2/modules/orders/tags/list', login(names.pullUser));
  expect(tags.status).toBe(200);
  expect(await tags.json()).toMatchObject({ name: 'modules/orders', tags: expect.any(Array) });
});

test.each(['POST', 'PUT', 'PATCH', 'DELETE'])(
  'the user for pulling may not %s: another login is asked for',
  async (method) => {
    expect((await ask(method, UPLOADS, login(names.pullUser))).status).toBe(401);
  },
);

test('the user for pushing begins an upload, and may take it back', async () => {
  const begun = await ask('POST', UPLOADS, login(names.pushUser));
  expect(begun.status).toBe(202);
  const { pathname, search } = new URL(begun.headers.get('location') ?? '', `http://${REGISTRY}`);
  expect((await ask('DELETE', `${pathname}${search}`, login(names.pushUser))).status).toBe(204);
});
