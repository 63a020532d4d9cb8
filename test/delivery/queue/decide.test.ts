import { type Action, decide, type Place } from '../../../delivery/queue/decide';
import { nameOf } from '../../../delivery/queue/order';
import { LONGEST_PAUSE_MS, PAUSE_MS } from '../../../delivery/status';
import { type Change, Simulated } from './simulated';

const A = 'g/a';
const B = 'g/b';
const CHANGED = 'what it is tested with has changed, or it is tested twice';

/** As people would tell it: `test !2 on !1`. */
function told(actions: readonly Action[]): string[] {
  const short = (name: string): string => name.replaceAll(`${A}!`, '!');
  return actions.map((action) => {
    const name = short(nameOf(action.request));
    if (action.do === 'test') return `test ${name} on ${short(action.ahead.map(nameOf).join(' ')) || 'main'}`;
    if (action.do === 'merge') return `merge ${name}`;
    return `${action.do} ${name}: ${action.why}`;
  });
}

/** So many changes that were checked green on main, ready one after the other. */
function ready(count: number, world = new Simulated([A, B], 6), project = A): [Simulated, ...Change[]] {
  const changes = Array.from({ length: count }, () => world.open(project));
  world.check();
  for (const { change, run } of [...world.live]) world.finish(change, run);
  return [world, ...changes];
}

const look = (world: Simulated): string[] => {
  const { actions } = world.look();
  for (const action of actions) world.perform(action);
  return told(actions);
};
const finish = (world: Simulated, change: Change | undefined): void => {
  for (const run of [...(change?.runs ?? [])]) if (change) world.finish(change, run);
};
const placesOf = (world: Simulated): Place[] => world.look().queues.flatMap(({ places }) => places);
const place = (world: Simulated, change: Change | undefined): Place | undefined =>
  placesOf(world).find((one) => change && nameOf(one) === nameOf(change));

it('one alone that was green on main is merged at once, and not tested a second time', () => {
  const [world, only] = ready(1);
  expect(look(world)).toEqual(['merge !1']);
  if (only) world.complete(only);
  expect(only?.state).toBe('merged');
  expect(look(world)).toEqual([]);
});

it('six at once: the first is merged by its first test, the others side by side, each on those before it', () => {
  const [world, first, ...others] = ready(6);
  expect(look(world)).toEqual(['merge !1', 'test !2 on !1', 'test !3 on !1 !2', 'test !4 on !1 !2 !3']);
  if (first) world.complete(first);
  // What was tested on the first is still right: main has that tree now. The window has grown.
  expect(look(world)).toEqual(['test !5 on !2 !3 !4', 'test !6 on !2 !3 !4 !5']);
  for (const change of others) finish(world, change);
  for (const change of others) {
    expect(look(world)).toEqual([`merge !${change.iid}`]);
    world.complete(change);
  }
  expect(world.started).toHaveLength(5);
});

it('a culprit in the middle of five: only those behind it are tested once more, at once, and it is taken out with its own reason', () => {
  const world = new Simulated([A], 6);
  const changes = Array.from({ length: 5 }, () => world.open(A));
  const [one, two, three, four, five] = changes;
  world.together.push([one?.content ?? '', three?.content ?? '']);
  ready(0, world);
  expect(look(world)).toEqual(['merge !1', 'test !2 on !1', 'test !3 on !1 !2', 'test !4 on !1 !2 !3']);
  if (one) world.complete(one);
  expect(look(world)).toEqual(['test !5 on !2 !3 !4']);
  finish(world, three);
  // Whether it was the second one's fault is not known yet; nobody waits for that.
  expect(place(world, three)).toMatchObject({ at: 2, state: 'failed', why: `${three?.content} fails` });
  expect(look(world)).toEqual([
    `stop !4: ${CHANGED}`,
    'test !4 on !2',
    `stop !5: ${CHANGED}`,
    'test !5 on !2 !4',
  ]);
  finish(world, two);
  expect(look(world)).toEqual(['merge !2']);
  if (two) world.complete(two);
  expect(look(world)).toEqual([`take out !3: ${three?.content} fails`]);
  expect(place(world, three)).toEqual({
    project: A,
    iid: 3,
    state: 'held',
    with: [],
    why: `${three?.content} fails`,
  });
  finish(world, four);
  finish(world, five);
  world.settle();
  expect(changes.map(({ state }) => state)).toEqual(['merged', 'merged', 'opened', 'merged', 'merged']);
  const tests = world.started.map((line) => line.split(' ')[0]);
  expect(tests.filter((name) => name === `${A}!4` || name === `${A}!5`)).toHaveLength(4);
});

