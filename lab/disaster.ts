import '../operations/cli/node';
import './installed';

import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { only } from './graph';
import { endMachine, mountsBelow } from './machine';
import { STATE_BUCKET } from './machine/addresses';
import { runSteps } from './run';
import { labSteps } from './sequence';
import { LabError, labHome, lockLab } from './steps';

/**
 * What burns. What stays is what a company keeps elsewhere: the bucket of backups, the secrets of the person on call, and
 * the machines' programs (images of the mirror, the image builder's cache).
 */
const lost = (): string[] => [
  'etcd',
  'containerd',
  'kubelet',
  'pki',
  'kubeconfig',
  'pv',
  join('gitlab', 'data'),
  join('s3', STATE_BUCKET),
  join('pulumi', 'switchyard', 'states'),
  'bases.json',
];

/** What is there again afterwards, empty. */
const stepsAgain = ['machine', 'storage', 'state-store', 'certificates', 'cluster', 'addons', 'gitlab'];

/** Records of steps whose effects burnt. */
const stepsLost = [
  'certificates',
  'cluster',
  'addons',
  'gitlab',
  'topology',
  'journey',
  'journey-billing',
  'journey-mailer',
];

function remove(path: string): void {
  for (const mount of mountsBelow(readFileSync('/proc/self/mountinfo', 'utf8'), path)) {
    execFileSync('umount', ['--lazy', mount], { stdio: 'ignore' });
  }
  rmSync(path, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  if (existsSync(path)) throw new LabError(`${path} could not be removed`, 'Remove it by hand');
}

/** Ends the cluster with all that it held, GitLab's data and the state; then starts an empty cluster and an empty GitLab. */
export async function disaster(): Promise<void> {
  if (!existsSync(labHome()) || readdirSync(labHome()).length === 0) {
    throw new LabError('there is no lab that could burn', 'Run `npm run lab`');
  }
  await endMachine();
  for (const path of lost()) remove(join(labHome(), path));
  for (const step of stepsLost) rmSync(join(labHome(), 'done', step), { force: true });
  await runSteps(only(labSteps(), stepsAgain));
}

if (require.main === module) {
  const release = lockLab();
  disaster()
    .then(() => {
      process.stdout.write('everything but the backups is gone; an empty cluster and an empty GitLab run\n');
    })
    .catch((error: unknown) => {
      process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
      process.exitCode = 1;
    })
    .finally(release);
}
