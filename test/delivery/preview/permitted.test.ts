import { Alias } from '@pulumi/pulumi/proto/alias_pb';
import { ReadResourceRequest, RegisterResourceRequest } from '@pulumi/pulumi/proto/resource_pb';
import fc from 'fast-check';
import { type JavaScriptValue, Struct } from 'google-protobuf/google/protobuf/struct_pb';
import { LEFT_OUT, whyNotRegistered as whyNot, whyNotRead } from '../../../delivery/preview/permitted';
import { character } from '../../support/characters';
import { scaled } from '../../support/scale';

const APPLIED = { baseUrls: ['https://gitlab.test/api/v4/'], token: 'withheld' };
const whyNotRegistered = (request: RegisterResourceRequest) => whyNot(request, APPLIED);
const PROVIDER = 'urn:pulumi:test::switchyard::pulumi:providers:kubernetes::ci-cluster::id';

function registration(
  type: string,
  inputs: Record<string, JavaScriptValue> = {},
  change: (request: RegisterResourceRequest) => void = () => undefined,
): RegisterResourceRequest {
  const request = new RegisterResourceRequest();
  request.setType(type).setName('it').setCustom(true).setVersion('4.34.2').setAcceptsecrets(true);
  if (!type.startsWith('pulumi:')) request.setProvider(PROVIDER);
  request.setObject(Struct.fromJavaScript(inputs));
  change(request);
  return request;
}

const CONFIG_MAP = 'kubernetes:core/v1:ConfigMap';
const IMAGE = 'docker:index/image:Image';
const spec = (type: string): Alias.Spec => new Alias.Spec().setType(type);
const was = (type: string): Alias => new Alias().setSpec(spec(type));

test.each([
  ['kubernetes:apps/v1:Deployment', { spec: { replicas: 1 } }],
  ['kubernetes:networking.k8s.io/v1:NetworkPolicy', {}],
  ['gitlab:index/project:Project', {}],
  ['docker:index/image:Image', { build: { context: 'dist/image' } }],
  ['pulumi:providers:kubernetes', { context: 'lab', enableServerSideApply: 'true', version: '4.34.2' }],
  [
    'pulumi:providers:gitlab',
    { baseUrl: 'https://gitlab.test/api/v4/', token: 'withheld', earlyAuthCheck: false },
  ],
  ['pulumi:providers:docker', {}],
])('%s may be registered', (type, inputs) => {
  expect(whyNotRegistered(registration(type, inputs as Record<string, JavaScriptValue>))).toBeUndefined();
});

test('an image may be called what the package called it before, where it stands', () => {
  const parent = 'urn:pulumi:test::switchyard::switchyard:index:Topology::topology';
  const image = (above: string) =>
    registration(IMAGE, {}, (request) =>
      request
        .setParent(parent)
        .setAliasesList([
          was('docker:image:Image'),
          new Alias().setSpec(spec('docker:image:Image').setParenturn(above)),
        ]),
    );
  expect(whyNotRegistered(image(parent))).toBeUndefined();
  expect(whyNotRegistered(image(`${parent}-other`))).toBe(
    'has an alias, which previews do not take of an image',
  );
});

test('frames may be registered, and components that a plug-in makes may not', () => {
  const frame = (type: string) =>
    whyNotRegistered(registration(type, {}, (request) => request.setCustom(false).setProvider('')));
  expect(frame('pulumi:pulumi:Stack')).toBeUndefined();
  expect(frame('switchyard:production:Production')).toBeUndefined();
  expect(frame('docker:index/image:Image')).toBe('is a component of another package');
  expect(frame('kubernetes:helm.sh/v4:Chart')).toBe('is a component of another package');
});

