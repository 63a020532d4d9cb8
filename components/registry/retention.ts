import { namespacesOf } from '../../stacks/namespaces';
import { lifetime } from '../gitlab/access';
import { existingProjects, group } from '../gitlab/projects';
import type { Model } from '../model';
import type { Declaration } from '../shared/declaration';
import { deliveryJob } from '../shared/job';
import { dockerConfig, object } from '../shared/kubernetes';
import { labels, names } from '../shared/naming';
import { outputRef } from '../shared/references';

const NAME = 'registry-retention';

/**
 * The job that removes images that no ledger names and no merge request waits for. Apart from the registry's box: it
 * runs from an image that the registry holds.
 */
export function retentionResources(model: Model): Declaration[] {
  const { environment, registry, gitlab } = model.settings;
  // What keeps another registry's images is its own matter.
  if (registry.existing) return [];
  const common = labels({ name: NAME, component: 'registry', environment, purpose: 'clean-up' });
  const within = (name: string) => ({
    namespace: namespacesOf(model.settings).registry,
    name,
    labels: common,
  });
  const after = { dependsOn: ['registry-namespace'] };
  return [
    {
      type: 'gitlab:index/groupAccessToken:GroupAccessToken',
      name: 'registry-ledger-reader',
      provider: 'gitlab',
      args: {
        group,
        name: 'switchyard-retention',
        // It reads the ledger and how merge requests ended, and may change nothing.
        accessLevel: 'reporter',
        scopes: ['read_api', 'read_repository'],
        ...lifetime(gitlab),
      },
    },
    object(
      'kubernetes:core/v1:Secret',
      'registry-retention-access',
      'ci',
      within(NAME),
      {
        stringData: {
          gitlabToken: outputRef('registry-ledger-reader', 'token'),
          '.dockerconfigjson': dockerConfig(registry.address, names.pushUser),
        },
      },
      after,
    ),
    object(
      'kubernetes:core/v1:ServiceAccount',
      'registry-retention-account',
      'ci',
      within(NAME),
      { automountServiceAccountToken: false },
      after,
    ),
    object(
      'kubernetes:rbac.authorization.k8s.io/v1:Role',
      'registry-retention-role',
      'ci',
      within(NAME),
      {
        rules: [
          // The request to collect, and the restart that fulfils it.
          { apiGroups: [''], resources: ['configmaps'], verbs: ['create', 'delete', 'list'] },
          { apiGroups: [''], resources: ['pods'], verbs: ['delete', 'list'] },
        ],
      },
      after,
    ),
    object(
      'kubernetes:rbac.authorization.k8s.io/v1:RoleBinding',
      'registry-retention-binding',
      'ci',
      within(NAME),
      {
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: NAME },
        subjects: [{ kind: 'ServiceAccount', name: NAME, namespace: namespacesOf(model.settings).registry }],
      },
      { dependsOn: ['registry-retention-role', 'registry-retention-account'] },
    ),
    object(
      'kubernetes:batch/v1:CronJob',
      'registry-retention-job',
      'ci',
      within(NAME),
      {
        spec: deliveryJob({
          schedule: registry.retention.schedule,
          labels: common,
          account: NAME,
          args: [
            'registry-gc',
            '--namespace',
            namespacesOf(model.settings).registry,
            '--days',
            String(registry.retention.days),
            '--release-days',
            String(registry.retention.releaseDays),
          ],
          deadline: 3600,
          env: [
            { name: 'DOCKER_CONFIG', value: '/access' },
            { name: 'GITLAB_URL', value: gitlab.url },
            {
              name: 'GITLAB_TOKEN',
              valueFrom: { secretKeyRef: { name: NAME, key: 'gitlabToken' } },
            },
            { name: 'REGISTRY', value: registry.address },
            { name: 'REGISTRY_PLAIN_HTTP', value: String(registry.scheme === 'http') },
            { name: 'SWITCHYARD_GITLAB_GROUP', value: gitlab.group },
            ...existingProjects(gitlab),
          ],
          secrets: [
            { name: NAME, mountPath: '/access', items: [{ key: '.dockerconfigjson', path: 'config.json' }] },
          ],
        }),
      },
      { dependsOn: ['registry-retention-access', 'registry-retention-binding', 'registry-pull'] },
    ),
  ];
}
