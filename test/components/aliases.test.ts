import * as pulumi from '@pulumi/pulumi';
import { allAliases } from '@pulumi/pulumi/resource';
import { inOrder } from '../../components/shared/order';
import { Box, volume } from '../support/box';
import { registeredBy, settled } from '../support/registered';

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

// What the engine computes of the aliases that it is told (`allAliases` is the SDK's own account of it); the real engine
// does so in test/lab/programs/renames.test.ts.
describe('a component that is renamed', () => {
  const CLAIM = 'kubernetes:core/v1:PersistentVolumeClaim';
  const urn = (types: string, name: string): string => `urn:pulumi:stack::project::${types}::${name}`;

  /** URNs by which the engine finds what is below a component. */
  async function oldUrns(
    make: () => Box,
    child: string,
    aliases: readonly string[] = [],
  ): Promise<{ readonly own: readonly string[]; readonly below: readonly string[] }> {
    let box: Box | undefined;
    const found = { own: [] as string[], below: [] as string[] };
    await registeredBy(() => {
      box = make();
      return box;
    });
    const { __aliases: own = [], __name: name } = box as unknown as {
      readonly __aliases?: readonly pulumi.Input<string>[];
      readonly __name: string;
    };
    const below = allAliases(
      aliases.map((alias) => ({ name: alias })),
      child,
      CLAIM,
      box as Box,
      name,
    );
    for (const one of own) found.own.push(await settled(pulumi.output(one)));
    for (const one of below) found.below.push(await settled(pulumi.output(one)));
    return found;
  }

  test('is found by its old name, and so is what begins with that', async () => {
    const make = () => new Box([volume('box-data')], { aliases: [{ name: 'crate' }] });
    const { own, below } = await oldUrns(make, 'box-data');
    expect(own).toEqual([urn('switchyard:test:Box', 'crate')]);
    expect(below).toEqual([urn(`switchyard:test:Box$${CLAIM}`, 'crate-data')]);
    const told = await registeredBy(make);
    expect(told.find(({ name }) => name === 'box')?.aliases).toEqual(['crate']);
  });

  test('is found by its old type, with what is below it', async () => {
    const make = () => new Box([volume('box-data')], { aliases: [{ type: 'switchyard:test:Crate' }] });
    const { own, below } = await oldUrns(make, 'box-data');
    expect(own).toEqual([urn('switchyard:test:Crate', 'box')]);
    expect(below).toEqual([urn(`switchyard:test:Crate$${CLAIM}`, 'box-data')]);
  });

  test('is found with what was renamed below it at the same time', async () => {
    const make = () => new Box([volume('data', ['storage'])], { aliases: [{ name: 'crate' }] });
    const { below } = await oldUrns(make, 'data', ['storage']);
    expect(below).toContain(urn(`switchyard:test:Box$${CLAIM}`, 'storage'));
  });

  test('is another one without an alias', async () => {
    const { own, below } = await oldUrns(() => new Box([volume('box-data')]), 'box-data');
    expect([own, below]).toEqual([[], []]);
  });
});
