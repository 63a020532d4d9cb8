import { setTimeout as sleep } from 'node:timers/promises';
import type { Model } from '../../components/model';
import type { StackSettings } from '../../stacks/schema';
import { type ClusterRole, clusterOf } from '../outside/clients';
import { type Growth, growthFault, growthOf, type Progress, progressOf, wantedClaims } from './growth';

const SERVICES = 'app.kubernetes.io/component=service';

/** By what a claim is known. */
const keyOf = (role: ClusterRole, namespace: string | undefined, name: string | undefined): string =>
  `${role} ${namespace}/${name}`;

/** Time for a driver to make a volume larger, and for the kubelet to do so with what is on it, in seconds. */
const GROWTH_SECONDS = 300;

/**
 * Volumes that are smaller than the files say.
 * @param note gets what could not be looked at: the engine, or the cluster, will say what is wrong there
 * @throws ProblemsError for those that cannot be made so, and for one that would be made anew without what it holds
 */
export async function growingVolumes(model: Model, note: (text: string) => void): Promise<Growth[]> {
  const { settings } = model;
  const unseen = (what: string) => (error: unknown) => {
    const [said = ''] = (error instanceof Error ? error.message : String(error)).split('\n');
    note(
      `${what} could not be looked at (${said}): whether they can be as the files say shows in its change.`,
    );
  };
  const wanted = wantedClaims(model);
  const found = new Map<string, unknown>();
  const take = async (role: ClusterRole): Promise<void> => {
    const mine = wanted.filter((one) => one.role === role);
    for (const one of mine.filter(({ declared }) => declared)) {
      const { namespace, claim: name } = one;
      const kind = 'PersistentVolumeClaim';
      found.set(
        keyOf(role, namespace, name),
        await clusterOf(settings, role).read({ apiVersion: 'v1', kind, metadata: { namespace, name } }),
      );
    }
    if (mine.every(({ declared }) => declared)) return;
    for (const claim of await clusterOf(settings, role).list('v1', 'PersistentVolumeClaim', SERVICES)) {
      const { metadata } = claim as { metadata?: { namespace?: string; name?: string } };
      found.set(keyOf(role, metadata?.namespace, metadata?.name), claim);
    }
  };
  const roles = [...new Set(wanted.map(({ role }) => role))];
  await Promise.all(roles.map((role) => take(role).catch(unseen(`Volumes of the cluster ${role}`))));
  return growthOf(wanted, {
    claimOf: ({ role, namespace, claim }) => found.get(keyOf(role, namespace, claim)),
    expandable: async (role, name) => {
      const metadata = { name };
      const kind = 'StorageClass';
      try {
        const it = await clusterOf(settings, role).read({ apiVersion: 'storage.k8s.io/v1', kind, metadata });
        return (it as { allowVolumeExpansion?: boolean } | undefined)?.allowVolumeExpansion === true;
      } catch (error) {
        unseen(`Class ${name} of the cluster ${role}`)(error);
        return true;
      }
    },
  });
}

/**
 * Waits until volumes have the size that their claims ask for.
 * @returns what is wrong with those that do not get it; nothing where all did
 */
export async function untilGrown(
  settings: StackSettings,
  growing: readonly Growth[],
  { seconds = GROWTH_SECONDS, pollMs = 1000 }: { readonly seconds?: number; readonly pollMs?: number } = {},
): Promise<string[]> {
  const end = Date.now() + seconds * 1000;
  const one = async (growth: Growth): Promise<string[]> => {
    const { role, namespace, claim: name, to } = growth;
    for (;;) {
      const progress: Progress = await clusterOf(settings, role)
        .read({
          ...{ apiVersion: 'v1', kind: 'PersistentVolumeClaim', metadata: { namespace, name } },
        })
        .then(
          (there) => progressOf(there, to),
          (error: unknown) => ({ has: 'an unknown size', done: false, said: String(error), refused: false }),
        );
      if (progress.done) return [];
      if (progress.refused || Date.now() >= end) return [growthFault(growth, progress, seconds)];
      await sleep(pollMs);
    }
  };
  return (await Promise.all(growing.map(one))).flat();
}
