import { createColors } from 'picocolors';
import { elapsed, Progress } from '../../../operations/cli/progress';
import { begins, ends, fails, type StepOf, says, urnOf } from '../../support/events';

const plain = createColors(false);
const type = 'kubernetes:apps/v1:Deployment';
const step = (name: string, op: StepOf['op'] = 'create'): StepOf => ({ op, type, name, after: {} });
const size = { columns: 200, rows: 24 };

test('each resource that is finished gets one line, with the time it took', () => {
  const progress = new Progress('up of test', plain, 0);
  expect(progress.take(begins(step('a')), 1000)).toEqual([]);
  expect(progress.take(begins(step('b')), 1000)).toEqual([]);
  expect(progress.take(ends(step('a')), 3500)).toEqual(['✓ create     Deployment             a  2.5 s']);
  expect(progress.take(fails(step('b')), 66_000)).toEqual([
    '✗ create     Deployment             b  1 min 05 s',
  ]);
});

test('what stays as it is, boxes and providers get none', () => {
  const progress = new Progress('up of test', plain, 0);
  expect(progress.take(ends(step('a', 'same')), 1)).toEqual([]);
  expect(progress.take(ends({ ...step('b'), type: 'switchyard:jenkins:Jenkins' }), 1)).toEqual([]);
  expect(progress.take(ends({ ...step('c'), type: 'pulumi:providers:docker' }), 1)).toEqual([]);
  expect(progress.take(ends(step('d', 'replace')), 1)).toEqual([]);
});

test('a preview has done nothing, so it claims nothing', () => {
  const progress = new Progress('preview of test', plain, 0);
  expect(progress.take(ends(step('a'), true), 1)).toEqual([]);
});

test('the block says what is under way, for how long, and what it waits for', () => {
  const progress = new Progress('up of test', plain, 0);
  progress.take(ends(step('s', 'same')), 500);
  progress.take(begins(step('a')), 1000);
  progress.take(says('info', '[1/2] Waiting for 2 Pods\nmore', urnOf('production', type, 'a')), 2000);
  expect(progress.block(21_000, size)).toEqual([
    'up of test: 0 done, 1 unchanged, 1 under way, 21 s',
    '  create     Deployment             a  20 s  [1/2] Waiting for 2 Pods',
  ]);
  progress.take(ends(step('a')), 22_000);
  expect(progress.block(22_000, size)).toHaveLength(1);
});

test('the block never outgrows its terminal', () => {
  const progress = new Progress('up of test', plain, 0);
  for (let index = 0; index < 50; index++) progress.take(begins(step(`resource-${index}`)), 0);
  const block = progress.block(1000, { columns: 40, rows: 10 });
  expect(block.length).toBeLessThan(10);
  expect(block.at(-1)).toBe('  and 43 more');
  expect(Math.max(...block.map((line) => line.length))).toBeLessThan(40);
});

test.each([
  [400, '0.4 s'],
  [9949, '9.9 s'],
  [9960, '10 s'],
  [59_400, '59 s'],
  [60_000, '1 min 00 s'],
  [185_000, '3 min 05 s'],
])('%d milliseconds are %s', (milliseconds, text) => {
  expect(elapsed(milliseconds)).toBe(text);
});
