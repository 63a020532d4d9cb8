import {
  AGENT_DISK,
  agentMounts,
  agentResources,
  agentVolumes,
  emptyDir,
  restrictedContainer,
  withDisk,
} from '../../catalog/containers';
import type { RepositoryFiles } from '../../stacks/files';
import { namespacesOf } from '../../stacks/namespaces';
import { yamlText } from '../../text/yaml';
import { RELEASE_DISK, RELEASE_SECRET, SCRATCH, sourceVariables } from '../backup/environment';
import { existingProjects, rebasing } from '../gitlab/projects';
import { fileMounts, fileVariables, fileVolumes, programMount, programVolume } from '../shared/files';
import { jenkinsEndpoint } from '../shared/jenkins-endpoint';
import { names } from '../shared/naming';
import { bytes, wholeGibibytes } from '../shared/quantities';
import { type Ref, written } from '../shared/references';
import { buildPod } from './buildkit';
import type { FullSpec } from './defaults';
import { kubeconfigVolume } from './deploy-access';
import { ENDING_SECONDS, waitForSteps } from './ending';
import { kubeconfigSecret, variablesSecret } from './environments';
import { deliveryImageOf } from './images';
import { agentNamespaces, BASES_SECRET, cloudName, queueing, STATE_SECRET, testedHere } from './names';

const AGENT_USER = 1000;
/** The working directory of Jenkins' plugin. */
const AGENT_HOME = '/home/jenkins/agent';

/** Seconds after which Kubernetes ends an agent Pod whatever it does: the longest test is 180 min, three rounds of it. */
const LONGEST_BUILD = 10 * 3600;
/** The pipeline stops an image build after two hours. */
const LONGEST_IMAGE = 2 * 3600 + 600;
/** The pipeline stops a rollout after 40 min; there may be two, of a release and of what was before it. */
const LONGEST_DEPLOY = 2 * 2400 + 600;
const LONGEST_BACKUP = 3600;
/** The pipeline stops a preview after 30 min. */
const LONGEST_PREVIEW = 3600;
/** The pipeline stops applying after an hour; before that its Pod waits for all deploys that are under way. */
const LONGEST_APPLY = 6 * 3600;
const LONGEST_LOOK = 3600;

const scratch = [emptyDir('tmp', '2Gi'), ...agentVolumes];

const agentContainer = (
  name: string,
  image: string | Ref,
  env: readonly object[],
  mounts: readonly object[],
  disk: string = AGENT_DISK,
) => ({
  name,
  image,
  command: ['sleep'],
  args: ['infinity'],
  env: [{ name: 'HOME', value: AGENT_HOME }, ...env],
  // No limit on CPU: a build may take what the node has to spare; its request keeps it from starving others.
  resources: withDisk({ requests: { cpu: '100m', memory: '256Mi' }, limits: { memory: '1Gi' } }, disk),
  securityContext: { ...restrictedContainer, runAsUser: AGENT_USER },
  volumeMounts: [{ name: 'tmp', mountPath: '/tmp' }, ...mounts],
});

/** Of a Pod that changes an environment: it is told when the Pod ends. */
const told = { command: waitForSteps(), args: [] };

interface Images {
  /** With our own commands; what runs in most Pods. */
  readonly delivery: string | Ref;
  /** Jenkins' own agent. */
  readonly inboundAgent: string;
}

/** What connects to Jenkins, and runs nothing of ours. */
const jnlpContainer = ({ inboundAgent }: Images) => ({
  name: 'jnlp',
  image: inboundAgent,
  resources: agentResources,
  securityContext: { ...restrictedContainer, runAsUser: AGENT_USER },
  volumeMounts: agentMounts,
});

const agentPod = (spec: object) =>
  written(
    {
      apiVersion: 'v1',
      kind: 'Pod',
      spec: {
        automountServiceAccountToken: false,
        enableServiceLinks: false,
        imagePullSecrets: [{ name: names.pullSecret }],
        securityContext: {
          runAsNonRoot: true,
          runAsUser: AGENT_USER,
          runAsGroup: AGENT_USER,
          fsGroup: AGENT_USER,
          seccompProfile: { type: 'RuntimeDefault' },
        },
        ...spec,
      },
    },
    (plain) => yamlText(plain, { sortMapEntries: true, aliasDuplicateObjects: false }),
  );

