import fc from 'fast-check';
import { pauseAfter } from '../../../delivery/reconcile/run';
import { BLIND, SEES } from '../../../delivery/reconcile/words';
import { AGENTLESS, BROKE_OFF, QUEUED, STARTED, targetOf } from '../../../delivery/status';
import { scaled } from '../../support/scale';
import { DIED, Simulated } from './simulated';

// Histories of lost, doubled, delayed and reordered hooks, of builds that end without a word, and of a reconciler that is
// started anew, against GitLab and Jenkins in memory.

const MINUTE = 60_000;

jest.setTimeout(scaled({ usual: 60_000, all: 1_800_000 }));

/** How many of each kind, and which; more and others by `RECONCILE_HISTORIES` and `RECONCILE_SEED`. */
const HISTORIES = {
  numRuns: Number(process.env.RECONCILE_HISTORIES ?? scaled({ usual: 60, all: 20_000 })),
  ...(process.env.RECONCILE_SEED ? { seed: Number(process.env.RECONCILE_SEED) } : {}),
};

type Event =
  | { readonly do: 'open' | 'restart' }
  | { readonly do: 'push' | 'step' | 'red' | 'outage' | 'removal' | 'crash'; readonly which: number }
  | { readonly do: 'close' | 'reopen' | 'retarget' | 'merge'; readonly which: number }
  /** A push that brings back what was there before. */
  | { readonly do: 'back'; readonly which: number }
  /** The reconciler dies at one of its next requests. */
  | { readonly do: 'die'; readonly requests: number; readonly heard: boolean }
  | { readonly do: 'hook'; readonly which: number; readonly how: 'once' | 'twice' | 'never' }
  | { readonly do: 'look'; readonly after: number };

const which = fc.nat({ max: 7 });
const event: fc.Arbitrary<Event> = fc.oneof(
  { weight: 2, arbitrary: fc.constant<Event>({ do: 'open' }) },
  { weight: 1, arbitrary: fc.constant<Event>({ do: 'restart' }) },
  { weight: 2, arbitrary: which.map((at): Event => ({ do: 'push', which: at })) },
  { weight: 8, arbitrary: which.map((at): Event => ({ do: 'step', which: at })) },
  { weight: 1, arbitrary: which.map((at): Event => ({ do: 'red', which: at })) },
  { weight: 2, arbitrary: which.map((at): Event => ({ do: 'crash', which: at })) },
  { weight: 2, arbitrary: which.map((at): Event => ({ do: 'outage', which: at })) },
  { weight: 2, arbitrary: which.map((at): Event => ({ do: 'removal', which: at })) },
  {
    weight: 4,
    arbitrary: fc
      .record({ which, how: fc.constantFrom('once', 'twice', 'never') })
      .map((given): Event => ({ do: 'hook', ...given }) as Event),
  },
  {
    weight: 4,
    arbitrary: fc.integer({ min: 1, max: 90 }).map((s): Event => ({ do: 'look', after: s * 1000 })),
  },
);

/** What people do to merge requests beside, and what becomes of the reconciler in the midst of a look. */
const more: fc.Arbitrary<Event> = fc.oneof(
  { weight: 12, arbitrary: event },
  {
    weight: 4,
    arbitrary: fc
      .record({ which, how: fc.constantFrom('close', 'reopen', 'retarget', 'merge', 'back') })
      .map((given): Event => ({ do: given.how, which: given.which }) as Event),
  },
  {
    weight: 1,
    arbitrary: fc
      .record({ requests: fc.nat({ max: 12 }), heard: fc.boolean() })
      .map((given): Event => ({ do: 'die', ...given })),
  },
);

/** What the reconciler keeps an eye on. */
const worlds = {
  'each for itself': () => new Simulated(),
  'in the merge queue': () => new Simulated(true),
  'previews of the topology': () => Object.assign(new Simulated(), { previews: true }),
};
type How = keyof typeof worlds;

const pick = <T>(list: readonly T[], at: number): T | undefined => list[at % Math.max(1, list.length)];

