import { fieldManagerFor } from '../../../../lab/plugins/kubernetes/object';
import { KubernetesProvider } from '../../../../lab/plugins/kubernetes/provider';
import { EngineLog, InitError } from '../../../../lab/plugins/shared/server';
import { type Props, secret, UNKNOWN, unwrapSecrets } from '../../../../lab/plugins/shared/values';
import { FakeApi } from './api';
import { deployment } from './fixtures';

const URN = 'urn:pulumi:lab::switchyard::kubernetes:core/v1:ConfigMap::settings';
const MAP_PATH = '/api/v1/namespaces/shop/configmaps/settings';
const MAP: Props = {
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name: 'settings', namespace: 'shop' },
  data: { mode: 'a' },
};

describe('the kubernetes provider', () => {
  let api: FakeApi;
  let provider: KubernetesProvider;

  beforeEach(async () => {
    api = new FakeApi();
    provider = new KubernetesProvider(new EngineLog());
    await provider.configure({ kubeconfig: await api.start(), enableConfigMapMutable: true });
  });

  afterEach(() => api.stop());

  function call(type = 'kubernetes:core/v1:ConfigMap', urn = URN) {
    return { urn, name: 'settings', type, signal: new AbortController().signal };
  }

  function create(inputs: Props, preview = false) {
    return provider.create({ ...call(), inputs, preview, timeoutSeconds: 0 });
  }

  async function created(inputs = MAP) {
    const { id, outputs } = await create(inputs);
    api.seen.length = 0;
    return { ...call(), id, oldInputs: inputs, oldOutputs: outputs };
  }

  const patches = () => api.seen.filter(({ method }) => method === 'PATCH');

  describe('check', () => {
    const check = (inputs: Props, type?: string) =>
      provider.check({ ...call(type), inputs, oldInputs: {}, randomSeed: Buffer.from('seed') });

    test('fills in name, namespace of the context, API version and kind', async () => {
      const { inputs, failures } = await check({ data: {} });
      expect(failures).toEqual([]);
      expect(inputs).toMatchObject({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { namespace: 'shop' } });
      expect(inputs).toHaveProperty('metadata.name', expect.stringMatching(/^settings-[0-9a-f]{8}$/));
      expect(api.seen).toEqual([]);
    });

    test('marks the contents of a Secret, whatever the program said', async () => {
      const { inputs } = await check(
        { metadata: { name: 'db' }, stringData: { p: 'x' } },
        'kubernetes:core/v1:Secret',
      );
      expect(inputs.stringData).toEqual(secret({ p: 'x' }));
    });

    test('leaves unknown values alone', async () => {
      const { inputs } = await check({ metadata: { name: UNKNOWN, namespace: UNKNOWN } });
      expect(inputs.metadata).toEqual({ name: UNKNOWN, namespace: UNKNOWN });
    });

    test('refuses a namespace for what lives outside of them, and a kind that is not the type', async () => {
      const wrong = await check(
        { kind: 'Pod', metadata: { name: 'x', namespace: 'y' } },
        'kubernetes:core/v1:Namespace',
      );
      expect(wrong.failures?.map(({ property }) => property)).toEqual(['kind', 'metadata.namespace']);
    });
  });

  describe('create', () => {
    test('applies strictly under the field manager of the resource', async () => {
      const { id, outputs } = await create(MAP);
      expect(id).toBe('shop/settings');
      expect(patches()).toEqual([
        {
          method: 'PATCH',
          path: MAP_PATH,
          query: { fieldManager: fieldManagerFor(URN), fieldValidation: 'Strict' },
          contentType: 'application/apply-patch+yaml',
          body: MAP,
        },
      ]);
      expect(outputs).toMatchObject({ __fieldManager: fieldManagerFor(URN), data: { mode: 'a' } });
      expect(outputs).not.toHaveProperty('metadata.managedFields');
    });

    test('refuses an object that another made, and touches nothing', async () => {
      api.objects.set(MAP_PATH, {
        ...MAP,
        metadata: { name: 'settings', namespace: 'shop', managedFields: [] },
      });
      await expect(create(MAP)).rejects.toThrow(
        'ConfigMap shop/settings already exists in the cluster: import it',
      );
      expect(patches()).toEqual([]);
    });

    test('waits for a predecessor of the same name to go', async () => {
      await create(MAP);
      const live = api.objects.get(MAP_PATH) ?? {};
      const going = {
        ...live,
        metadata: { ...(live.metadata as Props), deletionTimestamp: '2026-11-24T10:00:00Z' },
      };
      api.objects.set(MAP_PATH, going);
      setTimeout(() => api.objects.delete(MAP_PATH), 150);
      api.seen.length = 0;
      await create(MAP);
      expect(api.objects.get(MAP_PATH)).not.toHaveProperty('metadata.uid', (live.metadata as Props).uid);
      expect(patches()).toHaveLength(1);
    });

    test('goes on with an object that its own killed run had made', async () => {
      await create(MAP);
      await expect(create(MAP)).resolves.toMatchObject({ id: 'shop/settings' });
    });

    test('in a preview is a dry run whose invented values are unknown', async () => {
      const { outputs } = await create(MAP, true);
      expect(api.objects.size).toBe(0);
      expect(patches().map(({ query }) => query.dryRun)).toEqual(['All']);
      expect(outputs).toHaveProperty('metadata.uid', UNKNOWN);
    });

    test('in a preview with unknown values asks nobody', async () => {
      const inputs = { ...MAP, data: { mode: UNKNOWN } };
      expect((await create(inputs, true)).outputs).toEqual(inputs);
      expect(api.seen).toEqual([]);
    });

    test('in a preview bears a missing namespace, but not a misspelt field', async () => {
      const refusal = (status: number, message: string) =>
        api.answers.set(`PATCH ${MAP_PATH}`, { status, body: { message } });
      refusal(404, 'namespaces "shop" not found');
      await expect(create(MAP, true)).resolves.toMatchObject({ outputs: MAP });
      refusal(400, 'strict decoding error: unknown field "dta"');
      await expect(create(MAP, true)).rejects.toThrow(
        'ConfigMap shop/settings: strict decoding error: unknown field "dta"',
      );
    });

    test('of a Secret never repeats its contents in an error', async () => {
      const inputs = {
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name: 'db', namespace: 'shop' },
        stringData: { p: 'hunter22' },
      };
      api.answers.set('PATCH /api/v1/namespaces/shop/secrets/db', {
        status: 422,
        body: { message: 'invalid "hunter22"' },
      });
      const failure = provider.create({
        ...call('kubernetes:core/v1:Secret'),
        inputs,
        preview: false,
        timeoutSeconds: 0,
      });
      await expect(failure).rejects.toThrow('Secret shop/db: invalid "[secret]"');
    });

    test('that does not become ready in time keeps the object and says what it waited for', async () => {
      const inputs = deployment();
      api.status = () => ({ observedGeneration: 9, replicas: 2, updatedReplicas: 2, availableReplicas: 1 });
      const failure = await provider
        .create({ ...call('kubernetes:apps/v1:Deployment'), inputs, preview: false, timeoutSeconds: 0.3 })
        .catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(InitError);
      expect(failure).toMatchObject({
        id: 'shop/orders',
        reasons: ['not ready after 0.3 s', 'waited for 2/2 replicas updated, 1/2 available'],
      });
    });

    test('with skipAwait returns at once', async () => {
      const inputs = deployment();
      inputs.metadata = {
        name: 'orders',
        namespace: 'shop',
        annotations: { 'pulumi.com/skipAwait': 'true' },
      };
      api.status = () => ({ observedGeneration: 0 });
      const result = await provider.create({
        ...call('kubernetes:apps/v1:Deployment'),
        inputs,
        preview: false,
        timeoutSeconds: 60,
      });
      expect(result.id).toBe('shop/orders');
    });
  });

  describe('diff', () => {
    test('of equal inputs is none and asks nobody', async () => {
      const known = await created();
      expect(await provider.diff({ ...known, inputs: MAP, ignoreChanges: [] })).toEqual({ changes: false });
      expect(api.seen).toEqual([]);
    });

    test('that the API server sees no difference in is none', async () => {
      const known = await created();
      const same = { ...MAP, data: { mode: 'b' } };
      const live = api.objects.get(MAP_PATH);
      api.answers.set(`PATCH ${MAP_PATH}`, { status: 200, body: live ?? {} });
      expect(await provider.diff({ ...known, inputs: same, ignoreChanges: [] })).toEqual({ changes: false });
    });

    test('of changed data is an update, by dry run', async () => {
      const known = await created();
      const diff = await provider.diff({
        ...known,
        inputs: { ...MAP, data: { mode: 'b' } },
        ignoreChanges: [],
      });
      expect(diff).toMatchObject({ changes: true, details: { 'data.mode': 'update' }, replaces: [] });
      expect(patches().map(({ query }) => query.dryRun)).toEqual(['All']);
      expect(api.objects.get(MAP_PATH)).toHaveProperty('data.mode', 'a');
    });

    test('of a field that the API server calls immutable replaces', async () => {
      const known = await created();
      const causes = [{ field: 'data', message: 'Forbidden: field is immutable when `immutable` is set' }];
      api.answers.set(`PATCH ${MAP_PATH}`, {
        status: 422,
        body: { message: 'invalid', details: { causes } },
      });
      const diff = await provider.diff({
        ...known,
        inputs: { ...MAP, data: { mode: 'b' } },
        ignoreChanges: [],
      });
      expect(diff).toMatchObject({ replaces: ['data.mode'], deleteBeforeReplace: true });
    });

    test('falls back to the inputs where values are unknown or the cluster is away', async () => {
      const known = await created();
      const unknown = await provider.diff({
        ...known,
        inputs: { ...MAP, data: { mode: UNKNOWN } },
        ignoreChanges: [],
      });
      expect(unknown).toMatchObject({ changes: true, details: { 'data.mode': 'update' } });
      expect(api.seen).toEqual([]);
      api.answers.set(`GET ${MAP_PATH}`, { status: 500, body: { message: 'etcd is away' } });
      const away = await provider.diff({
        ...known,
        inputs: { ...MAP, data: { mode: 'b' } },
        ignoreChanges: [],
      });
      expect(away).toMatchObject({ changes: true, details: { 'data.mode': 'update' } });
    });
  });

  describe('update', () => {
    test('names the other manager and the field of a conflict, and the way to force it', async () => {
      const known = await created();
      const causes = [
        {
          reason: 'FieldManagerConflict',
          field: '.data.mode',
          message: 'conflict with "kubectl-edit" using v1',
        },
      ];
      api.answers.set(`PATCH ${MAP_PATH}`, {
        status: 409,
        body: { message: 'Apply failed', details: { causes } },
      });
      const update = provider.update({
        ...known,
        inputs: MAP,
        ignoreChanges: [],
        preview: false,
        timeoutSeconds: 0,
      });
      await expect(update).rejects.toThrow(
        'ConfigMap shop/settings: other managers own fields of it: .data.mode (conflict with "kubectl-edit" using v1); ' +
          'remove these fields from the program, or take them over with the annotation pulumi.com/patchForce: "true"',
      );
    });

    test('forces where the annotation says so', async () => {
      const known = await created();
      const metadata = {
        name: 'settings',
        namespace: 'shop',
        annotations: { 'pulumi.com/patchForce': 'true' },
      };
      await provider.update({
        ...known,
        inputs: { ...MAP, metadata },
        ignoreChanges: [],
        preview: false,
        timeoutSeconds: 0,
      });
      expect(patches()[0]?.query.force).toBe('true');
    });
  });

  describe('read', () => {
    test('finds nothing new in an object that only others have written to', async () => {
      const known = await created();
      const live = api.objects.get(MAP_PATH) ?? {};
      api.objects.set(MAP_PATH, {
        ...live,
        metadata: { ...(live.metadata as Props), resourceVersion: '99', labels: { team: 'others' } },
        status: { counter: 7 },
      });
      expect(await provider.read(known)).toEqual({ id: known.id, inputs: MAP, outputs: known.oldOutputs });
    });

    test('shows the drift of our own fields, in inputs and outputs', async () => {
      const known = await created();
      api.objects.set(MAP_PATH, { ...api.objects.get(MAP_PATH), data: { mode: 'by hand' } });
      const result = await provider.read(known);
      expect(result?.inputs).toEqual({ ...MAP, data: { mode: 'by hand' } });
      expect(result?.outputs).toHaveProperty('data.mode', 'by hand');
    });

    test('compares with the inputs where the account may only read', async () => {
      const known = await created();
      const refused = {
        status: 403,
        body: { kind: 'Status', reason: 'Forbidden', message: 'configmaps "settings" is forbidden' },
      };
      api.answers.set(`PATCH ${MAP_PATH}`, refused);
      expect(await provider.read(known)).toEqual({ id: known.id, inputs: MAP, outputs: known.oldOutputs });
      api.objects.set(MAP_PATH, { ...api.objects.get(MAP_PATH), data: { mode: 'by hand', more: 'x' } });
      api.answers.set(`PATCH ${MAP_PATH}`, refused);
      expect((await provider.read(known))?.inputs).toEqual({ ...MAP, data: { mode: 'by hand' } });
      api.answers.set(`GET ${MAP_PATH}`, refused);
      await expect(provider.read(known)).rejects.toThrow(/forbidden/);
    });

    test('shows the drift of a Secret where the program wrote it', async () => {
      const type = 'kubernetes:core/v1:Secret';
      const inputs = {
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name: 'db', namespace: 'shop' },
        stringData: { p: 'one' },
      };
      const { id, outputs } = await provider.create({
        ...call(type),
        inputs,
        preview: false,
        timeoutSeconds: 0,
      });
      const address = '/api/v1/namespaces/shop/secrets/db';
      const known = { ...call(type), id, oldInputs: inputs, oldOutputs: outputs };
      expect(unwrapSecrets((await provider.read(known))?.inputs)).toEqual(inputs);
      expect((await provider.read(known))?.inputs.stringData).toEqual(secret({ p: 'one' }));
      api.objects.set(address, {
        ...api.objects.get(address),
        data: { p: Buffer.from('two').toString('base64') },
      });
      expect(unwrapSecrets((await provider.read(known))?.inputs)).toEqual({
        ...inputs,
        stringData: { p: 'two' },
      });
    });

    test('is empty when the object is gone', async () => {
      const known = await created();
      api.objects.clear();
      expect(await provider.read(known)).toBeUndefined();
    });

    test('of an id alone is an import', async () => {
      await created();
      const result = await provider.read({ ...call(), id: 'shop/settings', oldInputs: {}, oldOutputs: {} });
      expect(result?.inputs).toEqual(MAP);
    });
  });

  describe('delete', () => {
    test('asks for foreground deletion and returns when the object is gone', async () => {
      const known = await created();
      await provider.delete({ ...known, timeoutSeconds: 5 });
      expect(api.seen.find(({ method }) => method === 'DELETE')?.body).toMatchObject({
        propagationPolicy: 'Foreground',
      });
      expect(api.objects.size).toBe(0);
    });

    test('of an object that is gone already is fine', async () => {
      const known = await created();
      api.objects.clear();
      await expect(provider.delete({ ...known, timeoutSeconds: 5 })).resolves.toBeUndefined();
    });

    test('that a finalizer holds up fails in time and names the finalizer', async () => {
      const known = await created();
      const live = api.objects.get(MAP_PATH) ?? {};
      const held = { ...live, metadata: { ...(live.metadata as Props), finalizers: ['shop.dev/keep'] } };
      api.objects.set(MAP_PATH, held);
      api.answers.set(`DELETE ${MAP_PATH}`, { status: 200, body: held });
      await expect(provider.delete({ ...known, timeoutSeconds: 0.2 })).rejects.toThrow(
        'ConfigMap shop/settings: still there after 0.2 s: waiting for deletion (finalizers shop.dev/keep)',
      );
    });
  });
});
