import type * as pulumi from '@pulumi/pulumi';
import { namespacesOf } from '../../stacks/namespaces';
import type { Declaration } from '../shared/declaration';
import { object } from '../shared/kubernetes';
import { labels } from '../shared/naming';
import { inputRef, type Ref } from '../shared/references';
import type { FullSpec } from './defaults';

/** Secrets of another environment, in each namespace whose Pods work for it. */
export const variablesSecret = (environment: string): string => `environment-${environment}`;
export const kubeconfigSecret = (environment: string): string => `kubeconfig-${environment}`;

/** An environment that this one's Jenkins previews and applies beside its own, and what with. */
export interface OtherEnvironment {
  /** Its name. */
  readonly environment: string;
  /** Variables that an \`up\` of it needs. */
  readonly variables: Readonly<Record<string, pulumi.Input<string>>>;
  /** A kubeconfig for previews: an account that only reads, and no Secrets. */
  readonly previewKubeconfig: pulumi.Input<string>;
  /** A kubeconfig for applying. @default nothing is applied */
  readonly applyKubeconfig?: pulumi.Input<string>;
}

/**
 * What Pods for another environment get: its variables where its state is read and where it is applied, and a
 * kubeconfig of its clusters. The Pod of a preview gets the one that may only read, and nothing else.
 */
export function otherEnvironmentSecrets(spec: FullSpec): Declaration[] {
  const { environment: mine, topologyProject } = spec;
  const namespaces = namespacesOf(spec);
  const applies = topologyProject?.apply === 'automatic';
  return (topologyProject?.others ?? []).flatMap((other) => {
    const { environment, variables, previewKubeconfig, applyKubeconfig } = other;
    const secret = (
      prefix: string,
      namespace: string,
      name: string,
      stringData: Readonly<Record<string, string | Ref>>,
    ) =>
      object(
        'kubernetes:core/v1:Secret',
        `${prefix}-${name}`,
        'ci',
        {
          namespace,
          name,
          labels: labels({ name: prefix, component: 'jenkins', environment: mine }),
        },
        { stringData },
        { dependsOn: [`${prefix}-namespace`] },
      );
    const given = Object.fromEntries(
      Object.entries(variables).map(([name, value]) => [name, inputRef(name, value)]),
    );
    const reading = { config: inputRef('previewKubeconfig', previewKubeconfig) };
    return [
      secret('deploy', namespaces.deploy, variablesSecret(environment), given),
      secret('deploy', namespaces.deploy, kubeconfigSecret(environment), reading),
      secret('preview', namespaces.preview, kubeconfigSecret(environment), reading),
      ...(applies && applyKubeconfig
        ? [
            secret('apply', namespaces.apply, variablesSecret(environment), given),
            secret('apply', namespaces.apply, kubeconfigSecret(environment), {
              config: inputRef('applyKubeconfig', applyKubeconfig),
            }),
          ]
        : []),
    ];
  });
}