/** What happens without the reconciler. */
function happen(world: Simulated, given: Event): void {
  switch (given.do) {
    case 'open':
      if (world.requests.length < 5) world.open();
      return;
    case 'push': {
      const request = pick(world.requests, given.which);
      if (request) world.push(request);
      return;
    }
    case 'back':
    case 'close':
    case 'reopen':
    case 'retarget':
    case 'merge': {
      const request = pick(world.requests, given.which);
      if (request) change(world, request, given.do);
      return;
    }
    case 'die':
      world.dies = { requests: given.requests, heard: given.heard };
      return;
    case 'step':
    case 'red':
    case 'outage':
    case 'removal':
    case 'crash': {
      const build = pick(world.live, given.which);
      if (!build) return;
      if (given.do === 'crash') world.crash(build);
      else if (given.do === 'outage' || given.do === 'removal') world.outage(build, given.do === 'removal');
      else world.step(build, given.do === 'step');
      return;
    }
    case 'hook': {
      const hook = pick(world.hooks, given.which);
      if (!hook) return;
      world.hooks = world.hooks.filter((one) => one !== hook);
      if (given.how !== 'never') world.arrive(hook);
      if (given.how === 'twice') world.arrive(hook);
    }
  }
}

function change(
  world: Simulated,
  request: Simulated['requests'][number],
  how: 'back' | 'close' | 'reopen' | 'retarget' | 'merge',
): void {
  const { target_branch: target, source_branch: branch, heads, sha } = request;
  if (how === 'close') world.close(request);
  else if (how === 'reopen') world.reopen(request);
  else if (how === 'back') world.push(request, heads[heads.indexOf(sha) - 1] ?? heads.at(-1));
  // The queue's own tests have it.
  else if (how === 'retarget' && !world.queues)
    world.retarget(request, target === 'main' ? 'release' : 'main');
  else if (how === 'merge' && world.previews && request.state === 'opened')
    if (world.newest(sha, branch)?.status === 'success') world.mergeNow(request);
}

/** Lets everything come to its end: no hook arrives any more, and builds do what they do. */
async function settle(world: Simulated): Promise<void> {
  world.hooks = [];
  world.dies = undefined;
  const reconciler = world.reconciler();
  for (let round = 0; round < 20; round++) {
    world.now += MINUTE;
    await reconciler.look();
    while (world.live.length > 0) for (const build of world.live) world.step(build);
    world.hooks = [];
  }
}

/** @param inBetween what happens between two requests of one look */
async function live(world: Simulated, events: readonly Event[], inBetween: readonly Event[]): Promise<void> {
  let reconciler = world.reconciler();
  const waiting = [...inBetween];
  world.between = () => {
    const next = waiting.shift();
    if (next && next.do !== 'look' && next.do !== 'restart') happen(world, next);
  };
  for (const given of events) {
    if (given.do === 'restart') reconciler = world.reconciler();
    else if (given.do === 'look') {
      world.now += given.after;
      await reconciler.look();
    } else happen(world, given);
  }
  world.between = () => undefined;
  await settle(world);
}

