import { basename } from 'node:path';
import {
  asksForPassword,
  PASSWORD_FILE,
  PASSWORD_FOLDER,
  PASSWORD_VARIABLE,
  serviceContainer,
  servicePorts,
} from '../../catalog/containers';
import type { Service, ServiceUse } from '../../catalog/load';
import { serviceOf } from '../../catalog/services';
import { resolveImage } from '../../stacks/load';
import type { Declaration } from '../shared/declaration';
import {
  backedUp,
  DUMP_NOTE,
  LOGIN_NOTE,
  namespaceHandle,
  object,
  restrictedPod,
  retained,
} from '../shared/kubernetes';
import { labels, selector } from '../shared/naming';
import { keptUntilRotated } from '../shared/rotation';
import { access, alternatingUser, credentialsName, passwordRef, servicePurpose } from './access';
import type { ModuleProductionSpec } from './module-production';
import { keepsData } from './retention';

const PASSWORD_VOLUME = 'switchyard-password';

/** Label of the Pods of all services that are made here. */
export const anyService = { 'app.kubernetes.io/component': 'service' } as const;

/** Says beside the workload whether backups hold a dump of it, or why they do not. */
const dumpNote = ({ backup }: Service): Record<string, string> =>
  backup ? { [DUMP_NOTE]: 'dump' in backup ? 'dumped' : `none: ${backup.none}` } : {};

/**
 * A service of one module in production: its password, and, unless it stands already, a StatefulSet of one with a
 * volume of its own. One Pod: replication is each database's own matter, and a backup is not replaced by it.
 */
export function statefulService(prefix: string, spec: ModuleProductionSpec, use: ServiceUse): Declaration[] {
  const { environment, images = {}, module, namespace, priorityClass, services = {}, storageClass } = spec;
  const name = `${prefix}-${use.name}`;
  const common = labels({
    name: use.name,
    component: 'service',
    environment,
    module: module.name,
    purpose: 'production',
  });
  const within = (objectName: string) => ({ namespace, name: objectName, labels: common });
  const alternating = alternatingUser(spec, use);
  const credentials = object(
    'kubernetes:core/v1:Secret',
    `${name}-credentials`,
    'production',
    within(credentialsName(use)),
    {
      stringData: {
        password: passwordRef(module, use),
        ...(alternating?.inUse ? { user: alternating.inUse } : {}),
      },
    },
    {
      dependsOn: [namespaceHandle(prefix)],
      // A database takes another password from nobody but `switchyard rotate`.
      ...(use.existing
        ? {}
        : keptUntilRotated(spec, servicePurpose(module, use), [
            'stringData.password',
            ...(alternating ? ['stringData.user'] : []),
          ])),
    },
  );
  if (use.existing) return [credentials];

  const service = serviceOf(services, use);
  const imageOf = (version: string) =>
    resolveImage({ images }, `${use.kind}:${version}`, service.versions[version]?.image ?? '');
  const match = selector(use.name, 'service');
  const { container, readinessProbe, annotations, dataVolume, volumes } = serviceContainer(
    use,
    service,
    imageOf(use.production?.version ?? use.version),
    access(spec, use, PASSWORD_VARIABLE),
    [
      {
        name: PASSWORD_VARIABLE,
        valueFrom: { secretKeyRef: { name: credentialsName(use), key: 'password' } },
      },
    ],
  );
  const asks = asksForPassword(service);
  const keep = keepsData(spec);
  return [
    credentials,
    object(
      'kubernetes:core/v1:Service',
      `${name}-service`,
      'production',
      within(use.name),
      {
        spec: {
          selector: match,
          ports: servicePorts(service).map(({ name: portName, port }) => ({
            name: portName,
            port,
            targetPort: port,
            protocol: 'TCP',
          })),
        },
      },
      { dependsOn: [`${name}-workload`] },
    ),
    object(
      'kubernetes:apps/v1:StatefulSet',
      `${name}-workload`,
      'production',
      {
        ...within(use.name),
        labels: { ...common, ...backedUp },
        // Beside the workload, so that a difference from what was tested is seen where it matters.
        annotations: {
          'switchyard.dev/tested-image': imageOf(use.version),
          ...(use.production ? { 'switchyard.dev/version-reason': use.production.reason } : {}),
          ...dumpNote(service),
          ...(service.login ? { [LOGIN_NOTE]: service.login.none } : {}),
        },
      },
      {
        spec: {
          replicas: 1,
          serviceName: use.name,
          // Of one Pod there is no order to keep. `OrderedReady` never replaces a Pod that does not get ready, also when the
          // next template would mend it (stateful_set_control.go).
          podManagementPolicy: 'Parallel',
          selector: { matchLabels: match },
          // Scaling to none is how one stops a database to look at it: never a way to lose its volume.
          persistentVolumeClaimRetentionPolicy: {
            whenDeleted: keep ? 'Retain' : 'Delete',
            whenScaled: 'Retain',
          },
          template: {
            metadata: {
              labels: { ...common, ...match, ...backedUp },
              // Velero backs up exactly the volumes that a Pod names.
              annotations: { ...annotations, 'backup.velero.io/backup-volumes': dataVolume },
            },
            spec: {
              automountServiceAccountToken: false,
              enableServiceLinks: false,
              ...(priorityClass ? { priorityClassName: priorityClass } : {}),
              securityContext: restrictedPod(service.runAsUser),
              // Databases write out what they hold when told to stop.
              terminationGracePeriodSeconds: 60,
              containers: [
                {
                  ...container,
                  readinessProbe,
                  volumeMounts: [
                    ...container.volumeMounts,
                    ...(asks ? [{ name: PASSWORD_VOLUME, mountPath: PASSWORD_FOLDER, readOnly: true }] : []),
                  ],
                },
              ],
              // Follows the Secret, which the environment does not.
              volumes: [
                ...volumes,
                ...(asks
                  ? [
                      {
                        name: PASSWORD_VOLUME,
                        secret: {
                          secretName: credentialsName(use),
                          // With the user's name where two take turns.
                          ...(alternating
                            ? {}
                            : { items: [{ key: 'password', path: basename(PASSWORD_FILE) }] }),
                        },
                      },
                    ]
                  : []),
              ],
            },
          },
          // As it was made: Kubernetes forbids any later change. `operations/volumes/growth.ts` lets the volume grow; a new class
          // needs a new volume and a restored backup.
          volumeClaimTemplates: [
            {
              metadata: { name: dataVolume },
              spec: {
                accessModes: ['ReadWriteOnce'],
                ...(storageClass ? { storageClassName: storageClass } : {}),
                resources: { requests: { storage: use.storage } },
              },
            },
          ],
        },
      },
      {
        dependsOn: [`${name}-credentials`],
        ignoreChanges: ['spec.volumeClaimTemplates'],
        ...(keep ? retained : {}),
      },
    ),
    object(
      'kubernetes:policy/v1:PodDisruptionBudget',
      `${name}-disruption`,
      'production',
      within(use.name),
      // A drain may move the only Pod: its volume follows. A budget of none would stop every drain for ever.
      {
        spec: {
          maxUnavailable: 1,
          selector: { matchLabels: match },
          unhealthyPodEvictionPolicy: 'AlwaysAllow',
        },
      },
      { dependsOn: [namespaceHandle(prefix)] },
    ),
  ];
}
