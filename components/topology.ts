import * as docker from '@pulumi/docker';
import * as gitlab from '@pulumi/gitlab';
import * as k8s from '@pulumi/kubernetes';
import * as pulumi from '@pulumi/pulumi';
import { secretSources } from '../stacks/secrets';
import { topologyBoxes } from './boxes';
import type { Model } from './model';
import { Box, typeToken } from './shared/box';
import type { ProviderRole } from './shared/declaration';
import { Registrar } from './shared/registrar';

export interface TopologyArgs {
  readonly model: Model;
  /** Root of all derived secrets. */
  readonly seed: pulumi.Output<string>;
  /** GitLab token that makes the group, the projects and the hooks. */
  readonly gitlabToken: pulumi.Output<string>;
  /** The variables that `deployEnvironment` names. */
  readonly given: Readonly<Record<string, pulumi.Output<string>>>;
  /** Evaluate the production box of these modules only: what a deploy job does. @default everything */
  readonly only?: readonly string[];
  /** Waits until an address answers. @default by asking it for up to three minutes */
  readonly reach?: (url: string) => Promise<void>;
}

function provider(
  role: ProviderRole,
  { model: { settings }, gitlabToken }: TopologyArgs,
  opts: pulumi.CustomResourceOptions,
): pulumi.ProviderResource {
  switch (role) {
    case 'ci':
    case 'production':
      return withoutEnvironment(
        'KUBECONFIG',
        () =>
          new k8s.Provider(
            `${role}-cluster`,
            { context: settings.clusters[role].context, enableServerSideApply: true },
            opts,
          ),
      );
    case 'gitlab':
      return new gitlab.Provider(
        'gitlab',
        // Without the early check a preview needs no valid token: what it compares is in the state.
        { baseUrl: `${settings.gitlab.url}/api/v4/`, token: gitlabToken, earlyAuthCheck: false },
        opts,
      );
    case 'docker':
      return withoutEnvironment('DOCKER_HOST', () => new docker.Provider('docker', {}, opts));
  }
}

/**
 * The SDKs copy such a variable into the provider's state, where one machine's path would be a change on the next. The
 * plug-ins themselves read it all the same.
 */
function withoutEnvironment<T>(variable: string, make: () => T): T {
  const value = process.env[variable];
  delete process.env[variable];
  try {
    return make();
  } finally {
    if (value !== undefined) process.env[variable] = value;
  }
}

/** The company's CI/CD: every box, wired. */
export class Topology extends pulumi.ComponentResource {
  /** Addresses for people. */
  readonly urls: { readonly gitlab: string; readonly jenkins: string; readonly registry: string };

  constructor(name: string, args: TopologyArgs, opts?: pulumi.ComponentResourceOptions) {
    super(typeToken('index', 'Topology'), name, {}, opts);
    const { settings } = args.model;
    const child = { parent: this };
    const registrar = new Registrar({
      seed: args.seed,
      // Only the Pod that applies this repository's own merge requests gets GitLab's root token.
      given: { ...args.given, [secretSources.gitlabToken]: args.gitlabToken },
      provider: (role) => provider(role, args, child),
      reach: args.reach,
    });
    const wanted = topologyBoxes(args.model).filter(
      ({ box, module }) =>
        !args.only || (box === 'production' && module !== undefined && args.only.includes(module)),
    );
    for (const { box, name: boxName, declarations } of wanted) {
      new Box(typeToken(box), boxName, declarations, registrar, child);
    }
    const scheme = settings.registry.scheme;
    this.urls = {
      gitlab: `${settings.gitlab.url}/${settings.gitlab.group}`,
      jenkins: settings.jenkins.url,
      registry: `${scheme}://${settings.registry.address}`,
    };
    this.registerOutputs({ urls: this.urls });
  }
}
