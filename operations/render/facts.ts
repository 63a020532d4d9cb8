import { entryOf } from '../../catalog/entry';
import type { Module, ServiceUse } from '../../catalog/load';
import type { Resources } from '../../catalog/schema';
import { dumpedServices, serviceOf } from '../../catalog/services';
import { STATUS_NAME } from '../../catalog/status';
import type { BoxDeclaration } from '../../components/boxes';
import { hookUrl } from '../../components/gitlab/hooks';
import type { Model } from '../../components/model';
import type { Declaration } from '../../components/shared/declaration';
import { names } from '../../components/shared/naming';
import { type Reference, referencesIn } from '../../components/shared/references';
import { backupKinds } from '../../components/specs/backup';
import { at, type Fields, fields, list, number, push, text } from '../../rules/facts/read';
import { backupRepository } from '../../stacks/backup';
import { isOneCluster } from '../../stacks/clusters';
import { jobFolder, projectPath } from '../../stacks/gitlab';
import { resolveImage } from '../../stacks/load';
import { keepsQueue } from '../../stacks/merge-queue';
import { namespacesOf } from '../../stacks/namespaces';
import { repositoryRoot } from '../../stacks/registry';
import { neededSecrets, stackVariables } from '../../stacks/secrets';
import { objectName, typeOf } from './manifests';
import { policyWords } from './policies';

/** Another environment of the same repository, as far as its stack file tells. */
export interface OtherEnvironment {
  readonly name: string;
  readonly modules: readonly string[];
  readonly clusters: { readonly ci: string; readonly production: string };
  readonly group: string;
  readonly gitlab: string;
  readonly jenkins: string;
}

/** What a namespace may hold at most. */
export interface QuotaFacts {
  readonly pods: string;
  readonly cpu: string;
  readonly memory: string;
  readonly claims: string;
}

/** A Secret: what it is called and where its values come from, and no value. */
export interface SecretFacts {
  readonly name: string;
  readonly namespace: string;
  readonly keys: readonly string[];
  readonly origins: readonly string[];
}

export interface ContainerFacts {
  readonly name: string;
  readonly image: string;
  /** In words; empty where the namespace's defaults hold. */
  readonly resources: string;
}

/** Something that runs Pods. */
export interface WorkloadFacts {
  readonly kind: string;
  readonly name: string;
  /** `2 Pods`, or when it runs. */
  readonly runs: string;
  readonly containers: readonly ContainerFacts[];
  /** Sizes of its volumes. */
  readonly storage: readonly string[];
}

/** One namespace of a cluster with all that people ask of it. */
export interface SpaceFacts {
  readonly name: string;
  readonly cluster: string;
  /** Pod Security level. */
  readonly level: string;
  readonly quota: QuotaFacts | undefined;
  readonly isolation: readonly string[];
  readonly secrets: readonly SecretFacts[];
  readonly workloads: readonly WorkloadFacts[];
}

export interface ServiceFacts {
  readonly name: string;
  readonly kind: string;
  readonly version: string;
  /** Version of production where it is another, and why. */
  readonly other?: { readonly version: string; readonly reason: string };
  readonly image: string;
  readonly resources: string;
  readonly storage: string;
  /** Where production's answers. */
  readonly address: string;
  /** Whether it stands already, and nothing is made. */
  readonly existing: boolean;
  readonly backup: string;
}

export interface ModuleFacts {
  readonly name: string;
  readonly description: string;
  readonly owners: readonly string[];
  readonly merge: Module['merge'];
  readonly replicas: number;
  /** Most Pods, where an autoscaler sets their number; `replicas` are the fewest then. */
  readonly most?: number;
  readonly port: number;
  readonly probes: Module['probes'];
  readonly resources: string;
  readonly variables: readonly string[];
  /** How it is reached from outside: `node port 30081`, `https://orders.example.com/`; empty: not at all. */
  readonly reached: readonly string[];
  readonly address: string;
  /** Names of the environments that have it, this one first. */
  readonly environments: readonly string[];
  readonly project: string;
  readonly projectUrl: string;
  readonly hook: string;
  readonly job: string;
  readonly jobUrl: string;
  /** Repository of its images. */
  readonly repository: string;
  /** Digest and commit that the ledger names, where it was read. */
  readonly released?: { readonly digest: string; readonly commit: string };
  readonly tests: Module['test'];
  readonly services: readonly ServiceFacts[];
  readonly test: SpaceFacts;
  readonly production: SpaceFacts;
  readonly boxes: readonly BoxDeclaration[];
}

