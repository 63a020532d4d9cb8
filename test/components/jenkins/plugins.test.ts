import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cascYaml, jenkinsResources } from '../../support/jenkins';
import { root, testModel } from '../../support/model';
import { modelWith, OAUTH, OIDC } from './support';

const IMAGE = join(root, 'components/jenkins/image');

const pins = readFileSync(join(IMAGE, 'plugins.txt'), 'utf8')
  .split('\n')
  .filter((line) => line !== '' && !line.startsWith('#'));
const ids = pins.map((pin) => pin.slice(0, pin.indexOf(':')));

/** The lock: id to version, SHA-256 and lowest version of each plugin that it needs. */
const lockLines = readFileSync(join(IMAGE, 'plugins.lock'), 'utf8')
  .split('\n')
  .filter((line) => line !== '' && !line.startsWith('#'));
const pair = (pin: string): [string, string] => {
  const at = pin.indexOf(':');
  return [pin.slice(0, at), pin.slice(at + 1)];
};
const lock = new Map(
  lockLines.map((line) => {
    const [pin = '', digest = '', ...needs] = line.replace(' # sha256:', ' ').split(' ');
    const [id, version] = pair(pin);
    return [id, { version, digest, needs: needs.map(pair) }];
  }),
);

/** Whether a version is at least another, by the numbers that both begin with, as Jenkins compares them. */
const atLeast = (version: string, lowest: string) => {
  const numbers = (text: string) =>
    (/^\d+(?:[.-]\d+)*(?![\w])/.exec(text)?.[0] ?? '').split(/[.-]/).map(Number);
  const wanted = numbers(lowest);
  const given = numbers(version);
  for (const [at, number] of wanted.entries()) {
    if ((given[at] ?? 0) !== number) return (given[at] ?? 0) > number;
  }
  return true;
};

const vars = readdirSync(join(root, 'delivery/library/vars')).filter((file) => file.endsWith('.groovy'));
const library = vars
  .map((file) => readFileSync(join(root, 'delivery/library/vars', file), 'utf8'))
  .join('\n')
  .replace(/\/\/.*$/gm, '');
