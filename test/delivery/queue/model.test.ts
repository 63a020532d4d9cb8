import fc from 'fast-check';
import type { Action } from '../../../delivery/queue/decide';
import { scaled } from '../../support/scale';
import { type Change, Simulated } from './simulated';

// Histories of pushes, approvals, labels, dependencies, direct pushes, tests that pass, fail and break off, and of decisions
// that are lost, done twice, late or in another order, against GitLab, Jenkins and git in memory. The queue has no memory, so
// that each look is one after a restart.

type Fate = 'once' | 'twice' | 'lost' | 'late';

type Event =
  | {
      readonly do: 'open';
      readonly project: number;
      readonly shared?: number;
      readonly bad: boolean;
      readonly approved: boolean;
      readonly needs?: number;
    }
  | { readonly do: 'push'; readonly which: number; readonly shared?: number; readonly bad: boolean }
  | { readonly do: 'close' | 'reopen' | 'retarget' | 'draft' | 'approve' | 'label'; readonly which: number }
  | { readonly do: 'depend' | 'together'; readonly which: number; readonly other: number }
  | { readonly do: 'push main'; readonly project: number; readonly shared: number; readonly bad: boolean }
  | { readonly do: 'finish' | 'break off' | 'lose' | 'complete' | 'arrive'; readonly which: number }
  | {
      readonly do: 'look';
      readonly fates: readonly Fate[];
      readonly reversed: boolean;
      readonly after: number;
    };

const which = fc.nat({ max: 9 });
const rarely = fc.nat({ max: 7 }).map((n) => n === 0);
const mostly = fc.nat({ max: 7 }).map((n) => n !== 0);
const shared = fc.option(fc.nat({ max: 1 }), { nil: undefined, freq: 3 });
const fate: fc.Arbitrary<Fate> = fc.oneof(
  { weight: 6, arbitrary: fc.constant<Fate>('once') },
  { weight: 1, arbitrary: fc.constantFrom<Fate>('twice', 'lost', 'late') },
);

const byPeople: fc.Arbitrary<Event> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('open' as const),
      project: fc.nat({ max: 1 }),
      shared,
      bad: rarely,
      approved: mostly,
      needs: fc.option(which, { nil: undefined, freq: 2 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('push' as const), which, shared, bad: rarely }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constantFrom('close', 'reopen', 'retarget', 'draft', 'approve', 'label'),
      which,
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('depend', 'together'), which, other: which }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('push main' as const),
      project: fc.nat({ max: 1 }),
      shared: fc.nat({ max: 1 }),
      bad: rarely,
    }),
  },
);
const byMachines: fc.Arbitrary<Event> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ do: fc.constant('finish' as const), which }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('break off' as const, 'lose' as const), which }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('complete' as const), which }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('arrive' as const), which }) },
);
const look: fc.Arbitrary<Event> = fc.record({
  do: fc.constant('look' as const),
  fates: fc.array(fate, { minLength: 1, maxLength: 8 }),
  reversed: rarely,
  after: fc.integer({ min: 0, max: 60_000 }),
});
const event: fc.Arbitrary<Event> = fc.oneof(
  { weight: 5, arbitrary: byPeople },
  { weight: 6, arbitrary: byMachines },
  { weight: 5, arbitrary: look },
);

const pick = <T>(list: readonly T[], at: number): T | undefined => list[at % Math.max(1, list.length)];

class History {
  readonly world = new Simulated();
  private late: Action[] = [];

  private person(
    change: Change,
    what: 'close' | 'reopen' | 'retarget' | 'draft' | 'approve' | 'label',
  ): void {
    if (change.state === 'merged' || change.merging) return;
    if (what === 'close') change.state = 'closed';
    else if (what === 'reopen') change.state = 'opened';
    else if (what === 'retarget') change.elsewhere = !change.elsewhere;
    else if (what === 'draft') change.draft = !change.draft;
    else if (what === 'approve') this.world.approve(change);
    else change.first = !change.first;
  }

  happen(given: Event, between: () => void = () => undefined): void {
    const { world } = this;
    switch (given.do) {
      case 'open': {
        if (world.changes.length >= 10) return;
        const project = pick(world.projects, given.project)?.project ?? '';
        const change = world.open(project, given);
        const need = given.needs === undefined ? undefined : pick(world.changes, given.needs);
        if (need && need !== change) change.needs.push({ project: need.project, iid: need.iid });
        break;
      }
      case 'push main':
        world.pushMain(pick(world.projects, given.project)?.project ?? '', given.shared, given.bad);
        break;
      case 'finish':
      case 'break off':
      case 'lose': {
        const found = pick(world.live, given.which);
        if (!found) return;
        if (given.do === 'finish') world.finish(found.change, found.run);
        else if (given.do === 'lose') world.lose(found.change, found.run);
        else world.breakOff(found.change, found.run);
        break;
      }
      case 'complete': {
        const change = pick(
          world.changes.filter(({ merging }) => merging),
          given.which,
        );
        if (change) world.complete(change);
        break;
      }
      case 'arrive': {
        const action = pick(this.late, given.which);
        this.late = this.late.filter((one) => one !== action);
        if (action) world.perform(action);
        break;
      }
      case 'look': {
        world.now += given.after;
        const { actions } = world.look();
        const order = given.reversed ? [...actions].reverse() : actions;
        order.forEach((action, index) => {
          const how = pick(given.fates, index) ?? 'once';
          between();
          if (how === 'late') this.late.push(action);
          if (how === 'once' || how === 'twice') world.perform(action);
          if (how === 'twice') world.perform(action);
        });
        break;
      }
      default: {
        const change = pick(world.changes, given.which);
        if (!change) return;
        if (given.do === 'push') world.push(change, given);
        else if (given.do === 'together') {
          const others = [...world.changes.map(({ content }) => content), ...world.direct];
          const other = pick(others, given.other);
          if (other && other !== change.content) world.together.push([change.content, other]);
        } else if (given.do === 'depend') {
          const other = pick(world.changes, given.other);
          if (other && other !== change && change.state === 'opened' && !change.merging)
            change.needs = [{ project: other.project, iid: other.iid }];
        } else this.person(change, given.do);
      }
    }
    world.check();
  }
}

