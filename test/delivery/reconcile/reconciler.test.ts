import { MERGE_LABEL } from '../../../catalog/status';
import { Failure } from '../../../clients/failure';
import { renderNote } from '../../../delivery/note';
import { decide, type Head, type OpenRequest, type Posted } from '../../../delivery/reconcile/decide';
import type { Watched } from '../../../delivery/reconcile/reconciler';
import { pauseAfter } from '../../../delivery/reconcile/run';
import { BLIND, blindness, SEES } from '../../../delivery/reconcile/words';
import { BROKE_OFF } from '../../../delivery/status';
import { green, KEY, red } from '../certificates';
import { OF_LAB, Simulated, watchedOrders } from './simulated';

const MINUTE = 60_000;

/** Lets every build do what it does, and drops what hooks that sends. */
const finish = (world: Simulated): void => {
  while (world.live.length > 0) for (const build of world.live) world.step(build);
  world.hooks = [];
};

const lose = (world: Simulated): void => {
  world.hooks = [];
};

type Build = Simulated['builds'][number];
type Request = Simulated['requests'][number];

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

describe('a test that broke off for its infrastructure', () => {
  it('is tried again after pauses that double, and merged when it comes through', async () => {
    const { world, reconciler, request } = building();
    const began = world.now;
    const at: number[] = [];
    for (let tried = 0; tried < 4; tried++) {
      const [build] = world.live;
      if (!build) throw new Error('no build');
      world.step(build);
      world.outage(build);
      const ended = world.now;
      for (let wanted = await reconciler.look(); world.live.length === 0; wanted = await reconciler.look())
        world.now += wanted ?? MINUTE;
      at.push(world.now - ended);
    }
    expect(at).toEqual([10_000, 20_000, 40_000, 80_000]);
    expect(world.starts).toHaveLength(4);
    finish(world);
    expect(request.state).toBe('merged');
    expect(world.now - began).toBe(150_000);
  });

  it('is red after six times in a row, and stays so', async () => {
    const { world, reconciler, request } = building();
    for (let tried = 0; tried < 6; tried++) {
      for (const build of world.live) {
        world.step(build);
        world.outage(build);
      }
      for (let look = 0; look < 4; look++) {
        world.now += MINUTE;
        await reconciler.look();
      }
    }
    expect(world.newest(request.sha, request.source_branch)?.status).toBe('failed');
    expect(world.starts).toHaveLength(5);
  });

  it('is told when the build that came for it gets no agent', async () => {
    const { world, request, build } = building();
    world.most = 2;
    const reconciler = world.reconciler();
    world.step(build);
    world.outage(build);
    world.now += 1000;
    world.arrive({ action: 'MERGE', iid: request.iid, commit: request.sha });
    for (let looks = 0; looks < 20; looks++) {
      world.now += MINUTE;
      await reconciler.look();
    }
    expect(world.starts).toEqual([]);
    expect(world.told.map(({ build: { number } }) => number)).toEqual([2]);
  });
});

/** A merge request that is green, and waits for people: as its project has it, by the clock of a minute a look. */
async function leftToPeople(set: Partial<Simulated>, requests: Partial<Watched['requests']>) {
  const world = Object.assign(new Simulated(), set);
  const watched = [{ ...watchedOrders, requests: { ...watchedOrders.requests, ...requests } }];
  const reconciler = world.reconciler({ watched });
  const request = world.open();
  for (const hook of world.hooks.splice(0)) world.arrive(hook);
  finish(world);
  const look = async (looks: number) => {
    for (let at = 0; at < looks; at++) {
      world.now += MINUTE;
      await reconciler.look();
      finish(world);
    }
  };
  await look(15);
  expect(world.starts).toEqual([]);
  return { world, request, look };
}

