import { imageContext } from '../../catalog/program';
import type { Declaration } from '../shared/declaration';
import { handle, outputOf } from '../shared/handle';
import { inputRef, type Ref } from '../shared/references';
import type { FullSpec } from './defaults';
import type { JenkinsSpec } from './jenkins';

const deliveryImageHandle = handle('docker:index/image:Image', 'delivery-image');
const controllerImageHandle = handle('docker:index/image:Image', 'jenkins-image');

/** The delivery image of a topology, by its digest. */
export const deliveryImage = outputOf(deliveryImageHandle, 'repoDigest');

/** Image with the commands that pipelines call. */
export const deliveryImageOf = (spec: Pick<JenkinsSpec, 'deliveryImage'>): string | Ref =>
  spec.deliveryImage === undefined ? deliveryImage : inputRef('deliveryImage', spec.deliveryImage);

/** Jenkins with its plugins. */
export const controllerImageOf = (spec: Pick<JenkinsSpec, 'image'>): string | Ref =>
  spec.image === undefined ? outputOf(controllerImageHandle, 'repoDigest') : inputRef('image', spec.image);

/** An image that is built here, by the registry's name. */
function builtImage(
  { registry }: FullSpec,
  name: string,
  repository: string,
  build: { readonly context: string; readonly dockerfile: string; readonly base: string },
): Declaration {
  const address = `${registry.scheme}://${registry.address}`;
  return {
    type: 'docker:index/image:Image',
    name,
    provider: 'docker',
    args: {
      imageName: `${registry.repositories}/${repository}`,
      build: {
        context: build.context,
        dockerfile: build.dockerfile,
        args: { BASE: build.base },
        platform: 'linux/amd64',
      },
      registry: {
        server: address,
        username: registry.push.user,
        password: inputRef('registry.push.password', registry.push.password),
      },
    },
    dependsOn: registry.after ? [registry.after.name] : [],
    // A Service exists a moment before its address answers, and the engine pushes at once when it built from its cache.
    needsAnswer: `${address}/v2/`,
  };
}

/** Jenkins with its plugins, and the agents' image with this repository's own programs. */
export function jenkinsImages(spec: FullSpec): Declaration[] {
  const context = imageContext(spec.topologyProject !== undefined);
  return [
    ...(spec.existing || spec.image !== undefined
      ? []
      : [
          builtImage(spec, controllerImageHandle.name, 'switchyard/jenkins', {
            context: spec.imageContext,
            dockerfile: `${spec.imageContext}/Dockerfile`,
            base: spec.images.jenkins,
          }),
        ]),
    ...(spec.deliveryImage === undefined
      ? [
          builtImage(spec, deliveryImageHandle.name, 'switchyard/delivery', {
            context,
            dockerfile: `${context}/Dockerfile`,
            base: spec.images.agent,
          }),
        ]
      : []),
  ];
}
