import type { EngineEvent, StepEventMetadata } from '@pulumi/pulumi/automation';

const STACK = 'urn:pulumi:test::switchyard::switchyard:index:Topology';

export const boxUrn = (box: string, name: string): string =>
  `${STACK}$switchyard:${box}:${box.charAt(0).toUpperCase()}${box.slice(1)}::${name}`;

export const urnOf = (box: string, type: string, name: string): string =>
  `${STACK}$switchyard:${box}:${box.charAt(0).toUpperCase()}${box.slice(1)}$${type}::${name}`;

export interface StepOf {
  readonly op: StepEventMetadata['op'];
  readonly box?: string;
  readonly boxName?: string;
  readonly type: string;
  readonly name: string;
  readonly before?: Record<string, unknown>;
  readonly after?: Record<string, unknown>;
  readonly detailed?: readonly string[];
  readonly id?: string;
  readonly provider?: string;
  readonly protect?: boolean;
}

/** The metadata of an engine's event about one resource, as the real engine sends it. */
export function metadata(step: StepOf): StepEventMetadata {
  const box = step.box ?? 'production';
  const urn = urnOf(box, step.type, step.name);
  const state = (inputs: Record<string, unknown> | undefined) =>
    inputs && {
      type: step.type,
      urn,
      id: step.id ?? step.name,
      parent: boxUrn(box, step.boxName ?? `${box}-shop`),
      inputs,
      outputs: inputs,
      provider: step.provider ?? `${STACK}$pulumi:providers:kubernetes::production-cluster::0f0e`,
      protect: step.protect,
    };
  return {
    op: step.op,
    urn,
    type: step.type,
    old: state(step.before),
    new: state(step.after),
    provider: '',
    detailedDiff: step.detailed
      ? (Object.fromEntries(
          step.detailed.map((path) => [path, { diffKind: 'update', inputDiff: true }]),
        ) as unknown as StepEventMetadata['detailedDiff'])
      : undefined,
  };
}

const base = { sequence: 0, timestamp: 0 };
export const begins = (step: StepOf, planning = false): EngineEvent => ({
  ...base,
  resourcePreEvent: { metadata: metadata(step), planning },
});
export const ends = (step: StepOf, planning = false): EngineEvent => ({
  ...base,
  resOutputsEvent: { metadata: metadata(step), planning },
});
export const fails = (step: StepOf): EngineEvent => ({
  ...base,
  resOpFailedEvent: { metadata: metadata(step), status: 0, steps: 0 },
});
export const says = (
  severity: 'info' | 'info#err' | 'warning' | 'error',
  message: string,
  urn?: string,
): EngineEvent => ({ ...base, diagnosticEvent: { severity, message, urn, color: 'never' } });
