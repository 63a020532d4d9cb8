import type { types } from '@pulumi/kubernetes';
import { namespacesOf } from '../../stacks/namespaces';
import { yamlText } from '../../text/yaml';
import type { Declaration } from '../shared/declaration';
import { handle, outputOf } from '../shared/handle';
import { fencedNamespace, object } from '../shared/kubernetes';
import { labels, names } from '../shared/naming';
import { inputRef, type Ref, written } from '../shared/references';
import type { FullSpec } from './defaults';

const NAME = 'deploy-kubeconfig';
const TOKEN = handle('kubernetes:core/v1:Secret', 'deployer-token');

/** Folder of the deploy Pod in which {@link kubeconfigVolume} is mounted. */
const MOUNT = '/kubeconfig';
const OWN_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';

/** A kubeconfig whose token and authority are files, under the context that the stack names. */
function kubeconfig(spec: FullSpec, server: string | Ref, folder: string): string | Ref {
  const { context } = spec.production;
  return written(
    {
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'cluster', cluster: { server, 'certificate-authority': `${folder}/ca.crt` } }],
      users: [{ name: names.deployer, user: { tokenFile: `${folder}/token` } }],
      contexts: [
        {
          name: context,
          context: {
            cluster: 'cluster',
            user: names.deployer,
            namespace: namespacesOf(spec).deploy,
          },
        },
      ],
      'current-context': context,
    },
    (plain) => yamlText(plain, { sortMapEntries: true }),
  );
}

/**
 * The deployer's account in a production cluster of its own. Its token is a Secret and not a short-lived one: a token
 * that is asked for would need credentials of that cluster to ask with.
 */
function accountElsewhere(spec: FullSpec): Declaration[] {
  const about = { name: names.deployer, component: 'jenkins', environment: spec.environment };
  const within = (name: string, annotations?: Record<string, string>) => ({
    namespace: namespacesOf(spec).deploy,
    name,
    labels: labels(about),
    ...(annotations ? { annotations } : {}),
  });
  return [
    ...fencedNamespace({
      prefix: 'deployer',
      namespace: namespacesOf(spec).deploy,
      provider: 'production',
      labels: about,
      // An account lives here, and nothing runs.
      quota: { pods: 0, cpu: '0', memory: '0', disk: '0', claims: 0 },
      egress: [],
    }),
    object(
      'kubernetes:core/v1:ServiceAccount',
      'deployer-account',
      'production',
      within(names.deployer),
      { automountServiceAccountToken: false },
      { dependsOn: ['deployer-namespace'] },
    ),
    object(
      TOKEN.type,
      TOKEN.name,
      'production',
      within(TOKEN.name, { 'kubernetes.io/service-account.name': names.deployer }),
      { type: 'kubernetes.io/service-account-token' },
      { dependsOn: ['deployer-account'] },
    ),
  ];
}

/**
 * What a deploy Pod reaches production with. In one cluster that is the Pod's own account; a production cluster of its
 * own gets an account for it, whose token is kept in the ci cluster.
 */
export function productionAccess(spec: FullSpec): Declaration[] {
  const where = {
    namespace: namespacesOf(spec).deploy,
    name: NAME,
    labels: labels({ name: names.deployer, component: 'jenkins', environment: spec.environment }),
  };
  const after = { dependsOn: ['deploy-namespace'] };
  const { server } = spec.production;
  if (server === undefined) {
    const config = kubeconfig(spec, 'https://kubernetes.default.svc', OWN_ACCOUNT);
    return [object('kubernetes:core/v1:ConfigMap', NAME, 'ci', where, { data: { config } }, after)];
  }
  return [
    ...accountElsewhere(spec),
    object(
      'kubernetes:core/v1:Secret',
      NAME,
      'ci',
      where,
      {
        // Both come from a Secret's `data`, so they are base64 already.
        data: { token: outputOf(TOKEN, 'data', 'token'), 'ca.crt': outputOf(TOKEN, 'data', 'ca.crt') },
        stringData: { config: kubeconfig(spec, inputRef('production.server', server), MOUNT) },
      },
      after,
    ),
  ];
}

/** The volume that holds what {@link productionAccess} made. */
export const kubeconfigVolume = ({ production }: FullSpec): types.input.core.v1.Volume =>
  production.server === undefined
    ? { name: 'kubeconfig', configMap: { name: NAME } }
    : { name: 'kubeconfig', secret: { secretName: NAME } };