describe('what people merge by hand', () => {
  const left = async () => {
    const all = await leftToPeople({ letsIn: true }, { merges: false, queue: { most: 4, start: 4 } });
    expect(all.request.state).toBe('opened');
    return all;
  };

  it('is merged when somebody let it into the queue by the label, within a minute', async () => {
    const { world, request, look } = await left();
    Object.assign(request, { labels: [MERGE_LABEL], approved: { at: world.now + 1000, counts: true } });
    await look(1);
    expect(request.state).toBe('merged');
    expect(world.starts.filter(({ hook: { action } }) => action === 'MERGE')).toHaveLength(1);
  });

  it('is looked into once where the label does not count, and again when it is set anew', async () => {
    const { world, request, look } = await left();
    Object.assign(request, { labels: [MERGE_LABEL], approved: { at: world.now + 1000, counts: false } });
    await look(30);
    expect(world.starts).toHaveLength(1);
    request.approved = { at: world.now + 1000, counts: true };
    await look(1);
    expect(request.state).toBe('merged');
  });
});

describe('what waits for an approval', () => {
  const waiting = () => leftToPeople({ reviewed: true }, { reviewed: true });

  it('is merged when somebody approved and no hook told of it, within a minute', async () => {
    const { world, request, look } = await waiting();
    request.approved = { at: world.now + 1000, counts: true };
    await look(1);
    expect(request.state).toBe('merged');
    expect(world.starts.filter(({ hook: { action } }) => action === 'MERGE')).toHaveLength(1);
    expect(world.newest(request.sha, request.source_branch)?.status).toBe('success');
  });

  it('is looked into once for an approval that does not count, and goes on waiting', async () => {
    const { world, request, look } = await waiting();
    request.approved = { at: world.now + 1000, counts: false };
    await look(30);
    expect(world.starts).toHaveLength(1);
    expect(world.newest(request.sha, request.source_branch)).toMatchObject({
      status: 'pending',
      description: 'waits for an approval',
    });
    request.approved = { at: world.now + 1000, counts: true };
    await look(1);
    expect(request.state).toBe('merged');
  });
});

describe('what was green and not merged for what is over by now', () => {
  it.each(['!1 is closed', '!1 is a draft', '!1 has a newer commit, which has its own build'])(
    'is merged though no hook told that it is: %s',
    async (why) => {
      const { world, reconciler, request, build } = building();
      world.step(build);
      world.step(build);
      world.crash(build);
      const certificate = { ...green, headSha: request.sha };
      request.note = renderNote(certificate, { state: 'left', why }, KEY);
      request.updated_at = new Date(world.now).toISOString();
      world.now += 9_000;
      expect(await reconciler.look()).toBe(1_000);
      expect(world.starts).toEqual([]);
      world.now += 1_000;
      await reconciler.look();
      finish(world);
      expect(request.state).toBe('merged');
    },
  );
});

describe('a new target branch', () => {
  it.each(['success', 'failed'] as const)(
    'of what was tested for another one (%s) is tested within a minute, once, though no hook starts a build',
    async (state) => {
      const world = new Simulated();
      const reconciler = world.reconciler();
      const request = world.open({ target_branch: 'release' });
      lose(world);
      world.post(request.sha, request.source_branch, state, 'https://jenkins.example.com/job/x/1/');
      const verdict = state === 'success' ? green : red;
      const certificate = { ...verdict, headSha: request.sha, targetBranch: 'release' };
      request.note = renderNote(certificate, { state: 'left', why: 'the catalog leaves it' }, KEY);
      const look = async () => {
        world.now += MINUTE;
        await reconciler.look();
        finish(world);
      };
      for (let looks = 0; looks < 3; looks++) await look();
      expect(world.starts).toEqual([]);
      request.target_branch = 'main';
      request.updated_at = new Date(world.now).toISOString();
      await look();
      expect(request.state).toBe('merged');
      for (let looks = 0; looks < 12; looks++) await look();
      expect(world.starts.filter(({ hook: { action } }) => action === 'MERGE')).toHaveLength(1);
    },
  );
});

