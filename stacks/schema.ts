import { z } from 'zod';
import { isClosedHost } from '../catalog/addresses';
import { didYouMean } from '../catalog/problems';
import { dnsLabel, projectName, readySeconds, watchSeconds, waysOut } from '../catalog/schema';
import {
  annotations,
  bytesOf,
  cpu,
  entries,
  FEW,
  fewEntries,
  fewPorts,
  imageName,
  ingressHost,
  isAddress,
  isNoAddress,
  isResolvable,
  limitsHold,
  MOST_EACH,
  MOST_WAYS,
  memory,
  namespaceName,
  subdomain,
  title,
} from '../catalog/shapes';
import { isOwnVariable, opensBackups } from '../catalog/variables';
import { backendFault } from './backend';
import { backupSchema, metricsSchema } from './backup';
import { clusterSchemas, isOneCluster } from './clusters';
import { gitlabSchema } from './gitlab';
import { isJenkinsOwn, loginSchema } from './login';
import { cronSchedule } from './schedule';
import { secretSources } from './secrets';
import { httpUrl, quantity, say, secretVariable, variableName, withoutSlashes } from './shapes';

/** What a derived secret is for: `service/orders/mysql`, `backup/key`, … */
const purpose = z
  .string()
  .regex(/^[a-z0-9-]+(\/[a-z0-9-]+)*$/, say('is no purpose of a secret', '"switchyard status" lists them.'));

const registryAddress = z
  .string()
  .regex(/^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*(?::[0-9]+)?$/, {
    error: say('is not a registry address', 'Write host or host:port, without a scheme.'),
    abort: true,
  })
  .refine(
    (address) => {
      const [host = '', port = '443'] = address.split(':');
      return isResolvable(host) && !isNoAddress(host) && Number(port) >= 1 && Number(port) <= 65_535;
    },
    {
      error: say('is not a registry address', 'Write host or host:port, with a port of 1 to 65535.'),
      abort: true,
    },
  )
  .refine(
    (address) => !isClosedHost(address.split(':', 1)[0] ?? ''),
    say('is link-local, or a metadata service', 'Write another address: no way leads there.'),
  )
  // splitDockerDomain of distribution/reference, by which Docker, containerd and the Docker provider go.
  .refine(
    (address) => /[.:]/.test(address) || address === 'localhost',
    say('is taken for a name on Docker Hub', 'Write it with its domain or its port: "registry:443".'),
  );

// Buckets as any store has them: Amazon's own names are shorter, and have less in them, than those of before 2018 and of others.
const bucketName = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]$/, {
  error: say('is not the name of a bucket', 'Use letters, digits, "-" and ".", 3 at least.'),
  abort: true,
});
const regionName = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/, {
  error: say('is not the name of a region', 'Write "eu-central-1".'),
  abort: true,
});

/**
 * A refinement: without an address of its own the bucket is Amazon's. The registry ends at its start where the region is
 * none of Amazon's (`FromParameters` of distribution's s3-aws driver); for names of buckets see
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html.
 */
function ofAmazon(
  { bucket, endpoint, region }: { bucket: string; endpoint?: string | undefined; region: string },
  context: z.RefinementCtx,
): void {
  if (endpoint !== undefined) return;
  const fault = (key: string, what: string, remedy: string): void =>
    context.addIssue({ code: 'custom', path: [key], message: say(what, remedy) });
  if (!/^[a-z]{2,3}(?:-[a-z]+)+-[0-9]$/.test(region))
    fault('region', "is no region of Amazon's", 'Write "eu-central-1", or the endpoint of another store.');
  if (!/^[a-z0-9-]+(?:\.[a-z0-9-]+)*$/.test(bucket) || bucket.length > 63)
    fault(
      'bucket',
      "is no name of a bucket of Amazon's",
      'Use at most 63 lower-case letters, digits, "-" and ".".',
    );
}

/** A backend as two that are one are written alike. */
const sameBackend = (url: string): string => {
  const [place = '', query = ''] = url.split('?', 2);
  return `${withoutSlashes(place)}?${query.split('&').sort().join('&')}`;
};

/** What becomes of data when what holds it leaves the topology. */
const onDelete = z
  .enum(['retain', 'delete'], say('is neither retain nor delete', 'Use one of the two.'))
  .default('retain');

const userName = z
  .string()
  .regex(/^[^\s:«»]+$/, say('is not a user name', 'Write it without spaces and ":".'));

