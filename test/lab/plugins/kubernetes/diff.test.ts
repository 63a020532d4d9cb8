import fc from 'fast-check';
import { changesBetween, immutableFields, toDiff } from '../../../../lab/plugins/kubernetes/diff';
import type { KubeObject } from '../../../../lab/plugins/kubernetes/object';
import type { Props } from '../../../../lab/plugins/shared/values';
import { deployment } from './fixtures';

const OFFICIAL_DEFAULT = { configMaps: false, secrets: false };

function replaced(before: KubeObject, after: KubeObject, mutability = OFFICIAL_DEFAULT): string[] {
  return [...(toDiff(before, after, changesBetween(before, after), mutability).replaces ?? [])].sort();
}

function object(apiVersion: string, kind: string, rest: Props): KubeObject {
  return { apiVersion, kind, metadata: { name: 'x', namespace: 'shop' }, ...rest };
}

test('equal inputs are no change', () => {
  expect(toDiff(deployment(), deployment(), [], OFFICIAL_DEFAULT)).toEqual({ changes: false });
});

test('a difference is named by its path, leaf by leaf', () => {
  const before = { a: { list: [{ x: 1 }], 'app.kubernetes.io/name': 'old' } };
  const after = { a: { list: [{ x: 2 }, { x: 3 }], 'app.kubernetes.io/name': 'new' } };
  expect(changesBetween(before, after)).toEqual([
    { path: 'a["app.kubernetes.io/name"]', kind: 'update' },
    { path: 'a.list[0].x', kind: 'update' },
    { path: 'a.list[1]', kind: 'add' },
  ]);
});

test('no JSON value differs from its own copy, and a difference is seen from both sides', () => {
  fc.assert(
    fc.property(
      fc.dictionary(fc.string(), fc.jsonValue()),
      fc.dictionary(fc.string(), fc.jsonValue()),
      (left, right) => {
        expect(changesBetween(left, JSON.parse(JSON.stringify(left)))).toEqual([]);
        expect(changesBetween(left, right).length).toBe(changesBetween(right, left).length);
      },
    ),
  );
});

describe('what can be changed in place', () => {
  test('the image of a Deployment', () => {
    const after = deployment(
      {},
      {
        template: {
          metadata: { labels: { app: 'orders' } },
          spec: { containers: [{ name: 'orders', image: 'mirror/orders:2' }] },
        },
      },
    );
    const diff = toDiff(deployment(), after, changesBetween(deployment(), after), OFFICIAL_DEFAULT);
    expect(diff).toEqual({
      changes: true,
      details: { 'spec.template.spec.containers[0].image': 'update' },
      replaces: [],
      deleteBeforeReplace: false,
    });
  });

  test('the size of a claim', () => {
    const claim = (storage: string) =>
      object('v1', 'PersistentVolumeClaim', { spec: { resources: { requests: { storage } } } });
    expect(replaced(claim('1Gi'), claim('2Gi'))).toEqual([]);
  });

  test('the API version within one group', () => {
    expect(replaced(object('autoscaling/v1', 'X', {}), object('autoscaling/v2', 'X', {}))).toEqual([]);
  });

  test('the data of a ConfigMap when the provider has enableConfigMapMutable', () => {
    const map = (value: string) => object('v1', 'ConfigMap', { data: { key: value } });
    expect(replaced(map('a'), map('b'), { configMaps: true, secrets: false })).toEqual([]);
  });
});

