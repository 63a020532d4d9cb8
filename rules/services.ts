import { isBackup, reachedBy, serviceId } from './graph';
import { moduleOf, nameOf, namespaceOf, violation } from './item';
import type { Rule } from './rule';

const key = (...parts: readonly string[]): string => parts.join('\n');

/** A name that nothing answers to is found at build time otherwise, or in production. */
export const servicesExist: Rule = {
  id: 'services-exist',
  holds: 'A Pod that is told to reach `<service>.<namespace>.svc` finds that Service.',
  why: 'The name does not resolve, and the module never becomes ready.',
  check: (facts) => {
    const known = new Set(
      (facts.byType.get('kubernetes:core/v1:Service') ?? []).map((item) =>
        key(item.cluster ?? '', namespaceOf(item), nameOf(item)),
      ),
    );
    // What stands in a namespace that someone else makes is theirs to know.
    const ours = new Set(
      facts.namespaces.filter(({ declared }) => declared).map(({ cluster, name }) => key(cluster, name)),
    );
    return facts.pods.flatMap((pod) =>
      reachedBy(pod).flatMap(({ service, namespace, variable }) =>
        !ours.has(key(pod.cluster, namespace)) || known.has(key(pod.cluster, namespace, service))
          ? []
          : [
              violation(
                pod.item,
                `${variable} names ${service}.${namespace}.svc, but ${namespace} has no Service "${service}".`,
                'Declare the Service, or correct the name.',
                { part: pod.part },
              ),
            ],
      ),
    );
  },
};

/** Backups are a choice of the namespace's owner; half of one is a mistake. */
export const backupsComplete: Rule = {
  id: 'backups-complete',
  holds: 'Where a namespace has a backup, it saves every service of the namespace that keeps data.',
  why: 'The one that was left out is missed on the day of the restore.',
  check: (facts) => {
    const saving = new Set(facts.pods.filter(isBackup).map((pod) => key(pod.cluster, pod.namespace)));
    const services = facts.byType.get('kubernetes:core/v1:Service') ?? [];
    const byPlace = new Map(
      services.map((item) => [key(item.cluster ?? '', namespaceOf(item), nameOf(item)), item]),
    );
    return facts.pods.flatMap((pod) => {
      if (pod.claims.length === 0 || !saving.has(key(pod.cluster, pod.namespace))) return [];
      const service = byPlace.get(key(pod.cluster, pod.namespace, nameOf(pod.item)));
      const saved = service && facts.graph.next.has(serviceId(service));
      return saved
        ? []
        : [
            violation(
              pod.item,
              `keeps data, but no backup of ${pod.namespace} reaches it.`,
              'Add it to the backup, by its `<service>.<namespace>.svc`.',
              { modules: [moduleOf(pod.item)] },
            ),
          ];
    });
  },
};
