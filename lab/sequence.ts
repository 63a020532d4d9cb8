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

/** Everything on one machine, in the order in which each part needs the ones before it. */
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