/** Tells `delivery` which project is this repository, and what of it is previewed and applied. */
function topologyEnvironment({ topologyProject }: FullSpec): { name: string; value: string }[] {
  if (!topologyProject) return [];
  return [
    { name: 'SWITCHYARD_TOPOLOGY_PROJECT', value: topologyProject.path },
    {
      name: 'SWITCHYARD_TOPOLOGY_ENVIRONMENTS',
      value: topologyProject.environments.join(','),
    },
  ];
}

/** What one `delivery` command leaves for the next: the agent beside it, which unpacks stashes, does not reach it. */
const STATE = '/state';

/** Where what an image build hands over waits for its end; nor does the agent reach that. */
const HANDED = '/handed';

/** What lies there at most, and what a file system takes for so many files. */
const handedDisk = ({ registry }: FullSpec): string =>
  wholeGibibytes(bytes(registry.builds.each) + bytes('64Mi'));

/** What the container `delivery` may fill. */
export const deliveryDisk = (spec: FullSpec): string =>
  wholeGibibytes(bytes(AGENT_DISK) + bytes(handedDisk(spec)));

/** Where Kubernetes mounts the token of an account by itself. */
const ACCOUNT_FOLDER = '/var/run/secrets/kubernetes.io/serviceaccount';

/** What Kubernetes mounts by itself, for one container alone: the agent beside it has no use for it. */
const accountVolume = {
  name: 'account',
  projected: {
    sources: [
      { serviceAccountToken: { path: 'token', expirationSeconds: 3600 } },
      { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
    ],
  },
};

/** The Pod from which a merge request is taken through its build and tests, judged and merged. */
function deliveryPod(spec: FullSpec, images: Images): string | Ref {
  const { gitlab, registry } = spec;
  const bases = registry.bases !== undefined;
  return agentPod({
    serviceAccountName: names.delivery,
    containers: [
      agentContainer(
        'delivery',
        images.delivery,
        [
          { name: 'GITLAB_URL', value: gitlab.url },
          { name: 'REGISTRY', value: registry.repositories },
          { name: 'REGISTRY_PLAIN_HTTP', value: String(registry.scheme === 'http') },
          ...(bases ? [{ name: 'SWITCHYARD_BASES_LOGIN', value: '/bases/config.json' }] : []),
          { name: 'SWITCHYARD_ENVIRONMENT', value: spec.environment },
          { name: 'SWITCHYARD_GITLAB_GROUP', value: gitlab.group },
          { name: 'SWITCHYARD_IMAGE_DISK', value: spec.buildCache },
          { name: 'SWITCHYARD_POD_IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
          { name: 'SWITCHYARD_STATE', value: STATE },
          { name: 'SWITCHYARD_HANDED', value: HANDED },
          { name: 'SWITCHYARD_BUILD_MOST', value: registry.builds.each },
          { name: 'SWITCHYARD_UNRELEASED_MOST', value: registry.builds.unreleased },
          ...fileVariables,
          ...existingProjects(gitlab),
          ...rebasing(gitlab),
          ...queueing(spec),
          ...topologyEnvironment(spec),
        ],
        [
          ...(bases ? [{ name: 'bases', mountPath: '/bases', readOnly: true }] : []),
          { name: 'state', mountPath: STATE },
          { name: 'handed', mountPath: HANDED },
          { name: 'account', mountPath: ACCOUNT_FOLDER, readOnly: true },
          ...fileMounts,
        ],
        deliveryDisk(spec),
      ),
      jnlpContainer(images),
    ],
    volumes: [
      ...(bases
        ? [
            {
              name: 'bases',
              secret: {
                secretName: BASES_SECRET,
                items: [{ key: '.dockerconfigjson', path: 'config.json' }],
              },
            },
          ]
        : []),
      ...fileVolumes(spec.files),
      emptyDir('state', '64Mi'),
      emptyDir('handed', handedDisk(spec)),
      accountVolume,
      ...scratch,
    ],
  });
}

/**
 * The Pod that runs `up` of one module. The pipeline starts it with that module's account, the only one that may change
 * the module's production; what opens the module's part of the state is bound around the command (delivery/library).
 */
const deployPod = (spec: FullSpec, images: Images): string | Ref =>
  agentPod({
    automountServiceAccountToken: true,
    terminationGracePeriodSeconds: ENDING_SECONDS,
    containers: [
      {
        ...agentContainer(
          'deploy',
          images.delivery,
          [
            { name: 'KUBECONFIG', value: '/kubeconfig/config' },
            // Pulumi asks the password file for its home, and that one is read-only.
            { name: 'PULUMI_HOME', value: '/home/jenkins/agent/.pulumi' },
            { name: 'SWITCHYARD_ENVIRONMENT', value: spec.environment },
            ...fileVariables,
            ...sourceVariables(spec),
          ],
          [{ name: 'kubeconfig', mountPath: '/kubeconfig', readOnly: true }, ...fileMounts, programMount],
        ),
        ...told,
        envFrom: [{ secretRef: { name: 'deploy-environment' } }],
      },
      jnlpContainer(images),
    ],
    volumes: [kubeconfigVolume(spec), ...fileVolumes(spec.files), programVolume, ...scratch],
  });

/** Where the Pod that backs up a release is told how to log in to the registry. */
const PULL_LOGIN = '/docker';

/** The Pod that backs up what was released: of all agents the only one that reaches the backups. */
const backupPod = (spec: FullSpec, images: Images): string | Ref =>
  agentPod({
    containers: [
      {
        ...agentContainer(
          'backup',
          images.delivery,
          [
            ...fileVariables,
            ...sourceVariables(spec),
            ...(spec.releaseBackup?.variables ?? []),
            { name: 'DOCKER_CONFIG', value: PULL_LOGIN },
            { name: 'RESTIC_CACHE_DIR', value: `${SCRATCH}/cache` },
            { name: 'TMPDIR', value: SCRATCH },
          ],
          [
            ...fileMounts,
            { name: 'docker', mountPath: PULL_LOGIN, readOnly: true },
            { name: 'scratch', mountPath: SCRATCH },
          ],
          RELEASE_DISK.all,
        ),
        envFrom: [{ secretRef: { name: RELEASE_SECRET } }],
      },
      jnlpContainer(images),
    ],
    volumes: [
      ...fileVolumes(spec.files),
      {
        name: 'docker',
        secret: {
          secretName: names.pullSecret,
          items: [{ key: '.dockerconfigjson', path: 'config.json' }],
        },
      },
      emptyDir('scratch', RELEASE_DISK.scratch),
      ...scratch,
    ],
  });

const topologyMounts = [{ name: 'kubeconfig', mountPath: '/kubeconfig', readOnly: true }];
const kubeconfigVariable = [{ name: 'KUBECONFIG', value: '/kubeconfig/config' }];
const topologyVariables = [
  ...kubeconfigVariable,
  // Pulumi asks the password file for its home, and that one is read-only.
  { name: 'PULUMI_HOME', value: '/home/jenkins/agent/.pulumi' },
];

/** An account of the ci cluster, or for another environment no account here and a kubeconfig of its clusters. */
const reaching = (account: string, other: string | undefined) =>
  other === undefined
    ? {
        identity: { automountServiceAccountToken: true, serviceAccountName: account },
        kubeconfig: { name: 'kubeconfig', configMap: { name: 'kubeconfig' } },
      }
    : { identity: {}, kubeconfig: { name: 'kubeconfig', secret: { secretName: kubeconfigSecret(other) } } };

interface TopologyPod {
  readonly container: string;
  readonly images: Images;
  readonly account: string;
  /** The environment that it works for, where that is not this one. */
  readonly other?: string;
  /** Secret with its variables. @default it has none */
  readonly secret?: string;
  readonly variables?: readonly object[];
  /** The catalog and the stack files as they were applied. @default none: it works from a checkout */
  readonly files?: RepositoryFiles;
  /** Run the program that was applied, where the image has another. @default false */
  readonly asApplied?: boolean;
  /** Whether it changes the environment, and is told when it ends. @default false */
  readonly changes?: boolean;
}

function topologyPod(pod: TopologyPod): string | Ref {
  const { container, images, account, other, secret, variables = topologyVariables } = pod;
  const { asApplied, changes, files } = pod;
  const { identity, kubeconfig } = reaching(account, other);
  const given = files ? [...variables, ...fileVariables] : variables;
  const mounts = [...topologyMounts, ...(files ? fileMounts : []), ...(asApplied ? [programMount] : [])];
  return agentPod({
    ...identity,
    ...(changes ? { terminationGracePeriodSeconds: ENDING_SECONDS } : {}),
    volumes: [
      kubeconfig,
      ...(files ? fileVolumes(files) : []),
      ...(asApplied ? [programVolume] : []),
      ...scratch,
    ],
    containers: [
      {
        ...agentContainer(container, images.delivery, given, mounts),
        ...(changes ? told : {}),
        ...(secret ? { envFrom: [{ secretRef: { name: secret } }] } : {}),
      },
      jnlpContainer(images),
    ],
  });
}

/** What the containers of a preview share: the one with the engine writes `given`, the one with the program `left`. */
const HANDOVER = '/handover';
const handoverMounts = (writes: 'given' | 'left') =>
  (['given', 'left'] as const).map((name) => ({
    name,
    mountPath: `${HANDOVER}/${name}`,
    readOnly: name !== writes,
  }));

/** An author's program decides what it uses: it gets so much, and no more. */
const previewResources = withDisk(
  { requests: { cpu: '100m', memory: '256Mi' }, limits: { cpu: '2', memory: '2Gi' } },
  AGENT_DISK,
);

/**
 * The Pod that previews a merge request, by this image's engine in one container and its own program in another. The
 * first has a kubeconfig that may only read, and an account that can read no Secret; the second has neither, no network,
 * and none of its folders but one is read by others.
 */
function previewPod(images: Images, other?: string): string | Ref {
  const { kubeconfig } = reaching(names.previewer, other);
  const handover = { name: 'SWITCHYARD_HANDOVER', value: HANDOVER };
  return agentPod({
    ...(other === undefined ? { serviceAccountName: names.previewer } : {}),
    volumes: [
      kubeconfig,
      ...(other === undefined ? [accountVolume] : []),
      emptyDir('given', '1Gi'),
      emptyDir('left', '64Mi'),
      emptyDir('program-home', '256Mi'),
      emptyDir('program-tmp', '256Mi'),
      ...scratch,
    ],
    containers: [
      {
        ...agentContainer(
          'preview',
          images.delivery,
          [...kubeconfigVariable, handover],
          [
            ...topologyMounts,
            ...(other === undefined ? [{ name: 'account', mountPath: ACCOUNT_FOLDER, readOnly: true }] : []),
            ...handoverMounts('given'),
          ],
        ),
        resources: previewResources,
      },
      {
        name: 'program',
        image: images.delivery,
        command: ['confined', 'tini', '--', 'delivery', 'preview-program'],
        env: [{ name: 'HOME', value: AGENT_HOME }, handover],
        resources: previewResources,
        securityContext: { ...restrictedContainer, runAsUser: AGENT_USER },
        volumeMounts: [
          // Jenkins' plugin mounts its workspace there in each container that has nothing there.
          { name: 'program-home', mountPath: AGENT_HOME },
          { name: 'program-tmp', mountPath: '/tmp' },
          ...handoverMounts('left'),
        ],
      },
      jnlpContainer(images),
    ],
  });
}

/** The Pod that looks for drift: an account and a token that may read, and no more. */
const driftPod = (spec: FullSpec, images: Images): string | Ref =>
  topologyPod({
    container: 'drift',
    images,
    account: names.watcher,
    variables: [...kubeconfigVariable, ...sourceVariables(spec)],
    files: spec.files,
    asApplied: true,
    secret: 'drift-environment',
  });

/**
 * The Pod that takes the secrets out of a state, and out of what its preview wrote. It may read nodes, and changes nothing
 * but the state, into which it gathers what deploys did.
 */
const statePod = (spec: FullSpec, images: Images, other?: string): string | Ref =>
  topologyPod({
    container: 'state',
    images,
    account: names.state,
    other,
    variables:
      other === undefined
        ? [
            ...topologyVariables,
            { name: 'SWITCHYARD_ENVIRONMENT', value: spec.environment },
            ...sourceVariables(spec),
          ]
        : undefined,
    files: spec.files,
    asApplied: other === undefined,
    changes: true,
    secret: other === undefined ? STATE_SECRET : variablesSecret(other),
  });

/** The Pod that applies what was merged. It may change everything, as whoever runs `switchyard up` may. */
const applyPod = (images: Images, other?: string): string | Ref =>
  topologyPod({
    container: 'apply',
    images,
    account: names.applier,
    other,
    changes: true,
    secret: other ? variablesSecret(other) : 'apply-environment',
  });

/**
 * How many `delivery` agents there may be, of so many agents in all. A build holds one of them while it waits for a
 * second agent (build, tests, deploy, state, preview, apply), and the plugin's cap counts all agents of the cloud together: were all
 * of them `delivery`, none would ever get its second, and all would stand still for ever. No other kind waits for one, and whoever
 * holds a lock waits for no agent.
 * Half of them leaves one for each that waits.
 * @param maximumAgents at least 2
 */
export const deliveryCap = (maximumAgents: number): number => Math.floor(maximumAgents / 2);

/** The cloud of JCasC: where agent Pods run, what they look like, how many, and who clears up what is left of them. */
export function kubernetesCloud(spec: FullSpec) {
  const images: Images = { delivery: deliveryImageOf(spec), inboundAgent: spec.images.inboundAgent };
  const { maximumAgents, topologyProject } = spec;
  const applies = topologyProject?.apply === 'automatic';
  const template = (name: string, namespace: string, activeDeadlineSeconds: number, yaml: string | Ref) => ({
    // Without one the plugin makes up another at each load, and counts agents that survived it twice or never again.
    id: `${cloudName(spec)}-${name}`,
    name,
    label: name,
    namespace,
    activeDeadlineSeconds,
    nodeUsageMode: 'EXCLUSIVE',
    podRetention: 'never',
    showRawYaml: false,
    slaveConnectTimeout: 300,
    yaml,
    yamlMergeStrategy: 'override',
  });
  const namespaces = namespacesOf(spec);
  return {
    name: cloudName(spec),
    namespace: namespaces.agents,
    jenkinsUrl: jenkinsEndpoint(spec).url,
    webSocket: true,
    containerCapStr: String(maximumAgents),
    restrictedPssSecurityContext: true,
    // Pods whose controller has forgotten them, after a crash of Jenkins say, go after ten minutes.
    garbageCollection: {
      namespaces: [
        ...agentNamespaces(spec),
        ...testedHere(spec).map((module) => namespaces.test(module.name)),
      ].join('\n'),
      timeout: 600,
    },
    templates: [
      {
        ...template('delivery', namespaces.agents, LONGEST_BUILD, deliveryPod(spec, images)),
        instanceCapStr: String(deliveryCap(maximumAgents)),
      },
      template('build', namespaces.build, LONGEST_IMAGE, agentPod(buildPod(spec, jnlpContainer(images)))),
      template('deploy', namespaces.deploy, LONGEST_DEPLOY, deployPod(spec, images)),
      ...(spec.releaseBackup
        ? [template('backup', namespaces.releaseBackup, LONGEST_BACKUP, backupPod(spec, images))]
        : []),
      ...(spec.state ? [template('state', namespaces.deploy, LONGEST_LOOK, statePod(spec, images))] : []),
      ...(topologyProject
        ? [
            template('preview', namespaces.preview, LONGEST_PREVIEW, previewPod(images)),
            template('drift', namespaces.drift, LONGEST_LOOK, driftPod(spec, images)),
          ]
        : []),
      ...(applies ? [template('apply', namespaces.apply, LONGEST_APPLY, applyPod(images))] : []),
      ...(topologyProject?.others ?? []).flatMap(({ environment: other, applyKubeconfig }) => [
        template(`state-${other}`, namespaces.deploy, LONGEST_LOOK, statePod(spec, images, other)),
        template(`preview-${other}`, namespaces.preview, LONGEST_PREVIEW, previewPod(images, other)),
        ...(applies && applyKubeconfig
          ? [template(`apply-${other}`, namespaces.apply, LONGEST_APPLY, applyPod(images, other))]
          : []),
      ]),
    ],
  };
}
