import { containerText, containerVariable } from '../text/kubernetes';
import type { Service, ServiceUse } from './load';
import type { Resources } from './schema';
import { DISK_REQUEST } from './shapes';

/** How the parts of a service reach each other: filled into the templates of a service file. */
export interface ServiceAccess {
  readonly host: string;
  readonly user: string;
  /** A value, or the name of a variable of the same container that Kubernetes fills in. */
  readonly password: string | { readonly variable: string };
  readonly database: string;
}

type Values = Readonly<Record<string, ServiceAccess['password']>>;

/** A text of a service file, filled in. */
export interface Filled {
  /** As `env`, `command` and `args` of a container take it. */
  readonly source: string;
  /** As the program sees it; undefined where only Kubernetes knows. */
  readonly plain: string | undefined;
}

// A shell's `${user}` is not ours.
const PLACEHOLDER = /(?<!\$)\{(host|port|user|password|database)\}/;

function fill(template: string, values: Values): Filled {
  // Every second part is the name of a placeholder.
  const parts = template
    .split(PLACEHOLDER)
    .map((part, index) => (index % 2 === 0 ? part : (values[part] ?? `{${part}}`)));
  return {
    source: parts
      .map((part) => (typeof part === 'string' ? containerText(part) : containerVariable(part.variable)))
      .join(''),
    plain: parts.every((part) => typeof part === 'string') ? parts.join('') : undefined,
  };
}

/** What Kubernetes does not fill in: a password stands in none of it, which loading checks. */
const plainly = (template: string, values: Values): string => fill(template, values).plain ?? template;

const byName = (values: Record<string, string>): { name: string; value: string }[] =>
  Object.keys(values)
    .sort()
    .map((name) => ({ name, value: values[name] ?? '' }));

/** The environment through which a module finds a service; keys as the service file declares them. */
export function moduleEnvironment(service: Service, access: ServiceAccess): Record<string, Filled> {
  const values = { ...access, port: String(service.port) };
  return Object.fromEntries(
    Object.entries(service.moduleEnvironment).map(([name, template]) => [name, fill(template, values)]),
  );
}

/** Disk that a container may fill where its file says nothing. */
const DEFAULT_DISK = '2Gi';

/** Disk that a container may fill, each of its emptyDirs by itself and all that it writes together. */
export const diskOf = (resources: Pick<Resources, 'disk'>): string => resources.disk ?? DEFAULT_DISK;

interface Amounts {
  readonly requests: Readonly<Record<string, string>>;
  readonly limits: Readonly<Record<string, string>>;
}

/**
 * Resources with an end to what the container writes on its node's disk. Kubernetes counts a Pod's emptyDirs, logs and
 * writable layers against the limits of all its containers together.
 */
export const withDisk = <T extends Amounts>({ requests, limits }: T, disk: string) => ({
  requests: { ...(requests as T['requests']), 'ephemeral-storage': DISK_REQUEST },
  limits: { ...(limits as T['limits']), 'ephemeral-storage': disk },
});

/** An emptyDir that ends somewhere. */
export const emptyDir = (name: string, sizeLimit: string) => ({ name, emptyDir: { sizeLimit } });

/** Kubernetes' `resources` of a container from the catalog's shape. */
export const containerResources = (resources: Resources) =>
  withDisk(
    {
      requests: { cpu: resources.cpu, memory: resources.memory },
      limits: {
        ...(resources.cpuLimit ? { cpu: resources.cpuLimit } : {}),
        memory: resources.memoryLimit ?? resources.memory,
      },
    },
    diskOf(resources),
  );

/** User id of a module's own container, the same in a test Pod and in production. */
export const MODULE_USER = 10001;

/** Variable of a service's container that holds its password in production; of a module's, with the service's number. */
export const PASSWORD_VARIABLE = 'SWITCHYARD_SERVICE_PASSWORD';
/** Where a service in production finds its password, as it is now: its environment holds what it was at the start. */
export const PASSWORD_FOLDER = '/run/switchyard';
export const PASSWORD_FILE = `${PASSWORD_FOLDER}/password`;

/** Where two users of a service take turns: the one whose turn it is with a version of the password, and the other. */
export const usersOfTurn = (name: string, version: number): readonly [next: string, former: string] => {
  const second = `${name}_2`;
  return version % 2 === 0 ? [second, name] : [name, second];
};

/** Whether a service asks for a password: a template of its own container names it. */
export const asksForPassword = ({ command, args, environment }: Service): boolean =>
  /(?<!\$)\{password\}/.test(JSON.stringify([command, args, environment]));

/** Service account of test Pods: it may do nothing, and no token of it is mounted. */
export const TEST_ACCOUNT = 'tests';

/** Containers that each test Pod has beside the services: no service goes by one of these names. */
export const TEST_CONTAINERS: readonly string[] = ['app', 'robot', 'jnlp', 'carrier'];
/** What the one asks for that copies results. */
export const CARRIER_RESOURCES: Resources = { cpu: '10m', memory: '16Mi', memoryLimit: '128Mi', disk: '1Gi' };

/** What Pod Security `restricted` asks of every container, and a read-only root besides. */
export const restrictedContainer = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  runAsNonRoot: true,
  capabilities: { drop: ['ALL'] },
  seccompProfile: { type: 'RuntimeDefault' },
};

