import { z } from 'zod';
import { isNginxWords } from '../text/nginx';
import { PASSWORD_FOLDER } from './containers';
import { didYouMean } from './problems';
import { MOST_PODS } from './scaling';
import {
  about,
  addressRange,
  annotations,
  argumentOfProgram,
  checkoutPath,
  cpu,
  disk,
  entries,
  FEW,
  fewEntries,
  fewPorts,
  filledArgument,
  filledVariables,
  hostName,
  httpPath,
  imageName,
  ingressHost,
  ingressPath,
  LONGEST_FILLED,
  LONGEST_WORD,
  limitsHold,
  MOST_EACH,
  MOST_WAYS,
  memory,
  mountPath,
  newPath,
  portName,
  reason,
  reservedProjects,
  say,
  storage,
  subdomain,
  title,
  twice,
  userName,
  variableOfContainer,
  variables,
} from './shapes';
import { isClosedToModules } from './variables';

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

/** Name of a project that is to be made, as each module's is. */
export const projectName = dnsLabel
  .superRefine(newPath)
  .refine(
    (name) => !reservedProjects.includes(name),
    say('is what GitLab keeps for addresses of its own', 'Choose another name.'),
  );

/** What stands before a build argument on the command line of `buildctl`. */
export const BUILD_ARGUMENT = '--opt=build-arg:';

/** Build argument: a word of a Dockerfile. */
const argumentName = z
  .string()
  .regex(
    /^[A-Za-z_][A-Za-z0-9_]*$/,
    say('is not the name of a build argument', 'Use letters, digits and "_".'),
  );

/** TCP port. */
const port = z
  .number()
  .int()
  .min(1, say('is not a port', 'Use 1 to 65535.'))
  .max(65535, say('is not a port', 'Use 1 to 65535.'));

/** Requests and limits of one container. CPU in cores or millicores, memory in binary units. */
export const resourcesSchema = z
  .strictObject({
    /** CPU that the container is promised: millicores ("500m") or cores ("2"). */
    cpu,
    /** Memory that the container is promised: "256Mi", "2Gi". */
    memory,
    /** CPU beyond which the container is slowed down. @default no limit */
    cpuLimit: cpu.optional(),
    /** Memory beyond which the container is killed. @default the same as `memory` */
    memoryLimit: memory.optional(),
    /**
     * Disk of its node beyond which the Pod is evicted: what the container writes to its log and its folders, a service's
     * data in a test Pod among them; claims do not count. @default 2Gi
     */
    disk: disk.optional(),
  })
  .superRefine(limitsHold);

const LONGEST_NAME_OF_SERVICE = [
  LONGEST_FILLED,
  say(`is longer than ${LONGEST_FILLED} characters`, 'Write the name that the service knows.'),
] as const;

export const serviceUseSchema = z.strictObject({
  /** A service of `catalog/services`. */
  kind: dnsLabel,
  /** One of the versions that the service offers. Quote it: 8.0 is a number to YAML. */
  version: z.string(say('is not a string', 'Quote the version, e.g. "8.0".')),
  /** Name of this instance, when a module uses two of a kind. @default the kind */
  name: dnsLabel.optional(),
  /** Storage in production. @default 1Gi */
  storage: storage.default('1Gi'),
  /** Requests and limits of this instance, in tests and in production. @default the service's own */
  resources: resourcesSchema.optional(),
  /** Set when production runs another version than the tests: version and why. */
  production: z
    .strictObject({
      /** Version that production runs. */
      version: z.string(),
      /** Why production runs another version than the tests. */
      reason: reason('gives no reason', 'Say in a sentence why the versions differ.'),
    })
    .optional(),
  /** Production uses one that stands already; nothing is made there. Tests run the catalog's version all the same. */
  existing: z
    .strictObject({
      /** Name or address at which it answers. */
      host: hostName,
      /** @default the service's usual port */
      port: port.optional(),
      /** @default the module's name, "-" written as "_" */
      user: title.max(...LONGEST_NAME_OF_SERVICE).optional(),
      /** @default module */
      database: title.max(...LONGEST_NAME_OF_SERVICE).optional(),
      /**
       * Environment variable that holds the password; also one of the stack's `deployEnvironment`, and none that the
       * topology or another service has for itself.
       */
      credentialsFrom: z
        .string()
        .regex(
          /^[A-Z][A-Z0-9_]*$/,
          say('is not an environment variable name', 'Use capitals, digits and "_".'),
        )
        .refine(
          (name) => !isClosedToModules(name),
          say(
            'is a variable of the topology itself or of a program that it runs, whose value no module may get',
            'Give the service\'s password in a variable of its own, such as "ORDERS_MYSQL_PASSWORD".',
          ),
        ),
    })
    .optional(),
});

