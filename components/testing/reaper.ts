import { namespacesOf } from '../../stacks/namespaces';
import type { Model } from '../model';
import type { Declaration } from '../shared/declaration';
import { deliveryJob } from '../shared/job';
import { fencedNamespace, object } from '../shared/kubernetes';
import { labels, names } from '../shared/naming';
import { apiPorts, outside } from '../shared/network';

/**
 * What all test namespaces share: a job that removes what is past its end. It has a namespace of its own, since who may
 * start Pods beside it could borrow its service account.
 */
export function testingSharedResources(model: Model): Declaration[] {
  const { environment, testing, registry } = model.settings;
  const about = { name: names.reaper, component: 'testing', environment, purpose: 'clean-up' };
  const common = labels(about);
  const within = { namespace: namespacesOf(model.settings).reaper, name: names.reaper, labels: common };
  const namespaces = model.modules.map((module) => namespacesOf(model.settings).test(module.name));
  return [
    ...fencedNamespace({
      prefix: 'reaper',
      namespace: namespacesOf(model.settings).reaper,
      provider: 'ci',
      labels: about,
      quota: { pods: 2, cpu: '1', memory: '1Gi', disk: '4Gi', claims: 0 },
      egress: [outside(...apiPorts(model.settings))],
      pullFrom: registry.address,
    }),
    object(
      'kubernetes:core/v1:ServiceAccount',
      'reaper-account',
      'ci',
      within,
      { automountServiceAccountToken: false },
      { dependsOn: ['reaper-namespace'] },
    ),
    // Nothing to clean, no job: `delivery reap` asks for one namespace at least.
    ...(namespaces.length > 0
      ? [
          object(
            'kubernetes:batch/v1:CronJob',
            'reaper-job',
            'ci',
            within,
            {
              spec: deliveryJob({
                schedule: testing.reaper,
                labels: common,
                account: names.reaper,
                args: ['reap', '--namespace', ...namespaces],
                deadline: 600,
              }),
            },
            { dependsOn: ['reaper-account', 'reaper-pull'] },
          ),
        ]
      : []),
  ];
}
