import type { EngineEvent } from '@pulumi/pulumi/automation';
import { z } from 'zod';
import { entryOf } from '../../catalog/entry';
import { providerName } from '../../clients/engine-steps';
import type { Releases } from '../../components/model';
import { MIGRATION } from '../../components/production/migration';
import { type Difference, differences, isSecret, pathText } from '../engine/differences';
import { isRealResource, parseUrn, type ResourceName } from '../engine/urns';
import { sameToKubernetes } from './spelling';

/** What a refresh saw of one resource that is not as the state says. */
export interface Seen extends ResourceName {
  /** Name of the box's instance, as in `production-orders`. */
  readonly boxName: string;
  /** The provider's id of it. */
  readonly id: string;
  /** Name of its provider resource, as in `production-cluster`. */
  readonly provider: string;
  readonly before: Readonly<Record<string, unknown>>;
  /** Undefined when it is gone. */
  readonly after?: Readonly<Record<string, unknown>>;
}

/** Gathers from the events of a refresh what is not as the state says, and which boxes were looked at. */
export class SeenGatherer {
  readonly seen: Seen[] = [];
  readonly boxes = new Set<string>();

  take(event: EngineEvent): void {
    const metadata = event.resOutputsEvent?.metadata;
    if (!metadata || !isRealResource(metadata.type)) return;
    const name = parseUrn(metadata.urn);
    this.boxes.add(name.box);
    if (metadata.op !== 'update' && metadata.op !== 'delete') return;
    this.seen.push({
      ...name,
      boxName: metadata.old?.parent ? parseUrn(metadata.old.parent).name : name.box,
      id: metadata.old?.id ?? '',
      provider: providerName(metadata.old?.provider ?? ''),
      before: metadata.old?.inputs ?? {},
      ...(metadata.op === 'update' ? { after: metadata.new?.inputs ?? {} } : {}),
    });
  }
}

/** Who changed a field, as far as the other side tells. */
export interface Author {
  readonly who: string;
  /** RFC 3339. */
  readonly at?: string;
}

export interface DriftedField {
  readonly path: string;
  /** As the program set it, in one line; secrets never. */
  readonly declared: string;
  readonly live: string;
  readonly by?: Author;
}

export interface DriftedResource extends ResourceName {
  readonly boxName: string;
  /** It is not there any more: then it has no fields. */
  readonly gone: boolean;
  readonly fields: readonly DriftedField[];
  readonly by?: Author;
}

/** What changes by design and is therefore no drift. */
export interface Expected {
  /** Workloads that an autoscaler sets the replicas of, see {@link workloadKey}. */
  readonly autoscaled: ReadonlySet<string>;
  /** What the ledger names: a deploy under way has it in the cluster before it is in the state. */
  readonly releases: Releases;
  /** The state came without its secrets, so that a field with one cannot be compared. @default false */
  readonly withheld?: boolean;
}

const workloadKey = (kind: string, namespace: string, name: string): string => `${kind} ${namespace}/${name}`;

const stateSchema = z.looseObject({
  resources: z
    .array(z.looseObject({ type: z.string(), inputs: z.record(z.string(), z.unknown()).nullish() }))
    .nullish(),
});
const scalerSchema = z.looseObject({
  metadata: z.looseObject({ namespace: z.string() }),
  spec: z.looseObject({
    scaleTargetRef: z.looseObject({ kind: z.string().default('Deployment'), name: z.string() }),
  }),
});

/** Workloads whose replicas an autoscaler of this state sets: Kubernetes' own, or KEDA's ScaledObject. */
export function autoscaledWorkloads(deployment: unknown): Set<string> {
  const { data } = stateSchema.safeParse(deployment);
  const keys = (data?.resources ?? []).flatMap(({ type, inputs }) => {
    if (!/:(HorizontalPodAutoscaler|ScaledObject)$/.test(type)) return [];
    const scaler = scalerSchema.safeParse(inputs);
    if (!scaler.success) return [];
    const { metadata, spec } = scaler.data;
    return [workloadKey(spec.scaleTargetRef.kind, metadata.namespace, spec.scaleTargetRef.name)];
  });
  return new Set(keys);
}

const objectSchema = z.looseObject({
  metadata: z.looseObject({
    name: z.string(),
    namespace: z.string().default(''),
    labels: z.record(z.string(), z.string()).default({}),
    annotations: z.record(z.string(), z.string()).default({}),
  }),
});

function isExpected(seen: Seen, { path, after }: Difference, expected: Expected): boolean {
  if (!seen.type.startsWith('kubernetes:')) return false;
  const object = objectSchema.safeParse(seen.before);
  if (!object.success) return false;
  const { name, namespace, labels } = object.data.metadata;
  const text = pathText(path);
  if (text === 'spec.replicas') return expected.autoscaled.has(workloadKey(seen.kind, namespace, name));
  const module = labels['switchyard.dev/module'];
  const release =
    labels['app.kubernetes.io/component'] === 'module' ? entryOf(expected.releases, module ?? '') : undefined;
  if (!release) return false;
  if (/^spec\.template\.spec\.containers\[\d+\]\.image$/.test(text)) return after === release.image;
  return text === 'metadata.annotations["switchyard.dev/commit"]' && after === release.commit;
}

