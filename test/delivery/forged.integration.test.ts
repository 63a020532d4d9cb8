import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { exitCode } from '../../clients/failure';
import type { Certificate } from '../../delivery/certificate';
import { run } from '../../delivery/commands';
import { certificateFile, writeCertificate } from '../../delivery/state';
import { report } from '../../delivery/verify';
import { KEY } from './certificates';
import { buildEnvironment, greenCertificate, makeWorld, PROJECT, type World } from './world';

// The commands as the pipeline runs them, where somebody else wrote what they keep.
jest.setTimeout(120_000);

const REGISTRY = 'registry.example:5000';
const BUILD = 'http://jenkins.example/job/switchyard/job/orders/1/';
const before = { ...process.env };
let world: World;
let workspace: string;
let counter = 0;

beforeAll(async () => {
  world = await makeWorld();
});
afterAll(() => world?.close());
beforeEach(() => {
  workspace = join(world.folder, `build-${counter++}`);
  mkdirSync(workspace);
  jest.spyOn(process.stdout, 'write').mockReturnValue(true);
  jest.spyOn(process.stderr, 'write').mockReturnValue(true);
});
afterEach(() => {
  jest.restoreAllMocks();
  process.env = { ...before };
});

/** The environment that Jenkins gives the commands of one merge request's build. */
const building = (iid: number): void => {
  Object.assign(
    process.env,
    buildEnvironment(world, { iid, build: BUILD, workspace, registry: REGISTRY, key: KEY }),
  );
};
const delivery = (...args: string[]): Promise<number> => run(['--workspace', workspace, ...args]);

/** A merge request, and a certificate of it as a forger would write it: tested and green. */
async function mergeable(branch: string): Promise<{ iid: number; certificate: Certificate }> {
  await world.push(branch, { [`${branch}.txt`]: 'x\n' }, 'origin/main');
  const iid = await world.open(branch);
  const about = { iid, build: BUILD, workspace, registry: REGISTRY };
  return { iid, certificate: await greenCertificate(world, about) };
}
const stateOf = async (iid: number): Promise<string> =>
  (await world.context.gitlab.mergeRequest(PROJECT, iid)).state;

/** Wherever state is or was kept. */
const plant = (text: string): void => {
  for (const file of [certificateFile(workspace), join(workspace, '.switchyard', 'certificate.json')]) {
    mkdirSync(join(file, '..'), { recursive: true });
    writeFileSync(file, text);
  }
};

it('what this build sealed for its merge request is merged', async () => {
  const { iid, certificate } = await mergeable('honest');
  building(iid);
  writeCertificate(workspace, certificate);
  expect(await delivery('report', '--module', 'orders')).toBe(exitCode.done);
  expect(await delivery('merge')).toBe(exitCode.done);
  expect(await stateOf(iid)).toBe('merged');
});

it('a certificate of another merge request, unsigned or sealed by another build, merges neither that one nor its own', async () => {
  const victim = await mergeable('victim');
  // Its checks are through, as far as GitLab knows: only the certificate stands between it and main.
  await report(world.context, victim.certificate, KEY);
  building(victim.iid);
  process.env.BUILD_URL = victim.certificate.build;
  writeCertificate(workspace, victim.certificate);
  const sealedForVictim = readFileSync(certificateFile(workspace), 'utf8');
  rmSync(certificateFile(workspace));

  const own = await mergeable('attacker');
  building(own.iid);
  for (const text of [JSON.stringify(victim.certificate), JSON.stringify(own.certificate), sealedForVictim]) {
    plant(text);
    expect(await delivery('merge')).toBe(exitCode.red);
    expect(await delivery('test-pod')).not.toBe(exitCode.done);
    expect(await delivery('verdict')).toBe(exitCode.red);
  }
  expect(await stateOf(victim.iid)).toBe('opened');
  expect(await stateOf(own.iid)).toBe('opened');

  // And nobody waits for a status that never comes.
  expect(await delivery('report', '--module', 'orders')).toBe(exitCode.red);
  expect((await world.statuses(own.certificate.headSha)).at(-1)).toMatchObject({
    status: 'failed',
    description: 'the build broke off before the merge result was made; see its log',
  });
  expect(await world.notes(own.iid)).toEqual([]);
});

it('a certificate that is sealed for another build of the same merge request is not merged', async () => {
  const { iid, certificate } = await mergeable('older');
  building(iid);
  writeCertificate(workspace, certificate);
  process.env.BUILD_URL = BUILD.replace('/1/', '/2/');
  expect(await delivery('merge')).toBe(exitCode.red);
  expect(await stateOf(iid)).toBe('opened');
});

it('what the pipeline carried out of the test Pod is judged under the name that the catalog gives it', async () => {
  const { iid, certificate } = await mergeable('carried');
  building(iid);
  writeCertificate(workspace, { ...certificate, tests: undefined });
  mkdirSync(join(workspace, '.switchyard', 'carried'), { recursive: true });
  writeFileSync(join(workspace, '.switchyard', 'carried', 'output.xml.gz'), 'no gzip');
  expect(await delivery('verdict')).toBe(exitCode.red);
  expect(await delivery('report', '--module', 'orders')).toBe(exitCode.red);
  expect((await world.notes(iid))[0]?.body).toContain('results/output.xml');
  expect(await delivery('merge')).toBe(exitCode.red);
  expect(await stateOf(iid)).toBe('opened');
});
