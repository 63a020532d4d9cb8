import type { Model } from '../model';
import type { Declaration } from '../shared/declaration';
import { buildkit } from './buildkit';
import { controller } from './controller';
import { credentials, deployAccess } from './credentials';
import { existingController } from './existing';
import { jenkinsImages } from './images';
import { jenkinsNamespaces } from './namespaces';
import { jenkinsNetwork } from './network';
import { reconcilerResources } from './reconciler';
import { stateResources, topologyPipelineResources } from './topology';

/** The box: Jenkins with all around it, and the pipeline of the topology's own project. */
export const jenkinsDeclarations = (model: Model): Declaration[] => [
  ...jenkinsResources(model),
  ...topologyPipelineResources(model),
];

/** Jenkins, its agents' namespaces, and BuildKit beside it. */
export function jenkinsResources(model: Model): Declaration[] {
  return [
    ...jenkinsNamespaces(model),
    ...jenkinsNetwork(model),
    ...jenkinsImages(model),
    ...buildkit(model),
    ...credentials(model),
    ...deployAccess(model),
    ...stateResources(model),
    ...(model.settings.jenkins.existing ? existingController(model) : controller(model)),
    ...reconcilerResources(model),
  ];
}
