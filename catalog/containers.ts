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

const fill = (template: string, values: Record<string, string>): string =>
  template.replace(/\{(host|port|user|password|database)\}/g, (whole, key: string) => values[key] ?? whole);

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

/** What Pod Security `restricted` asks of every container, and a read-only root besides. */
export const restrictedContainer = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  runAsNonRoot: true,
  capabilities: { drop: ['ALL'] },
  seccompProfile: { type: 'RuntimeDefault' },
};

/**
 * A service's container and the volumes that it mounts, the same in a test Pod (a native sidecar) and in
 * production (a StatefulSet), so that what was tested is what runs.
 * @param image resolved by the stack
 * @param passwordEnv further environment entries, e.g. a `valueFrom` that brings the password
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
  const probe =
    'exec' in service.probe
      ? { exec: { command: service.probe.exec.map((word) => fill(word, values)) } }
      : { tcpSocket: { port: service.port } };
  const scratch = service.scratchPaths.map((path, index) => ({ path, name: volume(`scratch-${index}`) }));
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
      ports: [{ name: 'service', containerPort: service.port }],
      startupProbe: { ...probe, periodSeconds: 1, failureThreshold: 120, timeoutSeconds: 5 },
      resources: containerResources(service.resources),
      securityContext: { ...restrictedContainer, runAsUser: service.runAsUser },
      volumeMounts: [
        { name: volume('data'), mountPath: service.dataPath },
        ...scratch.map(({ path, name }) => ({ name, mountPath: path })),
      ],
    },
    dataVolume: volume('data'),
    scratchVolumes: scratch.map(({ name }) => ({ name, emptyDir: {} })),
    probe,
  };
}
