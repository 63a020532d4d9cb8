import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { kubeconfigPath } from '../../../lab/cluster';
import { suiteImageSteps } from '../../../lab/images';
import { openLog } from '../../../lab/steps';
import { suitePartSteps, toolPath } from '../../../lab/toolchain';
import { ENVIRONMENT, labEnvironment, REPOSITORY } from '../../../lab/topology';
import { CLASS, DRIVER, disksManifests, KUBELET, ROOM_MEBIBYTES } from './disks';
import { kubectl, runSwitchyard, until } from './running';

// A database's volume that really grows: a disk with a size, mounted as XFS, by external-provisioner, external-resizer, the
// kubelet and a driver in an image that this suite brings. Its tests follow each other: each has the size that the one before left.
jest.setTimeout(900_000);

const MODULE = 'archive';
const SPACE = `prod-${MODULE}`;
const POD = 'mysql-0';
const CLAIM = `mysql-data-${POD}`;
const FILE = `catalog/modules/${MODULE}.yaml`;
/** In mebibytes: as it is made, as it grows, as the driver has no room for, as it is taken back. */
const SIZES = { made: 320, grown: 640, refused: 4 * ROOM_MEBIBYTES, back: 768 } as const;
const MEBIBYTE = 2 ** 20;

const log = openLog('e2e-storage');
let folder: string;

const environment = (): Record<string, string> => ({
  ...labEnvironment(),
  SWITCHYARD_CATALOG: join(folder, 'catalog'),
  SWITCHYARD_STACKS: join(folder, 'stacks'),
});

const run = (env: Record<string, string>, args: readonly string[], ...accept: number[]): Promise<string> =>
  runSwitchyard(log, env, args, ...accept);
const up = (...accept: number[]): Promise<string> =>
  run(environment(), ['up', ENVIRONMENT, '--yes'], ...accept);

/** The module's file with a size of its database, in mebibytes. */
const write = (mebibytes: number): void =>
  writeFileSync(
    join(folder, FILE),
    `description: Keeps rows on a disk that grows
owners: [root]
merge: automatic
services:
  - { kind: mysql, version: "8.4", storage: ${mebibytes}Mi }
`,
  );

const inSpace = (...args: string[]): string => kubectl('-n', SPACE, ...args).trim();
const inPod = (...command: string[]): string => inSpace('exec', POD, '--', ...command);
const sql = (text: string): string =>
  inPod(
    ...[
      'sh',
      '-c',
      'MYSQL_PWD="$(cat /run/switchyard/password)" exec mariadb --user=root -BN "$MYSQL_DATABASE" -e "$1"',
    ],
    ...['sh', text],
  );

/** What a claim asks for, what it has, and what its volume is, each as Kubernetes has it. */
const sizes = (): { asked: string; has: string; volume: string } => {
  const { spec, status } = JSON.parse(inSpace('get', 'pvc', CLAIM, '-o', 'json'));
  const volume = JSON.parse(kubectl('get', 'pv', spec.volumeName, '-o', 'json'));
  return {
    asked: spec.resources.requests.storage,
    has: status.capacity.storage,
    volume: volume.spec.capacity.storage,
  };
};
const all = (mebibytes: number) => {
  const size = `${mebibytes}Mi`;
  return { asked: size, has: size, volume: size };
};
/** XFS keeps that many mebibytes for its log. */
const LOG = 64;
/** Mebibytes of the file system that the database sees. */
const seen = (): number =>
  Number(inPod('df', '--block-size=1', '--output=size', '/var/lib/mysql').split('\n').at(-1)) / MEBIBYTE;
function expectSeen(mebibytes: number): void {
  expect(seen()).toBeGreaterThan(mebibytes - LOG - 1);
  expect(seen()).toBeLessThanOrEqual(mebibytes - LOG);
}

