import fc from 'fast-check';
import { ProblemsError } from '../../catalog/problems';
import { isOneCluster } from '../../stacks/clusters';
import { jobFolder, projectPath } from '../../stacks/gitlab';
import { parseStack } from '../../stacks/load';
import { deployVariables, stackVariables } from '../../stacks/secrets';
import { stackWith } from '../support/model';

const KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJjyd5AEq/fcQpVO46dXWPKitUBaUFedCmKGwzViz8bI';
const parse = (text: string) => parseStack(text, 'stacks/Pulumi.test.yaml', 'test');
const gitlab = (extra: string) => parse(stackWith({ gitlab: extra })).gitlab;
const faults = (extra: string): string[] => {
  try {
    gitlab(extra);
  } catch (error) {
    if (error instanceof ProblemsError)
      return error.message
        .split('\n')
        .map((line) => line.replace(/^stacks\/Pulumi\.test\.yaml:5: config\./, ''));
    throw error;
  }
  return [];
};

test('what is not chosen is as GitLab has it on the free tier, and the bot rotates', () => {
  expect(gitlab('')).toEqual({
    url: 'https://gitlab.test',
    tier: 'free',
    group: 'switchyard',
    groupExists: false,
    projects: {},
    mergeMethod: 'merge',
    squash: 'default_off',
    mergeRole: 'maintainer',
    rebase: 'people',
    deletion: 'immediate',
    queue: { window: 4 },
    resolveDiscussions: false,
    members: {},
    labels: [],
    deployKeys: [],
    botToken: { rotation: { days: 180, before: 30 } },
  });
});

test.each([
  ['group: platform', 'platform', false],
  ['group: { create: platform }', 'platform', false],
  ['group: { existing: team/ci }', 'team/ci', true],
])('%s', (written, group, groupExists) => {
  expect(gitlab(written)).toMatchObject({ group, groupExists });
});

test('a fixed end of the token is today’s form, and rotation is the other', () => {
  expect(gitlab('botTokenExpires: "2030-01-01"').botToken).toEqual({ expires: '2030-01-01' });
  expect(gitlab('botTokenRotation: { days: 90, before: 14 }').botToken).toEqual({
    rotation: { days: 90, before: 14 },
  });
});

test.each([
  [
    'approvals: { required: 1 }',
    'gitlab.approvals: needs GitLab Premium, and tier is "free". Leave it out, or set tier to what your licence says.',
  ],
  [
    'botTokenExpires: "2030-01-01", botTokenRotation: { days: 9, before: 3 }',
    'gitlab.botTokenRotation: cannot stand beside botTokenExpires. Keep one of the two.',
  ],
  [
    'botTokenRotation: { days: 9, before: 9 }',
    'gitlab.botTokenRotation.before: is not shorter than days, so each up would rotate. Write e.g. { days: 180, before: 30 }.',
  ],
  [
    'group: { existing: a/b, create: c }',
    'gitlab.group: needs one of create and existing. Write the one that is meant, and only that.',
  ],
  ['group: { existin: a/b }', 'gitlab.group.existin: is not a known key. Did you mean "existing"?'],
  [
    'group: 5',
    'gitlab.group: is neither a path nor one of create and existing. Write a path, or "{ existing: team/ci }".',
  ],
  [
    'group: { existing: "https://gitlab.test/a" }',
    'gitlab.group.existing: is not a path in GitLab. Write it as in the address bar, without the host: "platform/orders".',
  ],
  ['mergeMethd: ff', 'gitlab.mergeMethd: is not a known key. Did you mean "mergeMethod"?'],
  [
    'members: { ada: owner }',
    'gitlab.members.ada: is not a role. Use guest, reporter, developer or maintainer.',
  ],
  [
    'deployKeys: [{ title: mirror, key: "-----BEGIN OPENSSH PRIVATE KEY-----" }]',
    'gitlab.deployKeys.0.key: is not a public SSH key. Give the content of the .pub file, in one line.',
  ],
  [
    // lib/api/deploy_keys.rb answers the key that is there, by its first title, whatever is asked for; a comment is no part of it.
    `deployKeys: [{ title: a, key: "${KEY} one" }, { title: b, key: "${KEY} two", modules: [shop] }]`,
    'gitlab.deployKeys.1.key: is that of "a" again, and GitLab knows a key once, by its first title. Give each a key of its own, or name all modules in one of the two.',
  ],
  [
    'labels: [{ name: "a::b", color: "#000000" }, { name: A b, color: "#ffffff" }]',
    'gitlab.labels.1.name: "A b" is too like "a::b". Change a letter or a digit.',
  ],
  [
    'labels: [{ name: "Switchyard first", color: "#000000" }]',
    'gitlab.labels.0.name: "Switchyard first" is too like our own "switchyard::first". Choose another name.',
  ],
  [
    'labels: [{ name: "Switchyard merge", color: "#000000" }]',
    'gitlab.labels.0.name: "Switchyard merge" is too like our own "switchyard-merge". Choose another name.',
  ],
  [
    'members: { alice: developer, bob: developer, Alice: maintainer }',
    'gitlab.members.Alice: is "alice" again, to whom case means nothing. Keep one of the two.',
  ],
  ...['   ', '', '\u00a0', '\u2003\t'].flatMap((blank): [string, string][] => [
    [
      `labels: [{ name: ${JSON.stringify(blank)}, color: "#000000" }]`,
      'gitlab.labels.0.name: is blank. Write a name.',
    ],
    [
      `labels: [{ name: a, color: "#000000", description: ${JSON.stringify(blank)} }]`,
      'gitlab.labels.0.description: is blank. Write a name.',
    ],
    [
      `deployKeys: [{ title: ${JSON.stringify(blank)}, key: x }]`,
      'gitlab.deployKeys.0.title: is blank. Write a name.',
    ],
  ]),
  ...[' a', 'a ', 'a\u00a0', '\na'].flatMap((padded): [string, string][] => [
    [
      `labels: [{ name: ${JSON.stringify(padded)}, color: "#000000" }]`,
      'gitlab.labels.0.name: begins or ends with a blank. Leave it out: whoever is given the name does.',
    ],
    [
      `deployKeys: [{ title: ${JSON.stringify(padded)}, key: x }]`,
      'gitlab.deployKeys.0.title: begins or ends with a blank. Leave it out: whoever is given the name does.',
    ],
  ]),
  ['queue: { window: 0 }', 'gitlab.queue.window: Too small: expected number to be >=1.'],
])('%s is refused', (written, fault) => {
  expect(faults(written)).toContain(fault);
});

