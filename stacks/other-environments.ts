import { entryOf } from '../catalog/entry';
import type { StackSettings } from './schema';

/** What one of the other environments is previewed and applied with. */
export type Credentials = NonNullable<StackSettings['topologyProject']>['credentials'][string];

/** An environment that this one's Jenkins previews and applies beside its own, and the variables that it needs for that. */
export interface OtherSettings extends Credentials {
  readonly environment: string;
}

/** In the order of applying. */
export function otherEnvironments({
  environment: mine,
  topologyProject,
}: Pick<StackSettings, 'environment' | 'topologyProject'>): OtherSettings[] {
  if (!topologyProject) return [];
  const { credentials, environments = [mine] } = topologyProject;
  return environments.flatMap((environment) => {
    const given = entryOf(credentials, environment);
    return environment === mine || !given ? [] : [{ environment, ...given }];
  });
}
