import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { root } from '../support/model';

// The recipes of images that are built where there is internet name the versions that this repository works with.

const text = (...path: string[]): string => readFileSync(join(root, ...path), 'utf8');
const versionOf = (...path: string[]): string => (JSON.parse(text(...path)) as { version: string }).version;

test("the agent's recipe has the packages' and the lab's versions", () => {
  const recipe = text('delivery', 'image', 'agent.Dockerfile');
  const given = Object.fromEntries(
    [...recipe.matchAll(/^ARG ([A-Z_]+)=(\S+)$/gm)].map(([, name, version]) => [name, version]),
  );
  const moduleVersion = (name: string, folder: string): string | undefined =>
    new RegExp(`${name} v(\\S+)`).exec(text('lab', 'toolchain', folder, 'go.mod'))?.[1];
  expect(/^FROM node:([\d.]+)-/m.exec(recipe)?.[1]).toBe(versionOf('node_modules', 'node', 'package.json'));
  expect(given).toEqual({
    PULUMI: versionOf('node_modules', '@pulumi', 'pulumi', 'package.json'),
    PULUMI_KUBERNETES: versionOf('node_modules', '@pulumi', 'kubernetes', 'package.json'),
    PULUMI_DOCKER: versionOf('node_modules', '@pulumi', 'docker', 'package.json'),
    PULUMI_GITLAB: versionOf('sdks', 'gitlab', 'package.json'),
    KUBERNETES: moduleVersion('k8s.io/kubernetes', 'kubernetes'),
    BUILDKIT: moduleVersion('github.com/moby/buildkit', 'buildkit'),
  });
});

test('whatever the lab puts into its agent is in the recipe, and no Java', () => {
  const recipe = text('delivery', 'image', 'agent.Dockerfile');
  const lab = text('lab', 'images', 'agent', 'Dockerfile');
  const packages = /apt-get install -y (.+) \\/.exec(lab)?.[1]?.split(' ') ?? [];
  expect(packages).toEqual(expect.arrayContaining(['git', 'restic', 'tini']));
  for (const name of packages) expect(recipe).toMatch(new RegExp(`apt-get install .*\\b${name}\\b`));
  for (const program of ['node', 'kubectl', 'buildctl', 'pulumi']) expect(recipe).toContain(program);
  expect(recipe).not.toMatch(/\bjdk|\bjre|java -/i);
});

test("Robot's recipe has the lab's packages with their hashes, and installs nothing without one", () => {
  const recipe = text('delivery', 'image', 'robot.Dockerfile');
  const locked = text('lab', 'images', 'robot', 'requirements.txt');
  expect(locked.match(/^robot\S+/gm)).toHaveLength(2);
  expect(/<<'EOF' \S+\n(.*?)^EOF$/ms.exec(recipe)?.[1]).toBe(locked);
  for (const [line] of recipe.matchAll(/^RUN pip install.*$/gm)) expect(line).toContain(' --require-hashes ');
});

describe('what the agent’s recipe downloads', () => {
  const ARCHIVE = 'an archive of Pulumi';
  const SHA256 = createHash('sha256').update(ARCHIVE).digest('hex');
  const PLUGINS = ['kubernetes', 'gitlab', 'docker'];
  const SUMS: Readonly<Record<string, string>> = {
    PULUMI_SHA256: SHA256,
    ...Object.fromEntries(PLUGINS.map((name) => [`PULUMI_${name.toUpperCase()}_SHA256`, `sum of ${name}`])),
  };
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'recipe-'));
    for (const name of ['bin', 'tmp', 'unpacked']) mkdirSync(join(folder, name));
    // Pulumi itself checks a plug-in by the sum that it is told.
    const stands: Readonly<Record<string, string>> = {
      curl: `while [ "$1" != -o ]; do shift; done; printf '${ARCHIVE}' > "$2"`,
      tar: 'cp "$2" "$4/pulumi.tar.gz"',
      pulumi:
        '[ "$1 $2 $3 $6" = "plugin install resource --checksum" ] && [ "$7" = "sum of $4" ] || exit 1; into=$PULUMI_HOME/plugins/resource-$4-v$5; mkdir -p "$into"; echo > "$into/pulumi-resource-$4"',
    };
    for (const [name, script] of Object.entries(stands))
      writeFileSync(join(folder, 'bin', name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  /** Runs that step of the recipe with stand-ins of what downloads and unpacks. @returns its code and what it installed */
  const install = (sums: Readonly<Record<string, string>>) => {
    const recipe = text('delivery', 'image', 'agent.Dockerfile');
    const step = /^RUN (set -eu;.*?[^\\])$/ms.exec(recipe)?.[1] ?? '';
    const args = [...recipe.matchAll(/^ARG (\w+)=(\S+)$/gm)].map(([, name, value]) => [name, value]);
    const script = step
      .replaceAll('/tmp/', `${folder}/tmp/`)
      .replaceAll('/usr/local/bin', `${folder}/unpacked`);
    const { status, stderr } = spawnSync('sh', ['-c', script], {
      env: {
        ...Object.fromEntries(args),
        ...sums,
        PATH: `${join(folder, 'bin')}${delimiter}${process.env.PATH}`,
      },
      encoding: 'utf8',
    });
    return { status, stderr, installed: readdirSync(join(folder, 'unpacked')).sort() };
  };

  test('is installed where each has the checksum that was given', () => {
    expect(install(SUMS)).toEqual({
      status: 0,
      stderr: '',
      installed: [...PLUGINS.map((name) => `pulumi-resource-${name}`).sort(), 'pulumi.tar.gz'],
    });
  });

  test.each(Object.keys(SUMS))('is not without %s, which the error names', (name) => {
    const { [name]: _, ...others } = SUMS;
    const { status, stderr, installed } = install(others);
    expect([status === 0, installed]).toEqual([false, []]);
    expect(stderr).toMatch(new RegExp(`${name}.*SHA-256 of pulumi-\\S+\\.tar\\.gz`));
  });

  test.each(Object.keys(SUMS))('ends the build where another has the place of what %s is of', (name) => {
    const { status, installed } = install({ ...SUMS, [name]: '0'.repeat(64) });
    expect(status).not.toBe(0);
    const [, plugin] = /^PULUMI_(\w+)_SHA256$/.exec(name) ?? [];
    expect(installed).not.toContain(plugin ? `pulumi-resource-${plugin.toLowerCase()}` : 'pulumi.tar.gz');
  });
});
