import type { Declaration } from '../shared/declaration';
import { deliveryJob } from '../shared/job';
import { fencedNamespace, namespaceHandle, object, pullSecretHandle } from '../shared/kubernetes';
import { labels, names } from '../shared/naming';
import { API_PORTS, outside } from '../shared/network';
import type { TestingSpec } from './testing';

/**
 * What all test namespaces share: a job that removes what is past its end. It has a namespace of its own, since who may
 * start Pods beside it could borrow its service account.
 */
export function testingDeclarations(spec: TestingSpec): Declaration[] {
  const { apiPorts = API_PORTS, environment, namespace, schedule = '*/15 * * * *', testNamespaces } = spec;
  const about = { name: names.reaper, component: 'testing', environment, purpose: 'clean-up' };
  const common = labels(about);
  const within = { namespace, name: names.reaper, labels: common };
  return [
    ...fencedNamespace({
      prefix: 'reaper',
      namespace,
      provider: 'ci',
      labels: about,
      quota: { pods: 2, cpu: '1', memory: '1Gi', disk: '4Gi', claims: 0 },
      egress: [outside(...apiPorts)],
      pullFrom: spec.registry,
    }),
    object(
      'kubernetes:core/v1:ServiceAccount',
      'reaper-account',
      'ci',
      within,
      { automountServiceAccountToken: false },
      { dependsOn: [namespaceHandle('reaper')] },
    ),
    // Nothing to clean, no job: `delivery reap` asks for one namespace at least.
    ...(testNamespaces.length > 0
      ? [
          object(
            'kubernetes:batch/v1:CronJob',
            'reaper-job',
            'ci',
            within,
            {
              spec: deliveryJob({
                image: spec.deliveryImage,
                schedule,
                labels: common,
                account: names.reaper,
                args: ['reap', '--namespace', ...testNamespaces],
                deadline: 600,
              }),
            },
            { dependsOn: ['reaper-account', pullSecretHandle('reaper')] },
          ),
        ]
      : []),
  ];
}
