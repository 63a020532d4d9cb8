import type { Facts } from './facts';
import {
  describe,
  type Item,
  isKubernetes,
  kindOf,
  labelOf,
  moduleOf,
  nameOf,
  namespaceOf,
  violation,
} from './facts/item';
import { fields, list, number, push, text, UNKNOWN } from './facts/read';
import type { Violation } from './facts/violation';
import type { Rule } from './rule';

interface Claim {
  readonly item: Item;
  /** Key of the stack's setting that it comes from, where it is no module's. */
  readonly at?: string;
  /** Says what inside the resource claims it. */
  readonly part?: string;
  readonly module?: string;
}

/** A violation at each claim after the first one on the same thing. */
function clashes(
  claims: ReadonlyMap<string, readonly Claim[]>,
  what: (key: string, first: Claim) => string,
  remedy: string,
  at?: string,
): Violation[] {
  return [...claims].flatMap(([key, [first, ...others]]) =>
    first === undefined
      ? []
      : others.map((other) => {
          const modules = [other, first].map(({ item, module }) => module ?? moduleOf(item));
          // The module is what can be called otherwise: what stands beside it is either ours or another module's.
          const renamed = modules.find((name) => name !== undefined);
          return violation(other.item, what(key, first), remedy, {
            part: other.part,
            modules,
            file: renamed && `catalog/modules/${renamed}.yaml`,
            at: renamed ? at : other.at,
          });
        }),
  );
}

/** What the outside world knows a resource by; undefined for what has no name of its own. */
function identity(item: Item): string | undefined {
  if (item.planned) return undefined;
  if (isKubernetes(item)) {
    const name = nameOf(item);
    return name && name !== UNKNOWN
      ? `${kindOf(item)} ${[namespaceOf(item), name].filter(Boolean).join('/')}`
      : undefined;
  }
  if (item.type === 'gitlab:index/project:Project') {
    const group = item.links.namespaceId?.join() ?? String(item.args.namespaceId ?? '');
    return `GitLab project ${text(item.args, 'path') ?? ''} of ${group}`;
  }
  if (item.type === 'gitlab:index/group:Group') return `GitLab group ${text(item.args, 'path') ?? ''}`;
  return undefined;
}

/** Who claims which name: Pulumi's, what the outside world knows a resource by, and paths of jobs. */
function nameClaims(
  facts: Facts,
): Readonly<Record<'logical' | 'physical' | 'jobs', ReadonlyMap<string, Claim[]>>> {
  const physical = new Map<string, Claim[]>();
  const logical = new Map<string, Claim[]>();
  for (const item of facts.items) {
    if (!item.planned) push(logical, item.name, { item });
    const name = identity(item);
    if (name !== undefined) push(physical, `${item.cluster ?? ''}\n${name}`, { item });
  }
  const jobs = new Map<string, Claim[]>();
  for (const job of facts.jenkins.jobs) {
    const module = job.path.slice(job.path.lastIndexOf('/') + 1);
    push(jobs, job.path, { item: job.declaredBy, part: `job "${job.path}"`, module });
  }
  return { logical, physical, jobs };
}

/** Every name that is claimed, each kind marked. */
export const claimsOf = (facts: Facts): string[] =>
  Object.entries(nameClaims(facts)).flatMap(([kind, claims]) =>
    [...claims.keys()].map((key) => `${kind} ${key}`),
  );

/** Two modules with one name overwrite each other, turn by turn. */
export const namesUnique: Rule = {
  id: 'names-unique',
  holds: 'No two resources claim the same name, and no two jobs the same path.',
  why: 'Each `up` undoes what the other one made.',
  check: (facts) => {
    const { logical, physical, jobs } = nameClaims(facts);
    const rename = 'Rename one of the two.';
    return [
      ...clashes(logical, (key, first) => `"${key}" is also the name of ${describe(first.item)}.`, rename),
      ...clashes(
        physical,
        (key, first) => `${key.slice(key.indexOf('\n') + 1)} is claimed by ${describe(first.item)} already.`,
        rename,
      ),
      ...clashes(jobs, (key) => `a job "${key}" is declared already.`, rename),
    ];
  },
};

/** Where the stack says what Jenkins or the registry claims. */
function settingOf(item: Item, key: string): string | undefined {
  const box = labelOf(item, 'app.kubernetes.io/component');
  return moduleOf(item) === undefined && (box === 'jenkins' || box === 'registry')
    ? `config.${box}.${key}`
    : undefined;
}

function nodePortClaims(facts: Facts): Map<string, Claim[]> {
  const claims = new Map<string, Claim[]>();
  for (const item of facts.byType.get('kubernetes:core/v1:Service') ?? []) {
    for (const port of list(item.args, 'spec', 'ports')) {
      const nodePort = number(port, 'nodePort');
      // UDP and TCP have ports of their own.
      if (nodePort !== undefined)
        push(claims, `${item.cluster ?? ''}\n${text(port, 'protocol') ?? 'TCP'} ${nodePort}`, {
          item,
          at: settingOf(item, 'nodePort'),
        });
    }
  }
  return claims;
}

