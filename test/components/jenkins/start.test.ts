import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root } from '../../support/model';
import { argsOf, modelWith } from './support';

// The image's own start, before a `jenkins.sh` that says what it finds: what the base image lays down into it stays.
describe('what runs is what the image has', () => {
  let folder: string;
  let home: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'start-'));
    home = join(folder, 'home');
    mkdirSync(home);
    writeFileSync(join(folder, 'jenkins.sh'), '#!/bin/sh\necho "$@" $(ls -A "$JENKINS_HOME/plugins" 2>&1)\n');
    chmodSync(join(folder, 'jenkins.sh'), 0o755);
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const start = (...args: string[]): string =>
    execFileSync('bash', [join(root, 'components/jenkins/image/start.sh'), ...args], {
      env: { PATH: `${folder}:${process.env.PATH}`, JENKINS_HOME: home },
      encoding: 'utf8',
    });

  test('plugins that were raised, added or left over are gone before Jenkins starts, and nothing else is', () => {
    mkdirSync(join(home, 'plugins', 'git', 'META-INF'), { recursive: true });
    for (const file of ['git.jpi', 'git.jpi.version_from_image', 'added.jpi', '.hidden'])
      writeFileSync(join(home, 'plugins', file), '');
    writeFileSync(join(home, 'config.xml'), '<hudson/>');
    expect(start('--httpPort=8080')).toBe('--httpPort=8080\n');
    expect(readFileSync(join(home, 'config.xml'), 'utf8')).toBe('<hudson/>');
  });

  test('a home that never had plugins is as good', () => {
    start();
    expect(existsSync(home)).toBe(true);
  });

  test('the home on the volume has none, and a restart from the web page begins with the image’s too', () => {
    const { spec } = argsOf(
      'kubernetes:apps/v1:StatefulSet',
      modelWith(),
      'jenkins-controller',
    ) as unknown as {
      spec: {
        template: {
          spec: { volumes: object[]; containers: { env?: object[]; volumeMounts: object[] }[] };
        };
      };
    };
    const { containers, volumes } = spec.template.spec;
    expect(volumes).toContainEqual({ name: 'plugins', emptyDir: { sizeLimit: '2Gi' } });
    expect(containers[0]?.volumeMounts).toContainEqual({
      name: 'plugins',
      mountPath: '/var/jenkins_home/plugins',
    });
    expect(JSON.stringify(containers[0]?.env)).toContain('-Dhudson.lifecycle=hudson.lifecycle.ExitLifecycle');
    // The image's entry runs, not a command of the Pod's.
    expect(containers[0]).not.toHaveProperty('command');
    expect(readFileSync(join(root, 'components/jenkins/image/Dockerfile'), 'utf8')).toMatch(
      /^ENTRYPOINT \["tini", "--", "bash", "\/opt\/switchyard\/start\.sh"\]$/m,
    );
  });
});
