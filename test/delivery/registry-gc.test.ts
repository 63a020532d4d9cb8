import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { serialiseLedger } from '../../catalog/ledger';
import type { MergeRequest } from '../../clients/gitlab';
import { GitLabError } from '../../clients/gitlab-api';
import type { Kind, Metadata } from '../../clients/kubernetes-in-pod';
import { Registry } from '../../clients/registry';
import { type CollectRequest, collectRegistry, readLedgers, requestState } from '../../delivery/registry-gc';

const DAY = 86_400;
const NOW = 1_800_000_000;
const digest = (letter: string): string => `sha256:${letter.repeat(64)}`;
const longAgo = new Date((NOW - 90 * DAY) * 1000).toISOString();

const request = (more: Partial<MergeRequest>): MergeRequest => ({
  id: 101,
  iid: 1,
  state: 'merged',
  draft: false,
  sha: null,
  title: '',
  source_branch: 'a',
  target_branch: 'main',
  source_project_id: 1,
  target_project_id: 1,
  ...more,
});

test('a merge request ended when it was merged or closed; what GitLab does not say is unknown', async () => {
  const state = (answer: MergeRequest | Error) =>
    requestState(
      { mergeRequest: async () => (answer instanceof Error ? Promise.reject(answer) : answer) },
      'g/shop',
      1,
    );
  const at = Date.parse(longAgo) / 1000;
  expect(await state(request({ state: 'merged', merged_at: longAgo }))).toEqual({ state: 'ended', at });
  expect(await state(request({ state: 'closed', closed_at: longAgo }))).toEqual({ state: 'ended', at });
  expect(await state(request({ state: 'closed' }))).toEqual({ state: 'unknown' });
  expect(await state(request({ state: 'opened' }))).toEqual({ state: 'open' });
  expect(await state(request({ state: 'locked', merged_at: longAgo }))).toEqual({ state: 'open' });
  expect(await state(new GitLabError(404, '', 'no'))).toEqual({ state: 'unknown' });
  await expect(state(new GitLabError(403, '', 'forbidden'))).rejects.toThrow('forbidden');
});

interface World extends CollectRequest {
  readonly done: string[];
}

function world(more: { named?: string[][]; dryRun?: boolean; pods?: string[] } = {}): World {
  const done: string[] = [];
  const metadata = (name: string): Metadata => ({
    name,
    namespace: 'registry',
    uid: name,
    resourceVersion: '1',
    creationTimestamp: '',
    labels: {},
  });
  const ledgers = (more.named ?? [[]]).map((names) => ({ named: new Set(names) }));
  let reads = 0;
  return {
    done,
    registry: {
      repositories: async () => ['modules/shop', 'switchyard/jenkins'],
      images: async (repository: string) => {
        done.push(`read ${repository}`);
        return [
          { digest: digest('a'), tags: ['mr-1-00000000'], parts: [] },
          { digest: digest('b'), tags: ['mr-1-11111111'], parts: [] },
        ];
      },
      remove: async (repository: string, of: string) => {
        done.push(`delete ${repository} ${of.slice(7, 8)}`);
      },
    },
    gitlab: { mergeRequest: async () => request({ merged_at: longAgo }) },
    cluster: {
      list: async (kind: Kind) =>
        kind === 'configmaps' ? [metadata('registry-collect')] : (more.pods ?? ['registry-1']).map(metadata),
      remove: async (kind: Kind, { name }: Metadata) => {
        done.push(`remove ${kind} ${name}`);
        return true;
      },
      createConfigMap: async (namespace: string, name: string) => {
        done.push(`ask ${namespace} ${name}`);
      },
    },
    projectOf: (module) => `switchyard/${module}`,
    ledgers: async () => ledgers[Math.min(reads++, ledgers.length - 1)] ?? { named: new Set() },
    namespace: 'registry',
    days: 30,
    now: NOW,
    dryRun: more.dryRun ?? false,
    say: () => undefined,
  };
}

test('images of modules go, then the registry is asked to collect and restarted; other repositories are not read', async () => {
  const all = world();
  expect(Object.keys(await collectRegistry(all))).toEqual(['modules/shop']);
  expect(all.done).toEqual([
    'remove configmaps registry-collect',
    'read modules/shop',
    'read modules/shop',
    'delete modules/shop a',
    'delete modules/shop b',
    'ask registry registry-collect',
    'remove pods registry-1',
  ]);
});

test('an image that a deploy names between the two looks at the ledger stays', async () => {
  const raced = world({ named: [[], [digest('a')]] });
  await collectRegistry(raced);
  expect(raced.done.filter((step) => step.startsWith('delete'))).toEqual(['delete modules/shop b']);
});

test('an image that a build makes again between the two looks stays', async () => {
  const raced = world();
  const { images } = raced.registry;
  let looks = 0;
  raced.registry.images = async (repository) => {
    const [first, ...others] = await images(repository);
    const again = { ...first, digest: digest('a'), tags: ['mr-1-00000000', 'latest'], parts: [] };
    return looks++ === 0 || !first ? [...(first ? [first] : []), ...others] : [again, ...others];
  };
  await collectRegistry(raced);
  expect(raced.done.filter((step) => step.startsWith('delete'))).toEqual(['delete modules/shop b']);
});

test('where nothing goes the registry is not restarted', async () => {
  const idle = world({ named: [[digest('a'), digest('b')]] });
  expect(await collectRegistry(idle)).toEqual({});
  expect(idle.done).toEqual(['remove configmaps registry-collect', 'read modules/shop']);
});

