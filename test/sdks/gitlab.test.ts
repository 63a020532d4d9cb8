import { readFileSync } from 'node:fs';
import path from 'node:path';
import * as gitlab from '@pulumi/gitlab';
import * as pulumi from '@pulumi/pulumi';

const root = path.resolve(__dirname, '../..');
const schema: {
  version: string;
  resources: Record<string, { requiredInputs?: string[] }>;
  types: Record<string, unknown>;
} = JSON.parse(readFileSync(path.join(root, 'sdks/gitlab-schema.json'), 'utf8'));

const seen: { type: string; name: string; inputs: Record<string, unknown>; provider?: string }[] = [];

beforeAll(async () => {
  await pulumi.runtime.setMocks({
    newResource: (args) => {
      seen.push({ type: args.type, name: args.name, inputs: args.inputs, provider: args.provider });
      return { id: `${args.name}-id`, state: args.inputs };
    },
    call: (args) => args.inputs,
  });
});

const settled = <T>(output: pulumi.Output<T>) => new Promise<T>((resolve) => output.apply(resolve));

test('a resource registers under the official token with exactly the inputs given', async () => {
  const hook = new gitlab.ProjectHook('orders-hook', {
    project: '7',
    url: 'http://127.0.0.1/project/orders',
    token: 'hook-token',
    pushEvents: true,
  });
  await settled(hook.urn);
  expect(seen).toContainEqual(
    expect.objectContaining({
      type: 'gitlab:index/projectHook:ProjectHook',
      inputs: expect.objectContaining({
        project: '7',
        url: 'http://127.0.0.1/project/orders',
        pushEvents: true,
      }),
    }),
  );
});

test('secrets stay secret: the hook token going in, and every created token coming out', async () => {
  const hook = new gitlab.ProjectHook('secret-hook', {
    project: '7',
    url: 'http://127.0.0.1/',
    token: 'hook-token',
  });
  expect(await pulumi.isSecret(hook.token)).toBe(true);
  expect(await pulumi.isSecret(hook.url)).toBe(false);
  const secretOutputs: unknown[] = [];
  const opts: pulumi.CustomResourceOptions = {
    transformations: [
      ({ props, opts }) => {
        secretOutputs.push('additionalSecretOutputs' in opts ? opts.additionalSecretOutputs : undefined);
        return { props, opts };
      },
    ],
  };
  new gitlab.ProjectAccessToken('bot', { project: '7', scopes: ['api'], expiresAt: '2027-01-01' }, opts);
  new gitlab.GroupAccessToken('group-bot', { group: '3', scopes: ['api'] }, opts);
  new gitlab.ProjectDeployToken('puller', { project: '7', scopes: ['read_repository'] }, opts);
  expect(secretOutputs).toEqual([['token'], ['token'], ['token']]);
});

test('a missing required input fails where it is written', () => {
  const required = { project: '7', branch: 'main' };
  expect(() => new gitlab.BranchProtection('main', { ...required, branch: undefined as never })).toThrow(
    /branch/,
  );
});

test('the package says which provider plug-in it needs', () => {
  const manifest = JSON.parse(readFileSync(path.join(root, 'sdks/gitlab/package.json'), 'utf8'));
  expect(manifest).toMatchObject({
    name: '@pulumi/gitlab',
    version: schema.version,
    pulumi: { resource: true, name: 'gitlab', version: schema.version },
  });
});

test('every resource of the schema is a class of the package, and every type it refers to is there', () => {
  const classes = Object.keys(schema.resources).map((token) => token.split(':')[2] ?? token);
  for (const name of classes) expect(Reflect.get(gitlab, name)).toEqual(expect.any(Function));
  const refs = JSON.stringify(schema.resources).matchAll(/#\/types\/([^"]+)/g);
  for (const [, token] of refs) expect(Object.keys(schema.types)).toContain(token);
});
