import type { Declaration } from '../shared/declaration';
import { buildkit } from './buildkit';
import { controller } from './controller';
import { credentials, deployAccess } from './credentials';
import { withDefaults } from './defaults';
import { existingController } from './existing';
import { jenkinsImages } from './images';
import type { JenkinsSpec } from './jenkins';
import { jenkinsNamespaces } from './namespaces';
import { jenkinsNetwork } from './network';
import { reconcilerResources } from './reconciler';
import { stateResources, topologyPipelineResources } from './topology';

/** Jenkins with all around it, and the pipeline of the topology's own project. */
export function jenkinsDeclarations(given: JenkinsSpec): Declaration[] {
  const spec = withDefaults(given);
  return [
    ...jenkinsNamespaces(spec),
    ...jenkinsNetwork(spec),
    ...jenkinsImages(spec),
    ...buildkit(spec),
    ...credentials(spec),
    ...deployAccess(spec),
    ...stateResources(spec),
    ...(spec.existing ? existingController(spec) : controller(spec)),
    ...reconcilerResources(spec),
    ...topologyPipelineResources(spec),
  ];
}
