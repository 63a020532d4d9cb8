import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Work } from '../../../lab/estimate';
import { openLog, type StepLog } from '../../../lab/steps';
import { buildPart, collecting, fetchPart, mended, toolchainSteps, toolPath } from '../../../lab/toolchain';
import { PARTS } from '../../../lab/toolchain/parts';

/** A `go` that says what it was called with, and "compiles" three packages for each program. */
const GO = `#!/bin/sh
[ "$1" = env ] && { echo go1.26.8; exit; }
case "$*" in *' html/template') echo "$*" >>"$CALLS.common"; exit ;; esac
echo "nice $(nice) in $(basename "$PWD"): $*" >>"$CALLS"
echo "$GOGC $GOMEMLIMIT" >>"$CALLS.collecting"
if [ "$1" = list ]; then
  [ -z "$LIST_FAILS" ] || exit 1
  printf 'a/one\\n\\na/two\\n\\na/main\\na/other\\n'
  exit
fi
[ -z "$BUILD_FAILS" ] || { echo '# a/one' >&2; echo 'one.go:1:1: broken' >&2; exit 1; }
printf 'a/one\\na/two\\na/main\\n' >&2
while [ $# -gt 0 ]; do
  [ "$1" = -o ] && echo "built $(basename "$2")" >"$2"
  shift
done
`;

let folder: string;
let work: Work[];
let log: StepLog;
const kept = { ...process.env };

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'switchyard-build-'));
  writeFileSync(join(folder, 'go'), GO, { mode: 0o755 });
  Object.assign(process.env, {
    SWITCHYARD_GO: join(folder, 'go'),
    SWITCHYARD_LAB_HOME: join(folder, 'lab'),
    XDG_CACHE_HOME: folder,
    SWITCHYARD_DOWNLOADS: 'off',
    CALLS: join(folder, 'calls'),
  });
  work = [];
  log = { ...openLog('x'), progress: (now) => work.push(now) };
});
afterEach(() => {
  process.env = { ...kept };
  rmSync(folder, { recursive: true, force: true });
});

const calls = (): string[] => readFileSync(join(folder, 'calls'), 'utf8').trim().split('\n');
function part(name: string) {
  const found = PARTS.find((candidate) => candidate.name === name);
  if (!found) throw new Error(`${name} is a part`);
  return found;
}

test('a part is built in its own folder, and each of its names leads to its program', async () => {
  expect(await fetchPart(part('kubernetes'), log)).toBe(false);
  await buildPart(part('kubernetes'), log);
  for (const name of ['kubernetes', 'kube-apiserver', 'kubelet', 'kubectl']) {
    expect(readFileSync(toolPath(name), 'utf8')).toBe('built kubernetes\n');
  }
  expect(readlinkSync(toolPath('kubelet'))).toMatch(/builds\/kubernetes-[0-9a-f]{16}\/kubernetes$/);
  expect(await fetchPart(part('kubernetes'), log)).toBe(true);
});

test('it is asked for with the same flags as it is built with, at a low priority, the earlier needed the higher', async () => {
  await buildPart(part('kubernetes'), log);
  await buildPart(part('mongo-tools'), log);
  const [list = '', build = ''] = calls();
  const flags = '-trimpath -mod=readonly -gcflags=all=-dwarf=false -ldflags -s -w';
  expect(list).toMatch(new RegExp(`in kubernetes: list -deps -f .* ${flags}`));
  expect(build).toMatch(new RegExp(`in kubernetes: build -v ${flags}`));
  const nice = calls().map((call) => Number(/^nice (\d+)/.exec(call)?.[1]));
  expect(nice[0]).toBeGreaterThan(0);
  expect(nice[2]).toBeGreaterThan(nice[0] ?? 0);
  expect(nice.every((value) => value <= 19)).toBe(true);
});

test.each([
  ['24 GiB and two cores: two builds of two compilers', 24, 2, { GOGC: 'off', GOMEMLIMIT: '1536MiB' }],
  ['64 GiB and sixteen cores: four of sixteen', 64, 16, {}],
  ['8 GiB and two cores', 8, 2, { GOGC: 'off', GOMEMLIMIT: '512MiB' }],
  ['4 GiB and two cores: one build', 4, 2, { GOGC: 'off', GOMEMLIMIT: '512MiB' }],
  ['2 GiB and two cores: as Go does it', 2, 2, {}],
])('compilers collect garbage above what there is of memory for each: %s', (_, gibi, cores, expected) => {
  expect(collecting(gibi * 1024 ** 3, cores)).toEqual(expected);
});

test('that is what they are run with', async () => {
  delete process.env.GOGC;
  delete process.env.GOMEMLIMIT;
  await buildPart(part('coredns'), log);
  const { GOGC = '', GOMEMLIMIT = '' } = collecting();
  const said = new Set(readFileSync(join(folder, 'calls.collecting'), 'utf8').trim().split('\n'));
  expect([...said]).toEqual([`${GOGC} ${GOMEMLIMIT}`.trim()]);
});

test('what all parts are made of is compiled once, before parts that are built side by side', async () => {
  await Promise.all([buildPart(part('coredns'), log), buildPart(part('s3'), log)]);
  expect(readFileSync(join(folder, 'calls.common'), 'utf8')).toBe(
    'build -trimpath -mod=readonly -gcflags=all=-dwarf=false net/http/pprof html/template\n',
  );
});

test('it says how many packages are begun of those that Go has to compile, over all its programs', async () => {
  await buildPart(part('mongo-tools'), log);
  expect(work[0]).toEqual({ done: 0, total: 4, unit: 'packages' });
  expect(work.at(-1)).toEqual({ done: 6, total: 4, unit: 'packages' });
});

test('a Go that cannot say how many still builds', async () => {
  process.env.LIST_FAILS = '1';
  await buildPart(part('coredns'), log);
  expect(work).toEqual([]);
  expect(readFileSync(toolPath('coredns'), 'utf8')).toBe('built coredns\n');
});

test('a build that fails leaves nothing that looks like a program', async () => {
  process.env.BUILD_FAILS = '1';
  await expect(buildPart(part('coredns'), log)).rejects.toThrow(/build -v .*code 1: one\.go:1:1: broken/);
  expect(readdirSync(join(folder, 'switchyard', 'builds'))).toEqual([]);
});

test('a part whose file somebody took away is not done, and comes back', async () => {
  await buildPart(part('coredns'), log);
  const step = toolchainSteps().find(({ name }) => name === 'toolchain-coredns');
  expect(await step?.done?.()).toBe(true);
  rmSync(readlinkSync(toolPath('coredns')));
  writeFileSync(join(dirname(readlinkSync(toolPath('coredns'))), 'left-over'), '');
  expect(await step?.done?.()).toBe(false);
  expect(await fetchPart(part('coredns'), log)).toBe(false);
  await buildPart(part('coredns'), log);
  expect(await step?.done?.()).toBe(true);
});

describe('a mended file', () => {
  const mend = { before: '\tb', put: '\tnew' };

  test('has the lines before the one that is named', () => {
    expect(mended('a\n\tb\nc\n', mend, 'm/f.go')).toBe('a\n\tnew\n\tb\nc\n');
  });
  test.each([
    ['not at all', 'a\nb\n', 0],
    ['twice', '\tb\n\tb\n', 2],
  ])('is refused where that line stands there %s', (_, text, times) => {
    expect(() => mended(text, mend, 'm/f.go')).toThrow(
      `m/f.go: "b" stands there ${times} times, not once. Read it anew.`,
    );
  });
});
