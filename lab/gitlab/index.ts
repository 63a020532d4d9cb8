import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import { type Daemon, daemonProcess, startDaemon } from '../machine';
import { NODE_IP } from '../machine/addresses';
import { hashFiles, LabError, labHome, type Step } from '../steps';

export { type GitLab, type GitLabOptions, startGitLab } from './server';

export const GITLAB_PORT = 8929;
export const GITLAB_URL = `http://${NODE_IP}:${GITLAB_PORT}`;
export const rootTokenFile = (): string => join(labHome(), 'secrets', 'gitlab-root-token');

/** The administrator's token: made once, kept with mode 0600. */
function ensureRootToken(): string {
  const file = rootTokenFile();
  if (!existsSync(file)) {
    mkdirSync(join(labHome(), 'secrets'), { recursive: true, mode: 0o700 });
    writeFileSync(file, `glpat-${randomBytes(24).toString('base64url')}\n`, { mode: 0o600, flag: 'wx' });
  }
  chmodSync(file, 0o600);
  return file;
}

async function answers(port: number): Promise<boolean> {
  const token = readFileSync(rootTokenFile(), 'utf8').trim();
  const response = await fetch(`http://${NODE_IP}:${port}/api/v4/version`, {
    headers: { 'PRIVATE-TOKEN': token },
    signal: AbortSignal.timeout(2000),
  });
  return response.ok;
}

const home = (): string => join(labHome(), 'gitlab');
const bundle = (): string => join(home(), 'server.js');

/** GitLab as a daemon of the lab, by the bundle that its step made. Whatever port it listens on, its address is the lab's. */
export const gitlabDaemon = (port: number): Daemon => ({
  name: 'gitlab',
  command: process.execPath,
  args: [
    '--disable-warning=ExperimentalWarning',
    bundle(),
    ...['--data', join(home(), 'data')],
    ...['--token-file', ensureRootToken()],
    ...['--host', NODE_IP, '--port', String(port)],
    ...(port === GITLAB_PORT ? [] : ['--external-url', GITLAB_URL]),
    '--allow-local-hooks',
  ],
  network: 'lab',
  config: readFileSync(bundle(), 'utf8'),
  ready: () => answers(port),
});

/** `git merge-tree --write-tree`, which merges without a working copy, came with 2.38. */
export function gitIsNewEnough(version: string): boolean {
  const [, major = '0', minor = '0'] = /(\d+)\.(\d+)/.exec(version) ?? [];
  return Number(major) > 2 || (Number(major) === 2 && Number(minor) >= 38);
}

/** Starts the GitLab stand-in as a daemon on the node's address. */
export function gitlabSteps(): Step[] {
  return [
    {
      name: 'gitlab',
      title: `GitLab stand-in on ${GITLAB_URL}`,
      // git.
      needs: ['packages', 'machine'],
      inputs: () => hashFiles([__dirname], [process.version]),
      done: async () => daemonProcess('gitlab') !== undefined && answers(GITLAB_PORT).catch(() => false),
      run: async (log) => {
        let version = '';
        try {
          version = execFileSync('git', ['--version'], { encoding: 'utf8' });
        } catch {
          // Said below, in the same words as for one that is too old.
        }
        if (!gitIsNewEnough(version)) {
          throw new LabError(
            `GitLab needs git 2.38 or newer, found ${version.trim() || 'none'}`,
            'Run `apt-get install git`',
          );
        }
        mkdirSync(home(), { recursive: true, mode: 0o700 });
        const program = bundle();
        await build({
          entryPoints: [join(__dirname, 'main.ts')],
          bundle: true,
          platform: 'node',
          target: 'node22',
          outfile: program,
          logLevel: 'silent',
        });
        log.line(`bundled ${program}`);
        await startDaemon(gitlabDaemon(GITLAB_PORT));
      },
    },
  ];
}
