import { setTimeout as sleep } from 'node:timers/promises';
import { type Ledger, parseLedger, type Release, serialiseLedger, withState } from '../../catalog/ledger';
import { exitCode } from '../../clients/failure';
import { copyImage } from '../../delivery/copy-image';
import { type Deployment, reportPromotion } from '../../delivery/deploy';
import { type PromotionRequest, promote, prove } from '../../delivery/promotion';
import { listReleases } from '../../delivery/releases';
import { undo } from '../../delivery/undo';
import { KEY } from './certificates';
import { ended } from './ended';
import { type Environments, makeEnvironments, PRODUCTION, REPOSITORY } from './two-environments';
import { LEDGER, PROJECT } from './world';

// From the merge in staging to the ledger of production: git, GitLab's stand-in, and two registries of Debian's package.

let environments: Environments;
let world: Environments['world'];
let staging: Environments['staging'];
let production: Environments['production'];
let person: Environments['person'];
let work: Environments['work'];
let released: Environments['released'];

beforeAll(async () => {
  environments = await makeEnvironments(KEY);
  ({ world, staging, production, person, work, released } = environments);
});
afterAll(() => environments?.close());

const request = (more: Partial<PromotionRequest> = {}): PromotionRequest => ({
  ...{ module: 'orders', project: PROJECT, ledgerProject: PRODUCTION, environment: 'production' },
  from: { ledgerProject: LEDGER, environment: 'staging', registry: staging.host, key: KEY },
  ...{ registry: production.host, force: false, migrates: false },
  ...more,
});
const promoteNow = (more: Partial<PromotionRequest> = {}, propose = false) => {
  const wanted = request(more);
  return promote(
    person.gitlab,
    wanted,
    {
      prove: (release) => prove(person, wanted, release, work()),
      copy: (digest, tag) =>
        copyImage(staging.registry, production.registry, { repository: REPOSITORY, digest, tag }),
      keep: (digest, tag) => production.registry.tag(REPOSITORY, digest, tag),
    },
    propose,
    () => 1,
  );
};
const ledgerOf = async (project: string, environment: string): Promise<Ledger> => {
  const file = await person.gitlab.file(project, `${environment}.yaml`, 'main');
  return parseLedger(file?.text ?? '', `${environment}.yaml`);
};
const write = async (
  project: string,
  environment: string,
  change: (ledger: Ledger) => Ledger,
): Promise<void> => {
  const path = `${environment}.yaml`;
  const before = await person.gitlab.file(project, path, 'main');
  const text = serialiseLedger(change(parseLedger(before?.text ?? '', path)));
  await person.gitlab.commitFile(project, {
    ...{ branch: 'main', path, text, message: 'by hand' },
    ...(before ? { lastCommit: before.lastCommit } : {}),
  });
};
const inProduction = ({ image, ...rest }: Release): Release => ({
  ...rest,
  image: image.replace(staging.host, production.host),
});
const refused = async (more: Partial<PromotionRequest> = {}): Promise<[number, string]> => {
  const { code, message } = await ended(promoteNow(more));
  return [code, message.split('\n')[0] ?? ''];
};

test('a release goes from staging to production with its layers, by the certificate of its merge request', async () => {
  const one = await released('one');
  expect(await promoteNow()).toEqual({ release: inProduction(one), written: true });
  expect((await ledgerOf(PRODUCTION, 'production')).modules.orders).toEqual(inProduction(one));
  const images = await production.registry.images(REPOSITORY);
  expect(images).toEqual([
    {
      digest: one.image.split('@')[1],
      tags: [`mr-${one.mergeRequest}-00000000`, `release-${one.commit.slice(0, 12)}`],
      parts: [],
    },
  ]);
  // All of it: the collector of a registry finds nothing else.
  const manifest = await production.registry.manifest(REPOSITORY, images[0]?.digest ?? '');
  for (const digest of manifest?.bytes.toString().match(/sha256:[0-9a-f]{64}/g) ?? [])
    expect([digest, await production.registry.hasBlob(REPOSITORY, digest)]).toEqual([digest, true]);
  expect(await promoteNow()).toMatchObject({ written: false });
  expect(await listReleases(person.gitlab, request(), 'orders')).toMatchObject([
    { commit: one.commit, state: 'current', promotedFrom: 'staging' },
  ]);
});

test('what its certificate does not cover is refused', async () => {
  const two = await released('two');
  const from = { ...request().from, key: `another-${KEY}` };
  expect(await refused({ from })).toEqual([
    exitCode.input,
    expect.stringContaining("its merge request's certificate was changed: the signature does not hold"),
  ]);
  const put = (change: Partial<Release>) =>
    write(LEDGER, 'staging', (ledger) => withState(ledger, 'orders', { release: { ...two, ...change } }));
  await put({ image: `${staging.host}/${REPOSITORY}@sha256:${'0'.repeat(64)}` });
  expect(await refused()).toEqual([
    exitCode.input,
    expect.stringContaining('the ledger of staging names another image than its certificate'),
  ]);
  await put({ mergeRequest: two.mergeRequest - 1 });
  expect(await refused()).toEqual([
    exitCode.input,
    expect.stringContaining(
      `the ledger of staging names !${two.mergeRequest - 1}, and !${two.mergeRequest} brought it`,
    ),
  ]);
  await put({ commit: 'f'.repeat(40) });
  expect(await refused()).toEqual([
    exitCode.input,
    expect.stringContaining('orders ffffffffffff is not promoted: ffffffffffff is not on main'),
  ]);
  await put({});
  expect(await promoteNow()).toMatchObject({ written: true, release: inProduction(two) });
});

