import type { Facts } from './facts';
import { labelOf, violation } from './facts/item';
import { type ContainerUse, containerPart, containersOf, type PodUse, volumeKinds } from './facts/pods';
import { at, fields, list, number, text, UNKNOWN } from './facts/read';
import type { Violation } from './facts/violation';
import type { Rule } from './rule';

// What Pod Security refuses at each level: https://kubernetes.io/docs/concepts/security/pod-security-standards/, read in
// `policy` of k8s.io/pod-security-admission 0.37 (Kubernetes 1.37). Without what it lets through for a Pod with a user
// namespace of its own (`hostUsers`) since 1.35: an older API server refuses that.

export const ENFORCE = 'pod-security.kubernetes.io/enforce';

/** A namespace that somebody else makes is taken for what ours are. */
const DEFAULT_LEVEL = 'restricted';

/** Capabilities that a container has at most by itself, which it may name. */
const COMMON_CAPABILITIES = [
  ...['AUDIT_WRITE', 'CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'FSETID', 'KILL', 'MKNOD', 'NET_BIND_SERVICE'],
  ...['SETFCAP', 'SETGID', 'SETPCAP', 'SETUID', 'SYS_CHROOT'],
];
const SYSCTLS = [
  'kernel.shm_rmid_forced',
  ...['ip_local_port_range', 'ip_local_reserved_ports', 'ip_unprivileged_port_start', 'ping_group_range'],
  ...['tcp_fin_timeout', 'tcp_keepalive_intvl', 'tcp_keepalive_probes', 'tcp_keepalive_time'],
  ...['tcp_notsent_lowat', 'tcp_rmem', 'tcp_slow_start_after_idle', 'tcp_syncookies', 'tcp_wmem'],
].map((name) => (name.includes('.') ? name : `net.ipv4.${name}`));
const SELINUX_TYPES = ['', 'container_t', 'container_init_t', 'container_kvm_t', 'container_engine_t'];
const PROFILES = ['RuntimeDefault', 'Localhost'];
const VOLUMES = [
  ...['configMap', 'csi', 'downwardAPI', 'emptyDir', 'ephemeral', 'image'],
  ...['persistentVolumeClaim', 'projected', 'secret'],
];
/** How AppArmor was asked for before it had a field. */
const APPARMOR = 'container.apparmor.security.beta.kubernetes.io/';

const CONTEXT = 'securityContext';

/** Whether a value, or what it stands in, is known only once the engine has made the resource: it is taken as sound. */
const isOpen = (value: unknown, ...path: readonly string[]): boolean =>
  Array.from({ length: path.length + 1 }, (_, depth) => at(value, ...path.slice(0, depth))).includes(UNKNOWN);

/** A text that is there and known, but not one of these. */
function otherThan(allowed: readonly string[], value: unknown, ...path: readonly string[]): string[] {
  const found = text(value, ...path);
  return found === undefined || found === UNKNOWN || allowed.includes(found)
    ? []
    : [`${path.join('.')} "${found}"`];
}

const texts = (value: unknown, ...path: readonly string[]): string[] =>
  list(value, ...path).flatMap((entry) => (typeof entry === 'string' && entry !== UNKNOWN ? [entry] : []));

/** What a Pod and a container say alike: a `securityContext`, at `baseline`. */
function contextAtBaseline(holder: unknown): string[] {
  const options = fields(holder, CONTEXT, 'seLinuxOptions');
  return [
    ...otherThan(PROFILES, holder, CONTEXT, 'appArmorProfile', 'type'),
    ...otherThan(PROFILES, holder, CONTEXT, 'seccompProfile', 'type'),
    ...otherThan(SELINUX_TYPES, holder, CONTEXT, 'seLinuxOptions', 'type'),
    ...['user', 'role'].flatMap((key) => (text(options, key) ? [`${CONTEXT}.seLinuxOptions.${key}`] : [])),
    ...(at(holder, CONTEXT, 'windowsOptions', 'hostProcess') === true
      ? [`${CONTEXT}.windowsOptions.hostProcess`]
      : []),
  ];
}

function podAtBaseline({ spec, annotations }: PodUse): string[] {
  return [
    ...['hostNetwork', 'hostPID', 'hostIPC'].filter((key) => at(spec, key) === true),
    ...list(spec, 'volumes').flatMap((volume) =>
      volumeKinds(volume).includes('hostPath') ? [`the hostPath volume "${text(volume, 'name')}"`] : [],
    ),
    ...list(spec, CONTEXT, 'sysctls').flatMap((sysctl) =>
      otherThan(SYSCTLS, sysctl, 'name').map((found) => found.replace(/^name/, 'the sysctl')),
    ),
    ...contextAtBaseline(spec),
    ...Object.entries(annotations).flatMap(([key, value]) =>
      key.startsWith(APPARMOR) && !/^(|runtime\/default|localhost\/.*|«unknown»)$/s.test(String(value))
        ? [`the annotation ${key}`]
        : [],
    ),
  ];
}

function containerAtBaseline(container: unknown): string[] {
  return [
    ...(at(container, CONTEXT, 'privileged') === true ? [`${CONTEXT}.privileged`] : []),
    ...texts(container, CONTEXT, 'capabilities', 'add')
      .filter((name) => !COMMON_CAPABILITIES.includes(name))
      .map((name) => `the capability ${name}`),
    ...otherThan(['Default'], container, CONTEXT, 'procMount'),
    ...list(container, 'ports').flatMap((port) =>
      (number(port, 'hostPort') ?? 0) === 0 ? [] : [`the hostPort ${number(port, 'hostPort')}`],
    ),
    ...(
      [
        ...['livenessProbe', 'readinessProbe', 'startupProbe'].map((probe) => [probe]),
        ...['postStart', 'preStop'].map((hook) => ['lifecycle', hook]),
      ] as const
    ).flatMap((path) =>
      ['httpGet', 'tcpSocket'].flatMap((kind) => otherThan(['', UNKNOWN], container, ...path, kind, 'host')),
    ),
    ...contextAtBaseline(container),
  ];
}

function podAtRestricted({ spec }: PodUse): string[] {
  return [
    ...list(spec, 'volumes').flatMap((volume) =>
      volumeKinds(volume).every((kind) => kind === 'hostPath' || VOLUMES.includes(kind))
        ? []
        : [`the volume "${text(volume, 'name')}", which is none of ${VOLUMES.join(', ')}`],
    ),
    ...(at(spec, CONTEXT, 'runAsNonRoot') === false ? [`${CONTEXT}.runAsNonRoot: false`] : []),
    ...(at(spec, CONTEXT, 'runAsUser') === 0 ? [`${CONTEXT}.runAsUser: 0`] : []),
  ];
}

function containerAtRestricted(container: unknown, { spec }: PodUse): string[] {
  const own = (...path: readonly string[]): unknown =>
    isOpen(container, CONTEXT, ...path) ? UNKNOWN : at(container, CONTEXT, ...path);
  // What a container does not say, its Pod says for it.
  const said = (...path: readonly string[]): unknown =>
    own(...path) ?? (isOpen(spec, CONTEXT, ...path) ? UNKNOWN : at(spec, CONTEXT, ...path));
  const dropped = own('capabilities', 'drop');
  return [
    ...([false, UNKNOWN].includes(own('allowPrivilegeEscalation') as boolean)
      ? []
      : ['no allowPrivilegeEscalation: false']),
    ...(dropped === UNKNOWN ||
    (Array.isArray(dropped) && dropped.some((name) => [UNKNOWN, 'ALL'].includes(name)))
      ? []
      : ['no capabilities.drop: [ALL]']),
    ...texts(container, CONTEXT, 'capabilities', 'add')
      .filter((name) => name !== 'NET_BIND_SERVICE' && COMMON_CAPABILITIES.includes(name))
      .map((name) => `the capability ${name}`),
    ...([true, UNKNOWN].includes(said('runAsNonRoot') as boolean) ? [] : ['no runAsNonRoot: true']),
    ...(own('runAsUser') === 0 ? ['runAsUser: 0'] : []),
    ...(said('seccompProfile', 'type') === undefined ? ['no seccompProfile'] : []),
  ];
}

/**
 * What of a Pod its namespace's level refuses, by the part that it stands in: `undefined` the Pod itself.
 * @param level of Pod Security; none is refused anything at `privileged`
 */
export function refusedAt(
  level: string,
  pod: PodUse,
): { readonly container?: string; readonly refused: readonly string[] }[] {
  if (level === 'privileged') return [];
  const restricted = level !== 'baseline';
  const ofContainer = ({ name, container }: ContainerUse) => ({
    container: name,
    refused: [
      ...containerAtBaseline(container),
      ...(restricted ? containerAtRestricted(container, pod) : []),
    ],
  });
  return [
    { refused: [...podAtBaseline(pod), ...(restricted ? podAtRestricted(pod) : [])] },
    ...containersOf(pod.spec).map(ofContainer),
  ].filter(({ refused }) => refused.length > 0);
}

/** Which level each namespace that the topology makes enforces, by cluster and name. */
function levels(facts: Pick<Facts, 'namespaces'>): Map<string, string | undefined> {
  return new Map(
    facts.namespaces.flatMap(({ cluster, name, declared }) =>
      declared ? [[`${cluster}\n${name}`, labelOf(declared, ENFORCE)] as const] : [],
    ),
  );
}

/** The API server refuses Pods, and takes the Deployment that makes them: nothing but an event says so. */
export const podsAdmitted: Rule = {
  id: 'pods-admitted',
  holds: 'No Pod asks for what the Pod Security level of its namespace refuses.',
  why: 'The API server takes the Deployment and refuses its Pods: a rollout stands still; where no level is enforced, the Pod owns its node.',
  check: (facts) => {
    const enforced = levels(facts);
    return facts.pods.flatMap((pod): Violation[] => {
      const level = enforced.get(`${pod.cluster}\n${pod.namespace}`) ?? DEFAULT_LEVEL;
      return refusedAt(level, pod).map(({ container, refused }) =>
        violation(
          pod.item,
          `has ${refused.join(', ')}, and Pod Security "${level}" refuses it.`,
          'Leave it as it was made: a transform, or what was added to the topology, says otherwise.',
          container === undefined
            ? pod.part
              ? { part: pod.part }
              : {}
            : { part: containerPart(pod, container) },
        ),
      );
    });
  },
};
