import { referencesIn, show, shownText, type Template } from '../components/shared/references';
import { annotationOf, type Item, kindOf, labelOf, moduleOf, nameOf, violation } from './facts/item';
import { containerPart, containersOf, type PodUse } from './facts/pods';
import { fields, isTextual, text, textual, UNKNOWN } from './facts/read';
import type { Violation } from './facts/violation';
import type { Rule } from './rule';

const DIGEST = /@sha256:[0-9a-f]{64}$/;
/** An image that the topology builds or reads; what comes at run time is `repository@sha256:…`. */
const isBuilt = (image: string | Template): boolean => {
  const [reference] = referencesIn(image);
  return (
    reference?.kind === 'output' &&
    reference.property === 'repoDigest' &&
    shownText(image) === show(reference)
  );
};
/** Tags that mean another image tomorrow. */
const MOVING = new Set(['latest', 'stable', 'edge', 'nightly', 'main', 'master', 'dev', 'canary', 'lts']);

/** Why an image is not pinned; undefined when it is. */
function looseness(declared: string | Template): string | undefined {
  const image = shownText(declared);
  if (DIGEST.test(image) || isBuilt(declared) || image.includes(UNKNOWN)) return undefined;
  if (image.includes('@')) return `"${image}" is no whole digest.`;
  const name = image.slice(image.lastIndexOf('/') + 1);
  const colon = name.indexOf(':');
  if (colon < 0) return `"${image}" has no tag, which means latest.`;
  const tag = name.slice(colon + 1);
  return tag === '' || MOVING.has(tag) ? `"${image}" has a tag that moves.` : undefined;
}

const PIN = 'Name a version or a digest in `images.replace` of the stack, or in the catalog.';

function inPod(pod: PodUse): Violation[] {
  return containersOf(pod.spec).flatMap(({ name, container }) => {
    const image = textual(container, 'image');
    const part = { part: containerPart(pod, name) };
    if (image === undefined) return [violation(pod.item, 'names no image.', PIN, part)];
    const loose = looseness(image);
    return loose ? [violation(pod.item, loose, PIN, part)] : [];
  });
}

/** Build arguments that name the image a build starts from. */
function bases(item: Item): Violation[] {
  return Object.entries(fields(item.args, 'build', 'args')).flatMap(([name, value]) => {
    const loose = /^BASE(_|$)/.test(name) && isTextual(value) ? looseness(value) : undefined;
    return loose ? [violation(item, loose, PIN, { part: `build argument "${name}"` })] : [];
  });
}

/** An unpinned image is another one after the next pull, and nobody can say what ran. */
export const imagesPinned: Rule = {
  id: 'images-pinned',
  holds:
    'Each image comes by digest, or by a version that a setting names; never `latest`, never without a tag.',
  why: 'The same topology runs something else tomorrow, on one node of several.',
  check: (facts) => [
    ...facts.pods.flatMap(inPod),
    ...(facts.byType.get('docker:index/image:Image') ?? []).flatMap(bases),
  ],
};

/** Whether its Pods run what the ledger names of a module: its own, and those that migrate its data. */
const isReleased = ({ item }: PodUse): boolean =>
  ['module', 'migration'].includes(labelOf(item, 'app.kubernetes.io/component') ?? '');

/** Containers of a module's Pod that the ledger names the image of: what starts before them is the topology's own. */
const releasedIn = (pod: PodUse) => containersOf(pod.spec).filter(({ init }) => !init);

/** What was tested is what is deployed: that holds for digests only. */
export const releasesByDigest: Rule = {
  id: 'releases-by-digest',
  holds: 'A module runs in production by the digest that the ledger names, never by a tag.',
  why: 'A tag may have been pushed again since the tests passed.',
  check: (facts) =>
    facts.pods.flatMap((pod) =>
      !isReleased(pod)
        ? []
        : releasedIn(pod).flatMap(({ name, container }) => {
            const image = text(container, 'image') ?? '';
            return DIGEST.test(image) || image.includes(UNKNOWN)
              ? []
              : [
                  violation(
                    pod.item,
                    `runs "${image}", which is no digest.`,
                    'Release it through the ledger: repository@sha256:<64 hex digits>.',
                    { part: containerPart(pod, name) },
                  ),
                ];
          }),
    ),
};

/** What another module, or anyone who may push elsewhere, has built went through no gate of this module's. */
export const releasesOwn: Rule = {
  id: 'releases-own',
  holds: "A module runs an image of its own repository in the stack's registry.",
  why: 'An image that another module built, or that another registry has, runs with the rights of this one.',
  modelOnly: 'which registry is the stack’s is in no resource.',
  check: (facts) => {
    const { ledger } = facts;
    if (!ledger) return [];
    return facts.pods.flatMap((pod) => {
      const module = moduleOf(pod.item);
      if (module === undefined || !isReleased(pod)) return [];
      const own = ledger.repositoriesOf(module);
      return releasedIn(pod).flatMap(({ name, container }) => {
        const image = text(container, 'image') ?? '';
        // Without a digest, the other rule tells it.
        if (!DIGEST.test(image) || own.includes(image.replace(DIGEST, ''))) return [];
        return [
          violation(
            pod.item,
            `runs "${image}", which is not of ${own[0]}.`,
            'Release the module anew, or go back to a release of its own: `switchyard rollback`. Where the registry moved, name where it was: switchyard:registry.movedFrom.',
            {
              part: containerPart(pod, name),
              file: ledger.file,
              at: `modules.${module}.image`,
            },
          ),
        ];
      });
    });
  },
};

/** Image that the tests of the module used for this service. */
export const TESTED_IMAGE = 'switchyard.dev/tested-image';
/** Why production runs another one. */
export const VERSION_REASON = 'switchyard.dev/version-reason';

/** A service is what its workload's annotations say that the tests used, or a reason stands beside it. */
export const serviceVersionsAgree: Rule = {
  id: 'service-versions-agree',
  holds: 'Production runs the version of a service that the tests used, or says why not.',
  why: 'A query that passed the tests fails in production.',
  check: (facts) =>
    facts.pods.flatMap((pod) => {
      const { item } = pod;
      if (labelOf(item, 'app.kubernetes.io/component') !== 'service' || kindOf(item) !== 'StatefulSet')
        return [];
      const containers = containersOf(pod.spec);
      const { container } = containers.find(({ name }) => name === nameOf(item)) ?? containers[0] ?? {};
      const image = text(container, 'image') ?? '';
      const tested = annotationOf(item, TESTED_IMAGE);
      if (tested === undefined) {
        return [
          violation(item, 'does not say which image the tests used.', `Annotate it with ${TESTED_IMAGE}.`),
        ];
      }
      if (tested === image || image.includes(UNKNOWN) || annotationOf(item, VERSION_REASON)) return [];
      return [
        violation(
          item,
          `runs "${image}", but the tests use "${tested}".`,
          'Use one version, or give `production.version` and `production.reason` in the catalog.',
        ),
      ];
    }),
};
