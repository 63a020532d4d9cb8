import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseLedger } from '../../../catalog/ledger';
import { certificatePurpose } from '../../../components/jenkins/names';
import { Secrets } from '../../../components/shared/secrets';
import type { PodWords } from '../../../delivery/pod-words';
import type { Outcome } from '../../../operations/cli/outcome';
import { Terminal } from '../../../operations/cli/terminal';
import { promotion } from '../../../operations/releases/promotion';
import { type Environments, makeEnvironments, PRODUCTION } from '../../delivery/two-environments';
import { ROOT_TOKEN } from '../../delivery/world';

// `switchyard promote` as a whole, but for the engine and the cluster: what they answer is told here.

const SEED = 'b1946ac92492d2347c6235b4d2611184';
const STAGING_SEED = '591785b794601e212b260e25925636fd';

let ups: string[] = [];
let judged: { readonly exitCode?: number; readonly words?: PodWords } = {};
jest.mock('../../../operations/engine/operate', () => ({
  ...jest.requireActual('../../../operations/engine/operate'),
  operate: async (operation: string, environment: string, { only }: { only: string }): Promise<Outcome> => {
    ups.push(`${operation} ${environment} ${only}`);
    return { document: { operation, changes: { update: 1 } }, lines: [`${operation} done`] };
  },
}));
jest.mock('../../../operations/judge', () => ({
  judge: async (_environment: string, _module: string, { out }: { out: string }): Promise<Outcome> => {
    const { writeFileSync: write } = jest.requireActual<typeof import('node:fs')>('node:fs');
    if (judged.words) write(out, JSON.stringify(judged.words));
    return { document: {}, lines: ['looked at'], ...(judged.exitCode ? { exitCode: judged.exitCode } : {}) };
  },
}));

let environments: Environments;
const variables: Record<string, string> = {
  GITLAB_TOKEN: ROOT_TOKEN,
  SWITCHYARD_SEED: SEED,
  STAGING_SEED,
  PULUMI_CONFIG_PASSPHRASE: 'of the tests',
  PULL: 'pull',
  PUSH: 'push',
};
const before = Object.fromEntries(
  [...Object.keys(variables), 'SWITCHYARD_STACKS'].map((name) => [name, process.env[name]]),
);

beforeAll(async () => {
  environments = await makeEnvironments(
    new Secrets(STAGING_SEED, 'staging').secret(certificatePurpose('staging')),
  );
  const { staging, production, world, work } = environments;
  const stacks = work();
  mkdirSync(stacks);
  const stack = (name: string, group: string, host: string, more: string): void =>
    writeFileSync(
      join(stacks, `Pulumi.${name}.yaml`),
      `config:
  switchyard:environment: ${name}
  switchyard:modules: [orders]
  switchyard:backend: file:///state/${name}
  switchyard:clusters: { ci: { context: ${name} }, production: { context: ${name} } }
  switchyard:gitlab: { url: "${world.url}", group: ${group} }
  switchyard:jenkins: { url: "https://jenkins.${name}.test" }
  switchyard:registry:
    address: ${host}
    scheme: http
    existing: { pull: { user: a, passwordFrom: PULL }, push: { user: b, passwordFrom: PUSH } }
${more}`,
    );
  stack('staging', 'switchyard', staging.host, '');
  stack(
    'production',
    'production',
    production.host,
    '  switchyard:promotion: { from: staging, seedFrom: STAGING_SEED }\n',
  );
  const file = join(stacks, 'Pulumi.production.yaml');
  const { readFileSync } = jest.requireActual<typeof import('node:fs')>('node:fs');
  writeFileSync(
    file,
    readFileSync(file, 'utf8').replace(
      'group: production }',
      'group: production, projects: { orders: { existing: switchyard/orders } } }',
    ),
  );
  Object.assign(process.env, variables, { SWITCHYARD_STACKS: stacks });
});
afterAll(async () => {
  for (const [name, value] of Object.entries(before))
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  await environments?.close();
});
beforeEach(() => {
  ups = [];
  judged = {};
});

