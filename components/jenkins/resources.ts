import type { Model } from '../model';
import type { Declaration } from '../shared/declaration';
import { buildkit } from './buildkit';
import { controller } from './controller';
import { credentials, deployAccess } from './credentials';
import { jenkinsImages } from './images';
import { jenkinsNamespaces } from './namespaces';
import { jenkinsNetwork } from './network';
import { reconcilerResources } from './reconciler';
import { stateResources } from './topology';

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
    ...controller(model),
    ...reconcilerResources(model),
  ];
}
