import { Refusal } from '../../../operations/cli/refusal';
import { Terminal } from '../../../operations/cli/terminal';
import { releaseLines, releases, rollback } from '../../../operations/releases/releases';

test('releases are a table, newest first, in which nobody else’s text moves the cursor', () => {
  const row = { module: 'shop', mergeRequest: 7, held: false } as const;
  const image = `registry.test/modules/shop@sha256:${'d'.repeat(64)}`;
  expect(
    releaseLines('production', [
      {
        ...row,
        commit: 'b'.repeat(40),
        image,
        at: '2026-11-28T10:00:00Z',
        by: 'ada\u001b[2J',
        state: 'undone',
        why: 'it crashed',
      },
      {
        ...row,
        commit: 'a'.repeat(40),
        image,
        at: '2026-11-27T10:00:00Z',
        by: 'ben',
        state: 'current',
        held: true,
      },
      { module: 'shop', commit: '9'.repeat(12), state: 'rolled back', held: false, why: 'rolled back' },
    ]),
  ).toEqual([
    'module  commit        digest        mr  when                  who      state',
    'shop    bbbbbbbbbbbb  dddddddddddd  !7  2026-11-28T10:00:00Z  ada?[2J  undone: it crashed',
    'shop    aaaaaaaaaaaa  dddddddddddd  !7  2026-11-27T10:00:00Z  ben      current, held',
    'shop    999999999999  -             -   -                     -        rolled back',
  ]);
  expect(releaseLines('production', [])).toEqual(['nothing was released to production yet']);
});

test('a module that the environment does not have is one clear fault, before anything is asked', async () => {
  for (const work of [
    () => releases('lab', 'ordes'),
    () => rollback('lab', 'ordes', { yes: true }, new Terminal()),
  ]) {
    const fault = await work().catch((error: unknown) => error);
    expect(fault).toBeInstanceOf(Refusal);
    expect(fault).toMatchObject({
      code: 2,
      message: 'there is no module "ordes" in lab. Did you mean "orders"?',
    });
  }
});

test('without a token nothing is said to have no release', async () => {
  const { GITLAB_TOKEN: token } = process.env;
  delete process.env.GITLAB_TOKEN;
  try {
    for (const work of [
      () => releases('lab'),
      () => rollback('lab', 'orders', { yes: true }, new Terminal()),
    ])
      await expect(work()).rejects.toMatchObject({
        code: 2,
        message: expect.stringContaining('GITLAB_TOKEN is not set'),
      });
  } finally {
    if (token !== undefined) process.env.GITLAB_TOKEN = token;
  }
});
