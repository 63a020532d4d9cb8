import { z } from 'zod';
import { dnsLabel } from '../catalog/schema';

const say = (what: string, remedy: string): string => `${what} | ${remedy}`;
const httpUrl = z.url({
  protocol: /^https?$/,
  error: say('is not an http(s) URL', 'Write it whole, e.g. "https://gitlab.example.com".'),
});
const quantity = z
  .string()
  .regex(/^[1-9][0-9]*(Ki|Mi|Gi|Ti)$/, say('is not an amount of storage', 'Write "20Gi".'));
const registryAddress = z
  .string()
  .regex(
    /^[a-z0-9.-]+(:[0-9]+)?$/,
    say('is not a registry address', 'Write host or host:port, without a scheme.'),
  );

/** A cluster by role: a context of the ambient kubeconfig. The default provider is never used. */
const clusterSchema = z.strictObject({ context: z.string().min(1) });

/**
 * The typed config of one environment: what stands under `config:` in `stacks/Pulumi.<env>.yaml`, without the
 * `switchyard:` prefix. Secrets are not here: see `stacks/secrets.ts`.
 */
export const stackSchema = z.strictObject({
  /** Name of the environment; equals the stack's name. */
  environment: dnsLabel,
  /** Modules of this environment. @default all of the catalog */
  modules: z.array(dnsLabel).optional(),
  /** Pulumi's state backend, as `pulumi login` takes it. */
  backend: z.string().min(1),
  clusters: z.strictObject({ ci: clusterSchema, production: clusterSchema }),
  gitlab: z.strictObject({
    url: httpUrl,
    /** Path of the group that holds all projects. */
    group: dnsLabel.default('switchyard'),
    /** How merge requests are merged: GitLab's `merge_method`. */
    mergeMethod: z.enum(['merge', 'rebase_merge', 'ff']).default('merge'),
    /** Day on which the bot's token ends, `YYYY-MM-DD`; GitLab allows at most a year ahead. */
    botTokenExpires: z.iso.date({ error: say('is not a date', 'Write YYYY-MM-DD.') }),
  }),
  jenkins: z.strictObject({
    /** Address at which GitLab and people reach Jenkins. */
    url: httpUrl,
    nodePort: z.number().int().min(30000).max(32767).optional(),
    storage: quantity.default('20Gi'),
    resources: z
      .strictObject({ cpu: z.string(), memory: z.string(), memoryLimit: z.string() })
      .default({ cpu: '500m', memory: '1Gi', memoryLimit: '2Gi' }),
  }),
  registry: z.strictObject({
    /** Address by which nodes, builds and people name images. */
    address: registryAddress,
    /** `http` only inside a closed network. */
    scheme: z.enum(['https', 'http']).default('https'),
    nodePort: z.number().int().min(30000).max(32767).optional(),
    storage: quantity.default('100Gi'),
  }),
  /**
   * Environment variables of whoever runs `up` that deploy Pods need as well: credentials of the state backend, the
   * passphrase, the seed. They travel as one Secret.
   */
  deployEnvironment: z
    .array(
      z
        .string()
        .regex(
          /^[A-Z][A-Z0-9_]*$/,
          say('is not an environment variable name', 'Use capitals, digits and "_".'),
        ),
    )
    .default(['PULUMI_CONFIG_PASSPHRASE', 'SWITCHYARD_SEED']),
  /**
   * This repository as a project of the topology: its merge requests are previewed, and applied when merged.
   * @default off
   */
  topologyProject: z
    .strictObject({
      /** Path of the project in the group. */
      path: dnsLabel.default('topology'),
      /** Environments to preview and apply, in that order. @default this one */
      environments: z.array(dnsLabel).min(1, say('names no environment', 'Name at least one.')).optional(),
      /**
       * `automatic`: what is merged is applied, by a Pod that may change everything. `manual`: people run
       * `switchyard up`, and no such account exists.
       */
      apply: z
        .enum(['automatic', 'manual'], say('is neither automatic nor manual', 'Use one of the two.'))
        .default('automatic'),
    })
    .optional(),
  images: z
    .strictObject({
      /** Address put in front of every image that has none: a mirror or an air-gapped site changes this one key. */
      mirror: registryAddress.optional(),
      /** The mirror speaks plain http. */
      mirrorInsecure: z.boolean().default(false),
      /** Replacements by role (`jenkins`, `agent`, `registry`, `buildkit`, `robot`) or `kind:version` of a service. */
      replace: z.record(z.string(), z.string()).default({}),
    })
    .prefault({}),
});

export type StackSettings = z.infer<typeof stackSchema>;

/** Default images by role, and what for. Digests are for a mirror to pin: a stack may replace each. */
export const defaultImages = {
  /** Base of the Jenkins image that the topology builds. */
  jenkins: 'jenkins/jenkins:2.568.2-jdk21',
  /** Agent with Node 22, git, buildctl and the Pulumi CLI; base of the delivery image. */
  agent: 'switchyard/agent:1',
  registry: 'registry:3.1.2',
  buildkit: 'moby/buildkit:v0.34.2-rootless',
  robot: 'switchyard/robot:7.5',
} as const;

export type ImageRole = keyof typeof defaultImages;
