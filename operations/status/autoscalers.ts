import { z } from 'zod';
import { quantity } from '../../catalog/quantity';
import { METRIC } from '../../components/autoscaling/module';
import { conditionsSchema } from '../outside/conditions';

/** What an autoscaler says of one module. */
export interface AutoscalerFacts {
  readonly min: number;
  readonly max: number;
  /** Requests per second that a Pod is to have, and that it has; without the latter they are not known. */
  readonly target?: number;
  readonly each?: number;
  /** Pods that it counted at last, and that it wants; absent before it decided for the first time. */
  readonly replicas?: { readonly now: number; readonly wanted: number };
  /** What it does not see, and why, as far as it says: no Pod leaves meanwhile. */
  readonly blind: readonly string[];
  /** It would have more Pods than `max`. */
  readonly limited: boolean;
  /** Somebody scaled the module to 0, which turns it off. */
  readonly off: boolean;
}

const metricSchema = z.looseObject({
  type: z.string().default(''),
  pods: z
    .looseObject({
      metric: z.looseObject({ name: z.string().default('') }).optional(),
      target: z.looseObject({ averageValue: z.unknown() }).optional(),
      current: z.looseObject({ averageValue: z.unknown() }).optional(),
    })
    .nullish(),
});

const autoscalerSchema = z.looseObject({
  metadata: z.looseObject({ labels: z.record(z.string(), z.string()).default({}) }),
  spec: z.looseObject({
    minReplicas: z.number().default(1),
    maxReplicas: z.number(),
    metrics: z.array(metricSchema).default([]),
  }),
  status: z
    .looseObject({
      currentReplicas: z.number().optional(),
      desiredReplicas: z.number().optional(),
      currentMetrics: z.array(metricSchema).nullish(),
      conditions: conditionsSchema,
    })
    .prefault({}),
});

/** What people call each kind of metric that our autoscalers have. */
const NAMES: Readonly<Record<string, string>> = { Pods: 'requests', ContainerResource: 'CPU' };

/**
 * A HorizontalPodAutoscaler as the API server tells it; undefined for what is none. Of a metric that it could not read the
 * controller leaves the place in `currentMetrics` empty, whatever its conditions say (computeReplicasForMetrics).
 */
export function autoscalerOf(
  object: unknown,
): { readonly module: string; readonly facts: AutoscalerFacts } | undefined {
  const parsed = autoscalerSchema.safeParse(object);
  if (!parsed.success) return undefined;
  const { metadata, spec, status } = parsed.data;
  const current = status.currentMetrics ?? [];
  const condition = (type: string) => status.conditions?.find((one) => one.type === type);
  const isOurs = ({ pods }: z.infer<typeof metricSchema>): boolean => pods?.metric?.name === METRIC;
  const unseen = spec.metrics.filter(({ type }) => !current.some((one) => one.type === type));
  const active = condition('ScalingActive');
  const why =
    active?.status === 'False' && active.message !== '' ? ` (${active.message.split('\n')[0]})` : '';
  const limits = condition('ScalingLimited');
  const { currentReplicas, desiredReplicas } = status;
  // Turned off it asks for nothing: what it does not see is no fault then (horizontal.go, ScalingDisabled).
  const off = active?.status === 'False' && active.reason === 'ScalingDisabled';
  return {
    module: metadata.labels['switchyard.dev/module'] ?? '',
    facts: {
      min: spec.minReplicas,
      max: spec.maxReplicas,
      target: quantity(spec.metrics.find(isOurs)?.pods?.target?.averageValue),
      each: quantity(current.find(isOurs)?.pods?.current?.averageValue),
      ...(currentReplicas === undefined || desiredReplicas === undefined
        ? {}
        : { replicas: { now: currentReplicas, wanted: desiredReplicas } }),
      blind: (off ? [] : unseen).map(({ type }) => `${NAMES[type] ?? type}${why}`),
      limited: limits?.status === 'True' && limits.reason === 'TooManyReplicas',
      off,
    },
  };
}
