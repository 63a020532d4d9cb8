import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { kubeconfigPath } from '../../../lab/cluster';
import { cacheHome } from '../../../lab/steps';
import { labEnvironment, REPOSITORY, switchyard } from '../../../lab/topology';

jest.setTimeout(900_000);

test("the lab's API server takes every rendered manifest in a dry run", () => {
  const out = mkdtempSync(join(tmpdir(), 'switchyard-rendered-'));
  try {
    const [command, args] = switchyard(['render', 'lab', '--out', out, '--json']);
    const env = { ...process.env, ...labEnvironment(), KUBECONFIG: kubeconfigPath() };
    const { files } = JSON.parse(execFileSync(command, args, { cwd: REPOSITORY, env, encoding: 'utf8' }));
    expect(files).toEqual(expect.arrayContaining(['topology.svg', 'index.html', 'jenkins/casc.yaml']));
    const answer = execFileSync(
      join(cacheHome(), 'bin', 'kubectl'),
      [
        'apply',
        '--dry-run=server',
        '--server-side',
        '--force-conflicts',
        '-R',
        '-f',
        join(out, 'kubernetes'),
      ],
      { env, encoding: 'utf8', maxBuffer: 16 << 20 },
    );
    const taken = answer.trim().split('\n');
    expect(taken.filter((line) => !line.endsWith('serverside-applied (server dry run)'))).toEqual([]);
    expect(taken.length).toBeGreaterThan(100);
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
});
