import type { Model } from '../model';

/** Whether any module of the environment has an autoscaler. */
export const scales = ({ modules }: Pick<Model, 'modules'>): boolean =>
  modules.some(({ production }) => production.scaling !== undefined);
