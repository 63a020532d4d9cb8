import * as docker from '@pulumi/docker';
import * as gitlab from '@pulumi/gitlab';
import * as k8s from '@pulumi/kubernetes';
import * as pulumi from '@pulumi/pulumi';
import type { Module } from '../catalog/load';
import { Autoscaling } from './autoscaling/autoscaling';
import { Backup } from './backup/backup';
import { topologyBoxes } from './boxes';
import { GitLab } from './gitlab/gitlab';
import { GitLabModule } from './gitlab/gitlab-module';
import { Jenkins } from './jenkins/jenkins';
import { type Model, testedModules } from './model';
import { ModuleProduction } from './production/module-production';
import { Production } from './production/production';
import { Registry } from './registry/registry';
import { RegistryRetention } from './registry/registry-retention';
import type { ProviderRole } from './shared/declaration';
import { IN_PLACE } from './shared/in-place';
import { names, typeToken } from './shared/naming';
import { type Brought, Registrar } from './shared/registrar';
import { loginPurpose } from './shared/registry-login';
import {
  autoscalingSpec,
  backupSpec,
  gitlabModuleSpec,
  gitlabSpec,
  jenkinsSpec,
  moduleProductionSpec,
  moduleTestsSpec,
  productionSpec,
  registryRetentionSpec,
  registrySpec,
  testingSpec,
} from './specs';
import { ModuleTests } from './testing/module-tests';
import { Testing } from './testing/testing';

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
              ...IN_PLACE,
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
    const { model, only } = args;
    const { settings } = model;
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
    const declared = model.transform
      ? new Map(topologyBoxes(model).map((box) => [box.name, box.declarations]))
      : undefined;
    const shared = { registrar, declared };
    const production = (module: Module): void => {
      const spec = moduleProductionSpec(model, module);
      new ModuleProduction(`production-${module.name}`, { ...spec, ...shared }, child);
    };
    const registry = registrySpec(model);
    const backup = backupSpec(model);
    const autoscaling = autoscalingSpec(model);
    if (only) {
      for (const module of model.modules) if (only.includes(module.name)) production(module);
    } else {
      new GitLab('gitlab', { ...gitlabSpec(model), ...shared }, child);
      new Registry('registry', { ...registry, ...shared }, child);
      new Jenkins('jenkins', { ...jenkinsSpec(model), ...shared }, child);
      new RegistryRetention('registry-retention', { ...registryRetentionSpec(model), ...shared }, child);
      new Testing('testing', { ...testingSpec(model), ...shared }, child);
      new Production('production', { ...productionSpec(model), ...shared }, child);
      if (autoscaling) new Autoscaling('autoscaling', { ...autoscaling, ...shared }, child);
      if (backup) new Backup('backup', { ...backup, ...shared }, child);
      for (const module of testedModules(model)) {
        new GitLabModule(
          `gitlab-module-${module.name}`,
          { ...gitlabModuleSpec(model, module), ...shared },
          child,
        );
        const tests = moduleTestsSpec(model, module);
        new ModuleTests(`testing-${module.name}`, { ...tests, ...shared }, child);
      }
      for (const module of model.modules) production(module);
    }
    this.urls = {
      gitlab: `${settings.gitlab.url}/${settings.gitlab.group}`,
      jenkins: settings.jenkins.url,
      registry: `${registry.scheme}://${registry.address}`,
    };
    this.registerOutputs({ urls: this.urls });
  }
}
