// Facts of terraform-provider-gitlab: the accepted values in docs/resources/*.md; names and types of the schema: sdks/gitlab.

import { baseUrlFault, checkProviderInputs, connectionOf } from '../../../../lab/plugins/gitlab/config';
import { KINDS } from '../../../../lab/plugins/gitlab/kinds';
import { GitLabProvider } from '../../../../lab/plugins/gitlab/provider';
import { resourceSpec } from '../../../../lab/plugins/gitlab/schema';
import { UNKNOWN } from '../../../../lab/plugins/shared/values';
import { Stack } from './stack';

const stack = new Stack();
const faults = async (type: string, inputs: Record<string, unknown>) =>
  Object.fromEntries((await stack.faults(type, inputs)).map(({ property, reason }) => [property, reason]));

test('an unknown input, a wrong type and a missing one are all reported at once, each by its property', async () => {
  expect(await faults('ProjectHook', { project: '7', tokn: 'x', pushEvents: 'perhaps' })).toEqual({
    tokn: expect.stringMatching(/is not an input/),
    pushEvents: 'must be true or false, not a string',
    url: 'is required',
  });
});

test('a near miss is pointed out', async () => {
  const found = await faults('Project', { name: 'a', visibility: 'private' });
  expect(found.visibility).toContain('Did you mean "visibilityLevel"?');
});

test('documented values are enforced, although the schema does not carry them', async () => {
  const inputs = { project: '7', branch: 'main', pushAccessLevel: 'maintainers' };
  expect(await faults('BranchProtection', inputs)).toEqual({
    pushAccessLevel: expect.stringMatching(
      /^"maintainers" is not one of "no one", "developer", "maintainer"/,
    ),
  });
  expect(await faults('Project', { name: 'a', mergeMethod: 'rebaseMerge' })).toHaveProperty('mergeMethod');
  expect(await faults('Project', { name: 'a', mergeMethod: 'rebase_merge' })).toEqual({});
  const token = { group: '1', name: 'bot', expiresAt: '2027-01-01', scopes: ['api', 'readApi'] };
  expect(Object.keys(await faults('GroupAccessToken', token))).toEqual(['scopes[1]']);
});

test('an id that is text is a number where a number is asked for; what is not known yet is no fault', async () => {
  expect(await faults('Project', { name: 'a', namespaceId: '7' })).toEqual({});
  expect(await faults('Project', { name: 'a', namespaceId: UNKNOWN })).toEqual({});
  expect(await faults('Project', { name: 'a', namespaceId: 'seven' })).toEqual({
    namespaceId: 'must be a whole number, not a string',
  });
});

test('what the plug-in does not cover is refused by name, never ignored', async () => {
  expect(await faults('Project', { name: 'a', importUrl: 'http://127.0.0.1/x.git' })).toEqual({
    importUrl: expect.stringMatching(/not covered/),
  });
  await expect(stack.faults('ProjectPushRules', { project: '7' })).rejects.toThrow(
    /ProjectPushRules is not covered/,
  );
});

test('inputs that exclude or need each other', async () => {
  const token = { project: '7', name: 'bot', scopes: ['api'] };
  expect(await faults('ProjectAccessToken', token)).toHaveProperty('expiresAt');
  const both = {
    ...token,
    expiresAt: '2027-01-01',
    rotationConfiguration: { expirationDays: 9, rotateBeforeDays: 2 },
  };
  expect(await faults('ProjectAccessToken', both)).toHaveProperty('expiresAt');
  const file = { project: '7', branch: 'main', filePath: 'a', encoding: 'base64', content: 'not base64!' };
  expect(Object.keys(await faults('RepositoryFile', file))).toEqual(['commitMessage', 'content']);
});

test('a fault never shows the value, which may be a secret', async () => {
  const found = await stack.faults('ProjectHook', {
    project: '7',
    url: 'http://127.0.0.1/',
    token: ['s3cret-value'],
  });
  expect(found).toEqual([{ property: 'token', reason: 'must be a string, not a list' }]);
  expect(JSON.stringify(checkProviderInputs({ token: ['s3cret-value'] }))).not.toContain('s3cret-value');
});

test('a missing name is made from the name of the resource and kept', async () => {
  const call = {
    type: 'gitlab:index/project:Project',
    name: 'orders',
    urn: 'u',
    signal: new AbortController().signal,
  };
  const seed = new Uint8Array([0xab, 0xcd, 0xef, 0x01]);
  const first = await stack.provider.check({ ...call, inputs: {}, oldInputs: {}, randomSeed: seed });
  expect(first.inputs.name).toBe('orders-abcdef0');
  const second = await stack.provider.check({
    ...call,
    inputs: {},
    oldInputs: first.inputs,
    randomSeed: new Uint8Array([1, 2, 3, 4]),
  });
  expect(second.inputs.name).toBe('orders-abcdef0');
});

test.each([
  ['https://gitlab.example.com/api/v4/', /refused.*pulumi plugin install resource gitlab/],
  ['http://10.0.0.5/api/v4/', /refused/],
  ['http://198.20.0.1/api/v4/', /refused/],
  ['http://127.0.0.1.example.com/api/v4/', /refused/],
  ['http://127.0.0.1:8929/', /does not end in/],
  ['http://root:secret@127.0.0.1/api/v4/', /credentials/],
  ['ftp://127.0.0.1/api/v4/', /not an http/],
  ['gitlab', /is not a URL/],
])('the base URL %s is refused', (url, reason) => {
  expect(baseUrlFault(url)).toMatch(reason);
});

test.each([
  'http://127.0.0.1:8929/api/v4/',
  'http://localhost/api/v4',
  'http://[::1]:1/api/v4/',
  'http://198.18.0.2:8929/api/v4/',
  'http://198.19.3.4/api/v4/',
])('the base URL %s is taken', (url) => expect(baseUrlFault(url)).toBeUndefined());

test('the environment fills in what the provider is not given, under the same rule', () => {
  const env = { GITLAB_BASE_URL: 'http://127.0.0.1:1/api/v4', GITLAB_TOKEN: 'glpat-x' };
  expect(connectionOf({}, env)).toEqual({
    baseUrl: 'http://127.0.0.1:1/api/v4/',
    token: 'glpat-x',
    retries: 3,
  });
  expect(connectionOf({}, { ...env, GITLAB_BASE_URL: 'https://gitlab.com/api/v4/' })).toHaveProperty('fault');
  expect(connectionOf({}, { ...env, GITLAB_TOKEN: undefined })).toEqual({
    fault: expect.stringMatching(/GITLAB_TOKEN/),
  });
});

test('an unconfigured provider says so instead of calling anyone', async () => {
  const type = 'gitlab:index/project:Project';
  const call = { type, name: 'a', urn: 'u', signal: new AbortController().signal };
  const provider = new GitLabProvider();
  await expect(provider.read({ ...call, id: '1', oldInputs: {}, oldOutputs: {} })).rejects.toThrow(
    /not configured/,
  );
});

test('what a kind names is in the schema: inputs, values and resets', () => {
  for (const [token, kind] of Object.entries(KINDS)) {
    const known = Object.keys(resourceSpec(token).inputProperties);
    const named = [
      ...kind.covered,
      ...(kind.local ?? []),
      ...(kind.replace ?? []),
      ...Object.keys(kind.values ?? {}),
      ...Object.keys(kind.reset ?? {}),
    ];
    expect(named.filter((name) => !known.includes(name)).map((name) => `${token} ${name}`)).toEqual([]);
  }
});
