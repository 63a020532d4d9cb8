import { restrictedContainer } from '../../catalog/containers';
import { imageFor } from '../../stacks/load';
import type { Model } from '../model';
import type { Declaration } from '../shared/declaration';
import { fencedNamespace, object, restrictedPod } from '../shared/kubernetes';
import { labels, names, selector } from '../shared/naming';
import { htpasswdRef, secretRef } from '../shared/references';

const PORT = 5000;
const USER = 1000;

/** Distribution with credentials and a volume of its own. */
export function registryResources(model: Model): Declaration[] {
  const { settings } = model;
  if (settings.registry.existing) return [];
  const about = { name: 'registry', component: 'registry', environment: settings.environment };
  const common = labels(about);
  const within = (name: string) => ({ namespace: names.registryNamespace, name, labels: common });
  const after = { dependsOn: ['registry-namespace'] };
  const match = selector('registry', 'registry');
  const probe = { tcpSocket: { port: PORT } };
  return [
    ...fencedNamespace({
      prefix: 'registry',
      namespace: names.registryNamespace,
      provider: 'ci',
      labels: about,
      quota: { pods: 4, cpu: '2', memory: '4Gi', claims: 2 },
      open: [PORT],
    }),
    object(
      'kubernetes:core/v1:Secret',
      'registry-credentials',
      'ci',
      within('registry-credentials'),
      {
        stringData: {
          htpasswd: `${[names.pullUser, names.pushUser].map((user) => htpasswdRef(user, `registry/${user}`)).join('\n')}\n`,
          httpSecret: secretRef('registry/http'),
        },
      },
      after,
    ),
    object(
      'kubernetes:core/v1:PersistentVolumeClaim',
      'registry-storage',
      'ci',
      within('registry-storage'),
      {
        spec: {
          accessModes: ['ReadWriteOnce'],
          resources: { requests: { storage: settings.registry.storage } },
        },
      },
      after,
    ),
    object(
      'kubernetes:core/v1:Service',
      'registry-service',
      'ci',
      within('registry'),
      {
        spec: {
          type: settings.registry.nodePort ? 'NodePort' : 'ClusterIP',
          selector: match,
          ports: [
            {
              name: 'registry',
              port: PORT,
              targetPort: PORT,
              protocol: 'TCP',
              ...(settings.registry.nodePort ? { nodePort: settings.registry.nodePort } : {}),
            },
          ],
        },
      },
      { dependsOn: ['registry-deployment'] },
    ),
    object(
      'kubernetes:apps/v1:Deployment',
      'registry-deployment',
      'ci',
      within('registry'),
      {
        spec: {
          replicas: 1,
          // The volume goes to one node at a time: the old Pod must leave before the new one comes.
          strategy: { type: 'Recreate' },
          selector: { matchLabels: match },
          template: {
            metadata: { labels: { ...common, ...match } },
            spec: {
              automountServiceAccountToken: false,
              enableServiceLinks: false,
              securityContext: restrictedPod(USER),
              containers: [
                {
                  name: 'registry',
                  image: imageFor(settings, 'registry'),
                  env: [
                    { name: 'REGISTRY_AUTH', value: 'htpasswd' },
                    { name: 'REGISTRY_AUTH_HTPASSWD_PATH', value: '/auth/htpasswd' },
                    { name: 'REGISTRY_AUTH_HTPASSWD_REALM', value: 'switchyard' },
                    { name: 'REGISTRY_HTTP_ADDR', value: `:${PORT}` },
                    {
                      name: 'REGISTRY_HTTP_SECRET',
                      valueFrom: { secretKeyRef: { name: 'registry-credentials', key: 'httpSecret' } },
                    },
                    { name: 'REGISTRY_STORAGE_DELETE_ENABLED', value: 'true' },
                    { name: 'REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY', value: '/var/lib/registry' },
                  ],
                  ports: [{ name: 'registry', containerPort: PORT }],
                  readinessProbe: { ...probe, periodSeconds: 5 },
                  livenessProbe: { ...probe, periodSeconds: 20 },
                  resources: { requests: { cpu: '50m', memory: '64Mi' }, limits: { memory: '512Mi' } },
                  securityContext: restrictedContainer,
                  volumeMounts: [
                    { name: 'auth', mountPath: '/auth', readOnly: true },
                    { name: 'storage', mountPath: '/var/lib/registry' },
                    { name: 'tmp', mountPath: '/tmp' },
                  ],
                },
              ],
              volumes: [
                {
                  name: 'auth',
                  secret: {
                    secretName: 'registry-credentials',
                    items: [{ key: 'htpasswd', path: 'htpasswd' }],
                  },
                },
                { name: 'storage', persistentVolumeClaim: { claimName: 'registry-storage' } },
                { name: 'tmp', emptyDir: {} },
              ],
            },
          },
        },
      },
      { dependsOn: ['registry-credentials', 'registry-storage'] },
    ),
  ];
}