function expectAllEnded(world: Simulated): void {
  for (const { beside } of world.starts) expect(beside).toEqual([]);
  for (const { state, target_branch: target, sha: commit, source_branch: branch } of world.requests) {
    const newest = world.newest(commit, branch);
    // What is closed, or is to be merged elsewhere, nobody waits for.
    if (state !== 'merged' && (state !== 'opened' || target !== 'main')) continue;
    expect({ state, ended: world.ended(commit, branch) }).toEqual({ state, ended: true });
    if (state !== 'opened') continue;
    // What the infrastructure did is nobody's end, nor is it that it was closed for a while.
    expect(newest?.status).not.toBe('canceled');
    if (world.previews) {
      if (!newest?.description?.startsWith(BROKE_OFF)) expect(targetOf(newest?.description)).toBe('main');
      continue;
    }
    // Open only with a verdict that is not green, or after having been green in vain as often as it is tried.
    const green = world.posted.filter((one) => one.ref === branch && one.status === 'success');
    expect(newest?.status === 'success' ? green.length : 3).toBeGreaterThanOrEqual(3);
  }
  // What waits in the queue is no build that died, and nobody is left waiting.
  expect(world.queue).toEqual([]);
  expect(world.queues ? world.wronged : []).toEqual([]);
  if (world.merged.size > 0) expect(world.ended(world.main, 'main')).toBe(true);
  // Nothing says for ever that it goes on, of commits that are no heads any more either.
  for (const { sha: commit, ref, name } of world.posted) {
    const left = world.newest(commit, ref ?? '', name);
    // Of a start in whose midst the reconciler died there is nothing to be found, once nobody waits for it.
    if (left?.description?.startsWith(STARTED) && world.said.some((line) => line.endsWith(DIED))) continue;
    expect(left?.status).not.toMatch(/pending|running/);
  }
  expect(world.live).toEqual([]);
  const fit = new RegExp(`: (started orders|[0-9a-f]{12} failed|${BLIND}: ${DIED}$)|^${SEES}$`);
  expect(world.said.filter((line) => !fit.test(line))).toEqual([]);
}

test.each(Object.keys(worlds) as How[])(
  '%s: whatever happens to hooks, builds and the reconciler, every merge request and every head of main comes to its end, and nothing is done twice',
  async (how) => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(more, { maxLength: 60 }),
        fc.array(more, { maxLength: 30 }),
        async (events, inBetween) => {
          const world = worlds[how]();
          await live(world, events, inBetween);
          expectAllEnded(world);
        },
      ),
      HISTORIES,
    );
  },
);

const at = (what: 'step' | 'push' | 'crash', which = 0): Event => ({ do: what, which });

test.each<[string, readonly Event[], readonly Event[]]>([
  [
    'one of two builds of a head merges it in the midst of a look, and the other one dies',
    [{ do: 'open' }, { do: 'look', after: 1000 }, at('step')],
    [
      at('push'),
      { do: 'hook', which: 0, how: 'twice' },
      at('step'),
      at('step'),
      at('step', 3),
      at('crash', 3),
    ],
  ],
])('a history that once failed: %s', async (_what, events, inBetween) => {
  const world = worlds['each for itself']();
  await live(world, events, inBetween);
  expectAllEnded(world);
});

test.each(Object.keys(worlds) as How[])(
  '%s: a build that gets no agent is told, one that waits for others is not, and both come to their end',
  async (how) => {
    const agents = fc.oneof(
      { weight: 6, arbitrary: event },
      { weight: 2, arbitrary: fc.constant<Event>({ do: 'hook', which: 0, how: 'once' }) },
      { weight: 3, arbitrary: fc.constant<Event>({ do: 'look', after: 100_000 }) },
      {
        weight: 1,
        arbitrary: fc.constantFrom<{ do: 'break' } | { do: 'mend' }>({ do: 'break' }, { do: 'mend' }),
      },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(agents, { maxLength: 120, size: 'max' }), async (events) => {
        const world = worlds[how]();
        world.most = 2;
        const reconciler = world.reconciler();
        /** How many had an agent, since when. */
        const held: { at: number; many: number }[] = [];
        const look = async (after: number) => {
          world.now += after;
          await reconciler.look();
        };
        for (const given of events) {
          if (given.do === 'break' || given.do === 'mend') world.broken = given.do === 'break';
          // Slower than real ones, so that histories of an hour are short.
          else if (given.do === 'look') await look(given.after * 6);
          else if (given.do === 'step' || given.do === 'red') {
            const build = pick(world.live, given.which);
            if (build && world.mayStep(build)) world.step(build, given.do === 'step');
          } else if (given.do !== 'restart') happen(world, given);
          // What lasts for no time is no want of room.
          if (held.at(-1)?.at === world.now) held.pop();
          held.push({ at: world.now, many: world.held.length });
        }
        for (const { build, at } of world.told) {
          expect(build.stage).toBe('waiting');
          const from = at - 15 * MINUTE;
          expect(from).toBeGreaterThanOrEqual(build.startedAt);
          const first = held.findLastIndex((one) => one.at <= from);
          for (const one of held.slice(Math.max(first, 0)).filter((one) => one.at < at))
            expect(one.many).toBeLessThan(world.most);
        }

        world.broken = true;
        while (world.held.length > 0) for (const build of world.held) world.step(build);
        world.hooks = [];
        for (let looks = 0; looks < 50; looks++) await look(5 * MINUTE);
        // Behind one that is told it waits for its turn.
        for (const { state, sha: head, source_branch: branch } of world.requests)
          if (state === 'opened' && !world.newest(head, branch)?.description?.startsWith(QUEUED))
            expect(world.ended(head, branch)).toBe(true);
        for (const { action, commit } of world.live)
          if (action === 'PUSH' && commit === world.main) expect(world.ended(commit, 'main')).toBe(true);
        // Said once, as long as nothing else is.
        for (const { commit, ref } of world.words) {
          const words = world.words.filter((one) => one.commit === commit && one.ref === ref);
          words.forEach(({ description }, at) => {
            if (description.startsWith(AGENTLESS))
              expect(words[at - 1]?.description ?? '').not.toMatch(AGENTLESS);
          });
        }

        world.broken = false;
        await settle(world);
        for (const { state, sha: head, source_branch: branch } of world.requests)
          if (state === 'opened')
            expect(world.newest(head, branch)?.description ?? '').not.toMatch(AGENTLESS);
        expect(world.queue).toEqual([]);
        expect(world.live).toEqual([]);
      }),
      HISTORIES,
    );
  },
);