/** Address ranges and TCP ports. */
export const waysOut = z
  .array(
    z.strictObject({
      /** Range of addresses, IPv4. */
      cidr: addressRange,
      /** TCP ports there. */
      ports: z
        .array(port)
        .min(1, say('names no port', 'Name at least one.'))
        .max(...entries(MOST_EACH)),
    }),
  )
  .max(...entries(MOST_WAYS))
  .superRefine(fewPorts);

/** Seconds; Kubernetes wants more than a Pod needs to start. */
export const readySeconds = z.number().int().min(10).max(1200);
/** Seconds; 0 watches nothing. */
export const watchSeconds = z.number().int().min(0).max(300);

/** Pods between two bounds, as many as the load asks for. */
export const scalingSchema = z
  .strictObject({
    /** Requests per second that one Pod is to have on average; a tenth more or less changes nothing. */
    qps: z
      .number()
      .min(0.001, say('is no number of requests per second', 'Write what one Pod is to have: 50.'))
      .max(1_000_000, say('is more than a million', 'Write what one Pod is to have: 50.')),
    /** Fewest Pods. */
    min: z.number().int().min(1).max(MOST_PODS),
    /** Most Pods: what quotas and capacity reckon with. */
    max: z.number().int().min(1).max(MOST_PODS),
    /** Per cent of `resources.cpu` beyond which more Pods come, whatever the requests say. */
    cpu: z.number().int().min(1).max(100_000).default(100),
    /** How Pods leave when there is less to do. */
    down: z
      .strictObject({
        /** Seconds for which fewer Pods must have been enough. */
        windowSeconds: z.number().int().min(0).max(3600).default(300),
        /** Most that leave in a minute, per cent of what there is. */
        percent: z.number().int().min(1).max(100).default(20),
      })
      .prefault({}),
    /** Requests that one Pod has at once; more wait a second, then get 503. @default as many as `qps`, and at least 16 */
    concurrency: z.number().int().min(1).max(100_000).optional(),
    /** A counter of the module's own. @default a proxy in the module's Pod counts its requests */
    metric: z
      .strictObject({
        /** HTTP path at which the module tells its metrics in Prometheus' format. */
        path: httpPath,
        /** Name of the counter; its series are added up. */
        name: z
          .string()
          .regex(
            /^[a-zA-Z_:][a-zA-Z0-9_:]*$/,
            say('is not the name of a metric', 'Use letters, digits, "_" and ":", no digit first.'),
          ),
      })
      .optional(),
  })
  .superRefine(({ min, max, metric, concurrency }, context) => {
    const fault = (key: string, what: string, remedy: string): void =>
      context.addIssue({ code: 'custom', path: [key], message: say(what, remedy) });
    if (min > max) fault('min', `is more than max, ${max}`, 'Lower it, or raise max.');
    if (metric && concurrency !== undefined)
      fault('concurrency', 'is unused: with metric there is no proxy', 'Leave one of the two out.');
  });

/**
 * Annotations that are a part of the ingress controller's configuration, as it stands: `…-snippet` of ingress-nginx, F5's and
 * HAProxy Technologies', `config-…` of HAProxy Ingress (https://haproxy-ingress.github.io/docs/configuration/keys/).
 */
const CONFIGURATION = /-snippets?$|\/config-[a-z-]+$/i;

/**
 * Annotations that are an address, which ingress-nginx writes into its configuration; nginx ends a word at a blank, and a
 * block at a brace: https://github.com/kubernetes/ingress-nginx/blob/main/docs/user-guide/nginx-configuration/annotations-risk.md
 */
const ADDRESS =
  /\/(?:app-root|auth-signin|auth-tls-error-page|auth-url|mirror-host|mirror-target|permanent-redirect|temporal-redirect)$/i;
