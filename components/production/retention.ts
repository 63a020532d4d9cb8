import type { Module } from '../../catalog/load';
import type { Model } from '../model';

/** Whether a removed module's databases stay: as the module says, else as the stack does. */
export const keepsData = (model: Model, module: Module): boolean =>
  module.services.some((use) => !use.existing) &&
  (module.production.onDelete ?? model.settings.production.onDelete) === 'retain';
