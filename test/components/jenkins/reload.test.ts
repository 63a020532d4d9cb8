import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root } from '../../support/model';

// The sidecar's program itself, against a Jenkins that only counts: what it asks for, how often, and what it says.

const SCRIPT = join(root, 'components/jenkins/image/reload-casc.sh');
const TOKEN = randomBytes(32).toString('hex');

/** A folder as Kubernetes mounts a ConfigMap: files are links through `..data`, which is swapped as a whole. */
class Mount {
  private version = 0;

  constructor(readonly folder: string) {
    mkdirSync(folder);
  }

  set(files: Record<string, string>): void {
    this.version += 1;
    const data = `..${this.version}`;
    mkdirSync(join(this.folder, data));
    for (const [name, text] of Object.entries(files)) {
      writeFileSync(join(this.folder, data, name), text);
      if (this.version === 1) symlinkSync(join('..data', name), join(this.folder, name));
    }
    symlinkSync(data, join(this.folder, '..next'));
    renameSync(join(this.folder, '..next'), join(this.folder, '..data'));
  }
}

describe('the reload sidecar', () => {
  let folder: string;
  let server: Server;
  let answer: number;
  let body: string;
  /** The answer is not given: whoever asked goes on waiting. */
  let hold: boolean;
  let asked: string[];
  let sidecar: ChildProcess;
  let said: string;
  let casc: Mount;
  let secrets: Mount;

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'reload-'));
    casc = new Mount(join(folder, 'casc'));
    secrets = new Mount(join(folder, 'secrets'));
    casc.set({ 'jenkins.yaml': 'one' });
    secrets.set({ ADMIN_PASSWORD: 'one' });
    answer = 200;
    body = '';
    hold = false;
    asked = [];
    said = '';
    server = createServer((request, response) => {
      asked.push(`${request.method} ${request.url}`);
      if (!hold) response.writeHead(answer).end(body);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  });

  afterEach(async () => {
    sidecar.kill('SIGKILL');
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    rmSync(folder, { recursive: true, force: true });
  });

  const start = () => {
    const { port } = server.address() as AddressInfo;
    sidecar = spawn('bash', [SCRIPT], {
      env: {
        PATH: process.env.PATH,
        JENKINS_ADDRESS: `http://127.0.0.1:${port}`,
        WATCHED: `${casc.folder} ${secrets.folder}`,
        CASC_RELOAD_TOKEN: TOKEN,
        POLL_SECONDS: '0.05',
        RETRY_SECONDS: '0.05',
      },
    });
    sidecar.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
      said += chunk;
    });
  };
  const until = async (holds: () => boolean) => {
    for (let tries = 0; tries < 1200; tries++) {
      if (holds()) return;
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
    throw new Error(`it did not come about; asked ${asked.length} times; said:\n${said}`);
  };
  const lines = () => said.split('\n').filter((line) => line !== '');
  const quiet = () => new Promise((resolve) => setTimeout(resolve, 400));

  test('asks once at its start, once for each change, with the token, and not otherwise', async () => {
    start();
    await until(() => asked.length === 1);
    await quiet();
    expect(asked).toEqual([`POST /reload-configuration-as-code/?casc-reload-token=${TOKEN}`]);
    casc.set({ 'jenkins.yaml': 'two' });
    await until(() => asked.length === 2);
    secrets.set({ ADMIN_PASSWORD: 'two' });
    await until(() => asked.length === 3);
    // The same content in a new version is no change.
    casc.set({ 'jenkins.yaml': 'two' });
    await quiet();
    expect(asked).toHaveLength(3);
    expect(lines()).toHaveLength(3);
    for (const line of lines()) expect(line).toMatch(/Z configuration reloaded$/);
  });

  test('waits for a Jenkins that is still starting, and says so once', async () => {
    answer = 503;
    start();
    await until(() => asked.length > 3);
    answer = 200;
    await until(() => said.includes('configuration reloaded'));
    expect(lines().map((line) => line.replace(/^\S+ /, ''))).toEqual([
      'waiting for Jenkins to answer',
      'configuration reloaded',
    ]);
  });

  test.each([
    [401, 'Jenkins does not know the token'],
    [404, 'Jenkins does not reload by token'],
    [
      500,
      'Jenkins failed at the configuration (HTTP 500), and may have taken a part of it; its log says why',
    ],
  ])(
    'says what is wrong at %d, once, without the token, and takes the next configuration',
    async (status, message) => {
      answer = status;
      start();
      await until(() => asked.length > 2);
      expect(lines()).toHaveLength(1);
      expect(said).toContain(message);
      answer = 200;
      casc.set({ 'jenkins.yaml': 'mended' });
      await until(() => said.includes('configuration reloaded'));
      expect(said).not.toContain(TOKEN);
    },
  );

  // configuration-as-code, TokenReloadAction (#2864): a refused configuration answers 200, with errorJSON as its body.
  const REFUSED = JSON.stringify({
    status: 'error',
    message: 'Failed to reload configuration: jenkins.securityRealm: hunter2 is no password',
  });

  test('sees a refusal that comes with HTTP 200, offers the files again, and repeats no value', async () => {
    body = REFUSED;
    start();
    await until(() => asked.length > 2);
    expect(lines()).toHaveLength(1);
    expect(said).toMatch(
      /Z Jenkins refuses the configuration, and may have taken a part of it; its log says why$/m,
    );
    expect(said).not.toContain('hunter2');
    body = '';
    casc.set({ 'jenkins.yaml': 'mended' });
    await until(() => said.includes('configuration reloaded'));
    expect(said).not.toContain(TOKEN);
  });

  test('loads the former configuration again after a refused one', async () => {
    start();
    await until(() => said.includes('configuration reloaded'));
    body = REFUSED;
    casc.set({ 'jenkins.yaml': 'broken' });
    await until(() => said.includes('refuses'));
    body = '';
    casc.set({ 'jenkins.yaml': 'one' });
    await until(() => lines().length === 3);
    expect(lines()[2]).toMatch(/ configuration reloaded$/);
  });

  test('keeps the token out of the arguments of every process', async () => {
    hold = true;
    start();
    await until(() => asked.length === 1);
    const commands = readdirSync('/proc')
      .filter((name) => /^[0-9]+$/.test(name))
      .flatMap((process) => {
        try {
          return [readFileSync(`/proc/${process}/cmdline`, 'utf8')];
        } catch {
          return []; // It ended meanwhile.
        }
      });
    expect(commands.filter((command) => command.startsWith('curl\0'))).not.toEqual([]);
    expect(commands.filter((command) => command.includes(TOKEN))).toEqual([]);
  });

  test('ends at once when its Pod does', async () => {
    start();
    await until(() => asked.length === 1);
    const ended = new Promise<number | null>((resolve) => sidecar.on('exit', resolve));
    sidecar.kill('SIGTERM');
    expect(await ended).toBe(0);
  });
});
