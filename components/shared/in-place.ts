import * as pulumi from '@pulumi/pulumi';

/** How the objects of a cluster are changed: options of its provider, `new Provider('cluster', { context, ...IN_PLACE })`. */
export const IN_PLACE = {
  enableServerSideApply: true,
  // Else a change deletes the ConfigMap and makes it anew, and a Pod that starts meanwhile has none.
  enableConfigMapMutable: true,
  // So with Secrets, which Jenkins' credentials and the registry's users are read from.
  enableSecretMutable: true,
} as const;

/** What is off where nobody sets it, and the variable that the official provider reads instead. */
const VARIABLES = {
  enableConfigMapMutable: 'PULUMI_K8S_ENABLE_CONFIGMAP_MUTABLE',
  enableSecretMutable: 'PULUMI_K8S_ENABLE_SECRET_MUTABLE',
} as const;
type Option = keyof typeof VARIABLES;

/** What the cluster's default provider has of an option: from the stack's configuration, or the environment. */
const ambient = (option: Option): string | undefined =>
  new pulumi.Config('kubernetes').get(option) ?? process.env[VARIABLES[option]];

/** Warns of a provider that deletes a Secret or a ConfigMap to change it; of one that does not show its options it says nothing. */
export function warnUnlessInPlace(component: pulumi.ComponentResource, name: string): void {
  const provider: object | undefined = component.getProvider('kubernetes:core/v1:Secret');
  const options = Object.keys(VARIABLES) as Option[];
  const values = options.map((option): unknown => {
    if (!provider) return ambient(option);
    return option in provider ? (provider as Record<string, unknown>)[option] : true;
  });
  pulumi.all(values).apply((known) => {
    const missing = options.filter((_option, index) => !/^(true|1)$/.test(String(known[index])));
    if (missing.length === 0) return;
    pulumi.log.warn(
      `${name}: the provider of its cluster has no ${missing.join(' and no ')}, so that a change deletes what it changes before it makes it anew. Give the provider ...IN_PLACE (components/shared/in-place.ts).`,
      component,
    );
  });
}
