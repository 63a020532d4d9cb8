import type { Facts } from './facts';
import { type Item, inModule, moduleOf, namespaceOf, violation } from './facts/item';
import { fields, UNKNOWN } from './facts/read';
import type { Violation } from './facts/violation';
import type { Rule } from './rule';

/**
 * Annotations whose value is `[namespace/]name` of a Secret or a ConfigMap, by what stands behind the "/" of their key:
 * - ingress-nginx: https://github.com/kubernetes/ingress-nginx/blob/main/docs/user-guide/nginx-configuration/annotations.md
 * - HAProxy Technologies: https://github.com/haproxytech/kubernetes-ingress/blob/master/documentation/annotations.md
 * - HAProxy Ingress: https://haproxy-ingress.github.io/docs/configuration/keys/
 */
const NAMING: readonly string[] = [
  ...['auth-proxy-set-headers', 'client-ca', 'custom-headers', 'server-ca', 'server-crt', 'ssl-certificate'],
];
const namesObject = (name: string): boolean =>
  /(?:^|-)(?:secret|configmap)$/.test(name) || NAMING.includes(name);

/** What of a value leads out of the namespace; undefined where nothing does. */
type Leads = (value: string) => string | undefined;

/** HAProxy Ingress takes `secret://namespace/name` too, and `file://` and a path of its own. */
const objectOf =
  (namespace: string): Leads =>
  (value) => {
    if (/^file:/i.test(value)) return `names a file of the ingress controller, "${value}"`;
    const [other, ...name] = value.replace(/^secret:\/\//i, '').split('/');
    return name.length === 0 || other === namespace ? undefined : `names "${value}"`;
  };

/**
 * Traefik's own objects, `<namespace>-<name>@kubernetescrd`, with "_" in the place of "-" where it names safely
 * (https://doc.traefik.io/traefik/reference/routing-configuration/kubernetes/ingress/). A name may begin as another
 * namespace does.
 */
const crdOf =
  (namespace: string, others: ReadonlySet<string>): Leads =>
  (value) => {
    const name = /^(.*)@kubernetescrd$/i.exec(value)?.[1];
    if (name === undefined) return undefined;
    const ends = [...name.matchAll(/[-_]/g)].map(({ index }) => name.slice(0, index));
    const [longest] = ends.filter((end) => end === namespace || others.has(end)).slice(-1);
    return longest === namespace ? undefined : `names "${value}"`;
  };

/** Contour: https://projectcontour.io/docs/latest/config/annotations/. */
const CERTIFICATES = 'tls-cert-namespace';

function leadsOut(item: Item, namespaces: ReadonlySet<string>): Violation[] {
  const namespace = namespaceOf(item);
  if (namespace === UNKNOWN) return [];
  return Object.entries(fields(item.args, 'metadata', 'annotations')).flatMap(([key, value]) => {
    if (typeof value !== 'string' || value === UNKNOWN) return [];
    const name = key.slice(key.lastIndexOf('/') + 1).toLowerCase();
    const leads: readonly Leads[] = [
      ...(namesObject(name) ? [objectOf(namespace)] : []),
      ...(name === CERTIFICATES
        ? [(given: string) => (given === namespace ? undefined : `names "${given}"`)]
        : []),
      crdOf(namespace, namespaces),
    ];
    const found = value
      .split(',')
      .map((part) => part.trim())
      .flatMap((part) => leads.flatMap((lead) => lead(part) ?? []));
    return [...new Set(found)].map((what) =>
      violation(
        item,
        `${what}, which is not of ${namespace}.`,
        `Keep what the ingress controller is to read in ${namespace}, and name that.`,
        { part: `annotation "${key}"`, ...inModule(item, `production.ingress.annotations.${key}`) },
      ),
    );
  });
}

const namespacesOf = ({ namespaces }: Facts, cluster: string | undefined): ReadonlySet<string> =>
  new Set(namespaces.filter((space) => space.cluster === (cluster ?? '')).map(({ name }) => name));

/** An ingress controller reads the Secrets of all namespaces; what the stack says of Jenkins and the registry is the site's. */
export const ingressWithin: Rule = {
  id: 'ingress-within-namespace',
  holds:
    "No annotation of a module's Ingress names a Secret, a ConfigMap or a middleware of another namespace, or a file.",
  why: 'The ingress controller uses it for the module: logins and keys of another one, or of the topology.',
  check: (facts) => {
    const items = (facts.byType.get('kubernetes:networking.k8s.io/v1:Ingress') ?? []).filter(
      (item) => moduleOf(item) !== undefined,
    );
    const spaces = new Map(items.map(({ cluster }) => [cluster, namespacesOf(facts, cluster)]));
    return items.flatMap((item) => leadsOut(item, spaces.get(item.cluster) ?? new Set()));
  },
};
