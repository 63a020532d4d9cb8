import { z } from 'zod';
import { restrictedContainer, withDisk } from '../../catalog/containers';
import type { Module } from '../../catalog/load';
import type { GitLabApi } from '../../clients/gitlab-api';
import type { ObjectName, WholeObject } from '../../clients/kubernetes';
import { type Place, PodExec } from '../../clients/pod-exec';
import { fetchReleases } from '../../components/ask-gitlab';
import { JENKINS_USER } from '../../components/jenkins/names';
import type { Model } from '../../components/model';
import { restrictedPod } from '../../components/shared/kubernetes';
import { labels } from '../../components/shared/naming';
import { type Database, restoreDatabase } from '../../delivery/backup/kinds/databases';
import { restoreJenkinsHome } from '../../delivery/backup/kinds/jenkins';
import { imageOf, restoreImage } from '../../delivery/backup/kinds/registry';
import { restoreRepository } from '../../delivery/backup/kinds/repositories';
import type { Restic } from '../../delivery/backup/restic';
import { lfsOf, type Snapshot } from '../../delivery/backup/snapshots';
import { databasesOf as everyDatabase } from '../../delivery/backup/sources';
import { imageFor } from '../../stacks/load';
import { namespacesOf } from '../../stacks/namespaces';
import { repositoryRoot } from '../../stacks/registry';
import { type ClusterRole, clusterOf, gitlabApiOf, registryOf } from '../outside/clients';
import { type Chosen, ofKind } from './backup';
import type { Journal } from './record';
import { projectsOf, type TargetName, targetOf } from './targets';
import { together } from './together';

/** Items of a kind that come back at once: each waits for the backup's storage, for a start of restic and for its target. */
const AT_ONCE = 3;

/** Everything that bringing data back needs. */
export interface Restoring {
  readonly model: Model;
  readonly restic: Restic;
  readonly chosen: Chosen;
  readonly seed: string;
  readonly gitlabToken: string;
  readonly journal: Journal;
  readonly note: (text: string) => void;
}

/** One item of a kind: once, and never again by a rebuild that goes on, which would undo what came after. */
async function once(
  { journal, note }: Restoring,
  { kind, item }: Snapshot,
  restore: () => Promise<string>,
): Promise<void> {
  if (journal.hasRestored(kind, item)) return;
  const begun = Date.now();
  const said = await restore();
  journal.restored(kind, item);
  note(`  ${kind} ${item}: ${said} in ${((Date.now() - begun) / 1000).toFixed(1)} s`);
}

const kept = ({ journal }: Restoring, target: TargetName): boolean => journal.record.keep.includes(target);

const listed = z.array(
  z.looseObject({ id: z.number().optional(), name: z.string().optional(), url: z.string().optional() }),
);

/**
 * Takes away what stands in the way of a push, or would answer it: protections, and hooks to our Jenkins in a GitLab that
 * lives. The whole `up` that follows puts them back.
 */
export async function makeWay(
  gitlab: Pick<GitLabApi, 'get' | 'remove'>,
  path: string,
  jenkins: string,
): Promise<void> {
  const project = `projects/${encodeURIComponent(path)}`;
  for (const { id, url } of listed.parse((await gitlab.get(`${project}/hooks`)) ?? [])) {
    if (url?.startsWith(`${jenkins}/`)) await gitlab.remove(`${project}/hooks/${id}`);
  }
  for (const { name } of listed.parse((await gitlab.get(`${project}/protected_branches`)) ?? [])) {
    if (name) await gitlab.remove(`${project}/protected_branches/${encodeURIComponent(name)}`);
  }
}

/** What the backup holds of a project's objects in Git LFS, by oid. */
const lfsObjectsOf = (snapshots: readonly Snapshot[], project: string): Map<string, Snapshot> =>
  new Map(
    snapshots.flatMap((snapshot) => {
      const object = lfsOf(snapshot);
      return object?.project === project ? [[object.oid, snapshot] as const] : [];
    }),
  );