describe('what needs a new object', () => {
  const cases: [string, KubeObject, KubeObject, string[]][] = [
    [
      'the name',
      object('v1', 'Pod', {}),
      { ...object('v1', 'Pod', {}), metadata: { name: 'y', namespace: 'shop' } },
      ['metadata.name'],
    ],
    [
      'the namespace',
      object('v1', 'Pod', {}),
      { ...object('v1', 'Pod', {}), metadata: { name: 'x', namespace: 'z' } },
      ['metadata.namespace'],
    ],
    [
      'the selector of a Deployment',
      deployment(),
      deployment({}, { selector: { matchLabels: { app: 'other' } } }),
      ['spec.selector.matchLabels.app'],
    ],
    [
      'the claims of a StatefulSet',
      object('apps/v1', 'StatefulSet', {
        spec: { volumeClaimTemplates: [{ spec: { storageClassName: 'a' } }] },
      }),
      object('apps/v1', 'StatefulSet', {
        spec: { volumeClaimTemplates: [{ spec: { storageClassName: 'b' } }] },
      }),
      ['spec.volumeClaimTemplates[0].spec.storageClassName'],
    ],
    [
      'the template of a Job',
      object('batch/v1', 'Job', { spec: { template: { spec: { containers: [{ image: 'a' }] } } } }),
      object('batch/v1', 'Job', { spec: { template: { spec: { containers: [{ image: 'b' }] } } } }),
      ['spec.template.spec.containers[0].image'],
    ],
    [
      'the address of a Service',
      object('v1', 'Service', { spec: { clusterIP: '198.19.0.7' } }),
      object('v1', 'Service', { spec: { clusterIP: 'None' } }),
      ['spec.clusterIP'],
    ],
    [
      'the class of a claim',
      object('v1', 'PersistentVolumeClaim', { spec: { storageClassName: 'a' } }),
      object('v1', 'PersistentVolumeClaim', { spec: { storageClassName: 'b' } }),
      ['spec.storageClassName'],
    ],
    [
      'the role of a binding',
      object('rbac.authorization.k8s.io/v1', 'RoleBinding', { roleRef: { name: 'a' } }),
      object('rbac.authorization.k8s.io/v1', 'RoleBinding', { roleRef: { name: 'b' } }),
      ['roleRef.name'],
    ],
    [
      'the data of a ConfigMap, as the official provider does unless told otherwise',
      object('v1', 'ConfigMap', { data: { key: 'a' } }),
      object('v1', 'ConfigMap', { data: { key: 'b' } }),
      ['data.key'],
    ],
  ];

  test.each(cases)('%s', (_what, before, after, paths) => {
    expect(replaced(before, after)).toEqual(paths);
  });

  test('the data of an immutable Secret, even where the provider lets Secrets change', () => {
    const before = object('v1', 'Secret', { immutable: true, data: { key: 'YQ==' } });
    const after = object('v1', 'Secret', { immutable: true, data: { key: 'Yg==' } });
    expect(replaced(before, after, { configMaps: true, secrets: true })).toEqual(['data.key']);
  });

  test('whatever else the API server calls immutable', () => {
    const causes = [
      { field: 'spec.handler', message: 'Invalid value: "b": field is immutable' },
      { field: 'spec.size', message: 'Invalid value: -1: must be positive' },
    ];
    expect(immutableFields(causes)).toEqual(['spec.handler']);
    const [before, after] = [
      object('x.dev/v1', 'Y', { spec: { handler: 'a', n: 1 } }),
      object('x.dev/v1', 'Y', { spec: { handler: 'b', n: 2 } }),
    ];
    const diff = toDiff(before, after, changesBetween(before, after), OFFICIAL_DEFAULT, ['spec.handler']);
    expect(diff.replaces).toEqual(['spec.handler']);
    expect(diff.details).toEqual({ 'spec.handler': 'update-replace', 'spec.n': 'update' });
  });
});

describe('the order of a replacement', () => {
  const selector = { selector: { matchLabels: { app: 'other' } } };

  test('an object of a fixed name goes before its successor comes', () => {
    const after = deployment({}, selector);
    expect(
      toDiff(deployment(), after, changesBetween(deployment(), after), OFFICIAL_DEFAULT).deleteBeforeReplace,
    ).toBe(true);
  });

  test('an auto-named object is made anew first', () => {
    const metadata = {
      name: 'orders-1a2b3c4d',
      namespace: 'shop',
      annotations: { 'pulumi.com/autonamed': 'true' },
    };
    const before = { ...deployment(), metadata };
    const after = { ...deployment({}, selector), metadata };
    expect(toDiff(before, after, changesBetween(before, after), OFFICIAL_DEFAULT).deleteBeforeReplace).toBe(
      false,
    );
  });
});
