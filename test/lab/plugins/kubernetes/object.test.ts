import {
  autoName,
  comparable,
  fieldManagerFor,
  foldStringData,
  metadataOf,
  nameOf,
  objectId,
  overlayDrift,
  ownedFields,
  parseId,
  parseTypeToken,
  redact,
  staticallyNamespaced,
  toApplyBody,
  toImportedInputs,
  toOutputs,
} from '../../../../lab/plugins/kubernetes/object';
import { unwrapSecrets } from '../../../../lab/plugins/shared/values';
import { deployment, secretObject } from './fixtures';

describe('a resource type', () => {
  test.each([
    ['kubernetes:core/v1:Secret', 'v1', 'Secret'],
    ['kubernetes:apps/v1:Deployment', 'apps/v1', 'Deployment'],
    ['kubernetes:rbac.authorization.k8s.io/v1:Role', 'rbac.authorization.k8s.io/v1', 'Role'],
    ['kubernetes:switchyard.dev/v1alpha1:Checklist', 'switchyard.dev/v1alpha1', 'Checklist'],
  ])('%s is %s %s', (type, apiVersion, kind) => {
    expect(parseTypeToken(type)).toEqual({ apiVersion, kind });
  });

  test.each([
    'kubernetes:yaml/v2:ConfigGroup',
    'kubernetes:yaml:ConfigFile',
    'kubernetes:helm.sh/v3:Release',
    'kubernetes:helm.sh/v4:Chart',
    'kubernetes:kustomize/v2:Directory',
    'kubernetes:apps/v1:DeploymentList',
    'kubernetes:apps/v1:DeploymentPatch',
  ])('%s is refused by name', (type) => {
    expect(() => parseTypeToken(type)).toThrow(`${type} is not covered by the lab's kubernetes plug-in`);
  });

  test('tells its scope without a cluster, unless it is a custom resource', () => {
    const scope = (type: string) => staticallyNamespaced(parseTypeToken(type));
    expect(scope('kubernetes:core/v1:Namespace')).toBe(false);
    expect(scope('kubernetes:rbac.authorization.k8s.io/v1:ClusterRole')).toBe(false);
    expect(scope('kubernetes:networking.k8s.io/v1:NetworkPolicy')).toBe(true);
    expect(scope('kubernetes:switchyard.dev/v1:Checklist')).toBeUndefined();
  });
});

describe('auto-naming', () => {
  const seed = Buffer.from('the seed of one plan');

  test('adds eight hex digits that depend on nothing but seed and resource name', () => {
    const named = autoName({ kind: 'Pod' }, {}, 'orders', seed);
    expect(nameOf(named)).toMatch(/^orders-[0-9a-f]{8}$/);
    expect(metadataOf(named).annotations).toEqual({ 'pulumi.com/autonamed': 'true' });
    expect(autoName({ kind: 'Pod' }, {}, 'orders', seed)).toEqual(named);
    expect(nameOf(autoName({ kind: 'Pod' }, {}, 'orders', Buffer.from('another')))).not.toBe(nameOf(named));
  });

  test('keeps the name that the object has', () => {
    const old = autoName({ kind: 'Pod' }, {}, 'orders', seed);
    expect(nameOf(autoName({ kind: 'Pod' }, old, 'orders', Buffer.from('another')))).toBe(nameOf(old));
  });

  test('does not keep a name that the user had fixed, nor touch one that the user fixes', () => {
    expect(nameOf(autoName({}, { metadata: { name: 'fixed' } }, 'orders', seed))).toMatch(/^orders-/);
    expect(autoName({ metadata: { name: 'mine' } }, {}, 'orders', seed)).toEqual({
      metadata: { name: 'mine' },
    });
  });

  test('never makes a name longer than a DNS label', () => {
    expect(nameOf(autoName({}, {}, 'o'.repeat(100), seed))).toHaveLength(63);
  });
});

test('an id is namespace/name, or the name alone outside namespaces', () => {
  expect(objectId(deployment())).toBe('shop/orders');
  expect(parseId('shop/orders')).toEqual({ namespace: 'shop', name: 'orders' });
  expect(objectId({ metadata: { name: 'shop' } })).toBe('shop');
  expect(parseId('shop')).toEqual({ name: 'shop' });
});