test('whatever happens, main is what was tested, and every merge request is merged, taken out with its reason, or waits for a person', () => {
  let merges = 0;
  let taken = 0;
  fc.assert(
    fc.property(
      fc.array(event, { minLength: 10, maxLength: 90 }),
      // What happens between two deeds of one look.
      fc.array(fc.oneof(byPeople, byMachines), { maxLength: 30 }),
      (events, inBetween) => {
        const history = new History();
        const { world } = history;
        const waiting = [...inBetween];
        const between = () => {
          const next = waiting.shift();
          if (next) history.happen(next);
        };
        for (const given of events) history.happen(given, between);
        const places = world.settle();

        // Main's tree is always a tested one, but where people are told: see `complete` for each merge.
        const bases = world.merges.map(({ project, base }) => `${project} ${base}`);
        expect(new Set(bases).size).toBe(bases.length);
        for (const change of world.changes) {
          if (change.state !== 'opened' || change.elsewhere) continue;
          const place = places.find(({ project, iid }) => project === change.project && iid === change.iid);
          expect(place).toMatchObject({ state: 'held', why: expect.stringMatching(/\S/) });
          // Only for what a person has to do.
          const open = change.needs.filter((need) => world.find(need)?.state !== 'merged');
          const waits = change.out !== undefined || change.draft || !change.approved || open.length > 0;
          expect({ place, waits }).toMatchObject({ waits: true });
        }
        merges += world.merges.length;
        taken += world.projects.flatMap(({ ends }) => ends).filter((end) => end === 'taken out').length;
      },
    ),
    { numRuns: scaled({ usual: 300, all: 10_000 }) },
  );
  // The histories are such that something happens in them.
  expect(merges).toBeGreaterThan(300);
  expect(taken).toBeGreaterThan(30);
});

test('where nothing fails and nobody interferes, each is tested twice at most: when it came, and on those before it', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 6 }),
      fc.array(fc.nat({ max: 5 }), { maxLength: 40 }),
      (count, steps) => {
        const world = new Simulated(['g/a']);
        for (let i = 0; i < count; i++) {
          world.open('g/a');
          world.now += 1000;
        }
        world.check();
        for (const step of steps) {
          const found = pick(world.live, step);
          world.now += 1000;
          if (found && step % 2 === 0) world.finish(found.change, found.run);
          for (const action of world.look().actions) world.perform(action);
          for (const change of world.changes) world.complete(change);
        }
        world.settle();
        expect(world.changes.map(({ state }) => state)).toEqual(Array<string>(count).fill('merged'));
        for (const { iid } of world.changes) {
          const own = world.started.filter((line) => line.startsWith(`g/a!${iid} `));
          expect(own.length).toBeLessThanOrEqual(1);
        }
      },
    ),
    { numRuns: 100 },
  );
});

test('a hot fix that is put first while main moves goes by one test of its own, and nobody is merged before it', () => {
  let overtaken = 0;
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 5 }),
      fc.array(fc.nat({ max: 9 }), { maxLength: 40 }),
      fc.array(fc.nat({ max: 1 }), { maxLength: 3 }),
      // What the others' tests take: first ones may fill the window, and are stopped by nobody.
      fc.array(fc.nat({ max: 9 }), { maxLength: 3 }),
      (others, before, pushes, after) => {
        const world = new Simulated(['g/a']);
        const act = (step: number): void => {
          const found = pick(world.live, step);
          world.now += 1000;
          if (found && step % 2 === 0) world.finish(found.change, found.run);
          for (const action of world.look().actions) world.perform(action);
          for (const change of world.changes) world.complete(change);
        };
        for (let i = 0; i < others; i++) {
          world.open('g/a');
          world.now += 1000;
        }
        world.check();
        for (const step of before) act(step);

        const hot = world.open('g/a');
        hot.first = true;
        world.check();
        // While it is checked, main moves: by people, and by the queue.
        for (const shared of pushes) {
          world.pushMain('g/a', shared, false);
          act(1);
        }
        for (const run of [...hot.runs]) world.finish(hot, run);
        for (const change of world.changes) world.complete(change);
        const merges = world.merges.length;
        const waiting = world.changes.filter(({ state }) => state === 'opened').length - 1;

        for (let round = 0; hot.state === 'opened'; round++) {
          if (round > 5) throw new Error('it waits');
          for (const action of world.look().actions) world.perform(action);
          // What is stopped stops at once; whoever else is tested comes to an end or does not.
          for (const { change, run } of world.live)
            if (run.stopping || change === hot || (after[round] ?? 0) % 2 === 0) world.finish(change, run);
          for (const change of world.changes) world.complete(change);
        }
        expect(world.merges).toHaveLength(merges + 1);
        expect(
          world.started.filter((line) => line.startsWith(`${hot.project}!${hot.iid} `)).length,
        ).toBeLessThanOrEqual(1);
        if (waiting > 0) overtaken += 1;
        world.settle();
        expect(world.changes.map(({ state }) => state)).toEqual(world.changes.map(() => 'merged'));
      },
    ),
    { numRuns: scaled({ usual: 200, all: 2_000 }) },
  );
  expect(overtaken).toBeGreaterThan(20);
});