/** What a checkout and what is made of it may take in an agent's Pod. */
export const WORKSPACE = '8Gi';

/**
 * Volumes of each agent's Pod: the workspace, which Jenkins' plugin would add without an end, and what the agent writes
 * besides, since its root is read-only. `VOLUME` and `WORKDIR` of jenkinsci/docker-agents name the folders.
 */
export const agentVolumes = [
  emptyDir('workspace-volume', WORKSPACE),
  emptyDir('agent-tmp', '1Gi'),
  emptyDir('agent-home', '1Gi'),
];
export const agentMounts = [
  { name: 'agent-tmp', mountPath: '/tmp' },
  { name: 'agent-home', mountPath: '/home/jenkins/.jenkins' },
];
/** What the container beside the agent may fill, in a Pod of Jenkins' own work. */
export const AGENT_DISK = '4Gi';
/** The agent's container: it answers for the workspace too. */
export const agentResources = withDisk(
  { requests: { cpu: '50m', memory: '128Mi' }, limits: { memory: '512Mi' } },
  '10Gi',
);

/** Every port of a service by name, its own (`service`) first. */
export const servicePorts = (service: Service): { name: string; port: number }[] => [
  { name: 'service', port: service.port },
  ...Object.keys(service.ports)
    .sort()
    .map((name) => ({ name, port: service.ports[name] ?? 0 })),
];

/** What a probe does, without its timings. */
function probeAction(service: Service, values: Values) {
  const { probe } = service;
  if ('exec' in probe) return { exec: { command: probe.exec.map((word) => fill(word, values).source) } };
  if ('http' in probe)
    return { httpGet: { path: probe.http, port: service.ports[probe.port ?? ''] ?? service.port } };
  return { tcpSocket: { port: service.port } };
}

/**
 * Initialisation files as annotations of the Pod and a volume that shows them: a test Pod needs no other object than
 * itself, and a changed file is a changed Pod template, which rolls it out.
 */
function initialisation(use: ServiceUse, service: Service, values: Values) {
  const files = Object.keys(service.files)
    .sort()
    .map((path, index) => ({
      path,
      item: `file-${index}`,
      annotation: `switchyard.dev/${use.name}-file-${index}`,
      text: plainly(service.files[path] ?? '', values),
    }));
  const name = `${use.name}-files`;
  return {
    annotations: Object.fromEntries(files.map(({ annotation, text }) => [annotation, text])),
    mounts: files.map(({ path, item }) => ({ name, mountPath: path, subPath: item, readOnly: true })),
    volumes:
      files.length === 0
        ? []
        : [
            {
              name,
              downwardAPI: {
                defaultMode: 0o555,
                items: files.map(({ item, annotation }) => ({
                  path: item,
                  fieldRef: { fieldPath: `metadata.annotations['${annotation}']` },
                })),
              },
            },
          ],
  };
}

/**
 * A service's container and what its Pod needs for it, the same in a test Pod (a native sidecar) and in production (a
 * StatefulSet), so that what was tested is what runs.
 * @param image resolved by the stack
 * @param passwordEnv further environment entries, e.g. a `valueFrom` that brings the password
 * @returns `annotations` for the Pod's metadata, `volumes` for its spec; the caller brings the volume `dataVolume`
 */
export function serviceContainer(
  use: ServiceUse,
  service: Service,
  image: string,
  access: ServiceAccess,
  passwordEnv: readonly { name: string; valueFrom: { secretKeyRef: { name: string; key: string } } }[] = [],
) {
  const volume = (suffix: string) => `${use.name}-${suffix}`;
  const resources = use.resources ?? service.resources;
  const values = { ...access, port: String(service.port) };
  const action = probeAction(service, values);
  const { startupSeconds, periodSeconds, timeoutSeconds } = service.probe;
  const scratch = service.scratchPaths.map((path, index) => ({ path, name: volume(`scratch-${index}`) }));
  const files = initialisation(use, service, values);
  return {
    container: {
      name: use.name,
      image,
      ...(service.command ? { command: service.command.map((word) => fill(word, values).source) } : {}),
      ...(service.args ? { args: service.args.map((word) => fill(word, values).source) } : {}),
      env: [
        ...passwordEnv,
        ...byName(
          Object.fromEntries(
            Object.entries(service.environment).map(([name, value]) => [name, fill(value, values).source]),
          ),
        ),
      ],
      ports: servicePorts(service).map(({ name, port }) => ({ name, containerPort: port })),
      startupProbe: { ...action, periodSeconds: 1, failureThreshold: startupSeconds, timeoutSeconds },
      resources: containerResources(resources),
      securityContext: { ...restrictedContainer, runAsUser: service.runAsUser },
      volumeMounts: [
        { name: volume('data'), mountPath: service.dataPath },
        ...scratch.map(({ path, name }) => ({ name, mountPath: path })),
        ...files.mounts,
      ],
    },
    readinessProbe: { ...action, periodSeconds, timeoutSeconds },
    annotations: files.annotations,
    dataVolume: volume('data'),
    disk: diskOf(resources),
    volumes: [...scratch.map(({ name }) => emptyDir(name, diskOf(resources))), ...files.volumes],
  };
}
