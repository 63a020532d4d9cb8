import { namespacesOf } from '../../stacks/namespaces';
import type { StackSettings } from '../../stacks/schema';

/** Jenkins' HTTP port, for people, hooks, agents (WebSocket) and metrics alike. */
export const JENKINS_PORT = 8080;

/** A Jenkins, ours or one that is there already, as those see it that work with it. */
export interface JenkinsEndpoint {
  /** Namespace of its controller: where its credentials are, and where agents connect to. */
  readonly namespace: string;
  /** Its service account, which starts agents. */
  readonly serviceAccount: string;
  /** Its address for agents, which stay inside the cluster whatever address people use. */
  readonly url: string;
}

export function jenkinsEndpoint(
  settings: Pick<StackSettings, 'jenkins' | 'namespacePrefix'>,
): JenkinsEndpoint {
  const { existing } = settings.jenkins;
  const namespace = existing?.namespace ?? namespacesOf(settings).ci;
  return {
    namespace,
    serviceAccount: existing?.serviceAccount ?? 'jenkins',
    url: existing?.agentsUrl ?? `http://jenkins.${namespace}.svc:${JENKINS_PORT}`,
  };
}
