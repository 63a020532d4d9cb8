import { z } from 'zod';
import { type Action, actionOf, dataHeld, providerName } from '../../clients/engine-steps';
import { parseJson } from '../../text/json';

/** One resource that a merge would touch. All texts come from the merge request's own program: never trust them. */
export interface Change {
  readonly action: Action;
  readonly urn: string;
  /** Pulumi's type token, e.g. `kubernetes:apps/v1:Deployment`. */
  readonly type: string;
  readonly name: string;
  /** Kind of the box it belongs to, e.g. `production`; empty for what stands outside the boxes. */
  readonly box: string;
  /** Name of that box, e.g. `production-orders`. */
  readonly boxName: string;
  /** Paths of the properties that change, sorted; values never. */
  readonly properties: readonly string[];
  /** Those among them that force the replacement. */
  readonly forcing: readonly string[];
  /** Losing or replacing it loses data, or takes it out of reach. */
  readonly holdsData: boolean;
  /** Pulumi refuses to delete it. */
  readonly protected: boolean;
}

/** A resource's inputs, as the capacity reckoning needs them. */
export interface Placed {
  readonly type: string;
  /** Name of its provider resource, e.g. `ci-cluster`. */
  readonly provider: string;
  readonly inputs: Readonly<Record<string, unknown>>;
}

/** What one run of the engine's preview said. */
export interface Plan {
  /** Sorted by action, most dangerous first, then by type and name. */
  readonly changes: readonly Change[];
  readonly unchanged: number;
  /** Errors, one line each. */
  readonly faults: readonly string[];
  /** The engine came to its end. Without it the list is not whole. */
  readonly finished: boolean;
  readonly before: readonly Placed[];
  readonly after: readonly Placed[];
}

const stateSchema = z
  .object({
    parent: z.string().nullish(),
    protect: z.boolean().nullish(),
    inputs: z.record(z.string(), z.unknown()).nullish(),
  })
  .nullish();

const stepSchema = z.object({
  op: z.string(),
  urn: z.string(),
  type: z.string(),
  provider: z.string().nullish(),
  old: stateSchema,
  new: stateSchema,
  keys: z.array(z.string()).nullish(),
  diffs: z.array(z.string()).nullish(),
  detailedDiff: z.record(z.string(), z.object({ diffKind: z.string() })).nullish(),
});

const eventSchema = z.object({
  resourcePreEvent: z.object({ metadata: stepSchema }).optional(),
  diagnosticEvent: z
    .object({ message: z.string(), severity: z.string(), urn: z.string().nullish() })
    .optional(),
  summaryEvent: z.object({}).optional(),
});

type Step = z.infer<typeof stepSchema>;

const ORDER: readonly Action[] = ['delete', 'replace', 'forget', 'create', 'import', 'update'];

/** Components and the stack are frames around resources, and nothing by themselves. */
const isFrame = (type: string): boolean => type === 'pulumi:pulumi:Stack' || type.startsWith('switchyard:');

const nameOf = (urn: string): string => urn.split('::').slice(3).join('::');

/** The innermost component in a URN's chain of parent types: `switchyard:production:Production` → `production`. */
function boxOf(urn: string): string {
  const chain = (urn.split('::')[2] ?? '').split('$').slice(0, -1);
  const frames = chain.filter(
    (type) => type.startsWith('switchyard:') && !type.startsWith('switchyard:index:'),
  );
  return frames.at(-1)?.split(':')[1] ?? '';
}

const byText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

function pathsOf(step: Step): { properties: string[]; forcing: string[] } {
  const detailed = Object.entries(step.detailedDiff ?? {});
  const forcing = detailed.filter(([, { diffKind }]) => diffKind.endsWith('-replace')).map(([path]) => path);
  return {
    properties: (detailed.length > 0 ? detailed.map(([path]) => path) : [...(step.diffs ?? [])]).sort(byText),
    forcing: (detailed.length > 0 ? forcing : [...(step.keys ?? [])]).sort(byText),
  };
}

