import { imageFor } from '../../stacks/load';
import { API_PORTS } from '../shared/network';
import type { JenkinsCluster, JenkinsModule, JenkinsSpec } from './jenkins';

const clusterOf = ({ context, apiPorts = API_PORTS }: JenkinsCluster) => ({ context, apiPorts });

const moduleOf = (module: JenkinsModule, push: NonNullable<JenkinsModule['push']>) => ({
  ...module,
  description: module.description ?? module.name,
  merge: module.merge ?? 'reviewed',
  push: module.push ?? push,
});

/** A spec with a value for whatever it leaves out: what the functions of this folder take. */
export function withDefaults(spec: JenkinsSpec) {
  const { gitlab, registry, production, topologyProject, images = {} } = spec;
  const cluster = clusterOf(spec.cluster ?? { context: 'cluster' });
  const none = { images: {} };
  return {
    ...spec,
    modules: (spec.modules ?? []).map((module) => moduleOf(module, registry.push)),
    promoted: spec.promoted ?? false,
    gitlab: { ...gitlab, projects: gitlab.projects ?? {}, rebase: gitlab.rebase ?? 'people' },
    registry: {
      ...registry,
      scheme: registry.scheme ?? 'https',
      repositories: registry.repositories ?? registry.address,
      builds: registry.builds ?? { each: '4Gi', unreleased: '16Gi' },
    },
    imageContext: spec.imageContext ?? 'components/jenkins/image',
    images: {
      jenkins: images.jenkins ?? imageFor(none, 'jenkins'),
      agent: images.agent ?? imageFor(none, 'agent'),
      inboundAgent: images.inboundAgent ?? imageFor(none, 'inboundAgent'),
      buildkit: images.buildkit ?? imageFor(none, 'buildkit'),
    },
    plainRegistries: spec.plainRegistries ?? [],
    storage: spec.storage ?? '20Gi',
    onDelete: spec.onDelete ?? 'retain',
    anonymousRead: spec.anonymousRead ?? false,
    evictable: spec.evictable ?? false,
    maximumAgents: spec.maximumAgents ?? 20,
    resources: spec.resources ?? { cpu: '500m', memory: '1Gi', memoryLimit: '2Gi' },
    buildCache: spec.buildCache ?? '20Gi',
    queue: spec.queue ?? { most: 8, start: 4 },
    cluster,
    production: { ...clusterOf(production ?? cluster), server: production?.server },
    network: spec.network ?? {},
    files: spec.files ?? { modules: {}, services: {}, stacks: {} },
    program: spec.program ?? '',
    deployEnvironment: spec.deployEnvironment ?? {},
    parts: spec.parts ?? false,
    topologyProject: topologyProject && {
      ...topologyProject,
      environments: topologyProject.environments ?? [spec.environment],
      others: topologyProject.others ?? [],
      autoscaled: topologyProject.autoscaled ?? false,
      migrated: topologyProject.migrated ?? false,
      applyEnvironment: topologyProject.applyEnvironment ?? {},
    },
    after: spec.after ?? [],
  } satisfies JenkinsSpec;
}

/** {@link JenkinsSpec} with its defaults. */
export type FullSpec = ReturnType<typeof withDefaults>;