/** One of the parts that all modules share. */
export interface PartFacts {
  readonly box: string;
  readonly title: string;
  readonly address: string;
  readonly lines: readonly string[];
  readonly spaces: readonly SpaceFacts[];
  readonly boxes: readonly BoxDeclaration[];
}

/** A secret that people bring. */
export interface BroughtSecret {
  readonly variable: string;
  readonly place: string;
}

export interface BackupFacts {
  readonly repository: string;
  readonly schedule: string;
  readonly verify: string;
  readonly kinds: readonly string[];
  readonly keep: string;
  readonly targets: string;
  readonly afterReleases: boolean;
}

/** What the picture and the page tell, as plain data. */
export interface Site {
  /** `lab`, or `orders in lab`. */
  readonly title: string;
  readonly environment: string;
  /** Environment whose releases are promoted into this one; undefined where what is merged is released. */
  readonly promotedFrom: string | undefined;
  readonly about: readonly string[];
  /** Whether this is one module's render: what all share is not in it. */
  readonly single: boolean;
  readonly clusters: { readonly ci: string; readonly production: string; readonly one: boolean };
  readonly gitlab: { readonly url: string; readonly group: string; readonly groupExists: boolean };
  readonly jenkins: { readonly url: string; readonly folder: string };
  readonly registry: { readonly url: string };
  readonly namespaces: ReturnType<typeof namespacesOf>;
  readonly parallel: number;
  readonly ledger: string;
  readonly status: string;
  readonly resources: number;
  readonly modules: readonly ModuleFacts[];
  readonly parts: readonly PartFacts[];
  readonly backup: BackupFacts | undefined;
  readonly brought: readonly BroughtSecret[];
  readonly others: readonly OtherEnvironment[];
}

export const counted = (number: number, what: string): string =>
  `${number} ${what}${number === 1 ? '' : 's'}`;

/** `2 Pods`, or `2–20 Pods` where an autoscaler sets their number. */
export const podsOf = ({ replicas, most }: Pick<ModuleFacts, 'replicas' | 'most'>): string =>
  most === undefined || most === replicas ? counted(replicas, 'Pod') : `${replicas}–${most} Pods`;

const unique = <T>(values: readonly T[]): T[] => [...new Set(values)];

/** Requests and limits in words: `25m CPU, 64Mi; at most 128Mi`. */
const resourceWords = ({ cpu, memory, cpuLimit, memoryLimit }: Resources): string =>
  `${cpu} CPU, ${memory} memory; at most ${[cpuLimit && `${cpuLimit} CPU`, memoryLimit ?? memory].filter(Boolean).join(', ')}`;

/** The same of a container's `resources`. */
function containerWords(container: unknown): string {
  const of = (kind: string): string[] => {
    const cpu = text(container, 'resources', kind, 'cpu');
    const memory = text(container, 'resources', kind, 'memory');
    return [...(cpu ? [`${cpu} CPU`] : []), ...(memory ? [`${memory} memory`] : [])];
  };
  const limits = of('limits').map((limit) => limit.replace(' memory', ''));
  return [of('requests').join(', '), limits.length > 0 ? `at most ${limits.join(', ')}` : '']
    .filter(Boolean)
    .join('; ');
}