/** A node port is one on every node of a cluster. */
export const nodePortsUnique: Rule = {
  id: 'node-ports-unique',
  holds: 'No two Services of a cluster claim the same node port.',
  why: 'Kubernetes refuses the second one in the middle of an `up`.',
  check: (facts) =>
    clashes(
      nodePortClaims(facts),
      (key, first) => `node port ${key.slice(key.lastIndexOf(' ') + 1)} is taken by ${describe(first.item)}.`,
      'Choose another port of 30000 to 32767.',
      'production.nodePort',
    ),
};

interface HostClaim extends Claim {
  /** Undefined for what is no module's: it has its host alone. */
  readonly path?: string;
  readonly owner: string;
}

/** "/a" and "/a/" lead to the same. */
const pathOf = (path: string | undefined): string => `/${(path ?? '').replace(/^\/+|(?<!\/)\/+$/g, '')}`;

/**
 * Annotations by which an Ingress answers at further hosts, all that is behind them: of ingress-nginx
 * (https://github.com/kubernetes/ingress-nginx/blob/main/docs/user-guide/nginx-configuration/annotations.md#server-alias), of
 * HAProxy Ingress (https://haproxy-ingress.github.io/docs/configuration/keys/), and of what writes into the DNS for it
 * (https://kubernetes-sigs.github.io/external-dns/latest/docs/annotations/annotations/).
 */
const FURTHER = /\/(?:server-alias|redirect-from)$|^external-dns\.alpha\.kubernetes\.io\/hostname$/i;

const furtherHosts = (item: Item): [annotation: string, host: string][] =>
  Object.entries(fields(item.args, 'metadata', 'annotations')).flatMap(([key, value]) =>
    FURTHER.test(key) && typeof value === 'string' && value !== UNKNOWN
      ? value
          .toLowerCase()
          .split(/[\s,]+/)
          .flatMap((host): [string, string][] => (host === '' ? [] : [[key, host]]))
      : [],
  );

/** Claims by cluster and host. */
function hostClaims(facts: Facts): Map<string, HostClaim[]> {
  const claims = new Map<string, HostClaim[]>();
  for (const item of facts.byType.get('kubernetes:networking.k8s.io/v1:Ingress') ?? []) {
    const module = moduleOf(item);
    const owner = module ?? `${namespaceOf(item)}/${nameOf(item)}`;
    for (const [annotation, host] of furtherHosts(item)) {
      push(claims, `${item.cluster ?? ''}\n${host}`, {
        item,
        part: `host "${host}" of the annotation "${annotation}"`,
        at: settingOf(item, 'ingress'),
        owner,
      });
    }
    for (const rule of list(item.args, 'spec', 'rules')) {
      const host = text(rule, 'host');
      if (host === UNKNOWN) continue;
      const paths = list(rule, 'http', 'paths').map((each) => text(each, 'path'));
      for (const path of paths.length > 0 ? paths : [undefined]) {
        if (path === UNKNOWN) continue;
        push(claims, `${item.cluster ?? ''}\n${host ?? '*'}`, {
          item,
          part: `host "${host ?? '*'}"${module === undefined ? '' : `, path "${pathOf(path)}"`}`,
          at: settingOf(item, 'ingress'),
          owner,
          ...(module === undefined ? {} : { path: pathOf(path) }),
        });
      }
    }
  }
  return claims;
}

/** What no two may have: host and path, or the host where one of ours has it. Two Ingresses of one owner may share theirs. */
function sharedHosts(facts: Facts): Map<string, Claim[]> {
  const shared = new Map<string, Claim[]>();
  for (const [host, claims] of hostClaims(facts)) {
    const whole = claims.some(({ path }) => path === undefined);
    const seen = new Set<string>();
    for (const claim of claims) {
      const key = whole ? host : `${host}${claim.path}`;
      if (seen.has(`${key}\n${claim.owner}`)) continue;
      seen.add(`${key}\n${claim.owner}`);
      push(shared, key, claim);
    }
  }
  return shared;
}

/** An ingress controller merges the paths of one host, and gives a path to whoever came first, or mixes both. */
export const hostsUnique: Rule = {
  id: 'hosts-unique',
  holds:
    'No two modules claim the same host and path of an Ingress, and none the host of Jenkins or the registry.',
  why: "Requests for one module reach the other one's Pods.",
  check: (facts) =>
    clashes(
      sharedHosts(facts),
      (_key, first) => `is taken by ${describe(first.item)}.`,
      'Choose another host, or beside other modules another path.',
      'production.ingress.host',
    ),
};
