/** How fast an autoscaler may change the number of Pods: `HPAScalingRules` of autoscaling/v2. */
export interface ScalingRules {
  /** Seconds of which the most cautious recommendation counts. */
  readonly stabilizationWindowSeconds: number;
  /** Which of the policies decides: the one that allows most, the one that allows least, or no change at all. */
  readonly selectPolicy: 'Max' | 'Min' | 'Disabled';
  readonly policies: readonly {
    readonly type: 'Pods' | 'Percent';
    readonly value: number;
    readonly periodSeconds: number;
  }[];
}

export interface ScalingBehavior {
  readonly scaleUp: ScalingRules;
  readonly scaleDown: ScalingRules;
}

/** How Pods leave: seconds for which fewer must have been enough, and per cent that leave in a minute. */
export interface ScalingDown {
  readonly windowSeconds: number;
  readonly percent: number;
}

/** Up at once, doubling or by four; down as it is said. */
export const behaviorOf = ({ windowSeconds, percent }: ScalingDown): ScalingBehavior => ({
  scaleUp: {
    stabilizationWindowSeconds: 0,
    selectPolicy: 'Max',
    policies: [
      { type: 'Percent', value: 100, periodSeconds: 15 },
      { type: 'Pods', value: 4, periodSeconds: 15 },
    ],
  },
  scaleDown: {
    stabilizationWindowSeconds: windowSeconds,
    selectPolicy: 'Max',
    policies: [{ type: 'Percent', value: percent, periodSeconds: 60 }],
  },
});

/** Down only below what five minutes asked for, by a fifth a minute. */
export const scalingBehavior = behaviorOf({ windowSeconds: 300, percent: 20 });

/** From a request to a decision, in seconds: how often Pods are asked, what a rate is taken over, how often is decided. */
export const scalingTimes = { scrape: 5, window: 20, sync: 15 } as const;

/** Most Pods that one workload may have, as `production.replicas`. */
export const MOST_PODS = 1000;

/** What an autoscaler holds a module to. */
export interface ScalingTarget {
  /** Requests per second that one Pod is to have on average. */
  readonly qps: number;
  readonly min: number;
  readonly max: number;
}

/** Ports of the proxy in the Pod of a module that scales. */
export const PROXY_PORT = 18080;
export const PROXY_METRICS_PORT = 18404;

/** Seconds that a module serves on after its proxy was told to end: what waits there is handed on or refused by then. */
export const HANDOVER_SECONDS = 2;