/** A container's image by name, or which of the topology's own it is. */
function imageWords(container: unknown): string {
  const image = at(container, 'image');
  const built = referencesIn([image]).find((reference) => reference.kind === 'output');
  return built ? `built here: ${built.resource}` : (text(container, 'image') ?? '');
}

const originOf = (reference: Reference): string => {
  switch (reference.kind) {
    case 'given':
      return `variable ${reference.name}`;
    case 'output':
      return `issued for ${reference.resource}`;
    case 'found':
      return `looked up: ${reference.what}`;
    default:
      return 'derived from the seed';
  }
};

function secretFacts(declaration: Declaration): SecretFacts {
  const { args } = declaration;
  const { name = declaration.name, namespace = '' } = objectName(declaration);
  const values = { ...fields(args, 'data'), ...fields(args, 'stringData') };
  const origins = unique(referencesIn(Object.values(values)).map(originOf));
  return { name, namespace, keys: Object.keys(values).sort(), origins: origins.sort() };
}

const WORKLOADS = ['Deployment', 'StatefulSet', 'CronJob', 'Job'];

function runsOf(kind: string, spec: Fields): string {
  if (kind === 'CronJob') return `at ${text(spec, 'schedule')} UTC`;
  return kind === 'Job' ? 'once' : counted(number(spec, 'replicas') ?? 1, 'Pod');
}

function workloadFacts(declaration: Declaration): WorkloadFacts {
  const { args } = declaration;
  const { kind } = typeOf(declaration);
  const spec = fields(args, 'spec');
  const pod =
    kind === 'CronJob'
      ? fields(spec, 'jobTemplate', 'spec', 'template', 'spec')
      : fields(spec, 'template', 'spec');
  return {
    kind,
    name: objectName(declaration).name ?? declaration.name,
    runs: runsOf(kind, spec),
    containers: [...list(pod, 'initContainers'), ...list(pod, 'containers')].map((container) => ({
      name: text(container, 'name') ?? '',
      image: imageWords(container),
      resources: containerWords(container),
    })),
    storage: list(spec, 'volumeClaimTemplates').flatMap(
      (claim) => text(claim, 'spec', 'resources', 'requests', 'storage') ?? [],
    ),
  };
}

function quotaFacts(declaration: Declaration | undefined): QuotaFacts | undefined {
  if (!declaration) return undefined;
  const hard = fields(declaration.args, 'spec', 'hard');
  const of = (key: string): string => String(hard[key] ?? 'no limit');
  return {
    pods: of('pods'),
    cpu: of('requests.cpu'),
    memory: of('requests.memory'),
    claims: of('persistentvolumeclaims'),
  };
}

/** Every namespace that boxes make, with what stands in it. */
function spacesOf(model: Model, boxes: readonly BoxDeclaration[]): SpaceFacts[] {
  const within = new Map<string, Declaration[]>();
  const made: Declaration[] = [];
  for (const { declarations } of boxes) {
    for (const declaration of declarations) {
      if (declaration.type === 'kubernetes:core/v1:Namespace') made.push(declaration);
      const { namespace } = objectName(declaration);
      if (namespace !== undefined) push(within, `${declaration.provider} ${namespace}`, declaration);
    }
  }
  return made.map((declaration): SpaceFacts => {
    const { name = '' } = objectName(declaration);
    const inside = within.get(`${declaration.provider} ${name}`) ?? [];
    const ofKind = (...kinds: readonly string[]) => inside.filter((one) => kinds.includes(typeOf(one).kind));
    const labels = fields(declaration.args, 'metadata', 'labels');
    return {
      name,
      cluster: model.settings.clusters[declaration.provider === 'production' ? 'production' : 'ci'].context,
      level: String(labels['pod-security.kubernetes.io/enforce'] ?? 'none'),
      quota: quotaFacts(
        ofKind('ResourceQuota').find(({ args }) => !Object.hasOwn(fields(args, 'spec'), 'scopes')),
      ),
      isolation: policyWords(ofKind('NetworkPolicy').map(({ args }) => args)),
      secrets: ofKind('Secret').map(secretFacts),
      workloads: ofKind(...WORKLOADS).map(workloadFacts),
    };
  });
}

