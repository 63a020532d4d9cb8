import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TEST_CONTAINERS } from '../../catalog/containers';
import { parseCatalog, unreadFiles } from '../../catalog/load';
import { describeProblem, ProblemsError } from '../../catalog/problems';
import { topologyBoxes } from '../../components/boxes';
import { fileKinds, type JsonSchema } from '../../operations/schemas/schema';
import { check } from '../../rules';
import { modelFacts } from '../../rules/assert';
import { modelItems } from '../../rules/model';
import { parseStack, unreadStacks } from '../../stacks/load';
import { catalogTexts, root, stackText, stackWith, testModel } from '../support/model';

const linesOf = (run: () => unknown): string[] => {
  try {
    run();
  } catch (error) {
    if (error instanceof ProblemsError) return error.message.split('\n');
    throw error;
  }
  return [];
};

const shop = catalogTexts.modules['shop.yaml'] ?? '';
const cache = catalogTexts.services['cache.yaml'] ?? '';
const moduleFaults = (extra: string, from = shop): string[] =>
  linesOf(() => parseCatalog({ ...catalogTexts, modules: { 'shop.yaml': `${from}${extra}` } }));
const serviceFaults = (change: (text: string) => string): string[] =>
  linesOf(() => parseCatalog({ modules: {}, services: { 'cache.yaml': change(cache) } }));
const stackFaults = (text: string): string[] =>
  linesOf(() => parseStack(text, 'stacks/Pulumi.test.yaml', 'test'));

const many = (count: number, entry: (index: number) => string): string =>
  Array.from({ length: count }, (_, index) => entry(index)).join(', ');

test.each<[string, number, (index: number) => string, string]>([
  ['environment: { ... }', 1000, (index) => `A${index}: x`, 'environment'],
  ['image: { args: { ... } }', 1000, (index) => `A${index}: x`, 'image.args'],
  [
    'production: { ingress: { host: a.test, annotations: { ... } } }',
    1000,
    (index) => `a/b${index}: x`,
    'production.ingress.annotations',
  ],
  [
    'production: { egress: [...] }',
    500,
    (index) => `{ cidr: 10.0.${index >> 8}.${index & 255}/32, ports: [80] }`,
    'production.egress',
  ],
  [
    'test: { egress: [{ cidr: 10.0.0.0/24, ports: [...] }] }',
    100,
    (index) => String(1 + index),
    'test.egress.0.ports',
  ],
  ['owners: [...]', 100, (index) => `user-${index}`, 'owners'],
  ['services: [...]', 100, (index) => `{ kind: cache, version: "1.0", name: c${index} }`, 'services'],
])('of %s at most %d are taken', (shape, most, entry, key) => {
  const base = shop
    .replace(/^owners:.*\n/m, shape.startsWith('owners') ? '' : '$&')
    .replace(/^services:.*\n/m, '');
  const faultsOf = (count: number) => moduleFaults(`${shape.replace('...', many(count, entry))}\n`, base);
  expect(faultsOf(most)).toEqual([]);
  expect(faultsOf(most + 1)).toEqual([
    expect.stringMatching(
      `^catalog/modules/shop.yaml:\\d+: ${key}: has more than ${most} entries. Shorten it.$`,
    ),
  ]);
});

const ways = (ranges: number, ports: number): string =>
  many(
    ranges,
    (index) =>
      `{ cidr: 10.0.${index >> 8}.${index & 255}/32, ports: [${many(ports, (port) => String(1 + port))}] }`,
  );

test.each(['test', 'production'])(
  'all ways out of %s have 2000 ports at most, which is told at the range that has one too many',
  (part) => {
    const faultsOf = (ranges: string) => moduleFaults(`${part}:\n  egress: [\n    ${ranges}\n  ]\n`);
    expect(faultsOf(ways(500, 4))).toEqual([]);
    expect(faultsOf(ways(20, 100))).toEqual([]);
    const faults = faultsOf(`${ways(20, 100)},\n    { cidr: 10.1.0.0/32, ports: [1] },\n    ${ways(9, 9)}`);
    expect(faults).toEqual([
      `catalog/modules/shop.yaml:7: ${part}.egress.20: makes more than 2000 ports of all ranges together. Name fewer ports, or one range in the place of several.`,
    ]);
    expect(stackFaults(stackWith({ jenkins: `buildEgress: [${ways(500, 5)}]` }))).toEqual([
      expect.stringMatching(/jenkins\.buildEgress\.400: makes more than 2000 ports/),
    ]);
    const namespaces = many(
      21,
      (index) => `{ namespace: n${index}, ports: [${many(100, (port) => String(1 + port))}] }`,
    );
    expect(stackFaults(stackWith({ egress: `[${namespaces}]` }))).toEqual([
      expect.stringMatching(/egress\.20: makes more than 2000 ports/),
    ]);
  },
);

test('the most ways out that a file may have take less than a second of the processor to check', () => {
  const seconds = (text: string): number => {
    const began = process.cpuUsage();
    const catalog = parseCatalog({ ...catalogTexts, modules: { 'shop.yaml': `${shop}${text}` } });
    expect(check(modelFacts(testModel({ catalog, modules: catalog.modules })))).toEqual([]);
    const { user, system } = process.cpuUsage(began);
    return (user + system) / 1e6;
  };
  const few = 'test: { egress: [] }\nproduction: { egress: [] }\n';
  const most = (ranges: number, ports: number) => few.replaceAll('[]', () => `[${ways(ranges, ports)}]`);
  seconds(few);
  const none = seconds(few);
  expect(seconds(most(20, 100)) - none).toBeLessThan(1);
  expect(seconds(most(500, 4)) - none).toBeLessThan(1);
});