test('a dry run changes nothing at all', async () => {
  const dry = world({ dryRun: true });
  expect((await collectRegistry(dry))['modules/shop']).toHaveLength(2);
  expect(dry.done).toEqual(['read modules/shop']);
});

test('a ledger that cannot be read ends the run before anything goes', async () => {
  const broken = { ...world(), ledgers: () => Promise.reject(new Error('unreadable')) };
  await expect(collectRegistry(broken)).rejects.toThrow('unreadable');
  expect(broken.done.filter((step) => !step.startsWith('remove configmaps'))).toEqual([]);
});

/** A ledger project with two commits: b replaced a in production, ten days before NOW. */
function ledgerProject(folder: string): string {
  const git = (at: number, ...args: string[]) =>
    execFileSync('git', ['-C', folder, '-c', 'user.name=t', '-c', 'user.email=t@t', ...args], {
      env: { ...process.env, GIT_COMMITTER_DATE: `@${at} +0000`, GIT_AUTHOR_DATE: `@${at} +0000` },
    });
  const release = (letter: string) =>
    serialiseLedger({
      modules: {
        shop: {
          image: `r:5000/modules/shop@${digest(letter)}`,
          commit: '0'.repeat(40),
          mergeRequest: 1,
          build: 'b',
        },
      },
    });
  mkdirSync(folder);
  git(NOW, 'init', '--quiet', '--initial-branch=main');
  writeFileSync(join(folder, 'README.md'), `no ledger: ${digest('f')}\n`);
  for (const [at, letter] of [
    [NOW - 100 * DAY, 'a'],
    [NOW - 50 * DAY, 'b'],
    [NOW - 10 * DAY, 'c'],
  ] as const) {
    writeFileSync(join(folder, 'production.yaml'), release(letter));
    if (letter === 'a') writeFileSync(join(folder, 'staging.yaml'), release('d'));
    git(at, 'add', '.');
    git(at, 'commit', '--quiet', '-m', letter);
  }
  return `file://${folder}`;
}

test('a ledger names what runs in every environment, and what ran within the time of a rollback', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'switchyard-ledger-'));
  try {
    const url = ledgerProject(join(folder, 'project'));
    const named = async (days: number, copy: string) =>
      [...(await readLedgers({ url, token: 't' }, join(folder, copy), NOW - days * DAY)).named]
        .map((each) => each.slice(7, 8))
        .sort();
    expect(await named(5, 'one')).toEqual(['c', 'd']);
    // b ended ten days ago: it counts although it began long before.
    expect(await named(20, 'two')).toEqual(['b', 'c', 'd']);
    expect(await named(60, 'three')).toEqual(['a', 'b', 'c', 'd']);
    const since = NOW - 20 * DAY;
    const { images } = await readLedgers({ url, token: 't' }, join(folder, 'four'), since);
    expect([...images].sort()).toEqual(['b', 'c', 'd'].map((each) => `modules/shop@${digest(each)}`));
    // Again in the same folder, as before anything is removed.
    expect(await named(5, 'one')).toEqual(['c', 'd']);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test('a broken ledger is a fault, not an empty one', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'switchyard-ledger-'));
  try {
    const project = join(folder, 'project');
    const url = ledgerProject(project);
    writeFileSync(join(project, 'production.yaml'), 'modules: { shop: { image: r/shop:latest } }\n');
    execFileSync('git', ['-C', project, '-c', 'user.name=t', '-c', 'user.email=t@t', 'commit', '-qam', 'x']);
    await expect(readLedgers({ url, token: 't' }, join(folder, 'copy'), NOW)).rejects.toThrow(
      'release-ledger/production.yaml',
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test('against a registry: pages through lists, puts the tags of one digest together, and tells an index by its parts', async () => {
  const index = JSON.stringify({ manifests: [{ digest: digest('1') }] });
  const plain = JSON.stringify({ layers: [] });
  const sha = (text: string) => `sha256:${createHash('sha256').update(text).digest('hex')}`;
  const seen: string[] = [];
  const server = createServer((incoming, response) => {
    const { method, url = '' } = incoming;
    seen.push(`${method} ${url}`);
    const json = (value: unknown, headers: Record<string, string> = {}) =>
      response.writeHead(200, headers).end(JSON.stringify(value));
    if (url === '/v2/_catalog?n=1000')
      json({ repositories: ['modules/b'] }, { link: '</v2/_catalog?last=modules%2Fb&n=1000>; rel="next"' });
    else if (url === '/v2/_catalog?last=modules%2Fb&n=1000') json({ repositories: ['modules/a'] });
    else if (url.startsWith('/v2/modules/empty/tags')) json({ tags: null });
    else if (url.startsWith('/v2/modules/a/tags')) json({ tags: ['two', 'one', 'index', 'gone'] });
    else if (method === 'DELETE') response.writeHead(202).end();
    else if (/manifests\/(one|two)$/.test(url)) response.writeHead(200).end(plain);
    else if (url.endsWith('/index')) response.writeHead(200).end(index);
    else response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    const registry = new Registry({ host, plainHttp: true });
    expect(await registry.repositories()).toEqual(['modules/a', 'modules/b']);
    expect(await registry.images('modules/empty')).toEqual([]);
    expect(await registry.images('modules/missing')).toEqual([]);
    expect(await registry.images('modules/a')).toEqual([
      { digest: sha(index), tags: ['index'], parts: [digest('1')] },
      { digest: sha(plain), tags: ['one', 'two'], parts: [] },
    ]);
    await registry.remove('modules/a', sha(plain));
    expect(seen.at(-1)).toBe(`DELETE /v2/modules/a/manifests/${sha(plain)}`);
  } finally {
    server.close();
  }
});