function serviceFacts(model: Model, module: Module, use: ServiceUse): ServiceFacts {
  const service = serviceOf(model.catalog.services, use);
  const { existing } = use;
  const dumped = dumpedServices(model.catalog.services, module).includes(use);
  const backup = service.backup;
  const version = use.production?.version ?? use.version;
  return {
    name: use.name,
    kind: use.kind,
    version: use.version,
    ...(use.production ? { other: use.production } : {}),
    image: resolveImage(model.settings, `${use.kind}:${version}`, service.versions[version]?.image ?? ''),
    resources: resourceWords(use.resources ?? service.resources),
    storage: existing ? '' : use.storage,
    address: `${existing?.host ?? `${use.name}.${namespacesOf(model.settings).production(module.name)}.svc`}:${existing?.port ?? service.port}`,
    existing: existing !== undefined,
    backup: existing
      ? "its owner's matter"
      : !model.settings.backup
        ? 'none: this environment makes no backups'
        : dumped
          ? 'dumped'
          : backup && 'none' in backup
            ? `none: ${backup.none}`
            : 'none',
  };
}

const NOWHERE: SpaceFacts = {
  name: '',
  cluster: '',
  level: '',
  quota: undefined,
  isolation: [],
  secrets: [],
  workloads: [],
};

function moduleFacts(
  model: Model,
  module: Module,
  boxes: readonly BoxDeclaration[],
  others: readonly OtherEnvironment[],
): ModuleFacts {
  const { settings } = model;
  const spaces = namespacesOf(settings);
  const inBox = (box: string, name: string): SpaceFacts =>
    spacesOf(
      model,
      boxes.filter((one) => one.box === box),
    ).find((space) => space.name === name) ?? { ...NOWHERE, name };
  const { ingress, nodePort, replicas, scaling } = module.production;
  const project = projectPath(settings.gitlab, module.name);
  const folder = jobFolder(settings.gitlab);
  const released = entryOf(model.releases, module.name);
  return {
    name: module.name,
    description: module.description,
    owners: module.owners,
    merge: module.merge,
    replicas,
    ...(scaling ? { most: scaling.max } : {}),
    port: module.port,
    probes: module.probes,
    resources: resourceWords(module.resources),
    variables: Object.keys(module.environment).sort(),
    reached: [
      ...(ingress ? [`${ingress.tlsSecret ? 'https' : 'http'}://${ingress.host}${ingress.path}`] : []),
      ...(nodePort === undefined ? [] : [`node port ${nodePort}`]),
    ],
    address: `${module.name}.${spaces.production(module.name)}.svc:80`,
    environments: [
      settings.environment,
      ...others.filter(({ modules }) => modules.includes(module.name)).map(({ name }) => name),
    ],
    project,
    projectUrl: `${settings.gitlab.url}/${project}`,
    hook: hookUrl({ url: model.settings.jenkins.url, group: model.settings.gitlab.group }, module.name),
    job: `${folder}/${module.name}`,
    jobUrl: `${settings.jenkins.url}/job/${folder}/job/${module.name}/`,
    repository: `${repositoryRoot(settings)}/modules/${module.name}`,
    ...(released
      ? { released: { digest: released.image.split('@')[1] ?? '', commit: released.commit } }
      : {}),
    tests: module.test,
    services: module.services.map((use) => serviceFacts(model, module, use)),
    test: inBox('testing', spaces.test(module.name)),
    production: inBox('production', spaces.production(module.name)),
    boxes,
  };
}

/** Boxes that people look for first, in this order; whatever else there is comes after. */
const ORDER = ['gitlab', 'jenkins', 'registry', 'testing', 'production', 'autoscaling', 'backup'];

const TITLES: Readonly<Record<string, string>> = { gitlab: 'GitLab' };

const titleOf = (box: string): string => TITLES[box] ?? `${box.charAt(0).toUpperCase()}${box.slice(1)}`;