test('no list and no map of a file is without a bound but those that a program writes', () => {
  const unbounded: string[] = [];
  const visit = (schema: JsonSchema, path: string): void => {
    const { items, additionalProperties: values } = schema;
    const open = typeof values === 'object';
    if ((items && schema.maxItems === undefined) || (open && schema.maxProperties === undefined))
      unbounded.push(path);
    if (items) visit(items, `${path}[]`);
    if (open) visit(values, `${path}.*`);
    for (const [key, inner] of Object.entries(schema.properties ?? {})) visit(inner, `${path}.${key}`);
    for (const option of schema.anyOf ?? schema.oneOf ?? []) visit(option, path);
  };
  for (const { name, schema } of fileKinds(root)) visit(schema, name);
  expect(unbounded).toEqual([
    'stack.config.switchyard:secrets.versions',
    'stack.config.switchyard:secrets.rotating',
  ]);
});

const zeros = (count: number): string => `1${'0'.repeat(count)}`;

test.each<[string, string]>([
  ['resources: { cpu: "2", memory: 64Mi, cpuLimit: "1" }', 'resources.cpuLimit: is less than cpu, "2".'],
  ['resources: { cpu: "2", memory: 64Mi, cpuLimit: 1999m }', 'resources.cpuLimit: is less than cpu'],
  ['resources: { cpu: "2", memory: 2Gi, memoryLimit: 2047Mi }', 'resources.memoryLimit: is less than memory'],
  [`resources: { cpu: "2", memory: ${zeros(400)}Ti }`, 'resources.memory: is more than 1024Ti.'],
  ['resources: { cpu: "0.0", memory: 64Mi }', 'resources.cpu: is no CPU at all.'],
  ['resources: { cpu: "0.0004", memory: 64Mi }', 'resources.cpu: is not an amount of CPU.'],
  [`resources: { cpu: "${zeros(400)}", memory: 64Mi }`, 'resources.cpu: is more than a million cores.'],
  ['test: { results: . }', 'test.results: does not lead to something inside the repository.'],
  ['test: { results: / }', 'test.results: does not lead'],
  ['test: { results: "" }', 'test.results: is empty.'],
  ['test: { results: ../.. }', 'test.results: does not lead'],
  ['test: { results: a/../b }', 'test.results: does not lead'],
  ['test: { results: .git/x }', 'test.results: is where git and delivery keep what is theirs.'],
  [`test: { results: ${'x'.repeat(256)} }`, 'test.results: is longer than a path may be: 255 bytes between'],
  [`image: { dockerfile: "${'a/'.repeat(512)}b" }`, 'image.dockerfile: is longer than a path may be'],
  // With what stands before it for buildctl.
  [`image: { args: { A: ${'x'.repeat(131_060)} } }`, 'image.args.A: has 131078 bytes with its name'],
  // nginx ends at a word of 4096 bytes, and all that it serves with it.
  [`probes: { ready: "/${'x'.repeat(4032)}" }`, 'probes.ready: is longer than 4032 characters.'],
  [
    `production: { ingress: { host: a.b, path: "/${'x'.repeat(4032)}" } }`,
    'production.ingress.path: is longer than 4032 characters.',
  ],
  [
    `production: { ingress: { host: a.b, annotations: { nginx.ingress.kubernetes.io/rewrite-target: "/${'x'.repeat(4032)}" } } }`,
    'production.ingress.annotations.nginx.ingress.kubernetes.io/rewrite-target: is longer than 4032 characters',
  ],
  ...[
    ['999.1.1.1', 'is neither a name nor an IPv4 address.'],
    ['1.2.3.04', 'is neither a name nor an IPv4 address.'],
    ['10.1.0', 'is neither a name nor an IPv4 address.'],
    ['db.0x1', 'is neither a name nor an IPv4 address.'],
    ['169.254.169.254', 'is link-local, or a metadata service.'],
    ...['localhost', '127.0.0.1', '0.0.0.0', '255.255.255.255', '224.0.0.9'].map((host) => [
      host,
      'is no other machine.',
    ]),
  ].map(([host, says]): [string, string] => [
    `services: [{ kind: cache, version: "1.0", existing: { host: ${host}, credentialsFrom: SHOP_CACHE } }]`,
    `services.0.existing.host: ${says}`,
  ]),
  [
    `services: [{ kind: cache, version: "1.0", existing: { host: a.b, user: ${'x'.repeat(254)}, credentialsFrom: SHOP_CACHE } }]`,
    'services.0.existing.user: is longer than 253 characters.',
  ],
  ['test: { results: "a,b" }', 'test.results: has a character that means something else'],
  ['image: { dockerfile: ../../x }', 'image.dockerfile: does not lead'],
  ['image: { dockerfile: /etc/passwd }', 'image.dockerfile: does not lead'],
  ['environment: { A: "x\\0y" }', 'environment.A: has a NUL character in it.'],
  ['environment: { A: "\\ud800" }', 'environment.A: has half of a character in it.'],
  ['environment: { __proto__: x }', 'environment.__proto__: "__proto__" is a name that cannot be kept.'],
  ['environment: { A: x, A: y }', 'environment.A: stands twice.'],
  ['environment: { "a b": x }', 'environment.a b: is not an environment variable name.'],
  [`environment: { A: ${'x'.repeat(131_080)} }`, 'environment.A: has 131082 bytes with its name'],
  [
    'test: { egress: [{ cidr: 10.0.0.7/24, ports: [80] }] }',
    'test.egress.0.cidr: does not begin with its first address.',
  ],
  ['description: "\\u00a0 "', 'description: is blank. Say it in one line.'],
  [
    'services: [{ kind: cache, version: "1.0", production: { version: "2.0", reason: "            " } }]',
    'services.0.production.reason: gives no reason.',
  ],
  [
    'services: [{ kind: cache, version: "1.0", existing: { host: a.test, user: " a", credentialsFrom: A_PASSWORD } }]',
    'services.0.existing.user: begins or ends with a blank.',
  ],
  ['owners: [ada, bob, Ada]', 'owners.2: is "ada" again, to whom case means nothing. Name each once.'],
  ['owners: [ada, "a b"]', 'owners.1: is not the name of a user of GitLab.'],
  ['production: { ingress: { host: 10.0.0.7 } }', 'production.ingress.host: is an address.'],
  ['production: { ingress: { host: a..b } }', 'production.ingress.host: is not a host name.'],
  ['production: { ingress: { host: -a.b } }', 'production.ingress.host: is not a host name.'],
  ['production: { ingress: { host: a.b, path: /x/../y } }', 'production.ingress.path: has an empty part'],
  ['production: { ingress: { host: a.b, path: /x%2Fy } }', 'production.ingress.path: has an empty part'],
  [
    'production: { ingress: { host: a.b, path: "/x {} } location /y { return 200; " } }',
    'production.ingress.path: has a character that no request has.',
  ],
  ...(
    [
      ['nginx.ingress.kubernetes.io/auth-url', '"x;}\\n#"', 'has a line break or another control character'],
      ['alb.ingress.kubernetes.io/actions.a', '"{\\t}"', 'has a line break or another control character'],
      ['a.test/b', '"x\\r"', 'has a line break or another control character'],
      [
        'nginx.ingress.kubernetes.io/auth-url',
        '"http://a.test/;} location /x {"',
        'has a character that no address',
      ],
      [
        'nginx.ingress.kubernetes.io/mirror-target',
        '"https://a.test$request_uri;"',
        'has a character that no address',
      ],
      ['nginx.ingress.kubernetes.io/auth-signin', '"https://a.test/}"', 'has a character that no address'],
      // What ingress-nginx writes between the words of a directive (its rootfs/etc/nginx/template/nginx.tmpl).
      [
        'nginx.ingress.kubernetes.io/rewrite-target',
        `'/x break; } location /b { return 200 "b";'`,
        'ends what nginx reads as the value',
      ],
      [
        'nginx.ingress.kubernetes.io/proxy-cookie-path',
        `'/ "/; Secure'`,
        'ends what nginx reads as the value',
      ],
      [
        'nginx.ingress.kubernetes.io/connection-proxy-header',
        "'close #'",
        'ends what nginx reads as the value',
      ],
      ['nginx.ingress.kubernetes.io/proxy-redirect-to', "'/x\\'", 'ends what nginx reads as the value'],
      ['nginx.ingress.kubernetes.io/auth-realm', `'a"; return 200'`, 'ends what nginx reads as the value'],
      ['nginx.ingress.kubernetes.io/auth-tls-match-cn', "'CN=a {'", 'ends what nginx reads as the value'],
      ['site.test/server-alias', "'a.test; x y'", 'ends what nginx reads as the value'],
      ['haproxy-ingress.github.io/config-backend', 'x', "is text of the ingress controller's configuration"],
      ['haproxy.org/backend-config-snippet', 'x', "is text of the ingress controller's configuration"],
    ] as const
  ).map(([key, value, says]): [string, string] => [
    `production: { ingress: { host: a.b, annotations: { ${key}: ${value} } } }`,
    `production.ingress.annotations.${key}: ${says}`,
  ]),
  [
    'production: { ingress: { host: a.b, annotations: { nginx.ingress.kubernetes.io/server-snippet: x } } }',
    "production.ingress.annotations.nginx.ingress.kubernetes.io/server-snippet: is text of the ingress controller's configuration",
  ],
  [
    'production: { ingress: { host: a.b, annotations: { nginx.org/location-snippets: x } } }',
    "production.ingress.annotations.nginx.org/location-snippets: is text of the ingress controller's",
  ],
  ...[
    ['nginx.ingress.kubernetes.io/server-alias', '"a.test, ~^.*$"'],
    ['haproxy-ingress.github.io/server-alias-regex', '".*"'],
    ['haproxy-ingress.github.io/redirect-from-regex', '".*"'],
  ].map(([key, value]): [string, string] => [
    `production: { ingress: { host: a.b, annotations: { ${key}: ${value} } } }`,
    `production.ingress.annotations.${key}: claims hosts by a pattern, others' among them.`,
  ]),
  [
    'production: { scaling: { qps: 1, min: 1, max: 2, metric: { name: x, path: "/x\\u2028  - job_name: y" } } }',
    'production.scaling.metric.path: has a character that no request has.',
  ],
  ['probes: { ready: "/a b" }', 'probes.ready: has a character that no request has.'],
  ['production: { ingress: { host: a.b, tlsSecret: A } }', 'production.ingress.tlsSecret: is not a name'],
  [
    'production: { ingress: { host: a.b, annotations: { "a/b/c": x } } }',
    'production.ingress.annotations.a/b/c: is not the key of an annotation.',
  ],
])('a module with %s is refused at its line', (extra, fault) => {
  const base = shop.replace(new RegExp(`^${extra.split(':')[0]}:.*\n`, 'm'), '');
  const line = base.split('\n').length;
  const [first = '', ...others] = moduleFaults(`${extra}\n`, base);
  expect(others).toEqual([]);
  expect(first.slice(0, 300)).toContain(`catalog/modules/shop.yaml:${line}: ${fault}`);
});

