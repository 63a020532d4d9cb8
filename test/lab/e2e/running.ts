import { execFileSync } from 'node:child_process';
import { kubeconfigPath } from '../../../lab/cluster';
import { runSteps } from '../../../lab/run';
import { labSteps } from '../../../lab/sequence';
import { lockLab } from '../../../lab/steps';
import { toolPath } from '../../../lab/toolchain';

/** The running lab's cluster, as root asks it. */
export const kubectl = (...args: string[]): string =>
  execFileSync(toolPath('kubectl'), ['--kubeconfig', kubeconfigPath(), ...args], {
    encoding: 'utf8',
    maxBuffer: 64 << 20,
  });

/** Image that production runs of a module, by digest. */
export const servedImage = (module: string): string =>
  kubectl(
    '-n',
    `prod-${module}`,
    'get',
    `deployment/${module}`,
    '-o',
    'jsonpath={.spec.template.spec.containers[0].image}',
  );

/** What `npm run lab` does: goes through all steps to a lab that is whole. */
export async function wholeLab(): Promise<void> {
  const release = lockLab();
  try {
    await runSteps(labSteps());
  } finally {
    release();
  }
}
