import { namespacesOf } from '../../stacks/namespaces';

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

/** A Jenkins that is there already. */
export interface ExistingJenkins {
  /** Namespace that Jenkins runs in. */
  readonly namespace: string;
  /** Service account of the controller. */
  readonly serviceAccount: string;
  /** Address at which agents in the cluster reach it. @default `http://jenkins.<namespace>.svc:8080` */
  readonly agentsUrl?: string;
}

export function jenkinsEndpoint({
  existing,
  namespacePrefix,
}: {
  readonly existing?: ExistingJenkins;
  readonly namespacePrefix?: string;
}): JenkinsEndpoint {
  const namespace = existing?.namespace ?? namespacesOf({ namespacePrefix }).ci;
  return {
    namespace,
    serviceAccount: existing?.serviceAccount ?? 'jenkins',
    url: existing?.agentsUrl ?? `http://jenkins.${namespace}.svc:${JENKINS_PORT}`,
  };
}
