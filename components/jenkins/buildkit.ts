import { agentVolumes, emptyDir, restrictedContainer, WORKSPACE } from '../../catalog/containers';
import { namespacesOf } from '../../stacks/namespaces';
import type { Declaration } from '../shared/declaration';
import { object } from '../shared/kubernetes';
import { labels } from '../shared/naming';
import { bytes, wholeGibibytes } from '../shared/quantities';
import type { FullSpec } from './defaults';

const USER = 1000;
const SOCKET = 'unix:///run/user/1000/buildkit/buildkitd.sock';
/** BuildKit's own configuration file: how much it keeps, and which registries speak plain http. */
function buildkitToml({ registry, plainRegistries, buildCache }: FullSpec): string {
  const plain = [...(registry.scheme === 'http' ? [registry.address] : []), ...plainRegistries].sort();
  // BuildKit writes its units with a B.
  const cache = `${buildCache}B`;
  return [
    `[worker.oci]\n  gc = true\n  reservedSpace = "${cache}"\n  maxUsedSpace = "${cache}"\n`,
    ...plain.map((address) => `[registry."${address}"]\n  http = true\n  insecure = true\n`),
  ].join('\n');
}

/** What the Pods of builds read; each starts a BuildKit of its own (delivery/image.ts). */
export function buildkit(spec: FullSpec): Declaration[] {
  const { environment } = spec;
  return [
    object(
      'kubernetes:core/v1:ConfigMap',
      'build-config',
      'ci',
      {
        namespace: namespacesOf(spec).build,
        name: 'buildkitd',
        labels: labels({ name: 'buildkitd', component: 'buildkit', environment }),
      },
      { data: { 'buildkitd.toml': buildkitToml(spec) } },
      { dependsOn: ['build-namespace'] },
    ),
  ];
}

/** What BuildKit may fill: its state, and what it writes beside it and into the workspace. */
export const buildDisk = ({ buildCache }: FullSpec): string =>
  wholeGibibytes(bytes(buildCache) + bytes(WORKSPACE) + bytes('2Gi'));

/**
 * The Pod of one image build, with rootless BuildKit in it. A step of the Dockerfile shares BuildKit's processes and
 * network, so all of the Pod is its author's: no Secret is mounted here, no account, nothing that outlives the build.
 * @param jnlp the container of Jenkins' agent
 */
export function buildPod(spec: FullSpec, jnlp: object): object {
  return {
    containers: [
      {
        name: 'buildkitd',
        image: spec.images.buildkit,
        // The build's script starts BuildKit, with what it alone knows.
        command: ['sleep'],
        args: ['infinity'],
        env: [{ name: 'BUILDKIT_HOST', value: SOCKET }],
        // Not `restricted`, each for a reason: seccomp and AppArmor forbid the unshare and mount calls that make the user
        // namespace; `newuidmap` gains its rights on execution, so privilege escalation stays allowed and no capability
        // is dropped from the bounding set; runc writes below the root. It is neither root nor privileged all the same.
        securityContext: {
          runAsNonRoot: true,
          runAsUser: USER,
          runAsGroup: USER,
          seccompProfile: { type: 'Unconfined' },
          appArmorProfile: { type: 'Unconfined' },
        },
        resources: {
          requests: { cpu: '100m', memory: '256Mi', 'ephemeral-storage': '1Gi' },
          limits: { memory: '4Gi', 'ephemeral-storage': buildDisk(spec) },
        },
        volumeMounts: [
          { name: 'config', mountPath: '/config', readOnly: true },
          { name: 'state', mountPath: '/home/user/.local/share/buildkit' },
        ],
      },
      {
        ...jnlp,
        securityContext: {
          ...restrictedContainer,
          runAsUser: USER,
          seccompProfile: { type: 'RuntimeDefault' },
        },
      },
    ],
    volumes: [
      { name: 'config', configMap: { name: 'buildkitd' } },
      emptyDir('state', spec.buildCache),
      ...agentVolumes,
    ],
  };
}
