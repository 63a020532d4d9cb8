import { entryOf } from '../../catalog/entry';
import type { Module } from '../../catalog/load';
import { isOneCluster } from '../../stacks/clusters';
import { imageFor } from '../../stacks/load';
import { namespacesOf, productionPriority } from '../../stacks/namespaces';
import type { AutoscalingSpec } from '../autoscaling/autoscaling';
import { scales } from '../autoscaling/scales';
import { group } from '../gitlab/projects';
import { deliveryImage } from '../jenkins/images';
import { deliveryAccount } from '../jenkins/names';
import { type Model, testedModules } from '../model';
import type { ModuleProductionSpec } from '../production/module-production';
import type { ProductionSpec } from '../production/production';
import type { ExistingRegistrySpec, RegistrySpec } from '../registry/registry';
import type { RegistryRetentionSpec } from '../registry/registry-retention';
import { registryLogins } from '../registry/resources';
import { jenkinsEndpoint } from '../shared/jenkins-endpoint';
import { names } from '../shared/naming';
import { outside, portOf } from '../shared/network';
import { givenRef } from '../shared/references';
import { registryEndpoint } from '../shared/registry-login';
import type { ModuleTestsSpec } from '../testing/module-tests';
import type { TestingSpec } from '../testing/testing';
import { apiPorts, gitlabPort, registryPort, toNeighbours, toRegistry } from './network';

// What each component of a topology is told. The model ends here: components know nothing of stack files or of each other's
// settings, and whoever uses one alone writes the same arguments by hand.

export { backupSpec } from './backup';
export { gitlabModuleSpec, gitlabSpec } from './gitlab';
export { jenkinsSpec } from './jenkins';

/** The registry, ours or one that is there already. */
export function registrySpec({ settings, modules }: Model): RegistrySpec | ExistingRegistrySpec {
  const { environment, registry, secrets } = settings;
  const { address, scheme, s3 } = registry;
  if (registry.existing) return { environment, address, scheme, existing: registryLogins };
  return {
    environment,
    namespace: namespacesOf(settings).registry,
    address,
    scheme,
    access: registry.access,
    modules: modules.map(({ name }) => name),
    storage: registry.storage,
    storageClass: registry.storageClass,
    s3: s3 && {
      ...s3,
      credentials: s3.credentialsFrom && {
        accessKey: givenRef(s3.credentialsFrom.accessKey),
        secretKey: givenRef(s3.credentialsFrom.secretKey),
      },
    },
    onDelete: registry.onDelete,
    tlsSecret: registry.tlsSecret,
    ingress: registry.ingress,
    nodePort: registry.nodePort,
    // Retention asks GitLab, the registry itself and the API server; the registry keeps its images in a bucket.
    egress: [
      outside(
        ...apiPorts(settings),
        gitlabPort(settings),
        registryPort(settings),
        ...(s3?.endpoint ? [portOf(s3.endpoint)] : []),
      ),
      ...toRegistry(settings),
      ...toNeighbours(settings),
    ],
    image: imageFor(settings, 'registry'),
    proxyImage: imageFor(settings, 'registryProxy'),
    versions: secrets.versions,
  };
}

export function registryRetentionSpec(model: Model): RegistryRetentionSpec {
  const { environment, gitlab, registry } = model.settings;
  return {
    environment,
    registryName: 'registry',
    registry: registrySpec(model),
    gitlab,
    group,
    deliveryImage,
    ...registry.retention,
  };
}

/** What all modules of production share. */
export const productionSpec = ({ settings }: Model): ProductionSpec => ({
  environment: settings.environment,
  priorityClass: productionPriority(settings),
  preempt: settings.production.preempt,
});

/** One module in production. */
export function moduleProductionSpec(model: Model, module: Module): ModuleProductionSpec {
  const { autoscaling, backup, clusters, environment, images, production, secrets } = model.settings;
  const namespaces = namespacesOf(model.settings);
  return {
    environment,
    namespace: namespaces.production(module.name),
    module,
    services: model.catalog.services,
    release: entryOf(model.releases, module.name),
    registry: registryEndpoint(model.settings.registry),
    onDelete: production.onDelete,
    storageClass: production.storageClass,
    readySeconds: production.readySeconds,
    images,
    priorityClass: productionPriority(model.settings),
    deployer: {
      // A production cluster of its own has one account for all (components/jenkins/deploy-access.ts).
      name: isOneCluster(clusters) ? names.deployerOf(module.name) : names.deployer,
      namespace: namespaces.deploy,
    },
    backup: backup && { name: names.backup, namespace: namespaces.backup },
    metrics: autoscaling.existing
      ? { namespace: autoscaling.existing.namespace, existing: true }
      : { namespace: namespaces.autoscaling },
    versions: secrets.versions,
    rotating: model.rotating,
  };
}

/** The namespace of one module's tests. */
export function moduleTestsSpec(model: Model, module: Module): ModuleTestsSpec {
  const { environment, jenkins, secrets, testing } = model.settings;
  const namespaces = namespacesOf(model.settings);
  return {
    environment,
    namespace: namespaces.test(module.name),
    module,
    services: model.catalog.services,
    parallel: testing.parallel,
    registry: registryEndpoint(model.settings.registry),
    jenkins: jenkinsEndpoint({ existing: jenkins.existing, namespacePrefix: model.settings.namespacePrefix }),
    reaper: { name: names.reaper, namespace: namespaces.reaper },
    delivery: deliveryAccount(model.settings),
    versions: secrets.versions,
  };
}

/** What all tests share. */
export function testingSpec(model: Model): TestingSpec {
  const { settings } = model;
  const namespaces = namespacesOf(settings);
  return {
    environment: settings.environment,
    namespace: namespaces.reaper,
    testNamespaces: testedModules(model).map(({ name }) => namespaces.test(name)),
    apiPorts: apiPorts(settings),
    schedule: settings.testing.reaper,
    deliveryImage,
    registry: registryEndpoint(model.settings.registry),
  };
}

/** What autoscalers ask, where a module scales and the cluster does not have it already. */
export function autoscalingSpec(model: Model): AutoscalingSpec | undefined {
  const { settings } = model;
  if (!scales(model) || settings.autoscaling.existing) return undefined;
  const namespaces = namespacesOf(settings);
  return {
    environment: settings.environment,
    namespace: namespaces.autoscaling,
    modules: model.modules
      .filter(({ production }) => production.scaling)
      .map((module) => ({ module, namespace: namespaces.production(module.name) })),
    apiPorts: apiPorts(settings),
    images: settings.images,
    priorityClass: productionPriority(settings),
    versions: settings.secrets.versions,
  };
}
