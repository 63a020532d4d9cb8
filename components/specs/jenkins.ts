import { ProblemsError } from '../../catalog/problems';
import { keepsParts } from '../../stacks/backend';
import { backsUpReleases } from '../../stacks/backup';
import { buildWays } from '../../stacks/builds';
import { isOneCluster } from '../../stacks/clusters';
import { imageFor, parseStack, stackFile } from '../../stacks/load';
import { loginVariable } from '../../stacks/login';
import { otherEnvironments } from '../../stacks/other-environments';
import { buildsLogIn, repositoryRoot } from '../../stacks/registry';
import type { StackSettings } from '../../stacks/schema';
import {
  deployVariables,
  neededSecrets,
  PASSPHRASE_VARIABLE,
  secretSources,
  stackVariables,
} from '../../stacks/secrets';
import { scales } from '../autoscaling/scales';
import { tokenHandles } from '../gitlab/access';
import type { JenkinsModule, JenkinsRegistry, JenkinsSpec, JenkinsTopologyProject } from '../jenkins/jenkins';
import type { Model } from '../model';
import { modulePurpose } from '../production/access';
import { registryHandles } from '../registry/resources';
import { handle, outputOf } from '../shared/handle';
import { names } from '../shared/naming';
import { foundRef, givenRef, joinedBy, keyRef, type Ref, secretRef } from '../shared/references';
import { derivedLogin, loginPurpose, registryEndpoint } from '../shared/registry-login';
import { repositoryPorts, repositoryVariables } from './backup';
import { apiPorts, changingPorts, toMetrics, toNeighbours, toRegistry } from './network';

const tokens = tokenHandles('gitlab');

/** A variable of whoever runs `up`, as Pods get it: the seed as this environment's key, which gives no other's secrets. */
const ofPods = (variable: string): Ref => (variable === secretSources.seed ? keyRef('') : givenRef(variable));

const allOf = (
  variables: readonly { readonly variable: string }[],
  reference: (variable: string) => Ref,
): Record<string, Ref> =>
  Object.fromEntries(variables.map(({ variable }) => [variable, reference(variable)]));

/** Whether a variable of deploys is the same for all modules: what opens a state and gives its secrets is not. */
const isOfAll = ({ backend }: StackSettings, variable: string): boolean =>
  variable !== secretSources.seed && !(keepsParts(backend) && variable === PASSPHRASE_VARIABLE);

/** Whoever pushes to the registry by a derived password, or to another's, which knows one user that pushes. */
const pushAs = ({ registry }: StackSettings, user: string) => ({
  user: registry.existing?.push.user ?? user,
  password: secretRef(loginPurpose(registry.existing ? names.pushUser : user)),
});

const registryOf = (settings: StackSettings): JenkinsRegistry => {
  const { registry } = settings;
  return {
    ...registryEndpoint(registry),
    scheme: registry.scheme,
    repositories: repositoryRoot(settings),
    push: pushAs(settings, names.pushUser),
    bases: buildsLogIn(settings) ? derivedLogin(names.basesUser) : undefined,
    builds: registry.builds,
    after: registry.existing ? undefined : registryHandles('registry').service,
  };
};

const modulesOf = ({ modules, settings }: Model): JenkinsModule[] =>
  modules.map(({ name, description, merge }) => ({
    name,
    description,
    merge,
    // Who may push where to another's registry is its owner's matter.
    push: pushAs(settings, names.modulePushUser(name)),
    keys: joinedBy(
      ' ',
      [modulePurpose(name), ...(settings.registry.existing ? [] : [loginPurpose(names.pullUser)])].map(
        (path) => keyRef(path),
      ),
    ),
  }));

/** Settings of the other environments that this one's Pods work for, as far as their files can be read. */
function othersOf({ settings, files }: Model): StackSettings[] {
  return otherEnvironments(settings).flatMap(({ environment }) => {
    const file = stackFile(environment);
    try {
      return [parseStack(files.stacks[file] ?? '', `stacks/${file}`, environment)];
    } catch (error) {
      // What is wrong with it is told where that environment is checked.
      if (error instanceof ProblemsError) return [];
      throw error;
    }
  });
}

