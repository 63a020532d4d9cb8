import { z } from 'zod';

/** A schema message may carry its remedy after ` | `; `parseYaml` splits the two. */
const say = (what: string, remedy: string): string => `${what} | ${remedy}`;

export const dnsLabel = z
  .string()
  .max(
    40,
    say(
      'is longer than 40 characters',
      'Shorten it: namespaces and Pods add to it, and Kubernetes stops at 63.',
    ),
  )
  .regex(
    /^[a-z]([a-z0-9-]*[a-z0-9])?$/,
    say('is not a DNS label', 'Use lower-case letters, digits and "-", starting with a letter.'),
  );

const environmentName = z
  .string()
  .regex(
    /^[A-Za-z_][A-Za-z0-9_]*$/,
    say('is not an environment variable name', 'Use letters, digits and "_".'),
  );

/** CPU: millicores ("500m") or cores ("2"). */
const cpu = z
  .string()
  .regex(
    /^([1-9][0-9]*m|[1-9][0-9]*(\.[0-9]+)?|0\.[0-9]+)$/,
    say('is not an amount of CPU', 'Write "500m" or "2".'),
  );
/** Amount of bytes in binary units: "256Mi", "2Gi". */
const memory = z
  .string()
  .regex(/^[1-9][0-9]*(Ki|Mi|Gi|Ti)$/, say('is not an amount of memory', 'Write "256Mi" or "2Gi".'));
/** TCP port. */
const port = z
  .number()
  .int()
  .min(1, say('is not a port', 'Use 1 to 65535.'))
  .max(65535, say('is not a port', 'Use 1 to 65535.'));
const httpPath = z.string().regex(/^\//, say('is not an HTTP path', 'Start it with "/".'));

/** Requests and limits of one container. CPU in cores or millicores, memory in binary units. */
export const resourcesSchema = z.strictObject({
  /** CPU that the container is promised: millicores ("500m") or cores ("2"). */
  cpu,
  /** Memory that the container is promised: "256Mi", "2Gi". */
  memory,
  /** CPU beyond which the container is slowed down. @default no limit */
  cpuLimit: cpu.optional(),
  /** Memory beyond which the container is killed. @default the same as `memory` */
  memoryLimit: memory.optional(),
});

export const serviceUseSchema = z.strictObject({
  /** A service of `catalog/services`. */
  kind: dnsLabel,
  /** One of the versions that the service offers. Quote it: 8.0 is a number to YAML. */
  version: z.string(say('is not a string', 'Quote the version, e.g. "8.0".')),
  /** Name of this instance, when a module uses two of a kind. @default the kind */
  name: dnsLabel.optional(),
  /** Storage in production. @default 1Gi */
  storage: memory.default('1Gi'),
  /** Set when production runs another version than the tests: version and why. */
  production: z
    .strictObject({
      /** Version that production runs. */
      version: z.string(),
      /** Why production runs another version than the tests. */
      reason: z.string().min(10, say('gives no reason', 'Say in a sentence why the versions differ.')),
    })
    .optional(),
});

export const moduleSchema = z.strictObject({
  /** What it is for, in one line. */
  description: z.string().min(1),
  /** GitLab user names that answer for the module. */
  owners: z.array(z.string().min(1)).min(1, say('names nobody', 'Name at least one owner.')),
  /** Path of the Dockerfile and build arguments. */
  image: z
    .strictObject({
      /** Path of the Dockerfile in the module's repository. */
      dockerfile: z.string().default('Dockerfile'),
      /** Build arguments by name. */
      args: z.record(environmentName, z.string()).default({}),
    })
    .prefault({}),
  /** Port that the module listens on. */
  port: port.default(8080),
  /** HTTP paths of the probes. */
  probes: z
    .strictObject({
      /** Answers 2xx while the module can serve; a Pod that does not gets no requests. */
      ready: httpPath.default('/readyz'),
      /** Answers 2xx while the module is alive; a Pod that does not is started anew. */
      live: httpPath.default('/healthz'),
    })
    .prefault({}),
  /** Plain (not secret) environment of the module. */
  environment: z.record(environmentName, z.string()).default({}),
  /** Services that the module needs: beside it in the test Pod, and its own in production. */
  services: z.array(serviceUseSchema).default([]),
  /** How the module is tested. */
  test: z
    .strictObject({
      /** Shell command, run in the Robot container in a checkout of the merge result. */
      command: z.string().default('robot --outputdir results --xunit xunit.xml tests'),
      /** Folder in which the command leaves `output.xml` and `xunit.xml`. */
      results: z.string().default('results'),
      /** Minutes after which a test run counts as failed. */
      timeoutMinutes: z.number().int().min(1).max(180).default(15),
    })
    .prefault({}),
  resources: resourcesSchema.default({ cpu: '100m', memory: '128Mi', memoryLimit: '256Mi' }),
  /** How the module runs in production. */
  production: z
    .strictObject({
      /** Pods to start with. */
      replicas: z.number().int().min(1).max(1000).default(2),
      /** Port on every node, for sites without an ingress controller (30000–32767). */
      nodePort: z.number().int().min(30000).max(32767).optional(),
      /** Seconds that a Pod gets to end its requests. */
      terminationGraceSeconds: z.number().int().min(1).max(3600).default(30),
    })
    .prefault({}),
  /** `automatic` merges as soon as all is green; `manual` leaves the button to a person. */
  merge: z
    .enum(['automatic', 'manual'], say('is neither automatic nor manual', 'Use one of the two.'))
    .default('automatic'),
});

const probeSchema = z.union([
  z.strictObject({
    /** Ready as soon as the port takes connections. */
    tcp: z.literal(true),
  }),
  z.strictObject({
    /** Ready as soon as this command ends with 0 inside the container. */
    exec: z.array(z.string()).min(1),
  }),
]);

/**
 * A service that modules use, as data. Templates may name `{user}`, `{password}`, `{database}`, and in
 * `moduleEnvironment` also `{host}` and `{port}`.
 */
export const serviceSchema = z.strictObject({
  /** What it is, in one line. */
  description: z.string().min(1),
  /** Where it was run: `lab`, or `not run here` for what no package registry carries. */
  proved: z.enum(['lab', 'not run here']),
  /** Version → image. A stack's `images` may replace each, by `kind:version`. */
  versions: z.record(
    z.string(),
    z.strictObject({
      /** Name of the image as the registry has it. */
      image: z.string().min(1),
    }),
  ),
  /** Port on which the service answers. */
  port,
  /** Command in place of the image's own. @default the image's */
  command: z.array(z.string()).optional(),
  /** Arguments in place of the image's own. @default the image's */
  args: z.array(z.string()).optional(),
  /** Environment of the service's own container. */
  environment: z.record(environmentName, z.string()).default({}),
  /** What the module sees. */
  moduleEnvironment: z.record(environmentName, z.string()),
  /** How Kubernetes knows that the service is ready. */
  probe: probeSchema.default({ tcp: true }),
  /** Where data lives; a volume is mounted there. */
  dataPath: z.string().regex(/^\//),
  /** Further writable folders, on emptyDirs, since the root file system is read-only. */
  scratchPaths: z.array(z.string().regex(/^\//)).default(['/tmp']),
  /** User id that the image's files allow. */
  runAsUser: z.number().int().min(1),
  resources: resourcesSchema,
});

export type ModuleFile = z.infer<typeof moduleSchema>;
export type ServiceFile = z.infer<typeof serviceSchema>;
export type ServiceUseFile = z.infer<typeof serviceUseSchema>;
export type Resources = z.infer<typeof resourcesSchema>;
