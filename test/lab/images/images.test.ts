import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadCatalog } from '../../../catalog/load';
import { baseImageSteps, suiteImageSteps } from '../../../lab/images';
import { parseSources, sourcesList } from '../../../lab/images/apt';
import { imageFolder, imageHash } from '../../../lab/images/context';
import {
  BASE,
  type ImageDefinition,
  IMAGES as LAB_IMAGES,
  SUITE_IMAGES,
} from '../../../lab/images/definitions';
import { CONTENT_LABEL, contentInMirror } from '../../../lab/images/mirror';

const IMAGES = [...LAB_IMAGES, ...SUITE_IMAGES];
const dockerfiles = IMAGES.filter((image) => image.extra !== 'jenkins').map(
  (image) => [image.name, readFileSync(join(imageFolder(image), 'Dockerfile'), 'utf8')] as const,
);

describe('the definitions', () => {
  test('every parent is built before its children, so one pass in order is enough', () => {
    const seen = new Set<string>([BASE.name]);
    for (const image of IMAGES) {
      if (image.parent) expect(seen).toContain(image.parent);
      seen.add(image.name);
    }
  });

  test('the last FROM of a Dockerfile is the parent that the definition names', () => {
    const tags = new Map<string, string>([
      [BASE.name, BASE.tag],
      ...IMAGES.map((i) => [i.name, i.tag] as [string, string]),
    ]);
    for (const image of IMAGES.filter((one) => one.extra !== 'jenkins')) {
      const text = readFileSync(join(imageFolder(image), 'Dockerfile'), 'utf8');
      const froms = [...text.matchAll(/^FROM (\S+)/gm)].map((match) => match[1]);
      const parents = froms.filter((from) => from !== 'scratch');
      expect(parents).toEqual(image.parent ? [`\${MIRROR}/${image.parent}:${tags.get(image.parent)}`] : []);
    }
  });

  test('no two images share a name, and each has exactly one step after the base image', () => {
    expect(baseImageSteps().map((step) => step.name)).toEqual([
      'image-debian',
      ...LAB_IMAGES.map((image) => `image-${image.name}`),
    ]);
    for (const suite of ['services', 'scaling', 'storage'] as const)
      expect(suiteImageSteps(suite).map((step) => step.name)).toEqual(
        SUITE_IMAGES.filter((image) => image.suite === suite).map((image) => `image-${image.name}`),
      );
    expect(new Set(IMAGES.map((image) => image.name)).size).toBe(IMAGES.length);
  });
});