// YAML 1.1 ends a line there, which Pulumi reads stack files by; the parser here takes YAML 1.2.
test.each(['\u0085', '\u2028', '\u2029', '\u009b', '\ufeff'])(
  '%j, which readers of YAML take differently, is refused at its line',
  (unit) => {
    const what = `has the character U+${unit.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')} in it`;
    expect(moduleFaults(`# nothing${unit}merge: manual\n`)).toEqual([
      expect.stringContaining(`catalog/modules/shop.yaml:${shop.split('\n').length}: ${what}`),
    ]);
    const [fault, ...others] = stackFaults(`${stackWith({})}# nothing${unit}encryptionsalt: v1\n`);
    expect(others).toEqual([]);
    expect(fault).toContain(what);
  },
);

test.each([
  'production: { ingress: { host: "*.shops.test", tlsSecret: wildcard.shops.test, className: internal.nginx } }',
  `production: { ingress: { host: ${'a'.repeat(63)}.test, tlsSecret: ${'s'.repeat(253)} } }`,
  'probes: { ready: "/health?deep=1&x=%20é;v=2", live: /~a/$b }',
  'production: { ingress: { host: a.b, path: /x/.well-known, annotations: { "Nginx.org/Mode": "on", plain: x } } }',
  'production: { ingress: { host: a.b, annotations: { nginx.ingress.kubernetes.io/auth-url: "https://$host/auth?a=${request_uri}", nginx.ingress.kubernetes.io/auth-signin: "https://a.test/start?rd=$scheme://$host$escaped_request_uri" } } }',
  'production: { ingress: { host: a.b, annotations: { nginx.ingress.kubernetes.io/proxy-cookie-path: "/ \\"/; Secure\\"", nginx.ingress.kubernetes.io/rewrite-target: /$2 } } }',
  `production: { ingress: { host: a.b, annotations: { alb.ingress.kubernetes.io/actions.a: '{"Type":"redirect"}' } } }`,
  `production: { ingress: { host: a.b, annotations: { nginx.ingress.kubernetes.io/auth-tls-match-cn: 'CN=(a|b[0-9]{2,3})' } } }`,
  "production: { ingress: { host: a.b, annotations: { nginx.ingress.kubernetes.io/auth-realm: 'Who, and why', nginx.ingress.kubernetes.io/upstream-hash-by: '${request_uri}-text' } } }",
  "production: { ingress: { host: a.b, annotations: { nginx.org/rewrites: 'serviceName=a rewrite=/;serviceName=b rewrite=/b/', nginx.ingress.kubernetes.io/cors-allow-headers: 'A, B-C' } } }",
  'environment: { discovery.type: single-node, constructor: x, toString: y, _: z }',
  'resources: { cpu: "0.001", memory: 1024Ti, cpuLimit: 1m, memoryLimit: 1024Ti }',
  'image: { dockerfile: docker/Dockerfile.release }',
  'test: { results: out/robot results }',
  'test: { egress: [{ cidr: 10.0.0.7/32, ports: [80] }, { cidr: 0.0.0.0/0, ports: [443] }] }',
  'owners: [Ada_L, x.y-z, "7"]',
  'services: [{ kind: cache, version: "1.0", existing: { host: 10.0.0.7, credentialsFrom: SHOP_CACHE } }]',
  'services: [{ kind: cache, version: "1.0", existing: { host: db.local, credentialsFrom: SHOP_CACHE } }]',
  `test: { results: ${'x'.repeat(255)} }`,
  `image: { args: { A: ${'x'.repeat(131_053)} } }`,
  `environment: { A: "${'{host}'.repeat(20_000)}" }`,
])('a module with %s is taken: Kubernetes and GitLab take it', (extra) => {
  const from = shop.replace(new RegExp(`^${extra.split(':')[0]}:.*\n`, 'm'), '');
  expect(moduleFaults(`${extra}\n`, from)).toEqual([]);
});