function partFacts(model: Model, box: string, boxes: readonly BoxDeclaration[]): PartFacts {
  const { settings } = model;
  const { gitlab, jenkins, registry, backup, testing, production } = settings;
  const told: Record<string, { readonly address: string; readonly lines: readonly string[] }> = {
    gitlab: {
      address: gitlab.url,
      lines: [
        `Group ${gitlab.group}${gitlab.groupExists ? ', which was there before' : ''}; ${gitlab.tier} tier.`,
        `Merge method ${gitlab.mergeMethod}; merged by the bot or a ${gitlab.mergeRole}; nobody pushes to main.`,
        ...(model.modules.some((module) => keepsQueue(model.settings, module))
          ? [
              `Merge requests of one module queue: ${counted(Math.min(gitlab.queue.window, testing.parallel), 'test')} side by side at first, never more than ${testing.parallel}; who queues now says: switchyard queue ${settings.environment}.`,
            ]
          : []),
        gitlab.approvals
          ? `${counted(gitlab.approvals.required, 'approval')} needed.`
          : 'No approvals asked for.',
        'expires' in gitlab.botToken
          ? `The bot's token ends on ${gitlab.botToken.expires}.`
          : `The bot's token lives ${counted(gitlab.botToken.rotation.days, 'day')} and is renewed in its last ${gitlab.botToken.rotation.before}.`,
      ],
    },
    jenkins: {
      address: jenkins.url,
      lines: [
        jenkins.existing
          ? `A Jenkins that was there before, in namespace ${jenkins.existing.namespace}.`
          : `Home of ${jenkins.storage}, ${jenkins.onDelete === 'retain' ? 'kept whatever is destroyed' : 'which goes with the rest'}.`,
        `At most ${counted(jenkins.maximumAgents, 'agent Pod')} at a time; build cache of ${jenkins.buildCache}.`,
        jenkins.anonymousRead
          ? 'Jobs and logs are readable without a login.'
          : 'Nothing is readable without a login.',
      ],
    },
    registry: {
      address: `${registry.scheme}://${registry.address}`,
      lines: [
        registry.existing
          ? 'A registry that was there before.'
          : registry.s3
            ? `Images in bucket ${registry.s3.bucket}.`
            : `Images on a volume of ${registry.storage}, ${registry.onDelete === 'retain' ? 'kept whatever is destroyed' : 'which goes with the rest'}.`,
        `Images of merge requests stay ${counted(registry.retention.days, 'day')}, releases ${counted(registry.retention.releaseDays, 'day')} after the ledger last named them.`,
        registry.access === 'separate' ? 'Who pulls cannot push.' : 'Who pulls can push as well.',
      ],
    },
    testing: {
      address: '',
      lines: settings.promotion
        ? [`What is merged is tested in ${settings.promotion.from}.`]
        : [
            `${counted(testing.parallel, 'test Pod')} of a module at a time, each in its module's namespace.`,
            `What has expired is removed at ${testing.reaper} UTC.`,
          ],
    },
    production: {
      address: '',
      lines: [
        production.onDelete === 'retain'
          ? "A removed module's databases stay until somebody unprotects them."
          : "A removed module's databases go with it.",
        production.preempt
          ? 'Production may push tests and builds off a full node.'
          : 'On a full node production waits, and is evicted last.',
      ],
    },
    autoscaling: {
      address: '',
      lines: [
        `Prometheus and prometheus-adapter count the requests of ${model.modules
          .filter((module) => module.production.scaling)
          .map(({ name }) => name)
          .join(', ')}.`,
      ],
    },
    backup: {
      address: backup ? backupRepository(backup.repository, settings.environment) : '',
      lines: backup ? [`At ${backup.schedule} UTC; read back at ${backup.verify} UTC.`] : [],
    },
  };
  return {
    box,
    title: titleOf(box),
    address: told[box]?.address ?? '',
    lines: told[box]?.lines ?? [],
    spaces: spacesOf(model, boxes),
    boxes,
  };
}

