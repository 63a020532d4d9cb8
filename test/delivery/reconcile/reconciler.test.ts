import { decide, type Head, type OpenRequest, type Posted } from '../../../delivery/reconcile/decide';
import { pauseAfter } from '../../../delivery/reconcile/run';
import { BROKE_OFF } from '../../../delivery/status';
import { Simulated, watchedOrders } from './simulated';

const MINUTE = 60_000;

/** Lets every build do what it does, and drops what hooks that sends. */
const finish = (world: Simulated): void => {
  while (world.live.length > 0) for (const build of world.live) world.step(build);
  world.hooks = [];
};

const lose = (world: Simulated): void => {
  world.hooks = [];
};

/** A merge request whose build has begun by its hook. */
function building() {
  const world = new Simulated();
  const reconciler = world.reconciler();
  const request = world.open();
  for (const hook of world.hooks.splice(0)) world.arrive(hook);
  const [build] = world.live;
  if (!build) throw new Error('no build');
  return { world, reconciler, request, build };
}

describe('one look', () => {
  it('follows a change through every lost hook: opened, tested, merged, deployed', async () => {
    const world = new Simulated();
    const reconciler = world.reconciler();
    const request = world.open();
    lose(world);
    world.now += MINUTE;
    await reconciler.look();
    expect(world.newest(request.sha, request.source_branch)).toMatchObject({
      status: 'pending',
      description: expect.stringContaining('its hook did not start a build'),
    });
    finish(world);
    expect(request.state).toBe('merged');
    world.now += MINUTE;
    await reconciler.look();
    finish(world);
    expect(world.ledger).toBe(world.main);
    expect(world.starts.map(({ hook: { action } }) => action)).toEqual(['MERGE', 'PUSH']);
    world.now += MINUTE;
    await reconciler.look();
    expect(world.starts).toHaveLength(2);
  });

  it('waits for a hook that may still come, and says when to look again', async () => {
    const world = new Simulated();
    const reconciler = world.reconciler();
    world.open();
    lose(world);
    world.now += 4_000;
    expect(await reconciler.look()).toBe(6_000);
    expect(world.starts).toEqual([]);
    world.now += 6_000;
    expect(await reconciler.look()).toBeUndefined();
    expect(world.starts).toHaveLength(1);
  });

  it('leaves drafts, forks, heads that came by no tested merge, and another Jenkins’ builds alone', async () => {
    const world = new Simulated();
    world.open({ draft: true });
    world.open({ source_project_id: 2 });
    const other = world.open();
    world.post(other.sha, other.source_branch, 'running', 'https://other.example.com/job/x/1/');
    lose(world);
    const reconciler = world.reconciler();
    for (let look = 0; look < 3; look++) {
      world.now += MINUTE;
      await reconciler.look();
    }
    expect(world.starts).toEqual([]);
    expect(world.posted).toHaveLength(1);
  });

  it('ends a status that was left running, builds again, and after three such builds asks people', async () => {
    const world = new Simulated();
    const reconciler = world.reconciler();
    const request = world.open();
    for (let tries = 0; tries < 6; tries++) {
      for (const hook of world.hooks.splice(0)) world.arrive(hook);
      for (const build of world.live) {
        world.step(build);
        world.crash(build);
      }
      world.now += MINUTE;
      await reconciler.look();
    }
    expect(world.builds).toHaveLength(3);
    const ours = world.posted.filter(({ sha: commit }) => commit === request.sha);
    expect(ours.map(({ status }) => status)).toEqual(['canceled', 'canceled', 'failed']);
    for (const { description } of ours) expect(description).toMatch(new RegExp(`^${BROKE_OFF}`));
  });

  it('merges what is green when its build ended before the merge, and leaves alone what people are to merge', async () => {
    const { world, reconciler, request, build } = building();
    world.step(build);
    world.step(build);
    world.crash(build);
    world.now += MINUTE;
    const byHand = world.reconciler({
      watched: [{ ...watchedOrders, requests: { ...watchedOrders.requests, merges: false } }],
    });
    await byHand.look();
    expect(world.starts).toEqual([]);
    await reconciler.look();
    finish(world);
    expect(request.state).toBe('merged');
  });

  it('starts again what a build left that was green round after round, since it is one build', async () => {
    const { world, reconciler, request, build } = building();
    for (let round = 0; round < 4; round++) {
      build.stage = 'waiting';
      world.step(build);
      world.step(build);
    }
    expect(world.posted.map(({ status }) => status)).toEqual(Array(4).fill('success'));
    world.crash(build);
    world.now += MINUTE;
    await reconciler.look();
    finish(world);
    expect(request.state).toBe('merged');
  });

  it('does nothing while Jenkins does not answer, and says so', async () => {
    const world = new Simulated();
    const reconciler = world.reconciler();
    world.open();
    lose(world);
    world.down = true;
    world.now += MINUTE;
    await reconciler.look();
    expect(world.posted).toEqual([]);
    expect(world.said).toEqual(['switchyard/orders: Jenkins cannot be reached.']);
    world.down = false;
    world.now += MINUTE;
    await reconciler.look();
    expect(world.starts).toHaveLength(1);
  });

  it('one project that fails keeps no other from being looked at', async () => {
    const world = new Simulated();
    const broken = { ...watchedOrders, job: 'gone', project: 'switchyard/gone' };
    const reconciler = world.reconciler({
      watched: [broken, watchedOrders],
      hookPath: () => {
        throw new Error('no');
      },
    });
    world.open();
    lose(world);
    world.now += MINUTE;
    await reconciler.look();
    expect(world.said).toContain('switchyard/gone: no');
    expect(world.starts.length).toBeGreaterThan(0);
  });
});

