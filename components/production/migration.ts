import {
  containerResources,
  diskOf,
  emptyDir,
  MODULE_USER,
  restrictedContainer,
} from '../../catalog/containers';
import type { Module } from '../../catalog/load';
import { serviceOf } from '../../catalog/services';
import { imageFor } from '../../stacks/load';
import { containerText } from '../../text/kubernetes';
import type { Declaration } from '../shared/declaration';
import { namespaceHandle, object, restrictedPod } from '../shared/kubernetes';
import { labels, names, selector } from '../shared/naming';
import { inputRef } from '../shared/references';
import { access, environmentName, moduleVariables } from './access';
import type { ModuleProductionSpec } from './module-production';

// A release's migration is one Job of Kubernetes, before its rollout; docs/decisions/0023 says why it is as it is.

/** Seconds for `migrate` where the module's file does not say. */
const MIGRATE_SECONDS = 600;

/** Component of everything that is a migration's. */
export const MIGRATION = 'migration';

/** Name of the container that migrates. */
export const MIGRATION_CONTAINER = 'migrate';

/** Name of the container before it, which waits for the services. */
export const WAITING_CONTAINER = 'services';

/**
 * Labels of the Pods that migrate a module's data. They are none of the module's own: its Service would send them requests,
 * and its disruption budget and its autoscaler would count them.
 */
export const migrationPods = (module: Pick<Module, 'name'>): Record<string, string> =>
  selector(module.name, MIGRATION);

/** Name of a release's Job: another release has another, and none has two. */
export const migrationName = (module: Pick<Module, 'name'>, commit: string): string =>
  `${module.name}-migrate-${commit.slice(0, 12)}`;

/** Name of its declaration in a module's box. */
export const migrationHandle = (name: string): string => `${name}-migration`;
const lockHandle = (name: string): string => `${name}-migration-lock`;

/** Whether the rollout of a release waits for its migration. */
export const migrates = ({ module, release }: Pick<ModuleProductionSpec, 'module' | 'release'>): boolean =>
  module.production.migrate !== undefined && release?.migrate === true;

/** Seconds of a migration: of its Pod, and of all, until that one has started. */
export function migrationSeconds({ production }: Module, readySeconds: number) {
  const pod = production.migrateSeconds ?? MIGRATE_SECONDS;
  return { pod, whole: pod + readySeconds };
}

const about = ({ environment, module }: ModuleProductionSpec): Record<string, string> =>
  labels({
    name: module.name,
    component: MIGRATION,
    environment,
    module: module.name,
    purpose: 'production',
  });

/**
 * One migration of the module at a time, whoever made its Job and whatever became of that: a quota counts Pods by what they
 * are, until they have ended, and only a migration's have a deadline (`Terminating` of Kubernetes' quota scopes). A second one
 * waits for its Pod.
 */
function lock(name: string, spec: ModuleProductionSpec): Declaration {
  return object(
    'kubernetes:core/v1:ResourceQuota',
    lockHandle(name),
    'production',
    { namespace: spec.namespace, name: 'migration-lock', labels: about(spec) },
    { spec: { scopes: ['Terminating'], hard: { pods: '1' } } },
    { dependsOn: [namespaceHandle(name)] },
  );
}

/** Seconds in which the services of a module must answer its migration. */
const ANSWER_SECONDS = 60;

/**
 * Waits for addresses, given as words host, port, host, port …: until each has taken three connections, a second apart.
 * What a container prints is told to the release's author.
 */
const WAIT = `end=$(($(date +%s) + ${ANSWER_SECONDS}))
while [ "$#" -gt 0 ]; do
  answers=0
  while [ "$answers" -lt 3 ]; do
    if nc -z -w 2 "$1" "$2"; then answers=$((answers + 1)); else answers=0; fi
    if [ "$(date +%s)" -ge "$end" ]; then
      echo "$1:$2 took no connections for ${ANSWER_SECONDS} s, so the migration was not begun" >&2
      exit 1
    fi
    sleep 1
  done
  shift 2
done
`;