test.each(['app', 'robot', 'jnlp'])('a service instance called %s is refused: test Pods have one', (name) => {
  const services = `services: [{ kind: cache, version: "1.0", name: ${name} }]`;
  expect(moduleFaults('', `description: d\nowners: [ada]\n${services}\n`)).toEqual([
    `catalog/modules/shop.yaml:3: services.0.name: "${name}" is what each test Pod calls a container of its own. Give the service another "name".`,
  ]);
});

test('every container that a test Pod has beside its services is among the names that are taken', () => {
  const pod = modelItems(testModel()).items.find(({ planned }) => planned);
  const { containers } = (pod?.args.spec ?? {}) as { containers: { name: string }[] };
  expect(containers.map(({ name }) => name).sort()).toEqual([...TEST_CONTAINERS].sort());
});

test('a service instance called as its module is refused: both would be one Service', () => {
  const services = 'services: [{ kind: cache, version: "1.0", name: shop }]';
  expect(moduleFaults('', `description: d\nowners: [ada]\n${services}\n`)).toEqual([
    'catalog/modules/shop.yaml:3: services.0.name: "shop" is the name of the module, whose workload stands in the same namespace. Give the service another "name".',
  ]);
});

test.each<[string, (text: string) => string, string]>([
  [
    'a port called a--b',
    (text) => `${text}ports: { a--b: 9000 }\n`,
    'ports.a--b: is not the name of a port.',
  ],
  ['a port called 80', (text) => `${text}ports: { "80": 9000 }\n`, 'ports.80: has no letter.'],
  ['a user beyond all', (text) => text.replace('999', '2147483648'), 'runAsUser: '],
  ['its root as data', (text) => text.replace('/data', '/'), 'dataPath: is not a folder below "/".'],
  ['one path twice', (text) => `${text}scratchPaths: [/tmp, /data]\n`, 'scratchPaths.1: "/data" is mounted'],
  // What names one place twice for the kernel, and not for Kubernetes, hides the first one's data.
  ...['/data/', '//data', '/tmp/../data', '/./data'].map(
    (path): [string, (text: string) => string, string] => [
      `${path} beside /data`,
      (text) => `${text}scratchPaths: ["${path}"]\n`,
      'scratchPaths.0: has an empty part, or "." or "..".',
    ],
  ),
  ['data in /proc', (text) => text.replace('/data', '/proc/x'), 'dataPath: is where the kernel is.'],
  ['":" in a path', (text) => text.replace('/data', '"/a:b"'), 'dataPath: has ":" or a control character'],
  ['a long name', (text) => text.replace('/data', `/${'é'.repeat(128)}`), 'dataPath: is longer than a path'],
  [
    'a folder where its password lies',
    (text) => `${text}scratchPaths: [/run/switchyard]\n`,
    'scratchPaths.0: "/run/switchyard" is where its password lies.',
  ],
  [
    'a file below that',
    (text) => `${text}files: { /run/switchyard/user: a }\n`,
    'files./run/switchyard/user: "/run/switchyard/user" is below /run/switchyard, where nothing can be mounted.',
  ],
  [
    'a folder below a file',
    (text) => `${text}scratchPaths: [/a/b]\nfiles: { /a: x }\n`,
    'scratchPaths.0: "/a/b" is below /a, where nothing can be mounted.',
  ],
  // A host, a user, a database and a password may have 253 characters each.
  ...['environment', 'moduleEnvironment'].map((key): [string, (text: string) => string, string] => [
    `a variable of ${key} that is too long once it is filled in`,
    (text) =>
      `${text.replace(/^moduleEnvironment:.*\n/m, '')}${key}: { A: "${'{password}'.repeat(512)}" }\n${key === 'environment' ? 'moduleEnvironment: {}\n' : ''}`,
    `${key}.A: has 134658 bytes with its name`,
  ]),
  ...(
    [
      ['args.1', (text, long) => text.replace('[serve,', `[serve, "${long}",`)],
      ['command.0', (text, long) => `${text}command: ["${long}"]\n`],
      ['probe.exec.1', (text, long) => `${text}probe: { exec: [sh, "${long}"] }\n`],
      ['backup.dump.1', (text, long) => text.replace('[save]', `[sh, "${long}"]`)],
      ['rotate.admit.0', (text, long) => `${text}rotate: { admit: ["${long}"], retire: [b] }\n`],
    ] satisfies [string, (text: string, long: string) => string][]
  ).map(([key, change]): [string, (text: string) => string, string] => [
    `${key} that no program is started with`,
    (text) => change(text, 'x'.repeat(131_072)),
    `${key}: is longer than the 131071 bytes that a program takes as one argument.`,
  ]),
  [
    'capitals in an image',
    (text) => text.replace('cache:1.0', 'Cache:1.0'),
    'versions.1.0.image: is not the',
  ],
])('a service with %s is refused', (_what, change, fault) => {
  expect(serviceFaults(change).join('\n')).toContain(fault);
});

