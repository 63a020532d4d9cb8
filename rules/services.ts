import { PASSWORD_VARIABLE } from '../catalog/containers';
import { BUCKET_KEYS } from '../components/backup/environment';
import { DUMP_NOTE, LOGIN_NOTE } from '../components/shared/kubernetes';
import { names } from '../components/shared/naming';
import { shownText } from '../components/shared/references';
import type { Facts } from './facts';
import { BACKUP_LABEL, isMarked, reachedBy } from './facts/graph';
import { inModule, labelOf, nameOf, namespaceOf, secretValues, violation } from './facts/item';
import { containersOf, type PodUse } from './facts/pods';
import { at, list, text, UNKNOWN } from './facts/read';
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
                { part: pod.part, ...inModule(pod.item, `environment.${variable}`) },
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

/** StatefulSets that keep a module's data in production, with what they say of their dumps. */
const databases = (facts: Facts): { pod: PodUse; note: string | undefined }[] =>
  facts.pods
    .filter(
      ({ item, part, claims }) =>
        !item.planned && !part && claims.length > 0 && labelOf(item, COMPONENT) === 'service',
    )
    .map((pod) => ({ pod, note: text(pod.item.args, 'metadata', 'annotations', DUMP_NOTE) }));

const COMPONENT = 'app.kubernetes.io/component';

/** A copy of a volume that is written to is no backup of a database; whether one is needed is written down. */
export const servicesDumped: Rule = {
  id: 'services-dumped',
  holds: 'Each service of production that keeps data says how it is dumped, or why it is not.',
  why: 'Nobody notices that a service is in no backup, until it has to come out of one.',
  check: (facts) =>
    databases(facts).flatMap(({ pod, note }) =>
      note === undefined
        ? [
            violation(
              pod.item,
              'keeps data, and nothing says how it is dumped.',
              'Write backup: { dump, restore } or { none: reason } in its file of catalog/services.',
            ),
          ]
        : [],
    ),
};

/** Whether an account may run commands in a Pod, by the roles of the Pod's namespace. */
function mayExec(facts: Facts, cluster: string, namespace: string, pod: string): boolean {
  const roles = (facts.byType.get('kubernetes:rbac.authorization.k8s.io/v1:Role') ?? []).filter(
    (role) => role.cluster === cluster && namespaceOf(role) === namespace && nameOf(role) === names.backup,
  );
  return roles.some((role) =>
    list(role.args, 'rules').some(
      (rule) =>
        list(rule, 'resources').includes('pods/exec') &&
        list(rule, 'verbs').includes('create') &&
        list(rule, 'resourceNames').includes(pod),
    ),
  );
}

/** A job that may not enter the container fails at night, and only there. */
export const dumpsPossible: Rule = {
  id: 'dumps-possible',
  holds: 'Where backups are made, the job may run commands in each database that it dumps, and it runs.',
  why: 'The dump fails each night, and the last one that worked gets older and older.',
  check: (facts) => {
    const jobs = (facts.byType.get('kubernetes:batch/v1:CronJob') ?? []).filter(
      (job) => labelOf(job, COMPONENT) === 'backup' && JSON.stringify(job.args).includes('"databases"'),
    );
    const backsUp = (facts.byType.get('kubernetes:batch/v1:CronJob') ?? []).some(
      (job) => labelOf(job, COMPONENT) === 'backup',
    );
    if (!backsUp) return [];
    return databases(facts).flatMap(({ pod, note }) => {
      if (note !== 'dumped') return [];
      if (!jobs.some((job) => job.cluster === pod.cluster)) {
        return [
          violation(
            pod.item,
            'is dumped by no job of its cluster.',
            'Give that cluster a job with --kind databases (components/backup).',
          ),
        ];
      }
      return mayExec(facts, pod.cluster, pod.namespace, `${nameOf(pod.item)}-0`)
        ? []
        : [
            violation(
              pod.item,
              `cannot be dumped: no Role "${names.backup}" of ${pod.namespace} allows pods/exec in ${nameOf(pod.item)}-0.`,
              'Declare it as components/backup/role.ts does.',
            ),
          ];
    });
  },
};

/** Keys of the Secrets with which backups are made: what opens the repository, and what may empty it. */
const REPOSITORY_KEYS: readonly string[] = ['RESTIC_PASSWORD', ...Object.values(BUCKET_KEYS)];

/** Agents that roll out, by the name of their template. */
const ROLLOUT = 'deploy';

/** Whoever gets into a rollout gets into production; the way back must not be there as well. */
export const backupsApart: Rule = {
  id: 'backups-apart',
  holds: 'What rolls out has no key of the backups: no Secret of its namespace holds one.',
  why: 'Whoever takes over a deploy deletes production and its backups at once.',
  check: (facts) => {
    const rollouts = new Set(
      facts.jenkins.templates
        .filter(({ name }) => name === ROLLOUT)
        .map(({ declaredBy, namespace }) => key(declaredBy.cluster ?? '', namespace)),
    );
    const secrets = (facts.byType.get('kubernetes:core/v1:Secret') ?? []).map((item) => ({
      item,
      values: Object.entries(secretValues(item)).map(([name, value]) => ({ name, value: shownText(value) })),
    }));
    const opening = new Set(
      secrets
        .flatMap(({ values }) => values)
        .filter(({ name, value }) => REPOSITORY_KEYS.includes(name) && value !== UNKNOWN)
        .map(({ value }) => value),
    );
    return secrets.flatMap(({ item, values }) => {
      if (!rollouts.has(key(item.cluster ?? '', namespaceOf(item)))) return [];
      const held = values.filter(({ name, value }) => REPOSITORY_KEYS.includes(name) || opening.has(value));
      return held.length === 0
        ? []
        : [
            violation(
              item,
              `holds ${held.map(({ name }) => name).join(', ')}, with which backups can be deleted, where rollouts run.`,
              'Keep it in the namespaces of the backups, or keep backups with credentials of their own.',
            ),
          ];
    });
  },
};

/** Where Kubernetes fills the password in: behind an even number of `$`, since `$$` is one that stands for itself. */
const FILLED_PASSWORD = new RegExp(`(?<!\\$)(?:\\$\\$)*\\$\\(${PASSWORD_VARIABLE}\\)`);

/** A network policy is enforced by a plug-in, and not by every one. */
export const databasesAskLogin: Rule = {
  id: 'databases-ask-login',
  holds: 'Each service of production is started with its password, or says why it asks for no login.',
  why: 'Where the network does not fence it, whoever is in the cluster reads and changes its data.',
  check: (facts) =>
    databases(facts).flatMap(({ pod }) => {
      const asks = containersOf(pod.spec).some(({ container }) =>
        [
          ...list(container, 'command'),
          ...list(container, 'args'),
          ...list(container, 'env').map((entry) => at(entry, 'value')),
        ].some((word) => typeof word === 'string' && FILLED_PASSWORD.test(word)),
      );
      return asks || text(pod.item.args, 'metadata', 'annotations', LOGIN_NOTE) !== undefined
        ? []
        : [
            violation(
              pod.item,
              'is started without its password: it asks nobody for a login.',
              'Name {password} in its file of catalog/services, or write login: { none: reason }.',
            ),
          ];
    }),
};
