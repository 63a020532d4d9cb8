import { mkdirSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { FIRST_LABEL } from '../../../catalog/status';
import type { Model } from '../../../components/model';
import { Terminal } from '../../../operations/cli/terminal';
import { Engine } from '../../../operations/engine/engine';
import type { Session } from '../../../operations/engine/operate';
import type { World } from '../../../operations/engine/repair';
import { isRealResource, parseUrn } from '../../../operations/engine/urns';
import { afterDataUrns } from '../../../operations/rebuild/stages';
import { foundation, mendState, whole } from '../../../operations/rebuild/steps';
import { targetNames } from '../../../operations/rebuild/targets';
import { fullyReleased } from '../../../rules/model';
import { twoModules } from '../../rules/support';
import { type AcceptingPlace, acceptingPlace, acceptingTopology } from './accepting';

// The stages of a rebuild under the real engine, with its state in files, over the whole topology. Providers that accept
// everything stand for cluster, GitLab and Docker.

jest.setTimeout(300_000);

const work = mkdtempSync(path.join(tmpdir(), 'rebuild-engine-'));
let place: AcceptingPlace;
let model: Model;
/** The ledger came back with the repositories. */
let released = false;

beforeAll(async () => {
  place = await acceptingPlace(work);
  model = twoModules({ settings: place.settings, releases: {} });
});
afterAll(() => place.close());

async function program(): Promise<void> {
  acceptingTopology(released ? fullyReleased(model) : model);
}

const quiet = new Terminal({ write: () => true }, { write: () => true }, {});

async function on<T>(backend: string, use: (session: Session) => Promise<T>): Promise<T> {
  mkdirSync(path.join(work, 'state', backend), { recursive: true });
  const engine = await Engine.open({
    root: work,
    environment: 'test',
    backend: `file://${path.join(work, 'state', backend)}`,
    stacks: path.join(work, 'stacks'),
    program,
    settle: async () => undefined,
    untilEnded: async () => undefined,
    note: () => undefined,
  });
  try {
    return await use({
      folders: { root: '', catalog: '', stacks: '', library: '' },
      model,
      engine,
      gitlabToken: async () => 'root-token',
    });
  } finally {
    await engine.close();
  }
}

/** Names of the real resources in the state → their ids. */
async function inState({ engine }: Session): Promise<Map<string, string>> {
  const { deployment } = (await engine.state()) as {
    deployment: { resources?: { urn: string; type: string; id?: string }[] };
  };
  return new Map(
    (deployment.resources ?? [])
      .filter(({ type }) => isRealResource(type))
      .map(({ urn, id }) => [parseUrn(urn).name, id ?? '']),
  );
}

/** Names of what a preview would change. */
async function preview({ engine }: Session): Promise<string[]> {
  const names: string[] = [];
  await engine.run('preview', {
    onEvent: ({ resourcePreEvent: event }) => {
      const { op, urn } = event?.metadata ?? {};
      // It names a token that the accepting provider never issues, so it differs in every preview.
      if (urn && /::deploy-kubeconfig$/.test(urn)) return;
      if (urn && op && op !== 'same') names.push(`${op} ${parseUrn(urn).name}`);
    },
  });
  return names;
}

const nothing: World = {
  object: async () => undefined,
  gitlab: async () => undefined,
  removeFromGitlab: async () => undefined,
};

test('the first run makes all but what must come after data, the second the rest, and then nothing is left to do', async () => {
  await on('staged', async (session) => {
    const late = afterDataUrns('test', model).map((urn) => parseUrn(urn).name);
    await mendState(session, quiet, new Set(), nothing);
    await foundation(session, quiet, false);
    const first = await inState(session);
    expect(late.filter((name) => first.has(name))).toEqual([]);
    expect([...first.keys()]).toEqual(
      expect.arrayContaining(['gitlab-shop', 'registry-deployment', 'jenkins-image', 'jenkins-home']),
    );
    released = true;
    // A run that was killed and goes on meets a ledger that is there already: workloads still wait for their data.
    await foundation(session, quiet, false);
    const again = await inState(session);
    expect(late.filter((name) => again.has(name))).toEqual([]);
    await whole(session, quiet, false, nothing);
    const second = await inState(session);
    expect(late.filter((name) => !second.has(name))).toEqual([]);
    expect(await preview(session)).toEqual([]);
  });
});

test('where a cluster burnt, its resources leave the state and are made anew; what lives keeps its id', async () => {
  await on('staged', async (session) => {
    const all = await inState(session);
    await mendState(session, quiet, new Set(['gitlab']), nothing);
    const left = await inState(session);
    expect(left.has('gitlab-shop')).toBe(true);
    expect(left.has('registry-namespace')).toBe(false);
    expect(left.has('jenkins-image')).toBe(false);
    await foundation(session, quiet, true);
    await whole(session, quiet, false, nothing);
    expect([...(await inState(session)).keys()].sort()).toEqual([...all.keys()].sort());
    expect(await preview(session)).toEqual([]);
  });
});

test('where only the state was lost, all that lives is taken over under its own id and nothing is made twice', async () => {
  const group = { id: 70 };
  const world: World = {
    object: async () => ({}),
    gitlab: async (asked) => {
      if (/^groups\/[^/]+$/.test(asked)) return group;
      if (/\/projects\?search=/.test(asked)) {
        const name = decodeURIComponent(asked.split('search=')[1] ?? '');
        return [{ id: 700 + name.length, path: name }];
      }
      if (/\/hooks$/.test(asked)) return [];
      if (/\/labels\?/.test(asked)) return [{ id: 9, name: FIRST_LABEL }];
      if (/access_tokens$/.test(asked)) return [];
      return { id: 5 };
    },
    removeFromGitlab: async () => undefined,
  };
  await on('lost', async (session) => {
    await mendState(session, quiet, new Set(targetNames), world);
    const taken = await inState(session);
    expect(taken.get('gitlab-group')).toBe('70');
    expect(taken.get('gitlab-shop')).toBe('704');
    expect(taken.get('registry-namespace')).toBe('registry');
    expect(taken.get('jenkins-controller')).toBe('ci/jenkins');
    const made: string[] = [];
    await session.engine.run('up', {
      onEvent: ({ resourcePreEvent: event }) => {
        const { op, type, urn } = event?.metadata ?? {};
        if (op?.startsWith('create') && type && urn && isRealResource(type)) made.push(type);
      },
    });
    // What nothing outside can tell of: values that are said once, images, hooks that this GitLab does not have.
    expect([...new Set(made)].sort()).toEqual([
      'docker:index/image:Image',
      'gitlab:index/groupAccessToken:GroupAccessToken',
      'gitlab:index/projectHook:ProjectHook',
    ]);
    expect(await preview(session)).toEqual([]);
  });
});
