import * as pulumi from '@pulumi/pulumi';
import { Component } from '../../components/shared/component';
import type { Declaration } from '../../components/shared/declaration';
import { object } from '../../components/shared/kubernetes';
import { inOrder } from '../../components/shared/order';
import { registeredBy } from '../support/registered';

const volume = (name: string, aliases?: readonly string[]): Declaration => ({
  ...object(
    'kubernetes:core/v1:PersistentVolumeClaim',
    name,
    'ci',
    { namespace: 'orders', name: 'data', labels: {} },
    { spec: { accessModes: ['ReadWriteOnce'] } },
  ),
  aliases,
});

class Box extends Component {
  constructor(declarations: readonly Declaration[]) {
    super('switchyard:test:Box', 'box', declarations, {
      environment: 'staging',
      seed: pulumi.secret('a seed for tests, long enough to be one'),
    });
    this.registerOutputs({});
  }
}

test('what was renamed is registered with its old names, below the same component', async () => {
  const registered = await registeredBy(() => new Box([volume('orders-data', ['orders-storage', 'data'])]));
  const made = registered.find(({ name }) => name === 'orders-data');
  expect(made?.aliases).toEqual(['orders-storage', 'data']);
  expect(made?.parent).toMatch(/switchyard:test:Box::box$/);
});

test('what has always been called so has none', async () => {
  const registered = await registeredBy(() => new Box([volume('orders-data')]));
  expect(registered.find(({ name }) => name === 'orders-data')?.aliases).toEqual([]);
});

test('an old name that another declaration has by now would hand its resource over: refused', () => {
  expect(() => inOrder([volume('a', ['b']), volume('b')])).toThrow(
    '"a" was called "b" before, and so is another declaration now',
  );
});