test.each<[string, string, string]>([
  [
    'a login in GitLab’s address',
    stackText.replace('https://gitlab', 'https://ada:pw@gitlab'),
    'gitlab.url: holds a credential in an address.',
  ],
  [
    'a user in Jenkins’ address',
    stackText.replace('https://jenkins', 'https://ada@jenkins'),
    'jenkins.url: holds a credential in an address.',
  ],
  [
    'a query in an address',
    stackText.replace('https://jenkins.test', 'https://jenkins.test/?a=b'),
    'jenkins.url: has a part after',
  ],
  [
    'a login in a server’s address',
    stackText.replace('https://two', 'https://ada:pw@two'),
    'clusters.production.server: holds a credential in an address.',
  ],
  ...(
    [
      ['https://gitlab.test/a b', 'has a character that no address has.'],
      ["https://gitlab.test/a'b", 'has a character that no address has.'],
      ['https://gitlab.test/${x}', 'has a character that no address has.'],
      ['https://gitlab.test/?', 'has a part after "?" or "#".'],
      ['https://gitlab.test:0', 'names port 0.'],
      ['https://gitlab.test/../x', 'has an empty part, or "." or "..", in its path.'],
      ['https://gitlab.test/%2E./x', 'has an empty part, or "." or "..", in its path.'],
      ['https://gitlab.test//x', 'has an empty part, or "." or "..", in its path.'],
      ['https://a..test', 'has a host that no resolver takes.'],
      [`https://${'a'.repeat(64)}.test`, 'has a host that no resolver takes.'],
      [`https://gitlab.test/${'a'.repeat(1010)}`, 'is longer than 1024 characters.'],
      // What readers take for an address without its saying so.
      ['https://2852039166', 'has a host that is read as 169.254.169.254.'],
      ['https://0xA9.254.1', 'has a host that is read as 169.254.0.1.'],
      ['https://10.0.0.07', 'has a host that is read as 10.0.0.7.'],
      ['https://169.254.169.254', 'is link-local, or a metadata service.'],
      ['https://[fe80::1]:8443', 'is link-local, or a metadata service.'],
      ['https://[fd00:ec2::254]', 'is link-local, or a metadata service.'],
    ] satisfies [string, string][]
  ).map(([address, says]): [string, string, string] => [
    `${address.slice(0, 60)} as GitLab`,
    stackText.replace('https://gitlab.test', address),
    `gitlab.url: ${says}`,
  ]),
  ...(
    [
      ['10.0.0.07:5000', 'is not a registry address.'],
      ['2852039166:5000', 'is not a registry address.'],
      ['registry.test:0', 'is not a registry address.'],
      ['registry.test:65536', 'is not a registry address.'],
      [`${'a'.repeat(64)}.test`, 'is not a registry address.'],
      ['169.254.169.254:5000', 'is link-local, or a metadata service.'],
    ] satisfies [string, string][]
  ).flatMap(([address, says]): [string, string, string][] => [
    [`${address} as registry`, stackText.replace('registry.test:5000', address), `registry.address: ${says}`],
    [
      `${address} as mirror`,
      `${stackText}  switchyard:images: { mirror: "${address}" }\n`,
      `images.mirror: ${says}`,
    ],
  ]),
  ...(
    [
      ['bucket: a/b, region: eu-central-1', 'bucket: is not the name of a bucket.'],
      ['bucket: ABC, region: eu-central-1', "bucket: is no name of a bucket of Amazon's."],
      [`bucket: ${'a'.repeat(64)}, region: eu-central-1`, "bucket: is no name of a bucket of Amazon's."],
      ['bucket: abc, region: "Frankfurt am Main"', 'region: is not the name of a region.'],
      // distribution's driver ends at its start: "invalid region provided".
      ['bucket: abc, region: Frankfurt', "region: is no region of Amazon's."],
    ] satisfies [string, string][]
  ).map(([s3, says]): [string, string, string] => [
    s3.slice(0, 60),
    stackWith({ registry: `s3: { ${s3} }` }),
    `registry.s3.${says}`,
  ]),
  ...['file:///state', 'file:///state/'].map((copies): [string, string, string] => [
    `${copies} as copies of itself`,
    `${stackText}  switchyard:stateCopies: ${copies}\n`,
    'stateCopies: is backend itself.',
  ]),
  [
    'lots of memory',
    stackWith({ jenkins: 'resources: { cpu: "1", memory: lots, memoryLimit: 1Gi }' }),
    'jenkins.resources.memory: is not an amount of memory.',
  ],
  [
    'less memory than asked for',
    stackWith({ jenkins: 'resources: { cpu: "1", memory: 2Gi, memoryLimit: 1Gi }' }),
    'jenkins.resources.memoryLimit: is less than memory',
  ],
  [
    'an unknown role of images',
    `${stackText}  switchyard:images: { replace: { jenkin: "a:1" } }\n`,
    'images.replace.jenkin: is neither a role nor "kind:version" of a service. Did you mean "jenkins"?',
  ],
  [
    'a deploy key that is none',
    stackWith({ gitlab: 'deployKeys: [{ title: a, key: "ssh-ed25519 AAAA" }]' }),
    'gitlab.deployKeys.0.key: is not a public SSH key.',
  ],
  [
    'no image',
    `${stackText}  switchyard:images: { replace: { jenkins: "A B" } }\n`,
    'images.replace.jenkins: is not the name of an image.',
  ],
  [
    'an ingress to an address',
    stackWith({ registry: 'ingress: {}' }).replace('registry.test:5000', '10.0.0.7'),
    'registry.ingress: goes by names',
  ],
  [
    'a group that GitLab keeps',
    stackWith({ gitlab: 'group: admin' }),
    'gitlab.group: "admin" is what GitLab keeps',
  ],
  [
    'a class that is no name',
    stackWith({ registry: 'storageClass: "a b"' }),
    'registry.storageClass: is not a name',
  ],
])('a stack with %s is refused', (_what, text, fault) => {
  const [first = '', ...others] = stackFaults(text);
  expect(others).toEqual([]);
  expect(first).toMatch(/^stacks\/Pulumi\.test\.yaml:\d+: config\./);
  expect(first).toContain(`config.${fault}`);
});