/** Pushes every repository, with what it names of Git LFS before it. */
export async function restoreRepositories(restoring: Restoring): Promise<void> {
  if (kept(restoring, targetOf.repositories)) return;
  const { model, restic, chosen, gitlabToken, note } = restoring;
  const { settings } = model;
  const gitlab = gitlabApiOf(settings, gitlabToken);
  const projects = new Map(projectsOf(model).map((project) => [project.item, project.path]));
  const stored = ofKind(chosen, 'repositories');
  const bundles = stored.filter((snapshot) => lfsOf(snapshot) === undefined);
  await together(bundles, AT_ONCE, async (snapshot) => {
    const path = projects.get(snapshot.item);
    if (path === undefined) {
      note(`  repositories ${snapshot.item}: not restored, the topology has no such project any more`);
      return;
    }
    await once(restoring, snapshot, async () => {
      await makeWay(gitlab, path, settings.jenkins.url);
      const remote = { url: `${settings.gitlab.url}/${path}.git`, token: gitlabToken };
      // Whatever stands there is the README of a new project, or was given up by --over.
      return restoreRepository(restic, snapshot, remote, {
        over: true,
        lfs: lfsObjectsOf(stored, snapshot.item),
      });
    });
  });
}

/** References of the images that production runs by the ledger, as `<repository>@<digest>`. */
export async function releasedImages({ model: { settings }, gitlabToken }: Restoring): Promise<Set<string>> {
  const { environment, gitlab } = settings;
  const ours = `${repositoryRoot(settings)}/`;
  const releases = await fetchReleases(gitlab.url, gitlab.group, gitlabToken, environment);
  return new Set(
    Object.values(releases).map(({ image }) => (image.startsWith(ours) ? image.slice(ours.length) : image)),
  );
}

/**
 * Pushes images back under their digests.
 * @param which `released`: what production runs now; `history`: what a rollback may ask for
 */
export async function restoreImages(restoring: Restoring, which: 'released' | 'history'): Promise<void> {
  if (kept(restoring, targetOf.registry)) return;
  const { restic, chosen } = restoring;
  const registry = registryOf(restoring.model.settings, 'push', restoring.seed);
  const released = await releasedImages(restoring);
  const stored = ofKind(chosen, 'registry').filter(
    ({ item }) => released.has(item) === (which === 'released'),
  );
  if (which === 'released') {
    const missing = [...released].filter((reference) => !stored.some(({ item }) => item === reference));
    if (missing.length > 0) {
      throw new Error(
        `the backup does not hold ${missing.join(', ')}, which the release ledger names; choose an earlier --from`,
      );
    }
  }
  await together(stored, AT_ONCE, async (snapshot) => {
    imageOf(snapshot.item);
    await once(restoring, snapshot, () => restoreImage(restic, snapshot, registry));
  });
}

/** What can be restored into the modules' services, by item. */
export const databasesOf = ({ modules, catalog, settings }: Model): Map<string, Database> =>
  new Map(
    everyDatabase(settings, modules, catalog.services).map((database) => [
      `${database.module}/${database.service}`,
      database,
    ]),
  );

/** Tells a workload to have no Pods; with `pod`, waits until that one is gone. */
async function stop(model: Model, role: ClusterRole, workload: ObjectName, pod?: string): Promise<void> {
  await clusterOf(model.settings, role).scale(workload, 0);
  if (!pod) return;
  const { namespace } = workload.metadata;
  await clusterOf(model.settings, role).remove({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: pod, namespace },
  });
}

const stoppedSchema = z.looseObject({ spec: z.looseObject({ replicas: z.literal(0) }) });

/**
 * Has an autoscaler take up again a module that was stopped: while there are no Pods it lets them be, and an `up` does
 * not set their number. All others come back with the `up` that follows.
 */
export async function wake(
  { production: { scaling } }: Pick<Module, 'production'>,
  { read, scale }: { readonly read: () => Promise<unknown>; readonly scale: (pods: number) => Promise<void> },
): Promise<void> {
  if (scaling && stoppedSchema.safeParse(await read()).success) await scale(scaling.min);
}

