import type { Module } from '../../catalog/load';

/** Whether any module of the environment has an autoscaler. */
export const scales = ({ modules }: { readonly modules: readonly Module[] }): boolean =>
  modules.some(({ production }) => production.scaling !== undefined);

/** Name of the API that autoscalers ask, which a cluster has once. */
export const CUSTOM_METRICS = 'v1beta2.custom.metrics.k8s.io';
