import { exitCode } from '../../../clients/failure';
import { QueueWatch, type Useless, type Watching, watchQueue } from '../../../delivery/queue/watch';
import type { Context } from '../../../delivery/verify';
import { green } from '../certificates';
import { gitlabOf, PROOF, queued, request } from './asked';

// The loop of the watch; what it looks at is tested with builds, in `turns.test.ts`.

const USELESS: Useless = { code: exitCode.again, why: 'place 1 of 1; to be tested' };

/** A test that ends after so many milliseconds, in a time that passes by sleeping only. */
function beside(
  endsAfter: number,
  look: (now: number) => Promise<Useless | undefined>,
  end: () => Promise<void> = async () => undefined,
) {
  let now = 0;
  const seen = { looks: [] as number[], ended: [] as Useless[], said: [] as string[], now: () => now };
  const watching: Watching = {
    look: () => {
      seen.looks.push(now);
      return look(now);
    },
    end: async (useless) => {
      await end();
      seen.ended.push(useless);
    },
    ended: () => now >= endsAfter,
    say: (line) => seen.said.push(line),
    sleep: async (milliseconds) => {
      now += milliseconds;
    },
  };
  return { seen, run: () => watchQueue(watching) };
}

it('looks every five seconds, and ends half a second after the test at the latest', async () => {
  const { seen, run } = beside(17_700, async () => undefined);
  expect(await run()).toBeUndefined();
  // A look takes a second here.
  expect(seen.looks).toEqual([0, 6000, 12_000]);
  expect(seen.now()).toBe(18_000);
});

it('ends a status once, and with it the watch', async () => {
  const { seen, run } = beside(60_000, async (now) => (now >= 10_000 ? USELESS : undefined));
  expect(await run()).toEqual(USELESS);
  expect(seen.ended).toEqual([USELESS]);
});

it('a test that has ended is left to its verdict, though a look still goes on or says otherwise', async () => {
  const never = beside(3000, () => new Promise(() => undefined));
  expect(await never.run()).toBeUndefined();
  expect(never.seen.now()).toBeLessThanOrEqual(3500);
  const late = beside(3000, () => new Promise((resolve) => setTimeout(() => resolve(USELESS), 50)));
  expect(await late.run()).toBeUndefined();
  expect([...never.seen.ended, ...late.seen.ended]).toEqual([]);
  // Nobody is there any more to hear of it.
  const fails = beside(
    1000,
    () => new Promise((_, reject) => setTimeout(() => reject(new Error('late')), 20)),
  );
  expect(await fails.run()).toBeUndefined();
  await new Promise((resolve) => setTimeout(resolve, 40));
  expect(fails.seen.said).toEqual([]);
});

it('a GitLab that does not answer stops nothing, is told once, and is asked less often', async () => {
  const { seen, run } = beside(200_000, async (now) => {
    if (now < 100_000) throw new Error('GitLab answered 503.\nmore');
    return now < 150_000 ? undefined : USELESS;
  });
  expect(await run()).toEqual(USELESS);
  expect(seen.said).toEqual(['whether the test is still wanted cannot be told: GitLab answered 503.']);
  expect(seen.looks.slice(0, 4)).toEqual([0, 31_000, 62_000, 93_000]);
});

it('where the status cannot be ended the test goes on until it can', async () => {
  let tries = 0;
  const { seen, run } = beside(
    200_000,
    async () => USELESS,
    async () => {
      if (++tries < 3) throw new Error('GitLab answered 500.');
    },
  );
  expect(await run()).toEqual(USELESS);
  expect(tries).toBe(3);
  expect(seen.looks).toHaveLength(3);
});

it('a first test goes on where a person merged it before its verdict; one in the queue does not', async () => {
  const merged = request(green.mergeRequest, { state: 'merged', sha: green.headSha });
  const { gitlab } = gitlabOf({});
  const asked = { ...gitlab, mergeRequest: async () => merged };
  const context = {
    gitlab: asked,
    gitlabUrl: 'https://g',
    token: '',
    say: () => undefined,
  } as unknown as Context;
  expect(await new QueueWatch(context, green, undefined).look()).toBeUndefined();
  const { project, mergeRequest } = green;
  const gate = { project, mergeRequest, most: 8, proof: PROOF, folder: '/nowhere' };
  const certificate = queued(mergeRequest, { headSha: green.headSha });
  expect(await new QueueWatch(context, certificate, gate).look()).toEqual({
    code: exitCode.nothing,
    why: 'merged by another build',
  });
});
