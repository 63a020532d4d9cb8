import { type Catalog, type Module, modulesOf } from '../catalog/load';
import type { Problem } from '../catalog/problems';
import { folded } from '../catalog/shapes';
import type { Clusters } from '../stacks/clusters';
import { namespacesOf } from '../stacks/namespaces';
import type { StackSettings } from '../stacks/schema';
import { CUSTOM_METRICS, scales } from './autoscaling/scales';

/** What an ingress of an environment answers at. */
interface Host {
  /** The same for all that share the cluster. */
  readonly place: string;
  readonly host: string;
  /** Undefined for what has its host alone: Jenkins and the registry. */
  readonly path?: string;
  /** Module whose file says it. @default the stack's */
  readonly module?: string;
  readonly key: string;
}

/** What an environment takes for itself where others may be: in a cluster, or in a GitLab. */
interface Own {
  readonly kind: 'namespace' | 'api' | 'port' | 'group';
  /** The same for all that share the place. */
  readonly place: string;
  readonly name: string;
  /** Module whose file says it. @default the stack's */
  readonly module?: string;
  readonly key: string;
}

const placeOf = ({ clusters }: StackSettings, role: keyof Clusters): string =>
  JSON.stringify([clusters[role].context, clusters[role].kubeconfig]);

function inCluster(settings: StackSettings, modules: readonly Module[], role: keyof Clusters): Own[] {
  const { autoscaling, jenkins, registry } = settings;
  const place = placeOf(settings, role);
  const own = (kind: Own['kind'], name: string | number, key: string, module?: string): Own => ({
    kind,
    place,
    name: String(name),
    key,
    module,
  });
  const ports = (numbers: readonly (readonly [port: number | undefined, key: string, module?: string])[]) =>
    numbers.flatMap(([port, key, module]) => (port === undefined ? [] : [own('port', port, key, module)]));
  const { test, production, ...shared } = namespacesOf(settings);
  const namespaces = (names: readonly string[]) =>
    names.map((name) => own('namespace', name, `config.clusters.${role}.context`));
  if (role === 'ci')
    return [
      ...namespaces([...Object.values(shared), ...modules.map(({ name }) => test(name))]),
      ...ports([
        [jenkins.existing ? undefined : jenkins.nodePort, 'config.jenkins.nodePort'],
        [registry.existing ? undefined : registry.nodePort, 'config.registry.nodePort'],
      ]),
    ];
  return [
    ...namespaces([shared.deploy, shared.autoscaling, ...modules.map(({ name }) => production(name))]),
    ...ports(modules.map(({ name, production: { nodePort } }) => [nodePort, 'production.nodePort', name])),
    ...(scales({ modules }) && !autoscaling.existing
      ? [own('api', CUSTOM_METRICS, 'config.autoscaling')]
      : []),
  ];
}

function hostsOf(settings: StackSettings, modules: readonly Module[]): Host[] {
  const { jenkins, registry } = settings;
  const tool = (host: string, key: string): Host => ({ place: placeOf(settings, 'ci'), host, key });
  return [
    ...(jenkins.ingress && !jenkins.existing
      ? [tool(jenkins.ingress.host, 'config.jenkins.ingress.host')]
      : []),
    ...(registry.ingress && !registry.existing
      ? [tool(registry.address.split(':', 1)[0] ?? '', 'config.registry.address')]
      : []),
    ...modules.flatMap(({ name, production: { ingress } }): Host[] =>
      ingress
        ? [
            {
              place: placeOf(settings, 'production'),
              host: ingress.host,
              // "/a" and "/a/" lead to the same.
              path: ingress.path.replace(/(?<=.)\/$/, ''),
              module: name,
              key: 'production.ingress.host',
            },
          ]
        : [],
    ),
  ];
}

const areOne = (a: Host, b: Host): boolean =>
  a.place === b.place &&
  a.host === b.host &&
  (a.path === undefined || b.path === undefined || a.path === b.path);