function backupFacts(model: Model): BackupFacts | undefined {
  const { backup, environment } = model.settings;
  if (!backup) return undefined;
  const kinds = backupKinds(model);
  const { daily, weekly, monthly } = backup.keep;
  return {
    repository: backupRepository(backup.repository, environment),
    schedule: backup.schedule,
    verify: backup.verify,
    kinds: unique([...kinds.ci, ...kinds.production]),
    keep: `the last of ${daily} days, ${weekly} weeks and ${monthly} months`,
    targets: `back within ${backup.targets.rtoMinutes} min, at most ${backup.targets.rpoMinutes} min of writes lost`,
    afterReleases: backup.claim === undefined,
  };
}

/**
 * All that the picture and the page tell of an environment: from the model what was decided, from the declarations what
 * is made of it. Pure: equal models give equal facts.
 * @param boxes all of the topology's, or those of one module
 * @param only the one module
 */
export function siteOf(
  model: Model,
  boxes: readonly BoxDeclaration[],
  only?: string,
  others: readonly OtherEnvironment[] = [],
): Site {
  const { settings } = model;
  const { clusters, gitlab, jenkins, registry } = settings;
  const byModule = new Map<string, BoxDeclaration[]>();
  const shared = new Map<string, BoxDeclaration[]>();
  for (const box of boxes) {
    if (box.module === undefined) push(shared, box.box, box);
    else push(byModule, box.module, box);
  }
  const known = [...ORDER, ...[...shared.keys()].filter((key) => !ORDER.includes(key))];
  const modules = model.modules
    .filter(({ name }) => only === undefined || name === only)
    .map((module) => moduleFacts(model, module, byModule.get(module.name) ?? [], others));
  const resources = boxes.reduce((sum, { declarations }) => sum + declarations.length, 0);
  const one = isOneCluster(clusters);
  return {
    title: only === undefined ? settings.environment : `${only} in ${settings.environment}`,
    environment: settings.environment,
    promotedFrom: settings.promotion?.from,
    about: [
      counted(modules.length, 'module'),
      counted(resources, 'resource'),
      one
        ? `one cluster, ${clusters.ci.context}`
        : `clusters ${clusters.ci.context} for CI and ${clusters.production.context} for production`,
    ],
    single: only !== undefined,
    clusters: { ci: clusters.ci.context, production: clusters.production.context, one },
    gitlab: { url: gitlab.url, group: gitlab.group, groupExists: gitlab.groupExists },
    jenkins: { url: jenkins.url, folder: jobFolder(gitlab) },
    registry: { url: `${registry.scheme}://${registry.address}` },
    namespaces: namespacesOf(settings),
    parallel: settings.testing.parallel,
    ledger: `${gitlab.group}/${names.ledgerProject}: ${settings.environment}.yaml`,
    status: STATUS_NAME,
    resources,
    modules,
    parts: known.flatMap((box) => {
      const made = shared.get(box) ?? [];
      return made.length > 0 ? [partFacts(model, box, made)] : [];
    }),
    backup: backupFacts(model),
    brought:
      only === undefined
        ? neededSecrets(stackVariables(settings)).map(({ variable, place = 'always' }) => ({
            variable,
            place,
          }))
        : [],
    others,
  };
}

/** Every kind of service in use, with the versions of it, sorted. */
export function servicesInUse({ modules }: Pick<Site, 'modules'>): Map<string, string[]> {
  const versions = new Map<string, Set<string>>();
  for (const { services } of modules) {
    for (const { kind, version, other } of services) {
      const known = versions.get(kind) ?? new Set<string>();
      versions.set(kind, known.add(version));
      if (other) known.add(other.version);
    }
  }
  return new Map(
    [...versions].sort(([a], [b]) => (a < b ? -1 : 1)).map(([kind, set]) => [kind, [...set].sort()]),
  );
}
