import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { names } from '../../components/shared/naming';
import { isOneCluster } from '../../stacks/clusters';
import { namespacesOf } from '../../stacks/namespaces';
import type { StackSettings } from '../../stacks/schema';
import { type ClusterRole, clusterOf } from '../outside/clients';

const cronJob = z.looseObject({
  // Not a record: the client's objects are instances of classes, which zod takes for none.
  spec: z.looseObject({ jobTemplate: z.looseObject({ spec: z.looseObject({}) }) }),
});
const job = z.looseObject({
  status: z
    .looseObject({
      conditions: z.array(z.looseObject({ type: z.string(), status: z.string() })).optional(),
    })
    .optional(),
});

/** Longest that a backup may take. */
const PATIENCE_MS = 3_600_000;

async function backUpCluster(settings: StackSettings, role: ClusterRole, name: string): Promise<void> {
  const namespace = namespacesOf(settings).backup;
  const found = await clusterOf(settings, role).read({
    apiVersion: 'batch/v1',
    kind: 'CronJob',
    metadata: { name: names.backup, namespace },
  });
  if (found === undefined) throw new Error(`there is no CronJob ${namespace}/${names.backup}`);
  const { spec } = cronJob.parse(found).spec.jobTemplate;
  const made = { apiVersion: 'batch/v1', kind: 'Job', metadata: { name, namespace } };
  await clusterOf(settings, role).create({ ...made, spec });
  const end = Date.now() + PATIENCE_MS;
  for (;;) {
    const { status } = job.parse(await clusterOf(settings, role).read(made));
    // Not its count of failed Pods: a job tries again.
    const is = (type: string) =>
      status?.conditions?.some((one) => one.type === type && one.status === 'True') ?? false;
    if (is('Complete')) return;
    if (is('Failed')) {
      throw new Error(`the backup failed: kubectl --namespace ${namespace} logs job/${name}`);
    }
    if (Date.now() > end) throw new Error(`the backup ${namespace}/${name} did not end within an hour`);
    await sleep(1000);
  }
}

/** Runs the environment's own backup once, as its schedule does. @throws Error when it fails */
export async function backUpNow(settings: StackSettings, name: string): Promise<void> {
  await backUpCluster(settings, 'ci', name);
  if (!isOneCluster(settings.clusters)) await backUpCluster(settings, 'production', name);
}