test('older than what is there is told by git, and a merge request on the ledger is what people merge', async () => {
  const three = await released('three');
  const proposed = await promoteNow({}, true);
  const iid = proposed.proposed ?? 0;
  expect(proposed).toMatchObject({ written: false, proposed: expect.any(Number) });
  // Said again, also after the ledger has changed, it is the same one.
  expect((await promoteNow({}, true)).proposed).toBe(iid);
  const other: Release = { ...three, image: `${production.host}/modules/other@sha256:${'1'.repeat(64)}` };
  await write(PRODUCTION, 'production', (ledger) => withState(ledger, 'other', { release: other }));
  expect((await promoteNow({}, true)).proposed).toBe(iid);
  const open = await person.gitlab.mergeRequest(PRODUCTION, iid);
  expect(open).toMatchObject({
    state: 'opened',
    source_branch: `promote-orders-${three.commit.slice(0, 12)}`,
    title: `production: orders ${three.commit.slice(0, 12)}`,
  });
  const at = `/projects/${encodeURIComponent(PRODUCTION)}/merge_requests/${iid}`;
  while ((await world.api('GET', at)).detailed_merge_status !== 'mergeable') await sleep(20);
  await world.api('PUT', `${at}/merge`, { sha: open.sha });
  expect((await ledgerOf(PRODUCTION, 'production')).modules).toEqual({ orders: inProduction(three), other });
  // Merged, it is rolled out by whoever says it again.
  expect(await promoteNow({}, true)).toEqual({
    release: inProduction(three),
    from: inProduction(three),
    written: false,
  });
  const [newest, before] = await listReleases(person.gitlab, request(), 'orders');
  expect(newest).toMatchObject({ commit: three.commit, state: 'current', promotedFrom: 'staging' });
  expect(before).toMatchObject({ state: 'earlier' });

  await write(LEDGER, 'staging', (ledger) =>
    withState(ledger, 'orders', {
      release: { ...three, ...stagingOf(before?.commit, before?.mergeRequest, before?.image) },
    }),
  );
  expect(await refused()).toEqual([
    exitCode.input,
    `orders ${before?.commit.slice(0, 12)} is older than ${three.commit.slice(0, 12)}, which is in production. To have it all the same, say --force.`,
  ]);
  await promoteNow({ force: true });
  expect((await ledgerOf(PRODUCTION, 'production')).modules.orders?.commit).toBe(before?.commit);
});

test('what does not hold in production is undone there as what is merged, and what ran there is not', async () => {
  const four = await released('four');
  const before = (await ledgerOf(PRODUCTION, 'production')).modules.orders;
  const { release } = await promoteNow();
  const { commit, mergeRequest, image } = release;
  const deployment: Deployment = {
    ...{ module: 'orders', project: PROJECT, environment: 'production', branch: 'main', by: 'promotion' },
    ...{ commit, mergeRequest, image },
  };
  const crashed = { why: 'it crashed', pods: [] };
  const undone = await undo(person, PRODUCTION, deployment, undefined, crashed);
  await reportPromotion(person, undone);
  expect(await ledgerOf(PRODUCTION, 'production')).toMatchObject({
    modules: { orders: before },
    undone: { orders: { how: 'undone', commit, mergeRequest, why: 'it crashed' } },
  });
  const said = (await world.notes(mergeRequest)).find(({ body }) => body.includes('switchyard:undone'));
  expect(said?.body).toContain(
    `was rolled out to production and is undone: it crashed. ${before?.commit.slice(0, 12)} runs there as before. A newer release can be promoted.`,
  );
  expect(await promoteNow()).toMatchObject({ written: false, undone: { commit } });

  await promoteNow({ force: true });
  await reportPromotion(person, deployment);
  const failure = await ended(undo(person, PRODUCTION, deployment, undefined, crashed));
  expect(failure.message).toContain('is not undone: it ran in production before');
  expect((await ledgerOf(PRODUCTION, 'production')).modules.orders).toEqual(inProduction(four));
  // Staging's own status is as it was, and what it does next goes by that one.
  const statuses = await person.gitlab.statuses(PROJECT, commit, 'main');
  expect(statuses.map(({ name, status, description }) => [name, status, description]).slice(-3)).toEqual([
    ['switchyard', 'success', `orders ${commit.slice(0, 12)} runs in staging`],
    ['switchyard/production', 'failed', expect.stringContaining('is undone in production: it crashed')],
    ['switchyard/production', 'success', `orders ${commit.slice(0, 12)} runs in production`],
  ]);
});

/** What staging had of a release that production has. */
const stagingOf = (commit = '', mergeRequest = 0, image = ''): Partial<Release> => ({
  commit,
  mergeRequest,
  image: image.replace(production.host, staging.host),
});