/** The Job of a release that is none any more: a deploy under way took it away, and the state does not say so yet. */
function isReplaced(seen: Seen, { releases }: Expected): boolean {
  const object = seen.type === 'kubernetes:batch/v1:Job' ? objectSchema.safeParse(seen.before) : undefined;
  if (!object?.success) return false;
  const { labels, annotations } = object.data.metadata;
  const release = entryOf(releases, labels['switchyard.dev/module'] ?? '');
  return (
    labels['app.kubernetes.io/component'] === MIGRATION &&
    !(release?.migrate && release.commit === annotations['switchyard.dev/commit'])
  );
}

const isSpelling = ({ type }: Seen, difference: Difference): boolean =>
  type.startsWith('kubernetes:') && sameToKubernetes(difference);

/** Longest value that stands in a line as it is. */
const LENGTH = 120;

function inOneLine(value: unknown): string {
  if (value === undefined) return '(none)';
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  const line = text.replaceAll(/\s+/g, ' ');
  return line.length > LENGTH ? `${line.slice(0, LENGTH - 1)}…` : line;
}

const SENSITIVE = /password|passphrase|token|secret|credential|private.?key/i;

function valueAt(value: unknown, path: Difference['path']): unknown {
  return path.reduce<unknown>(
    (inner, part) =>
      inner !== null && typeof inner === 'object'
        ? (inner as Record<string | number, unknown>)[part]
        : undefined,
    value,
  );
}

/** A variable or a key whose name says that its value is secret. */
const named = (value: unknown): boolean =>
  value !== null && typeof value === 'object' && 'name' in value && SENSITIVE.test(String(value.name));

/** Does a field hold a secret on either side? Live values come from outside and carry no mark of their own. */
function hides(seen: Seen, { path, before, after }: Difference): boolean {
  const around = path.slice(0, -1);
  return (
    isSecret(before) ||
    isSecret(after) ||
    (seen.type === 'kubernetes:core/v1:Secret' && (path[0] === 'data' || path[0] === 'stringData')) ||
    SENSITIVE.test(String(path.findLast((part) => typeof part === 'string'))) ||
    named(valueAt(seen.before, around)) ||
    named(valueAt(seen.after, around)) ||
    // A whole that came or went: a container with its variables.
    /"(name|key)":"[^"]*(password|passphrase|token|secret|credential)|\[secret\]/i.test(
      JSON.stringify([before, after]),
    )
  );
}

/** Is it, or does it hold, a secret or what stands for one? */
const isWithheld = (value: unknown): boolean =>
  isSecret(value) ||
  (typeof value === 'string' && /\bwithheld-[0-9a-f]{32}\b/.test(value)) ||
  (value !== null && typeof value === 'object' && Object.values(value).some(isWithheld));

/** Is it made of a secret, and none itself? A state without its secrets has what a placeholder makes. */
const isOfSecret = ({ type }: Seen, { path }: Difference): boolean =>
  type === 'kubernetes:apiregistration.k8s.io/v1:APIService' && pathText(path) === 'spec.caBundle';

/** One difference that is drift, with its path apart so that its author can be looked up. */
export interface Found {
  readonly seen: Seen;
  readonly fields: readonly { readonly path: Difference['path']; readonly field: DriftedField }[];
}

/** What is drift of what a refresh saw: differences by design and those that are none in the end are left out. */
export function findDrift(seen: readonly Seen[], expected: Expected): Found[] {
  return seen.flatMap((resource): Found[] => {
    if (resource.after === undefined)
      return isReplaced(resource, expected) ? [] : [{ seen: resource, fields: [] }];
    const fields = differences(resource.before, resource.after)
      .filter(({ path }) => !String(path[0]).startsWith('__'))
      .filter((difference) => !isExpected(resource, difference, expected))
      .filter((difference) => !isSpelling(resource, difference))
      .filter(
        (difference) =>
          !(expected.withheld && (isWithheld(difference.before) || isOfSecret(resource, difference))),
      )
      .map((difference) => {
        const hidden = hides(resource, difference);
        return {
          path: difference.path,
          field: {
            path: pathText(difference.path),
            declared: hidden ? '(secret)' : inOneLine(difference.before),
            live: hidden ? '(secret)' : inOneLine(difference.after),
          },
        };
      });
    return fields.length > 0 ? [{ seen: resource, fields }] : [];
  });
}

/** The drifted resource without what only the search needed. */
export const drifted = ({ seen, fields }: Found, by?: Author): DriftedResource => {
  const { urn, name, type, kind, box, boxName } = seen;
  const gone = seen.after === undefined;
  return {
    urn,
    name,
    type,
    kind,
    box,
    boxName,
    gone,
    fields: fields.map(({ field }) => field),
    ...(by ? { by } : {}),
  };
};