it('red on top of one that then fails itself is no verdict: it is tested again without it', () => {
  const world = new Simulated([A], 6);
  const culprit = world.open(A);
  const victim = world.open(A);
  ready(0, world);
  // Main moves under both, and the culprit no longer passes.
  world.pushMain(A, 0, false);
  const [direct] = [...world.git.contents(world.git.tree(world.projectOf(culprit).commit))].slice(-1);
  world.together.push([culprit.content, direct ?? '']);
  expect(look(world)).toEqual(['test !1 on main', 'test !2 on !1']);
  expect(place(world, victim)).toMatchObject({
    state: 'testing',
    why: expect.stringMatching(/^the target branch was pushed to \(.*\), so it is tested again$/),
  });
  finish(world, victim);
  expect(place(world, victim)).toMatchObject({ state: 'failed' });
  finish(world, culprit);
  expect(look(world)).toEqual([`take out !1: ${culprit.content} fails`, 'test !2 on main']);
  finish(world, victim);
  expect(look(world)).toEqual(['merge !2']);
});

it('what conflicts with those before it waits for them, and is taken out once they are merged', () => {
  const world = new Simulated([A], 6);
  const one = world.open(A, { shared: 0 });
  const two = world.open(A, { shared: 0 });
  const three = world.open(A);
  ready(0, world);
  expect(look(world)).toEqual(['merge !1', 'test !3 on !1']);
  expect(place(world, two)).toMatchObject({
    state: 'conflicts',
    why: 'it conflicts with g/a!1 in shared-0',
  });
  world.complete(one);
  finish(world, three);
  expect(look(world)).toEqual(['take out !2: it conflicts with the target branch in shared-0', 'merge !3']);
});

it('what somebody puts first goes in one test time', () => {
  const [world, ...changes] = ready(3);
  const [one] = changes;
  look(world);
  if (one) world.complete(one);
  const hot = world.open(A);
  hot.first = true;
  world.check();
  finish(world, hot);
  expect(look(world)).toEqual([
    'merge !4',
    `stop !2: ${CHANGED}`,
    'test !2 on !4',
    `stop !3: ${CHANGED}`,
    'test !3 on !4 !2',
  ]);
});

it('a new head, a new target, a draft or a closed one leave the queue, their tests stop, and those behind go on without', () => {
  for (const leave of [
    (_: Simulated, change: Change) => {
      change.draft = true;
    },
    (_: Simulated, change: Change) => {
      change.state = 'closed';
    },
    (_: Simulated, change: Change) => {
      change.elsewhere = true;
    },
    (world: Simulated, change: Change) => world.push(change),
  ]) {
    const [world, one, two, three] = ready(3);
    look(world);
    if (one) world.complete(one);
    if (two) leave(world, two);
    const actions = look(world);
    expect(actions).toEqual([
      `stop !3: ${CHANGED}`,
      'test !3 on main',
      expect.stringMatching(/^stop !2: it/),
    ]);
    expect(two?.runs.every(({ stopping }) => stopping)).toBe(true);
    finish(world, three);
    expect(look(world)).toContain('merge !3');
  }
});