test.each([
  stackWith({ registry: 's3: { bucket: Old_Bucket, region: any, endpoint: "https://s3.test" }' }),
  stackWith({ registry: 's3: { bucket: abc.def, region: us-gov-west-1 }' }),
  `${stackText.replace('file:///state', '"s3://a?region=eu&prefix=x"')}  switchyard:stateCopies: "s3://a?region=eu&prefix=y"\n`,
  stackText.replace('https://gitlab.test', 'https://[::1]:8443/gitlab'),
  stackText.replace('https://gitlab.test', 'https://gitlab_1.test.'),
  stackText.replace('registry.test:5000', '10.0.0.7:5000'),
])('what a store, a resolver and a registry take is taken', (text) => {
  expect(stackFaults(text)).toEqual([]);
});

test('an address with a slash at its end is the one without it', () => {
  const text = stackText
    .replace('jenkins.test"', 'jenkins.test/ci/"')
    .replace('gitlab.test"', 'gitlab.test//"');
  const settings = parseStack(text, 'stacks/Pulumi.test.yaml', 'test');
  expect([settings.jenkins.url, settings.gitlab.url]).toEqual([
    'https://jenkins.test/ci',
    'https://gitlab.test',
  ]);
  expect(check(modelFacts(testModel({ settings })))).toEqual([]);
});