/** A user of a registry that Switchyard did not make; the password comes in an environment variable. */
const registryLogin = z.strictObject({
  /** Name of the user. */
  user: userName,
  /** Environment variable that holds the password. */
  passwordFrom: secretVariable,
});
const existingRegistry = z.strictObject({
  /** Who may only pull: clusters and tests. */
  pull: registryLogin,
  /** Who may push as well: builds. */
  push: registryLogin,
  /** Path below which all our repositories stand, as a project of Harbor's or a group of GitLab's. @default none */
  path: z
    .string()
    .regex(
      /^[a-z0-9]+([._-]+[a-z0-9]+)*(\/[a-z0-9]+([._-]+[a-z0-9]+)*)*$/,
      say('is not a path in a registry', 'Write "platform" or "platform/ci", in lower case.'),
    )
    .optional(),
});

/** Where a registry was: its address, and the path in it that was ours. */
const formerRegistry = z.string().refine(
  (root) => {
    const [address = '', ...path] = root.split('/');
    const { path: rule } = existingRegistry.shape;
    return (
      registryAddress.safeParse(address).success &&
      rule.safeParse(path.length === 0 ? undefined : path.join('/')).success
    );
  },
  say('is not where a registry was', 'Write host, host:port or host:port/path, without a scheme.'),
);

/** Where in the ci cluster the existing Jenkins runs, and as whom it starts agents. */
const existingJenkins = z.strictObject({
  /** Namespace that Jenkins runs in. */
  namespace: namespaceName,
  /** Service account of the controller. */
  serviceAccount: subdomain.default('jenkins'),
  /** Address at which agents in the ci cluster reach it. @default `http://jenkins.<namespace>.svc:8080` */
  agentsUrl: httpUrl.optional(),
});

/** As whom the reconciler looks at builds, where the users of Jenkins are not ours to make. */
const jenkinsReader = z.strictObject({
  /**
   * A user who may read our jobs (Overall/Read, Job/Read), and needs no other right. With `login` a user of the provider's
   * who logged in once; `up` gives the right to read.
   */
  user: userName.refine(
    (name) => !isJenkinsOwn(name),
    say("is a name of Jenkins' own", 'Name a user who has an API token.'),
  ),
  /** Environment variable that holds an API token of that user. */
  tokenFrom: secretVariable,
});

/** A variable that reaches Pods which roll out or preview. */
const apartFromBackups = variableName.refine(
  (name) => !opensBackups(name),
  say(
    'opens the backups, which what rolls out must not reach',
    'Leave it out: restic has its key by itself.',
  ),
);

const backendUrl = z.string().superRefine((url, context) => {
  const fault = backendFault(url);
  if (fault) context.addIssue({ code: 'custom', message: say(fault.what, fault.remedy) });
});

/**
 * The typed config of one environment: what stands under `config:` in `stacks/Pulumi.<env>.yaml`, without the
 * `switchyard:` prefix. Secrets are not here: see `stacks/secrets.ts`.
 */
