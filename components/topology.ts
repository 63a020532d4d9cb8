import * as docker from '@pulumi/docker';
import * as gitlab from '@pulumi/gitlab';
import * as k8s from '@pulumi/kubernetes';
import * as pulumi from '@pulumi/pulumi';
import { wantedBoxes } from './boxes';
import type { Model } from './model';
import { Box } from './shared/box';
import type { ProviderRole } from './shared/declaration';
import { loginPurpose } from './shared/kubernetes';
import { names, typeToken } from './shared/naming';
import { type Brought, Registrar } from './shared/registrar';

export interface TopologyArgs {
  readonly model: Model;
  /** Root of all derived secrets. */
  readonly seed: pulumi.Output<string>;
  /** GitLab token that makes the group, the projects and the hooks. */
  readonly gitlabToken: pulumi.Output<string>;
  /** What is there already, by `what:key` of its reference: see `components/lookups.ts`. @default nothing */
  readonly found?: Readonly<Record<string, string>>;
  /** The variables that the stack's settings name. */
  readonly given: Readonly<Record<string, pulumi.Output<string>>>;
  /** Evaluate the production box of these modules only: what a deploy job does. @default everything */
  readonly only?: readonly string[];
  /** Waits until an address answers. @default by asking it for up to three minutes */
  readonly reach?: (url: string) => Promise<void>;
}

function provider(
  role: ProviderRole,
  { model: { settings }, gitlabToken, given }: TopologyArgs,
  opts: pulumi.CustomResourceOptions,
): pulumi.ProviderResource {
  switch (role) {
    case 'ci':
    case 'production': {
      const { context, kubeconfig } = settings.clusters[role];
      const text = kubeconfig === undefined ? undefined : given[kubeconfig];
      return withoutEnvironment(
        'KUBECONFIG',
        () =>
          new k8s.Provider(
            `${role}-cluster`,
            {
              context,
              enableServerSideApply: true,
              // Else a change deletes the ConfigMap and makes it anew, and a Pod that starts meanwhile has none.
              enableConfigMapMutable: true,
              // So with Secrets, which Jenkins' credentials and the registry's users are read from.
              enableSecretMutable: true,
              ...(text ? { kubeconfig: text } : {}),
              // Other credentials for the same cluster are no reason to make everything in it anew.
              ...(kubeconfig === undefined ? {} : { clusterIdentifier: context }),
            },
            opts,
          ),
      );
    }
    case 'gitlab':
      return new gitlab.Provider(
        'gitlab',
        {
          baseUrl: `${settings.gitlab.url}/api/v4/`,
          token: gitlabToken,
          // A preview has no valid token: what it compares is in the state. Elsewhere it is not worth a change.
          ...(settings.topologyProject || settings.previewedBy ? { earlyAuthCheck: false } : {}),
        },
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

/** Logins of an existing registry take the place of the derived ones, by the purpose under which these go. */
function broughtLogins({ model: { settings }, given }: TopologyArgs): Record<string, Brought> {
  const { existing } = settings.registry;
  if (!existing) return {};
  const logins = [
    [names.pullUser, existing.pull],
    [names.pushUser, existing.push],
  ] as const;
  return Object.fromEntries(
    logins.flatMap(([ours, { user, passwordFrom }]) => {
      const password = given[passwordFrom];
      return password ? [[loginPurpose(ours), { user, password }]] : [];
    }),
  );
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
      environment: settings.environment,
      versions: settings.secrets.versions,
      given: args.given,
      found: args.found,
      brought: broughtLogins(args),
      provider: (role) => provider(role, args, child),
      reach: args.reach,
    });
    const wanted = wantedBoxes(args.model, args.only);
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
