import { exceptionFor } from './exceptions';
import { type Item, labelOf, nameOf, violation } from './facts/item';
import { containerPart, containersOf, type PodUse, volumeKinds } from './facts/pods';
import { at, list, text } from './facts/read';
import type { Violation } from './facts/violation';
import type { Rule } from './rule';

/** Volume in which Jenkins' Kubernetes plugin keeps an agent's workspace; it adds one without an end to Pods without it. */
const WORKSPACE = 'workspace-volume';

const DISK = 'ephemeral-storage';

const partOf = (pod: PodUse): { readonly part?: string } => (pod.part ? { part: pod.part } : {});

/** Whether Jenkins starts it. */
const isAgent = (pod: PodUse): boolean => pod.item.planned === true || pod.part !== undefined;

function volumesWithoutEnd(pod: PodUse): Violation[] {
  const volumes = list(pod.spec, 'volumes');
  const endless = volumes.filter(
    (volume) => volumeKinds(volume).includes('emptyDir') && at(volume, 'emptyDir', 'sizeLimit') === undefined,
  );
  const missing = isAgent(pod) && !volumes.some((volume) => text(volume, 'name') === WORKSPACE);
  return [...endless.map((volume) => text(volume, 'name') ?? ''), ...(missing ? [WORKSPACE] : [])].map(
    (name) =>
      violation(
        pod.item,
        `its emptyDir "${name}" has no sizeLimit.`,
        'Give it one (`emptyDir` of catalog/containers.ts).',
        partOf(pod),
      ),
  );
}

/** One Pod that fills its node's disk has all others of the node evicted. */
export const diskBounded: Rule = {
  id: 'disk-bounded',
  holds:
    "Each container has a request and a limit of its node's disk (ephemeral-storage), and each emptyDir a size.",
  why: "A log or a folder that grows fills the node's disk, and everything on that node is evicted.",
  check: (facts) =>
    facts.pods.flatMap((pod) => [
      ...containersOf(pod.spec).flatMap(({ name, container }) => {
        const missing = ['requests', 'limits'].filter(
          (side) => at(container, 'resources', side, DISK) === undefined,
        );
        return missing.length === 0
          ? []
          : [
              violation(
                pod.item,
                `has no ${missing.map((side) => `${side}.${DISK}`).join(' and no ')}.`,
                'Give it both (`withDisk` of catalog/containers.ts).',
                { part: containerPart(pod, name) },
              ),
            ];
      }),
      ...volumesWithoutEnd(pod),
    ]),
};

/** What runs in an image stays what the image is. */
export const rootReadOnly: Rule = {
  id: 'root-read-only',
  holds: 'Each container has a read-only root file system, but where less than `restricted` is enforced.',
  why: 'Whoever gets into a container changes the programs that it runs.',
  check: (facts) => {
    const spaces = new Map<string, Item>();
    for (const { cluster, name, declared } of facts.namespaces) {
      if (declared) spaces.set(`${cluster}\n${name}`, declared);
    }
    return facts.pods.flatMap((pod) => {
      const space = spaces.get(`${pod.cluster}\n${pod.namespace}`);
      if (space && exceptionFor(nameOf(space), labelOf(space, 'app.kubernetes.io/component'))) return [];
      return containersOf(pod.spec).flatMap(({ name, container }) =>
        at(container, 'securityContext', 'readOnlyRootFilesystem') === true
          ? []
          : [
              violation(
                pod.item,
                'its root file system can be written to.',
                'Set readOnlyRootFilesystem, and mount emptyDirs where it writes.',
                { part: containerPart(pod, name) },
              ),
            ],
      );
    });
  },
};