function topologyProjectOf(model: Model): JenkinsTopologyProject | undefined {
  const { settings } = model;
  const { topologyProject } = settings;
  if (!topologyProject) return undefined;
  const { path, apply, drift, environments } = topologyProject;
  return {
    path,
    apply,
    drift,
    environments,
    others: otherEnvironments(settings).map(
      ({ environment, variables, previewKubeconfig, applyKubeconfig }) => ({
        environment,
        variables: Object.fromEntries(
          Object.entries(variables).map(([theirs, variable]) => [
            theirs,
            // Its own key: its root seed goes into no Pod, and gives what other environments have.
            theirs === secretSources.seed ? keyRef('', { environment, variable }) : givenRef(variable),
          ]),
        ),
        previewKubeconfig: givenRef(previewKubeconfig),
        applyKubeconfig: applyKubeconfig === undefined ? undefined : givenRef(applyKubeconfig),
      }),
    ),
    autoscaled: scales(model),
    migrated: model.modules.some(({ production }) => production.migrate !== undefined),
    watcherToken: outputOf(tokens.watcher, 'token'),
    applyEnvironment: allOf(neededSecrets(stackVariables(settings)), ofPods),
  };
}

/** Jenkins, ours or one that is there already. */
export function jenkinsSpec(model: Model): JenkinsSpec {
  const { settings } = model;
  const { backend, backup, clusters, environment, gitlab, images, jenkins, testing } = settings;
  const { ci, production } = clusters;
  const all = [settings, ...othersOf(model)];
  const { login, reader } = jenkins;
  return {
    environment,
    namespacePrefix: settings.namespacePrefix,
    url: jenkins.url,
    existing: jenkins.existing,
    modules: modulesOf(model),
    promoted: settings.promotion !== undefined,
    gitlab: {
      url: gitlab.url,
      group: gitlab.group,
      projects: gitlab.projects,
      rebase: gitlab.rebase,
      botToken: outputOf(tokens.bot, 'token'),
      readerToken: outputOf(tokens.reader, 'token'),
    },
    registry: registryOf(settings),
    imageContext: model.jenkinsContext,
    images: {
      jenkins: imageFor(settings, 'jenkins'),
      agent: imageFor(settings, 'agent'),
      inboundAgent: imageFor(settings, 'inboundAgent'),
      buildkit: imageFor(settings, 'buildkit'),
    },
    plainRegistries: images.mirror && images.mirrorInsecure ? [images.mirror] : [],
    nodePort: jenkins.nodePort,
    ingress: jenkins.ingress,
    storage: jenkins.storage,
    storageClass: jenkins.storageClass,
    onDelete: jenkins.onDelete,
    login: login && { ...login, clientSecret: givenRef(loginVariable(login).variable) },
    reader: reader && { user: reader.user, password: givenRef(reader.tokenFrom) },
    anonymousRead: jenkins.anonymousRead,
    evictable: jenkins.evictable,
    metrics: jenkins.metrics,
    maximumAgents: jenkins.maximumAgents,
    resources: jenkins.resources,
    buildCache: jenkins.buildCache,
    queue: { most: testing.parallel, start: gitlab.queue.window },
    cluster: ci,
    production: {
      ...production,
      server: isOneCluster(clusters) ? undefined : (production.server ?? foundRef('server', 'production')),
    },
    network: {
      registry: toRegistry(settings),
      neighbours: toNeighbours(settings),
      metrics: toMetrics(settings),
      changing: all.flatMap(changingPorts),
      previews: all.flatMap(apiPorts),
      builds: buildWays(settings),
    },
    files: model.files,
    program: model.program,
    deployEnvironment: allOf(
      deployVariables(settings).filter(({ variable }) => isOfAll(settings, variable)),
      givenRef,
    ),
    state:
      keepsParts(backend) || settings.topologyProject ? allOf(deployVariables(settings), ofPods) : undefined,
    parts: keepsParts(backend),
    releaseBackup: backsUpReleases(backup)
      ? { variables: repositoryVariables(settings), ports: repositoryPorts(settings) }
      : undefined,
    topologyProject: topologyProjectOf(model),
    after: [handle('gitlab:index/branchProtection:BranchProtection', 'gitlab-library-main')],
    versions: settings.secrets.versions,
  };
}