export const stackSchema = z
  .strictObject({
    /** Name of the environment; equals the stack's name. */
    environment: dnsLabel,
    /**
     * What stands before the name of each namespace, and of whatever else a cluster has once: an environment that shares
     * a cluster with another needs one. To change it later makes everything anew, data included. @default nothing
     */
    namespacePrefix: dnsLabel
      .max(12, say('is longer than 12 characters', 'Shorten it: it stands before names of up to 45.'))
      .optional(),
    /** Modules of this environment. @default all of the catalog */
    modules: z
      .array(dnsLabel)
      .max(...entries())
      .optional(),
    /** Pulumi's state backend, as `pulumi login` takes it: `file://`, `s3://`, `gs://`, `azblob://` or `https://`. */
    backend: backendUrl,
    /**
     * A second backend, another than the first, to which the state as it was is copied before each `up`, `destroy` and `refresh`. Best in another
     * account or region. @default a folder of whoever runs it, see docs/environments.md
     */
    stateCopies: backendUrl.optional(),
    /** Whoever changes this environment types its name first, unless they say `--yes`: set it for production. */
    confirm: z.boolean().default(false),
    /** The clusters by role. */
    clusters: clusterSchemas,
    /** Where the code is. */
    gitlab: gitlabSchema,
    /** Where merge requests are built, tested and merged. */
    jenkins: z
      .strictObject({
        /** Address at which GitLab and people reach Jenkins. */
        url: httpUrl,
        /** A Jenkins that is there already: see docs/adopting.md for what stays with its owner. @default one is made */
        existing: existingJenkins.optional(),
        /** Port on every node, for sites without an ingress controller (30000–32767). */
        nodePort: z.number().int().min(30000).max(32767).optional(),
        /** An ingress that leads `url` to Jenkins. @default none: something of the site's own does */
        ingress: z
          .strictObject({
            /** Host of `url`. */
            host: ingressHost,
            /** @default the cluster's default ingress class */
            className: subdomain.optional(),
            /** TLS Secret of the namespace `ci`; cert-manager makes it if `annotations` ask for it. */
            tlsSecret: subdomain.optional(),
            /** Further annotations, for the ingress controller or cert-manager. */
            annotations,
            /** Namespace of the ingress controller: besides agents the only one that may reach Jenkins. */
            namespace: namespaceName.default('ingress-nginx'),
          })
          .optional(),
        /** Size of Jenkins' home: build history, logs, archived results. */
        storage: quantity.default('20Gi'),
        /** Class of that volume; one with `reclaimPolicy: Retain` survives even its claim. @default the cluster's */
        storageClass: subdomain.optional(),
        /** `retain`: no `destroy` deletes Jenkins' home; it stops and says so. `delete`: it goes with the rest. */
        onDelete,
        /**
         * People log in as themselves, and are what their groups make them. The user `admin` is for emergencies then.
         * @default one user, `admin`, whom all share
         */
        login: loginSchema.optional(),
        /**
         * As whom the reconciler looks at builds, beside `existing` or with `login`, where `anonymousRead` does not hold.
         * @default there is no reconciler then: a lost hook starts nothing, and no merge queue is kept
         */
        reader: jenkinsReader.optional(),
        /** Whether who is not logged in may read jobs and logs; of a Jenkins that is there already: whether its owner lets them. */
        anonymousRead: z.boolean().default(false),
        /** Whether a node's drain may evict Jenkins without being asked; running stages lose their controller. */
        evictable: z.boolean().default(false),
        /** Metrics for Prometheus, readable by whoever reaches Jenkins. @default none */
        metrics: z
          .strictObject({
            /** Namespace that Prometheus runs in, which may reach Jenkins. */
            namespace: namespaceName.default('monitoring'),
          })
          .optional(),
        /** Agent Pods at a time, test Pods among them: a build holds one while it waits for a second. */
        maximumAgents: z
          .number()
          .int()
          .min(2, {
            error: say(
              'is too few agents for any build: each holds one while it waits for a second',
              'Write 2 or more.',
            ),
          })
          .max(1000)
          .default(20),
        /** What Jenkins asks of its node. */
        resources: z
          .strictObject({
            /** CPU that it asks for, as in `500m`. */
            cpu,
            /** Memory that it asks for, as in `1Gi`. */
            memory,
            /** Memory that it never goes beyond. */
            memoryLimit: memory,
          })
          .superRefine(limitsHold)
          .default({ cpu: '500m', memory: '1Gi', memoryLimit: '2Gi' }),
        /** Disk that one image build may fill; it goes with the build. An image that unpacks to more is not taken. */
        buildCache: quantity.default('20Gi'),
        /**
         * What image builds may reach besides DNS, Jenkins and the registry of base images: address ranges and TCP ports,
         * package registries say. A range that holds private ones means the public addresses beside them; link-local
         * addresses are never reached. @default nothing where `images.mirror` is an address, else public addresses at 443
         */
        buildEgress: waysOut.optional(),
      })
      .superRefine(({ url, ingress, login, existing, reader }, context) => {
        if (reader && !login && !existing) {
          context.addIssue({
            code: 'custom',
            path: ['reader'],
            message: say(
              'is of no use: this Jenkins has a user for the reconciler',
              'Leave it out; it is for a Jenkins with "existing" or "login".',
            ),
          });
        }
        if (reader && login && reader.user.toLowerCase() === 'admin') {
          context.addIssue({
            code: 'custom',
            path: ['reader', 'user'],
            message: say('is the user for emergencies', 'Name a user of the provider who may only read.'),
          });
        }
        if (login && existing) {
          context.addIssue({
            code: 'custom',
            path: ['login'],
            message: say('is of a Jenkins that is there already', 'Leave it to the owner of that Jenkins.'),
          });
        }
        if (!ingress || !URL.canParse(url)) return;
        const { hostname, protocol } = new URL(url);
        if (ingressHost.safeParse(ingress.host).success && ingress.host !== hostname) {
          context.addIssue({
            code: 'custom',
            path: ['ingress', 'host'],
            message: say(`is not the host of url, "${hostname}"`, 'Make the two agree.'),
          });
        }
        if (protocol === 'http:' && ingress.tlsSecret) {
          context.addIssue({
            code: 'custom',
            path: ['url'],
            message: say('is http, but the ingress has a certificate', 'Write https.'),
          });
        }
      }),
    /** Where images are kept. */
    registry: z
      .strictObject({
        /** Address by which nodes, builds and people name images. */
        address: registryAddress,
        /** `http` only inside a closed network. */
        scheme: z.enum(['https', 'http']).default('https'),
        /**
         * TLS Secret of the namespace `registry`, served by the proxy in the registry's Pod; a renewed one at the next
         * connection. @default something before it ends TLS
         */
        tlsSecret: subdomain.optional(),
        /** An ingress that leads `address` to the registry. @default none: something of the site's own does */
        ingress: z
          .strictObject({
            /** @default the cluster's default ingress class */
            className: subdomain.optional(),
            /** TLS Secret of the namespace `registry`; cert-manager makes it if `annotations` ask for it. */
            tlsSecret: subdomain.optional(),
            /** Further annotations, e.g. the controller's limit on the size of a request. */
            annotations,
          })
          .optional(),
        /** Port on every node, for sites without an ingress controller (30000–32767). */
        nodePort: z.number().int().min(30000).max(32767).optional(),
        /**
         * `separate`: a proxy before the registry lets each user do what is theirs. `shared`: none, unless it ends TLS by
         * `tlsSecret`; then every user may do everything, since the registry's own htpasswd knows no rights, and builds
         * have no login: they start from images that anybody may read.
         */
        access: z
          .enum(['separate', 'shared'], say('is neither separate nor shared', 'Use one of the two.'))
          .default('separate'),
        /** Size of the volume for images; unused with `s3`. */
        storage: quantity.default('100Gi'),
        /** Class of that volume. @default the cluster's */
        storageClass: subdomain.optional(),
        /** Keep images in a bucket of S3 or the like. @default a volume */
        s3: z
          .strictObject({
            /** Name of the bucket. */
            bucket: bucketName,
            /** Region of the bucket; of Amazon's one of its own, unless `endpoint` is given. */
            region: regionName,
            /** Address of a store that is not Amazon's. */
            endpoint: httpUrl.optional(),
            /** Folder in the bucket. @default its root */
            folder: title.optional(),
            /**
             * Environment variables of whoever runs `up` that hold the keys. @default none: no Pod reaches what tells nodes
             * who they are
             */
            credentialsFrom: z
              .strictObject({ accessKey: secretVariable, secretKey: secretVariable })
              .optional(),
          })
          .superRefine(ofAmazon)
          .optional(),
        /** What image builds may bring into it: whoever opens merge requests decides what they hand over. */
        builds: z
          .strictObject({
            /** Image and cache that one build may hand over, together; they wait on the disk of its `delivery` agent. */
            each: quantity.default('4Gi'),
            /**
             * What images and caches of one module's merge requests may take, releases apart, until their `retention.days`
             * are over: a build that would go beyond it fails.
             */
            unreleased: quantity.default('16Gi'),
          })
          .superRefine(({ each, unreleased }, context) => {
            if (bytesOf(each) <= bytesOf(unreleased)) return;
            context.addIssue({
              code: 'custom',
              path: ['each'],
              message: say(
                `is more than unreleased, "${unreleased}", which all builds of a module share`,
                'Lower it, or raise unreleased.',
              ),
            });
          })
          .prefault({}),
        /** `retain`: no `destroy` deletes the volume of images; it stops and says so. */
        onDelete,
        /** When images go that no ledger names. Whatever a ledger names stays. */
        retention: z
          .strictObject({
            /** Days that a merge request's images stay after it was merged or closed. */
            days: z.number().int().min(1).max(3650).default(30),
            /** Days that a release stays after the ledger last named it: as far back as a rollback may go. */
            releaseDays: z.number().int().min(1).max(3650).default(365),
            /** Five cron fields, UTC. The registry restarts when something was removed. */
            schedule: cronSchedule.default('17 3 * * *'),
          })
          .prefault({}),
        /**
         * Addresses that it had before, each with the path where it was an existing one's: modules may run images from
         * there until they are released anew.
         */
        movedFrom: z
          .array(formerRegistry)
          .max(...entries(MOST_EACH))
          .default([]),
        /** A registry that is there already, at `address`: whom to log in as. @default one is made */
        existing: existingRegistry.optional(),
      })
      .superRefine(({ address, scheme, tlsSecret, ingress }, context) => {
        if (ingress && isAddress(address.split(':', 1)[0] ?? '')) {
          context.addIssue({
            code: 'custom',
            path: ['ingress'],
            message: say(`goes by names, and address is "${address}"`, 'Write a name as address.'),
          });
        }
        const secret = tlsSecret ? ['tlsSecret'] : ingress?.tlsSecret ? ['ingress', 'tlsSecret'] : undefined;
        if (scheme === 'http' && secret) {
          context.addIssue({
            code: 'custom',
            path: secret,
            message: say('is a certificate, but scheme is http', 'Write scheme: https, or leave it out.'),
          });
        }
        if (tlsSecret && ingress) {
          context.addIssue({
            code: 'custom',
            path: ['tlsSecret'],
            message: say('and ingress would both end TLS', 'Name the certificate in ingress.tlsSecret.'),
          });
        }
      }),
    /** What tests get. */
    testing: z
      .strictObject({
        /** Test Pods of one module at a time: what its namespace's quota holds. */
        parallel: z.number().int().min(1).max(100).default(8),
        /** How often what has passed its `switchyard.dev/expires` is removed: five cron fields, UTC. */
        reaper: cronSchedule.default('*/15 * * * *'),
        /**
         * Minutes that a test Pod may say that it cannot start (image, configuration, crashes) before its build ends red. One
         * that is slow (a large image, no node with room) has three times as long.
         */
        startMinutes: z.number().int().min(1).max(10).default(5),
      })
      .prefault({}),
    /** What holds for all modules of production. */
    production: z
      .strictObject({
        /** `retain`: a removed module's databases stay until somebody unprotects them; `delete`: they go with it. */
        onDelete,
        /** Class of the services' volumes. @default the cluster's */
        storageClass: subdomain.optional(),
        /** Whether production may push tests and builds off a full node that they share. */
        preempt: z.boolean().default(false),
        /** Seconds without progress after which a rollout is undone; a module's own wins. */
        readySeconds: readySeconds.default(300),
        /** Seconds that a rollout must serve without a crash, else it is undone; a module's own wins. */
        watchSeconds: watchSeconds.default(10),
      })
      .prefault({}),
    /**
     * Environment variables of whoever runs `up` that deploy Pods need as well: credentials of the state backend, the
     * passwords of existing services. They travel as one Secret. In the place of the seed and the passphrase a deploy gets
     * what is its module's own.
     */
    deployEnvironment: z
      .array(apartFromBackups)
      .max(...entries())
      .default(['PULUMI_CONFIG_PASSPHRASE', 'SWITCHYARD_SEED']),
    /**
     * This repository as a project of the topology: its merge requests are previewed, and applied when merged
     * (docs/previews.md). @default off
     */
    topologyProject: z
      .strictObject({
        /** Path of the project in the group. */
        path: projectName.default('topology'),
        /** Environments to preview and apply, in that order. @default this one */
        environments: z
          .array(dnsLabel)
          .min(1, say('names no environment', 'Name at least one.'))
          .max(...entries(MOST_EACH))
          .optional(),
        /**
         * What each of the other environments is previewed and applied with. Its Pods get this, and nothing of this
         * environment's.
         */
        credentials: z
          .record(
            dnsLabel,
            z.strictObject({
              /** Variable that `up` of that environment needs: variable of whoever runs `up` of this one that holds it. */
              variables: z
                .record(
                  apartFromBackups,
                  // The token of a GitLab that both share may be one; what opens this environment's state is its own.
                  variableName.refine(
                    (name) => name === secretSources.gitlabToken || !isOwnVariable(name),
                    say("is this environment's own", 'Give the other one a variable with its own value.'),
                  ),
                )
                .superRefine(fewEntries)
                .meta(FEW)
                .default({}),
              /** Variable that holds a kubeconfig for previews: an account that only reads, and no Secrets. */
              previewKubeconfig: secretVariable,
              /** Variable that holds a kubeconfig for applying. @default none: needed only where `apply` is automatic */
              applyKubeconfig: secretVariable.optional(),
            }),
          )
          .superRefine(fewEntries)
          .meta(FEW)
          .default({}),
        /**
         * `automatic`: what is merged is applied, by a Pod that may change everything. `manual`: people run
         * `switchyard up`, and no such account exists.
         */
        apply: z
          .enum(['automatic', 'manual'], say('is neither automatic nor manual', 'Use one of the two.'))
          .default('automatic'),
        /** When a job looks for drift: five cron fields, UTC. */
        drift: cronSchedule.default('47 3 * * *'),
      })
      .optional(),
    /**
     * Environment whose `topologyProject` previews and applies this one (docs/previews.md). @default none but, with a
     * topologyProject, this one
     */
    previewedBy: dnsLabel.optional(),
    /**
     * Releases come from another environment, when people say so (`switchyard promote`, docs/production.md). What is merged is
     * tested and released there, and neither here. @default what is merged is released here
     */
    promotion: z
      .strictObject({
        /** The environment that tests what is merged: of the same GitLab, with a registry of its own. */
        from: dnsLabel,
        /** Environment variable of whoever promotes that holds that environment's seed. @default they have one seed */
        seedFrom: secretVariable.optional(),
      })
      .optional(),
    /** Copies of what is not code, for a rebuild (docs/components/backup.md). @default none is made */
    backup: backupSchema.optional(),
    /**
     * Which derived secrets are in use; `switchyard rotate` writes it (docs/decisions/0012-secrets-have-versions.md).
     * @default the first of each
     */
    secrets: z
      .strictObject({
        /** Purpose of a secret → its version, where that is not 1. */
        versions: z.record(purpose, z.number().int().min(1).max(1_000_000)).default({}),
        // As many as the environment has secrets: `rotate` writes both, and no person.
        /** Purposes whose rotation has begun and not ended. */
        rotating: z.array(purpose).default([]),
      })
      .prefault({}),
    /** How modules with `production.scaling` are measured (docs/autoscaling.md). */
    autoscaling: z
      .strictObject({
        /**
         * A Prometheus and an adapter that the production cluster has already; the adapter's rule is in
         * docs/autoscaling.md. @default both are made, which a cluster can have once
         */
        existing: z
          .strictObject({
            /** Namespace that its Prometheus runs in, which is all that may ask the Pods for metrics. */
            namespace: namespaceName,
          })
          .optional(),
      })
      .prefault({}),
    /** Where the jobs of the topology report their metrics. @default nowhere */
    metrics: metricsSchema.optional(),
    /**
     * Where else in the ci cluster Jenkins, its agents that run no foreign code, retention and backups may connect to.
     * A GitLab, a registry or a store that stands in that cluster itself needs it: network policies see the Pods behind
     * its address. @default nowhere
     */
    egress: z
      .array(
        z.strictObject({
          /** Namespace of the Pods. */
          namespace: namespaceName,
          /** TCP ports that the Pods themselves listen at, whatever their Service has. */
          ports: z
            .array(z.number().int().min(1).max(65_535))
            .min(1)
            .max(...entries(MOST_EACH)),
        }),
      )
      .max(...entries(MOST_WAYS))
      .superRefine(fewPorts)
      .default([]),
    /** Where images come from. */
    images: z
      .strictObject({
        /**
         * Address put in front of every image that has none: a mirror or an air-gapped site changes this one key. Builds, whose
         * code is foreign, reach it without a login, so it must refuse whoever pushes without one; `up` asks it.
         */
        mirror: registryAddress.optional(),
        /** The mirror speaks plain http. */
        mirrorInsecure: z.boolean().default(false),
        /** Replacements by role (`jenkins`, `inboundAgent`, `agent`, `registry`, `registryProxy`, `buildkit`, `haproxy`, `busybox`, `prometheus`, `prometheusAdapter`, `robot`) or `kind:version` of a service. */
        replace: z
          .record(z.string(), imageName)
          .superRefine(fewEntries)
          .meta(FEW)
          .superRefine((given, context) => {
            const known = Object.keys(defaultImages);
            for (const role of Object.keys(given)) {
              // Whether the catalog has that service and version is told where both are known.
              if (known.includes(role) || /^[^:]+:./.test(role)) continue;
              context.addIssue({
                code: 'custom',
                path: [role],
                message: say('is neither a role nor "kind:version" of a service', didYouMean(role, known)),
              });
            }
          })
          .default({}),
      })
      .prefault({}),
  })
  .superRefine(({ backend, stateCopies }, context) => {
    if (stateCopies === undefined || sameBackend(stateCopies) !== sameBackend(backend)) return;
    context.addIssue({
      code: 'custom',
      path: ['stateCopies'],
      message: say('is backend itself', 'Name another folder or bucket: a copy there is the state itself.'),
    });
  })
  .superRefine(({ backup, deployEnvironment }, context) => {
    for (const [key, variable] of Object.entries(backup?.credentialsFrom ?? {})) {
      // One of the topology itself was told already.
      if (isOwnVariable(variable) || !deployEnvironment.includes(variable)) continue;
      context.addIssue({
        code: 'custom',
        path: ['backup', 'credentialsFrom', key],
        message: say(
          `is ${variable}, which deployEnvironment gives to deploy Pods: they could delete the backups`,
          'Keep backups with credentials of their own.',
        ),
      });
    }
  })
  .superRefine(({ deployEnvironment, promotion }, context) => {
    if (!promotion?.seedFrom || !deployEnvironment.includes(promotion.seedFrom)) return;
    context.addIssue({
      code: 'custom',
      path: ['promotion', 'seedFrom'],
      message: say(
        `is ${promotion.seedFrom}, which deployEnvironment gives to deploy Pods`,
        "Leave it out there: only whoever promotes needs another environment's seed.",
      ),
    });
  })
  .superRefine(({ backup, clusters }, context) => {
    if (!backup?.claim || isOneCluster(clusters)) return;
    context.addIssue({
      code: 'custom',
      path: ['backup', 'claim'],
      message: say(
        'is a volume of one cluster, but databases run in another',
        'Name a bucket as repository instead.',
      ),
    });
  });

