import { findModule } from '../../../catalog/load';
import { untilNoneMigrates } from '../../../operations/judge/migration-jobs';
import { noTime } from '../../support/clock';
import { testModel } from '../../support/model';

// A migration that a run before left running is waited for, so that no run takes its Pod away.

const shop = findModule(testModel().catalog, 'shop');
const running = { metadata: { name: 'shop-migrate-b' }, status: {} };
const over = {
  metadata: { name: 'shop-migrate-a' },
  status: { conditions: [{ type: 'Complete', status: 'True' }] },
};

async function waited(...looks: (readonly unknown[])[]) {
  const clock = noTime();
  let count = 0;
  const notes: string[] = [];
  await untilNoneMigrates(
    [{ module: shop, seconds: 900 }],
    async () => looks[Math.min(count++, looks.length - 1)] ?? [],
    (text) => notes.push(text),
    clock,
  );
  return { seconds: clock.now() / 1000, notes };
}

test('nothing is waited for where none runs', async () => {
  expect(await waited([])).toEqual({ seconds: 0, notes: [] });
  expect(await waited([over])).toEqual({ seconds: 0, notes: [] });
});

test('one that runs is waited for, which is told once', async () => {
  expect(await waited([over, running], [over, running], [over])).toEqual({
    seconds: 4,
    notes: ['A run before was ended in the middle of the migration shop-migrate-b; it is waited for.'],
  });
});

test('one that Kubernetes does not end stops the run', async () => {
  await expect(waited([running])).rejects.toThrow(
    'the migration shop-migrate-b goes on beyond its 900 s: look at its Pod',
  );
});
