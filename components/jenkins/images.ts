import { imageContext } from '../../catalog/program';
import { imageFor } from '../../stacks/load';
import { repositoryRoot } from '../../stacks/registry';
import type { Model } from '../model';
import type { Declaration } from '../shared/declaration';
import { loginPurpose } from '../shared/kubernetes';
import { names } from '../shared/naming';
import { secretRef } from '../shared/references';

/** An image that the topology builds itself, by its own registry's name. */
function builtImage(
  model: Model,
  name: string,
  repository: string,
  build: { readonly context: string; readonly dockerfile: string; readonly base: string },
): Declaration {
  const { registry } = model.settings;
  return {
    type: 'docker:index/image:Image',
    name,
    provider: 'docker',
    args: {
      imageName: `${repositoryRoot(model.settings)}/${repository}`,
      build: {
        context: build.context,
        dockerfile: build.dockerfile,
        args: { BASE: build.base },
        platform: 'linux/amd64',
      },
      registry: {
        server: `${registry.scheme}://${registry.address}`,
        username: registry.existing?.push.user ?? names.pushUser,
        password: secretRef(loginPurpose(names.pushUser)),
      },
    },
    dependsOn: registry.existing ? [] : ['registry-service'],
    // A Service exists a moment before its address answers, and the engine pushes at once when it built from its cache.
    needsAnswer: `${registry.scheme}://${registry.address}/v2/`,
  };
}

/** Jenkins with its plugins, and the agents' image with this repository's own programs. */
export function jenkinsImages(model: Model): Declaration[] {
  const context = imageContext(model.settings.topologyProject !== undefined);
  return [
    builtImage(model, 'jenkins-image', 'switchyard/jenkins', {
      context: 'components/jenkins/image',
      dockerfile: 'components/jenkins/image/Dockerfile',
      base: imageFor(model.settings, 'jenkins'),
    }),
    builtImage(model, 'delivery-image', 'switchyard/delivery', {
      context,
      dockerfile: `${context}/Dockerfile`,
      base: imageFor(model.settings, 'agent'),
    }),
  ];
}
