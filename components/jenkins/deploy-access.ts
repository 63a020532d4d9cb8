import type { types } from '@pulumi/kubernetes';
import { isOneCluster } from '../../stacks/clusters';
import { namespacesOf } from '../../stacks/namespaces';
import type { StackSettings } from '../../stacks/schema';
import { yamlText } from '../../text/yaml';
import type { Model } from '../model';
import type { Declaration } from '../shared/declaration';
import { handle, outputOf } from '../shared/handle';
import { fencedNamespace, object } from '../shared/kubernetes';
import { labels, names } from '../shared/naming';
import { foundRef, type Ref, written } from '../shared/references';

const NAME = 'deploy-kubeconfig';
const TOKEN = handle('kubernetes:core/v1:Secret', 'deployer-token');

/** Folder of the deploy Pod in which {@link kubeconfigVolume} is mounted. */
const MOUNT = '/kubeconfig';
const OWN_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';

/** A kubeconfig whose token and authority are files, under the context that the stack names. */
function kubeconfig(settings: StackSettings, server: string | Ref, folder: string): string | Ref {
  const { context } = settings.clusters.production;
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
            namespace: namespacesOf(settings).deploy,
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
function accountElsewhere(settings: StackSettings): Declaration[] {
  const about = { name: names.deployer, component: 'jenkins', environment: settings.environment };
  const within = (name: string, annotations?: Record<string, string>) => ({
    namespace: namespacesOf(settings).deploy,
    name,
    labels: labels(about),
    ...(annotations ? { annotations } : {}),
  });
  return [
    ...fencedNamespace({
      prefix: 'deployer',
      namespace: namespacesOf(settings).deploy,
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
export function productionAccess({ settings }: Model): Declaration[] {
  const where = {
    namespace: namespacesOf(settings).deploy,
    name: NAME,
    labels: labels({ name: names.deployer, component: 'jenkins', environment: settings.environment }),
  };
  const after = { dependsOn: ['deploy-namespace'] };
  if (isOneCluster(settings.clusters)) {
    const config = kubeconfig(settings, 'https://kubernetes.default.svc', OWN_ACCOUNT);
    return [object('kubernetes:core/v1:ConfigMap', NAME, 'ci', where, { data: { config } }, after)];
  }
  const server = settings.clusters.production.server ?? foundRef('server', 'production');
  return [
    ...accountElsewhere(settings),
    object(
      'kubernetes:core/v1:Secret',
      NAME,
      'ci',
      where,
      {
        // Both come from a Secret's `data`, so they are base64 already.
        data: { token: outputOf(TOKEN, 'data', 'token'), 'ca.crt': outputOf(TOKEN, 'data', 'ca.crt') },
        stringData: { config: kubeconfig(settings, server, MOUNT) },
      },
      after,
    ),
  ];
}

/** The volume that holds what {@link productionAccess} made. */
export const kubeconfigVolume = ({ clusters }: StackSettings): types.input.core.v1.Volume =>
  isOneCluster(clusters)
    ? { name: 'kubeconfig', configMap: { name: NAME } }
    : { name: 'kubeconfig', secret: { secretName: NAME } };
