import { MIRROR } from '../../../lab/machine/addresses';

const NAMESPACE = 'kube-system';
const NAME = 'metrics-server';
const RBAC = 'rbac.authorization.k8s.io';
const PORT = 10250;

const metadata = { name: NAME, namespace: NAMESPACE, labels: { 'k8s-app': NAME } };
const subjects = [{ kind: 'ServiceAccount', name: NAME, namespace: NAMESPACE }];

/**
 * metrics-server as its own manifests have it (kubernetes-sigs/metrics-server, manifests/base), which the site of a
 * production cluster brings; kubelets prove themselves by the cluster's authority.
 */
export const metricsServerManifests = (): object[] => [
  { apiVersion: 'v1', kind: 'ServiceAccount', metadata },
  {
    apiVersion: `${RBAC}/v1`,
    kind: 'ClusterRole',
    metadata: { name: `system:${NAME}` },
    rules: [
      { apiGroups: [''], resources: ['nodes/metrics'], verbs: ['get'] },
      { apiGroups: [''], resources: ['pods', 'nodes'], verbs: ['get', 'list', 'watch'] },
    ],
  },
  {
    apiVersion: `${RBAC}/v1`,
    kind: 'ClusterRoleBinding',
    metadata: { name: `system:${NAME}` },
    roleRef: { apiGroup: RBAC, kind: 'ClusterRole', name: `system:${NAME}` },
    subjects,
  },
  {
    apiVersion: `${RBAC}/v1`,
    kind: 'ClusterRoleBinding',
    metadata: { name: `${NAME}:system:auth-delegator` },
    roleRef: { apiGroup: RBAC, kind: 'ClusterRole', name: 'system:auth-delegator' },
    subjects,
  },
  {
    apiVersion: `${RBAC}/v1`,
    kind: 'RoleBinding',
    metadata: { name: `${NAME}-auth-reader`, namespace: NAMESPACE },
    roleRef: { apiGroup: RBAC, kind: 'Role', name: 'extension-apiserver-authentication-reader' },
    subjects,
  },
  {
    apiVersion: 'v1',
    kind: 'Service',
    metadata,
    spec: { selector: metadata.labels, ports: [{ port: 443, targetPort: PORT, protocol: 'TCP' }] },
  },
  {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata,
    spec: {
      selector: { matchLabels: metadata.labels },
      template: {
        metadata: { labels: metadata.labels },
        spec: {
          serviceAccountName: NAME,
          containers: [
            {
              name: NAME,
              image: `${MIRROR}/${NAME}:0.9.0`,
              args: [
                '--cert-dir=/tmp',
                `--secure-port=${PORT}`,
                '--kubelet-preferred-address-types=InternalIP',
                '--kubelet-use-node-status-port',
                '--kubelet-certificate-authority=/authority/ca.crt',
                '--metric-resolution=15s',
              ],
              ports: [{ containerPort: PORT }],
              readinessProbe: { httpGet: { path: '/readyz', port: PORT, scheme: 'HTTPS' }, periodSeconds: 5 },
              resources: { requests: { cpu: '25m', memory: '64Mi' }, limits: { memory: '256Mi' } },
              securityContext: {
                allowPrivilegeEscalation: false,
                readOnlyRootFilesystem: true,
                runAsNonRoot: true,
                runAsUser: 65534,
                capabilities: { drop: ['ALL'] },
                seccompProfile: { type: 'RuntimeDefault' },
              },
              volumeMounts: [
                { name: 'tmp', mountPath: '/tmp' },
                { name: 'authority', mountPath: '/authority', readOnly: true },
              ],
            },
          ],
          volumes: [
            { name: 'tmp', emptyDir: {} },
            { name: 'authority', configMap: { name: 'kube-root-ca.crt' } },
          ],
        },
      },
    },
  },
  {
    apiVersion: 'apiregistration.k8s.io/v1',
    kind: 'APIService',
    metadata: { name: 'v1beta1.metrics.k8s.io', labels: metadata.labels },
    spec: {
      group: 'metrics.k8s.io',
      version: 'v1beta1',
      groupPriorityMinimum: 100,
      versionPriority: 100,
      insecureSkipTLSVerify: true,
      service: { name: NAME, namespace: NAMESPACE },
    },
  },
];
