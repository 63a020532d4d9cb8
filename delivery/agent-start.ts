import { z } from 'zod';
import type { Cluster } from '../clients/kubernetes-in-pod';
import { eventSchema, eventsOf, eventTime, MOST, type PodWords, reasonWord } from './pod-words';

// Why no agent of a build's second kind started. Pods of agents are not read: each shows the secret by which its agent connects.

const podEvent = eventSchema.extend({
  type: z.literal('Warning'),
  involvedObject: z.looseObject({ kind: z.literal('Pod'), name: z.string().max(253), uid: z.string() }),
});

/**
 * What the events of a namespace say of the newest Pods that could not start.
 * @param since milliseconds of the epoch; what is older is of another build
 */
export function agentWords(objects: readonly unknown[], minutes: number, since: number): PodWords {
  const events = objects
    .flatMap((object) => podEvent.safeParse(object).data ?? [])
    .filter((event) => eventTime(event) >= since)
    .sort((a, b) => eventTime(a) - eventTime(b));
  const names = new Map(events.map(({ involvedObject: { uid, name } }) => [uid, name]));
  const newest = [...new Set(events.map(({ involvedObject }) => involvedObject.uid).reverse())];
  const last = reasonWord(events.at(-1)?.reason ?? '');
  return {
    infrastructure: true,
    why: `no agent started within ${minutes} minutes${last ? ` (${last})` : ''}`,
    pods: newest
      .slice(0, MOST.pods)
      .map((uid) => ({ name: names.get(uid) ?? '', events: eventsOf(events, uid), log: [] })),
  };
}

/** {@link agentWords} of a namespace of agents as it is now. */
export async function readAgentStart(
  cluster: Pick<Cluster, 'objects'>,
  namespace: string,
  minutes: number,
  now = Date.now(),
): Promise<PodWords> {
  const found = await cluster.objects('events', namespace, { fieldSelector: 'type=Warning' });
  return agentWords(found, minutes, now - minutes * 60_000);
}