/**
 * Hosts that two environments of one cluster answer at. An ingress controller refuses the second one in the middle of an `up`
 * (the admission webhook of ingress-nginx), or gives the requests to whoever came first.
 */
function hostFaults(
  settings: StackSettings,
  own: readonly Host[],
  other: StackSettings,
  theirs: readonly Host[],
): Problem[] {
  return own.flatMap((each): Problem[] => {
    const { host, module, key } = each;
    if (!theirs.some((one) => areOne(each, one))) return [];
    return [
      {
        file: module ? `catalog/modules/${module}.yaml` : `stacks/Pulumi.${settings.environment}.yaml`,
        key,
        what: `"${host}" is a host of environment "${other.environment}" in the same cluster.`,
        remedy: module
          ? 'Leave the module out of one of the two (`modules`), or have a transform.ts give it another host there.'
          : 'Choose another host in one of the two.',
      },
    ];
  });
}

/** An instance of GitLab, however its address is written. */
export const instanceAt = (url: string): string => new URL(url).href.replace(/\/+$/, '');

function ownOf(settings: StackSettings, modules: readonly Module[]): Own[] {
  const { url, group, groupExists } = settings.gitlab;
  return [
    ...inCluster(settings, modules, 'ci'),
    ...inCluster(settings, modules, 'production'),
    ...(groupExists
      ? []
      : [
          {
            kind: 'group',
            place: instanceAt(url),
            name: folded(group),
            key: 'config.gitlab.group',
          } as const,
        ]),
  ];
}

/** What to say of something that two have, and what to do about it. */
const told: Readonly<Record<Own['kind'], (name: string, other: string) => readonly [string, string]>> = {
  namespace: (name, other) => [
    `is the cluster of environment "${other}" as well, and both have the namespace "${name}".`,
    'Give one of the two another namespacePrefix.',
  ],
  api: (name, other) => [
    `environment "${other}" makes ${name} in the same cluster, which has it once.`,
    'Write autoscaling.existing in one of the two: see docs/autoscaling.md.',
  ],
  port: (name, other) => [
    `${name} is taken by environment "${other}" in the same cluster.`,
    'Choose another port of 30000 to 32767.',
  ],
  group: (name, other) => [
    `"${name}" is the group of environment "${other}" on the same GitLab.`,
    'Name another group in one of the two.',
  ],
};

/**
 * What an environment and its neighbours, the other stack files, would each make for themselves, and take from each other.
 * As far as names tell: a context is a cluster, and an address a GitLab.
 * @param transformed whether a transform may give hosts other names than the files do: they are not compared then
 */
export function neighbourFaults(
  settings: StackSettings,
  catalog: Catalog,
  others: readonly StackSettings[],
  transformed = false,
): Problem[] {
  const modules = modulesOf(catalog, settings.modules);
  const own = ownOf(settings, modules);
  const hosts = transformed ? [] : hostsOf(settings, modules);
  const idOf = ({ kind, place, name }: Own): string => `${kind}\n${place}\n${name}`;
  return others.flatMap((other) => {
    const otherModules = modulesOf(catalog, other.modules);
    const theirs = new Set(ownOf(other, otherModules).map(idOf));
    const both = own.filter((each) => theirs.has(idOf(each)));
    // Who shares one namespace shares most.
    const [first] = both.filter(({ kind }) => kind === 'namespace');
    const faults = both
      .filter((each) => (first ? each === first || each.kind === 'group' : true))
      .map(({ kind, name, module, key }): Problem => {
        const [what, remedy] = told[kind](name, other.environment);
        const file = module ? `catalog/modules/${module}.yaml` : `stacks/Pulumi.${settings.environment}.yaml`;
        return { file, key, what, remedy };
      });
    return first ? faults : [...faults, ...hostFaults(settings, hosts, other, hostsOf(other, otherModules))];
  });
}