test.each<[string, RegisterResourceRequest, string]>([
  [
    'a kubeconfig, which names a program to log in with',
    registration('pulumi:providers:kubernetes', { kubeconfig: 'users: [{ user: { exec: {} } }]' }),
    'sets kubeconfig of a provider, which previews do not take',
  ],
  [
    'a place for a plug-in among a provider’s inputs',
    registration('pulumi:providers:gitlab', { pluginDownloadURL: 'https://evil.test' }),
    'sets pluginDownloadURL of a provider, which previews do not take',
  ],
  [
    'a host that Docker is reached at',
    registration('pulumi:providers:docker', { host: 'ssh://evil.test' }),
    'sets host of a provider, which previews do not take',
  ],
  ['another provider', registration('pulumi:providers:command'), 'is a provider that previews do not have'],
  [
    'a Helm release, which names a program that rewrites it',
    registration('kubernetes:helm.sh/v3:Release'),
    'has a type that previews do not take',
  ],
  [
    'a dynamic resource',
    registration('pulumi-nodejs:dynamic:Resource'),
    'has a type that previews do not take',
  ],
  [
    'another kind of Docker',
    registration('docker:index/remoteImage:RemoteImage'),
    'has a type that previews do not take',
  ],
  [
    'no provider, so that the engine makes one up',
    registration(CONFIG_MAP, {}, (request) => request.setProvider('')),
    'names no provider',
  ],
  [
    'a place for the plug-in',
    registration(CONFIG_MAP, {}, (request) => request.setPlugindownloadurl('https://evil.test')),
    'sets plugindownloadurl, which previews do not take',
  ],
  [
    'a plug-in’s parameters',
    registration(CONFIG_MAP, {}, (request) => request.setPackageref('other')),
    'sets packageref, which previews do not take',
  ],
  [
    'a component that the plug-in makes',
    registration(CONFIG_MAP, {}, (request) => request.setRemote(true)),
    'sets remote, which previews do not take',
  ],
  [
    'differences that are not to be shown',
    registration(CONFIG_MAP, {}, (request) => request.setHidediffsList(['data'])),
    'sets hidediffsList, which previews do not take',
  ],
  [
    'a name that looks like what is left out',
    registration(CONFIG_MAP, {}, (request) => request.setName('docker:index/image:Image::x')),
    'has a name with "::"',
  ],
  [
    'a name of an image that the engine would not leave out',
    registration(IMAGE, { build: { context: '/etc' } }, (request) => request.setName('a:b')),
    'has a name with ":"',
  ],
  [
    'an image that takes another resource’s place, whose delete would not show',
    registration(IMAGE, {}, (request) =>
      request.setAliasesList([
        new Alias().setUrn('urn:pulumi:test::switchyard::kubernetes:apps/v1:StatefulSet::shop-postgres'),
      ]),
    ),
    'has an alias, which previews do not take of an image',
  ],
  [
    'the same by its type',
    registration(IMAGE, {}, (request) => request.setAliasesList([was('kubernetes:apps/v1:StatefulSet')])),
    'has an alias, which previews do not take of an image',
  ],
  [
    'the same by its name',
    registration(IMAGE, {}, (request) =>
      request.setAliasesList([new Alias().setSpec(spec('docker:image:Image').setName('other'))]),
    ),
    'has an alias, which previews do not take of an image',
  ],
  [
    'the same as older programs say it',
    registration(IMAGE, {}, (request) => request.setAliasurnsList(['urn:pulumi:test::switchyard::x::y'])),
    'has an alias, which previews do not take of an image',
  ],
  [
    'an image without a provider',
    registration(IMAGE, {}, (request) => request.setProvider('')),
    'names no provider',
  ],
  [
    'what is imported, which the engine reads also where it is left out',
    registration(IMAGE, {}, (request) => request.setImportid('alpine')),
    'sets importid, which previews do not take',
  ],
  [
    'a file that the engine would read',
    registration(CONFIG_MAP, {
      data: {
        key: { '4dabf18193072939515e22adb298388d': 'c44067f5952c0a294b673a41bacd8c17', path: '/etc/passwd' },
      },
    }),
    'has an asset or an archive, which previews do not take',
  ],
])('%s is refused', (_what, request, why) => {
  expect(whyNotRegistered(request)).toBe(why);
});

const GITLAB = 'pulumi:providers:gitlab';
const secret = (value: JavaScriptValue) => ({
  '4dabf18193072939515e22adb298388d': '1b47061264138c4ac30d75fd1eb44270',
  value,
});
const OWN = { baseUrl: 'https://gitlab.test/api/v4/', token: secret('withheld') };
const another = (key: string): string =>
  `has another ${key} of a provider than was applied, which previews do not take`;

