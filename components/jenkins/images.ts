import { imageContext } from '../../catalog/program';
import { imageFor } from '../../stacks/load';
import { repositoryRoot } from '../../stacks/registry';
import type { Model } from '../model';
import { registryHandles } from '../registry/resources';
import type { Declaration } from '../shared/declaration';
import { handle, outputOf } from '../shared/handle';
import { names } from '../shared/naming';
import { secretRef } from '../shared/references';
import { loginPurpose } from '../shared/registry-login';

const deliveryImageHandle = handle('docker:index/image:Image', 'delivery-image');
const controllerImageHandle = handle('docker:index/image:Image', 'jenkins-image');

/** The delivery image, by its digest. */
export const deliveryImage = outputOf(deliveryImageHandle, 'repoDigest');

/** Jenkins with its plugins, by its digest. */
export const controllerImage = outputOf(controllerImageHandle, 'repoDigest');

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
    dependsOn: registry.existing ? [] : [registryHandles('registry').service.name],
    // A Service exists a moment before its address answers, and the engine pushes at once when it built from its cache.
    needsAnswer: `${registry.scheme}://${registry.address}/v2/`,
  };
}

/** Jenkins with its plugins, and the agents' image with this repository's own programs. */
export function jenkinsImages(model: Model): Declaration[] {
  const context = imageContext(model.settings.topologyProject !== undefined);
  return [
    ...(model.settings.jenkins.existing
      ? []
      : [
          builtImage(model, controllerImageHandle.name, 'switchyard/jenkins', {
            context: 'components/jenkins/image',
            dockerfile: 'components/jenkins/image/Dockerfile',
            base: imageFor(model.settings, 'jenkins'),
          }),
        ]),
    builtImage(model, deliveryImageHandle.name, 'switchyard/delivery', {
      context,
      dockerfile: `${context}/Dockerfile`,
      base: imageFor(model.settings, 'agent'),
    }),
  ];
}