test('a build that queues and took a newer head than it was started for is not taken for dead', async () => {
  const world = new Simulated(true);
  const request = world.open();
  for (const hook of world.hooks.splice(0)) world.arrive(hook);
  world.push(request);
  world.hooks = [];
  const [build] = world.live;
  for (let step = 0; step < 2 && build; step++) world.step(build);
  world.now += MINUTE;
  await world.reconciler().look();
  expect(world.builds).toHaveLength(1);
  expect(world.wronged).toEqual([]);
});

test.each(['each for itself', 'previews of the topology'] as const)(
  '%s: where hooks arrive and builds come to their end, the reconciler starts nothing and posts nothing',
  async (how) => {
    await fc.assert(
      fc.asyncProperty(fc.array(more, { maxLength: 60 }), async (events) => {
        const world = worlds[how]();
        const reconciler = world.reconciler();
        for (const given of events) {
          if (['crash', 'outage', 'removal', 'restart', 'die', 'retarget'].includes(given.do)) continue;
          if (given.do === 'look') {
            for (const hook of world.hooks.splice(0)) world.arrive(hook);
            world.now += given.after;
            await reconciler.look();
          } else if (given.do !== 'hook') happen(world, given);
          for (const build of world.live) if (build.stage === 'reported') world.step(build);
        }
        expect(world.starts).toEqual([]);
        expect(world.said).toEqual([]);
      }),
      { numRuns: scaled({ usual: 30, all: 1000 }) },
    );
  },
);

test('with every hook dropped, what is missing is started after 75 seconds at most', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 0, max: 200_000 }),
      fc.integer({ min: 0, max: 4000 }),
      async (opened, took) => {
        const world = new Simulated();
        const reconciler = world.reconciler();
        const began = world.now;
        let request: ReturnType<Simulated['open']> | undefined;
        let at = 0;
        while (at < opened + 80_000 && world.starts.length === 0) {
          const pause = pauseAfter(took, await reconciler.look());
          const next = at + took + pause;
          if (!request && next >= opened) {
            world.now = began + opened;
            request = world.open();
            world.hooks = [];
          }
          at = next;
          world.now = began + at;
        }
        expect(world.starts.map(({ hook }) => hook.commit)).toEqual([request?.sha]);
        expect((world.starts[0]?.at ?? 0) - began - opened).toBeLessThanOrEqual(75_000);
      },
    ),
    { numRuns: scaled({ usual: 30, all: 1000 }) },
  );
});