test.each<[string, Record<string, JavaScriptValue>, string | undefined]>([
  ['as it was applied', OWN, undefined],
  ['with an address that is marked', { ...OWN, baseUrl: secret(OWN.baseUrl) }, undefined],
  ['elsewhere', { ...OWN, baseUrl: 'https://evil.test/api/v4/' }, another('baseUrl')],
  ['elsewhere below its address', { ...OWN, baseUrl: `${OWN.baseUrl}../` }, another('baseUrl')],
  ['elsewhere, marked', { ...OWN, baseUrl: secret(secret('https://evil.test/')) }, another('baseUrl')],
  [
    'elsewhere, as a reference',
    {
      ...OWN,
      baseUrl: {
        '4dabf18193072939515e22adb298388d': '5cf8f73096256a8f31e491e813e4eb8e',
        urn: 'https://evil.test/api/v4/',
        value: OWN.baseUrl,
      },
    },
    another('baseUrl'),
  ],
  ['where the plug-in looks by itself', { token: 'withheld' }, another('baseUrl')],
  ['where is not known yet', { ...OWN, baseUrl: '04da6b54-80e4-46f7-96ec-b56ff0331ba9' }, another('baseUrl')],
  ['as somebody else', { ...OWN, token: secret('glpat-of-the-author') }, another('token')],
  ['as whoever the plug-in finds', { baseUrl: OWN.baseUrl }, another('token')],
])('GitLab is asked %s: %#', (_how, inputs, why) => {
  expect(whyNotRegistered(registration(GITLAB, inputs))).toBe(why);
});

test('an environment without a GitLab asks none', () => {
  expect(whyNot(registration(GITLAB, OWN), { baseUrls: [], token: 'withheld' })).toBe(another('baseUrl'));
  expect(whyNot(registration(GITLAB, {}), { baseUrls: [], token: '' })).toBe(another('baseUrl'));
});

test('what is only read is of the same kinds', () => {
  const read = (type: string) => new ReadResourceRequest().setType(type).setName('it').setId('1');
  expect(whyNotRead(read('gitlab:index/group:Group').setProvider(PROVIDER))).toBeUndefined();
  expect(whyNotRead(read('gitlab:index/group:Group'))).toBe('names no provider');
  expect(whyNotRead(read('kubernetes:helm.sh/v3:Release').setProvider(PROVIDER))).toBe(
    'has a type that previews do not take',
  );
  // It would be looked at, and nothing is left out of what is only read.
  expect(whyNotRead(read(IMAGE).setProvider(PROVIDER))).toBe('has a type that previews do not take');
  expect(whyNotRead(read(CONFIG_MAP).setProvider(PROVIDER).setPlugindownloadurl('https://evil.test'))).toBe(
    'sets plugindownloadurl, which previews do not take',
  );
});

/** As the engine reads a pattern (pulumi/pulumi, pkg/resource/deploy/deployment.go), of which nothing else has to be quoted; Go's `.` is no line feed. */
const pattern = new RegExp(
  `^${LEFT_OUT.split('**')
    .map((part) => part.split('*').join('[^:]*'))
    .join('[^\\n]*')}$`,
);

test('of all that may be registered, images are left out and nothing else is', () => {
  const text = fc.oneof(
    fc.string({ unit: character }),
    fc.stringMatching(/^[a-z:\n$*]{0,6}$/),
    fc.constantFrom(IMAGE, `${IMAGE}:`, `:${IMAGE}:`, `${IMAGE}::x`, '', ':', '\n'),
  );
  const name = fc.oneof(
    text,
    fc.tuple(text, text).map((parts) => parts.join('')),
  );
  const type = fc.constantFrom(IMAGE, CONFIG_MAP, 'gitlab:index/project:Project', 'pulumi:providers:docker');
  const above = fc.array(fc.constantFrom('switchyard:index:Topology', 'switchyard:jenkins:Jenkins', IMAGE));
  fc.assert(
    fc.property(type, name, above, (its, called, parents) => {
      const request = registration(its, {}, (change) => change.setName(called));
      fc.pre(whyNotRegistered(request) === undefined);
      const urn = `urn:pulumi:test::switchyard::${[...parents, its].join('$')}::${called}`;
      expect([urn, pattern.test(urn)]).toEqual([urn, its === IMAGE]);
    }),
    { numRuns: scaled({ usual: 2000, all: 100_000 }) },
  );
});
