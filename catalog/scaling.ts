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

/** Up at once, doubling or by four; down only below what five minutes asked for, by a fifth a minute. */
export const scalingBehavior: ScalingBehavior = {
  scaleUp: {
    stabilizationWindowSeconds: 0,
    selectPolicy: 'Max',
    policies: [
      { type: 'Percent', value: 100, periodSeconds: 15 },
      { type: 'Pods', value: 4, periodSeconds: 15 },
    ],
  },
  scaleDown: {
    stabilizationWindowSeconds: 300,
    selectPolicy: 'Max',
    policies: [{ type: 'Percent', value: 20, periodSeconds: 60 }],
  },
};

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
