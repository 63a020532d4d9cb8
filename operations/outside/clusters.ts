import { Kubernetes } from '../../clients/kubernetes';
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
