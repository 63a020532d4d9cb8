import { entryOf } from '../../catalog/entry';
import { namespacesOf } from '../../stacks/namespaces';
import type { StackSettings } from '../../stacks/schema';
import { secretSources } from '../../stacks/secrets';
import type { Model } from '../model';
import type { Declaration } from '../shared/declaration';
import { object } from '../shared/kubernetes';
import { labels } from '../shared/naming';
import { givenRef, keyRef, type Ref } from '../shared/references';

type TopologyProject = NonNullable<StackSettings['topologyProject']>;
export type Credentials = TopologyProject['credentials'][string];

/** Secrets of another environment, in each namespace whose Pods work for it. */
export const variablesSecret = (environment: string): string => `environment-${environment}`;
export const kubeconfigSecret = (environment: string): string => `kubeconfig-${environment}`;

/** An environment that this one's Jenkins previews and applies beside its own. */
export interface OtherEnvironment extends Credentials {
  readonly environment: string;
}

/** In the order of applying. */
export function otherEnvironments({
  environment: mine,
  topologyProject,
}: Pick<StackSettings, 'environment' | 'topologyProject'>): OtherEnvironment[] {
  if (!topologyProject) return [];
  const { credentials, environments = [mine] } = topologyProject;
  return environments.flatMap((environment) => {
    const given = entryOf(credentials, environment);
    return environment === mine || !given ? [] : [{ environment, ...given }];
  });
}

/**
 * What Pods for another environment get: its variables where its state is read and where it is applied, and a
 * kubeconfig of its clusters. The Pod of a preview gets the one that may only read, and nothing else.
 */
export function otherEnvironmentSecrets(model: Model): Declaration[] {
  const { settings } = model;
  const namespaces = namespacesOf(settings);
  const applies = settings.topologyProject?.apply === 'automatic';
  return otherEnvironments(settings).flatMap((other) => {
    const { environment, variables, previewKubeconfig, applyKubeconfig } = other;
    const secret = (
      prefix: string,
      namespace: string,
      name: string,
      stringData: Readonly<Record<string, Ref>>,
    ) =>
      object(
        'kubernetes:core/v1:Secret',
        `${prefix}-${name}`,
        'ci',
        {
          namespace,
          name,
          labels: labels({ name: prefix, component: 'jenkins', environment: settings.environment }),
        },
        { stringData },
        { dependsOn: [`${prefix}-namespace`] },
      );
    const given = Object.fromEntries(
      Object.entries(variables).map(([theirs, ours]): [string, Ref] => [
        theirs,
        // Its own key: its root seed goes into no Pod, and gives what other environments have.
        theirs === secretSources.seed ? keyRef('', { environment, variable: ours }) : givenRef(ours),
      ]),
    );
    const reading = { config: givenRef(previewKubeconfig) };
    return [
      secret('deploy', namespaces.deploy, variablesSecret(environment), given),
      secret('deploy', namespaces.deploy, kubeconfigSecret(environment), reading),
      secret('preview', namespaces.preview, kubeconfigSecret(environment), reading),
      ...(applies && applyKubeconfig
        ? [
            secret('apply', namespaces.apply, variablesSecret(environment), given),
            secret('apply', namespaces.apply, kubeconfigSecret(environment), {
              config: givenRef(applyKubeconfig),
            }),
          ]
        : []),
    ];
  });
}
