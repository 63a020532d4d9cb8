// Facts of GitLab: as python-gitlab takes them, the client that most people script it with.

import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { cacheHome } from '../../../lab/steps';
import { ROOT_TOKEN, startTestGitLab, stopAll } from './support';

const run = promisify(execFile);
const requirements = join(__dirname, 'requirements.txt');

/** A folder with python-gitlab as pinned, made once per content of the requirements and kept in the cache. */
async function pythonPackages(): Promise<string> {
  const hash = createHash('sha256').update(readFileSync(requirements)).digest('hex').slice(0, 16);
  const folder = join(cacheHome(), 'test', `python-gitlab-${hash}`);
  if (existsSync(join(folder, 'complete'))) return folder;
  mkdirSync(dirname(folder), { recursive: true });
  const scratch = mkdtempSync(`${folder}-`);
  try {
    await run('python3', ['-m', 'venv', scratch]);
    const pip = join(scratch, 'bin', 'python3');
    await run(pip, [
      '-m',
      'pip',
      'install',
      '--quiet',
      '--disable-pip-version-check',
      '--target',
      join(scratch, 'packages'),
      '-r',
      requirements,
    ]);
    writeFileSync(join(scratch, 'complete'), '');
    rmSync(folder, { recursive: true, force: true });
    renameSync(scratch, folder);
  } catch (error) {
    rmSync(scratch, { recursive: true, force: true });
    throw new Error(
      `python-gitlab could not be installed; \`apt-get install python3-venv\` may help: ${(error as Error).message}`,
    );
  }
  return folder;
}

afterAll(stopAll);

it('python-gitlab takes a merge request from a new group to main, and is refused where GitLab refuses', async () => {
  const packages = await pythonPackages();
  const gitlab = await startTestGitLab();
  const { stdout } = await run('python3', [join(__dirname, 'contract.py')], {
    env: {
      PATH: process.env.PATH,
      PYTHONPATH: join(packages, 'packages'),
      PYTHONDONTWRITEBYTECODE: '1',
      GITLAB_URL: gitlab.url,
      GITLAB_TOKEN: ROOT_TOKEN,
      EXPIRES: new Date(Date.now() + 30 * 86_400_000).toISOString().slice(0, 10),
    },
  });
  expect(stdout.trim()).toBe('contract held');
}, 600_000);
