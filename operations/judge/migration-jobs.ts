import type { Module } from '../../catalog/load';
import type { Model } from '../../components/model';
import { MIGRATION, migrationSeconds } from '../../components/production/migration';
import { rolloutOf } from '../../components/production/workload';
import { namespacesOf } from '../../stacks/namespaces';
import type { StackSettings } from '../../stacks/schema';
import { clusterOf } from '../outside/clients';
import { type Clock, realClock } from './clock';
import { migrationStage } from './migration';

// A run may take away the Job of a release that is none any more, and its Pod with it. Where a run before was broken off, that
// Pod may be in the middle of a change of data: it is waited for.

/** Seconds beyond its deadline in which Kubernetes ends a Job. */
const SLACK = 60;

const PAUSE_MS = 2000;

/**
 * Waits until no migration of these modules runs. Kubernetes ends each within its deadline.
 * @param listed Jobs of a module's migrations
 * @throws Error where one goes on beyond that
 */
export async function untilNoneMigrates(
  modules: readonly { readonly module: Module; readonly seconds: number }[],
  listed: (module: Module) => Promise<readonly unknown[]>,
  note: (text: string) => void,
  clock: Clock = realClock,
): Promise<void> {
  for (const { module, seconds } of modules) {
    const end = clock.now() + (seconds + SLACK) * 1000;
    for (let told = false; ; told = true) {
      const running = (await listed(module)).map(migrationStage).find(({ stage }) => stage === 'running');
      if (!running) break;
      const name = running.job?.name ?? module.name;
      if (clock.now() >= end)
        throw new Error(`the migration ${name} goes on beyond its ${seconds} s: look at its Pod`);
      if (!told) note(`A run before was ended in the middle of the migration ${name}; it is waited for.`);
      await clock.sleep(PAUSE_MS);
    }
  }
}

/** Jobs of a module's migrations. */
export const listMigrations = (settings: StackSettings, { name }: Pick<Module, 'name'>) =>
  clusterOf(settings, 'production').list(
    'batch/v1',
    'Job',
    `app.kubernetes.io/component=${MIGRATION}`,
    namespacesOf(settings).production(name),
  );

/** See {@link untilNoneMigrates}, in the environment's cluster. @param only of these modules. @default all */
export async function untilMigrationsEnd(
  { modules, settings }: Pick<Model, 'modules' | 'settings'>,
  only: readonly string[] | undefined,
  note: (text: string) => void,
): Promise<void> {
  await untilNoneMigrates(
    modules
      .filter(({ name, production }) => production.migrate && (only?.includes(name) ?? true))
      .map((module) => {
        const { readySeconds } = rolloutOf(settings.production, module);
        return { module, seconds: migrationSeconds(module, readySeconds).whole };
      }),
    (module) => listMigrations(settings, module),
    note,
  );
}