describe('a preview of the topology', () => {
  /** An open merge request that was previewed with a target, or is so half. */
  function previewed({ target = 'main', steps = 2, text = true } = {}) {
    const world = Object.assign(new Simulated(), { previews: true });
    const request = world.open({ target_branch: target });
    for (const hook of world.hooks.splice(0)) world.arrive(hook);
    for (let step = 0; step < steps; step++) for (const build of world.live) world.step(build);
    if (!text) for (const one of world.posted) one.description = 'previewed: lab';
    const reconciler = world.reconciler();
    const look = async (looks: number) => {
      for (let at = 0; at < looks; at++) {
        world.now += MINUTE;
        await reconciler.look();
        finish(world);
      }
    };
    const newest = () => world.newest(request.sha, request.source_branch);
    return { world, request, look, newest };
  }

  it('with another target is made anew within a minute, once, though no hook starts a build', async () => {
    const { world, request, look, newest } = previewed({ target: 'release' });
    await look(3);
    expect(world.starts).toEqual([]);
    world.retarget(request, 'main');
    await look(1);
    expect(world.words.map(({ description }) => description)).toContainEqual(
      expect.stringContaining('it has another target branch now'),
    );
    expect(newest()).toMatchObject({ status: 'success', description: 'into main: previewed: lab' });
    await look(24);
    expect(world.starts).toHaveLength(1);
  });

  it('of before there were such words names no target, and stays as it is', async () => {
    const { world, look } = previewed({ text: false });
    await look(24);
    expect(world.starts).toEqual([]);
    expect(world.builds).toHaveLength(1);
  });

  it('that was stopped as its target was another one for a while is made anew', async () => {
    const { world, request, look, newest } = previewed({ steps: 1 });
    world.retarget(request, 'release');
    finish(world);
    expect(newest()).toMatchObject({ status: 'canceled' });
    world.retarget(request, 'main');
    await look(12);
    expect(world.starts).toHaveLength(1);
    expect(newest()).toMatchObject({ status: 'success', description: 'into main: previewed: lab' });
  });

  it('that was stopped as it was closed is made anew when it is open again and no hook told of it', async () => {
    const { world, request, look, newest } = previewed({ steps: 1 });
    world.close(request);
    finish(world);
    await look(12);
    expect(world.starts).toEqual([]);
    world.reopen(request);
    lose(world);
    await look(12);
    expect(world.starts).toHaveLength(1);
    expect(newest()).toMatchObject({ status: 'success' });
  });

  it('that has its verdict is not made anew when it is open again', async () => {
    const { world, request, look } = previewed();
    world.close(request);
    await look(1);
    world.reopen(request);
    lose(world);
    await look(12);
    expect(world.starts).toEqual([]);
  });

  it('whose build died after it was closed does not say for ever that it goes on', async () => {
    const { world, request, look, newest } = previewed({ steps: 1 });
    world.close(request);
    for (const build of world.live) world.crash(build);
    await look(2);
    expect(world.starts).toEqual([]);
    expect(newest()).toMatchObject({
      status: 'canceled',
      description: expect.stringMatching(`^${BROKE_OFF}`),
    });
  });

  it('whose hook comes twice has two builds, and none of the reconciler’s', async () => {
    const { world, request, look } = previewed();
    world.push(request);
    for (const hook of world.hooks.splice(0)) for (let times = 0; times < 2; times++) world.arrive(hook);
    await look(12);
    expect(world.starts).toEqual([]);
    expect(world.builds).toHaveLength(3);
  });
});