test('annotations of a stack are the site’s own: lines, but nothing that nobody sees', () => {
  const annotated = (value: string) =>
    stackFaults(
      stackWith({ jenkins: `ingress: { host: jenkins.test, annotations: { a.test/snippet: ${value} } }` }),
    );
  expect(annotated('"a;\\n\\tb;\\n"')).toEqual([]);
  expect(annotated('"a\\u0001b"')).toEqual([
    expect.stringContaining(
      'config.jenkins.ingress.annotations.a.test/snippet: has a control character in it.',
    ),
  ]);
});

test('names in a stack follow Kubernetes, which takes longer ones, and dots, than modules have', () => {
  const long = 'x'.repeat(60);
  expect(
    stackFaults(
      stackWith({
        jenkins: `existing: { namespace: ${long}, serviceAccount: jenkins.ci }`,
        registry: `tlsSecret: registry.${long}.test, storageClass: fast.ssd`,
      }),
    ),
  ).toEqual([]);
});

const LOGIN = 'holds a credential in an address.';
const hidden = 'https://glpat-hunter2@git.test/x';

test.each<[string, string]>([
  ['environment:\n  A: x\n  B: "postgres://ada:hunter2@db/x"', ':6: environment.B'],
  [`environment:\n  A: x\n  B: "${hidden}"`, ':6: environment.B'],
  [`image:\n  args:\n    PIP_INDEX_URL: "${hidden}"`, ':6: image.args.PIP_INDEX_URL'],
  [
    `production:\n  ingress:\n    host: a.test\n    annotations:\n      a.test/b: "${hidden}"`,
    ':8: production.ingress.annotations.a.test/b',
  ],
])('a module with %j is refused at its line, and the credential is not told', (extra, place) => {
  const faults = moduleFaults(`${extra}\n`);
  expect(faults).toEqual([
    expect.stringMatching(new RegExp(`^catalog/modules/shop\\.yaml${place}: ${LOGIN}`)),
  ]);
  expect(faults[0]).not.toContain('hunter2');
});

test.each<[string, (text: string) => string, string]>([
  ['an argument', (text) => text.replace('[serve,', `[serve, "${hidden}",`), 'args.1'],
  ['its environment', (text) => `${text}environment: { A: "${hidden}" }\n`, 'environment.A'],
  ['a file', (text) => `${text}files: { /a: "curl http://a:hunter2@127.0.0.1" }\n`, 'files./a'],
  ['a command of its backup', (text) => text.replace('[save]', `[save, "${hidden}"]`), 'backup.dump.1'],
  ['its description', (text) => text.replace('a cache', hidden), 'description'],
])('a service with a login in an address of %s is refused', (_what, change, key) => {
  const faults = serviceFaults(change);
  expect(faults).toEqual([expect.stringMatching(/^catalog\/services\/cache\.yaml:\d+: /)]);
  expect(faults[0]).toContain(`: ${key}: ${LOGIN}`);
});

test.each(['$(SWITCHYARD_SERVICE_PASSWORD)', '${password}', '$$(SWITCHYARD_SERVICE_PASSWORD)'])(
  'a service that is started with %s, in which nothing is filled in, asks nobody for a login, and is told so',
  (word) => {
    const services = { 'cache.yaml': cache.replace('"{password}"', JSON.stringify(word)) };
    const catalog = parseCatalog({ ...catalogTexts, services });
    const model = testModel({ catalog, modules: catalog.modules });
    expect(check(modelFacts(model)).map(({ rule }) => rule)).toEqual(['databases-ask-login']);
  },
);

test.each([
  ['nginx.ingress.kubernetes.io/server-alias', 'other.test shop.test', 'till.test, Shop.test'],
  ['haproxy-ingress.github.io/redirect-from', 'shop.test', 'shop.test'],
  ['external-dns.alpha.kubernetes.io/hostname', 'x.test,shop.test', 'shop.test'],
])(
  'a module that takes another one’s host by the annotation %s is told in its file',
  (key, alone, taking) => {
    const written = (host: string, more = '') => `production: { ingress: { host: ${host}${more} } }\n`;
    const of = (value: string) => written('till.test', `, annotations: { ${key}: "${value}" }`);
    const told = (till: string, desk = written('desk.test')) => {
      const modules = {
        'desk.yaml': `${shop}${desk}`,
        'shop.yaml': `${shop}${written('shop.test')}`,
        'till.yaml': `${shop}${till}`,
      };
      const catalog = parseCatalog({ ...catalogTexts, modules });
      return check(modelFacts(testModel({ catalog, modules: catalog.modules, releases: {} }))).map(
        ({ rule, file, at, where }) => [rule, file, at, where.includes(`the annotation "${key}"`)],
      );
    };
    const fault = ['hosts-unique', 'catalog/modules/till.yaml', 'production.ingress.host', true];
    expect(told(of('free.test'))).toEqual([]);
    expect(told(of(alone))).toEqual([fault]);
    expect(told(of(taking))).toEqual([fault]);
    // Whoever comes second is told: each such host once.
    expect(told(of('free.test'), written('desk.test', `, annotations: { ${key}: free.test }`))).toEqual([
      fault,
    ]);
  },
);