describe('the Dockerfiles', () => {
  test.each(dockerfiles)('%s ends as a user other than root, given by number', (_, text) => {
    const users = [...text.matchAll(/^USER (\S+)$/gm)].map((match) => match[1]);
    expect(users).toHaveLength(1);
    expect(users[0]).toMatch(/^[1-9]\d*:[1-9]\d*$/);
  });

  test.each(dockerfiles)('%s says what it stands in for', (_, text) => {
    expect(text).toMatch(/^LABEL dev\.switchyard\.lab\/stands-in-for="\S+"$/m);
  });

  test.each(dockerfiles)(
    '%s names no package host, and what it installs leaves no lists behind',
    (_, text) => {
      expect(text).not.toMatch(/https?:\/\//);
      const last = text.slice(text.lastIndexOf('\nFROM '));
      for (const run of last.match(/^RUN [\s\S]*?[^\\]$/gm) ?? []) {
        if (!run.includes('apt-get')) continue;
        expect(run).toContain('--mount=type=secret,id=apt,target=/etc/apt/sources.list');
        expect(run).toContain('/var/lib/apt/lists/*');
      }
    },
  );
});

describe('the content hash', () => {
  const redis = IMAGES.find((image) => image.name === 'redis') as ImageDefinition;

  test('is the same twice and changes with the parent', async () => {
    expect(await imageHash(redis, 'a')).toBe(await imageHash(redis, 'a'));
    expect(await imageHash(redis, 'a')).not.toBe(await imageHash(redis, 'b'));
  });

  test('cannot be computed without a program the image needs, and says which', async () => {
    const before = process.env.XDG_CACHE_HOME;
    const empty = mkdtempSync(join(tmpdir(), 'switchyard-images-'));
    process.env.XDG_CACHE_HOME = empty;
    try {
      const coredns = IMAGES.find((image) => image.name === 'coredns') as ImageDefinition;
      await expect(imageHash(coredns, undefined)).rejects.toThrow(/^coredns is not in the toolchain/);
    } finally {
      if (before === undefined) delete process.env.XDG_CACHE_HOME;
      else process.env.XDG_CACHE_HOME = before;
      rmSync(empty, { recursive: true });
    }
  });

  test('of a program follows its content when its folder does not carry it', async () => {
    const before = process.env.XDG_CACHE_HOME;
    const cache = mkdtempSync(join(tmpdir(), 'switchyard-images-'));
    process.env.XDG_CACHE_HOME = cache;
    try {
      const bin = join(cache, 'switchyard', 'bin');
      mkdirSync(bin, { recursive: true });
      const coredns = IMAGES.find((image) => image.name === 'coredns') as ImageDefinition;
      writeFileSync(join(bin, 'coredns'), 'one');
      const one = await imageHash(coredns, undefined);
      writeFileSync(join(bin, 'coredns'), 'two');
      expect(await imageHash(coredns, undefined)).not.toBe(one);
    } finally {
      if (before === undefined) delete process.env.XDG_CACHE_HOME;
      else process.env.XDG_CACHE_HOME = before;
      rmSync(cache, { recursive: true });
    }
  });
});

describe("the host's package sources", () => {
  const debian = [
    'http://mirror.test/debian/ bookworm main',
    'http://mirror.test/debian/ bookworm-updates main',
    'http://mirror.test/debian-security/ bookworm-security main',
  ];

  test('only those of Debian 12 itself are passed on, once each, in a fixed order', () => {
    const others = [
      'http://third.test/apt/ bookworm main',
      'http://mirror.test/debian/ trixie main',
      'http://mirror.test/debian/ bookworm non-free',
    ];
    const expected = debian.map((line) => `deb ${line}\n`);
    const text = sourcesList(parseSources([...others, ...debian, ...debian].join('\n')));
    expect(text.split(/(?<=\n)/).sort()).toEqual(expected.sort());
    expect(sourcesList(parseSources([...debian].reverse().join('\n')))).toBe(text);
  });

  test('a host without Debian 12 is refused with the remedy', () => {
    expect(() => parseSources('http://third.test/apt/ bookworm main')).toThrow(
      /no source for Debian bookworm main\. Add one/,
    );
  });

  test('a mirror that needs TLS is refused, as the base image has no certificates', () => {
    expect(() => parseSources('https://mirror.test/debian bookworm main')).toThrow(/not plain http/);
  });
});

describe('the look into the mirror', () => {
  let server: Server;
  let mirror: string;
  let labels: unknown;
  beforeAll(async () => {
    server = createServer((request, response) => {
      const answers: Record<string, unknown> = {
        '/v2/redis/manifests/7.0': { schemaVersion: 2, config: { digest: 'sha256:c' } },
        '/v2/redis/blobs/sha256:c': { config: { Labels: labels } },
        '/v2/old/manifests/1': { schemaVersion: 1 },
      };
      const answer = answers[request.url ?? ''];
      response.statusCode = answer ? 200 : 404;
      response.end(JSON.stringify(answer ?? { errors: [] }));
    });
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    mirror = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(() => new Promise((done) => server.close(done)));

  test('finds the hash on the label of the image', async () => {
    labels = { [CONTENT_LABEL]: 'abc' };
    expect(await contentInMirror(mirror, 'redis', '7.0')).toBe('abc');
  });

  test('an image without labels, an unknown tag, an old manifest and no registry all mean: build it', async () => {
    labels = null;
    expect(await contentInMirror(mirror, 'redis', '7.0')).toBeUndefined();
    expect(await contentInMirror(mirror, 'redis', '9')).toBeUndefined();
    expect(await contentInMirror(mirror, 'old', '1')).toBeUndefined();
    expect(await contentInMirror('127.0.0.1:1', 'redis', '7.0')).toBeUndefined();
  });
});

test('what is made goes to where the lab pushes, and keeps the name by which it is read', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'images-push-'));
  const before = { ...process.env };
  // A machine that has run no lab yet has no Docker client that the lab would take.
  writeFileSync(join(folder, 'docker'), '#!/bin/sh\necho Docker version 20.10.24\n', { mode: 0o755 });
  Object.assign(process.env, {
    XDG_CACHE_HOME: folder,
    SWITCHYARD_LAB_HOME: join(folder, 'lab'),
    PATH: `${folder}:${process.env.PATH}`,
  });
  try {
    const [step] = baseImageSteps({ mirror: '127.0.0.1:1', mirrorPush: '127.0.0.1:2' });
    const content = String(await step?.inputs());
    mkdirSync(join(folder, 'switchyard', 'images'), { recursive: true });
    writeFileSync(
      join(folder, 'switchyard', 'images', `debian-bookworm-${content.slice(0, 16)}.tar`),
      'made before',
    );
    const asked: string[] = [];
    await step?.run({
      path: '',
      line: () => undefined,
      exec: async (_docker, args) => {
        asked.push(args.join(' '));
        return { code: 0, stdout: '', stderr: '' };
      },
    });
    expect(asked[0]).toMatch(/^import .* 127\.0\.0\.1:1\/debian:bookworm$/);
    expect(asked.slice(1)).toEqual([
      'tag 127.0.0.1:1/debian:bookworm 127.0.0.1:2/debian:bookworm',
      'push --quiet 127.0.0.1:2/debian:bookworm',
      'rmi 127.0.0.1:2/debian:bookworm',
    ]);
  } finally {
    process.env = before;
    rmSync(folder, { recursive: true, force: true });
  }
});