describe('a reconciler that dies in the midst of a start', () => {
  it.each([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15])(
    'has the next one start it: a deploy that broke off, at request %d',
    async (requests) => {
      for (const heard of [false, true]) {
        const { world } = building();
        finish(world);
        world.arrive({ action: 'PUSH', commit: world.main });
        for (const build of world.live) {
          world.step(build);
          world.crash(build);
        }
        world.now += MINUTE;
        world.dies = { requests, heard };
        await world.reconciler().look();
        world.dies = undefined;
        const reconciler = world.reconciler();
        for (let look = 0; look < 5; look++) {
          world.now += MINUTE;
          await reconciler.look();
          finish(world);
        }
        expect(world.ledger).toBe(world.main);
        for (const { beside } of world.starts) expect(beside).toEqual([]);
      }
    },
  );
});

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

  describe('a merge request of a branch and commit that another one had', () => {
    /** !1 has its end and is closed; !2's hook is lost. */
    async function opensAgain(end: (world: Simulated, build: Build) => void) {
      const { world, reconciler, request, build } = building();
      world.step(build);
      end(world, build);
      request.state = 'closed';
      world.now += MINUTE;
      const { sha: head, source_branch: branch } = request;
      const again = world.open({
        sha: head,
        source_branch: branch,
        created_at: new Date(world.now).toISOString(),
      });
      lose(world);
      world.now += MINUTE;
      return { world, reconciler, again };
    }
    const fails = (world: Simulated, build: Build) => world.step(build, false);

    it('is built, whatever the status of the other one says, and its own end settles it', async () => {
      const { world, reconciler, again } = await opensAgain(fails);
      await reconciler.look();
      expect(world.starts.map(({ hook: { iid } }) => iid)).toEqual([2]);
      for (let step = 0; step < 2; step++) for (const build of world.live) world.step(build, false);
      expect(world.newest(again.sha, again.source_branch)?.status).toBe('failed');
      for (let look = 0; look < 12; look++) {
        world.now += MINUTE;
        await reconciler.look();
      }
      expect(world.starts).toHaveLength(1);
    });

    it('is built also when Jenkins has forgotten the builds of the other one', async () => {
      const { world, reconciler } = await opensAgain(fails);
      world.builds.splice(0);
      await reconciler.look();
      expect(world.starts.map(({ hook: { iid } }) => iid)).toEqual([2]);
    });

    it('has what the other one left open ended first, and has tries of its own', async () => {
      const { world, reconciler, again } = await opensAgain((one, build) => one.crash(build));
      for (let tries = 0; tries < 6; tries++) {
        await reconciler.look();
        for (const build of world.live) {
          world.step(build);
          world.crash(build);
        }
        world.now += MINUTE;
      }
      expect(world.starts.map(({ hook: { iid } }) => iid)).toEqual([2, 2, 2]);
      expect(
        world.posted.filter(({ sha: commit }) => commit === again.sha).map(({ status }) => status),
      ).toEqual(['canceled', 'canceled', 'canceled', 'failed']);
    });

    it('is told that its build gets no agent, whatever the status of the other one says', async () => {
      const { world, again } = await opensAgain(fails);
      world.most = 2;
      const reconciler = world.reconciler();
      world.arrive({ action: 'MERGE', iid: again.iid, commit: again.sha });
      for (let looks = 0; looks < 20; looks++) {
        world.now += MINUTE;
        await reconciler.look();
      }
      expect(world.starts).toEqual([]);
      expect(world.told.map(({ build }) => build.iid)).toEqual([again.iid]);
    });

    it.each(['while it goes on', 'after it ended'])(
      'is not told so where the build of the other one has the word, or may have talked over its own: %s',
      async (when) => {
        const { world, request, build } = building();
        world.most = 2;
        const reconciler = world.reconciler();
        const { sha: head, source_branch: branch } = request;
        const other = world.open({ sha: head, source_branch: branch });
        for (const hook of world.hooks.splice(0)) world.arrive(hook);
        const own = world.live.find(({ iid }) => iid === other.iid);
        if (!own) throw new Error('no build');
        world.step(build);
        if (when === 'after it ended') {
          world.step(own);
          world.step(build, false);
        }
        for (let looks = 0; looks < 20; looks++) {
          world.now += MINUTE;
          await reconciler.look();
        }
        expect(world.told).toEqual([]);
      },
    );
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
    expect(world.said).toEqual([`switchyard/orders: ${BLIND}: Jenkins cannot be reached.`]);
    expect(blindness(world.said.join('\n'))).toBe('switchyard/orders: Jenkins cannot be reached.');
    world.down = false;
    world.now += MINUTE;
    await reconciler.look();
    expect(world.starts).toHaveLength(1);
    expect(world.said.at(-1)).toBe(SEES);
    expect(blindness(world.said.join('\n'))).toBeUndefined();
    const said = world.said.length;
    world.now += MINUTE;
    await reconciler.look();
    expect(world.said.slice(said)).toEqual([]);
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
    expect(world.said).toContain(`switchyard/gone: ${BLIND}: no`);
    expect(world.starts.length).toBeGreaterThan(0);
  });
});

