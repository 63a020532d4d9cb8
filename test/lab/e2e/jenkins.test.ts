import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cacheHome } from '../../../lab/steps';

const JAR = join(__dirname, '../../../lab/jenkins/target/jenkins.jar');
const PORT = 18197;
const URL_ROOT = `http://127.0.0.1:${PORT}`;

const CASC = `
jenkins:
  securityRealm: { local: { allowsSignup: false, users: [{ id: admin, password: pw }] } }
  authorizationStrategy: { loggedInUsersCanDoAnything: { allowAnonymousRead: false } }
  crumbIssuer: standard
unclassified:
  location: { url: "${URL_ROOT}/" }
jobs:
  - script: |
      folder('switchyard')
      pipelineJob('switchyard/orders') {
        quietPeriod(0)
        triggers { gitlab { secretToken('hook') } }
        definition { cps { script("echo env.gitlabActionType ?: 'by hand'") } }
      }
`;

/** python-jenkins in an environment of its own: a client that we did not write. */
function pythonJenkins(script: string): string {
  const venv = join(cacheHome(), 'test', 'python-jenkins-1.8.3');
  if (!existsSync(join(venv, 'bin', 'python-jenkins.done'))) {
    mkdirSync(venv, { recursive: true });
    execFileSync('python3', ['-m', 'venv', venv]);
    execFileSync(join(venv, 'bin', 'pip'), ['install', '--quiet', 'python-jenkins==1.8.3']);
    writeFileSync(join(venv, 'bin', 'python-jenkins.done'), '');
  }
  return execFileSync(join(venv, 'bin', 'python'), ['-c', script], { encoding: 'utf8' });
}

describe('the Jenkins stand-in over HTTP', () => {
  let folder: string;
  let jenkins: ChildProcess;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'jenkins-'));
    writeFileSync(join(folder, 'casc.yaml'), CASC);
    writeFileSync(
      join(folder, 'plugins.txt'),
      ['configuration-as-code:1', 'job-dsl:1', 'workflow-aggregator:1', 'gitlab-plugin:1'].join('\n'),
    );
    jenkins = spawn('java', ['-jar', JAR, `--httpPort=${PORT}`, '--httpListenAddress=127.0.0.1'], {
      env: {
        PATH: process.env.PATH,
        JENKINS_HOME: join(folder, 'home'),
        CASC_JENKINS_CONFIG: join(folder, 'casc.yaml'),
        SWITCHYARD_PLUGINS: join(folder, 'plugins.txt'),
      },
      stdio: 'ignore',
    });
    for (let tries = 0; tries < 300; tries++) {
      const answer = await fetch(`${URL_ROOT}/login`).catch(() => undefined);
      if (answer?.status === 200) return;
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
    throw new Error('Jenkins did not answer /login within 150 s');
  }, 180_000);

  afterAll(() => {
    jenkins.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  });

  const hook = (token: string, body: object) =>
    fetch(`${URL_ROOT}/project/switchyard/orders`, {
      method: 'POST',
      headers: { 'X-Gitlab-Event': 'Push Hook', 'X-Gitlab-Token': token },
      body: JSON.stringify(body),
    });

  it('refuses a hook with a wrong token and builds on a right one', async () => {
    const push = {
      object_kind: 'push',
      ref: 'refs/heads/main',
      after: '1'.repeat(40),
      project_id: 1,
      user_name: 'Ann',
      project: { namespace: 'n' },
      repository: { name: 'o', git_ssh_url: 'git@g:o.git', git_http_url: 'http://g/o.git' },
      commits: [],
    };
    expect((await hook('wrong', push)).status).toBe(401);
    // The plugin cannot make its cause of less (CauseData).
    expect((await hook('hook', { ...push, user_name: null })).status).toBe(500);
    expect((await hook('hook', push)).status).toBe(200);
  });

  it('keeps anonymous readers out, and unknown paths are 404', async () => {
    expect((await fetch(`${URL_ROOT}/api/json`)).status).toBe(403);
    const headers = { Authorization: `Basic ${Buffer.from('admin:pw').toString('base64')}` };
    expect((await fetch(`${URL_ROOT}/no/such/path`, { headers })).status).toBe(404);
  });

  it('serves python-jenkins: who am I, start a build, follow it, read its log', () => {
    const out = pythonJenkins(`
import jenkins, time
server = jenkins.Jenkins('${URL_ROOT}', username='admin', password='pw')
print(server.get_whoami()['id'])
print(server.get_version())
item = server.build_job('switchyard/orders')
for _ in range(100):
    found = server.get_queue_item(item).get('executable')
    if found and not server.get_build_info('switchyard/orders', found['number'])['building']: break
    time.sleep(0.1)
print(server.get_build_info('switchyard/orders', found['number'])['result'])
print(server.get_build_console_output('switchyard/orders', found['number']))
`);
    expect(out).toMatch(/^admin\n2\.568\.3\nSUCCESS\n/);
    expect(out).toContain('\nby hand\n');
  }, 120_000);
});