/** Annotations of ingress controllers that are nginx: ingress-nginx, and F5's. */
const OF_NGINX = /^nginx\.(?:ingress\.kubernetes\.io|org|com)\//i;
const NO_ADDRESS = /[\s;"'`\\<>|^]|[{}](?<!\$\{(?:\w*\})?)/;

/**
 * Annotations that ingress-nginx writes between the words of a directive, or between quotes (its
 * rootfs/etc/nginx/template/nginx.tmpl, and `buildProxyPass` of its template.go). It looks at their values itself since 1.12,
 * unless it is told not to (`--enable-annotation-validation`).
 */
const WORDS = [
  ...['auth-cache-duration', 'auth-cache-key', 'auth-method', 'auth-realm', 'auth-request-redirect'],
  ...['auth-response-headers', 'auth-signin-redirect-param', 'auth-tls-match-cn', 'auth-tls-verify-client'],
  ...['client-body-buffer-size', 'connection-proxy-header', 'cors-allow-headers', 'cors-allow-methods'],
  ...['cors-allow-origin', 'cors-expose-headers', 'fastcgi-index', 'mirror-request-body'],
  ...['modsecurity-transaction-id', 'opentelemetry-operation-name', 'proxy-body-size', 'proxy-buffer-size'],
  ...['proxy-buffering', 'proxy-buffers-number', 'proxy-busy-buffers-size', 'proxy-cookie-domain'],
  ...['proxy-cookie-path', 'proxy-http-version', 'proxy-max-temp-file-size', 'proxy-next-upstream'],
  ...['proxy-redirect-from', 'proxy-redirect-to', 'proxy-request-buffering', 'proxy-ssl-ciphers'],
  ...['proxy-ssl-name', 'proxy-ssl-protocols', 'proxy-ssl-server-name', 'proxy-ssl-verify', 'rewrite-target'],
  ...['satisfy', 'server-alias', 'ssl-ciphers', 'upstream-hash-by', 'upstream-vhost', 'x-forwarded-prefix'],
];
/** Those of them whose values are several words, of which people put some into quotes. */
const QUOTED = /\/proxy-(?:cookie-(?:domain|path)|redirect-(?:from|to))$/i;
/** A pattern, which may count: "{2,3}" behind what is counted. ingress-nginx puts it into quotes. */
const PATTERN = /\/auth-tls-match-cn$/i;
const COUNT = /(?<=[^\s$])\{\d+(?:,\d*)?\}/g;

function endsItsValue(key: string, value: string): boolean {
  if (!WORDS.includes(key.slice(key.lastIndexOf('/') + 1).toLowerCase())) return false;
  const words = PATTERN.test(key) ? value.replace(COUNT, '+') : value;
  return !isNginxWords(words) || (!QUOTED.test(key) && /["'`]/.test(words));
}

/** Hosts by a pattern, of HAProxy Ingress and nginx: whose they are nobody can tell. */
const HOST_PATTERN = /\/(?:server-alias|redirect-from)-regex$/i;
const HOSTS = /\/server-alias$/i;

/** A refinement: what a module says to an ingress controller changes nothing of what the controller does for others. */
function onlyItsOwn(given: Readonly<Record<string, string>>, context: z.RefinementCtx): void {
  for (const [key, value] of Object.entries(given)) {
    const fault = (what: string, remedy: string): void =>
      context.addIssue({ code: 'custom', path: [key], message: say(what, remedy) });
    if (CONFIGURATION.test(key))
      fault(
        "is text of the ingress controller's configuration, which is not the module's own",
        'Set it in the controller, or use an annotation that does one thing.',
      );
    else if (HOST_PATTERN.test(key) || (HOSTS.test(key) && value.includes('~')))
      fault("claims hosts by a pattern, others' among them", 'Name each host.');
    else if (/\p{Cc}/u.test(value))
      fault(
        'has a line break or another control character, behind which a controller may read what is not the value',
        'Write it in one line; in YAML ">-" makes one of several.',
      );
    else if (OF_NGINX.test(key) && value.length > LONGEST_WORD)
      fault(
        `is longer than ${LONGEST_WORD} characters: nginx reads no such word, and nothing of its configuration with it`,
        'Shorten it.',
      );
    else if (ADDRESS.test(key) && NO_ADDRESS.test(value))
      fault('has a character that no address has', 'Write it as "%" and its two digits.');
    else if (endsItsValue(key, value))
      fault(
        'ends what nginx reads as the value',
        'Leave out ";", "{", "}", "#" and quotes; `proxy-cookie-path` may have words in whole quotes.',
      );
  }
}

/** A refinement of a program and its arguments: the program has a name. */
function namesProgram([program = '-']: readonly string[], context: z.RefinementCtx): void {
  if (program.trim() !== '') return;
  const message = say('names no program', 'Begin with one, and its arguments behind it.');
  context.addIssue({ code: 'custom', path: [0], message });
}

/** Seconds; the build of a release waits for them. */
const migrateSeconds = z.number().int().min(10).max(1200);

export const moduleSchema = z.strictObject({
  /** What it is for, in one line. */
  description: about.max(
    2000,
    say('is longer than the 2000 characters of a project of GitLab', 'Shorten it.'),
  ),
  /** GitLab user names that answer for the module. */
  owners: z
    .array(userName)
    .min(1, say('names nobody', 'Name at least one owner.'))
    .max(...entries(MOST_EACH))
    .superRefine((owners, context) => {
      for (const { index, first } of twice(owners))
        context.addIssue({
          code: 'custom',
          path: [index],
          message: say(`is "${first}" again, to whom case means nothing`, 'Name each once.'),
        });
    }),
  /** Path of the Dockerfile and build arguments. */
  image: z
    .strictObject({
      /** Path of the Dockerfile in the module's repository. */
      dockerfile: checkoutPath('docker/Dockerfile').default('Dockerfile'),
      /** Build arguments by name. */
      args: variables(argumentName, { beside: BUILD_ARGUMENT }).default({}),
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
  environment: variables(variableOfContainer).default({}),
  /** Services that the module needs: beside it in the test Pod, and its own in production. */
  services: z
    .array(serviceUseSchema)
    .max(...entries(MOST_EACH))
    .default([]),
  /** How the module is tested. */
  test: z
    .strictObject({
      /** Shell command, run in the Robot container in a checkout of the merge result. */
      command: z
        .string()
        .refine((text) => text.trim() !== '', say('is blank', 'Write what runs the tests.'))
        .default('robot --outputdir results --xunit xunit.xml tests'),
      /** Folder in which the command leaves `output.xml` and `xunit.xml`. */
      results: checkoutPath('results').default('results'),
      /** Minutes after which a test run counts as failed. */
      timeoutMinutes: z.number().int().min(1).max(180).default(15),
      /**
       * What tests may reach besides DNS and Jenkins: address ranges and TCP ports. A range that holds private ones means
       * the public addresses beside them; link-local addresses are never reached. @default nothing
       */
      egress: waysOut.default([]),
    })
    .prefault({}),
  resources: resourcesSchema.default({ cpu: '100m', memory: '128Mi', memoryLimit: '256Mi' }),
  /** How the module runs in production. */
  production: z
    .strictObject({
      /** Pods to start with. @default 2, or `scaling.min` */
      replicas: z.number().int().min(1).max(MOST_PODS).optional(),
      /** As many Pods as the requests ask for (docs/autoscaling.md). @default as many as `replicas` */
      scaling: scalingSchema.optional(),
      /** Port on every node, for sites without an ingress controller (30000–32767). */
      nodePort: z.number().int().min(30000).max(32767).optional(),
      /**
       * What the module may reach besides DNS, its services and the Services that its `environment` names as
       * `<service>.<namespace>.svc`: address ranges and TCP ports, read as those of `test.egress`. @default nothing
       */
      egress: waysOut.default([]),
      /** Seconds that a Pod gets to end its requests. */
      terminationGraceSeconds: z.number().int().min(1).max(3600).default(30),
      /** Seconds of these that a leaving Pod still serves, until every node has heard that it leaves. */
      drainSeconds: z.number().int().min(0).max(300).default(5),
      /**
       * Seconds without progress after which a rollout is undone: each Pod that gets ready is progress. @default
       * `production.readySeconds` of the stack
       */
      readySeconds: readySeconds.optional(),
      /**
       * Seconds that a rollout must serve without a crash, else it is undone. @default `production.watchSeconds` of the stack
       */
      watchSeconds: watchSeconds.optional(),
      /**
       * Program and arguments, in place of the image's own, that bring the module's data to what a release needs: run once
       * for each release, before its rollout, in its image and with the module's environment (docs/production.md). It finds
       * out by itself what is done already. @default nothing is run
       */
      migrate: z
        .array(argumentOfProgram)
        .min(1, say('is empty', 'Name a program and its arguments, or leave it out.'))
        .max(...entries(MOST_EACH))
        .superRefine(namesProgram)
        .optional(),
      /** Seconds within which `migrate` must end, else the release is stopped. @default 600 */
      migrateSeconds: migrateSeconds.optional(),
      /** What becomes of the module's databases when it is removed. @default `production.onDelete` of the stack */
      onDelete: z
        .enum(['retain', 'delete'], say('is neither retain nor delete', 'Use one of the two.'))
        .optional(),
      /** A host name that leads to the module. @default none: only the cluster reaches it */
      ingress: z
        .strictObject({
          /** Host name that leads to the module. */
          host: ingressHost,
          /** Path below which the module answers. */
          path: ingressPath.default('/'),
          /** @default the cluster's default ingress class */
          className: subdomain.optional(),
          /** TLS Secret of the module's namespace; cert-manager makes it if `annotations` ask for it. */
          tlsSecret: subdomain.optional(),
          /**
           * Further annotations, each in one line, for the ingress controller or cert-manager; none that is its
           * configuration's own text, or names what is not of the module's namespace.
           */
          annotations: annotations.superRefine(onlyItsOwn),
        })
        .optional(),
    })
    .prefault({}),
  /**
   * `reviewed` merges once all is green and someone has approved the newest commit who neither wrote, pushed nor opened
   * it; `automatic` merges as soon as all is green; `manual` leaves it to people, by hand or by the label `switchyard-merge`.
   */
  merge: z
    .enum(
      ['reviewed', 'automatic', 'manual'],
      say('is neither reviewed, automatic nor manual', 'Use one of the three.'),
    )
    .default('reviewed'),
});

/** When a probe asks and when it gives up, in seconds. */
const timings = {
  /** How long the service may take from its start to its first good answer. */
  startupSeconds: z.number().int().min(1).max(3600).default(120),
  /** Pause between two checks once it is up. */
  periodSeconds: z.number().int().min(1).max(300).default(5),
  /** How long one check may take. */
  timeoutSeconds: z.number().int().min(1).max(300).default(5),
};

const probeSchema = z.union(
  [
    z.strictObject({
      /** Ready as soon as the service's port takes connections. */
      tcp: z.literal(true),
      ...timings,
    }),
    z.strictObject({
      /** Program inside the container; exit code 0 is a good answer. */
      exec: z
        .array(filledArgument)
        .min(1)
        .max(...entries())
        .superRefine(namesProgram),
      ...timings,
    }),
    z.strictObject({
      /** Path that answers a GET without credentials. */
      http: httpPath,
      /** Named port of `ports` to ask. @default the service's own */
      port: portName.optional(),
      ...timings,
    }),
  ],
  say('is none of the probes', 'Write { tcp: true }, { exec: [program, …] } or { http: /path }.'),
);

const absolutePath = mountPath.refine(
  (path) => !/[{}]/.test(path),
  say('has "{" or "}" in it, in which nothing is filled in', 'Leave it out.'),
);

const pinnedImage = imageName.regex(
  /^[^\s@]+(:(?=[^:]*[0-9])[\w.-]+|@sha256:[0-9a-f]{64})$/,
  say('names no exact version', 'Write "repository:1.2.3" or "repository@sha256:…".'),
);

const placeholders = ['host', 'port', 'user', 'password', 'database'] as const;

const argv = z
  .array(filledArgument.min(1))
  .min(1, say('is empty', 'Name a program and its arguments.'))
  .max(...entries())
  .superRefine(namesProgram);

const backupOfService = z.union(
  [
    z.strictObject({
      /** Prints a consistent dump while the service serves, and ends with 0. */
      dump: argv,
      /** Reads that dump and ends with 0 when all of it was taken; what the dump does not hold may stay. */
      restore: argv,
      /** Ends the server, which loads what `restore` left for it when it starts again. @default none is needed */
      restart: argv.optional(),
      /** Prints what is equal when the rows are equal: a drill runs it before the disaster and after. @default not compared */
      fingerprint: argv.optional(),
    }),
    z.strictObject({
      /** Why nothing is dumped, and what protects its data instead. */
      none: reason('gives no reason', 'Say in a sentence why, and what protects the data instead.'),
    }),
  ],
  say(
    'is neither dump and restore nor none',
    'Write { dump: [program, …], restore: [program, …] } or { none: reason }.',
  ),
);

/** What is mounted: its place in the file, and where. */
type Mounted = [place: (string | number)[], path: string];

/**
 * A service that modules use, as data. Texts may name `{user}`, `{password}`, `{database}`, `{host}` and `{port}`;
 * a shell's `${user}` is left alone. `{host}` is 127.0.0.1 in a test Pod and the Service's name in production.
 */
export const serviceSchema = z
  .strictObject({
    /** What it is, in one line. */
    description: about,
    /** Where it was run: `lab`, or `not run here` for what no package registry carries. */
    proved: z.enum(['lab', 'not run here']),
    /** Version → image, by exact tag. A stack's `images` may replace each, by `kind:version`. */
    versions: z
      .record(
        z.string(),
        z.strictObject({
          /** Name of the image as the registry has it. */
          image: pinnedImage,
        }),
      )
      .superRefine(fewEntries)
      .meta(FEW),
    /** Port that modules talk to. */
    port,
    /** Further ports that modules need: name → number. */
    ports: z.record(portName, port).superRefine(fewEntries).meta(FEW).default({}),
    /** Command in place of the image's own. @default the image's */
    command: z
      .array(filledArgument)
      .max(...entries())
      .superRefine(namesProgram)
      .optional(),
    /** Arguments in place of the image's own. @default the image's */
    args: z
      .array(filledArgument)
      .max(...entries())
      .optional(),
    /** Environment of the service's own container. */
    environment: filledVariables(variableOfContainer).default({}),
    /** What the module sees. */
    moduleEnvironment: filledVariables(variableOfContainer),
    /**
     * Initialisation files: absolute path → text, readable and executable by all. They travel in an annotation of the
     * Pod, so that a test Pod needs no object beside it, and hold no secrets.
     */
    files: z.record(absolutePath, z.string().min(1)).superRefine(fewEntries).meta(FEW).default({}),
    /** How Kubernetes knows that the service is ready, and when it gives up. */
    probe: probeSchema.prefault({ tcp: true }),
    /** Where data lives; a volume is mounted there. */
    dataPath: mountPath,
    /** Further writable folders, on emptyDirs, since the root file system is read-only. */
    scratchPaths: z
      .array(mountPath)
      .max(...entries(MOST_EACH))
      .default(['/tmp']),
    /** Set where it asks nobody for a login. @default it is started with `{password}`, which a rule holds */
    login: z
      .strictObject({
        /** Why it cannot, and what keeps others out instead. */
        none: reason('gives no reason', 'Say in a sentence why, and what keeps others out instead.'),
      })
      .optional(),
    /** User id that the image's files allow. */
    runAsUser: z.number().int().min(1).max(2147483647),
    resources: resourcesSchema,
    /**
     * How its data is backed up and restored: commands inside its own container, with the container's environment. The
     * password is read from `/run/switchyard/password`, so that no command line shows it, and a rotation reaches it. @default not backed up, which a rule reports
     */
    backup: backupOfService.optional(),
    /**
     * How its password is changed while it serves: commands inside its own container, each given the new password on
     * its input; the one in use stands in `/run/switchyard/password`. @default `switchyard rotate` refuses the service
     */
    rotate: z
      .strictObject({
        /**
         * Variable of `moduleEnvironment` with the user's name, where the server knows one password for each user: two
         * take turns, `name` and `name_2`, and both commands are given the one whose turn it is and the other as further
         * arguments. Where it is not the first, `/run/switchyard/user` names the one in use. @default one user
         */
        alternates: variableOfContainer.optional(),
        /** Prints why this container cannot do it, or nothing; ends with 0. @default it can */
        check: argv.optional(),
        /** Has the server take the new password beside the old one, and ends with 0, also the second time. */
        admit: argv,
        /** Has the server take the new password and no other, and ends with 0, also the second time. */
        retire: argv,
      })
      .optional(),
  })
  .superRefine((service, context) => {
    const fault = (path: (string | number)[], what: string, remedy: string) =>
      context.addIssue({ code: 'custom', path, message: say(what, remedy) });

    const numbers = new Map<number, string>([[service.port, 'port']]);
    for (const [name, number] of Object.entries(service.ports)) {
      if (name === 'service') fault(['ports', name], 'is the name of the main port', 'Choose another name.');
      const other = numbers.get(number);
      if (other) fault(['ports', name], `is the same as ${other}`, 'Name each port once.');
      numbers.set(number, `ports.${name}`);
    }
    // A Pod takes each path once; below a file, and below the password's folder, which is read-only, there is no room.
    const files = Object.keys(service.files);
    const mounted = new Set<string>();
    for (const [place, path] of [
      [['dataPath'], service.dataPath] satisfies Mounted,
      ...service.scratchPaths.map((path, index): Mounted => [['scratchPaths', index], path]),
      ...files.map((path): Mounted => [['files', path], path]),
    ]) {
      const closed = [PASSWORD_FOLDER, ...files].find((above) => path.startsWith(`${above}/`));
      if (mounted.has(path)) fault(place, `"${path}" is mounted already`, 'Name each path once.');
      else if (path === PASSWORD_FOLDER || closed !== undefined)
        fault(
          place,
          `"${path}" is ${path === PASSWORD_FOLDER ? 'where its password lies' : `below ${closed}, where nothing can be mounted`}`,
          'Choose another path.',
        );
      mounted.add(path);
    }
    if ('http' in service.probe && service.probe.port && !Object.hasOwn(service.ports, service.probe.port)) {
      fault(['probe', 'port'], `"${service.probe.port}" is not a port of this service`, 'Add it to "ports".');
    }

    const texts: [(string | number)[], string][] = [
      ...(service.command ?? []).map((text, index): [(string | number)[], string] => [
        ['command', index],
        text,
      ]),
      ...(service.args ?? []).map((text, index): [(string | number)[], string] => [['args', index], text]),
      ...Object.entries(service.environment).map(([key, text]): [string[], string] => [
        ['environment', key],
        text,
      ]),
      ...Object.entries(service.moduleEnvironment).map(([key, text]): [string[], string] => [
        ['moduleEnvironment', key],
        text,
      ]),
    ];
    // Kubernetes fills a password in where it fills in variables: not in probes, and not in annotations.
    const open: [(string | number)[], string][] = [
      ...Object.entries(service.files).map(([key, text]): [string[], string] => [['files', key], text]),
      ...('exec' in service.probe
        ? service.probe.exec.map((text, index): [(string | number)[], string] => [
            ['probe', 'exec', index],
            text,
          ])
        : []),
    ];
    // They run as they stand: what they need is in the container's environment.
    const { backup, rotate } = service;
    const run: Readonly<Record<string, readonly string[] | undefined>> = {
      ...(backup && 'dump' in backup
        ? {
            'backup.dump': backup.dump,
            'backup.restore': backup.restore,
            'backup.restart': backup.restart,
            'backup.fingerprint': backup.fingerprint,
          }
        : {}),
      'rotate.check': rotate?.check,
      'rotate.admit': rotate?.admit,
      'rotate.retire': rotate?.retire,
    };
    for (const [part, words = []] of Object.entries(run)) {
      for (const [index, text] of words.entries()) {
        const found = /(?<!\$)\{(host|port|user|password|database)\}/.exec(text);
        if (found) {
          fault(
            [...part.split('.'), index],
            `names ${found[0]}, which nothing fills in there`,
            'Read it from a variable of "environment", in a shell.',
          );
        }
      }
    }
    const { alternates } = rotate ?? {};
    const name =
      alternates === undefined ? '' : new Map(Object.entries(service.moduleEnvironment)).get(alternates);
    if (name === undefined || /(?<!\$)\{password\}/.test(name)) {
      fault(
        ['rotate', 'alternates'],
        'is no variable of "moduleEnvironment" with a user\'s name',
        `Name one of ${Object.keys(service.moduleEnvironment).join(', ') || 'those that you add there'}.`,
      );
    }
    for (const [path, text] of [...texts, ...open]) {
      for (const [, word = ''] of text.matchAll(/(?<!\$)\{([A-Za-z]+)\}/g)) {
        if (!placeholders.some((known) => known === word)) {
          fault(path, `names {${word}}, which nothing fills in`, didYouMean(word, placeholders));
        }
      }
    }
    for (const [path, text] of open) {
      if (/(?<!\$)\{password\}/.test(text)) {
        fault(
          path,
          'would carry the password in the clear',
          'Read it from a variable of "environment" there.',
        );
      }
    }
  });

export type ModuleFile = z.infer<typeof moduleSchema>;
export type Scaling = z.infer<typeof scalingSchema>;
export type ServiceFile = z.infer<typeof serviceSchema>;
export type ServiceUseFile = z.infer<typeof serviceUseSchema>;
export type Resources = z.infer<typeof resourcesSchema>;
