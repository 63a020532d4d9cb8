import fc from 'fast-check';
import { digestEvents, endangersData } from '../../../delivery/preview/events';
import { character } from '../../support/characters';

const chain = 'switchyard:index:Topology$switchyard:production:Production';
const urn = (type: string, name: string) => `urn:pulumi:lab::switchyard::${chain}$${type}::${name}`;
const parent = `urn:pulumi:lab::switchyard::${chain}::production-shop`;
const step = (op: string, type: string, name: string, more: object = {}) =>
  JSON.stringify({
    resourcePreEvent: {
      planning: true,
      metadata: {
        op,
        urn: urn(type, name),
        type,
        provider: 'urn:pulumi:lab::switchyard::t$pulumi:providers:kubernetes::ci-cluster::id',
        ...more,
      },
    },
  });
const end = JSON.stringify({
  summaryEvent: { maybeCorrupt: false, durationSeconds: 1, resourceChanges: {} },
});
const POD = 'kubernetes:apps/v1:Deployment';
const CLAIM = 'kubernetes:core/v1:PersistentVolumeClaim';

test('each resource is one change, with its box, the properties that change and those that force a replacement', () => {
  const events = [
    step('update', POD, 'a', {
      old: { parent, inputs: { replicas: 1 } },
      new: { parent, inputs: { replicas: 2 } },
      detailedDiff: { 'spec.template': { diffKind: 'update' }, 'spec.replicas': { diffKind: 'update' } },
    }),
    step('create-replacement', CLAIM, 'b', {
      old: { parent },
      new: { parent },
      detailedDiff: { 'spec.storageClassName': { diffKind: 'update-replace' } },
    }),
    step('replace', CLAIM, 'b', { old: { parent }, new: { parent } }),
    step('delete-replaced', CLAIM, 'b', { old: { parent } }),
    end,
  ];
  const { changes, finished } = digestEvents(events.join('\n'));
  expect(finished).toBe(true);
  expect(changes).toEqual([
    {
      action: 'replace',
      urn: urn(CLAIM, 'b'),
      type: CLAIM,
      name: 'b',
      box: 'production',
      boxName: 'production-shop',
      properties: ['spec.storageClassName'],
      forcing: ['spec.storageClassName'],
      holdsData: true,
      protected: false,
    },
    {
      action: 'update',
      urn: urn(POD, 'a'),
      type: POD,
      name: 'a',
      box: 'production',
      boxName: 'production-shop',
      properties: ['spec.replicas', 'spec.template'],
      forcing: [],
      holdsData: false,
      protected: false,
    },
  ]);
});

test('values of properties are in no change', () => {
  const { changes } = digestEvents(
    [
      step('update', POD, 'a', {
        old: { inputs: { x: 'value-one' } },
        new: { inputs: { x: 'value-two' } },
        diffs: ['x'],
      }),
      end,
    ].join('\n'),
  );
  expect(changes[0]?.properties).toEqual(['x']);
  expect(JSON.stringify(changes)).not.toContain('value-');
});

test('what stays is counted, and kept with its provider for the reckoning of capacity', () => {
  const plan = digestEvents(
    [
      step('same', POD, 'a', { old: { inputs: { n: 1 } }, new: { inputs: { n: 1 } } }),
      step('delete', POD, 'b', { old: { inputs: { n: 2 } } }),
      step('create', POD, 'c', { new: { inputs: { n: 3 } } }),
      end,
    ].join('\n'),
  );
  expect(plan.unchanged).toBe(1);
  expect(plan.before.map(({ inputs }) => inputs.n)).toEqual([1, 2]);
  expect(plan.after).toEqual([
    { type: POD, provider: 'ci-cluster', inputs: { n: 1 } },
    { type: POD, provider: 'ci-cluster', inputs: { n: 3 } },
  ]);
});

test('components and the stack are no changes', () => {
  const frame = (type: string) =>
    JSON.stringify({ resourcePreEvent: { metadata: { op: 'create', urn: urn(type, 'x'), type } } });
  expect(
    digestEvents([frame('pulumi:pulumi:Stack'), frame('switchyard:jenkins:Jenkins'), end].join('\n')).changes,
  ).toEqual([]);
});

test('an error of the engine is a fault, without colour marks; a warning is none', () => {
  const said = (severity: string) =>
    JSON.stringify({
      diagnosticEvent: {
        severity,
        message: '<{%reset%}>no such type<{%reset%}>\n',
        urn: urn(POD, 'a'),
        color: 'never',
      },
    });
  expect(digestEvents([said('error'), said('warning'), end].join('\n')).faults).toEqual(['a: no such type']);
});

test('events that break off, or cannot be read, are no finished plan', () => {
  expect(digestEvents(step('create', POD, 'a')).finished).toBe(false);
  const broken = digestEvents([step('create', POD, 'a').slice(0, -9), end].join('\n'));
  expect(broken.finished).toBe(false);
  expect(broken.faults).toEqual(["1 line(s) of the engine's events cannot be read"]);
});

test('only the loss of what holds data endangers it', () => {
  const { changes } = digestEvents(
    [
      step('delete', CLAIM, 'gone'),
      step('update', CLAIM, 'changed'),
      step('create', CLAIM, 'new'),
      step('delete', POD, 'pods'),
      step('delete', POD, 'kept', { old: { protect: true } }),
      end,
    ].join('\n'),
  );
  expect(
    changes
      .filter(endangersData)
      .map(({ name }) => name)
      .sort(),
  ).toEqual(['gone', 'kept']);
});

test('no text throws, and the order of events changes nothing', () => {
  fc.assert(fc.property(fc.string({ unit: character }), (text) => digestEvents(text).finished === false));
  const lines = ['a', 'b', 'c', 'd'].map((name, index) =>
    step(['create', 'delete', 'update', 'same'][index] ?? '', POD, name),
  );
  fc.assert(
    fc.property(fc.shuffledSubarray(lines, { minLength: 4 }), (shuffled) => {
      expect(digestEvents([...shuffled, end].join('\n')).changes).toEqual(
        digestEvents([...lines, end].join('\n')).changes,
      );
    }),
  );
});
