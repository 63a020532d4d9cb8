import { join } from 'node:path';
import { MIRROR, NODE_NAME } from '../../../lab/machine/addresses';
import { labHome } from '../../../lab/steps';

const NAMESPACE = 'kube-system';
const NAME = 'disks';
const RBAC = 'rbac.authorization.k8s.io';
/** What the driver calls itself (lab/toolchain/csi/main.go). */
export const DRIVER = 'disks.lab.switchyard.dev';
export const KUBELET = '/var/lib/kubelet';

/** StorageClass whose volumes are disks with a size, and grow. */
export const CLASS = 'disks';
/** What all of them together may have, in mebibytes. */
export const ROOM_MEBIBYTES = 1024;

const metadata = { name: NAME, namespace: NAMESPACE, labels: { app: NAME } };
const subjects = [{ kind: 'ServiceAccount', name: NAME, namespace: NAMESPACE }];

/** Rights of one of the two controllers, as its own manifests have them. */
const rights = (name: string, rules: object[]): object[] => [
  { apiVersion: `${RBAC}/v1`, kind: 'ClusterRole', metadata: { name }, rules },
  {
    apiVersion: `${RBAC}/v1`,
    kind: 'ClusterRoleBinding',
    metadata: { name },
    roleRef: { apiGroup: RBAC, kind: 'ClusterRole', name },
    subjects,
  },
];

const LOOKS = ['get', 'list', 'watch'];
const core = (resources: string[], verbs: string[]): object => ({ apiGroups: [''], resources, verbs });
const storage = (resources: string[]): object => ({
  ...{ apiGroups: ['storage.k8s.io'], resources, verbs: LOOKS },
});
const EVENTS = core(['events'], ['list', 'watch', 'create', 'update', 'patch']);

/** A controller beside the driver, which it asks through its socket. */
const controller = (name: string, args: string[]): object => ({
  name,
  image: `${MIRROR}/csi:6.4`,
  command: [`/usr/bin/csi-${name}`],
  args: ['--csi-address=/csi/csi.sock', '--v=2', ...args],
  resources: { requests: { cpu: '10m', memory: '32Mi' }, limits: { memory: '256Mi' } },
  securityContext: {
    // The socket is root's.
    runAsUser: 0,
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ['ALL'] },
    seccompProfile: { type: 'RuntimeDefault' },
  },
  volumeMounts: [{ name: 'socket', mountPath: '/csi' }],
});

const hostPath = (name: string, path: string): object => ({
  ...{ name, hostPath: { path, type: 'DirectoryOrCreate' } },
});

/**
 * A CSI driver with external-provisioner and external-resizer, each with the rights of its own manifests
 * (deploy/kubernetes/rbac.yaml of either), and the class of its volumes.
 */
export const disksManifests = (): object[] => [
  { apiVersion: 'v1', kind: 'ServiceAccount', metadata },
  ...rights('disks-provisioner', [
    core(['persistentvolumes'], [...LOOKS, 'create', 'patch', 'delete']),
    core(['persistentvolumeclaims'], [...LOOKS, 'update']),
    core(['nodes'], LOOKS),
    storage(['storageclasses', 'csinodes', 'volumeattachments']),
    EVENTS,
  ]),
  ...rights('disks-resizer', [
    core(['persistentvolumes'], [...LOOKS, 'patch']),
    core(['persistentvolumeclaims', 'pods'], LOOKS),
    core(['persistentvolumeclaims/status'], ['patch']),
    storage(['volumeattributesclasses']),
    EVENTS,
  ]),
  {
    apiVersion: 'storage.k8s.io/v1',
    kind: 'CSIDriver',
    metadata: { name: DRIVER },
    spec: {
      attachRequired: false,
      podInfoOnMount: false,
      // Pods of databases are not root: what is on a disk gets the group of the Pod.
      fsGroupPolicy: 'File',
      volumeLifecycleModes: ['Persistent'],
    },
  },
  {
    apiVersion: 'storage.k8s.io/v1',
    kind: 'StorageClass',
    metadata: { name: CLASS },
    provisioner: DRIVER,
    volumeBindingMode: 'WaitForFirstConsumer',
    reclaimPolicy: 'Delete',
    allowVolumeExpansion: true,
  },
  {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata,
    spec: {
      replicas: 1,
      // Two of them would take each other's socket away.
      strategy: { type: 'Recreate' },
      selector: { matchLabels: metadata.labels },
      template: {
        metadata: { labels: metadata.labels },
        spec: {
          serviceAccountName: NAME,
          nodeName: NODE_NAME,
          enableServiceLinks: false,
          priorityClassName: 'system-cluster-critical',
          containers: [
            {
              name: 'driver',
              image: `${MIRROR}/csi:6.4`,
              args: [
                `-kubelet=${KUBELET}`,
                `-node=${NODE_NAME}`,
                '-folder=/disks',
                `-room=${ROOM_MEBIBYTES * 2 ** 20}`,
              ],
              resources: { requests: { cpu: '10m', memory: '32Mi' }, limits: { memory: '256Mi' } },
              // Not among the devices, which are the machine's own.
              terminationMessagePath: '/tmp/termination-log',
              // It mounts, for other Pods to see.
              securityContext: { privileged: true, runAsUser: 0 },
              volumeMounts: [
                { name: 'kubelet', mountPath: KUBELET, mountPropagation: 'Bidirectional' },
                { name: 'devices', mountPath: '/dev' },
                { name: 'disks', mountPath: '/disks' },
              ],
            },
            controller('provisioner', ['--default-fstype=xfs']),
            controller('resizer', ['--retry-interval-max=10s']),
          ],
          volumes: [
            hostPath('kubelet', KUBELET),
            hostPath('socket', `${KUBELET}/plugins/${DRIVER}`),
            hostPath('devices', '/dev'),
            hostPath('disks', join(labHome(), 'disks')),
          ],
        },
      },
    },
  },
];