describe('the shell scripts', () => {
  const scripts = IMAGES.flatMap((image) => {
    const folder = imageFolder(image);
    return existsSync(folder) && image.extra !== 'jenkins'
      ? readdirSync(folder)
          .filter((file) => file.endsWith('.sh'))
          .map((file) => join(folder, file))
      : [];
  });

  test('all of them parse', () => {
    expect(scripts.length).toBeGreaterThanOrEqual(4);
    for (const script of scripts) {
      const { status, stderr } = spawnSync('sh', ['-n', script], { encoding: 'utf8' });
      expect({ script, status, stderr }).toEqual({ script, status: 0, stderr: '' });
    }
  });

  const run = (image: string, env: Record<string, string>, ...args: string[]) => {
    const { status, stderr } = spawnSync(
      'sh',
      [join(__dirname, '../../../lab/images', image, 'entrypoint.sh'), ...args],
      {
        encoding: 'utf8',
        env: { PATH: '/usr/bin:/bin', ...env },
      },
    );
    return { status, stderr: stderr.trim() };
  };

  test.each(['mariadb', 'mysql'])('%s refuses variables it does not know how to honour', (image) => {
    expect(run(image, { MYSQL_ONETIME_PASSWORD: '1' })).toEqual({
      status: 1,
      stderr: `${image}: MYSQL_ONETIME_PASSWORD is not supported here; set MYSQL_ROOT_PASSWORD`,
    });
  });

  test("kafka has each of Kafka's scripts that the catalog calls", () => {
    const { files = {} } = loadCatalog(join(__dirname, '../../../catalog')).services.kafka ?? {};
    const called = [
      ...Object.values(files)
        .join('')
        .matchAll(/\/opt\/kafka\/bin\/([\w-]+\.sh)/g),
    ];
    const names = called.map(([, name]) => name);
    expect(names).toEqual(expect.arrayContaining(['kafka-configs.sh', 'kafka-get-offsets.sh']));
    expect(readdirSync(join(__dirname, '../../../lab/images/kafka/bin'))).toEqual(
      expect.arrayContaining(names),
    );
  });

  test('kafka says what its place has to have', () => {
    expect(run('kafka', {}).stderr).toContain('kafka: CLUSTER_ID is not set');
    expect(run('kafka', { CLUSTER_ID: 'c3dpdGNoeWFyZC1rYWZrYQ' })).toEqual({
      status: 1,
      stderr: 'kafka: /opt/kafka/config is not writable; mount a volume there',
    });
  });

  test('postgresql refuses a second folder for its log of changes, which it would not use', () => {
    expect(run('postgresql', { POSTGRES_INITDB_WALDIR: '/wal' })).toEqual({
      status: 1,
      stderr: 'postgresql: POSTGRES_INITDB_WALDIR is not supported here; leave it out',
    });
  });

  test('rabbitmq refuses an account without a password, and files in place of values', () => {
    expect(run('rabbitmq', { RABBITMQ_DEFAULT_USER: 'u' })).toEqual({
      status: 1,
      stderr: 'rabbitmq: RABBITMQ_DEFAULT_USER is set without RABBITMQ_DEFAULT_PASS',
    });
    expect(run('rabbitmq', { RABBITMQ_DEFAULT_PASS_FILE: '/p' })).toEqual({
      status: 1,
      stderr:
        'rabbitmq: RABBITMQ_DEFAULT_PASS_FILE is not supported; give RABBITMQ_DEFAULT_USER and RABBITMQ_DEFAULT_PASS',
    });
  });

  test('ferretdb refuses half of an account, files of it, and server options', () => {
    const half = {
      status: 1,
      stderr:
        'ferretdb: MONGO_INITDB_ROOT_USERNAME and MONGO_INITDB_ROOT_PASSWORD go together: give both or neither',
    };
    expect(run('ferretdb', { MONGO_INITDB_ROOT_USERNAME: 'root' })).toEqual(half);
    expect(run('ferretdb', { MONGO_INITDB_ROOT_PASSWORD: 'secret' })).toEqual(half);
    expect(run('ferretdb', { MONGO_INITDB_ROOT_PASSWORD_FILE: '/p' })).toEqual({
      status: 1,
      stderr: 'ferretdb: MONGO_INITDB_ROOT_PASSWORD_FILE is not supported; give the value itself',
    });
    expect(run('ferretdb', {}, 'mongod', '--replSet', 'rs0')).toEqual({
      status: 1,
      stderr: 'ferretdb: mongod options are not supported: --replSet rs0',
    });
  });
});