it('a test that breaks off is tried again, later each time, and takes nobody out; after three times those behind pass by', () => {
  const [world, one] = ready(1);
  world.pushMain(A, 0, false);
  const again = () => {
    expect(look(world)).toEqual(['test !1 on main']);
    const [run] = one?.runs ?? [];
    if (one && run) world.breakOff(one, run);
  };
  again();
  const waits = world.look();
  expect(waits).toMatchObject({ actions: [], next: PAUSE_MS });
  expect(place(world, one)).toMatchObject({
    state: 'broke off',
    why: 'its test broke off once; it is tried again',
  });
  world.now += PAUSE_MS;
  again();
  expect(world.look().next).toBe(2 * PAUSE_MS);
  world.now += 2 * PAUSE_MS;
  const two = world.open(A);
  world.check();
  finish(world, two);
  expect(place(world, two)).toMatchObject({ at: 2, with: [{ project: A, iid: 1 }] });
  expect(look(world)).toEqual(['test !1 on main', 'test !2 on !1']);
  if (one?.runs[0]) world.breakOff(one, one.runs[0]);
  // On main alone it was tested before it queued.
  expect(look(world)).toEqual(['stop !2: it is tested', 'merge !2']);
  expect(one?.out).toBeUndefined();
  for (let i = 0; i < 40; i++) if (one?.broke) one.broke = { times: one.broke.times + 1, at: world.now };
  expect(world.look().next).toBe(LONGEST_PAUSE_MS);
});

describe('what depends on another project', () => {
  const both = (): [Simulated, Change, Change, Change] => {
    const world = new Simulated([A, B]);
    const needed = world.open(B);
    const needing = world.open(A);
    const behind = world.open(A);
    needing.needs = [{ project: B, iid: needed.iid }];
    ready(0, world);
    return [world, needed, needing, behind];
  };

  it('is merged after it, and tested meanwhile', () => {
    const [world, needed, needing] = both();
    world.pushMain(B, 0, false);
    expect(look(world)).toEqual([`test ${B}!1 on main`, 'test !2 on !1']);
    expect(place(world, needing)).toMatchObject({ state: 'passed', why: `it waits for ${B}!1` });
    expect(world.look().queues.map(({ projects }) => projects)).toEqual([[A, B]]);
    finish(world, needed);
    expect(look(world)).toEqual([`merge ${B}!1`]);
    world.complete(needed);
    expect(look(world)).toEqual(['merge !1']);
  });

  it('leaves with it, and those behind do not wait', () => {
    const [world, needed, needing, behind] = both();
    world.pushMain(B, 0, true);
    look(world);
    finish(world, needed);
    expect(look(world)[0]).toMatch(/^take out g\/b!1/);
    expect(place(world, needing)).toMatchObject({ state: 'held', why: expect.stringContaining(`${B}!1`) });
    world.settle();
    expect([needed.state, needing.state, behind.state]).toEqual(['opened', 'opened', 'merged']);
  });
});

it('what depends on one that is red on top of others leaves at once, too: nobody waits for its sake', () => {
  const world = new Simulated([A, B], 6);
  const [before, needed] = [world.open(B), world.open(B)];
  const [needing, behind] = [world.open(A), world.open(A)];
  needing.needs = [{ project: B, iid: needed.iid }];
  world.together.push([before.content, needed.content]);
  ready(0, world);
  world.pushMain(B, 0, false);
  look(world);
  finish(world, needed);
  expect(look(world)).toEqual(['stop !2: it is tested', 'merge !2']);
  expect(place(world, needing)).toMatchObject({
    state: 'held',
    why: `it waits for ${B}!2, which does not pass now`,
  });
  world.complete(behind);
  finish(world, before);
  world.settle();
  expect([before, needed, needing, behind].map(({ state }) => state)).toEqual([
    'merged',
    'opened',
    'opened',
    'merged',
  ]);
});

it('never asks for more test Pods than the quota has left', () => {
  const [world] = ready(6);
  const given = world.world();
  const few = given.targets.map((target) => ({ ...target, taken: target.most - 2, ends: [] }));
  world.projects[0]?.ends.push('taken out');
  const { actions } = world.git.decide({ ...given, targets: few });
  expect(told(actions)).toEqual(['merge !1', 'test !2 on !1', 'test !3 on !1 !2']);
});

it('the same world gives the same decision, whatever is given first', () => {
  const [world] = ready(5);
  const given = world.world();
  const reversed = {
    ...given,
    requests: [...given.requests].reverse(),
    targets: [...given.targets].reverse(),
  };
  expect(world.git.decide(reversed)).toEqual(world.git.decide(given));
  expect(decide({ now: 0, targets: [], requests: given.requests, merges: new Map() })).toEqual({
    actions: [],
    queues: [],
    windows: {},
  });
});
