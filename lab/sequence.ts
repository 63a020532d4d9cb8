import { addonSteps, nodeSteps, storageSteps } from './cluster';
import { gitlabSteps } from './gitlab';
import { baseImageSteps } from './images';
import { jenkinsJarStep } from './jenkins';
import { journeySteps } from './journey';
import { machineSteps } from './machine';
import { pluginSteps } from './plugins';
import { repositorySteps } from './repository';
import type { Step } from './steps';
import { toolchainSteps } from './toolchain';
import { topologySteps } from './topology';

/** Everything on one machine. What each step needs is said where it is; the order here says which goes first of those that could. */
export function labSteps(): Step[] {
  return [
    ...toolchainSteps(),
    ...machineSteps(),
    ...storageSteps(),
    ...pluginSteps(),
    jenkinsJarStep(),
    ...baseImageSteps(),
    ...nodeSteps(),
    ...addonSteps(),
    ...gitlabSteps(),
    ...topologySteps(),
    ...journeySteps(),
    ...repositorySteps(),
  ];
}
