import fc from 'fast-check';
import { pauseAfter } from '../../../delivery/reconcile/run';
import { AGENTLESS, QUEUED } from '../../../delivery/status';
import { Simulated } from './simulated';

// Histories of lost, doubled, delayed and reordered hooks, of builds that end without a word, and of a reconciler that is
// started anew, against GitLab and Jenkins in memory.

const MINUTE = 60_000;

type Event =
  | { readonly do: 'open' | 'restart' }
  | { readonly do: 'push' | 'step' | 'red' | 'outage' | 'removal' | 'crash'; readonly which: number }
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

/** Lets everything come to its end: no hook arrives any more, and builds do what they do. */
async function settle(world: Simulated): Promise<void> {
  world.hooks = [];
  const reconciler = world.reconciler();
  for (let round = 0; round < 20; round++) {
    world.now += MINUTE;
    await reconciler.look();
    while (world.live.length > 0) for (const build of world.live) world.step(build);
    world.hooks = [];
  }
}

test.each([
  ['each for itself', false],
  ['in the merge queue', true],
])(
  '%s: whatever happens to hooks and builds, every merge request and every head of main comes to its end, and nothing is done twice',
  async (_how, queues) => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(event, { maxLength: 60 }),
        // What happens between two requests of one look.
        fc.array(event, { maxLength: 30 }),
        async (events, inBetween) => {
          const world = new Simulated(queues);
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

          for (const { beside } of world.starts) expect(beside).toEqual([]);
          for (const { state, sha: commit, source_branch: branch } of world.requests) {
            expect({ state, ended: world.ended(commit, branch) }).toEqual({ state, ended: true });
            // What the infrastructure did is nobody's end.
            if (state === 'opened') expect(world.newest(commit, branch)?.status).not.toBe('canceled');
            // Open only with a verdict that is not green, or after having been green in vain as often as it is tried.
            if (state === 'opened') {
              const green = world.posted.filter((one) => one.ref === branch && one.status === 'success');
              expect(
                world.newest(commit, branch)?.status === 'success' ? green.length : 3,
              ).toBeGreaterThanOrEqual(3);
            }
          }
          // What waits in the queue is no build that died, and nobody is left waiting.
          expect(world.queue).toEqual([]);
          expect(queues ? world.wronged : []).toEqual([]);
          if (world.merged.size > 0) {
            expect(world.ended(world.main, 'main')).toBe(true);
          }
          // Nothing says for ever that it goes on, of commits that are no heads any more either.
          for (const { commit, iid } of world.builds) {
            const left = world.newest(commit, iid === undefined ? 'main' : `change-${iid}`);
            expect(left?.status ?? 'canceled').not.toMatch(/pending|running/);
          }
          expect(world.live).toEqual([]);
          expect(world.said.filter((line) => !/: (started orders|[0-9a-f]{12} failed)/.test(line))).toEqual(
            [],
          );
        },
      ),
      { numRuns: Number(process.env.RECONCILE_HISTORIES ?? 200) },
    );
  },
);

test.each([
  ['each for itself', false],
  ['in the merge queue', true],
])(
  '%s: a build that gets no agent is told, one that waits for others is not, and both come to their end',
  async (_how, queues) => {
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
        const world = new Simulated(queues);
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
      { numRuns: Number(process.env.RECONCILE_HISTORIES ?? 200) },
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

test('where hooks arrive and builds come to their end, the reconciler starts nothing and posts nothing', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(event, { maxLength: 60 }), async (events) => {
      const world = new Simulated();
      const reconciler = world.reconciler();
      for (const given of events) {
        if (['crash', 'outage', 'removal', 'restart'].includes(given.do)) continue;
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
    { numRuns: 100 },
  );
});

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
    { numRuns: 100 },
  );
});