function changeOf(step: Step, action: Action): Change {
  const parent = (step.new ?? step.old)?.parent ?? '';
  const box = boxOf(step.urn);
  return {
    action,
    urn: step.urn,
    type: step.type,
    name: nameOf(step.urn),
    box,
    boxName: box && parent ? nameOf(parent) : '',
    ...pathsOf(step),
    holdsData: dataHeld(step.type, step.old?.inputs ?? {}) !== undefined || step.old?.protect === true,
    protected: step.old?.protect === true,
  };
}

/** A replacement comes as up to three steps; they are one change with what all of them say. */
function joined(a: Change, b: Change): Change {
  const both = (x: readonly string[], y: readonly string[]) => [...new Set([...x, ...y])].sort(byText);
  return {
    ...a,
    action: a.action === b.action ? a.action : 'replace',
    boxName: a.boxName || b.boxName,
    properties: both(a.properties, b.properties),
    forcing: both(a.forcing, b.forcing),
    holdsData: a.holdsData || b.holdsData,
    protected: a.protected || b.protected,
  };
}

const placed = (step: Step, side: 'old' | 'new'): Placed[] => {
  const inputs = step[side]?.inputs;
  const provider = providerName(step.provider ?? '');
  return inputs ? [{ type: step.type, provider, inputs }] : [];
};

/**
 * Digests the engine's events, one JSON object a line, as its `--event-log` has them. Lines that are
 * none of ours are passed over: a fault in them shows as an unfinished plan, never as a shorter one.
 */
export function digestEvents(text: string): Plan {
  const changes = new Map<string, Change>();
  const before = new Map<string, Placed[]>();
  const after = new Map<string, Placed[]>();
  const faults: string[] = [];
  let unchanged = 0;
  let finished = false;
  let unread = 0;
  for (const line of text.split('\n')) {
    if (line.trim() === '') continue;
    const parsed = eventSchema.safeParse(parseJson(line));
    if (!parsed.success) {
      unread += 1;
      continue;
    }
    const { resourcePreEvent, diagnosticEvent, summaryEvent } = parsed.data;
    if (summaryEvent) finished = true;
    if (diagnosticEvent?.severity === 'error') {
      const said = diagnosticEvent.message.replace(/<\{%[^%]*%\}>/g, '').trim();
      const about = diagnosticEvent.urn ? nameOf(diagnosticEvent.urn) : '';
      if (said) faults.push(about ? `${about}: ${said}` : said);
    }
    const step = resourcePreEvent?.metadata;
    if (!step || isFrame(step.type)) continue;
    if (step.op !== 'delete' && step.op !== 'delete-replaced') after.set(step.urn, placed(step, 'new'));
    if (step.old) before.set(step.urn, placed(step, 'old'));
    if (step.op === 'same') unchanged += 1;
    const action = actionOf(step.op);
    if (!action) continue;
    const change = changeOf(step, action);
    const known = changes.get(step.urn);
    changes.set(step.urn, known ? joined(known, change) : change);
  }
  if (unread > 0) faults.push(`${unread} line(s) of the engine's events cannot be read`);
  const rank = (change: Change) => ORDER.indexOf(change.action);
  return {
    changes: [...changes.values()].sort(
      (a, b) => rank(a) - rank(b) || byText(a.type, b.type) || byText(a.name, b.name) || byText(a.urn, b.urn),
    ),
    unchanged,
    faults,
    finished: finished && unread === 0,
    before: [...before.values()].flat(),
    after: [...after.values()].flat(),
  };
}

/** How many resources each action touches; actions that touch none are left out. */
export function countActions(changes: readonly Change[]): Partial<Record<Action, number>> {
  const counts: Partial<Record<Action, number>> = {};
  for (const { action } of changes) counts[action] = (counts[action] ?? 0) + 1;
  return counts;
}

/** Replaced or deleted, and holding data: what a reviewer must not overlook. */
export const endangersData = (change: Change): boolean =>
  change.holdsData && (change.action === 'delete' || change.action === 'replace');
