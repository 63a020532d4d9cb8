import type { Service, ServiceUse } from './load';
import type { Resources } from './schema';

/** How the parts of a service reach each other: filled into the templates of a service file. */
export interface ServiceAccess {
  readonly host: string;
  readonly user: string;
  /** A value, or `$(NAME)` where Kubernetes fills in an environment variable of the same container. */
  readonly password: string;
  readonly database: string;
}

// A shell's `${user}` is not ours.
const fill = (template: string, values: Record<string, string>): string =>
  template.replace(
    /(?<!\$)\{(host|port|user|password|database)\}/g,
    (whole, key: string) => values[key] ?? whole,
  );

const byName = (values: Record<string, string>): { name: string; value: string }[] =>
  Object.keys(values)
    .sort()
    .map((name) => ({ name, value: values[name] ?? '' }));

/** The environment through which a module finds a service; keys as the service file declares them. */
export function moduleEnvironment(service: Service, access: ServiceAccess): Record<string, string> {
  const values = { ...access, port: String(service.port) };
  return Object.fromEntries(
    Object.entries(service.moduleEnvironment).map(([name, template]) => [name, fill(template, values)]),
  );
}

/** Kubernetes' `resources` of a container from the catalog's shape. */
export function containerResources(resources: Resources) {
  return {
    requests: { cpu: resources.cpu, memory: resources.memory },
    limits: {
      ...(resources.cpuLimit ? { cpu: resources.cpuLimit } : {}),
      memory: resources.memoryLimit ?? resources.memory,
    },
  };
}

/** User id of a module's own container, the same in a test Pod and in production. */
export const MODULE_USER = 10001;

/** Service account of test Pods: it may do nothing, and no token of it is mounted. */
export const TEST_ACCOUNT = 'tests';

/** Containers that each test Pod has beside the services: no service goes by one of these names. */
export const TEST_CONTAINERS: readonly string[] = ['app', 'robot', 'jnlp'];

/** What Pod Security `restricted` asks of every container, and a read-only root besides. */
export const restrictedContainer = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  runAsNonRoot: true,
  capabilities: { drop: ['ALL'] },
  seccompProfile: { type: 'RuntimeDefault' },
};

/** Every port of a service by name, its own (`service`) first. */
export const servicePorts = (service: Service): { name: string; port: number }[] => [
  { name: 'service', port: service.port },
  ...Object.keys(service.ports)
    .sort()
    .map((name) => ({ name, port: service.ports[name] ?? 0 })),
];

/** What a probe does, without its timings. */
function probeAction(service: Service, values: Record<string, string>) {
  const { probe } = service;
  if ('exec' in probe) return { exec: { command: probe.exec.map((word) => fill(word, values)) } };
  if ('http' in probe)
    return { httpGet: { path: probe.http, port: service.ports[probe.port ?? ''] ?? service.port } };
  return { tcpSocket: { port: service.port } };
}

/**
 * Initialisation files as annotations of the Pod and a volume that shows them: a test Pod needs no other object than
 * itself, and a changed file is a changed Pod template, which rolls it out.
 */
function initialisation(use: ServiceUse, service: Service, values: Record<string, string>) {
  const files = Object.keys(service.files)
    .sort()
    .map((path, index) => ({
      path,
      item: `file-${index}`,
      annotation: `switchyard.dev/${use.name}-file-${index}`,
      text: fill(service.files[path] ?? '', values),
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
  const values = { ...access, port: String(service.port) };
  const action = probeAction(service, values);
  const { startupSeconds, periodSeconds, timeoutSeconds } = service.probe;
  const scratch = service.scratchPaths.map((path, index) => ({ path, name: volume(`scratch-${index}`) }));
  const files = initialisation(use, service, values);
  return {
    container: {
      name: use.name,
      image,
      ...(service.command ? { command: service.command.map((word) => fill(word, values)) } : {}),
      ...(service.args ? { args: service.args.map((word) => fill(word, values)) } : {}),
      env: [
        ...passwordEnv,
        ...byName(
          Object.fromEntries(
            Object.entries(service.environment).map(([name, value]) => [name, fill(value, values)]),
          ),
        ),
      ],
      ports: servicePorts(service).map(({ name, port }) => ({ name, containerPort: port })),
      startupProbe: { ...action, periodSeconds: 1, failureThreshold: startupSeconds, timeoutSeconds },
      resources: containerResources(use.resources ?? service.resources),
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
    volumes: [...scratch.map(({ name }) => ({ name, emptyDir: {} })), ...files.volumes],
  };
}
