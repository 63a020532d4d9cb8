import { z } from 'zod';
import { entries, MOST_EACH, title } from '../catalog/shapes';
import { httpUrl, secretVariable } from './shapes';

/** Context of the kubeconfig. */
const context = title;
/**
 * Environment variable that holds the kubeconfig's text, for machines without a file. @default the ambient kubeconfig:
 * `KUBECONFIG`, else the one in the home folder
 */
const kubeconfig = secretVariable.optional();
/**
 * Ports at which the API server answers Pods, behind its Service: network policies let them out there. MicroK8s has 16443,
 * minikube 8443.
 */
const apiPorts = z
  .array(z.number().int().min(1).max(65_535))
  .min(1)
  .max(...entries(MOST_EACH))
  .default([443, 6443]);

/**
 * The clusters by role, each a context of a kubeconfig. The same context (and kubeconfig) twice is one cluster. The
 * default provider is never used.
 */
export const clusterSchemas = z.strictObject({
  /** Where Jenkins, the registry, builds and tests run. */
  ci: z.strictObject({ context, kubeconfig, apiPorts }),
  /** Where modules and their services run; may be the same cluster. */
  production: z.strictObject({
    context,
    kubeconfig,
    apiPorts,
    /**
     * API server as Pods of the ci cluster reach it; deploy jobs run there. Matters only when production is a cluster
     * of its own. @default the one that the kubeconfig names
     */
    server: httpUrl.optional(),
  }),
});

export type Clusters = z.infer<typeof clusterSchemas>;
type Named = { readonly context: string; readonly kubeconfig?: string | undefined };

/** Whether both roles are played by one cluster, as far as their names tell. */
export const isOneCluster = ({ ci, production }: { ci: Named; production: Named }): boolean =>
  ci.context === production.context && ci.kubeconfig === production.kubeconfig;