test('approvals are a matter of the licence', () => {
  expect(gitlab('tier: premium, approvals: { required: 2 }').approvals).toEqual({
    required: 2,
    resetOnPush: true,
    authorMayApprove: false,
    committersMayApprove: false,
    codeOwners: false,
  });
});

test('a module’s project lies in the group unless it was there before; job folders have no slash', () => {
  const settings = gitlab('group: { existing: team/ci }, projects: { shop: { existing: old/Shop } }');
  expect(projectPath(settings, 'shop')).toBe('old/Shop');
  expect(projectPath(settings, 'other')).toBe('team/ci/other');
  expect(jobFolder(settings)).toBe('team-ci');
});

test('the same context twice is one cluster, unless the kubeconfigs differ', () => {
  const clusters = (ci: string, production: string) =>
    parse(stackWith({ clusters: `ci: ${ci}, production: ${production}` })).clusters;
  expect(isOneCluster(clusters('{ context: a }', '{ context: a }'))).toBe(true);
  expect(isOneCluster(clusters('{ context: a }', '{ context: b }'))).toBe(false);
  expect(isOneCluster(clusters('{ context: a, kubeconfig: A }', '{ context: a, kubeconfig: B }'))).toBe(
    false,
  );
});

test('an up needs each secret that a setting names; a deploy only what a deploy uses', () => {
  const settings = parse(
    stackWith({
      clusters:
        'ci: { context: a, kubeconfig: CI_CONFIG }, production: { context: b, kubeconfig: PROD_CONFIG }',
      registry:
        'existing: { pull: { user: reader, passwordFrom: PULL }, push: { user: writer, passwordFrom: PUSH } }',
    }),
  );
  const deploy = ['PULUMI_CONFIG_PASSPHRASE', 'SWITCHYARD_SEED', 'PULL'];
  expect(deployVariables(settings).map(({ variable }) => variable)).toEqual(deploy);
  expect(stackVariables(settings).map(({ variable }) => variable)).toEqual([
    ...deploy,
    'PUSH',
    'CI_CONFIG',
    'PROD_CONFIG',
  ]);
});

test('whatever stands under gitlab and clusters is valid or refused with located faults, never a crash', () => {
  const keys = [
    'group',
    'projects',
    'squash',
    'approvals',
    'members',
    'labels',
    'deployKeys',
    'botTokenExpires',
    'botTokenRotation',
    'tier',
    'ownersRole',
    'existing',
    'create',
    'name',
    'title',
    'key',
    'days',
    'before',
  ];
  const words = fc.constantFrom(
    'a/b',
    'main',
    'free',
    'premium',
    '2030-01-01',
    '#ffffff',
    'developer',
    'ssh-rsa AAAA',
  );
  const { value } = fc.letrec<{ value: unknown }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 3 },
      words,
      fc.integer({ min: 0, max: 400 }),
      fc.boolean(),
      fc.constant(null),
      fc.array(tie('value'), { maxLength: 3 }),
      fc.dictionary(fc.constantFrom(...keys, 'odd'), tie('value'), { maxKeys: 4 }),
    ),
  }));
  fc.assert(
    fc.property(fc.dictionary(fc.constantFrom(...keys), value, { maxKeys: 5 }), value, (given, clusters) => {
      const text = stackWith({})
        .replace(
          /switchyard:gitlab: .*/,
          `switchyard:gitlab: ${JSON.stringify({ url: 'https://gitlab.test', ...given })}`,
        )
        .replace(/production: \{[^}]*\}/, `production: ${JSON.stringify(clusters)}`);
      try {
        parse(text);
      } catch (error) {
        if (!(error instanceof ProblemsError)) throw error;
        for (const problem of error.problems) {
          expect(problem.file).toBe('stacks/Pulumi.test.yaml');
          expect(problem.line).toBeGreaterThan(0);
          expect(problem.key).toMatch(/^config\.(gitlab|clusters)/);
        }
      }
    }),
    { numRuns: 200 },
  );
});