/** What must not change while a volume grows: the Pod, its container, and what its StatefulSet was made of. */
const running = (): unknown => {
  const { metadata, status } = JSON.parse(inSpace('get', 'pod', POD, '-o', 'json'));
  const set = JSON.parse(inSpace('get', 'statefulset', 'mysql', '-o', 'json'));
  return {
    pod: metadata.uid,
    restarts: status.containerStatuses[0].restartCount,
    set: [set.metadata.uid, set.metadata.generation],
    template: set.spec.volumeClaimTemplates[0].spec.resources.requests.storage,
    volume: JSON.parse(inSpace('get', 'pvc', CLAIM, '-o', 'json')).spec.volumeName,
  };
};
/** Of the rows that were there from the start. */
const rows = (): string => sql('SELECT COUNT(*) FROM kept; CHECKSUM TABLE kept');

const manifests = (): string => JSON.stringify({ apiVersion: 'v1', kind: 'List', items: disksManifests() });
const apply = (...args: string[]): string =>
  execFileSync(toolPath('kubectl'), ['--kubeconfig', kubeconfigPath(), ...args, '-f', '-'], {
    input: manifests(),
    encoding: 'utf8',
  });

// For nights: its programs take minutes to compile.
describe('a volume that grows', () => {
  let before: unknown;
  let kept: string;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'switchyard-storage-'));
    for (const part of ['catalog', 'stacks'])
      cpSync(join(REPOSITORY, part), join(folder, part), { recursive: true });
    write(SIZES.made);
    const stack = join(folder, 'stacks', `Pulumi.${ENVIRONMENT}.yaml`);
    const text = readFileSync(stack, 'utf8');
    const key = '  switchyard:production:\n';
    expect(text.split(key)).toHaveLength(2);
    writeFileSync(stack, text.replace(key, `${key}    storageClass: ${CLASS}\n`));
    for (const step of [...suitePartSteps('storage'), ...suiteImageSteps('storage')])
      if (!(await step.done?.()) && !(await step.fetch?.(log))) await step.run(log);
    apply('apply', '--server-side', '--force-conflicts');
    kubectl('-n', 'kube-system', 'rollout', 'status', 'deployment/disks', '--timeout=180s');
  }, 1_800_000);

  afterAll(async () => {
    await run(labEnvironment(), ['up', ENVIRONMENT, '--yes']);
    // Who makes disks takes them away, too.
    await until('the end of all disks', 120, async () =>
      kubectl(
        'get',
        'pv',
        '-o',
        `jsonpath={.items[?(@.spec.storageClassName=="${CLASS}")].metadata.name}`,
      ) === ''
        ? true
        : undefined,
    );
    apply('delete', '--ignore-not-found', '--wait');
    rmSync(folder, { recursive: true, force: true });
  }, 600_000);

  test('the driver does what the specification wants of it', () => {
    // Kubernetes' own test of drivers; in the driver's Pod, beside its socket.
    const said = kubectl(
      ...['-n', 'kube-system', 'exec', 'deployment/disks', '-c', 'driver', '--', 'csi-sanity'],
      ...[`-csi.endpoint=${KUBELET}/plugins/${DRIVER}/csi.sock`, '-ginkgo.no-color'],
      ...['-csi.mountdir=/tmp/target', '-csi.stagingdir=/tmp/staging'],
      `-csi.testvolumesize=${SIZES.made * MEBIBYTE}`,
      `-csi.testvolumeexpandsize=${SIZES.grown * MEBIBYTE}`,
    );
    expect(said).toMatch(/SUCCESS! -- 4\d Passed \| 0 Failed/);
  });

  test('a database is made on a disk of the size that the file says', async () => {
    expect(await up()).toMatch(/^up of lab: \d+ create/m);
    expect(sizes()).toEqual(all(SIZES.made));
    expectSeen(SIZES.made);
    sql(`CREATE TABLE kept (id INT PRIMARY KEY, text VARCHAR(64));
      INSERT INTO kept SELECT seq, MD5(seq) FROM seq_1_to_1000`);
    kept = rows();
    expect(kept).toMatch(/^1000\n/);
    before = running();
  });

  test('a larger storage grows it while the database runs, and nothing is lost', async () => {
    write(SIZES.grown);
    const grows = `volume ${SPACE}/${CLAIM} grows from ${SIZES.made}Mi to ${SIZES.grown}Mi`;
    const planned = await run(environment(), ['preview', ENVIRONMENT]);
    expect(planned).toContain(grows);
    expect(sizes()).toEqual(all(SIZES.made));

    expect(await up()).toContain(grows);
    // `up` waited for it.
    expect(sizes()).toEqual(all(SIZES.grown));
    expectSeen(SIZES.grown);
    // Kubernetes forbids changing the template of a StatefulSet: it says what the volume was made as.
    expect(running()).toEqual(before);
    expect(running()).toMatchObject({ template: `${SIZES.made}Mi` });
    expect(rows()).toBe(kept);
  });

  test('more rows than the disk had room for before are written to it', () => {
    sql('CREATE TABLE large (id INT AUTO_INCREMENT PRIMARY KEY, text LONGTEXT)');
    for (let written = 0; written < SIZES.made + 20; written += 23)
      sql('INSERT INTO large (text) SELECT REPEAT(MD5(RAND()), 32768) FROM seq_1_to_23');
    const held = Number(sql('SELECT SUM(LENGTH(text)) FROM large')) / MEBIBYTE;
    expect(held).toBeGreaterThan(SIZES.made);
    expect(rows()).toBe(kept);
  });

  test('a preview after it finds nothing to do', async () => {
    const said = await run(environment(), ['preview', ENVIRONMENT]);
    expect(said).toContain('preview of lab: no change');
    expect(said).not.toContain('grows');
  });

  test('more than the driver has room for ends `up` with what the driver says, the place in the file and the remedy', async () => {
    write(SIZES.refused);
    const said = await up(1);
    expect(said).toContain(
      `${FILE}: services.0.storage: volume ${SPACE}/${CLAIM} has ${SIZES.grown}Mi and did not grow to ${SIZES.refused}Mi: its driver refuses`,
    );
    expect(said).toContain(`no room for ${SIZES.refused} MiB: of ${ROOM_MEBIBYTES} MiB there are`);
    expect(said).toContain(`write a size of more than ${SIZES.grown}Mi that it has room for`);
    expect(sizes()).toMatchObject({ has: `${SIZES.grown}Mi`, volume: `${SIZES.grown}Mi` });
    expect(running()).toEqual(before);
    expect(rows()).toBe(kept);
    // The next ones say so, too, as long as the file does.
    expect(await run(environment(), ['preview', ENVIRONMENT])).toContain(
      `volume ${SPACE}/${CLAIM} grows from ${SIZES.grown}Mi to ${SIZES.refused}Mi`,
    );
  });

  test('the size that it has is refused before anything is done, since Kubernetes takes back no claim so far', async () => {
    write(SIZES.grown);
    expect(await up(2)).toContain(
      `${FILE}: services.0.storage: "${SIZES.grown}Mi" is what its volume has, but its claim asks for`,
    );
  });

  test('a size that the driver has room for takes it back, and it grows to that', async () => {
    write(SIZES.back);
    expect(await up()).toContain(`volume ${SPACE}/${CLAIM} grows from ${SIZES.grown}Mi to ${SIZES.back}Mi`);
    expect(sizes()).toEqual(all(SIZES.back));
    expectSeen(SIZES.back);
    expect(running()).toEqual(before);
    expect(rows()).toBe(kept);
    expect(await run(environment(), ['preview', ENVIRONMENT])).toContain('preview of lab: no change');
  });

  test('a Pod that is made anew finds the whole disk and its rows', async () => {
    inSpace('delete', 'pod', POD);
    inSpace('rollout', 'status', 'statefulset/mysql', '--timeout=180s');
    expectSeen(SIZES.back);
    expect(rows()).toBe(kept);
  });
});
