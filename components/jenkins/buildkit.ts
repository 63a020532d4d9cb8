import { createHash } from 'node:crypto';
import { imageFor } from '../../stacks/load';
import { namespacesOf } from '../../stacks/namespaces';
import type { Model } from '../model';
import type { Declaration } from '../shared/declaration';
import { object } from '../shared/kubernetes';
import { labels, selector } from '../shared/naming';
import { BUILDKIT_PORT } from './names';

const USER = 1000;

/** BuildKit's own configuration file: how much cache it keeps, and which registries speak plain http. */
function buildkitToml(model: Model): string {
  const { registry, images, jenkins } = model.settings;
  const plain = [
    ...(registry.scheme === 'http' ? [registry.address] : []),
    ...(images.mirror && images.mirrorInsecure ? [images.mirror] : []),
  ].sort();
  // BuildKit writes its units with a B.
  const cache = `${jenkins.buildCache}B`;
  return [
    `[worker.oci]\n  gc = true\n  reservedSpace = "${cache}"\n  maxUsedSpace = "${cache}"\n`,
    ...plain.map((address) => `[registry."${address}"]\n  http = true\n  insecure = true\n`),
  ].join('\n');
}

/** Rootless BuildKit in a namespace of its own. Its cache is scratch: a new Pod starts without it. */
export function buildkit(model: Model): Declaration[] {
  const { settings } = model;
  const common = labels({ name: 'buildkitd', component: 'buildkit', environment: settings.environment });
  const match = selector('buildkitd', 'buildkit');
  const within = (name: string) => ({ namespace: namespacesOf(model.settings).build, name, labels: common });
  const toml = buildkitToml(model);
  const probe = { tcpSocket: { port: BUILDKIT_PORT } };
  return [
    object(
      'kubernetes:core/v1:ConfigMap',
      'build-config',
      'ci',
      within('buildkitd'),
      { data: { 'buildkitd.toml': toml } },
      { dependsOn: ['build-namespace'] },
    ),
    object(
      'kubernetes:core/v1:Service',
      'build-service',
      'ci',
      within('buildkitd'),
      {
        spec: {
          selector: match,
          ports: [{ name: 'buildkit', port: BUILDKIT_PORT, targetPort: BUILDKIT_PORT, protocol: 'TCP' }],
        },
      },
      { dependsOn: ['build-deployment'] },
    ),
    object(
      'kubernetes:apps/v1:Deployment',
      'build-deployment',
      'ci',
      within('buildkitd'),
      {
        spec: {
          replicas: 1,
          selector: { matchLabels: match },
          strategy: { type: 'Recreate' },
          template: {
            metadata: {
              labels: { ...common, ...match },
              // BuildKit reads its file at start only.
              annotations: { 'switchyard.dev/config-hash': hash(toml) },
            },
            spec: {
              automountServiceAccountToken: false,
              enableServiceLinks: false,
              containers: [
                {
                  name: 'buildkitd',
                  image: imageFor(settings, 'buildkit'),
                  args: [
                    '--addr',
                    'unix:///run/user/1000/buildkit/buildkitd.sock',
                    '--addr',
                    `tcp://0.0.0.0:${BUILDKIT_PORT}`,
                    '--config',
                    '/config/buildkitd.toml',
                    // A /proc of the builds' own needs an unmasked one from Kubernetes, which only privileged Pods get.
                    '--oci-worker-no-process-sandbox',
                  ],
                  ports: [{ name: 'buildkit', containerPort: BUILDKIT_PORT }],
                  readinessProbe: { ...probe, periodSeconds: 3 },
                  livenessProbe: { ...probe, periodSeconds: 30, failureThreshold: 5 },
                  // Not `restricted`, each for a reason: seccomp and AppArmor forbid the unshare and mount calls that
                  // make the user namespace; `newuidmap` gains its rights on execution, so privilege escalation stays
                  // allowed and no capability is dropped from the bounding set; runc writes below the root. It is
                  // neither root nor privileged all the same.
                  securityContext: {
                    runAsNonRoot: true,
                    runAsUser: USER,
                    runAsGroup: USER,
                    seccompProfile: { type: 'Unconfined' },
                    appArmorProfile: { type: 'Unconfined' },
                  },
                  resources: { requests: { cpu: '100m', memory: '256Mi' }, limits: { memory: '2Gi' } },
                  volumeMounts: [
                    { name: 'config', mountPath: '/config', readOnly: true },
                    { name: 'state', mountPath: '/home/user/.local/share/buildkit' },
                  ],
                },
              ],
              volumes: [
                { name: 'config', configMap: { name: 'buildkitd' } },
                { name: 'state', emptyDir: {} },
              ],
            },
          },
        },
      },
      { dependsOn: ['build-config'] },
    ),
  ];
}

const hash = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 16);
