import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ReleaseRow } from '../../../delivery/releases';
import { Terminal } from '../../../operations/cli/terminal';
import { registryOf } from '../../../operations/outside/clients';
import { canaryOf } from '../../../operations/rebuild';
import { projectsOf } from '../../../operations/rebuild/targets';
import { promotion } from '../../../operations/releases/promotion';
import { releaseLines } from '../../../operations/releases/releases';
import { parseStack } from '../../../stacks/load';
import { root, stackText, testModel } from '../../support/model';

// What `switchyard promote` says before it asks anybody anything.

let folder: string;
const variables = [
  'SWITCHYARD_STACKS',
  'GITLAB_TOKEN',
  'SWITCHYARD_SEED',
  'STAGING_SEED',
  'PULUMI_CONFIG_PASSPHRASE',
  'AWS_ACCESS_KEY_ID',
  'AWS_SECRET_ACCESS_KEY',
];
const before = Object.fromEntries(variables.map((name) => [name, process.env[name]]));
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'switchyard-promote-'));
  mkdirSync(join(folder, 'stacks'));
  cpSync(join(root, 'stacks', 'Pulumi.staging.yaml'), join(folder, 'stacks', 'Pulumi.staging.yaml'));
  Object.assign(process.env, {
    SWITCHYARD_STACKS: join(folder, 'stacks'),
    GITLAB_TOKEN: 'none',
    SWITCHYARD_SEED: '0123456789abcdef'.repeat(2).replace('0123', '9f3a'),
    STAGING_SEED: '',
    PULUMI_CONFIG_PASSPHRASE: 'of the tests',
    AWS_ACCESS_KEY_ID: 'a',
    AWS_SECRET_ACCESS_KEY: 'b',
  });
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
  for (const [name, value] of Object.entries(before))
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
});

/** The example's production, with further settings. */
const production = (more: string): void => {
  const text = readFileSync(join(root, 'stacks', 'Pulumi.production.yaml'), 'utf8');
  const projects = text.replace(
    '    mergeMethod: ff\n',
    '    mergeMethod: ff\n    projects: { orders: { existing: switchyard-staging/orders } }\n',
  );
  writeFileSync(join(folder, 'stacks', 'Pulumi.production.yaml'), `${projects}${more}`);
};
const refusal = async (module = 'orders', options = {}): Promise<[code: unknown, lines: string[]]> => {
  const error = await promotion('production', module, { yes: true, ...options }, new Terminal()).catch(
    (thrown: unknown) => thrown,
  );
  const { message, code } = error as Error & { code?: number };
  return [code, message.split('\n')];
};

test.each<[string, string, () => unknown, string]>([
  [
    'a module that is none',
    '  switchyard:promotion: { from: staging }\n',
    () => undefined,
    'there is no module "ordes" in production. Did you mean "orders"?',
  ],
  [
    'no promotion',
    '',
    () => undefined,
    'stacks/Pulumi.production.yaml:3: config.promotion: is missing: what is merged is released here, and nothing is promoted. Write "switchyard:promotion: { from: … }": see docs/production.md.',
  ],
  [
    'an environment that is none',
    '  switchyard:promotion: { from: stagin }\n',
    () => undefined,
    'stacks/Pulumi.production.yaml:37: config.promotion.from: there is no environment "stagin". Did you mean "staging"?',
  ],
  [
    'no token',
    '  switchyard:promotion: { from: staging }\n',
    () => delete process.env.GITLAB_TOKEN,
    'GITLAB_TOKEN is not set: the release ledger is read, and changed, by it.',
  ],
  [
    'no seed of the other one',
    '  switchyard:promotion: { from: staging, seedFrom: STAGING_SEED }\n',
    () => undefined,
    'stacks/Pulumi.production.yaml:37: config.promotion.seedFrom: the secret STAGING_SEED is missing. Set STAGING_SEED in the environment of this command.',
  ],
  [
    'a seed that is none',
    '  switchyard:promotion: { from: staging, seedFrom: STAGING_SEED }\n',
    () => Object.assign(process.env, { STAGING_SEED: 'short' }),
    'stacks/Pulumi.production.yaml:37: config.promotion.seedFrom: the secret STAGING_SEED has 5 characters',
  ],
])('%s is one fault', async (what, more, happened, fault) => {
  production(more);
  happened();
  const [code, lines] = await refusal(what.startsWith('a module') ? 'ordes' : 'orders');
  // A fault of a file has no code of its own: whoever ends with it says 2.
  expect([undefined, 2]).toContain(code);
  expect(lines).toEqual([expect.stringContaining(fault)]);
});

test('a list of releases says where one was promoted from', () => {
  const row: ReleaseRow = {
    ...{ module: 'shop', commit: 'a'.repeat(40), mergeRequest: 7, at: '2026-11-28T10:00:00Z', by: 'ada' },
    ...{ held: false, image: `r.test/modules/shop@sha256:${'d'.repeat(64)}` },
    state: 'current',
  };
  expect(
    releaseLines('production', [{ ...row, promotedFrom: 'staging' }, row]).map((line) => line.slice(-28)),
  ).toEqual([
    expect.stringMatching(/state$/),
    expect.stringMatching(/current, from staging$/),
    expect.stringMatching(/current$/),
  ]);
});

describe('where releases are promoted', () => {
  const text = `${stackText}  switchyard:promotion: { from: staging }\n`;
  const model = testModel({ settings: parseStack(text, 'stacks/Pulumi.test.yaml', 'test') });

  test('a rebuild and backups leave the projects of modules alone, which are another environment’s', () => {
    expect(projectsOf(model).map(({ item }) => item)).toEqual(['release-ledger', 'pipeline-library']);
    expect(projectsOf(testModel()).map(({ item }) => item)).toContain('shop');
  });

  test('no canary is sent', () => {
    expect(canaryOf(model, {})).toBeUndefined();
    expect(() => canaryOf(model, { canary: 'shop' })).toThrow(
      '--canary: merge requests are tested in staging, and reach this environment by a promotion. Leave it out.',
    );
  });

  test('each registry is opened as whom one has there', async () => {
    const asked: string[] = [];
    const fetched = jest.spyOn(globalThis, 'fetch').mockImplementation(async (url, init) => {
      const { authorization = '' } = (init?.headers ?? {}) as Record<string, string>;
      asked.push(
        `${url} ${Buffer.from(authorization.replace('Basic ', ''), 'base64').toString().split(':')[0]}`,
      );
      return new Response('', { status: 404 });
    });
    try {
      const existing =
        '  switchyard:registry: { address: "r.test", existing: { pull: { user: a, passwordFrom: A }, push: { user: b, passwordFrom: B }, path: x } }';
      const other = parseStack(stackText.replace(/^ {2}switchyard:registry:.*$/m, existing), 'f', 'test');
      const digest = `sha256:${'a'.repeat(64)}`;
      for (const settings of [model.settings, other])
        for (const right of ['pull', 'push'] as const)
          await registryOf(settings, right, 'seed').manifest('modules/shop', digest);
      expect(asked).toEqual([
        `https://registry.test:5000/v2/modules/shop/manifests/${digest} pull`,
        `https://registry.test:5000/v2/modules/shop/manifests/${digest} push`,
        `https://r.test/v2/x/modules/shop/manifests/${digest} a`,
        `https://r.test/v2/x/modules/shop/manifests/${digest} b`,
      ]);
    } finally {
      fetched.mockRestore();
    }
  });
});