/** Without what stands in quotes. */
const code = library.replace(/"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'/g, "''");

/** Which plugin brings a step (jenkins.io: Pipeline Steps Reference). */
const steps: Readonly<Record<string, string>> = {
  ...Object.fromEntries(
    [
      ...['archiveArtifacts', 'catchError', 'deleteDir', 'dir', 'echo', 'error', 'fileExists', 'node'],
      ...['parallel', 'readFile', 'retry', 'sh', 'sleep', 'stage', 'stash', 'timeout', 'unstable', 'unstash'],
      ...['milestone', 'pwd', 'warnError', 'withEnv', 'writeFile'],
    ].map((step) => [step, 'workflow-aggregator']),
  ),
  container: 'kubernetes',
  podTemplate: 'kubernetes',
  string: 'credentials-binding',
  withCredentials: 'credentials-binding',
  usernamePassword: 'credentials-binding',
  junit: 'junit',
  lock: 'lockable-resources',
  robot: 'robot',
};

test('every plugin is pinned exactly, once, in order', () => {
  for (const pin of pins) expect(pin).toMatch(/^[a-z0-9-]+:[0-9][A-Za-z0-9._-]*$/);
  expect(ids).toEqual([...new Set(ids)].sort());
});

describe('the lock', () => {
  test('has a version and a SHA-256 for each plugin, once, in order', () => {
    const version = '[0-9][A-Za-z0-9._-]*';
    for (const line of lockLines) {
      expect(line).toMatch(
        new RegExp(`^[a-z0-9-]+:${version} # sha256:[0-9a-f]{64}(?: [a-z0-9-]+:${version})*$`),
      );
    }
    const order = lockLines.map((line) => pair(line)[0]);
    expect(order).toEqual([...new Set(order)].sort());
    expect(new Set([...lock.values()].map(({ digest }) => digest)).size).toBe(lock.size);
  });

  test('has every pin in its version', () => {
    expect(pins.filter((pin) => lock.get(pair(pin)[0])?.version !== pair(pin)[1])).toEqual([]);
  });

  test('has everything that its plugins need, in a version that satisfies them', () => {
    expect(atLeast('1511.v2e3cb_0008ef0', '1415.v831096eb_5534')).toBe(true);
    expect(atLeast('7.3.1-256.v788a_0b_787114', '7.3.1-257.v0')).toBe(false);
    expect(atLeast('2.41', '2.38')).toBe(true);
    expect(atLeast('1.30', '1.30.1')).toBe(false);
    const unmet = [...lock].flatMap(([id, { needs }]) =>
      needs
        .filter(([needed, lowest]) => !atLeast(lock.get(needed)?.version ?? '0', lowest))
        .map(([needed, lowest]) => `${id} needs ${needed} ${lowest}`),
    );
    expect(unmet).toEqual([]);
  });

  test('has nothing that no pin leads to', () => {
    const reached = new Set<string>();
    const visit = (id: string) => {
      if (reached.has(id)) return;
      reached.add(id);
      for (const [needed] of lock.get(id)?.needs ?? []) visit(needed);
    };
    ids.forEach(visit);
    expect([...reached].sort()).toEqual([...lock.keys()].sort());
  });
});

test('every step that the shared library calls has its plugin', () => {
  const own = [
    ...code.matchAll(/^(?:def|void|int|boolean|String|(?:List|Map)(?:<[A-Za-z, ]+>)?) ([a-zA-Z]+)\(/gm),
  ].map(([, name]) => name);
  const globals = vars.map((file) => file.replace('.groovy', ''));
  const language = ['if', 'for', 'while', 'switch', 'catch'];
  // A call with a receiver, as in `text.trim()`, is Groovy's own.
  const called = [...code.matchAll(/(?<![.\w])([a-z][A-Za-z]*) ?\(/g)].map(([, name = '']) => name);
  const used = [...new Set(called)]
    .filter((name) => ![...own, ...globals, ...language].includes(name))
    .sort();
  expect(used).toContain('podTemplate');
  for (const step of used) {
    expect({ step, pinned: ids.includes(steps[step] ?? '') }).toEqual({ step, pinned: true });
  }
});

test('every part of the configuration has its plugin, and no plugin is there without a use', () => {
  const casc = ['metrics: {}', OIDC, OAUTH].map((settings) => cascYaml(modelWith(settings))).join('\n');
  const resources = JSON.stringify(jenkinsResources(testModel()));
  const uses: Readonly<Record<string, boolean>> = {
    'configuration-as-code': resources.includes('CASC_JENKINS_CONFIG'),
    'credentials-binding': library.includes('withCredentials('),
    git: /^ +git:$/m.test(casc),
    'gitlab-oauth': /^ +gitLab:$/m.test(casc),
    'gitlab-plugin': casc.includes('gitLabConnectionConfig:') && casc.includes('gitlab {'),
    'job-dsl': /^jobs:$/m.test(casc),
    junit: library.includes('junit('),
    kubernetes: /- kubernetes:$/m.test(casc),
    'kubernetes-credentials-provider': resources.includes('jenkins.io/credentials-type'),
    'lockable-resources': library.includes('lock('),
    'matrix-auth': /^ +globalMatrix:$/m.test(casc),
    'oic-auth': /^ +oic:$/m.test(casc),
    prometheus: casc.includes('prometheusConfiguration:'),
    robot: library.includes('robot('),
    timestamper: casc.includes('timestamper:'),
    'workflow-aggregator': casc.includes('pipelineJob(') && casc.includes('globalLibraries:'),
  };
  expect(Object.keys(uses)).toEqual(ids);
  expect(Object.entries(uses).filter(([, used]) => !used)).toEqual([]);
});

describe('the image’s own scripts', () => {
  let folder: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'plugins-'));
    mkdirSync(join(folder, 'plugins'));
  });

  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  /** A plugin file as jenkins-plugin-cli leaves it, with nothing but its manifest. Gives its SHA-256. */
  const installed = (id: string, version: string, needs = '') => {
    const content = join(folder, `${id}-content`);
    mkdirSync(join(content, 'META-INF'), { recursive: true });
    // Lines of a manifest end at 72 bytes.
    const dependencies = `Plugin-Dependencies: ${needs}`.replace(/(.{70})(?=.)/g, '$1\r\n ');
    writeFileSync(
      join(content, 'META-INF', 'MANIFEST.MF'),
      `Manifest-Version: 1.0\r\n${needs && `${dependencies}\r\n`}Short-Name: ${id}\r\nPlugin-Version: ${version}\r\n\r\n`,
    );
    const file = join(folder, 'plugins', `${id}.jpi`);
    execFileSync('python3', ['-m', 'zipfile', '-c', file, 'META-INF/'], { cwd: content });
    return `sha256:${createHash('sha256').update(readFileSync(file)).digest('hex')}`;
  };
  const run = (script: string, args: readonly string[], environment: Record<string, string> = {}) => {
    const { status, stdout, stderr } = spawnSync('bash', [join(IMAGE, script), ...args], {
      cwd: folder,
      encoding: 'utf8',
      env: { PATH: process.env.PATH, ...environment },
    });
    return { status, stdout, stderr };
  };
  const check = (wanted: string, locked: string, environment?: Record<string, string>) => {
    writeFileSync(join(folder, 'plugins.txt'), wanted);
    writeFileSync(join(folder, 'plugins.lock'), locked);
    return run('check-plugins.sh', ['plugins.txt', 'plugins.lock', 'plugins', 'closure'], environment);
  };
  const REMEDY =
    'check-plugins: a new lock is made as lock-plugins.sh says; read what it changes before you commit it\n';

  test('the check passes an image that is as locked, and records it in the lock’s form', () => {
    const git = installed('git', '5.10.1', 'git-client:6.6.1,matrix-project:8;resolution:=optional');
    const client = installed('git-client', '6.6.1');
    const body = `git:5.10.1 # ${git} git-client:6.6.1\ngit-client:6.6.1 # ${client}\n`;
    expect(check('# pins\ngit:5.10.1\n', `# lock\n${body}`)).toEqual({
      status: 0,
      stdout: 'check-plugins: 2 plugins, as locked\n',
      stderr: '',
    });
    const record = readFileSync(join(folder, 'closure'), 'utf8');
    expect(record.replace(/^#.*\n/gm, '')).toBe(body);
    // What an image records is a lock for the next.
    expect(check('git:5.10.1\n', record)).toMatchObject({ status: 0 });
  });

  test('the check fails by name for a plugin that is missing, of another version, or not in the lock', () => {
    const git = installed('git', '5.11.0');
    installed('token-macro', '477');
    expect(check('git:5.10.1\n', `git:5.10.1 # ${git}\nrobot:6.2.1 # ${git}\n`)).toEqual({
      status: 1,
      stdout: '',
      stderr:
        'check-plugins: git is locked at 5.10.1, but 5.11.0 was installed\n' +
        'check-plugins: robot is locked at 6.2.1, but nothing was installed\n' +
        `check-plugins: token-macro:477 was installed, but the lock does not name it\n${REMEDY}`,
    });
  });

  test('the check fails by name for a pin that the lock does not keep', () => {
    const git = installed('git', '5.10.1');
    expect(check('git:5.11.0\nrobot:6.2.1 # reports\n', `git:5.10.1 # ${git}`)).toMatchObject({
      status: 1,
      stderr:
        'check-plugins: git is pinned to 5.11.0, but the lock has 5.10.1\n' +
        `check-plugins: robot is pinned to 6.2.1, but the lock has none\n${REMEDY}`,
    });
  });

  test('the check fails by name for other content under a version, unless the base image’s plugins are its own', () => {
    const git = installed('git', '5.10.1');
    const other = `sha256:${'0'.repeat(64)}`;
    expect(check('git:5.10.1\n', `git:5.10.1 # ${other}\n`)).toMatchObject({
      status: 1,
      stderr: `check-plugins: git:5.10.1 has ${git}, but the lock says ${other}\n${REMEDY}`,
    });
    // A line without one is not taken for a plugin that need not be compared.
    expect(check('git:5.10.1\n', 'git:5.10.1\n')).toMatchObject({
      status: 1,
      stderr: `check-plugins: git:5.10.1 has ${git}, but the lock says nothing\n${REMEDY}`,
    });
    expect(check('git:5.10.1\n', `git:5.10.1 # ${other}\n`, { PLUGIN_DIGESTS: 'recrod' })).toMatchObject({
      status: 1,
    });
    expect(check('git:5.10.1\n', `git:5.10.1 # ${other}\n`, { PLUGIN_DIGESTS: 'record' })).toEqual({
      status: 0,
      stdout: 'check-plugins: 1 plugins, as locked; SHA-256 recorded, not compared\n',
      stderr: '',
    });
  });

  test('the check fails when nothing was installed, or what cannot be read', () => {
    expect(check('git:5.10.1\n', '')).toMatchObject({
      status: 1,
      stderr: 'lock-plugins: no plugin in plugins\n',
    });
    writeFileSync(join(folder, 'plugins', 'git.jpi'), '<html>502</html>');
    const { status, stdout } = check('git:5.10.1\n', 'git:5.10.1\n');
    expect({ failed: status !== 0, stdout }).toEqual({ failed: true, stdout: '' });
  });

  test('a new lock has what jenkins-plugin-cli downloads for the pins, in order, with what each needs', () => {
    const digests = {
      git: installed(
        'git',
        '5.10.1',
        'workflow-step-api:710.v3e456cc85233,credentials:1511.v2e3cb_0008ef0,junit:1;resolution:=optional,git-client:6.6.1',
      ),
      client: installed('git-client', '6.6.1'),
    };
    writeFileSync(join(folder, 'plugins.txt'), 'git:5.10.1\n');
    mkdirSync(join(folder, 'bin'));
    writeFileSync(
      join(folder, 'bin', 'jenkins-plugin-cli'),
      [
        '#!/bin/sh',
        'echo "Downloading: $*"',
        '[ "$1 $3" = "--plugin-file --plugin-download-directory" ] && [ "$(cat "$2")" = git:5.10.1 ] || exit 2',
        'cp plugins/*.jpi "$4"',
      ].join('\n'),
      { mode: 0o755 },
    );
    const PATH = `${join(folder, 'bin')}:${process.env.PATH}`;
    const { status, stdout, stderr } = run('lock-plugins.sh', ['--download', 'plugins.txt'], { PATH });
    expect({ status, lines: stdout.split('\n').filter((line) => !line.startsWith('#')) }).toEqual({
      status: 0,
      lines: [
        `git:5.10.1 # ${digests.git} credentials:1511.v2e3cb_0008ef0 git-client:6.6.1 workflow-step-api:710.v3e456cc85233`,
        `git-client:6.6.1 # ${digests.client}`,
        '',
      ],
    });
    expect(stderr).toMatch(/^Downloading: --plugin-file plugins\.txt /);
    // The committed lock begins as a printed one.
    const header = (text: string) => text.split('\n').filter((line) => line.startsWith('#'));
    expect(header(readFileSync(join(IMAGE, 'plugins.lock'), 'utf8'))).toEqual(header(stdout));

    writeFileSync(join(folder, 'plugins.txt'), 'git:5.9\n');
    expect(run('lock-plugins.sh', ['--download', 'plugins.txt'], { PATH })).toMatchObject({
      status: 2,
      stdout: '',
    });
  });
});