describe('hooks', () => {
  it('one that GitLab disabled is enabled again by an event that builds nothing, and it is said', async () => {
    const world = new Simulated();
    world.hookState = [
      { id: 4, url: 'https://elsewhere.example.com/', alert_status: 'disabled' },
      { id: 5, url: 'https://jenkins.example.com/project/switchyard/orders', alert_status: 'disabled' },
    ];
    await world.reconciler().look();
    expect(world.tested).toEqual(['pipeline_events']);
    expect(world.hookState.map(({ alert_status: status }) => status)).toEqual(['disabled', 'executable']);
    expect(world.said).toEqual([expect.stringContaining('enabled it again')]);
    expect(world.builds).toEqual([]);
  });

  it('one that stays disabled is not tested at every look', async () => {
    const world = new Simulated();
    world.hookState = [
      {
        id: 5,
        url: 'https://jenkins.example.com/project/switchyard/orders',
        alert_status: 'temporarily_disabled',
      },
    ];
    const reconciler = world.reconciler();
    // Whatever is started anew each time has the hook looked at each time.
    for (let look = 0; look < 3; look++) {
      world.open();
      lose(world);
      world.now += MINUTE;
      world.down = false;
      const test = reconciler.look();
      world.hookState = world.hookState.map((hook) => ({
        ...hook,
        alert_status: 'temporarily_disabled' as const,
      }));
      await test;
    }
    expect(world.tested.length).toBeLessThanOrEqual(2);
  });

  it('a project without one is told about', async () => {
    const world = new Simulated();
    world.hookState = [];
    await world.reconciler().look();
    expect(world.said).toEqual([expect.stringContaining('no hook that leads to its job')]);
  });
});

test('looking is light: two requests a project to GitLab and two to Jenkins in all, in a minute in which nothing happens', async () => {
  const world = new Simulated();
  const reconciler = world.reconciler();
  const request = world.open();
  for (const hook of world.hooks.splice(0)) world.arrive(hook);
  finish(world);
  expect(request.state).toBe('merged');
  world.ledger = world.main;
  await reconciler.look();
  const perLook: string[][] = [];
  for (let look = 0; look < 10; look++) {
    world.calls.length = 0;
    world.now += MINUTE;
    await reconciler.look();
    perLook.push([...world.calls]);
  }
  for (const calls of perLook.slice(0, 9)) {
    expect(calls.filter((to) => to === 'GitLab')).toHaveLength(2);
    expect(calls.filter((to) => to === 'Jenkins').length).toBeLessThanOrEqual(1);
  }
  // The tenth looks at hooks, and once more at what had its end.
  expect(perLook[9]?.filter((to) => to === 'GitLab').length).toBeLessThanOrEqual(6);
});

test('the next look is a minute after the last began, or as soon as something is old enough', () => {
  expect(pauseAfter(0, undefined)).toBe(60_000);
  expect(pauseAfter(15_000, undefined)).toBe(45_000);
  expect(pauseAfter(15_000, 9_000)).toBe(9_000);
  expect(pauseAfter(70_000, undefined)).toBe(3_000);
  expect(pauseAfter(0, 10)).toBe(3_000);
});

describe('decisions', () => {
  const old = Number.MAX_SAFE_INTEGER;
  const request = (more: Partial<OpenRequest> = {}): OpenRequest => ({
    kind: 'merge request',
    age: old,
    live: false,
    brokeOff: 0,
    merges: true,
    green: 0,
    ...more,
  });
  const head = (more: Partial<Head> = {}): Head => ({
    kind: 'head',
    age: old,
    live: false,
    brokeOff: 0,
    released: false,
    ...more,
  });
  const posted = (state: Posted['state'], build: Posted['build'] = 'over', age = old): Posted => ({
    state,
    build,
    age,
  });

  it.each([
    ['a build goes on', request({ live: true }), 'watch'],
    ['another Jenkins builds it', request({ posted: posted('running', 'unknown') }), 'watch'],
    ['its build is this moment’s', request({ posted: posted('pending', 'over', 100) }), 'wait'],
    ['it waits for people', request({ posted: posted('pending'), concluded: true }), 'settle'],
    ['it may wait for people', request({ posted: posted('pending') }), 'ask'],
    [
      'a third pending one broke off',
      request({ posted: posted('pending'), concluded: false, brokeOff: 2 }),
      'give up',
    ],
    ['red is an end', request({ posted: posted('failed') }), 'settle'],
    ['green asks what became of it', request({ posted: posted('success'), green: 1 }), 'ask'],
    ['green and left to people', request({ posted: posted('success'), concluded: true, green: 1 }), 'settle'],
    [
      'green three times in vain',
      request({ posted: posted('success'), concluded: false, green: 3 }),
      'settle',
    ],
    ['a head that the ledger names', head({ released: true }), 'settle'],
    ['a head of unknown origin', head(), 'ask'],
    ['a head that nobody tested', head({ origin: 'other' }), 'settle'],
    ['a merge request that GitLab still merges', head({ origin: 'soon' }), 'wait'],
    ['a young merge', head({ origin: 'tested', age: 500 }), 'wait'],
    ['a lost push', head({ origin: 'tested' }), 'start'],
    ['a rollout that failed', head({ posted: posted('failed') }), 'settle'],
    ['a deploy that broke off', head({ posted: posted('running') }), 'start'],
    ['a third that broke off', head({ posted: posted('running'), brokeOff: 2 }), 'give up'],
  ] as const)('%s', (_name, item, wanted) => {
    expect(decide(item).do).toBe(wanted);
  });
});
