import { servicesIn } from '../../catalog/addresses';
import { STATUS_NAME } from '../../catalog/status';
import { readBack, referencesIn, shownText, type Template } from '../../components/shared/references';
import type { Indexed } from './indexed';
import { describe, type Item, labelOf, moduleOf, nameOf, namespaceOf, secretValues } from './item';
import type { Job } from './jenkins';
import { containersOf, type PodUse } from './pods';
import { fields, push, text, textual } from './read';

export type NodeKind =
  | 'hook'
  | 'job'
  | 'status'
  | 'namespace'
  | 'registry'
  | 'workload'
  | 'service'
  | 'backup';

/** A station on the way of a commit. */
export interface GraphNode {
  /** `kind:…`, unique and the same from run to run. */
  readonly id: string;
  readonly kind: NodeKind;
  /** For people. */
  readonly label: string;
  readonly module?: string;
  /** The resource that it comes from, where one does. */
  readonly item?: Item;
}

export interface GraphEdge {
  readonly from: string;
  readonly to: string;
}

/** hook → job → status → namespace → registry → workload → service → backup. */
export interface Graph {
  readonly nodes: ReadonlyMap<string, GraphNode>;
  /** In the order in which they were found; the same from run to run. */
  readonly edges: readonly GraphEdge[];
  /** Node → the nodes that its edges lead to. */
  readonly next: ReadonlyMap<string, readonly string[]>;
}

export const jobId = (path: string): string => `job:${path}`;
export const hookId = (item: Item): string => `hook:${item.name}`;
export const statusId = (path: string, name: string): string => `status:${path}:${name}`;
export const workloadId = (pod: PodUse): string => `workload:${pod.cluster}:${pod.item.name}`;
export const serviceId = (item: Item): string => `service:${item.cluster ?? ''}:${item.name}`;
const namespaceId = (cluster: string, name: string): string => `namespace:${cluster}:${name}`;
const registryId = (address: string): string => `registry:${address}`;
const objectKey = (cluster: string, namespace: string, name: string): string =>
  [cluster, namespace, name].join('\n');

