import { parseCatalog } from '../../../catalog/load';
import { topologyBoxes } from '../../../components/boxes';
import { manifest } from '../../../operations/render/manifests';
import { parseStack } from '../../../stacks/load';
import { namespacesOf } from '../../../stacks/namespaces';
import { catalogTexts, stackWith, testModel } from '../../support/model';
import { MADE } from './identities-data';

// The accounts that measure for autoscalers. No module of the lab scales, so that `identities` makes them, as the product
// declares them, beside the lab's own environment.

const ENVIRONMENT = 'switchyard.dev/environment';

/** By it all of them are removed, whatever a run before has made. */
export const MADE_LABEL = `${ENVIRONMENT}=${MADE}`;

/** An object of RBAC, or an account, as a manifest. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
  };
  readonly roleRef?: { readonly kind: string; readonly name: string };
  readonly subjects?: readonly {
    readonly kind: string;
    readonly name: string;
    readonly namespace?: string;
  }[];
}

/** A topology with a module that scales, all of whose namespaces have a prefix. */
function topology() {
  const catalog = parseCatalog({
    ...catalogTexts,
    modules: {
      'shop.yaml': `${catalogTexts.modules['shop.yaml']}production: { scaling: { qps: 50, min: 2, max: 20 } }\n`,
    },
  });
  const text = stackWith({ prefix: MADE }).replace(/(switchyard:environment): .*/, `$1: ${MADE}`);
  const settings = parseStack(text, `stacks/Pulumi.${MADE}.yaml`, MADE);
  const boxes = topologyBoxes(testModel({ settings, catalog, modules: catalog.modules }));
  return {
    namespace: namespacesOf(settings).autoscaling,
    objects: boxes.flatMap(({ declarations }) =>
      declarations
        .filter(({ type }) => /^kubernetes:(core\/v1:ServiceAccount|rbac\.)/.test(type))
        .map((one) => manifest(one) as unknown as Manifest),
    ),
  };
}

/**
 * Their namespaces, bare, and in these what the topology declares of them: the accounts of the namespace `autoscaling`,
 * all that binds these, and the roles that this names.
 */
export function metricsAccountManifests(): Manifest[] {
  const { namespace, objects } = topology();
  const bindings = objects.filter(({ subjects = [] }) => subjects.some((one) => one.namespace === namespace));
  const bound = (role: Manifest): boolean =>
    bindings.some(
      ({ roleRef, metadata }) =>
        roleRef?.kind === role.kind &&
        roleRef.name === role.metadata.name &&
        (role.metadata.namespace === undefined || role.metadata.namespace === metadata.namespace),
    );
  const wanted = objects.filter(
    (one) =>
      bindings.includes(one) ||
      bound(one) ||
      (one.kind === 'ServiceAccount' && one.metadata.namespace === namespace),
  );
  const namespaces = new Set(wanted.flatMap(({ metadata }) => metadata.namespace ?? []));
  return [
    ...[...namespaces]
      .filter((name) => name.startsWith(`${MADE}-`))
      .map((name) => ({
        apiVersion: 'v1',
        kind: 'Namespace',
        metadata: { name, labels: { [ENVIRONMENT]: MADE } },
      })),
    ...wanted,
  ];
}
