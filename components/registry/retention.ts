import { readingToken } from '../gitlab/access';
import { existingProjects } from '../gitlab/projects';
import type { Declaration } from '../shared/declaration';
import { handle, outputOf } from '../shared/handle';
import { deliveryJob } from '../shared/job';
import { object } from '../shared/kubernetes';
import { labels } from '../shared/naming';
import { inputRef } from '../shared/references';
import { dockerConfig } from '../shared/registry-login';
import type { RegistryRetentionSpec } from './registry-retention';
import { registryHandles, registryLogins } from './resources';

const NAME = 'registry-retention';

const ledgerReader = handle('gitlab:index/groupAccessToken:GroupAccessToken', 'registry-ledger-reader');

/**
 * The job that removes images that no ledger names and no merge request waits for. Apart from the registry's box: it
 * runs from an image that the registry holds.
 */
export function registryRetentionDeclarations(spec: RegistryRetentionSpec): Declaration[] {
  const { environment, registry, gitlab } = spec;
  if (registry.existing) return [];
  const { address, namespace, scheme = 'https' } = registry;
  const { namespace: registryNamespace, pullSecret } = registryHandles(spec.registryName);
  const common = labels({ name: NAME, component: 'registry', environment, purpose: 'clean-up' });
  const within = (name: string) => ({ namespace, name, labels: common });
  const after = { dependsOn: [registryNamespace] };
  return [
    {
      ...ledgerReader,
      provider: 'gitlab',
      // It reads the ledger and how merge requests ended, and may change nothing.
      args: readingToken(gitlab, {
        group: inputRef('group', spec.group),
        name: 'switchyard-retention',
        accessLevel: 'reporter',
      }),
    },
    object(
      'kubernetes:core/v1:Secret',
      'registry-retention-access',
      'ci',
      within(NAME),
      {
        stringData: {
          gitlabToken: outputOf(ledgerReader, 'token'),
          '.dockerconfigjson': dockerConfig(address, registryLogins.push),
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
        subjects: [{ kind: 'ServiceAccount', name: NAME, namespace }],
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
          image: spec.deliveryImage,
          schedule: spec.schedule,
          labels: common,
          account: NAME,
          args: [
            'registry-gc',
            '--namespace',
            namespace,
            '--days',
            String(spec.days),
            '--release-days',
            String(spec.releaseDays),
          ],
          deadline: 3600,
          env: [
            { name: 'DOCKER_CONFIG', value: '/access' },
            { name: 'GITLAB_URL', value: gitlab.url },
            {
              name: 'GITLAB_TOKEN',
              valueFrom: { secretKeyRef: { name: NAME, key: 'gitlabToken' } },
            },
            { name: 'REGISTRY', value: address },
            { name: 'REGISTRY_PLAIN_HTTP', value: String(scheme === 'http') },
            { name: 'SWITCHYARD_GITLAB_GROUP', value: gitlab.group },
            ...existingProjects(gitlab),
          ],
          secrets: [
            { name: NAME, mountPath: '/access', items: [{ key: '.dockerconfigjson', path: 'config.json' }] },
          ],
        }),
      },
      { dependsOn: ['registry-retention-access', 'registry-retention-binding', pullSecret] },
    ),
  ];
}