export type StackSettings = z.infer<typeof stackSchema>;

/**
 * Default images by role, and what for; a stack may replace each. The digest is that of the index of all platforms. Those
 * without one: `test/ci/supply.test.ts` says why.
 */
export const defaultImages = {
  /** Base of the Jenkins image that the topology builds. */
  jenkins:
    'jenkins/jenkins:2.568.3-jdk21@sha256:c1e4c349365f6d16d88595b2c5f7e8ff39b8ae1d061f62420bac193b4b9616d0',
  /** Jenkins' own inbound agent, beside whatever else an agent's Pod runs. */
  inboundAgent:
    'jenkins/inbound-agent:3355.v388858a_47b_33-14-jdk21@sha256:c3d5dd3c9ca922032daccf8c6226cb877a13b45a4e2e3953c443b4aa9af55e81',
  /** Base of the delivery image: Node 22, git, restic, buildctl, kubectl and the Pulumi CLI; no Java. Recipe: delivery/image/agent.Dockerfile. */
  agent: 'switchyard/agent:1',
  registry: 'registry:3.1.2@sha256:ddf754342cfc8acc51a56d5d0ab6af06826461864460636d8bd5c546dab2a7b8',
  /** nginx without root, for `registry.access: separate` and `registry.tlsSecret`. */
  registryProxy:
    'nginxinc/nginx-unprivileged:1.28.0@sha256:fb17edf0ea5eeea200ca39312e0aa2d4a443c7d2e979cd4ba02e1ba7725c23b4',
  buildkit: 'moby/buildkit:v0.34.2-rootless',
  /** Counts the requests of modules with `production.scaling`, in their own Pods. */
  haproxy: 'haproxy:3.0.20-alpine',
  /** Waits for a module's services before `production.migrate`. */
  busybox: 'busybox:1.37.0@sha256:9db7b59979c38555a39def84a31fb98b5296952f9e3afd4f6f11f05b07adfab0',
  /** What autoscalers ask: made where a module has `production.scaling`. */
  prometheus:
    'prom/prometheus:v3.5.3@sha256:ddc2493835a1509976d5e4e0c94199c4f843ce1f42dd6bcfc8231ba734a93ff7',
  prometheusAdapter: 'registry.k8s.io/prometheus-adapter/prometheus-adapter:v0.12.0',
  /** Robot Framework with its libraries, tar and gzip. Recipe: delivery/image/robot.Dockerfile. */
  robot: 'switchyard/robot:7.5',
} as const;

export type ImageRole = keyof typeof defaultImages;