test('a resource has one field manager for life, and no other resource has it', () => {
  const urn = 'urn:pulumi:lab::switchyard::kubernetes:core/v1:Secret::database';
  expect(fieldManagerFor(urn)).toMatch(/^pulumi-kubernetes-[0-9a-f]{8}$/);
  expect(fieldManagerFor(urn)).toBe(fieldManagerFor(urn));
  expect(fieldManagerFor(urn)).not.toBe(fieldManagerFor(`${urn}2`));
});

test('only what a manager owns by apply counts as its own', () => {
  const managedFields = [
    { manager: 'kubectl', operation: 'Update', fieldsV1: { 'f:spec': {} } },
    { manager: 'me', operation: 'Update', fieldsV1: { 'f:status': {} } },
    { manager: 'me', operation: 'Apply', fieldsV1: { 'f:spec': { 'f:replicas': {} } } },
  ];
  const live = { metadata: { managedFields } };
  expect(ownedFields(live, 'me')).toEqual({ 'f:spec': { 'f:replicas': {} } });
  expect(ownedFields(live, 'kubectl')).toBeUndefined();
});

describe('a Secret', () => {
  test('is applied with its text encoded as data, which the API server answers too', () => {
    const body = foldStringData(secretObject({ data: { user: 'cm9vdA==' } }));
    expect(body.stringData).toBeUndefined();
    expect(body.data).toEqual({
      user: 'cm9vdA==',
      password: Buffer.from('correct horse battery').toString('base64'),
    });
  });

  test('has secret outputs, whatever the program said', () => {
    const inputs = secretObject();
    const outputs = toOutputs(foldStringData(inputs), 'me', inputs);
    expect(JSON.stringify(outputs.data)).toContain('1b47061264138c4ac30d75fd1eb44270');
    expect(JSON.stringify(outputs.stringData)).toContain('1b47061264138c4ac30d75fd1eb44270');
    expect(unwrapSecrets(outputs.stringData)).toEqual({ password: 'correct horse battery' });
  });

  test('never shows its contents in an error, neither plain nor encoded', () => {
    const encoded = Buffer.from('correct horse battery').toString('base64');
    const message = redact(`invalid: "correct horse battery" (${encoded})`, secretObject());
    expect(message).toBe('invalid: "[secret]" ([secret])');
  });
});

test('what is applied carries neither state nor status', () => {
  const inputs = { ...deployment(), __fieldManager: 'me', __initialApiVersion: 'apps/v1' };
  const { status: _status, ...rest } = deployment();
  expect(toApplyBody(inputs)).toEqual(rest);
});

test('counters and status do not make two answers of the API server differ', () => {
  const later = deployment({ availableReplicas: 1 });
  metadataOf(later).resourceVersion = '2000';
  metadataOf(later).generation = 9;
  expect(comparable(later)).toEqual(comparable(deployment()));
});

test('an import takes the spec and leaves what the API server wrote', () => {
  const live = deployment();
  metadataOf(live).annotations = { 'kubectl.kubernetes.io/last-applied-configuration': '{}' };
  expect(toImportedInputs(live).metadata).toEqual({ name: 'orders', namespace: 'shop' });
  expect(toImportedInputs(live)).not.toHaveProperty('status');
});

describe('drift', () => {
  test('shows the live value where it differs and keeps the spelling of the user where it does not', () => {
    const inputs = { replicas: 2, cpu: '1000m' };
    expect(
      overlayDrift(inputs, { replicas: 2, cpu: '1', extra: 1 }, { replicas: 5, cpu: '1', extra: 2 }),
    ).toEqual({
      replicas: 5,
      cpu: '1000m',
    });
  });

  test('shows a removed field as gone', () => {
    expect(overlayDrift({ a: '1', b: '2' }, { a: '1', b: '2' }, { a: '1' })).toEqual({ a: '1' });
  });

  test('reaches into lists of the same length', () => {
    const inputs = { containers: [{ image: 'a', cpu: '1000m' }] };
    const applied = { containers: [{ image: 'a', cpu: '1', pull: 'Always' }] };
    const live = { containers: [{ image: 'b', cpu: '1', pull: 'Always' }] };
    expect(overlayDrift(inputs, applied, live)).toEqual({ containers: [{ image: 'b', cpu: '1000m' }] });
  });
});