const said: string[] = [];
class Listening extends Terminal {
  override note(text: string): void {
    said.push(text);
  }
}
const promoteNow = (options: Parameters<typeof promotion>[2] = {}): Promise<Outcome> => {
  said.length = 0;
  return promotion('production', 'orders', { yes: true, ...options }, new Listening());
};
const ledger = async () => {
  const file = await environments.person.gitlab.file(PRODUCTION, 'production.yaml', 'main');
  return parseLedger(file?.text ?? '', 'production.yaml');
};

test('a promotion is put into the ledger, rolled out and judged, and says so', async () => {
  const one = await environments.released('one');
  const commit = one.commit.slice(0, 12);
  const outcome = await promoteNow();
  expect(ups).toEqual(['up production orders']);
  expect((await ledger()).modules.orders?.commit).toBe(one.commit);
  expect(outcome).toEqual({
    document: {
      ...{
        operation: 'up',
        changes: { update: 1 },
        module: 'orders',
        promotedFrom: 'staging',
        written: true,
      },
      release: { ...one, image: one.image.replace(environments.staging.host, environments.production.host) },
    },
    lines: ['up done', `orders is ${commit} in production, promoted from staging`],
  });
  expect(said).toEqual([
    `orders will go from nothing to ${commit} (!${one.mergeRequest}) in production, as it runs in staging`,
    expect.stringMatching(/^image: modules\/orders@sha256:.* is in .* now$/),
    `ledger: production orders is ${commit} now`,
    'looked at',
  ]);
  expect((await environments.world.statuses(one.commit)).at(-1)).toMatchObject({
    name: 'switchyard/production',
    status: 'success',
  });
  expect(JSON.stringify([outcome, said])).not.toContain(SEED);
  // Nobody is there to ask.
  await expect(promoteNow({ yes: false })).rejects.toMatchObject({ code: 3 });
});

test('what does not hold is undone, and its Pods’ words are in the merge request; said again it stays so', async () => {
  const two = await environments.released('two');
  const runs = (await ledger()).modules.orders;
  judged = {
    exitCode: 7,
    words: { why: 'it crashed', pods: [{ name: 'orders-1', events: [], log: ['out of tea'] }] },
  };
  const outcome = await promoteNow();
  expect(ups).toEqual(['up production orders', 'up production orders']);
  expect(outcome).toMatchObject({
    exitCode: 7,
    document: { undone: { why: 'it crashed', serves: runs?.commit } },
  });
  expect(outcome.lines.at(-1)).toBe(
    `orders ${two.commit.slice(0, 12)} is undone in production: it crashed; to try it again, say --force`,
  );
  expect((await ledger()).modules.orders).toEqual(runs);
  const notes = await environments.world.notes(two.mergeRequest);
  expect(notes.map(({ body }) => body).find((body) => body.includes('switchyard:undone'))).toContain(
    'out of tea',
  );
  const again = await promoteNow();
  expect([again.exitCode, ups.length]).toEqual([7, 3]);
  expect((await ledger()).modules.orders).toEqual(runs);
});

test('a merge request on the ledger is told with its address, and rolls nothing out', async () => {
  const three = await environments.released('three');
  const commit = three.commit.slice(0, 12);
  const outcome = await promoteNow({ mergeRequest: true, yes: false });
  expect([ups, outcome.lines]).toEqual([
    [],
    [
      `orders ${commit} is proposed for production: ${environments.world.url}/production/release-ledger/-/merge_requests/1`,
      `once it is merged: switchyard promote production orders --commit ${commit}`,
    ],
  ]);
  await expect(promoteNow({ commit: '1234567' })).rejects.toMatchObject({
    code: 2,
    message: `--commit: 1234567 does not serve in staging: ${commit} does. See \`switchyard releases staging orders\`.`,
  });
});
