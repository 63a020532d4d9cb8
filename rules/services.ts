import { BACKUP_LABEL, isMarked, reachedBy } from './graph';
import { nameOf, namespaceOf, violation } from './item';
import type { PodUse } from './pods';
import { text } from './read';
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

/** Velero backs up exactly the volumes that a Pod names here. */
const VOLUMES = 'backup.velero.io/backup-volumes';

/** Volumes of a marked workload that its Pods do not name. */
function unnamed(pod: PodUse): string[] {
  const named = new Set((text(pod.annotations, VOLUMES) ?? '').split(','));
  return pod.claims.flatMap((claim) => {
    const name = text(claim, 'metadata', 'name');
    return name === undefined || named.has(name) ? [] : [name];
  });
}

/** Whether a namespace is backed up is its owner's choice; half of a backup is a mistake. */
export const backupsComplete: Rule = {
  id: 'backups-complete',
  holds:
    'Where a namespace marks anything for backup, it marks everything that keeps data, volume by volume.',
  why: 'The one that was left out is missed on the day of the restore.',
  check: (facts) =>
    facts.namespaces.flatMap(({ name, claims, pods }) => {
      const keeping = pods.filter((pod) => pod.claims.length > 0);
      const holders = [...claims, ...keeping.map((pod) => pod.item)];
      if (!holders.some(isMarked)) return [];
      const forgotten = holders
        .filter((item) => !isMarked(item))
        .map((item) =>
          violation(
            item,
            `keeps data without the label ${BACKUP_LABEL}, which others in ${name} have.`,
            'Mark it as well, or none of them.',
          ),
        );
      const nameless = keeping
        .filter((pod) => isMarked(pod.item))
        .flatMap((pod) =>
          unnamed(pod).map((volume) =>
            violation(
              pod.item,
              `is marked for backup, but its Pods do not name the volume "${volume}".`,
              `Annotate the Pods with ${VOLUMES}: ${volume}.`,
            ),
          ),
        );
      return [...forgotten, ...nameless];
    }),
};
