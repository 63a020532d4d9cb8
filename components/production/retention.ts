import type { ModuleProductionSpec } from './module-production';

/** Whether a removed module's databases stay: as the module says, else as its environment does. */
export const keepsData = ({ module, onDelete = 'retain' }: ModuleProductionSpec): boolean =>
  module.services.some((use) => !use.existing) && (module.production.onDelete ?? onDelete) === 'retain';