test('a module with a name that GitLab keeps is refused', () => {
  expect(linesOf(() => parseCatalog({ ...catalogTexts, modules: { 'blob.yaml': shop } }))).toEqual([
    'catalog/modules/blob.yaml:1: GitLab keeps "blob" for addresses of its own, and takes no project of that name. Rename the module.',
  ]);
});

test('a file that no ConfigMap would hold is refused', () => {
  const [line = ''] = moduleFaults(`# ${'x'.repeat(600_000)}\n`);
  expect(line).toMatch(
    /^catalog\/modules\/shop\.yaml:1: has 6\d{5} bytes, and a ConfigMap must hold it: at most 524288\./,
  );
});

test('what lies in the catalog’s folders and is not read is told', () => {
  const folder = mkdtempSync(join(tmpdir(), 'switchyard-unread-'));
  try {
    for (const path of ['modules/old', 'modules/x.yaml', 'services'])
      mkdirSync(join(folder, path), { recursive: true });
    for (const path of ['modules/shop.yaml', 'modules/orders.yml', 'modules/.keep', 'services/notes.txt'])
      writeFileSync(join(folder, path), '');
    expect(unreadFiles(folder).map(describeProblem)).toEqual([
      'catalog/modules/old: is not a file. Put each file directly into catalog/modules, and all else elsewhere.',
      'catalog/modules/orders.yml: is not read: its name does not end in ".yaml". Rename it, or move it elsewhere.',
      'catalog/modules/x.yaml: is not a file. Put each file directly into catalog/modules, and all else elsewhere.',
      'catalog/services/notes.txt: is not read: its name does not end in ".yaml". Rename it, or move it elsewhere.',
    ]);
    writeFileSync(join(folder, 'Pulumi.lab.yml'), '');
    writeFileSync(join(folder, 'Pulumi.production.yaml'), '');
    expect(unreadStacks(folder).map(describeProblem)).toEqual([
      'stacks/Pulumi.lab.yml: is not read: its name does not end in ".yaml". Rename it, or move it elsewhere.',
    ]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

/** Everything about one module and one service, as text in which their names can be told. */
function everything(module: string, service: string): string {
  const catalog = parseCatalog({
    services: { [`${service}.yaml`]: cache },
    modules: {
      [`${module}.yaml`]: `description: d\nowners: [ada]\nservices: [{ kind: ${service}, version: "1.0" }]\n`,
    },
  });
  const model = testModel({ catalog, modules: catalog.modules, releases: {} });
  return JSON.stringify([topologyBoxes(model), modelItems(model)]);
}

test('what every object answers to by its prototype is a name like any other', () => {
  // Names that sort alike, so that nothing differs but they themselves, and hashes of what they stand in.
  const unnamed = (text: string) =>
    text
      .replace(/\b[0-9a-f]{16,}\b/g, '<hash>')
      .replace(/constructo[rs]/g, 'x')
      .replace(/CONSTRUCTO[RS]/g, 'X')
      .split(/(?<=[,{])/);
  const usual = unnamed(everything('constructos', 'thing'));
  expect(unnamed(everything('constructor', 'thing'))).toEqual(usual);
  expect(unnamed(everything('thing', 'constructor'))).toEqual(unnamed(everything('thing', 'constructos')));
});

test('a service that is only in the prototype of an object is not in the catalog', () => {
  const text = 'description: d\nowners: [ada]\nservices: [{ kind: constructor, version: "1.0" }]\n';
  expect(moduleFaults('', text)).toEqual([
    'catalog/modules/shop.yaml:3: services.0.kind: "constructor" is not a service of the catalog. Known: cache.',
  ]);
});

test('a fault is told in one line, which moves no cursor and ends no line, whatever it is told of', () => {
  const evil = '"x\\e[2J\\e]52;c;aGk=\\a\\r\\ncatalog/modules/till.yaml:1: all is well\\u2028\\u202e"';
  const head = 'description: a\nowners: [ada]\n';
  for (const [rest, count] of [
    [`services: [{ kind: cache, version: ${evil} }]\n`, 1],
    [`? ${evil}\n: 1\n`, 1],
    [`environment: { ${evil}: a }\n`, 1],
  ] as const) {
    const written = { ...catalogTexts, modules: { 'shop.yaml': `${head}${rest}` } };
    let said = '';
    try {
      parseCatalog(written);
    } catch (error) {
      said = (error as Error).message;
    }
    expect(said).toContain('catalog/modules/till.yaml:1: all is well');
    expect(said.split('\n')).toHaveLength(count);
    expect(said).not.toMatch(/[\p{Cc}\p{Cf}\u2028]/u);
  }
});