describe('whatever one author does', () => {
  /** A reconciler of two projects with the same merge requests, whose statuses are read as told. */
  const among = (world: Simulated, read: (ref: string) => void, watched: readonly Watched[]) => {
    const { gitlab } = world.options();
    const statuses: typeof gitlab.statuses = async (...asked) => {
      read(asked[2]);
      return gitlab.statuses(...asked);
    };
    // A copy would have no clock.
    return world.reconciler({ gitlab: Object.assign(Object.create(gitlab), { statuses }), watched });
  };

  it('a merge request of which nothing can be read keeps no other, and no merge, from being looked at', async () => {
    const world = new Simulated();
    const merged = world.open();
    for (const hook of world.hooks.splice(0)) world.arrive(hook);
    finish(world);
    expect(merged.state).toBe('merged');
    const [first, second] = [world.open(), world.open()];
    lose(world);
    world.now += MINUTE;
    const why = 'GitLab: GET /x answered with more than 8388608 bytes';
    const refuse = (ref: string): void => {
      if (ref === first.source_branch) throw new Failure(1, `${why}.`);
    };
    await among(world, refuse, [watchedOrders]).look();
    expect(world.starts.map(({ hook }) => hook.commit).sort()).toEqual([second.sha, world.main].sort());
    expect(world.said).toContain(`switchyard/orders!${first.iid}: ${BLIND}: ${why}.`);
    expect(blindness(world.said.join('\n'))).toBe(`switchyard/orders!${first.iid}: ${why}.`);
  });

  it('what is so of each is said of the project, and not asked of each', async () => {
    const world = new Simulated();
    for (let count = 0; count < 5; count++) world.open();
    lose(world);
    world.now += MINUTE;
    let asked = 0;
    const away = (): void => {
      asked += 1;
      throw new Failure(1, 'GitLab: it cannot be reached.');
    };
    await among(world, away, [watchedOrders]).look();
    expect([asked, world.said]).toEqual([2, [`switchyard/orders: ${BLIND}: GitLab: it cannot be reached.`]]);
  });

  it('more merge requests than there is time for keep no other project from being looked at, and have their turn', async () => {
    const world = new Simulated();
    for (let count = 0; count < 9; count++) world.open();
    lose(world);
    world.now += MINUTE;
    const read: string[] = [];
    const beats: number[] = [];
    const slow = (ref: string): void => {
      read.push(ref);
      if (ref.startsWith('change')) world.now += 30_000;
    };
    const other = { ...watchedOrders, job: 'other', project: 'switchyard/other', heads: undefined };
    const reconciler = among(world, slow, [other, { ...watchedOrders, requests: other.requests }]);
    const named = (): string[] => [...new Set(read.splice(0))];
    await reconciler.look(() => beats.push(world.now));
    const first = named();
    expect(first.length).toBeLessThan(9);
    expect(beats).toHaveLength(2);
    expect(world.said.filter((line) => line.includes('are left for the next look'))).toHaveLength(2);
    await reconciler.look();
    await reconciler.look();
    expect(new Set([...first, ...named()]).size).toBe(10);
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

test.each([
  ['a newer head', (world: Simulated, request: Request) => world.push(request), 'canceled'],
  ['six dead builds', () => undefined, 'canceled'],
])(
  'what previews left open of one environment is ended with their own status: %s',
  async (what, then, ended) => {
    const world = Object.assign(new Simulated(), { previews: true });
    const reconciler = world.reconciler();
    const request = world.open();
    const first = request.sha;
    const times = what === 'six dead builds' ? 6 : 1;
    for (let time = 0; time < times; time++) {
      for (const hook of world.hooks.splice(0)) world.arrive(hook);
      for (const build of world.live) {
        world.step(build);
        expect(world.newest(first, request.source_branch, OF_LAB)?.status).toBe('pending');
        world.crash(build);
      }
      then(world, request);
      world.now += MINUTE * 5;
      await reconciler.look();
      world.now += MINUTE * 5;
      await reconciler.look();
    }
    expect(world.newest(first, request.source_branch)?.status).toMatch(/^(canceled|failed)$/);
    expect(world.newest(first, request.source_branch, OF_LAB)?.status).toBe(ended);
  },
);

test('looking is light: two requests a project to GitLab and three to Jenkins in all, in a minute in which nothing happens', async () => {
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
  expect(perLook[9]?.filter((to) => to === 'GitLab').length).toBeLessThanOrEqual(7);
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
    retargeted: false,
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
  const broke = (times: number, age: number): Posted => ({
    ...posted('canceled'),
    broke: { times, age },
  });

  it.each([
    ['a build goes on', request({ live: true }), 'watch'],
    ['its build gets no agent', request({ live: true, stuck: true }), 'tell'],
    ['a build of an older head took it, and gets none', request({ stuck: true }), 'tell'],
    ['no agent of a deploy starts', head({ live: true, stuck: true }), 'tell'],
    [
      'it was told',
      request({ live: true, posted: { ...posted('failed', 'live'), agentless: true } }),
      'watch',
    ],
    [
      'it was told, and queues',
      request({ queue: true, queued: 'due', posted: { ...posted('failed', 'live'), agentless: true } }),
      'watch',
    ],
    [
      'what got no agent ended without a word',
      request({ posted: { ...posted('failed'), agentless: true } }),
      'start',
    ],
    ['another Jenkins builds it', request({ posted: posted('running', 'unknown') }), 'watch'],
    ['its build is this moment’s', request({ posted: posted('pending', 'over', 100) }), 'wait'],
    ['it waits for people', request({ posted: posted('pending'), concluded: true }), 'settle'],
    [
      'it waits for an approval',
      request({ posted: posted('pending'), concluded: true, approved: false }),
      'watch',
    ],
    [
      'its approval may have started a build',
      request({ posted: posted('pending'), concluded: true, approved: 9_999 }),
      'wait',
    ],
    [
      'its approval started none',
      request({ posted: posted('pending'), concluded: true, approved: 10_000 }),
      'start',
    ],
    [
      'its build was started here and ended, whatever became of an earlier one',
      request({ posted: { ...posted('pending'), started: true }, concluded: true }),
      'start',
    ],
    ['it may wait for people', request({ posted: posted('pending') }), 'ask'],
    [
      'a third pending one broke off',
      request({ posted: posted('pending'), concluded: false, brokeOff: 2 }),
      'give up',
    ],
    ['red is an end', request({ posted: posted('failed') }), 'settle'],
    ['red asks for which target', request({ posted: posted('failed'), retargeted: undefined }), 'ask'],
    ['red for another target is tested', request({ posted: posted('failed'), retargeted: true }), 'start'],
    [
      'green and left to people for another target is tested',
      request({ posted: posted('success'), concluded: true, green: 1, retargeted: true }),
      'start',
    ],
    [
      'it was tested for another target three times without a word',
      request({ posted: posted('failed'), retargeted: true, brokeOff: 3 }),
      'settle',
    ],
    [
      'its build for another target goes on',
      request({ posted: posted('failed'), retargeted: true, live: true }),
      'watch',
    ],
    [
      'what was stopped is started where it is open',
      request({ posted: { ...posted('canceled'), stopped: { times: 1, age: 10_000 } } }),
      'start',
    ],
    [
      'what was stopped and opened at this moment has its hook',
      request({ age: 9_999, posted: { ...posted('canceled'), stopped: { times: 1, age: MINUTE } } }),
      'wait',
    ],
    [
      'what is stopped again pauses longer',
      request({ posted: { ...posted('canceled'), stopped: { times: 2, age: 19_999 } } }),
      'wait',
    ],
    [
      'what was stopped three times is given up',
      request({ posted: { ...posted('canceled'), stopped: { times: 3, age: MINUTE } } }),
      'give up',
    ],
    ['what was to go on and does not', request({ posted: { ...posted('canceled'), cut: true } }), 'start'],
    [
      'a deploy that was to go on and does not',
      head({ posted: { ...posted('canceled'), cut: true } }),
      'start',
    ],
    ['a deploy that was stopped', head({ posted: posted('canceled') }), 'settle'],
    ['what broke off pauses', request({ posted: broke(2, 19_999) }), 'wait'],
    ['what broke off is tried again', request({ posted: broke(2, 20_000) }), 'start'],
    ['what broke off often pauses longer', request({ posted: broke(5, 159_999) }), 'wait'],
    ['what broke off six times is given up', request({ posted: broke(6, 0) }), 'give up'],
    ['a draft is not tried again', request({ posted: broke(1, MINUTE), untested: 'it is a draft' }), 'watch'],
    ['a start of a deploy that came no further', head({ posted: broke(1, MINUTE), brokeOff: 1 }), 'start'],
    ['a third of these', head({ posted: broke(3, MINUTE), brokeOff: 3 }), 'give up'],
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

test('in the queue behind one whose build gets no agent, nothing says that a build goes on which died', async () => {
  const world = new Simulated(true);
  const first = world.open();
  const second = world.open();
  for (const hook of world.hooks.splice(0)) world.arrive(hook);
  // Both are green, and their builds die before they say what comes of it.
  for (const build of world.live) for (let step = 0; step < 2; step++) world.step(build);
  for (const build of world.live) world.crash(build);
  world.broken = true;
  const reconciler = world.reconciler();
  for (let looks = 0; looks < 5; looks++) {
    world.now += MINUTE;
    await reconciler.look();
  }
  expect(world.builds.map(({ iid }) => iid)).toEqual([first.iid, second.iid, first.iid]);
  expect(world.newest(second.sha, second.source_branch)).toMatchObject({
    status: 'canceled',
    description: 'broke off: its build ended without a word; it waits for its turn',
  });
  world.broken = false;
  for (let looks = 0; looks < 5; looks++) {
    world.now += MINUTE;
    await reconciler.look();
    finish(world);
  }
  expect([first.state, second.state]).toEqual(['merged', 'merged']);
});

test('a build that gets no agent is told with what its Pods say, once, and posts over it when it has one', async () => {
  const { world, request, build } = building();
  world.most = 2;
  const reconciler = world.reconciler();
  for (let looks = 0; looks < 15; looks++) {
    await reconciler.look();
    world.now += MINUTE;
  }
  expect(world.posted).toEqual([]);
  for (let looks = 0; looks < 3; looks++) {
    await reconciler.look();
    world.now += MINUTE;
  }
  expect(world.words.map(({ description }) => description)).toEqual([
    'not begun: no agent started within 15 minutes (FailedMount); it goes on when one does',
  ]);
  const { source_branch: branch } = request;
  expect(world.newest(request.sha, branch)).toMatchObject({
    status: 'failed',
    target_url: expect.stringMatching(/\/orders\/1\/$/),
  });
  expect(request.agents).toContain('**Pod delivery-1**');
  expect(request.agents).toContain('secret "switchyard-lab" not found');
  expect(world.said).toHaveLength(1);
  expect(world.builds).toHaveLength(1);
  world.step(build);
  expect(world.newest(request.sha, branch)).toMatchObject({ status: 'running' });
  finish(world);
  expect(request.state).toBe('merged');
});

test('a look for drift that gets no agent has the issue that says that nobody looked, once; one that waits for others has none', async () => {
  const world = new Simulated();
  world.most = 2;
  const drift = { job: 'topology-drift', environment: 'lab' };
  const reconciler = world.reconciler({ watched: [{ ...watchedOrders, drift }] });
  const looks = async (minutes: number) => {
    for (let minute = 0; minute < minutes; minute++) {
      await reconciler.look();
      world.now += MINUTE;
    }
  };
  // People who roll back see their build wait.
  world.others = [
    { job: drift.job, number: 7 },
    { job: 'module_rollback', number: 3 },
  ];
  await looks(15);
  // Another build got an agent: its own turn comes.
  world.others.push({ job: 'module_rollback', number: 4, hasAgent: true });
  await looks(15);
  expect(world.issues).toEqual([]);
  await looks(3);
  expect(world.issues).toEqual([
    'Drift of lab cannot be looked for',
    expect.stringContaining('no agent started within 15 minutes (FailedMount) ([log]('),
  ]);
  expect(world.issues[1]).toContain('/topology-drift/7/');
  expect(world.issues[1]).toContain('**Pod delivery-1**');
  expect(world.said).toEqual([expect.stringContaining('topology-drift: no agent started within 15 minutes')]);
});

test.each(['its events cannot be read', 'GitLab takes no note'])(
  'a build that gets no agent is told all the same where %s',
  async (fault) => {
    const { world, request } = building();
    world.most = 2;
    const { agents, gitlab } = world.options();
    const reconciler = world.reconciler(
      fault.startsWith('GitLab')
        ? { gitlab: Object.assign(gitlab, { createNote: () => Promise.reject(new Error('no')) }) }
        : { agents: { ...agents, words: () => Promise.reject(new Error('no')) } },
    );
    for (let looks = 0; looks < 20; looks++) {
      await reconciler.look();
      world.now += MINUTE;
    }
    expect(world.newest(request.sha, request.source_branch)).toMatchObject({
      status: 'failed',
      description: expect.stringContaining('no agent started within 15 minutes'),
    });
    expect(world.said).toContain('switchyard/orders!1: no');
  },
);

test('a merge by a person of what got no agent is no tested one: its head is not deployed', async () => {
  const { world, request } = building();
  world.most = 2;
  const reconciler = world.reconciler();
  for (let looks = 0; looks < 20; looks++) {
    await reconciler.look();
    world.now += MINUTE;
  }
  expect(request.agents).toBeDefined();
  world.mergeNow(request);
  delete request.note;
  for (const build of world.live) world.crash(build);
  world.hooks = [];
  for (let looks = 0; looks < 3; looks++) {
    await reconciler.look();
    world.now += MINUTE;
  }
  expect(world.builds).toHaveLength(1);
});

describe('no build is told to get no agent', () => {
  /** So many builds wait while a minute after the other goes by. */
  async function hour(
    { builds, most, anew }: { readonly builds: number; readonly most: number; readonly anew?: number },
    each: (world: Simulated, minute: number) => void,
  ) {
    const world = new Simulated();
    world.most = most;
    for (let opened = 0; opened < builds; opened++) world.open();
    for (const hook of world.hooks.splice(0)) world.arrive(hook);
    let reconciler = world.reconciler();
    for (let minute = 0; minute < 60; minute++) {
      if (minute === anew) reconciler = world.reconciler();
      each(world, minute);
      await reconciler.look();
      world.now += MINUTE;
    }
    return world.told.map(({ at }) => 60 - (world.now - at) / MINUTE);
  }
  const step = (world: Simulated, steps = 1) => {
    const build = world.live.find(({ stage }) => stage === 'waiting');
    for (let taken = 0; taken < steps && build; taken++) world.step(build, false);
  };

  it('while all agents are in use', async () => {
    expect(await hour({ builds: 3, most: 2 }, (world, minute) => minute < 2 && step(world))).toEqual([]);
  });

  it('while others get theirs, however briefly', async () => {
    // Between two looks one has its agent, and its end.
    const told = await hour({ builds: 9, most: 4 }, (world, minute) => minute % 10 === 5 && step(world, 2));
    expect(told).toEqual([]);
  });

  it('before the reconciler has looked for as long itself', async () => {
    expect(await hour({ builds: 1, most: 2, anew: 10 }, () => undefined)).toEqual([25]);
  });
});
