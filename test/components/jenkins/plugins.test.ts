import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cascYaml } from '../../../components/jenkins/casc';
import { jenkinsResources } from '../../../components/jenkins/resources';
import { root, testModel } from '../../support/model';
import { modelWith } from './support';

const IMAGE = join(root, 'components/jenkins/image');

const pins = readFileSync(join(IMAGE, 'plugins.txt'), 'utf8')
  .split('\n')
  .filter((line) => line !== '' && !line.startsWith('#'));
const ids = pins.map((pin) => pin.slice(0, pin.indexOf(':')));

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
      ...['milestone', 'warnError', 'withEnv', 'writeFile'],
    ].map((step) => [step, 'workflow-aggregator']),
  ),
  container: 'kubernetes',
  podTemplate: 'kubernetes',
  string: 'credentials-binding',
  withCredentials: 'credentials-binding',
  junit: 'junit',
  lock: 'lockable-resources',
  robot: 'robot',
};

test('every plugin is pinned exactly, once, in order', () => {
  for (const pin of pins) expect(pin).toMatch(/^[a-z0-9-]+:[0-9][A-Za-z0-9._-]*$/);
  expect(ids).toEqual([...new Set(ids)].sort());
});

test('every step that the shared library calls has its plugin', () => {
  const own = [...code.matchAll(/^(?:def|void|int|String|boolean|List<String>) ([a-zA-Z]+)\(/gm)].map(
    ([, name]) => name,
  );
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
  const casc = cascYaml(modelWith('metrics: {}'));
  const resources = JSON.stringify(jenkinsResources(testModel()));
  const uses: Readonly<Record<string, boolean>> = {
    'configuration-as-code': resources.includes('CASC_JENKINS_CONFIG'),
    'credentials-binding': library.includes('withCredentials('),
    git: /^ +git:$/m.test(casc),
    'gitlab-plugin': casc.includes('gitLabConnectionConfig:') && casc.includes('gitlab {'),
    'job-dsl': /^jobs:$/m.test(casc),
    junit: library.includes('junit('),
    kubernetes: /- kubernetes:$/m.test(casc),
    'kubernetes-credentials-provider': resources.includes('jenkins.io/credentials-type'),
    'lockable-resources': library.includes('lock('),
    prometheus: casc.includes('prometheusConfiguration:'),
    robot: library.includes('robot('),
    timestamper: casc.includes('timestamper:'),
    'workflow-aggregator': casc.includes('pipelineJob(') && casc.includes('globalLibraries:'),
  };
  expect(Object.keys(uses)).toEqual(ids);
  expect(Object.entries(uses).filter(([, used]) => !used)).toEqual([]);
});

describe('the check that the image’s build runs', () => {
  let folder: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'plugins-'));
    mkdirSync(join(folder, 'plugins'));
  });

  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  /** A plugin file as jenkins-plugin-cli leaves it, with nothing but its manifest. */
  const installed = (id: string, version: string) => {
    const content = join(folder, `${id}-content`);
    mkdirSync(join(content, 'META-INF'), { recursive: true });
    writeFileSync(
      join(content, 'META-INF', 'MANIFEST.MF'),
      `Manifest-Version: 1.0\r\nShort-Name: ${id}\r\nPlugin-Version: ${version}\r\n\r\n`,
    );
    execFileSync('python3', ['-m', 'zipfile', '-c', join(folder, 'plugins', `${id}.jpi`), 'META-INF/'], {
      cwd: content,
    });
  };
  const check = (text: string) => {
    writeFileSync(join(folder, 'plugins.txt'), text);
    const { status, stdout, stderr } = spawnSync(
      'bash',
      [
        join(IMAGE, 'check-plugins.sh'),
        join(folder, 'plugins.txt'),
        join(folder, 'plugins'),
        join(folder, 'closure'),
      ],
      { encoding: 'utf8' },
    );
    return { status, stdout, stderr };
  };

  test('records every plugin with its digest, and shows those that no pin names', () => {
    installed('git', '5.10.1');
    installed('git-client', '6.5.0');
    expect(check('# pins\ngit:5.10.1\n')).toEqual({
      status: 0,
      stdout: 'check-plugins: 2 plugins; not pinned:\n  git-client:6.5.0\n',
      stderr: '',
    });
    expect(readFileSync(join(folder, 'closure'), 'utf8')).toMatch(
      /^git-client:6\.5\.0 sha256:[0-9a-f]{64}\ngit:5\.10\.1 sha256:[0-9a-f]{64}\n$/,
    );
  });

  test('fails by name when a dependency raised a pinned plugin, or a pinned one is missing', () => {
    installed('git', '5.11.0');
    const { status, stderr } = check('git:5.10.1\nrobot:6.2.0 # reports\n');
    expect(status).toBe(1);
    expect(stderr).toBe(
      'check-plugins: git is pinned to 5.10.1, but 5.11.0 was installed\n' +
        'check-plugins: robot is pinned to 6.2.0, but nothing was installed\n',
    );
  });

  test('fails when nothing was installed', () => {
    expect(check('git:5.10.1\n')).toMatchObject({ status: 1 });
  });
});