/** The job that a hook's address leads to: what stands after `/project/` of Jenkins' address. */
export function jobPathOf(hookUrl: string, jenkinsUrl: string | undefined): string | undefined {
  const path = /^(.*?)\/project\/([^?#]+)$/.exec(hookUrl);
  return path && (jenkinsUrl === undefined || path[1] === jenkinsUrl)
    ? path[2]?.split('/').map(decodeURIComponent).join('/')
    : undefined;
}

/** Names of every status that a job posts: delivery's, and what the job itself or the shared library adds. */
export function statusNamesOf(job: Job, library: readonly string[]): string[] {
  return [...new Set([STATUS_NAME, ...foreignStatuses(job.script), ...library])];
}

const POSTS =
  /\b(?:pendingBuildName|updateGitlabCommitStatus|gitlabCommitStatus|gitLabCommitStatusPublisher)\s*\(?\s*(?:\{\s*)?(?:name\s*[:(]\s*)?(['"])([^'"]+)\1/g;

/** Names that steps and triggers of Jenkins' GitLab plug-in post by themselves. */
export const foreignStatuses = (script: string): string[] =>
  [...script.matchAll(POSTS)].map((match) => match[2] ?? '');

/** Groovy of the shared library, by the resource that holds it. */
export function libraryFiles(byType: Indexed['byType']): { readonly item: Item; readonly text: string }[] {
  return (byType.get('gitlab:index/repositoryFile:RepositoryFile') ?? []).flatMap((item) => {
    const content = text(item.args, 'content');
    if (!content || !/\.groovy$/.test(text(item.args, 'filePath') ?? '')) return [];
    const plain = item.args.encoding === 'base64' ? Buffer.from(content, 'base64').toString('utf8') : content;
    return [{ item, text: plain }];
  });
}

/** Names of Services that a Pod reaches by its environment: `<service>.<namespace>.svc`. */
export function reachedBy(pod: PodUse): { service: string; namespace: string; variable: string }[] {
  const effective = new Map(pod.variables.map((each) => [`${each.container}\n${each.name}`, each]));
  return [...effective.values()].flatMap(({ name, value }) =>
    servicesIn(value ?? '').map((found) => ({ ...found, variable: name })),
  );
}

/** Address of the registry in an image's name. */
const registryOf = (image: string): string | undefined => {
  const slash = image.indexOf('/');
  const first = slash < 0 ? '' : image.slice(0, slash);
  return /[.:]/.test(first) ? first : undefined;
};

/** The name under which an image is pushed, where a Pod takes it from the resource that builds it. */
function builtAs(image: string | Template, byName: Indexed['byName']): string {
  const [reference] = referencesIn(image);
  if (reference?.kind !== 'output') return shownText(image);
  return text(byName.get(reference.resource)?.args, 'imageName') ?? shownText(image);
}

/** Registries for which a namespace holds a pull secret. */
function pullSecrets(secrets: readonly Item[]): { item: Item; address: string }[] {
  return secrets.flatMap((item) => {
    if (item.args.type !== 'kubernetes.io/dockerconfigjson') return [];
    const config = secretValues(item)['.dockerconfigjson'];
    if (config === undefined) return [];
    try {
      return Object.keys(fields(readBack(config, JSON.parse), 'auths')).map((address) => ({ item, address }));
    } catch {
      return [];
    }
  });
}

/** The way of a commit through the topology, from indexed resources; linear in their number. */
export function buildGraph(facts: Indexed): Graph {
  const nodes = new Map<string, GraphNode>();
  const edges: GraphEdge[] = [];
  const next = new Map<string, string[]>();
  const node = (made: GraphNode): void => {
    if (!nodes.has(made.id)) nodes.set(made.id, made);
  };
  const edge = (from: string, to: string): void => {
    if (!nodes.has(from) || !nodes.has(to) || next.get(from)?.includes(to)) return;
    edges.push({ from, to });
    push(next, from, to);
  };
  const ofType = (type: string): readonly Item[] => facts.byType.get(type) ?? [];

  const library = libraryFiles(facts.byType).flatMap((file) => foreignStatuses(file.text));
  const testNamespaces = new Map<string, string[]>();
  for (const item of ofType('kubernetes:core/v1:Namespace')) {
    const id = namespaceId(item.cluster ?? '', nameOf(item));
    const module = moduleOf(item);
    node({ id, kind: 'namespace', label: nameOf(item), module, item });
    if (module && labelOf(item, 'switchyard.dev/purpose') === 'test') push(testNamespaces, module, id);
  }
  for (const job of facts.jenkins.jobs) {
    const module = job.path.slice(job.path.lastIndexOf('/') + 1);
    node({ id: jobId(job.path), kind: 'job', label: job.path, module, item: job.declaredBy });
    for (const name of statusNamesOf(job, library)) {
      node({ id: statusId(job.path, name), kind: 'status', label: name, module });
      edge(jobId(job.path), statusId(job.path, name));
      for (const namespace of testNamespaces.get(module) ?? []) edge(statusId(job.path, name), namespace);
    }
  }
  for (const item of ofType('gitlab:index/projectHook:ProjectHook')) {
    const path = jobPathOf(text(item.args, 'url') ?? '', facts.jenkins.url);
    node({ id: hookId(item), kind: 'hook', label: text(item.args, 'url') ?? item.name, item });
    if (path !== undefined) edge(hookId(item), jobId(path));
  }
  for (const { item, address } of pullSecrets(ofType('kubernetes:core/v1:Secret'))) {
    node({ id: registryId(address), kind: 'registry', label: address });
    edge(namespaceId(item.cluster ?? '', namespaceOf(item)), registryId(address));
  }

  const services = new Map<string, Item>();
  for (const item of ofType('kubernetes:core/v1:Service')) {
    services.set(objectKey(item.cluster ?? '', namespaceOf(item), nameOf(item)), item);
  }
  const running = facts.pods.filter((pod) => !pod.item.planned && !pod.part);
  for (const pod of running) {
    const id = workloadId(pod);
    node({
      id,
      kind: 'workload',
      label: describe(pod.item),
      module: moduleOf(pod.item),
      item: pod.item,
    });
    for (const { container } of containersOf(pod.spec)) {
      const address = registryOf(builtAs(textual(container, 'image') ?? '', facts.byName));
      if (address) edge(registryId(address), id);
    }
  }
  for (const pod of running) {
    for (const { service, namespace } of reachedBy(pod)) {
      const item = services.get(objectKey(pod.cluster, namespace, service));
      if (!item) continue;
      const id = serviceId(item);
      node({ id, kind: 'service', label: `${namespace}/${service}`, module: moduleOf(item), item });
      edge(workloadId(pod), id);
    }
  }
  for (const pod of running) {
    if (!isMarked(pod.item)) continue;
    const service = services.get(objectKey(pod.cluster, pod.namespace, nameOf(pod.item)));
    const id = `backup:${pod.cluster}:${pod.item.name}`;
    node({ id, kind: 'backup', label: describe(pod.item), module: moduleOf(pod.item), item: pod.item });
    edge(service && nodes.has(serviceId(service)) ? serviceId(service) : workloadId(pod), id);
  }
  return { nodes, edges, next };
}

/** True for what a backup must hold, by its label. */
export const isMarked = (item: Item): boolean => labelOf(item, BACKUP_LABEL) !== undefined;

/** Marks what a backup must hold; nothing else says which volumes matter. */
export const BACKUP_LABEL = 'switchyard.dev/backup';
