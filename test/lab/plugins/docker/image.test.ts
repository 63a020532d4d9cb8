// Facts of pulumi-docker 5.2: provider/provider.go (Check, Diff, Create, Read, Update, Delete, hashContext,
// getIgnorePatterns), provider/image.go (getRegistryAuth, getRegistryAddrForAuth, getRegistryAddrFromImage,
// parseRepoDigestFromAux); of names: reference/normalize.go of distribution/reference.

import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { contextDigest, readContext } from '../../../../lab/plugins/docker/context';
import { engineAddress } from '../../../../lab/plugins/docker/engine';
import { DockerProvider } from '../../../../lab/plugins/docker/provider';
import { imageReference, registryOf } from '../../../../lab/plugins/docker/reference';
import { type Props, UNKNOWN } from '../../../../lab/plugins/shared/values';

let folder: string;
const write = (name: string, text: string) => writeFileSync(path.join(folder, name), text);
const digest = () => contextDigest(readContext(folder));

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'docker-plugin-'));
  mkdirSync(path.join(folder, 'app'));
  write('Dockerfile', 'FROM scratch\nCOPY . /\n');
  write('app/main.py', 'print(1)\n');
});
afterEach(() => rmSync(folder, { recursive: true }));

const provider = new DockerProvider(
  { status: () => undefined, info: () => undefined },
  { DOCKER_HOST: 'unix:///nowhere.sock' },
);
const call = {
  type: 'docker:index/image:Image',
  name: 'image',
  urn: 'u',
  signal: new AbortController().signal,
};
const check = (inputs: Props, type = call.type) =>
  provider.check({ ...call, type, inputs, oldInputs: {}, randomSeed: new Uint8Array() });
const image = (more: Props = {}): Props => ({
  imageName: '127.0.0.1:5000/a:1',
  build: { context: folder },
  ...more,
});

test('the digest sees contents, names and permissions, and not times', async () => {
  const before = await digest();
  utimesSync(path.join(folder, 'app/main.py'), 1, 1);
  expect(await digest()).toBe(before);
  chmodSync(path.join(folder, 'app/main.py'), 0o755);
  const executable = await digest();
  expect(executable).not.toBe(before);
  write('app/main.py', 'print(2)\n');
  const changed = await digest();
  expect(changed).not.toBe(executable);
  mkdirSync(path.join(folder, 'empty'));
  expect(await digest()).toBe(changed);
});

test('a link counts as one, and one that leads nowhere is a fault', async () => {
  const before = await digest();
  symlinkSync('app/main.py', path.join(folder, 'start'));
  expect(await digest()).not.toBe(before);
  symlinkSync('nowhere', path.join(folder, 'lost'));
  expect((await check(image())).failures).toEqual([
    { property: 'build', reason: expect.stringContaining('lost leads nowhere') },
  ]);
});

test('an image that is pushed is named with its registry', async () => {
  const faults = async (more: Props) => (await check(image(more))).failures;
  for (const imageName of ['team/a:1', 'registry/a:1', 'a'])
    expect(await faults({ imageName })).toEqual([
      { property: 'imageName', reason: `"${imageName}" does not name its registry` },
    ]);
  expect(await faults({ imageName: 'team/a:1', skipPush: true })).toEqual([]);
  for (const imageName of ['localhost/a', 'h:1/a', 'h.x/a']) expect(await faults({ imageName })).toEqual([]);
});

test('.dockerignore keeps files out, takes exceptions in, and the Dockerfile is sent all the same', async () => {
  write('.dockerignore', '# generated\n*.log\nDockerfile\napp/*\n!app/main.py\n');
  write('build.log', 'noise');
  write('app/cache', 'noise');
  expect(readContext(folder).entries).toEqual(['.dockerignore', 'Dockerfile', 'app', 'app/main.py']);
  const before = await digest();
  write('build.log', 'other noise');
  expect(await digest()).toBe(before);
});

test('an unchanged context is no change; a changed file, argument or name is one; credentials are none', async () => {
  const { inputs } = await check(
    image({ registry: { server: '127.0.0.1:5000', username: 'a', password: 'old-password' } }),
  );
  const diff = async (next: Props) =>
    provider.diff({
      ...call,
      id: 'x',
      oldInputs: inputs,
      oldOutputs: {},
      inputs: (await check(next)).inputs,
      ignoreChanges: [],
    });
  const registry = { server: '127.0.0.1:5000', username: 'b', password: 'new-password' };
  expect(await diff(image({ registry }))).toEqual({ changes: false, details: {} });
  expect((await diff(image({ registry, build: { context: folder, args: { A: '1' } } }))).details).toEqual({
    'build.args': 'add',
  });
  expect((await diff(image({ registry, imageName: '127.0.0.1:5000/b:1' }))).details).toEqual({
    imageName: 'update',
  });
  write('app/main.py', 'print(2)\n');
  expect((await diff(image({ registry }))).details).toEqual({ 'build.contextDigest': 'update' });
});

test('faults name their input; other resources of the package are refused', async () => {
  expect((await check(image({ build: { context: folder, dockerfle: 'x' } }))).failures).toEqual([
    { property: 'build.dockerfle', reason: 'is not an input of Image' },
  ]);
  expect((await check({ build: { context: folder } })).failures?.map(({ property }) => property)).toEqual([
    'imageName',
  ]);
  expect((await check(image({ imageName: '127.0.0.1:5000/Upper' }))).failures?.[0]?.property).toBe(
    'imageName',
  );
  expect((await check(image({ build: { context: `${folder}/missing` } }))).failures?.[0]?.reason).toMatch(
    /is not a folder/,
  );
  expect((await check(image({ imageName: UNKNOWN }))).failures).toEqual([]);
  await expect(check({}, 'docker:index/remoteImage:RemoteImage')).rejects.toThrow(
    /RemoteImage is not covered/,
  );
});

test('a preview builds nothing; without an engine, an update says where it looked', async () => {
  await provider.configure({});
  const { inputs } = await check(image());
  const preview = await provider.create({ ...call, inputs, preview: true, timeoutSeconds: 0 });
  expect(preview.outputs).toMatchObject({ repoDigest: UNKNOWN, registryServer: '127.0.0.1:5000' });
  await expect(provider.create({ ...call, inputs, preview: false, timeoutSeconds: 0 })).rejects.toThrow(
    /no answer from the engine at \/nowhere\.sock/,
  );
});

test('only an engine on this machine or in the lab is spoken to', () => {
  expect(engineAddress('unix:///run/docker.sock')).toEqual({ socketPath: '/run/docker.sock' });
  expect(engineAddress('tcp://127.0.0.1:2375')).toEqual({ host: '127.0.0.1', port: 2375 });
  expect(() => engineAddress('tcp://10.0.0.1:2375')).toThrow(/refused/);
  expect(() => engineAddress('ssh://host')).toThrow(/is not "unix/);
});

test("an image's name falls apart as Docker takes it apart", () => {
  expect(imageReference('198.18.0.2:30500/team/jenkins:lab')).toEqual({
    repository: '198.18.0.2:30500/team/jenkins',
    tag: 'lab',
  });
  expect(imageReference('127.0.0.1:5000/a')).toEqual({ repository: '127.0.0.1:5000/a', tag: 'latest' });
  expect(() => imageReference('a@sha256:00')).toThrow(/digest/);
  expect([registryOf('team/a:1'), registryOf('localhost/a'), registryOf('h:1/a')]).toEqual([
    'docker.io',
    'localhost',
    'h:1',
  ]);
});
