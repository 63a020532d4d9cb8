import * as docker from '@pulumi/docker';
import * as gitlab from '@pulumi/gitlab';
import * as k8s from '@pulumi/kubernetes';
import * as pulumi from '@pulumi/pulumi';
import { topologyBoxes } from './boxes';
import type { Model } from './model';
import { Box, typeToken } from './shared/box';
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
}

/** The company's CI/CD: every box, wired. */
export class Topology extends pulumi.ComponentResource {
  /** Addresses for people. */
  readonly urls: { readonly gitlab: string; readonly jenkins: string; readonly registry: string };

  constructor(name: string, args: TopologyArgs, opts?: pulumi.ComponentResourceOptions) {
    super(typeToken('index', 'Topology'), name, {}, opts);
    const { settings } = args.model;
    const child = { parent: this };
    const cluster = (role: 'ci' | 'production') =>
      new k8s.Provider(
        `${role}-cluster`,
        { context: settings.clusters[role].context, enableServerSideApply: true },
        child,
      );
    const registrar = new Registrar({
      seed: args.seed,
      given: args.given,
      providers: {
        ci: cluster('ci'),
        production: cluster('production'),
        gitlab: new gitlab.Provider(
          'gitlab',
          { baseUrl: `${settings.gitlab.url}/api/v4/`, token: args.gitlabToken },
          child,
        ),
        docker: new docker.Provider('docker', {}, child),
      },
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