/**
 * What a migration's Pod does first. A plug-in of the network lets a new Pod reach others some seconds late, or lets it at
 * first and then cuts it off (kube-router's issue 1652, aws-network-policy-agent's 186); Kubernetes' documentation of network
 * policies, "Pod lifecycle", asks for an init container. A module is started again when it did not get through; a migration
 * is not.
 */
function waiting(spec: ModuleProductionSpec) {
  const { images = {}, module, services = {} } = spec;
  const addresses = module.services.flatMap((use) => [
    access(spec, use, '').host,
    String(use.existing?.port ?? serviceOf(services, use).port),
  ]);
  if (addresses.length === 0) return {};
  return {
    initContainers: [
      {
        name: WAITING_CONTAINER,
        image: imageFor({ images }, 'busybox'),
        command: ['sh', '-c', WAIT, WAITING_CONTAINER, ...addresses],
        // Those of the container after it: the Pod needs no more for this one.
        resources: containerResources(module.resources),
        securityContext: restrictedContainer,
      },
    ],
  };
}

/** What the module's file says of migrations, whether one is wanted now or not. */
export const migrationLock = (name: string, spec: ModuleProductionSpec): Declaration[] =>
  spec.module.production.migrate === undefined ? [] : [lock(name, spec)];

/**
 * The Job of the release's migration: none where its data is as it needs them, or is not brought back to what it was.
 * @param readySeconds seconds without progress after which a rollout has failed
 * @param after what the module's own Pods wait for
 */
export function migration(
  name: string,
  spec: ModuleProductionSpec,
  readySeconds: number,
  after: readonly string[],
): Declaration[] {
  const { module, namespace, priorityClass, release } = spec;
  const { migrate, terminationGraceSeconds } = module.production;
  if (!release || !migrates(spec) || !migrate) return [];
  const common = about(spec);
  const seconds = migrationSeconds(module, readySeconds);
  return [
    object(
      'kubernetes:batch/v1:Job',
      migrationHandle(name),
      'production',
      {
        namespace,
        name: migrationName(module, release.commit),
        labels: common,
        annotations: {
          'switchyard.dev/commit': release.commit,
          // Kubernetes ends it before the provider stops waiting.
          'pulumi.com/timeoutSeconds': String(seconds.whole + 30),
        },
      },
      {
        spec: {
          // Once: whether half a migration may be begun again, a person knows.
          backoffLimit: 0,
          podReplacementPolicy: 'Failed',
          // Where its Pod cannot start, or waits for another's.
          activeDeadlineSeconds: seconds.whole,
          template: {
            metadata: { labels: { ...common, ...migrationPods(module) } },
            spec: {
              restartPolicy: 'Never',
              // Its Pod stays then, with its log, as it does not when the Job's own time is over.
              activeDeadlineSeconds: seconds.pod,
              automountServiceAccountToken: false,
              enableServiceLinks: false,
              imagePullSecrets: [{ name: names.pullSecret }],
              ...(priorityClass ? { priorityClassName: priorityClass } : {}),
              securityContext: restrictedPod(MODULE_USER),
              terminationGracePeriodSeconds: terminationGraceSeconds,
              ...waiting(spec),
              containers: [
                {
                  name: MIGRATION_CONTAINER,
                  image: inputRef('release.image', release.image),
                  command: migrate.map(containerText),
                  env: [...moduleVariables(spec).own],
                  envFrom: [{ configMapRef: { name: environmentName(module) } }],
                  resources: containerResources(module.resources),
                  securityContext: restrictedContainer,
                  volumeMounts: [{ name: 'tmp', mountPath: '/tmp' }],
                },
              ],
              volumes: [emptyDir('tmp', diskOf(module.resources))],
            },
          },
        },
      },
      {
        dependsOn: [...after, lockHandle(name)],
        // It ran: what the module's file says since is the next release's. Kubernetes lets no Job's template be changed, so that
        // the provider would make the Job anew. Of another release it is made anew, for its name, and with all of this.
        ignoreChanges: ['spec'],
      },
    ),
  ];
}
