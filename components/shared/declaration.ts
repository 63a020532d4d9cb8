import type { ArgsByType, ResourceType } from './kinds';
import type { Ref } from './references';

export type { ArgsByType, KubernetesType, ResourceType } from './kinds';

/** Which provider registers it: a cluster by its role, GitLab, or the Docker engine. */
export type ProviderRole = 'ci' | 'production' | 'gitlab' | 'docker';

/** One resource, as plain data: what a component registers and what `render` prints. */
export type Declaration = {
  [T in ResourceType]: {
    readonly type: T;
    /** Unique in the topology; also the Pulumi name, so that a URN can be told from the model. */
    readonly name: string;
    readonly provider: ProviderRole;
    readonly args: ArgsByType[T];
    /**
     * Id of what is there already: it is read, never changed or deleted, and `args` stay unused. A resource that was made
     * under this name is let go when the id is its own.
     */
    readonly existing?: string | Ref;
    /** Names that it had before: what the state knows by one of them is this, so that a rename makes nothing anew. */
    readonly aliases?: readonly string[];
    /** Names of declarations that must exist before, beyond those that the arguments refer to. */
    readonly dependsOn?: readonly string[];
    /** HTTP address that must answer, with any status, once what it depends on exists. */
    readonly needsAnswer?: string;
    /** Set on what holds data: Pulumi refuses to delete it until it is unprotected. */
    readonly protect?: boolean;
    /** Set on what must outlive the stack: Pulumi forgets it and leaves it where it is. */
    readonly retainOnDelete?: boolean;
    /** Arguments that something else changes by design. */
    readonly ignoreChanges?: readonly string[];
  };
}[ResourceType];