/** Fills every database, with its module stopped where it lives. */
export async function restoreDatabases(restoring: Restoring): Promise<void> {
  if (kept(restoring, targetOf.databases)) return;
  const { model, restic, chosen, journal, note } = restoring;
  const exec = new PodExec(await clusterOf(model.settings, 'production').config());
  const databases = databasesOf(model);
  const ofModules = new Map<string, (readonly [Snapshot, Database])[]>();
  for (const snapshot of ofKind(chosen, 'databases')) {
    const database = databases.get(snapshot.item);
    if (database) {
      ofModules.set(database.module, [...(ofModules.get(database.module) ?? []), [snapshot, database]]);
    } else {
      note(`  databases ${snapshot.item}: not restored, the catalog has no such service any more`);
    }
  }
  // One after the other within a module, which is stopped before the first.
  await together([...ofModules], AT_ONCE, async ([module, own]) => {
    const over = journal.record.over.includes('production');
    const workload: ObjectName = {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: module, namespace: namespacesOf(model.settings).production(module) },
    };
    let stopped = false;
    for (const [snapshot, database] of own) {
      await once(restoring, snapshot, async () => {
        if (over && !stopped) {
          await stop(model, 'production', workload);
          stopped = true;
        }
        await restoreDatabase(restic, snapshot, exec, database);
        return 'restored';
      });
    }
    const declared = model.modules.find(({ name }) => name === module);
    // Also where a rebuild that was killed had filled them.
    if (over && declared)
      await wake(declared, {
        read: () => clusterOf(model.settings, 'production').read(workload),
        scale: (pods) => clusterOf(model.settings, 'production').scale(workload, pods),
      });
  });
}

const HOME = '/jenkins-home';

/** A Pod that has Jenkins' home mounted while Jenkins does not run. */
export function homePod(model: Model): { readonly pod: WholeObject; readonly place: Place } {
  const name = 'rebuild-jenkins-home';
  const place: Place = { namespace: namespacesOf(model.settings).ci, pod: name, container: 'home' };
  const pod: WholeObject = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace: namespacesOf(model.settings).ci,
      labels: labels({
        name: 'rebuild',
        component: 'rebuild',
        environment: model.settings.environment,
      }),
    },
    spec: {
      restartPolicy: 'Never',
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      // Whatever becomes of the rebuild: it does not stay.
      activeDeadlineSeconds: 3600,
      terminationGracePeriodSeconds: 0,
      securityContext: restrictedPod(JENKINS_USER),
      containers: [
        {
          name: 'home',
          image: imageFor(model.settings, 'agent'),
          command: ['sleep', '3600'],
          resources: withDisk(
            { requests: { cpu: '10m', memory: '64Mi' }, limits: { memory: '256Mi' } },
            '1Gi',
          ),
          securityContext: restrictedContainer,
          volumeMounts: [{ name: 'home', mountPath: HOME }],
        },
      ],
      volumes: [{ name: 'home', persistentVolumeClaim: { claimName: 'jenkins-home' } }],
    },
  };
  return { pod, place };
}

/** Unpacks Jenkins' home before Jenkins starts. */
export async function restoreJenkins(restoring: Restoring): Promise<void> {
  const { model, restic, chosen } = restoring;
  const { settings } = model;
  const [snapshot] = ofKind(chosen, 'jenkins');
  if (kept(restoring, targetOf.jenkins) || settings.jenkins.existing || !snapshot) return;
  await once(restoring, snapshot, async () => {
    const controller: ObjectName = {
      apiVersion: 'apps/v1',
      kind: 'StatefulSet',
      metadata: { name: 'jenkins', namespace: namespacesOf(model.settings).ci },
    };
    if ((await clusterOf(settings, 'ci').read(controller)) !== undefined) {
      await stop(model, 'ci', controller, 'jenkins-0');
    }
    const { pod, place } = homePod(model);
    try {
      await clusterOf(settings, 'ci').create(pod);
      const exec = new PodExec(await clusterOf(settings, 'ci').config());
      await restoreJenkinsHome(restic, snapshot, exec, place, HOME);
    } finally {
      await clusterOf(settings, 'ci').remove(pod);
    }
    return 'restored';
  });
}
