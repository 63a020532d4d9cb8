import { GitLabApi } from '../../clients/gitlab-api';
import { Kubernetes } from '../../clients/kubernetes';
import { Registry } from '../../clients/registry';
import { names } from '../../components/shared/naming';
import { loginPurpose } from '../../components/shared/registry-login';
import { Secrets } from '../../components/shared/secrets';
import type { StackSettings } from '../../stacks/schema';

export type ClusterRole = 'ci' | 'production';

/** One of an environment's clusters, by the context and the kubeconfig that the stack names. People wait for its answers. */
export function clusterOf({ clusters }: Pick<StackSettings, 'clusters'>, role: ClusterRole): Kubernetes {
  const { context, kubeconfig } = clusters[role];
  return new Kubernetes({
    context,
    kubeconfig: kubeconfig && process.env[kubeconfig],
    policy: { attempts: 3 },
  });
}

/** The environment's GitLab. People wait for its answers. */
export const gitlabApiOf = ({ gitlab }: Pick<StackSettings, 'gitlab'>, token: string): GitLabApi =>
  new GitLabApi({ url: gitlab.url, token, policy: { attempts: 4 } });

/** What one may do in a registry. */
export type RegistryRight = 'pull' | 'push';

/** Variable that holds the password of a registry's user, where it is not derived. */
export const passwordVariable = (
  { registry: { existing } }: Pick<StackSettings, 'registry'>,
  right: RegistryRight,
): string | undefined => existing?.[right].passwordFrom;

/**
 * An environment's registry, as whom it has for pulling, or for pushing into all repositories.
 * @param seed what its secrets are derived from
 */
export function registryOf(
  settings: Pick<StackSettings, 'environment' | 'registry' | 'secrets'>,
  right: RegistryRight,
  seed: string,
): Registry {
  const { address, scheme, existing } = settings.registry;
  const ours = right === 'pull' ? names.pullUser : names.pushUser;
  const variable = passwordVariable(settings, right);
  const password =
    variable === undefined
      ? new Secrets(seed, settings.environment, settings.secrets.versions).secret(loginPurpose(ours))
      : (process.env[variable] ?? '');
  return new Registry({
    host: address,
    below: existing?.path,
    plainHttp: scheme === 'http',
    credentials: Buffer.from(`${existing?.[right].user ?? ours}:${password}`).toString('base64'),
  });
}
